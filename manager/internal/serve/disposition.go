package serve

import (
	"mime"
	"strings"
)

// Disposition is a Content-Disposition header for a file name (RFC 6266): plain
// ASCII for all, and the name itself as RFC 8187 has it where that is not enough.
func Disposition(kind, name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	var b strings.Builder
	b.WriteString(kind)
	b.WriteString(`; filename="`)
	plain := true
	for _, r := range name {
		switch {
		case r < ' ' || r > '~', r == '"', r == '\\', r == '%', r == '/':
			// "%" too: some receivers decode it in the plain form.
			b.WriteByte('_')
			plain = false
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	if !plain {
		b.WriteString("; filename*=UTF-8''")
		writeExtValue(&b, name)
	}
	return b.String()
}

// writeExtValue writes value-chars of RFC 8187 §3.2.1.
func writeExtValue(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
}

const unknownType = "application/octet-stream"

// inlineTypes may be shown by a browser in place. Nothing on it can run script:
// no SVG, no HTML, no XML, no PDF.
var inlineTypes = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/bmp": true,
	"audio/mpeg": true, "audio/mp4": true, "audio/ogg": true, "audio/wav": true, "audio/x-wav": true, "audio/webm": true,
	"audio/flac": true, "audio/aac": true, "audio/opus": true,
	"video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true, "video/x-matroska": true,
	"text/plain": true,
}

// contentType gives the type to send for the type of a file, and whether it may
// be shown in place. What a browser would run as a part of a page, when another
// file or a hole in the page names it as script or style, is sent as plain bytes.
func contentType(stored string) (sent string, inline bool) {
	t, _, err := mime.ParseMediaType(stored)
	if err != nil || !strings.Contains(t, "/") {
		return unknownType, false
	}
	switch {
	case t == "text/plain":
		return "text/plain; charset=utf-8", true
	case inlineTypes[t]:
		return t, true
	case strings.Contains(t, "script"), strings.Contains(t, "html"), strings.HasSuffix(t, "xml"),
		t == "text/css", t == "application/wasm", strings.HasPrefix(t, "multipart/"), strings.HasPrefix(t, "message/"):
		return unknownType, false
	}
	return t, false
}
