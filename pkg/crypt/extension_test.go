package crypt_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

func TestExtension(t *testing.T) {
	created := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	folders := strings.Repeat("/a folder with a name", 400)
	for _, c := range []struct {
		name string
		in   crypt.Extension
		path func(string) bool
	}{
		{"plain", crypt.Extension{Name: "a.txt", Path: "/b/c", Owner: "eve", Type: "text/plain", Created: created},
			func(p string) bool { return p == "/b/c" }},
		{"nothing", crypt.Extension{}, func(p string) bool { return p == "" }},
		{"awkward", crypt.Extension{Name: "<&>\"\\\u2028 ü.txt", Path: "/😀", Owner: "é"},
			func(p string) bool { return p == "/😀" }},
		{"long path", crypt.Extension{Name: strings.Repeat("n", 255), Path: folders, Owner: "eve", Type: "text/plain", Created: created},
			func(p string) bool {
				return strings.HasPrefix(p, "…/a folder") && strings.HasSuffix(folders, p[len("…"):]) && len(p) > 3000
			}},
		{"one long folder", crypt.Extension{Name: "n", Path: strings.Repeat("ü", 4000)},
			func(p string) bool { return strings.HasPrefix(p, "…ü") && utf8.ValidString(p) && len(p) > 3000 }},
		{"long path of quotes", crypt.Extension{Name: "n", Path: strings.Repeat(`"`, 4000)},
			func(p string) bool { return strings.HasPrefix(p, `…"`) && len(p) > 500 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := crypt.EncodeExtension(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if len(b)%512 != 0 || len(b) > chunk.ExtMax {
				t.Errorf("%d bytes", len(b))
			}
			got, err := crypt.DecodeExtension(b)
			if err != nil {
				t.Fatal(err)
			}
			if !c.path(got.Path) {
				t.Errorf("path = %q", got.Path)
			}
			got.Path = c.in.Path
			if got != c.in {
				t.Errorf("got %+v, want %+v", got, c.in)
			}
		})
	}
}

func TestExtension_DropsWhatIsTooLong(t *testing.T) {
	long := strings.Repeat("x", 4000)
	b, err := crypt.EncodeExtension(crypt.Extension{Name: "n", Path: "/p", Owner: long, Type: long})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := crypt.DecodeExtension(b); err != nil || got != (crypt.Extension{Name: "n", Path: "/p"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := crypt.EncodeExtension(crypt.Extension{Name: long}); !isInvalid(err) {
		t.Errorf("long name: %v, want ErrInvalid", err)
	}
}

func TestDecodeExtension_Corrupt(t *testing.T) {
	for _, bad := range []string{"", "x", "[]", `{"name":1}`, `{"created":"yesterday"}`, `{} {}`} {
		if _, err := crypt.DecodeExtension([]byte(bad)); !errors.Is(err, cloud.ErrCorrupt) {
			t.Errorf("DecodeExtension(%q) = %v, want ErrCorrupt", bad, err)
		}
	}
	if _, err := crypt.DecodeExtension([]byte(`{"n":"a.txt"}`)); err != nil {
		t.Errorf("unknown field: %v", err)
	}
}
