package decode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// The formats that Job.Encode may be.
const (
	WebP = "webp"
	AVIF = "avif"
)

// maxConverted is the largest picture that is encoded, in bytes: some megapixels
// without compression.
const maxConverted = 16 << 20

// convert encodes a picture of ours in another format, worse if it would be too
// long.
func (d *decoder) convert(ctx context.Context) ([]Image, error) {
	if err := d.cell.Silence(); err != nil {
		return nil, err
	}
	if d.Tools.Vips == "" {
		return nil, refusal("vipsthumbnail is not installed: it encodes WebP and AVIF")
	}
	var suffix string
	switch d.Encode {
	case WebP:
		suffix = ".webp[Q=%d,strip]"
	case AVIF:
		suffix = ".heif[compression=av1,effort=3,Q=%d,strip]"
	default:
		return nil, refusal("there is no such format")
	}
	r, err := d.src.whole(maxConverted)
	if err != nil {
		return nil, err
	}
	picture, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	size := itoa(d.most())
	for quality := d.Quality; quality > 0; quality = quality*2/3 - 1 {
		b, err := run(ctx, bytes.NewReader(picture), maxOutput, d.Tools.Vips, "stdin", "--size", size+"x"+size+">",
			"--output", fmt.Sprintf(suffix, quality))
		if err != nil {
			return nil, err
		}
		if len(b) <= d.Limit {
			return []Image{{Size: d.most(), Data: b}}, nil
		}
	}
	return nil, errors.New("no quality makes the image short enough")
}
