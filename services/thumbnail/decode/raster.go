package decode

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/disintegration/imaging"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

const (
	// maxPixels is the largest picture that is decoded: 50 megapixels.
	maxPixels = 50_000_000
	// maxPicture is the largest file that is read whole, in bytes.
	maxPicture = 96 << 20
	// vipsFrom is the number of pixels from which another process is worth it.
	vipsFrom = 3_000_000
)

// codec is how Go decodes a kind.
type codec struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// factor is how many times the decoded picture's bytes decoding takes.
	factor int64
}

func codecOf(k kind) codec {
	switch k {
	case kindJPEG:
		return codec{jpeg.DecodeConfig, jpeg.Decode, 1}
	case kindPNG:
		return codec{png.DecodeConfig, png.Decode, 1}
	case kindGIF:
		return codec{gif.DecodeConfig, gif.Decode, 1} // the first frame only
	case kindWebP:
		return codec{webp.DecodeConfig, decodeWebP, 1}
	case kindBMP:
		return codec{bmp.DecodeConfig, bmp.Decode, 1}
	case kindTIFF:
		return codec{tiff.DecodeConfig, tiff.Decode, 3}
	}
	panic("decode: no codec of this kind")
}

// decodeWebP gives the colours their range. VP8 has those of television, 16 to
// 235 (RFC 6386 §9.2), and x/image hands them on as if they were JPEG's.
func decodeWebP(r io.Reader) (image.Image, error) {
	img, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	expand := func(c *image.YCbCr) {
		stretch(c.Y, 16, 0, 219)
		stretch(c.Cb, 128, 128, 224)
		stretch(c.Cr, 128, 128, 224)
	}
	switch c := img.(type) {
	case *image.YCbCr:
		expand(c)
	case *image.NYCbCrA:
		expand(&c.YCbCr)
	}
	return img, nil
}

// stretch moves from to to, and makes span 255.
func stretch(p []byte, from, to, span int) {
	var table [256]byte
	for i := range table {
		table[i] = byte(min(max((i-from)*255/span+to, 0), 255))
	}
	for i, v := range p {
		p[i] = table[v]
	}
}

// raster decodes what Go can decode.
func (d *decoder) raster(ctx context.Context, k kind) (image.Image, error) {
	c := codecOf(k)
	r, err := d.src.whole(maxPicture)
	if err != nil {
		return nil, err
	}
	config, err := c.config(r)
	if err != nil {
		if k == kindWebP && d.Tools.Vips != "" { // animated
			return d.vips(ctx)
		}
		return nil, err
	}
	pixels := int64(config.Width) * int64(config.Height)
	if err := checkPixels(int64(config.Width), int64(config.Height)); err != nil {
		return nil, err
	}
	if pixels*bytesPerPixel(config.ColorModel)*c.factor > d.Memory/2 {
		return nil, refusal("the picture is too large to be decoded")
	}
	x := readEXIF(d.src, k)
	d.facts.TakenAt, d.facts.Camera = x.takenAt, x.camera
	d.facts.Width, d.facts.Height = int64(config.Width), int64(config.Height)
	if x.orientation >= 5 {
		d.facts.Width, d.facts.Height = d.facts.Height, d.facts.Width
	}
	if d.Tools.Vips != "" && k == kindJPEG && pixels >= vipsFrom && config.ColorModel != color.GrayModel {
		if img, err := d.vips(ctx); err == nil {
			return img, nil // turned upright by it
		}
	}
	if r, err = d.src.whole(maxPicture); err != nil {
		return nil, err
	}
	img, err := c.decode(r)
	if err != nil {
		return nil, err
	}
	return upright(d.reduce(img), x.orientation), nil
}

func checkPixels(width, height int64) error {
	switch {
	case width < 1 || height < 1:
		return refusal("the picture is empty")
	case width > 1<<20 || height > 1<<20 || width*height > maxPixels:
		return refusalf("the picture has more than %d megapixels", maxPixels/1_000_000)
	}
	return nil
}

// bytesPerPixel is what a decoded pixel takes.
func bytesPerPixel(m color.Model) int64 {
	switch m {
	case color.GrayModel, color.AlphaModel:
		return 1
	case color.Gray16Model, color.Alpha16Model:
		return 2
	case color.YCbCrModel:
		return 3
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	}
	if _, ok := m.(color.Palette); ok {
		return 1
	}
	return 4
}

// reduce makes a picture fit the largest size. It never enlarges.
func (d *decoder) reduce(img image.Image) image.Image {
	most, b := d.most(), img.Bounds()
	if b.Dx() <= most && b.Dy() <= most {
		return img
	}
	filter := imaging.Lanczos
	if max(b.Dx(), b.Dy()) > 3*most {
		filter = imaging.Box // as good at such a reduction, and faster
	}
	return imaging.Fit(img, most, most, filter)
}

// upright turns a picture as its camera was held (EXIF 2.3, Orientation).
func upright(img image.Image, orientation int) image.Image {
	switch orientation {
	case 2:
		return imaging.FlipH(img)
	case 3:
		return imaging.Rotate180(img)
	case 4:
		return imaging.FlipV(img)
	case 5:
		return imaging.Transpose(img)
	case 6:
		return imaging.Rotate270(img)
	case 7:
		return imaging.Transverse(img)
	case 8:
		return imaging.Rotate90(img)
	}
	return img
}

// encode makes the sizes of a picture.
func (d *decoder) encode(img image.Image) ([]Image, error) {
	if o, ok := img.(interface{ Opaque() bool }); !ok || !o.Opaque() {
		b := img.Bounds()
		white := imaging.New(b.Dx(), b.Dy(), color.White)
		img = imaging.Overlay(white, img, image.Point{}, 1)
	}
	var images []Image
	for _, size := range d.Sizes {
		fit := imaging.Fit(img, size, size, imaging.Lanczos)
		b, err := d.jpeg(fit)
		if err != nil {
			return nil, err
		}
		images = append(images, Image{Size: size, Data: b})
	}
	return images, nil
}

// jpeg encodes a picture, worse if it would be too long.
func (d *decoder) jpeg(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	for quality := d.Quality; quality > 0; quality -= 20 {
		b.Reset()
		if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
			return nil, err
		}
		if b.Len() <= d.Limit {
			return b.Bytes(), nil
		}
	}
	return nil, errors.New("no quality makes the image short enough")
}
