package meta_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", " ", "...", ".a", "漢字", strings.Repeat("x", 255)} {
		if err := meta.CheckName(name); err != nil {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "/", "a\x00", "\xff", strings.Repeat("x", 256)} {
		if err := meta.CheckName(name); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("CheckName(%q) = %v, want %v", name, err, cloud.ErrInvalid)
		}
	}
}

func TestFoldName(t *testing.T) {
	for _, same := range [][2]string{{"Ä", "ä"}, {"STRASSE", "straße"}, {"Σ", "ς"}, {"a", "a"}} {
		if meta.FoldName(same[0]) != meta.FoldName(same[1]) {
			t.Errorf("%q and %q are told apart", same[0], same[1])
		}
	}
}

func TestFreeName(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		want string
	}{
		{"a.txt", 1, "a (1).txt"}, {"v1.2", 1, "v1 (1).2"}, {"a", 99, "a (99)"}, {".bashrc", 1, " (1).bashrc"}, {"a .b.c", 2, "a .b (2).c"}, {"a .c", 3, "a (3).c"},
	} {
		if got := meta.FreeName(c.name, c.n); got != c.want {
			t.Errorf("FreeName(%q, %d) = %q, want %q", c.name, c.n, got, c.want)
		}
	}
}

func FuzzFreeName(f *testing.F) {
	for _, name := range []string{"a.txt", ".bashrc", "a.", "a", strings.Repeat("é", 127) + ".x", "a." + strings.Repeat("x", 252)} {
		f.Add(name, 1)
		f.Add(name, 99)
	}
	f.Fuzz(func(t *testing.T, name string, n int) {
		if meta.CheckName(name) != nil || n < 1 || n > meta.FreeNames {
			t.Skip()
		}
		free := meta.FreeName(name, n)
		if free == "" {
			return
		}
		if err := meta.CheckName(free); err != nil || free == name {
			t.Errorf("FreeName(%q, %d) = %q: %v", name, n, free, err)
		}
		stem, ext := name, ""
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			stem, ext = name[:dot], name[dot:]
		}
		if before, _, _ := strings.Cut(free, " ("); !strings.HasSuffix(free, ")"+ext) || !utf8.ValidString(free) ||
			!strings.Contains(stem, " (") && !strings.HasPrefix(strings.TrimSpace(stem), before) {
			t.Errorf("FreeName(%q, %d) = %q has another stem or extension", name, n, free)
		}
	})
}
