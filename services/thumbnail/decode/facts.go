package decode

import (
	"strings"
	"unicode"
)

// clean makes the texts short, valid and printable: they come out of files.
func (f Facts) clean() Facts {
	for _, t := range []struct {
		text *string
		most int
	}{{&f.TakenAt, 40}, {&f.Camera, 100}, {&f.Title, 200}, {&f.Artist, 200}, {&f.Album, 200}, {&f.Codec, 40}} {
		s := strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) || r > 0xffff { // one UTF-16 unit each
				return -1
			}
			return r
		}, strings.ToValidUTF8(*t.text, ""))
		if r := []rune(s); len(r) > t.most {
			s = string(r[:t.most])
		}
		*t.text = strings.TrimSpace(s)
	}
	for _, n := range []*int64{&f.Width, &f.Height, &f.Duration, &f.Pages} {
		if *n < 0 || *n > 1<<50 {
			*n = 0
		}
	}
	return f
}
