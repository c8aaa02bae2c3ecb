package upload

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"testing"
)

func ftyp(major string, compatible ...string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+4*len(compatible)))
	b = append(b, "ftyp"+major+"\x00\x00\x00\x00"...)
	for _, brand := range compatible {
		b = append(b, brand...)
	}
	return string(b) + "\x00\x00\x00\x08mdat"
}

// archive is a ZIP of entries, name and content in turn.
func archive(t *testing.T, entries ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		e, err := w.CreateHeader(&zip.FileHeader{Name: entries[i], Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write([]byte(entries[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSniff(t *testing.T) {
	tar := make([]byte, 512)
	copy(tar[257:], "ustar\x0000")
	for _, tc := range []struct{ name, content, want string }{
		{"empty", "", "text/plain"},
		{"one byte", "\x00", "application/octet-stream"},
		{"text", "hello, world", "text/plain"},
		{"html", "<!DOCTYPE html><p>", "text/html"},
		{"svg", "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "image/svg+xml"},
		{"svg bare", "<svg/>", "image/svg+xml"},
		{"png", "\x89PNG\r\n\x1a\n\x00", "image/png"},
		{"jpeg", "\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"},
		{"gif", "GIF89a", "image/gif"},
		{"webp", "RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"wav", "RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wave"},
		{"pdf", "%PDF-1.7\n", "application/pdf"},
		{"avif", ftyp("avif", "mif1", "miaf"), "image/avif"},
		{"avif as mif1", ftyp("mif1", "mif1", "avif"), "image/avif"},
		{"heic", ftyp("heic", "mif1"), "image/heic"},
		{"heif", ftyp("mif1", "mif1"), "image/heif"},
		{"mp4", ftyp("isom", "iso2", "mp41"), "video/mp4"},
		{"mp4 of another kind", ftyp("zzzz", "mp42"), "video/mp4"},
		{"unknown brand", ftyp("zzzz", "yyyy"), "application/octet-stream"},
		{"quicktime", ftyp("qt  "), "video/quicktime"},
		{"m4a", ftyp("M4A ", "isom"), "audio/mp4"},
		{"ftyp cut", "\x00\x00\x00\x20ftypisom", "video/mp4"},
		{"ftyp of a lie", "\xff\xff\xff\xffftypzzzz\x00\x00\x00\x00", "application/octet-stream"},
		{"mkv", "\x1aE\xdf\xa3\x93\x42\x82\x88matroska", "video/x-matroska"},
		{"webm", "\x1aE\xdf\xa3\x93\x42\x82\x84webm", "video/webm"},
		{"opus", "OggS\x00\x02" + string(make([]byte, 22)) + "OpusHead", "audio/ogg"},
		{"theora", "OggS\x00\x02" + string(make([]byte, 22)) + "\x80theora", "video/ogg"},
		{"ogg", "OggS\x00\x02", "application/ogg"},
		{"mp3", "ID3\x03\x00", "audio/mpeg"},
		{"mp3 bare", "\xff\xfb\x90\x64", "audio/mpeg"},
		{"flac", "fLaC\x00", "audio/flac"},
		{"gzip", "\x1f\x8b\x08\x00", "application/gzip"},
		{"zstd", "\x28\xb5\x2f\xfd\x00", "application/zstd"},
		{"7z", "7z\xbc\xaf\x27\x1c\x00", "application/x-7z-compressed"},
		{"tar", string(tar), "application/x-tar"},
		{"zip", archive(t, "a.txt", "hello"), "application/zip"},
		{"zip cut", "PK\x03\x04", "application/zip"},
		{"zip with a name past the end", "PK\x03\x04" + string(make([]byte, 22)) + "\xff\xff\x00\x00", "application/zip"},
		{"epub", archive(t, "mimetype", "application/epub+zip", "x", "y"), "application/epub+zip"},
		{"odt", archive(t, "mimetype", "application/vnd.oasis.opendocument.text"), "application/vnd.oasis.opendocument.text"},
		{"mimetype of a lie", archive(t, "mimetype", "text/html"), "application/zip"},
		{"docx", archive(t, "[Content_Types].xml", "<x/>", "word/document.xml", "<y/>"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"xlsx", archive(t, "[Content_Types].xml", "<x/>", "xl/workbook.xml", "<y/>"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
		{"jar", archive(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0"), "application/java-archive"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := sniff([]byte(tc.content)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			for n := range min(len(tc.content), 64) { // no panic on any head of it
				sniff([]byte(tc.content[:n]))
			}
		})
	}
}
