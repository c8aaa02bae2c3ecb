package jail_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/services/thumbnail/decode"
)

// Files that are shaped as those that decoders had holes for, made here.

// laughs is a drawing whose text is ten to the ninth letters, by entities.
func laughs() []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY l0 "ha">`)
	for i := range 9 {
		fmt.Fprintf(&b, `<!ENTITY l%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&l%d;", i), 10))
	}
	b.WriteString(`]><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&l9;</text></svg>`)
	return []byte(b.String())
}

// blurs is a drawing of filters upon filters.
var blurs = `<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="1000"><filter id="f" x="-10" y="-10" width="20" height="20">` +
	strings.Repeat(`<feGaussianBlur stdDeviation="500"/><feTurbulence baseFrequency="5" numOctaves="1000"/>`, 200) +
	`</filter><rect width="1000" height="1000" filter="url(#f)"/></svg>`

// riff is a WebP of one chunk.
func riff(name string, chunk []byte) []byte {
	b := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(12+len(chunk)))...)
	b = append(append(b, "WEBP"+name...), binary.LittleEndian.AppendUint32(nil, uint32(len(chunk)))...)
	return append(b, chunk...)
}

// lossless is a VP8L picture of 256 by 256 pixels whose prefix codes are more
// and longer than their tables (as in CVE-2023-4863).
func lossless(n int) []byte {
	chunk := []byte{0x2f, 0xff, 0xc0, 0x3f, 0x00}
	for i := range n {
		chunk = append(chunk, byte(0xff-i%7), byte(i*31))
	}
	return riff("VP8L", chunk)
}

// extended is a VP8X header that tells of a canvas, with nothing in it.
func extended(width, height int) []byte {
	return riff("VP8X", []byte{0x12, 0, 0, 0, byte(width - 1), byte((width - 1) >> 8), byte((width - 1) >> 16), byte(height - 1), byte((height - 1) >> 8), byte((height - 1) >> 16)})
}

// tiffOf is a header that tells of tiles of one pixel, far more than there are
// bytes, each of which begins where the file ends.
func tiffOf(samples, width, height, tiles uint32) []byte {
	e := binary.LittleEndian
	tags := [][4]uint32{
		{256, 4, 1, width}, {257, 4, 1, height}, {258, 3, 1, 8}, {259, 3, 1, 1}, {262, 3, 1, 1}, {277, 3, 1, samples},
		{322, 4, 1, 1}, {323, 4, 1, 1}, {324, 4, tiles, 0xffffff00}, {325, 4, tiles, 0xffffff00},
	}
	b := e.AppendUint16([]byte("II*\x00\x08\x00\x00\x00"), uint16(len(tags)))
	for _, t := range tags {
		b = e.AppendUint32(e.AppendUint32(e.AppendUint16(e.AppendUint16(b, uint16(t[0])), uint16(t[1])), t[2]), t[3])
	}
	return append(b, 0, 0, 0, 0)
}

// manyFrames is an animation of so many frames of one pixel.
func manyFrames(n int) []byte {
	b := []byte("GIF89a\x40\x00\x40\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00")
	frame := []byte("\x21\xf9\x04\x04\x01\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00")
	return append(append(b, bytes.Repeat(frame, n)...), 0x3b)
}

// A drawing shows nothing that it does not hold itself, calls nobody and runs
// nothing: a file beside it, an address and an entity stay out.
func TestRun_drawing(t *testing.T) {
	need(t, "rsvg-convert")
	var called atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Store(true) }))
	defer server.Close()
	black := image.NewGray(image.Rect(0, 0, 10, 10))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "black.png"), asPNG(t, black), 0o644); err != nil {
		t.Fatal(err)
	}
	drawing := func(inner string) []byte {
		return []byte(`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y SYSTEM "` + server.URL + `/y">]>
			<?xml-stylesheet href="` + server.URL + `/a.css"?>
			<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" viewBox="0 0 100 100">
			<style>@import url("` + server.URL + `/b.css"); rect { fill: #20c040 }</style>
			<script>document.querySelector("rect").remove()</script><script x:href="` + server.URL + `/c.js"/>
			<rect width="100" height="50"/>` + inner + `</svg>`)
	}
	files := map[string][]byte{
		"a file":     drawing(`<image y="50" width="100" height="50" preserveAspectRatio="none" x:href="file://` + dir + `/black.png"/>`),
		"a place":    drawing(`<image y="50" width="100" height="50" preserveAspectRatio="none" x:href="black.png"/>`),
		"an address": drawing(`<image y="50" width="100" height="50" x:href="` + server.URL + `/d.png"/><use x:href="` + server.URL + `/e.svg#a"/>`),
		"HTML":       drawing(`<foreignObject y="50" width="100" height="50"><body xmlns="http://www.w3.org/1999/xhtml" style="background:#000">x</body></foreignObject>`),
		"nothing":    drawing(``),
	}
	for _, tools := range []decode.Tools{{SVG: need(t, "rsvg-convert")}, {Vips: need(t, "vipsthumbnail")}} {
		for name, file := range files {
			j := child(t, "decode")
			j.Tools = tools
			r, err := show(t, j, file, "image/svg+xml")
			img := images(t, r, err)[256]
			at := func(y int) color.NRGBA {
				return color.NRGBAModel.Convert(img.At(img.Bounds().Dx()/2, img.Bounds().Dy()*y/100)).(color.NRGBA)
			}
			if top := at(25); top.G < 170 || top.R > 60 {
				t.Errorf("%s with %+v: what it draws is %v", name, tools, top)
			}
			if bottom := at(75); bottom.R < 240 || bottom.G < 240 || bottom.B < 240 {
				t.Errorf("%s with %+v: what it does not hold is %v", name, tools, bottom)
			}
		}
	}
	if called.Load() {
		t.Error("a drawing has called an address")
	}
	r, err := show(t, child(t, "decode"), drawing(`<text y="90">&x;&y;</text>`), "image/svg+xml")
	if why := reason(r, err); why == "" && flat(images(t, r, err)[256]) || strings.HasPrefix(why, "error") {
		t.Errorf("entities: %s", why)
	}
}

// tool is a program of the system that is not what it says.
func tool(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a program of the system does with a file costs that thumbnail: whether it
// hangs, or writes without end, or something else than a picture.
func TestRun_tools(t *testing.T) {
	var small bytes.Buffer
	if err := png.Encode(&small, scene(64, 48)); err != nil {
		t.Fatal(err)
	}
	pdf, svg, film := []byte("%PDF-1.4"), []byte("<svg/>"), append([]byte("\x00\x00\x00\x1cftypisom"), make([]byte, 1000)...)
	for _, c := range []struct {
		name, script string
		file         []byte
		want         string
	}{
		{"hangs on a video", "sleep 1000", film, "too long"},
		{"hangs with children", "sleep 1000 & sleep 1000", pdf, "too long"},
		{"spins", "while :; do :; done", pdf, "too long"},
		{"floods", "exec cat /dev/zero", svg, "cannot be decoded"},
		{"writes HTML", "echo '<html><script>alert(1)</script></html>'", svg, "cannot be decoded"},
		{"writes nothing", "exit 0", pdf, "cannot be decoded"},
		{"fails", "exit 3", film, "cannot be decoded"},
		{"crashes", "kill -SEGV $$", pdf, "cannot be decoded"},
		{"fills the disk", "cat /dev/zero > /tmp/discord-cloud-filled || exit 1", pdf, "cannot be decoded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := child(t, "decode")
			path := tool(t, c.script)
			j.Tools = decode.Tools{FFmpeg: path, FFprobe: path, PDF: path, SVG: path}
			if c.want == "too long" {
				j.Time = time.Second
			}
			r, err := show(t, j, c.file, "")
			if why := reason(r, err); !strings.Contains(why, c.want) || r.Images != nil {
				t.Errorf("%q, want %q", why, c.want)
			}
		})
	}
	if _, err := os.Stat("/tmp/discord-cloud-filled"); err == nil {
		t.Error("a child has written a file")
	}
}
