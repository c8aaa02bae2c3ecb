package meta

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"

	"discordcloud/pkg/cloud"
)

// MaxName is the length of the longest name, in bytes.
const MaxName = 255

// FreeNames is how many names ConflictRename tries.
const FreeNames = 99

// CheckName is ErrInvalid for a name that no store takes: empty or longer than
// MaxName, not UTF-8, "." or "..", with "/" or a NUL in it. Doors are stricter;
// this is what keeps paths unambiguous.
func CheckName(name string) error {
	switch {
	case name == "":
		return cloud.UserErrorf(cloud.ErrInvalid, "a name is missing")
	case len(name) > MaxName:
		return cloud.UserErrorf(cloud.ErrInvalid, "the name is longer than %d bytes", MaxName)
	case name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || !utf8.ValidString(name):
		return cloud.UserErrorf(cloud.ErrInvalid, "%q cannot be a name", name)
	}
	return nil
}

// FoldName is the key under which names that differ only in case are the same,
// and by whose bytes they sort.
func FoldName(name string) string { return cases.Fold().String(name) }

// FreeName is the n-th name to try in place of a taken one: "stem (n).ext". The
// extension begins at the last dot. The stem is shortened, between two
// characters, where the whole would be longer than MaxName; the result is ""
// where even that does not help.
func FreeName(name string, n int) string {
	stem, ext := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		stem, ext = name[:dot], name[dot:]
	}
	stem = strings.TrimSpace(stem)
	tail := fmt.Sprintf(" (%d)%s", n, ext)
	room := MaxName - len(tail)
	if room < 0 || room == 0 && stem != "" {
		return ""
	}
	if len(stem) > room {
		for room > 0 && !utf8.RuneStart(stem[room]) {
			room--
		}
		if stem = strings.TrimSpace(stem[:room]); stem == "" {
			return ""
		}
	}
	return stem + tail
}
