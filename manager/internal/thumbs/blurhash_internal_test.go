package thumbs

import (
	"image"
	"image/color"
	"strings"
	"testing"
)

// readBase83 is the number that digits of base 83 say.
func readBase83(t *testing.T, s string) (n int) {
	t.Helper()
	for _, c := range s {
		i := strings.IndexRune(base83, c)
		if i < 0 {
			t.Fatalf("%q is not of base 83", s)
		}
		n = n*83 + i
	}
	return n
}

// The mean colour stands in letters 2 to 5, and the frequencies after it tell
// the picture's halves apart.
func TestBlurHash(t *testing.T) {
	picture := func(left, right color.NRGBA) *image.NRGBA {
		img := image.NewNRGBA(image.Rect(0, 0, 256, 170))
		for y := range 170 {
			for x := range 256 {
				img.SetNRGBA(x, y, left)
				if x >= 128 {
					img.SetNRGBA(x, y, right)
				}
			}
		}
		return img
	}
	red, blue, grey := color.NRGBA{200, 30, 30, 255}, color.NRGBA{30, 30, 200, 255}, color.NRGBA{90, 120, 150, 255}
	flat := blurHash(picture(grey, grey))
	if got := readBase83(t, flat[2:6]); len(flat) != 28 || got != 90<<16|120<<8|150 {
		t.Errorf("%s: a mean colour of %06x", flat, got)
	}
	if got := readBase83(t, flat[:1]); got != blurAcross-1+9*(blurDown-1) {
		t.Errorf("%s says that it has other frequencies: %d", flat, got)
	}
	first := func(hash string) (r, g, b int) { // of the frequencies across, -9 to 9
		n := readBase83(t, hash[6:8])
		return n/361 - 9, n/19%19 - 9, n%19 - 9
	}
	if r, g, b := first(blurHash(picture(red, blue))); r < 5 || g != 0 || b > -5 {
		t.Errorf("red on the left, blue on the right: %d %d %d", r, g, b)
	}
	if r, g, b := first(blurHash(picture(blue, red))); r > -5 || g != 0 || b < 5 {
		t.Errorf("blue on the left, red on the right: %d %d %d", r, g, b)
	}
}

// A picture that need not be scaled has the hash that the algorithm's own
// implementation gives (blurhash 2.0.5 for TypeScript).
func TestBlurHash_same(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, blurWidth, blurHeight))
	for y := range blurHeight {
		for x := range blurWidth {
			img.SetNRGBA(x, y, color.NRGBA{uint8(248 - 8*x), uint8(230 - 10*y), uint8((248 - 8*x) * (230 - 10*y) >> 8), 255})
		}
	}
	if got, want := blurHash(img), "L*H26{|}$8xGp[oOjvj]gfflfRfk"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
