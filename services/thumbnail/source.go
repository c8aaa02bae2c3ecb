package thumbnail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// How an object is fetched, in bytes: ranges start small and double as long as
// one follows the other, since most readers look here and there, and some read
// all of it.
const (
	firstFetch = 128 << 10
	mostFetch  = 4 << 20
	mostSeek   = 512 << 10 // of what is looked into rather than read
	// As many ranges are kept: what looks here and there comes back to an index.
	windows     = 3
	windowsSeek = 16
	// mostFetched is what one job may fetch in all.
	mostFetched = 256 << 20
)

// source reads an object by ranges from the manager. It is for one reader at a
// time.
type source struct {
	ctx    context.Context // of the job: io.ReaderAt has none
	client *http.Client
	from   string // address
	ticket packet.Secret
	size   int64

	kept    []window // the latest last
	next    int64    // where a reader goes on who reads on
	step    int64
	most    int64 // of a step
	fetched int64
}

type window struct {
	off int64
	b   []byte
}

// ReadAt implements io.ReaderAt.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= s.size {
			return n, io.EOF
		}
		b, err := s.at(at)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b)
	}
	return n, nil
}

// at gives what is known from off on, at least a byte.
func (s *source) at(off int64) ([]byte, error) {
	for _, w := range s.kept {
		if w.off <= off && off < w.off+int64(len(w.b)) {
			return w.b[off-w.off:], nil
		}
	}
	if off == s.next && s.step > 0 {
		s.step = min(2*s.step, s.most)
	} else {
		s.step = firstFetch
	}
	n := min(s.step, s.size-off)
	if s.fetched += n; s.fetched > mostFetched {
		return nil, errors.New("too much of it is asked for")
	}
	b, err := s.fetch(off, n)
	if err != nil {
		return nil, err
	}
	s.next = off + n
	keep := windows
	if s.most == mostSeek {
		keep = windowsSeek
	}
	if len(s.kept) == keep {
		s.kept = append(s.kept[:0], s.kept[1:]...)
	}
	s.kept = append(s.kept, window{off, b})
	return b, nil
}

// fetch asks the manager for a range, again if it has trouble.
func (s *source) fetch(off, n int64) ([]byte, error) {
	var err error
	for wait := 250 * time.Millisecond; wait <= time.Second; wait *= 2 {
		var b []byte
		if b, err = s.try(off, n); err == nil || !errors.Is(err, cloud.ErrUnavailable) {
			return b, err
		}
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return nil, context.Cause(s.ctx)
		}
	}
	return nil, err
}

func (s *source) try(off, n int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.from, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+string(s.ticket))
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: read the object: %w", cloud.ErrUnavailable, withoutURL(err))
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusPartialContent:
	case answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500:
		return nil, fmt.Errorf("%w: read the object: status %d", cloud.ErrUnavailable, answer.StatusCode)
	default:
		return nil, fmt.Errorf("%w: read the object: status %d", cloud.ErrDenied, answer.StatusCode)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(answer.Body, b); err != nil {
		return nil, fmt.Errorf("%w: read the object: %w", cloud.ErrUnavailable, err)
	}
	return b, nil
}

// withoutURL takes the address out of err: it is nobody's business in a log.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
