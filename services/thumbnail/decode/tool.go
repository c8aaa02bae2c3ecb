package decode

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"os/exec"
	"time"

	"golang.org/x/image/bmp"
)

// run gives the output of a program of the system, which has nothing in its
// environment and may write no more than most bytes.
func run(ctx context.Context, stdin io.Reader, most int64, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"LC_ALL=C", "VIPS_CONCURRENCY=1", "VIPS_WARNING=1"}
	cmd.Dir = "/"
	cmd.Stdin = stdin
	out := &capped{most: most}
	cmd.Stdout = out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it did not want all of its input
	}
	if err == nil && out.b.Len() == 0 {
		err = errors.New("no output")
	}
	return out.b.Bytes(), err
}

// capped is a buffer of bounded size. It has no ReadFrom of the buffer's, which
// knows no bound.
type capped struct {
	b    bytes.Buffer
	most int64
}

var errTooMuch = errors.New("too much output")

func (c *capped) Write(p []byte) (int, error) {
	if int64(c.b.Len()+len(p)) > c.most {
		return 0, errTooMuch
	}
	return c.b.Write(p)
}

// maxOutput is what a program may write: a bitmap of some megapixels.
const maxOutput = 48 << 20

// vips has vipsthumbnail make a picture of the largest size, upright and in
// sRGB.
func (d *decoder) vips(ctx context.Context) (image.Image, error) {
	size := itoa(d.most())
	args := []string{"stdin", "--size", size + "x" + size + ">", "--output", ".jpg[Q=95,strip,background=255]"}
	// What has no profile is sRGB. For a picture in grey that is an error.
	var failed error
	for _, profiles := range [][]string{{"--import-profile", "srgb", "--export-profile", "srgb"}, nil} {
		r, err := d.src.whole(maxPicture)
		if err != nil {
			return nil, err
		}
		b, err := run(ctx, r, maxOutput, d.Tools.Vips, append(args, profiles...)...)
		if err == nil {
			return jpeg.Decode(bytes.NewReader(b))
		}
		failed = err
	}
	return nil, failed
}

// heif decodes HEIC and AVIF.
func (d *decoder) heif(ctx context.Context) (image.Image, error) {
	if d.Tools.Vips == "" {
		return nil, refusal("vipsthumbnail is not installed: it decodes HEIC and AVIF")
	}
	head, err := d.src.head(64 << 10)
	if err != nil {
		return nil, err
	}
	width, height := heifSize(head)
	if err := checkPixels(width, height); err != nil {
		return nil, err
	}
	d.facts.Width, d.facts.Height = width, height
	return d.vips(ctx)
}

// heifSize is the size of the largest image that the boxes at the beginning tell
// of: "ispe", four bytes of version and flags, width and height (ISO/IEC
// 23008-12, 6.5.3).
func heifSize(head []byte) (width, height int64) {
	for at := 0; ; {
		i := bytes.Index(head[at:], []byte("ispe"))
		if i < 0 || at+i+16 > len(head) {
			return width, height
		}
		at += i + 16
		w, h := be32(head[at-8:]), be32(head[at-4:])
		if w*h > width*height {
			width, height = w, h
		}
	}
}

func be32(b []byte) int64 {
	return int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
}

// bitmap decodes what ffmpeg writes.
func bitmap(b []byte) (image.Image, error) {
	config, err := bmp.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if err := checkPixels(int64(config.Width), int64(config.Height)); err != nil {
		return nil, err
	}
	return bmp.Decode(bytes.NewReader(b))
}
