package decode

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"io"

	"github.com/dhowden/tag"
)

// audio shows the cover that a file carries, or else what it sounds like.
func (d *decoder) audio(ctx context.Context) (image.Image, error) {
	if img := d.cover(); img != nil {
		return img, nil
	}
	if d.Tools.FFmpeg == "" || d.Tools.FFprobe == "" {
		return nil, refusal("there is no cover, and ffmpeg, which draws the sound, is not installed")
	}
	address, end, err := d.loopback()
	if err != nil {
		return nil, err
	}
	defer end()
	if _, err := d.probe(ctx, address); err != nil {
		return nil, err
	}
	return d.sound(ctx, address)
}

// cover gives the picture among the file's tags, nil if there is none.
func (d *decoder) cover() image.Image {
	m, err := tag.ReadFrom(io.NewSectionReader(d.src, 0, d.src.size))
	if err != nil {
		return nil
	}
	d.facts.Title, d.facts.Artist, d.facts.Album = m.Title(), m.Artist(), m.Album()
	d.facts.Codec = string(m.FileType())
	p := m.Picture()
	if p == nil || len(p.Data) > maxPicture {
		return nil
	}
	k := sniff(p.Data[:min(len(p.Data), 4096)], "")
	if k != kindJPEG && k != kindPNG && k != kindGIF && k != kindWebP && k != kindBMP {
		return nil
	}
	c := codecOf(k)
	config, err := c.config(bytes.NewReader(p.Data))
	if err != nil || checkPixels(int64(config.Width), int64(config.Height)) != nil ||
		int64(config.Width)*int64(config.Height)*bytesPerPixel(config.ColorModel) > d.Memory/2 {
		return nil
	}
	img, err := c.decode(bytes.NewReader(p.Data))
	if err != nil {
		return nil
	}
	return d.reduce(img)
}

// The picture of a sound: the loudest sample of each of so many slices of its
// first minutes.
const (
	soundSeconds = 180
	soundRate    = 4000
	soundBars    = 64
)

var (
	soundBack = color.NRGBA{0x17, 0x1b, 0x26, 0xff}
	soundBar  = color.NRGBA{0x6c, 0x8c, 0xff, 0xff}
)

// sound draws the amplitude of a file's sound.
func (d *decoder) sound(ctx context.Context, address string) (image.Image, error) {
	args := append(input(address, "-v", "error", "-nostdin", "-threads", "1"),
		"-t", itoa(soundSeconds), "-vn", "-sn", "-dn", "-ac", "1", "-ar", itoa(soundRate), "-f", "s16le", "-")
	b, err := run(ctx, nil, 2*soundSeconds*soundRate+1<<20, d.Tools.FFmpeg, args...)
	if err != nil {
		return nil, err
	}
	samples := len(b) / 2
	if samples < soundBars {
		return nil, refusal("there is next to no sound in it")
	}
	var peaks [soundBars]int
	loudest := 1
	for i := range samples {
		v := int(int16(binary.LittleEndian.Uint16(b[2*i:])))
		bar := i * soundBars / samples
		peaks[bar] = max(peaks[bar], v, -v)
		loudest = max(loudest, peaks[bar])
	}
	size := d.most()
	height := size * 9 / 16
	img := image.NewNRGBA(image.Rect(0, 0, size, height))
	draw.Draw(img, img.Bounds(), image.NewUniform(soundBack), image.Point{}, draw.Src)
	for i, peak := range peaks {
		half := max(peak*height*2/5/loudest, height/128)
		left := (i*2 + 1) * size / (soundBars*2 + 1)
		right := (i*2 + 2) * size / (soundBars*2 + 1)
		draw.Draw(img, image.Rect(left, height/2-half, right, height/2+half), image.NewUniform(soundBar), image.Point{}, draw.Src)
	}
	return img, nil
}
