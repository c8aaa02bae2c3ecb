package packet_test

import (
	"strings"
	"testing"

	"discordcloud/pkg/packet"
)

func TestValidNameV1(t *testing.T) {
	x127 := strings.Repeat("x", 127)
	for _, s := range []string{".a", "..a", "a..b", "ä", "Ä", "Ç", "ß", "’", "a?b", "a b", x127, strings.Repeat("ü", 127)} {
		if !packet.ValidNameV1(s) {
			t.Errorf("%q refused", s)
		}
	}
	for _, s := range []string{
		"", " ", " a", "a ", ".", "..", "...", "a.", "a..", "a/b", `a\b`, "a:b", "a|b", "a<b", "a>b", "a@b", "`", "´", "€", "å", "Ø", "ÿ",
		"ẞ", "‘", "–", "日本", "😀", "\t", "\n", "a\n", "\u00a0", "a\u0308", "a\x00", "a\x7f", "a\xff", "\ufffd", x127 + "x",
	} {
		if packet.ValidNameV1(s) {
			t.Errorf("%q accepted", s)
		}
	}
	n := 0
	for r := rune(0); r <= 0x10ffff; r++ {
		if packet.ValidNameV1("a" + string(r) + "a") {
			n++
		}
	}
	if n != 135 {
		t.Errorf("%d characters, want 135", n)
	}
}

func TestValidPathV1(t *testing.T) {
	ten := strings.Repeat("/a", 10)
	x127 := strings.Repeat("x", 127)
	for _, s := range []string{"/", "/a", "/a/", ten, ten + "/", "/" + x127, "/.a"} {
		if !packet.ValidPathV1(s) {
			t.Errorf("%q refused", s)
		}
	}
	for _, s := range []string{
		"//", "///", "/a//", "/a//b", "/a/../b", "/../a", "/../", "/a./", "/a/./", "/a./b", "/./a", "/ / ",
		"", "a", "/..", "/.", "/a.", "/a/.", ten + "/a", ten + "/a/", "/" + x127 + "x", `/a\b`, "/a@b", "/a\n",
	} {
		if packet.ValidPathV1(s) {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestValidNameV2(t *testing.T) {
	for _, s := range []string{"a", " ", "a.", "...", "a:b", `a\b`, "日本", "😀", "a\u0308", "\u200b", strings.Repeat("x", 255)} {
		if !packet.ValidNameV2(s) {
			t.Errorf("%q refused", s)
		}
	}
	for _, s := range []string{
		"", ".", "..", "a/b", "\x00", "a\n", "\x7f", "\u0080", "\u009f", "\u202e", "\u2066", "\u200f", "\u061c", "a\xff", "\xed\xa0\x80",
		strings.Repeat("x", 256), strings.Repeat("日", 86),
	} {
		if packet.ValidNameV2(s) {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestValidPathV2(t *testing.T) {
	most := strings.Repeat("/a", 128)
	for _, s := range []string{"/", "/a", "/a/", most, most + "/", "/a./b", "/ / "} {
		if !packet.ValidPathV2(s) {
			t.Errorf("%q refused", s)
		}
	}
	for _, s := range []string{"", "a", "//", "/a//b", "/../a", "/.", "/a/..", most + "/a", "/a\n"} {
		if packet.ValidPathV2(s) {
			t.Errorf("%q accepted", s)
		}
	}
}
