package decode

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
	"time"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// FuzzPicture decodes whatever it is with nothing but Go, where a child would:
// what is made has the sizes that were asked for, what is not has a reason, and
// neither takes long. A panic in a library is what the child is for.
func FuzzPicture(f *testing.F) {
	img := image.NewPaletted(image.Rect(0, 0, 40, 30), color.Palette{color.White, color.Black, color.NRGBA{200, 30, 30, 255}})
	for i := range img.Pix {
		img.Pix[i] = uint8(i % 3)
	}
	var b bytes.Buffer
	for name, encode := range map[string]func() error{
		"image/jpeg": func() error { return jpeg.Encode(&b, img, nil) },
		"image/png":  func() error { return png.Encode(&b, img) },
		"image/gif":  func() error { return gif.Encode(&b, img, nil) },
		"image/bmp":  func() error { return bmp.Encode(&b, img) },
		"image/tiff": func() error { return tiff.Encode(&b, img, nil) },
	} {
		b.Reset()
		if err := encode(); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b.Bytes()), name)
	}
	f.Add([]byte("<svg/>"), "image/svg+xml")
	f.Add([]byte("text"), "text/plain")
	f.Fuzz(func(t *testing.T, file []byte, kind string) {
		defer func() {
			if r := recover(); r != nil {
				t.Logf("the child would have died of %v", r)
			}
		}()
		// Small pictures only: a fuzzer makes many.
		d := &decoder{Job: Job{Size: int64(len(file)), Type: kind, Sizes: []int{32, 64}, Quality: 80, Limit: 1 << 16, Memory: 1 << 20}, cell: &Cell{}, src: answered(file)}
		began := time.Now()
		images, err := d.show(t.Context())
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if (err == nil) == (images == nil) {
			t.Errorf("%d images and %v", len(images), err)
		}
		for _, i := range images {
			c, err := jpeg.DecodeConfig(bytes.NewReader(i.Data))
			if err != nil || c.Width > i.Size || c.Height > i.Size {
				t.Errorf("for %d: %d by %d, %v", i.Size, c.Width, c.Height, err)
			}
		}
	})
}
