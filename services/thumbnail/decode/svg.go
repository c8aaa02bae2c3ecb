package decode

import (
	"bytes"
	"context"
	"image"
	"image/png"
)

// maxSVG is the largest drawing that is read, in bytes.
const maxSVG = 16 << 20

// svg has a drawing rasterised, at the largest size whatever size it says that
// it has.
func (d *decoder) svg(ctx context.Context) (image.Image, error) {
	if d.Tools.SVG == "" && d.Tools.Vips == "" {
		return nil, refusal("neither rsvg-convert nor vipsthumbnail is installed: they draw SVG")
	}
	r, err := d.src.whole(maxSVG)
	if err != nil {
		return nil, err
	}
	size := itoa(d.most())
	program, args := d.Tools.SVG, []string{"--format", "png", "--width", size, "--height", size, "--keep-aspect-ratio"}
	if program == "" {
		program, args = d.Tools.Vips, []string{"stdin", "--size", size + "x" + size, "--output", ".png[strip]"}
	}
	b, err := run(ctx, r, maxOutput, program, args...)
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
