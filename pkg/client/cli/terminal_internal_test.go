package cli

import (
	"strings"
	"testing"
)

// What steers a terminal does not come through, in whatever form others wrote it.
func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"Küste 🌊.jpg":                   "Küste 🌊.jpg",
		"\x1b]0;title\x07\x1b[2J.txt":   "�]0;title��[2J.txt",
		"a\nb\rc\td":                    "a�b�c�d",
		"\u009b31mred\u202egnp.exe\xff": "�31mred�gnp.exe�",
	} {
		if got := shown(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
}

func TestTerminal_Line(t *testing.T) {
	var said strings.Builder
	term := &Terminal{In: strings.NewReader("ada\r\n pass word \nlast"), Err: &said}
	for _, want := range []string{"ada", " pass word ", "last", ""} {
		if got, err := term.Secret("? "); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if said.String() != "? ? ? ? " {
		t.Errorf("asked %q", said.String())
	}
}
