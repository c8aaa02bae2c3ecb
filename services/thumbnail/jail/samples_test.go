package jail_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/disintegration/imaging"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"discordcloud/services/thumbnail/decode"
)

// scene is a picture whose every part tells which way up it is: no turn and no
// reflection leaves it alike.
func scene(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			fx, fy := float64(x)/float64(w), float64(y)/float64(h)
			c := color.NRGBA{uint8(60 + 150*fx), uint8(60 + 150*fy), uint8(110 + 40*math.Sin(9*(fx+fy))), 255}
			switch {
			case fx < 0.3 && fy < 0.3:
				c = color.NRGBA{230, 40, 30, 255}
			case fx > 0.6 && fy < 0.2:
				c = color.NRGBA{250, 240, 70, 255}
			case math.Hypot(fx-0.65, fy-0.65) < 0.2:
				c = color.NRGBA{20, 30, 120, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

// similarity is the structural similarity (Wang et al., 2004) of the brightness
// of two pictures, over windows of 8 by 8 at 128 pixels of width: 1 is the same.
func similarity(a, b image.Image) float64 {
	size := a.Bounds()
	h := max(8, 128*size.Dy()/size.Dx())
	ga, gb := imaging.Grayscale(imaging.Resize(a, 128, h, imaging.Box)), imaging.Grayscale(imaging.Resize(b, 128, h, imaging.Box))
	const c1, c2 = 6.5025, 58.5225
	sum, n := 0.0, 0.0
	for y := 0; y+8 <= h; y += 4 {
		for x := 0; x+8 <= 128; x += 4 {
			var sa, sb, saa, sbb, sab float64
			for j := range 8 {
				for i := range 8 {
					va, vb := float64(ga.NRGBAAt(x+i, y+j).R), float64(gb.NRGBAAt(x+i, y+j).R)
					sa, sb, saa, sbb, sab = sa+va, sb+vb, saa+va*va, sbb+vb*vb, sab+va*vb
				}
			}
			ma, mb := sa/64, sb/64
			va, vb, cov := saa/64-ma*ma, sbb/64-mb*mb, sab/64-ma*mb
			sum += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
			n++
		}
	}
	return sum / n
}

// colours tells how far the colours of two pictures are apart at the most, in
// steps of 255, over areas of a sixth of their sides: similarity looks at
// brightness only.
func colours(a, b image.Image) float64 {
	const n = 6
	ta, tb := imaging.Resize(a, n, n, imaging.Box), imaging.Resize(b, n, n, imaging.Box)
	most := 0.0
	for i := range ta.Pix {
		most = max(most, math.Abs(float64(ta.Pix[i])-float64(tb.Pix[i])))
	}
	return most
}

func encoded(t *testing.T, encode func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t *testing.T, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, img, &jpeg.Options{Quality: 92}) })
}

func asPNG(t *testing.T, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, img) })
}

// withTool runs a program of the system on files in a fresh folder and gives the
// last one.
func withTool(t *testing.T, files map[string][]byte, out string, program string, args ...string) []byte {
	t.Helper()
	path := need(t, program)
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, text)
	}
	b, err := os.ReadFile(filepath.Join(dir, out))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// need finds a program that a test is about. Where nothing may be left out, it
// must be there.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is needed", program)
		}
		t.Skipf("%s is not installed", program)
	}
	return path
}

// sample is a file with the picture that its thumbnail has to be like.
type sample struct {
	name, kind string
	file       func(t *testing.T) []byte
	want       image.Image // nil if only people can tell
	facts      decode.Facts
}

func samples() []sample {
	big := scene(1600, 1200)
	small := scene(200, 150)
	vips := func(ext string) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			need(t, "vipsthumbnail")
			return withTool(t, map[string][]byte{"in.png": asPNG(t, big)}, "out"+ext, "vipsthumbnail", "in.png", "--size", "1600x1200", "-o", "out"+ext)
		}
	}
	film := func(ext string, args ...string) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			black := image.NewNRGBA(image.Rect(0, 0, 640, 480))
			draw.Draw(black, black.Bounds(), image.Black, image.Point{}, draw.Src)
			return withTool(t, map[string][]byte{"a.png": asPNG(t, black), "b.png": asPNG(t, scene(640, 480))}, "out"+ext, "ffmpeg",
				append(append([]string{"-v", "error", "-loop", "1", "-t", "3", "-r", "10", "-i", "a.png", "-loop", "1", "-t", "5", "-r", "10", "-i", "b.png",
					"-filter_complex", "[0][1]concat=n=2:v=1:a=0,format=yuv420p", "-metadata", "title=A film"}, args...), "out"+ext)...)
		}
	}
	tone := func(ext string, args ...string) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			return withTool(t, map[string][]byte{"c.jpg": asJPEG(t, scene(400, 400))}, "out"+ext, "ffmpeg",
				append(append([]string{"-v", "error", "-f", "lavfi", "-i", "aevalsrc='sin(440*2*PI*t)*abs(sin(t))':d=6"}, args...), "out"+ext)...)
		}
	}
	photo := decode.Facts{Width: 1600, Height: 1200}
	return []sample{
		{"jpeg", "image/jpeg", func(t *testing.T) []byte { return asJPEG(t, big) }, big, photo},
		{"jpeg-large", "image/jpeg", func(t *testing.T) []byte { return asJPEG(t, scene(2600, 1950)) }, big, decode.Facts{Width: 2600, Height: 1950}},
		{"jpeg-grey", "image/jpeg", func(t *testing.T) []byte {
			grey := image.NewGray(big.Bounds())
			draw.Draw(grey, grey.Bounds(), big, image.Point{}, draw.Src)
			return asJPEG(t, grey)
		}, imaging.Grayscale(big), photo},
		{"png", "image/png", func(t *testing.T) []byte { return asPNG(t, big) }, big, photo},
		{"png-small", "image/png", func(t *testing.T) []byte { return asPNG(t, small) }, small, decode.Facts{Width: 200, Height: 150}},
		{"png-16bit", "image/png", func(t *testing.T) []byte {
			deep := image.NewNRGBA64(big.Bounds())
			draw.Draw(deep, deep.Bounds(), big, image.Point{}, draw.Src)
			return asPNG(t, deep)
		}, big, photo},
		{"png-transparent", "image/png", func(t *testing.T) []byte {
			clear := imaging.New(1600, 1200, color.Transparent)
			return asPNG(t, imaging.Paste(clear, imaging.Crop(big, image.Rect(0, 0, 800, 600)), image.Point{}))
		}, imaging.Paste(imaging.New(1600, 1200, color.White), imaging.Crop(big, image.Rect(0, 0, 800, 600)), image.Point{}), photo},
		{"gif", "image/gif", func(t *testing.T) []byte {
			return encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, big, nil) })
		}, big, photo},
		{"bmp", "image/bmp", func(t *testing.T) []byte {
			return encoded(t, func(b *bytes.Buffer) error { return bmp.Encode(b, big) })
		}, big, photo},
		{"tiff", "image/tiff", func(t *testing.T) []byte {
			return encoded(t, func(b *bytes.Buffer) error {
				return tiff.Encode(b, big, &tiff.Options{Compression: tiff.Deflate, Predictor: true})
			})
		}, big, photo},
		{"webp", "image/webp", vips(".webp"), big, photo},
		{"heic", "image/heic", vips(".heic"), big, photo},
		{"avif", "image/avif", vips(".avif"), big, photo},
		{"mp4", "video/mp4", film(".mp4", "-c:v", "libx264"), scene(640, 480), decode.Facts{Width: 640, Height: 480, Duration: 8000, Codec: "h264", Title: "A film"}},
		{"mp4-moov-first", "video/mp4", film(".mp4", "-c:v", "libx264", "-movflags", "+faststart"), scene(640, 480), decode.Facts{Width: 640, Height: 480, Duration: 8000, Codec: "h264", Title: "A film"}},
		{"webm", "video/webm", film(".webm", "-c:v", "libvpx", "-b:v", "1M"), scene(640, 480), decode.Facts{Width: 640, Height: 480, Duration: 8000, Codec: "vp8", Title: "A film"}},
		{"mp3-cover", "audio/mpeg", tone(".mp3", "-i", "c.jpg", "-map", "0", "-map", "1", "-c:v", "copy", "-id3v2_version", "3", "-disposition:v", "attached_pic",
			"-metadata", "title=A tone", "-metadata", "artist=Somebody"), scene(400, 400), decode.Facts{Title: "A tone", Artist: "Somebody"}},
		{"flac", "audio/flac", tone(".flac"), nil, decode.Facts{Duration: 6000}},
		{"wav", "audio/wav", tone(".wav"), nil, decode.Facts{Duration: 6000}},
		{"m4a", "audio/mp4", tone(".m4a"), nil, decode.Facts{}},
		{"svg", "image/svg+xml", func(t *testing.T) []byte { need(t, "rsvg-convert"); return []byte(someSVG) }, drawn(), decode.Facts{}},
		{"svg-by-vips", "image/svg+xml", func(t *testing.T) []byte { need(t, "vipsthumbnail"); return []byte(someSVG) }, drawn(), decode.Facts{}},
		{"pdf", "application/pdf", func(t *testing.T) []byte { need(t, "pdftoppm"); return somePDF() }, nil, decode.Facts{}},
		{"text", "text/plain", func(*testing.T) []byte {
			return []byte("package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfmt.Println(\"Grüße, κόσμε, мир\") // " + strings.Repeat("long ", 40) + "\n}\n")
		}, nil, decode.Facts{}},
	}
}

// someSVG is small by what it says, and drawn as large as it is wanted.
const someSVG = `<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 120" width="16" height="12">
<rect width="160" height="120" fill="#3060c0"/><rect x="10" y="10" width="60" height="40" fill="#e0b020"/><rect x="90" y="70" width="60" height="40" fill="#c02020"/></svg>`

// drawn is what someSVG says.
func drawn() image.Image {
	img := imaging.New(1600, 1200, color.NRGBA{0x30, 0x60, 0xc0, 255})
	draw.Draw(img, image.Rect(100, 100, 700, 500), image.NewUniform(color.NRGBA{0xe0, 0xb0, 0x20, 255}), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(900, 700, 1500, 1100), image.NewUniform(color.NRGBA{0xc0, 0x20, 0x20, 255}), image.Point{}, draw.Src)
	return img
}

// somePDF is a page with a red square in it.
func somePDF() []byte {
	var b bytes.Buffer
	var at []int
	object := func(text string) {
		at = append(at, b.Len())
		b.WriteString(itoa(len(at)) + " 0 obj\n" + text + "\nendobj\n")
	}
	b.WriteString("%PDF-1.4\n")
	object("<< /Type /Catalog /Pages 2 0 R >>")
	object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
	object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 400] /Contents 4 0 R >>")
	draw := "0.8 0.1 0.1 rg 50 150 200 200 re f"
	object("<< /Length " + itoa(len(draw)) + " >>\nstream\n" + draw + "\nendstream")
	start := b.Len()
	b.WriteString("xref\n0 5\n0000000000 65535 f \n")
	for _, off := range at {
		b.WriteString(strings.Repeat("0", 10-len(itoa(off))) + itoa(off) + " 00000 n \n")
	}
	b.WriteString("trailer << /Size 5 /Root 1 0 R >>\nstartxref\n" + itoa(start) + "\n%%EOF\n")
	return b.Bytes()
}

// withEXIF puts tags into a JPEG: an orientation, a camera and a date.
func withEXIF(file []byte, orientation uint16) []byte {
	e := binary.LittleEndian
	tiff := []byte("II*\x00\x08\x00\x00\x00")
	tag := func(id, kind uint16, count, value uint32) {
		tiff = e.AppendUint32(e.AppendUint32(e.AppendUint16(e.AppendUint16(tiff, id), kind), count), value)
	}
	tiff = e.AppendUint16(tiff, 3)
	tag(0x0110, 2, 8, 68) // model
	tag(0x0112, 3, 1, uint32(orientation))
	tag(0x8769, 4, 1, 50)
	tiff = e.AppendUint32(tiff, 0)
	tiff = e.AppendUint16(tiff, 1) // at 50
	tag(0x9003, 2, 20, 76)
	tiff = e.AppendUint32(tiff, 0)
	tiff = append(tiff, "Testcam\x00"+"2026:05:01 12:30:00\x00"...) // at 68
	segment := append([]byte("Exif\x00\x00"), tiff...)
	head := []byte{0xff, 0xd8, 0xff, 0xe1, byte((len(segment) + 2) >> 8), byte(len(segment) + 2)}
	return append(append(head, segment...), file[2:]...)
}
