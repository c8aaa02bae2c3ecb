package vfs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// MaxName is the longest name, in bytes of UTF-8.
const MaxName = 255

// CleanName gives the one form of a name that is stored and looked up: NFC. It
// is the only normaliser; every name from outside passes through it once.
// ErrInvalid, with a text for people, for a name that nothing may have.
func CleanName(s string) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		return "", cloud.UserErrorf(cloud.ErrInvalid, format, args...)
	}
	if !utf8.ValidString(s) {
		return bad("the name is not valid UTF-8")
	}
	if len(s) > 4*MaxName { // before work is put into it; NFC shortens by less
		return bad("a name has at most %d bytes", MaxName)
	}
	s = norm.NFC.String(s)
	switch {
	case s == "":
		return bad("a name cannot be empty")
	case s == "." || s == "..":
		return bad("%q cannot be a name", s)
	case len(s) > MaxName:
		return bad("a name has at most %d bytes; this one has %d", MaxName, len(s))
	}
	for _, r := range s {
		switch {
		case r == '/':
			return bad("a name cannot contain %q", "/")
		case unicode.IsControl(r):
			return bad("a name cannot contain control characters")
		case unicode.Is(unicode.Bidi_Control, r):
			return bad("a name cannot contain characters that change the direction of writing")
		case r == '\u2028' || r == '\u2029' || r == '\ufeff':
			return bad("a name cannot contain invisible separators")
		}
	}
	return s, nil
}

// ParsePath gives the names of a path: "/" has none, "/a/b" and "/a/b/" have two.
// Each is cleaned. ErrInvalid if one of them cannot be a name, or for more than
// meta.MaxDepth.
func ParsePath(s string) ([]string, error) {
	rest, ok := strings.CutPrefix(s, "/")
	if !ok {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "a path begins with %q", "/")
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		if s == "//" {
			return nil, cloud.UserErrorf(cloud.ErrInvalid, "a name cannot be empty")
		}
		return nil, nil
	}
	return CleanNames(strings.SplitN(rest, "/", meta.MaxDepth+1))
}

// CleanNames cleans each of the names of a path.
func CleanNames(names []string) ([]string, error) {
	if len(names) > meta.MaxDepth {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "a path has at most %d names", meta.MaxDepth)
	}
	clean := make([]string, len(names))
	for i, name := range names {
		var err error
		if clean[i], err = CleanName(name); err != nil {
			return nil, fmt.Errorf("name %d of the path: %w", i+1, err)
		}
	}
	return clean, nil
}

// JoinPath writes names as a path.
func JoinPath(names []string) string { return "/" + strings.Join(names, "/") }
