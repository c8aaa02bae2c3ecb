package thumbs

import (
	"image"
	"math"

	"golang.org/x/image/draw"
)

// A BlurHash (https://github.com/woltapp/blurhash, Algorithm.md) is the lowest
// frequencies of a picture, in the letters of base 83.
const (
	blurAcross = 4 // frequencies
	blurDown   = 3
	blurWidth  = 32 // of the picture that it is made of, in pixels
	blurHeight = 24
)

const base83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"

// blurHash gives the hash of a picture: 28 letters.
func blurHash(img image.Image) string {
	small := image.NewRGBA(image.Rect(0, 0, blurWidth, blurHeight))
	draw.BiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	var linear [blurHeight][blurWidth][3]float64
	for y := range linear {
		for x := range linear[y] {
			for c := range 3 {
				linear[y][x][c] = toLinear(small.Pix[small.PixOffset(x, y)+c])
			}
		}
	}
	var factors [blurDown * blurAcross][3]float64
	for j := range blurDown {
		for i := range blurAcross {
			f := &factors[j*blurAcross+i]
			for y := range linear {
				for x := range linear[y] {
					basis := math.Cos(math.Pi*float64(i*x)/blurWidth) * math.Cos(math.Pi*float64(j*y)/blurHeight)
					for c, v := range linear[y][x] {
						f[c] += basis * v
					}
				}
			}
			scale := 2.0 / (blurWidth * blurHeight)
			if i == 0 && j == 0 {
				scale /= 2
			}
			for c := range f {
				f[c] *= scale
			}
		}
	}
	largest := 0.0
	for _, f := range factors[1:] {
		largest = max(largest, math.Abs(f[0]), math.Abs(f[1]), math.Abs(f[2]))
	}
	steps := min(max(int(largest*166-0.5), 0), 82)
	most := float64(steps+1) / 166
	hash := inBase83(nil, blurAcross-1+(blurDown-1)*9, 1)
	hash = inBase83(hash, steps, 1)
	mean := factors[0]
	hash = inBase83(hash, toSRGB(mean[0])<<16|toSRGB(mean[1])<<8|toSRGB(mean[2]), 4)
	for _, f := range factors[1:] {
		n := 0
		for _, v := range f {
			n = n*19 + min(max(int(math.Copysign(math.Sqrt(math.Abs(v/most)), v)*9+9.5), 0), 18)
		}
		hash = inBase83(hash, n, 2)
	}
	return string(hash)
}

// inBase83 appends n in so many digits.
func inBase83(to []byte, n, digits int) []byte {
	divisor := 1
	for range digits - 1 {
		divisor *= 83
	}
	for ; divisor > 0; divisor /= 83 {
		to = append(to, base83[n/divisor%83])
	}
	return to
}

// toLinear and toSRGB are the transfer function of IEC 61966-2-1.
func toLinear(b uint8) float64 {
	v := float64(b) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func toSRGB(v float64) int {
	v = min(max(v, 0), 1)
	if v <= 0.0031308 {
		return int(v*12.92*255 + 0.5)
	}
	return int((1.055*math.Pow(v, 1/2.4)-0.055)*255 + 0.5)
}
