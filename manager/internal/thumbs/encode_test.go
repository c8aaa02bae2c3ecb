package thumbs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/pkg/cloud"
)

// encoder makes beginnings of files, and keeps what it was asked.
type encoder struct {
	mu    sync.Mutex
	asked []string
	fail  bool
	html  bool
}

func (e *encoder) set(fail, html bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail, e.html = fail, html
}

func (e *encoder) Encode(_ context.Context, picture []byte, size int, format string, quality, most int) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, fmt.Sprintf("%s %d %d", format, size, most))
	switch {
	case e.fail:
		return nil, errors.New("no such luck")
	case e.html:
		return []byte("<html><script>alert(1)</script></html>"), nil
	case format == thumbs.AVIF:
		return fmt.Appendf(nil, "\x00\x00\x00\x1cftypavif of %d bytes", len(picture)), nil
	}
	return fmt.Appendf(nil, "RIFF....WEBPVP8 of %d bytes", len(picture)), nil
}

func TestThumbs_formats(t *testing.T) {
	enc := &encoder{}
	w := newWorld(t, func(o *thumbs.Options) { o.Format, o.Encoder = thumbs.WebP, enc })
	s := w.join(1)
	made := func(name string) (cloud.Entry, thumbs.Image) {
		t.Helper()
		e := w.file(name)
		if err := s.worker.Done(t.Context(), good(s.job().Job)); err != nil {
			t.Fatal(err)
		}
		w.becomes(e, meta.ThumbnailReady)
		img, err := w.thumbs.Open(t.Context(), e, 256)
		if err != nil {
			t.Fatal(err)
		}
		return e, img
	}
	if _, img := made("a.png"); img.Type != "image/webp" || string(img.Bytes[:4]) != "RIFF" || img.Width != 256 || img.Height != 192 {
		t.Errorf("as wanted: %s, %d by %d", img.Type, img.Width, img.Height)
	}
	enc.set(true, false)
	if _, img := made("b.png"); img.Type != "image/jpeg" || !bytes.HasPrefix(img.Bytes, []byte("\xff\xd8")) {
		t.Errorf("after a failure: %s", img.Type)
	}
	enc.set(false, true)
	e, img := made("c.png")
	if img.Type != "image/jpeg" || bytes.Contains(img.Bytes, []byte("script")) {
		t.Errorf("of an encoder that lies: %s", img.Type)
	}

	// For version 1: made once, and no longer than it takes.
	if small, err := w.thumbs.Small(t.Context(), e); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("of an encoder that lies: %s, %v", small.Bytes, err)
	}
	enc.set(false, false)
	enc.mu.Lock()
	enc.asked = nil
	enc.mu.Unlock()
	for range 3 {
		small, err := w.thumbs.Small(t.Context(), e)
		if want := fmt.Sprintf("of %d bytes", len(img.Bytes)); err != nil || small.Type != "image/avif" || !bytes.HasSuffix(small.Bytes, []byte(want)) {
			t.Fatalf("%s, %v, want %s", small.Bytes, err, want)
		}
	}
	if want := []string{"avif 100 4096"}; !slices.Equal(enc.asked, want) {
		t.Errorf("asked for %q, want %q", enc.asked, want)
	}
	if _, err := w.thumbs.Small(t.Context(), w.file("d.png")); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("of a file without: %v", err)
	}
}

// A format that nothing makes is JPEG.
func TestNew_format(t *testing.T) {
	broken := &encoder{fail: true}
	for name, o := range map[string]thumbs.Options{
		"nothing that encodes": {Format: thumbs.AVIF}, "what fails": {Format: thumbs.WebP, Encoder: broken}, "nothing wanted": {Encoder: broken},
	} {
		w := newWorld(t, func(all *thumbs.Options) { all.Format, all.Encoder = o.Format, o.Encoder })
		if got := w.thumbs.Format; got != thumbs.JPEG {
			t.Errorf("%s: %s", name, got)
		}
	}
	if len(broken.asked) != 1 {
		t.Errorf("an encoder is asked %q", broken.asked)
	}
}
