package sandbox

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// trapReader springs once after so many bytes, and if atEnd at the end at the
// latest.
type trapReader struct {
	io.ReadCloser
	left   int64
	atEnd  bool
	spring func() error
	sprung bool
	err    error
}

func (t *trapReader) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	if t.left == 0 && !t.sprung {
		t.sprung = true
		if t.err = t.spring(); t.err != nil {
			return 0, t.err
		}
	}
	if !t.sprung && int64(len(p)) > t.left {
		p = p[:t.left]
	}
	n, err := t.ReadCloser.Read(p)
	if !t.sprung {
		t.left -= int64(n)
	}
	if err == io.EOF && t.atEnd && !t.sprung {
		t.left = 0
		return n, nil
	}
	return n, err
}

// discard takes an answer that nobody gets.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// shape puts what the rules do to the answer's body around c.w. The function
// that it returns ends the body; false asks for the connection to be cut.
func (c *call) shape(shots []shot) (finish func() bool) {
	finish = func() bool { return true }
	for i := range shots {
		s := &shots[i]
		before := finish
		switch s.Action {
		case Slow, Stall, Truncate, Flip:
			sh := &shaper{ResponseWriter: c.w, c: c, shot: s}
			c.w = sh
			finish = func() bool { return sh.finish() && before() }
		case Gzip:
			z := &zipper{ResponseWriter: c.w}
			c.w = z
			finish = func() bool { return z.finish() && before() }
		}
	}
	return finish
}

// zipper compresses the body.
type zipper struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w *zipper) WriteHeader(status int) {
	if w.z == nil && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified {
		w.Header().Del("Content-Length")
		w.Header().Set("Content-Encoding", "gzip")
		w.z = gzip.NewWriter(w.ResponseWriter)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *zipper) Write(p []byte) (int, error) {
	if w.z == nil {
		w.WriteHeader(http.StatusOK)
	}
	return w.z.Write(p)
}

func (w *zipper) finish() bool { return w.z == nil || w.z.Close() == nil }

// shaper applies one rule to the body.
type shaper struct {
	http.ResponseWriter
	c       *call
	shot    *shot
	begun   bool
	at      int64 // resolved; -1 if the place lies outside the body
	pos     int64
	stalled bool
}

func (w *shaper) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	size, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		size = -1
	}
	w.at = w.shot.At
	switch {
	case w.at < 0:
		w.at = max(size+w.at, -1)
	case w.at == 0 && size > 0:
		w.at = int64(w.shot.roll % uint64(size))
	}
	if w.shot.Action == Truncate && w.at >= 0 && (size < 0 || w.at < size) {
		switch w.shot.Length {
		case "short":
			w.Header().Set("Content-Length", strconv.FormatInt(w.at, 10))
		case "chunked":
			w.Header().Del("Content-Length")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *shaper) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch w.shot.Action {
	case Slow:
		return w.slow(p)
	case Stall:
		if !w.stalled && w.at >= 0 && w.pos+int64(len(p)) > w.at {
			return w.stall(p)
		}
	case Truncate:
		if w.at >= 0 && w.pos+int64(len(p)) > w.at {
			keep := max(w.at-w.pos, 0)
			w.pos += int64(len(p))
			if _, err := w.ResponseWriter.Write(p[:keep]); err != nil {
				return 0, err
			}
			return len(p), nil // as if: the handler need not know
		}
	case Flip:
		if i := w.at - w.pos; w.at >= 0 && i >= 0 && i < int64(len(p)) {
			p = slices.Clone(p)
			p[i] ^= 1 << (w.shot.roll >> 32 % 8)
		}
	}
	n, err := w.ResponseWriter.Write(p)
	w.pos += int64(n)
	return n, err
}

func (w *shaper) flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() } // without it, the bytes come later

// Unwrap lets a shaper around this one flush.
func (w *shaper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *shaper) slow(p []byte) (int, error) {
	rate := w.shot.Rate
	orElse(&rate, 1)
	done := 0
	for done < len(p) {
		n := slice(rate, len(p)-done)
		if err := w.c.sleep(time.Duration(float64(n) / float64(rate) * float64(time.Second))); err != nil {
			return done, err
		}
		n, err := w.ResponseWriter.Write(p[done : done+n])
		done += n
		if err != nil {
			return done, err
		}
		w.flush()
	}
	return done, nil
}

func (w *shaper) stall(p []byte) (int, error) {
	w.stalled = true
	keep := w.at - w.pos
	n, err := w.ResponseWriter.Write(p[:keep])
	w.pos += int64(n)
	if err != nil {
		return n, err
	}
	w.flush()
	d := w.shot.Delay
	orElse(&d, 24*time.Hour) // until the client leaves
	if err := w.c.sleep(d); err != nil {
		return n, err
	}
	m, err := w.ResponseWriter.Write(p[keep:])
	w.pos += int64(m)
	return n + m, err
}

// finish tells whether the body ended well.
func (w *shaper) finish() bool {
	if w.shot.Action == Truncate && w.at >= 0 && w.pos > w.at && w.shot.Length != "short" {
		w.flush()
		return false
	}
	return true
}
