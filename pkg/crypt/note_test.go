package crypt_test

import (
	"bytes"
	"errors"
	"testing"

	"discordcloud/pkg/crypt"
)

func TestNote(t *testing.T) {
	old := crypt.Ring{{1}}
	both := crypt.Ring{{2}, {1}}
	for _, plain := range [][]byte{nil, []byte("a text")} {
		sealed := old.SealNote("one", plain)
		if again := old.SealNote("one", plain); bytes.Equal(sealed, again) {
			t.Error("sealed twice to the same bytes")
		}
		for _, ring := range []crypt.Ring{old, both} {
			if got, err := ring.OpenNote("one", sealed); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("opened %q, %v", got, err)
			}
		}
		for name, f := range map[string]func() ([]byte, error){
			"another purpose": func() ([]byte, error) { return old.OpenNote("two", sealed) },
			"another key":     func() ([]byte, error) { return crypt.Ring{{3}}.OpenNote("one", sealed) },
			"cut short":       func() ([]byte, error) { return old.OpenNote("one", sealed[:11]) },
			"changed": func() ([]byte, error) {
				return old.OpenNote("one", append(bytes.Clone(sealed[:len(sealed)-1]), sealed[len(sealed)-1]^1))
			},
			"nothing": func() ([]byte, error) { return old.OpenNote("one", nil) },
		} {
			if _, err := f(); !errors.Is(err, crypt.ErrNoKey) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
