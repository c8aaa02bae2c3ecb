//go:build linux

package jail_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pngOf is a PNG of that size whose pixels are zeros, compressed as they come.
func pngOf(t *testing.T, w, h uint32, bits, colour byte, rows int, rowBytes int64) []byte {
	t.Helper()
	var b bytes.Buffer
	chunk := func(name string, data []byte) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(data)))
		b.Write(n[:])
		sum := crc32.ChecksumIEEE(append([]byte(name), data...))
		b.WriteString(name)
		b.Write(data)
		binary.BigEndian.PutUint32(n[:], sum)
		b.Write(n[:])
	}
	b.WriteString("\x89PNG\r\n\x1a\n")
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	chunk("IHDR", append(head, bits, colour, 0, 0, 0))
	var z bytes.Buffer
	packer, err := zlib.NewWriterLevel(&z, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(packer, zeros{}, int64(rows)*(1+rowBytes)); err != nil {
		t.Fatal(err)
	}
	if err := packer.Close(); err != nil {
		t.Fatal(err)
	}
	chunk("IDAT", z.Bytes())
	chunk("IEND", nil)
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// exifLoop is a JPEG whose directories name themselves.
func exifLoop(t *testing.T) []byte {
	file := withEXIF(asJPEG(t, scene(300, 200)), 1)
	at := bytes.Index(file, []byte("II*\x00"))
	binary.LittleEndian.PutUint32(file[at+8+2+2*12+8:], 8) // the second directory is the first
	binary.LittleEndian.PutUint32(file[at+8+2+3*12:], 8)   // and so is the next
	return file
}

func TestRun_bad(t *testing.T) {
	whole := asJPEG(t, scene(1600, 1200))
	frames := func(n int) []byte {
		one := image.NewPaletted(image.Rect(0, 0, 64, 64), color.Palette{color.White, color.Black})
		g := &gif.GIF{}
		for range n {
			g.Image, g.Delay = append(g.Image, one), append(g.Delay, 1)
		}
		return encoded(t, func(b *bytes.Buffer) error { return gif.EncodeAll(b, g) })
	}
	noise := func(head string, n int) []byte {
		r := rand.New(rand.NewPCG(1, 2))
		b := []byte(head)
		for range n {
			b = append(b, byte(r.Uint32()))
		}
		return b
	}
	svg := `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">
		<script>alert(1)</script><image xlink:href="file:///etc/passwd" width="9" height="9"/></svg>`
	tiffLie := append([]byte("II*\x00\x08\x00\x00\x00"), 0xff, 0xff)
	for name, c := range map[string]struct {
		kind  string
		file  []byte
		want  string // "" if there may be a thumbnail
		quick bool
	}{
		"a bomb of 20,000 by 20,000":    {"image/png", pngOf(t, 20000, 20000, 1, 0, 20000, 2500), "megapixels", true},
		"a bomb just below the limit":   {"image/png", pngOf(t, 7000, 7000, 16, 6, 100, 56000), "too large", true},
		"more pixels than an int holds": {"image/png", pngOf(t, 0x7fffffff, 0x7fffffff, 8, 2, 1, 10), "", true},
		"no pixels":                     {"image/png", pngOf(t, 0, 5, 8, 2, 1, 0), "", true},
		"a JPEG cut off":                {"image/jpeg", whole[:len(whole)/2], "cannot be decoded", false},
		"a JPEG's beginning":            {"image/jpeg", whole[:3], "cannot be decoded", false},
		"a PNG cut off":                 {"image/png", asPNG(t, scene(300, 200))[:2000], "cannot be decoded", false},
		"an empty file":                 {"image/png", nil, "empty", true},
		"noise that says PNG":           {"image/png", noise("\x89PNG\r\n\x1a\n", 5000), "cannot be decoded", false},
		"noise that says GIF":           {"image/gif", noise("GIF89a", 5000), "", false},
		"noise that says TIFF":          {"image/tiff", noise("II*\x00\x08\x00\x00\x00", 5000), "cannot be decoded", false},
		"a TIFF of endless directories": {"image/tiff", tiffLie, "cannot be decoded", false},
		"noise that says WebP":          {"image/webp", noise("RIFF\xff\xff\xff\xffWEBPVP8 ", 5000), "cannot be decoded", false},
		"noise that says HEIC":          {"image/heic", noise("\x00\x00\x00\x1cftypheic", 5000), "", false},
		"noise that says MP4":           {"video/mp4", noise("\x00\x00\x00\x1cftypisom", 200000), "", false},
		"noise that says Matroska":      {"video/webm", noise("\x1a\x45\xdf\xa3", 200000), "", false},
		"noise that says MP3":           {"audio/mpeg", noise("ID3\x03\x00\x00\x7f\x7f\x7f\x7f", 200000), "", false},
		"noise that says PDF":           {"application/pdf", noise("%PDF-1.7\n", 50000), "", false},
		"noise":                         {"application/octet-stream", noise("\xfe\xfe", 5000), "no thumbnails of this kind", true},
		"SVG with a script":             {"image/svg+xml", []byte(svg), "", false},
		"SVG that says PNG":             {"image/png", []byte(`<?xml version="1.0"?>` + svg), "", false},
		"SVG of a billion laughs":       {"image/svg+xml", laughs(), "", false},
		"SVG of endless groups":         {"image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg">` + strings.Repeat("<g>", 200_000)), "", false},
		"SVG as large as the world":     {"image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="4e9" height="4e9"><rect width="4e9" height="4e9"/></svg>`), "", false},
		"SVG that blurs for ever":       {"image/svg+xml", []byte(blurs), "", false},
		"SVG that uses itself":          {"image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"><g id="a"><use x:href="#a"/><use x:href="#a"/></g></svg>`), "", false},
		"WebP with too long codes":      {"image/webp", lossless(4 << 10), "cannot be decoded", false},
		"WebP larger than it is":        {"image/webp", extended(16384, 16384), "", false},
		"TIFF that says it has it all":  {"image/tiff", tiffOf(1, 1<<31, 1<<31, 1<<30), "", false},
		"TIFF of tiles without end":     {"image/tiff", tiffOf(1, 8000, 6000, 1), "cannot be decoded", false},
		"TIFF that begins nowhere":      {"image/tiff", []byte("II*\x00\xf0\xff\xff\xff"), "cannot be decoded", false},
		"HTML that says JPEG":           {"image/jpeg", []byte("<html><script>alert(1)</script>"), "", false},
		"a playlist of files":           {"video/mp4", []byte("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"), "", false},
		"EXIF in a circle":              {"image/jpeg", exifLoop(t), "", false},
		"a GIF of 3,000 frames":         {"image/gif", frames(3000), "", false},
		"a GIF of a million frames":     {"image/gif", manyFrames(1_000_000), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			j := child(t, "decode")
			j.Time = 10 * time.Second
			r, err := show(t, j, c.file, c.kind)
			why := reason(r, err)
			if strings.HasPrefix(why, "error:") || (why == "") != (len(r.Images) > 0) || !strings.Contains(why, c.want) {
				t.Errorf("%q with %d images, want %q", why, len(r.Images), c.want)
			}
			if c.quick && strings.Contains(why, "crashed") {
				t.Errorf("%q: it was not refused before it was decoded", why)
			}
		})
	}
	// The next job is done as if nothing had been.
	r, err := show(t, child(t, "decode"), whole, "image/jpeg")
	alike(t, images(t, r, err)[256], scene(1600, 1200))
}

// What asks for more memory than it may have dies, and of all that nothing
// reaches the one who started it.
func TestRun_memory(t *testing.T) {
	file := asPNG(t, scene(2400, 1600))
	j := child(t, "decode")
	if r, err := show(t, j, file, "image/png"); reason(r, err) != "" {
		t.Errorf("15 MB of pixels do not fit into 512 MiB: %s", reason(r, err))
	}
	j.Memory = 48 << 20
	if r, err := show(t, j, file, "image/png"); reason(r, err) != "the decoder crashed on it" {
		t.Errorf("15 MB of pixels, and what Go needs, in 48 MiB: %q", reason(r, err))
	}
}

// A photo of 24 megapixels stays within the memory that a child may have.
func TestRun_photo(t *testing.T) {
	file := asJPEG(t, scene(6000, 4000))
	for _, withTools := range []bool{false, true} {
		j := child(t, "decode")
		if !withTools {
			j.Tools.Vips = ""
		}
		began := time.Now()
		r, err := show(t, j, file, "image/jpeg")
		t.Logf("tools %v: %v, peak %d MiB", withTools, time.Since(began), r.Peak>>20)
		alike(t, images(t, r, err)[256], scene(1200, 800))
		if r.Peak < 5<<20 || r.Peak > 300<<20 {
			t.Errorf("a child had %d MiB", r.Peak>>20)
		}
	}
}

// Only what is needed of a large video is read, wherever its index is.
func TestRun_ranges(t *testing.T) {
	need(t, "ffmpeg")
	for _, args := range [][]string{nil, {"-movflags", "+faststart"}} {
		file := withTool(t, nil, "out.mp4", "ffmpeg", append(append([]string{"-v", "error", "-f", "lavfi",
			"-i", "testsrc=s=640x480:d=20:r=25,noise=alls=100:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-b:v", "15M", "-pix_fmt", "yuv420p"}, args...), "out.mp4")...)
		var read atomic.Int64
		r, err := child(t, "decode").Run(t.Context(), job(int64(len(file)), "video/mp4"), readerAt(func(p []byte, off int64) (int, error) {
			read.Add(int64(len(p)))
			return bytes.NewReader(file).ReadAt(p, off)
		}))
		images(t, r, err)
		if n := read.Load(); n > 8<<20 {
			t.Errorf("%v: %d of %d bytes read", args, n, len(file))
		} else {
			t.Logf("%v: %d of %d bytes read", args, n, len(file))
		}
	}
}

// The child reaches nobody: what listens on this machine does not hear of it.
func TestRun_network(t *testing.T) {
	need(t, "ffmpeg")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var called atomic.Bool
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			called.Store(true)
			_ = c.Close()
		}
	}()
	address := "http://" + l.Addr().String() + "/x.ts"
	secret := filepath.Join(t.TempDir(), "secret.ts")
	if err := os.WriteFile(secret, make([]byte, 188), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + address + "\n#EXT-X-ENDLIST\n",
		"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://" + secret + "\n#EXT-X-ENDLIST\n",
		"ffconcat version 1.0\nfile " + address + "\n",
		"\x00\x00\x00\x1cftypisom" + "#EXTM3U\n" + address + "\n",
	} {
		j := child(t, "decode")
		_, _ = show(t, j, []byte(file), "video/mp4") // whatever it shows of it as text
	}
	if called.Load() {
		t.Error("the child has called an address out of a file")
	}
}
