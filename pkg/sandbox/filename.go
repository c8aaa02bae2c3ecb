package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"path"
	"strings"
)

// cleanName is what Discord makes of a file's name: separators and blanks
// become _, only ASCII letters, digits, _, - and . stay, and . and _ at the
// ends go. If that changed the name, title is the old one without extension.
func cleanName(name string) (clean, title string) {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r == '/' || r == '\\' || r == ' ' || r == '\t' || r == '\n' || r == '\r':
			b.WriteByte('_')
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
			b.WriteRune(r)
		}
	}
	clean = strings.Trim(b.String(), "._")
	ext := path.Ext(name)
	if clean == "" || ext != "" && clean == strings.Trim(cleanExt(ext), ".") {
		raw := make([]byte, 8)
		_, _ = rand.Read(raw) // never fails
		clean = hex.EncodeToString(raw) + cleanExt(ext)
	}
	if clean != name {
		title = strings.TrimSuffix(name, ext)
	}
	return clean, title
}

// cleanExt is an extension if it has nothing that would be cleaned away.
func cleanExt(ext string) string {
	for _, r := range ext[min(1, len(ext)):] {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return ""
		}
	}
	if len(ext) < 2 {
		return ""
	}
	return ext
}
