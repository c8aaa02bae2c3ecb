package upload

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"strings"
)

// unknownType is the type of what has no signature that we know.
const unknownType = "application/octet-stream"

// sniff tells the MIME type of a file, without parameters, by its first bytes.
// Names do not count: the service has none. Give it a few KiB if they are there.
func sniff(p []byte) string {
	for _, s := range signatures {
		if len(p) >= s.at && bytes.HasPrefix(p[s.at:], []byte(s.magic)) {
			return s.is
		}
	}
	switch {
	case len(p) >= 12 && string(p[4:8]) == "ftyp":
		return sniffISO(p)
	case bytes.HasPrefix(p, []byte("PK\x03\x04")):
		return sniffZip(p)
	case bytes.HasPrefix(p, []byte("\x1aE\xdf\xa3")) && bytes.Contains(head(p, 64), []byte("matroska")):
		return "video/x-matroska"
	case bytes.HasPrefix(p, []byte("OggS")):
		return sniffOgg(p)
	}
	// The table of WHATWG's "MIME Sniffing", as net/http has it.
	is, _, _ := strings.Cut(http.DetectContentType(p), ";")
	if (is == "text/xml" || is == "text/plain" || is == "text/html") && bytes.Contains(head(p, 1024), []byte("<svg")) {
		return "image/svg+xml"
	}
	return is
}

// signatures are fixed bytes at a fixed place that net/http does not look for,
// or names otherwise than IANA does.
var signatures = []struct {
	at    int
	magic string
	is    string
}{
	{0, "\x1f\x8b\x08", "application/gzip"},
	{0, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"},
	{0, "\xfd7zXZ\x00", "application/x-xz"},
	{0, "\x28\xb5\x2f\xfd", "application/zstd"},
	{0, "BZh", "application/x-bzip2"},
	{257, "ustar", "application/x-tar"},
	{0, "fLaC", "audio/flac"},
	{0, "\xff\xfb", "audio/mpeg"}, // MPEG-1 layer III without ID3
	{0, "\xff\xf3", "audio/mpeg"}, // MPEG-2
	{0, "\xff\xf1", "audio/aac"},  // ADTS
	{0, "\xff\xf9", "audio/aac"},
	{0, "\xff\x0a", "image/jxl"},
	{0, "\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"},
	{0, "II*\x00", "image/tiff"},
	{0, "MM\x00*", "image/tiff"},
	{0, "FLV\x01", "video/x-flv"},
	{0, "SQLite format 3\x00", "application/vnd.sqlite3"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"},
	{0, "{\\rtf", "application/rtf"},
}

// brands are what the ftyp box of an ISO base media file names (ISO/IEC
// 14496-12 §4.3).
var brands = map[string]string{
	"avif": "image/avif", "avis": "image/avif",
	"heic": "image/heic", "heix": "image/heic", "heim": "image/heic", "heis": "image/heic",
	"hevc": "image/heic", "hevx": "image/heic",
	"mif1": "image/heif", "msf1": "image/heif",
	"qt  ": "video/quicktime",
	"M4A ": "audio/mp4", "M4B ": "audio/mp4",
	"3gp4": "video/3gpp", "3gp5": "video/3gpp", "3gp6": "video/3gpp",
	"isom": "video/mp4", "iso2": "video/mp4", "iso4": "video/mp4", "iso5": "video/mp4", "iso6": "video/mp4",
	"mp41": "video/mp4", "mp42": "video/mp4", "avc1": "video/mp4", "M4V ": "video/mp4", "dash": "video/mp4", "MSNV": "video/mp4",
}

// sniffISO looks at the major brand, then at the compatible ones: an AVIF may
// call itself mif1 in the first place.
func sniffISO(p []byte) string {
	is, known := brands[string(p[8:12])]
	if known && is != "image/heif" {
		return is
	}
	end := min(int64(len(p)), int64(binary.BigEndian.Uint32(p)), 256)
	for i := int64(16); i+4 <= end; i += 4 {
		if other, ok := brands[string(p[i:i+4])]; ok && other != "image/heif" {
			return other
		}
	}
	if known {
		return is
	}
	return unknownType
}

// sniffZip looks at the first entry: OpenDocument and EPUB begin with one
// named mimetype that says it all (OpenDocument 1.3 part 2, §3.3); the office
// formats of ECMA-376 begin with their table of contents.
func sniffZip(p []byte) string {
	const is = "application/zip"
	if len(p) < 30 {
		return is
	}
	nameLen, extraLen := int(binary.LittleEndian.Uint16(p[26:])), int(binary.LittleEndian.Uint16(p[28:]))
	if len(p) < 30+nameLen {
		return is
	}
	name, rest := string(p[30:30+nameLen]), p[30+nameLen:]
	switch {
	case name == "mimetype" && len(rest) > extraLen:
		content := string(head(rest[extraLen:], 128))
		for _, known := range []string{
			"application/epub+zip",
			"application/vnd.oasis.opendocument.text",
			"application/vnd.oasis.opendocument.spreadsheet",
			"application/vnd.oasis.opendocument.presentation",
			"application/vnd.oasis.opendocument.graphics",
		} {
			if strings.HasPrefix(content, known) {
				return known
			}
		}
	case name == "[Content_Types].xml" || name == "_rels/.rels" || strings.HasPrefix(name, "docProps/"):
		const office = "application/vnd.openxmlformats-officedocument."
		for _, part := range []struct{ name, is string }{
			{"word/", office + "wordprocessingml.document"},
			{"xl/wor", office + "spreadsheetml.sheet"},
			{"ppt/", office + "presentationml.presentation"},
		} {
			if bytes.Contains(p, []byte(part.name)) {
				return part.is
			}
		}
	case name == "META-INF/MANIFEST.MF" || name == "META-INF/":
		return "application/java-archive"
	}
	return is
}

// sniffOgg tells sound from pictures by the first stream (RFC 5334 §10.1).
func sniffOgg(p []byte) string {
	first := head(p, 64)
	switch {
	case bytes.Contains(first, []byte("OpusHead")), bytes.Contains(first, []byte("vorbis")), bytes.Contains(first, []byte("FLAC")):
		return "audio/ogg"
	case bytes.Contains(first, []byte("theora")):
		return "video/ogg"
	}
	return "application/ogg"
}

func head(p []byte, n int) []byte { return p[:min(n, len(p))] }
