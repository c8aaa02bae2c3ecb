package packet

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of names and paths.
const (
	MaxNameV1  = 127 // UTF-16 units, and characters: all of them are in the basic plane
	MaxNameV2  = 255 // bytes of UTF-8
	MaxDepthV1 = 10  // names in a path
	MaxDepthV2 = 128
)

// nameChars are the 135 characters of names in version 1.
const nameChars = ` !"#$%&'()*+,-.0123456789;=?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{}~` +
	`§°ÀÁÂÄÇÈÉÊËÌÍÎÏÑÒÓÔÖÙÚÛÜßàáâäçèéêëìíîïñòóôöùúûü’`

// ValidNameV1 tells whether a client of version 1 bears the name: 1 to 127
// of its 135 characters, no full stop at the end, no space at either end.
//
// Its frontends trim what they open, so a name with a space at an end could be
// listed but not opened; they never send one.
func ValidNameV1(s string) bool {
	if s == "" || s[0] == ' ' || s[len(s)-1] == ' ' || s[len(s)-1] == '.' {
		return false
	}
	n := 0
	for _, r := range s {
		if n++; n > MaxNameV1 || !nameCharV1(r) {
			return false
		}
	}
	return true
}

func nameCharV1(r rune) bool {
	if 'a' <= r && r <= 'z' { // most of them
		return true
	}
	return strings.ContainsRune(nameChars, r)
}

// ValidPathV1 tells whether a client of version 1 bears the path: "/", or up to
// ten of its names each behind a slash, with or without a slash at the end.
func ValidPathV1(s string) bool { return validPath(s, MaxDepthV1, ValidNameV1) }

// ValidNameV2 tells whether version 2 takes the name: 1 to 255 bytes of valid
// UTF-8 without control characters, bidirectional controls and "/", and
// neither "." nor "..". Whether it is in NFC is not looked at.
func ValidNameV2(s string) bool {
	if s == "" || len(s) > MaxNameV2 || s == "." || s == ".." || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r == '/' || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return false
		}
	}
	return true
}

// ValidPathV2 tells whether version 2 takes the path: "/", or up to 128 of its
// names each behind a slash, with or without a slash at the end.
func ValidPathV2(s string) bool { return validPath(s, MaxDepthV2, ValidNameV2) }

func validPath(s string, depth int, name func(string) bool) bool {
	if s == "/" {
		return true
	}
	rest, ok := strings.CutPrefix(s, "/")
	if !ok {
		return false
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.Count(rest, "/") >= depth {
		return false
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if !name(segment) {
			return false
		}
	}
	return true
}
