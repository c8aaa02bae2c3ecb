package decode

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// maxPDF is the largest document that is read whole, in bytes.
const maxPDF = 48 << 20

// pdf has the first page of a document drawn.
func (d *decoder) pdf(ctx context.Context) (image.Image, error) {
	if d.Tools.PDF == "" {
		return nil, refusal("pdftoppm is not installed: it draws PDF")
	}
	r, err := d.src.whole(maxPDF)
	if err != nil {
		return nil, err
	}
	b, err := run(ctx, r, maxOutput, d.Tools.PDF, "-f", "1", "-l", "1", "-singlefile", "-scale-to", itoa(d.most()), "-png", "-")
	if err != nil {
		return nil, err
	}
	config, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if err := checkPixels(int64(config.Width), int64(config.Height)); err != nil {
		return nil, err
	}
	return png.Decode(bytes.NewReader(b))
}

// The page that shows the beginning of a text, in pixels at the largest size of
// 1024: what is left of the lines is still a shape at 256.
const (
	pageWidth  = 768
	pageHeight = 1024
	pageMargin = 48
	fontSize   = 20
	lineHeight = 26
	pageLines  = (pageHeight - 2*pageMargin) / lineHeight
	lineLength = (pageWidth - 2*pageMargin) / 12
)

// text draws the first lines of a text as a page.
func (d *decoder) text(head []byte) (image.Image, error) {
	parsed, err := opentype.Parse(gomono.TTF)
	if err != nil {
		return nil, err
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: fontSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	defer face.Close()
	page := image.NewNRGBA(image.Rect(0, 0, pageWidth, pageHeight))
	draw.Draw(page, page.Bounds(), image.White, image.Point{}, draw.Src)
	pen := font.Drawer{Dst: page, Src: image.NewUniform(color.NRGBA{0x22, 0x26, 0x30, 0xff}), Face: face}
	for i, line := range lines(string(head)) {
		pen.Dot = fixed.P(pageMargin, pageMargin+lineHeight*i+fontSize)
		pen.DrawString(line)
	}
	return page, nil
}

// lines breaks a text as it fits the page.
func lines(text string) []string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", "    ", "\ufeff", "", "\f", "", "\x1b", "").Replace(strings.ToValidUTF8(text, ""))
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		r := []rune(strings.TrimRight(line, " "))
		for first := true; first || len(r) > 0; first = false {
			n := min(len(r), lineLength)
			all = append(all, string(r[:n]))
			if r = r[n:]; len(all) == pageLines {
				return all
			}
		}
	}
	return all
}
