package jail_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"testing"

	"golang.org/x/image/webp"

	"discordcloud/services/thumbnail/decode"
	"discordcloud/services/thumbnail/jail"
)

// pixmap is an image without compression, as the manager hands it on.
func pixmap(img *image.NRGBA) []byte {
	r := img.Bounds()
	b := fmt.Appendf(nil, "P6 %d %d 255\n", r.Dx(), r.Dy())
	for i := 0; i < len(img.Pix); i += 4 {
		b = append(b, img.Pix[i:i+3]...)
	}
	return b
}

// What Go does not encode shows the same picture, and is no longer than it may.
func TestEncode(t *testing.T) {
	need(t, "vipsthumbnail")
	want := scene(1024, 768)
	for _, format := range []string{decode.WebP, decode.AVIF} {
		t.Run(format, func(t *testing.T) {
			j := child(t, "decode")
			long, err := j.Encode(t.Context(), pixmap(want), 1024, format, 75, 300<<10)
			if err != nil {
				t.Fatal(err)
			}
			r, err := show(t, j, long, "image/"+format)
			if all := images(t, r, err); all[1024].Bounds().Dx() != 1024 {
				t.Errorf("it has %v", all[1024].Bounds())
			} else {
				alike(t, all[1024], want)
			}
			short, err := j.Encode(t.Context(), long, 100, format, 60, 4096)
			if err != nil || len(short) > 4096 || len(short) < 200 {
				t.Fatalf("%d bytes, %v", len(short), err)
			}
			if format == decode.WebP {
				if c, err := webp.DecodeConfig(bytes.NewReader(short)); err != nil || c.Width != 100 || c.Height != 75 {
					t.Errorf("the small one has %d by %d pixels, %v", c.Width, c.Height, err)
				}
			}
			if b, err := j.Encode(t.Context(), long, 1024, format, 60, 100); err == nil {
				t.Errorf("a picture in %d bytes", len(b))
			}
		})
	}
	var failure jail.Failure
	j := child(t, "decode")
	for name, give := range map[string]func() ([]byte, error){
		"a format that is none": func() ([]byte, error) { return j.Encode(t.Context(), pixmap(want), 100, "exr", 60, 4096) },
		"no picture":            func() ([]byte, error) { return j.Encode(t.Context(), []byte("<html>"), 100, decode.WebP, 60, 4096) },
		"without the program": func() ([]byte, error) {
			bare := child(t, "decode")
			bare.Tools = decode.Tools{}
			return bare.Encode(t.Context(), pixmap(want), 100, decode.WebP, 60, 4096)
		},
	} {
		if b, err := give(); b != nil || !errors.As(err, &failure) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}
