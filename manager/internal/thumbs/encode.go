package thumbs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"time"

	"discordcloud/pkg/cloud"
)

// The formats that thumbnails may be kept in.
const (
	JPEG = "jpeg"
	WebP = "webp"
	AVIF = "avif"
)

const (
	typeJPEG = "image/jpeg"
	typeAVIF = "image/avif"
)

// qualities are how good a thumbnail is, in the scale of each format: they look
// alike.
var qualities = map[string]int{JPEG: 80, WebP: 75, AVIF: 55}

// Encoder makes what Go cannot encode. It is safe for concurrent use.
type Encoder interface {
	// Encode gives a picture in a format, WebP or AVIF, of at most size pixels on
	// its longer side and most bytes. quality is from 1 to 100.
	Encode(ctx context.Context, picture []byte, size int, format string, quality, most int) ([]byte, error)
}

// chooseFormat falls back to JPEG, and says so, where the format that is wanted
// cannot be made.
func (t *Thumbs) chooseFormat() {
	if t.Format == "" || t.Format == JPEG {
		t.Format = JPEG
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := cloud.ErrUnavailable
	if t.Encoder != nil {
		_, err = t.otherFormat(ctx, image.NewNRGBA(image.Rect(0, 0, 64, 64)))
	}
	if err != nil {
		t.Log.WarnContext(ctx, "thumbnails are kept as JPEG: nothing here makes what is wanted", "wanted", t.Format, "err", err)
		t.Format = JPEG
	}
}

// encode gives the bytes of an image as it is kept, and their MIME type, "" for
// JPEG.
func (t *Thumbs) encode(ctx context.Context, img image.Image) ([]byte, string, error) {
	if t.Format != JPEG {
		b, err := t.otherFormat(ctx, img)
		if err == nil {
			return b, "image/" + t.Format, nil
		}
		t.Log.WarnContext(ctx, "thumbnail kept as JPEG", "wanted", t.Format, "err", err)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: qualities[JPEG]}); err != nil {
		return nil, "", err
	}
	return b.Bytes(), "", nil
}

func (t *Thumbs) otherFormat(ctx context.Context, img image.Image) ([]byte, error) {
	size := max(img.Bounds().Dx(), img.Bounds().Dy())
	b, err := t.Encoder.Encode(ctx, pixels(img), size, t.Format, qualities[t.Format], imageLimit)
	if err == nil && !is(b, t.Format) {
		err = fmt.Errorf("encode %s: %w: it is something else", t.Format, cloud.ErrInvalid)
	}
	return b, err
}

// is tells a format by its first bytes.
func is(b []byte, format string) bool {
	switch format {
	case WebP:
		return len(b) > 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP"
	case AVIF:
		return len(b) > 12 && string(b[4:12]) == "ftypavif"
	}
	return false
}

// pixels is an image as everybody reads it, without compression: a portable
// pixmap.
func pixels(img image.Image) []byte {
	r := img.Bounds()
	flat := image.NewRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	draw.Draw(flat, flat.Bounds(), img, r.Min, draw.Src)
	b := fmt.Appendf(make([]byte, 0, 3*r.Dx()*r.Dy()+20), "P6 %d %d 255\n", r.Dx(), r.Dy())
	for i := 0; i < len(flat.Pix); i += 4 {
		b = append(b, flat.Pix[i:i+3]...)
	}
	return b
}

// What clients of version 1 show: AVIF and nothing else, in a few KiB.
const (
	smallSize  = 100
	smallLimit = 4096
	smallKept  = 1024 // of them, in memory
)

// Small gives the image of an entry's content as clients of version 1 take it.
// Whoever asks has been let in. It is made when it is asked for: there are few
// who do. ErrNotFound if there is none, or nothing to make it with.
func (t *Thumbs) Small(ctx context.Context, e cloud.Entry) (Image, error) {
	img, err := t.Open(ctx, e, 1)
	if err != nil {
		return Image{}, err
	}
	if t.Encoder == nil {
		return Image{}, fmt.Errorf("thumbnail of %d: %w", e.ID, cloud.UserErrorf(cloud.ErrNotFound, "thumbnails are not made in AVIF here"))
	}
	select {
	case t.shrinking <- struct{}{}:
		defer func() { <-t.shrinking }()
	case <-ctx.Done():
		return Image{}, context.Cause(ctx)
	}
	t.mu.Lock()
	b := t.small[img.Sum]
	t.mu.Unlock()
	if b == nil {
		b, err = t.Encoder.Encode(ctx, img.Bytes, smallSize, AVIF, qualities[AVIF], smallLimit)
		if err == nil && !is(b, AVIF) {
			err = fmt.Errorf("%w: it is something else", cloud.ErrInvalid)
		}
		if err != nil {
			t.Log.InfoContext(ctx, "no thumbnail in AVIF", "file", e.ID, "err", err)
			return Image{}, fmt.Errorf("thumbnail of %d: %w", e.ID, cloud.UserErrorf(cloud.ErrNotFound, "the thumbnail cannot be made in AVIF here"))
		}
		t.mu.Lock()
		if len(t.small) >= smallKept {
			clear(t.small)
		}
		t.small[img.Sum] = b
		t.mu.Unlock()
	}
	return Image{Type: typeAVIF, Sum: sha256.Sum256(b), Bytes: b}, nil
}
