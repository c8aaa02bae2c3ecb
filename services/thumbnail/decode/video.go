package decode

import (
	"context"
	"encoding/json"
	"errors"
	"image"
	"math"
	"strconv"
	"strings"
)

// containers are the formats that ffmpeg may take a file for: none that name
// other files, as playlists do.
const containers = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,ogg,asf,mp3,aac,flac,wav,aiff,w64,ape,wv,caf,amr,dsf"

// input are the options that come before the address of the object.
func input(address string, before ...string) []string {
	return append(before, "-probesize", "1000000", "-protocol_whitelist", "http,tcp", "-format_whitelist", containers, "-i", address)
}

// probe is what ffprobe tells of a file.
type probe struct {
	Streams []struct {
		Kind        string            `json:"codec_type"`
		Codec       string            `json:"codec_name"`
		Width       int64             `json:"width"`
		Height      int64             `json:"height"`
		Disposition map[string]int    `json:"disposition"`
		Tags        map[string]string `json:"tags"`
		SideData    []struct {
			Rotation float64 `json:"rotation"`
		} `json:"side_data_list"`
	} `json:"streams"`
	Format struct {
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

func (d *decoder) probe(ctx context.Context, address string) (probe, error) {
	var p probe
	args := append([]string{"-v", "error", "-print_format", "json", "-show_format", "-show_streams"}, input(address)...)
	b, err := run(ctx, nil, 1<<20, d.Tools.FFprobe, args...)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return p, err
	}
	if seconds, err := strconv.ParseFloat(p.Format.Duration, 64); err == nil && seconds > 0 && seconds < 1e9 {
		d.facts.Duration = int64(seconds * 1000)
	}
	tags := map[string]string{}
	for k, v := range p.Format.Tags {
		tags[strings.ToLower(k)] = v
	}
	d.facts.Title, d.facts.Artist, d.facts.Album = tags["title"], tags["artist"], tags["album"]
	if taken := tags["creation_time"]; len(taken) >= 19 {
		d.facts.TakenAt = taken[:19]
	}
	d.facts.Camera = strings.TrimSpace(tags["com.apple.quicktime.make"] + " " + tags["com.apple.quicktime.model"])
	return p, nil
}

// video takes a frame that is not black.
func (d *decoder) video(ctx context.Context) (image.Image, error) {
	if d.Tools.FFmpeg == "" || d.Tools.FFprobe == "" {
		return nil, refusal("ffmpeg is not installed: it decodes videos")
	}
	address, end, err := d.loopback()
	if err != nil {
		return nil, err
	}
	defer end()
	p, err := d.probe(ctx, address)
	if err != nil {
		return nil, err
	}
	found := false
	for _, s := range p.Streams {
		if s.Kind != "video" || s.Disposition["attached_pic"] == 1 {
			continue
		}
		if err := checkPixels(s.Width, s.Height); err != nil {
			return nil, err
		}
		found = true
		d.facts.Width, d.facts.Height, d.facts.Codec = s.Width, s.Height, s.Codec
		for _, side := range s.SideData {
			if math.Mod(math.Abs(side.Rotation), 180) == 90 {
				d.facts.Width, d.facts.Height = s.Height, s.Width
			}
		}
		break
	}
	if !found {
		return d.sound(ctx, address)
	}
	var best image.Image
	contrast := -1.0
	for _, at := range moments(d.facts.Duration) {
		img, err := d.frame(ctx, address, at)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if c := contrastOf(img); c > contrast {
			best, contrast = img, c
		}
		if contrast > 12 {
			break
		}
	}
	if best == nil {
		return nil, errors.New("no frame")
	}
	return best, nil
}

// moments are where to look for a frame, in seconds.
func moments(duration int64) []float64 {
	if duration <= 0 {
		return []float64{1, 0}
	}
	seconds := float64(duration) / 1000
	return []float64{min(seconds*0.1, 120), seconds * 0.35, seconds * 0.7, 0}
}

// frame takes the most telling of some frames from a moment on.
func (d *decoder) frame(ctx context.Context, address string, at float64) (image.Image, error) {
	size := itoa(d.most())
	// From the keyframe before: what lies between need not be read.
	args := input(address, "-v", "error", "-nostdin", "-threads", "1", "-noaccurate_seek", "-ss", strconv.FormatFloat(at, 'f', 3, 64))
	args = append(args, "-an", "-sn", "-dn", "-frames:v", "1",
		"-vf", "thumbnail=n=8,scale=w='trunc(min("+size+",iw*sar)/2)*2':h=-2", "-threads", "1",
		"-f", "image2pipe", "-c:v", "bmp", "-")
	b, err := run(ctx, nil, maxOutput, d.Tools.FFmpeg, args...)
	if err != nil {
		return nil, err
	}
	return bitmap(b)
}

// contrastOf is the standard deviation of a picture's brightness, 0 to 128: near
// 0 for one that is black, or all of one colour.
func contrastOf(img image.Image) float64 {
	b := img.Bounds()
	var sum, squares, n float64
	for y := b.Min.Y; y < b.Max.Y; y += 1 + b.Dy()/64 {
		for x := b.Min.X; x < b.Max.X; x += 1 + b.Dx()/64 {
			r, g, bl, _ := img.At(x, y).RGBA()
			l := (0.299*float64(r) + 0.587*float64(g) + 0.114*float64(bl)) / 257
			sum, squares, n = sum+l, squares+l*l, n+1
		}
	}
	mean := sum / n
	return math.Sqrt(max(0, squares/n-mean*mean))
}
