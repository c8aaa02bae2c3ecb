package decode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"runtime/debug"
	"time"
)

// refusal is an error whose text tells people why there is no thumbnail. It
// says nothing of the file's content.
type refusal string

func (r refusal) Error() string { return string(r) }

func refusalf(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// Main enters a Cell, does the one job that it reads, and gives the exit code.
// args are the program's; the last is Alone or Shared. Whatever in does not
// answer, and whatever does not end, is left to who started the process.
func Main(args []string, in io.Reader, out io.Writer) int {
	cell, err := Enter(args)
	if err != nil {
		return 2
	}
	r := bufio.NewReaderSize(in, 64<<10)
	letter, payload, err := ReadFrame(r, 64<<10)
	var job Job
	if err != nil || letter != FrameJob || json.Unmarshal(payload, &job) != nil || len(job.Sizes) == 0 || job.Size < 0 {
		return 2
	}
	// Before anything is looked at. Go collects harder from three quarters on.
	debug.SetMemoryLimit(job.Memory / 4 * 3)
	if err := limit(job); err != nil {
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Duration(job.Seconds)*time.Second)
	defer cancel()
	d := &decoder{Job: job, cell: cell, src: &source{size: job.Size, in: r, out: out}}
	if err := writeResult(out, d.result(ctx)); err != nil {
		return 1
	}
	return 0
}

// decoder is one job.
type decoder struct {
	Job
	cell  *Cell
	src   *source
	facts Facts
}

func (d *decoder) result(ctx context.Context) Result {
	var images []Image
	var err error
	if d.Encode != "" {
		images, err = d.convert(ctx)
	} else {
		images, err = d.show(ctx)
	}
	r := Result{Images: images, Facts: d.facts.clean(), Peak: peak(), Lacks: d.cell.Lacks()}
	if err != nil {
		r.Images, r.Source = nil, d.src.broken()
		r.Reason = "it cannot be decoded"
		if text, ok := errors.AsType[refusal](err); ok {
			r.Reason = string(text)
		}
		if ctx.Err() != nil {
			r.Reason = "it takes too long to decode"
		}
	}
	return r
}

// show makes the sizes of the picture that the object is, or has.
func (d *decoder) show(ctx context.Context) ([]Image, error) {
	img, err := d.picture(ctx)
	if err != nil {
		return nil, err
	}
	return d.encode(img)
}

// most is the largest size that is wanted.
func (d *decoder) most() int {
	n := 0
	for _, s := range d.Sizes {
		n = max(n, s)
	}
	return n
}

// picture makes one picture of the object, as large as the largest size or more.
func (d *decoder) picture(ctx context.Context) (image.Image, error) {
	if d.Size == 0 {
		return nil, refusal("the file is empty")
	}
	head, err := d.src.head(4096)
	if err != nil {
		return nil, err
	}
	kind := sniff(head, d.Type)
	if kind != kindVideo && kind != kindAudio {
		if err := d.cell.Silence(); err != nil {
			return nil, err
		}
	}
	switch kind {
	case kindJPEG, kindPNG, kindGIF, kindWebP, kindBMP, kindTIFF:
		return d.raster(ctx, kind)
	case kindHEIF:
		return d.heif(ctx)
	case kindVideo:
		return d.video(ctx)
	case kindAudio:
		return d.audio(ctx)
	case kindPDF:
		return d.pdf(ctx)
	case kindText:
		return d.text(head)
	case kindSVG:
		return d.svg(ctx)
	}
	return nil, refusal("there are no thumbnails of this kind of file")
}
