package decode

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

type kind int

const (
	kindUnknown kind = iota
	kindJPEG
	kindPNG
	kindGIF
	kindWebP
	kindBMP
	kindTIFF
	kindHEIF // and AVIF
	kindVideo
	kindAudio
	kindPDF
	kindText
	kindSVG
)

// magics are what files begin with.
var magics = []struct {
	at    int
	magic string
	kind  kind
}{
	{0, "\xff\xd8\xff", kindJPEG},
	{0, "\x89PNG\r\n\x1a\n", kindPNG},
	{0, "GIF87a", kindGIF},
	{0, "GIF89a", kindGIF},
	{8, "WEBP", kindWebP},
	{0, "BM", kindBMP},
	{0, "II*\x00", kindTIFF},
	{0, "MM\x00*", kindTIFF},
	{0, "%PDF-", kindPDF},
	{0, "\x1a\x45\xdf\xa3", kindVideo}, // Matroska, WebM
	{8, "AVI ", kindVideo},
	{0, "FLV\x01", kindVideo},
	{0, "\x00\x00\x01\xba", kindVideo}, // MPEG
	{0, "\x00\x00\x01\xb3", kindVideo},
	{0, "\x30\x26\xb2\x75", kindVideo}, // ASF
	{8, "WAVE", kindAudio},
	{0, "fLaC", kindAudio},
	{0, "ID3", kindAudio},
	{0, "\xff\xfb", kindAudio},
	{0, "\xff\xf3", kindAudio},
	{0, "\xff\xf1", kindAudio},
}

// sniff tells what the object is by its first bytes. The type that its uploader
// gave decides only between kinds of one container.
func sniff(head []byte, hint string) kind {
	for _, m := range magics {
		if len(head) >= m.at+len(m.magic) && string(head[m.at:m.at+len(m.magic)]) == m.magic {
			return m.kind
		}
	}
	audio := strings.HasPrefix(hint, "audio/")
	if len(head) >= 12 && string(head[4:8]) == "ftyp" {
		switch string(head[8:12]) {
		case "heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1", "avif", "avis":
			return kindHEIF
		case "M4A ", "M4B ":
			return kindAudio
		}
		if audio {
			return kindAudio
		}
		return kindVideo
	}
	if bytes.HasPrefix(head, []byte("OggS")) {
		if strings.HasPrefix(hint, "video/") {
			return kindVideo
		}
		return kindAudio
	}
	if len(head) > 188 && head[0] == 0x47 && head[188] == 0x47 { // MPEG transport stream
		return kindVideo
	}
	if isText(head) {
		if strings.Contains(hint, "svg") || bytes.Contains(head, []byte("<svg")) {
			return kindSVG
		}
		return kindText
	}
	return kindUnknown
}

// isText tells text in UTF-8 by its beginning, of which the last character may
// be cut off.
func isText(head []byte) bool {
	for cut := 0; cut < utf8.UTFMax && cut <= len(head); cut++ {
		if b := head[:len(head)-cut]; utf8.Valid(b) {
			controls := bytes.IndexFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' && r != 0x1b })
			return len(b) > 0 && controls < 0
		}
	}
	return false
}
