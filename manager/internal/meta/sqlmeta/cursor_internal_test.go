package sqlmeta

import (
	"errors"
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

func FuzzParseCursor(f *testing.F) {
	q := meta.Query{Parent: 3, Sort: meta.SortName}
	f.Add("")
	f.Add(position{kind: cloud.KindFile, text: "name", id: 7}.cursor(q))
	f.Add(position{kind: cloud.KindFolder, number: -1, id: 1 << 52}.cursor(q))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseCursor(text, q)
		if err != nil {
			if !errors.Is(err, cloud.ErrInvalid) {
				t.Errorf("parseCursor(%q) = %v, want %v", text, err, cloud.ErrInvalid)
			}
			return
		}
		if again := p.cursor(q); again != text {
			t.Errorf("cursor %q reads as %+v, which writes %q", text, p, again)
		}
	})
}
