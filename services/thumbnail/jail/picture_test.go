package jail_test

import (
	"image"
	"image/color"
	"image/draw"
	"os"
	"strconv"
	"testing"

	"github.com/disintegration/imaging"

	"discordcloud/services/thumbnail/decode"
	"discordcloud/services/thumbnail/jail"
)

func itoa(n int) string { return strconv.Itoa(n) }

// alike wants a thumbnail to show what it should.
func alike(t *testing.T, got, want image.Image) {
	t.Helper()
	g, w := got.Bounds(), want.Bounds()
	if ratio := float64(g.Dx()) * float64(w.Dy()) / float64(g.Dy()) / float64(w.Dx()); ratio < 0.98 || ratio > 1.02 {
		t.Errorf("%v has not the shape of %v", g, w)
		return
	}
	if s := similarity(got, want); s < 0.9 {
		t.Errorf("structural similarity %.3f", s)
	}
	if d := colours(got, want); d > 12 {
		t.Errorf("the colour is off by %.0f", d)
	}
}

// A thumbnail of each kind of file. SHEET names a file that gets them all, for
// people to look at.
func TestRun_kinds(t *testing.T) {
	type shown struct {
		name string
		img  image.Image
	}
	var sheet []shown
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			j := child(t, "decode")
			if s.name == "svg-by-vips" {
				j.Tools.SVG = ""
			}
			r, err := show(t, j, s.file(t), s.kind)
			all := images(t, r, err)
			sheet = append(sheet, shown{s.name, all[256]})
			if s.want != nil {
				alike(t, all[256], s.want)
				alike(t, all[1024], s.want)
			} else if flat(all[256]) {
				t.Error("the image is of one colour")
			}
			got, want := r.Facts, s.facts
			if want.Width != 0 && (got.Width != want.Width || got.Height != want.Height) {
				t.Errorf("%d by %d pixels, want %d by %d", got.Width, got.Height, want.Width, want.Height)
			}
			if want.Duration != 0 && (got.Duration < want.Duration-200 || got.Duration > want.Duration+200) {
				t.Errorf("%d ms, want %d", got.Duration, want.Duration)
			}
			if want.Codec != "" && got.Codec != want.Codec || got.Title != want.Title || got.Artist != want.Artist {
				t.Errorf("facts %+v, want %+v", got, want)
			}
		})
	}
	if path := os.Getenv("SHEET"); path != "" {
		const cell, columns = 272, 6
		out := imaging.New(columns*cell, (len(sheet)+columns-1)/columns*cell, color.Gray{0x60})
		for i, s := range sheet {
			out = imaging.Paste(out, s.img, image.Pt(i%columns*cell+8, i/columns*cell+8))
		}
		if err := imaging.Save(out, path); err != nil {
			t.Error(err)
		}
	}
}

func flat(img image.Image) bool {
	g := imaging.Grayscale(img)
	low, high := uint8(255), uint8(0)
	for i := 0; i < len(g.Pix); i += 4 {
		low, high = min(low, g.Pix[i]), max(high, g.Pix[i])
	}
	return high-low < 40
}

// All eight ways to hold a camera give the same picture, with and without the
// system's library.
func TestRun_orientation(t *testing.T) {
	want := scene(1600, 1200)
	for o, turned := range []image.Image{
		nil, want, imaging.FlipH(want), imaging.Rotate180(want), imaging.FlipV(want),
		imaging.Transpose(want), imaging.Rotate90(want), imaging.Transverse(want), imaging.Rotate270(want),
	} {
		if turned == nil {
			continue
		}
		t.Run(itoa(o), func(t *testing.T) {
			for _, tools := range []decode.Tools{{}, jail.FindTools()} {
				j := child(t, "decode")
				j.Tools = tools
				file := turned
				if tools.Vips != "" {
					b := turned.Bounds()
					file = imaging.Resize(turned, b.Dx()*2, b.Dy()*2, imaging.Box) // so that it is used
				}
				r, err := show(t, j, withEXIF(asJPEG(t, file), uint16(o)), "image/jpeg")
				alike(t, images(t, r, err)[256], want)
				f := r.Facts
				if f.Camera != "Testcam" || f.TakenAt != "2026-05-01T12:30:00" || f.Width*3 != f.Height*4 {
					t.Errorf("facts %+v", f)
				}
			}
		})
	}
}

// A paletted picture that makes a known resizer panic in a goroutine of its own
// (CVE-2023-36308) is made with a palette too short for its pixels; decoders
// refuse it. One that is long enough is shown.
func TestRun_palette(t *testing.T) {
	p := image.NewPaletted(image.Rect(0, 0, 600, 600), color.Palette{color.White, color.Black, color.NRGBA{200, 0, 0, 255}})
	draw.Draw(p, image.Rect(0, 0, 300, 300), image.Black, image.Point{}, draw.Src)
	r, err := show(t, child(t, "decode"), asPNG(t, p), "image/png")
	alike(t, images(t, r, err)[256], p)
}
