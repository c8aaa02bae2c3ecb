package vfs_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"discordcloud/manager/internal/vfs"
	"discordcloud/manager/internal/vfs/vfstest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"a":                            "a",
		"a\u0308":                      "ä",
		"...":                          "...",
		" a ":                          " a ",
		`a\b`:                          `a\b`,
		"%2e%2e%2f":                    "%2e%2e%2f",
		strings.Repeat("x", 255):       strings.Repeat("x", 255),
		"👩\u200d👩":                     "👩\u200d👩",
		strings.Repeat("a\u0308", 127): strings.Repeat("ä", 127), // 381 bytes before
	} {
		if got, err := vfs.CleanName(in); err != nil || got != want {
			t.Errorf("CleanName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", "..", "/", "a/b", "/a", "a\x00b", "a\nb", "\x7f", "a\u0085b", "\u202egpj.exe", "a\u2066b", "\u061c",
		"a\u2028b", "\ufeffa", "\xff", "a\xc3", "\xed\xa0\x80", strings.Repeat("x", 256), strings.Repeat("👩", 64), strings.Repeat("x", 1<<20),
	} {
		if got, err := vfs.CleanName(in); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("CleanName(%.20q) = %.20q, %v, want %v", in, got, err, cloud.ErrInvalid)
		}
	}
}

func TestParsePath(t *testing.T) {
	deep := strings.Repeat("/a", 128)
	for in, want := range map[string][]string{
		"/": nil, "/a": {"a"}, "/a/": {"a"}, "/a/b": {"a", "b"}, "/.a/..b": {".a", "..b"},
	} {
		if got, err := vfs.ParsePath(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("ParsePath(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	if got, err := vfs.ParsePath(deep); err != nil || len(got) != 128 || vfs.JoinPath(got) != deep {
		t.Errorf("128 names: %d, %v", len(got), err)
	}
	for _, in := range []string{"", "a", "//", "///", "/a//", "/a//b", "/a/../b", "/..", "/.", "/a/.", "/a\n", "/a\x00", deep + "/a"} {
		if got, err := vfs.ParsePath(in); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("ParsePath(%.20q) = %q, %v, want %v", in, got, err, cloud.ErrInvalid)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "//", "/../x", "/a\u0308/", "/\u202e", "/" + strings.Repeat("a/", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		names, err := vfs.ParsePath(s)
		if err != nil {
			if !errors.Is(err, cloud.ErrInvalid) {
				t.Fatalf("ParsePath(%q): %v", s, err)
			}
			return
		}
		for _, n := range names {
			if !packet.ValidNameV2(n) || !norm.NFC.IsNormalString(n) {
				t.Fatalf("ParsePath(%q) gives %q", s, n)
			}
		}
		again, err := vfs.ParsePath(vfs.JoinPath(names))
		if err != nil || !slices.Equal(again, names) {
			t.Fatalf("ParsePath(JoinPath(%q)) = %q, %v", names, again, err)
		}
	})
}

func FuzzStandIn(f *testing.F) {
	for _, s := range []string{"日本.txt", "a", ".", "x.日本", strings.Repeat("👩", 60), " a ", "a.", "a~1z.txt", strings.Repeat("a", 255) + ".txt", ".日"} {
		f.Add(s, int64(46))
	}
	f.Fuzz(func(t *testing.T, name string, id int64) {
		clean, err := vfs.CleanName(name)
		if err != nil || id <= 0 {
			return
		}
		got := vfs.StandIn(cloud.Entry{ID: cloud.EntryID(id), Name: clean})
		if !packet.ValidNameV1(got) {
			t.Errorf("StandIn(%q) = %q, which version 1 does not bear", clean, got)
		}
		if packet.ValidNameV1(clean) && got != clean {
			t.Errorf("StandIn(%q) = %q", clean, got)
		}
		if !utf8.ValidString(got) {
			t.Errorf("StandIn(%q) = %q", clean, got)
		}
	})
}

func TestStandIn(t *testing.T) {
	for _, c := range []struct {
		id         cloud.EntryID
		name, want string
	}{
		{46, "日本.txt", "__~1a.txt"}, {46, "ok.txt", "ok.txt"}, {46, "a.", "a.~1a"}, {46, " a", "a~1a"}, {46, "a@b.日本", "a_b~1a.__"},
		{46, strings.Repeat("a", 200) + ".txt", strings.Repeat("a", 120) + "~1a.txt"}, {46, ".日", "._~1a"},
	} {
		if got := vfs.StandIn(cloud.Entry{ID: c.id, Name: c.name}); got != c.want {
			t.Errorf("StandIn(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLookupV1(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	file := w.Put(t, ada, "/日本/文@書.txt", []byte("x"), true)
	hidden := w.Put(t, ada, "/日本/秘.txt", []byte("x"), false)
	folder, err := w.FS.Entry(t.Context(), bob, file.Parent)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{vfs.StandIn(folder), vfs.StandIn(file)}
	if e, err := w.FS.LookupV1(t.Context(), bob, names); err != nil || e.ID != file.ID {
		t.Errorf("LookupV1(%q) = %d, %v, want %d", names, e.ID, err, file.ID)
	}
	if got := vfs.NamesV1([]cloud.Entry{folder, file}); !slices.Equal(got, names) {
		t.Errorf("NamesV1 = %q, want %q", got, names)
	}
	for _, name := range []string{
		vfs.StandIn(hidden), "x" + names[1], "~zzzzzzzzzzzzzzzzzzzzzz", "~", "~-1", vfs.StandIn(folder),
	} {
		if e, err := w.FS.ChildV1(t.Context(), bob, folder.ID, name); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("ChildV1(%q) = %d, %v, want %v", name, e.ID, err, cloud.ErrNotFound)
		}
	}
	// A real name goes before a stand-in of the same text.
	exact := w.Put(t, ada, "/日本/"+names[1], []byte("y"), true)
	if e, err := w.FS.ChildV1(t.Context(), bob, folder.ID, names[1]); err != nil || e.ID != exact.ID {
		t.Errorf("ChildV1 = %d, %v, want %d", e.ID, err, exact.ID)
	}
}
