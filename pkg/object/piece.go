package object

import (
	"context"
	"errors"
	"fmt"
	"io"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

// ErrMissing tells that the store has no such blob, though the database says
// so. It is a kind of cloud.ErrCorrupt: the object is there, and damaged.
var ErrMissing = fmt.Errorf("%w: the store lacks a chunk", cloud.ErrCorrupt)

// piece is a row of segments of one chunk that is fetched by one request.
type piece struct {
	chunk    cloud.Chunk
	opened   *crypt.Chunk
	span     chunk.Span
	acquired int // segments that are counted in the budget
	// segments takes each segment that opened, in order, and has room for all.
	// It is closed when fetching has ended; err may be read then.
	segments chan *segment
	err      error
}

// fetched tells that all segments are there.
func (p *piece) fetched() bool { return len(p.segments) == p.span.Segments }

// fetch gets the segments, again where that may help: each request asks for
// what is still missing.
func (p *piece) fetch(ctx context.Context, s *Source) {
	defer close(p.segments)
	done := 0
	var last error
	err := s.retries().Do(ctx, func(ctx context.Context) error {
		n, err := p.request(ctx, s, done)
		done += n
		last = err
		if errors.Is(err, cloud.ErrCorrupt) && !errors.Is(err, ErrMissing) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: %w", cloud.ErrUnavailable, err)
		}
		return err
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		p.err = context.Cause(ctx)
	default:
		p.err = last
	}
}

// request asks once for the segments from the skip-th on, and returns how many
// it got.
func (p *piece) request(ctx context.Context, s *Source, skip int) (done int, err error) {
	span := p.span.From(skip)
	// The bytes in front of the range are cut off here: the reader can then open
	// every segment in place.
	drop := span.Skip
	span.Skip, span.Plain = 0, span.Plain+int64(drop)

	sealed, err := s.Blobs.Get(ctx, p.chunk.Ref, span.Off, span.Len)
	if errors.Is(err, cloud.ErrNotFound) {
		return 0, fmt.Errorf("%w: %v", ErrMissing, err)
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = sealed.Close() }() // all that matters was read, or not
	r := p.opened.Range(span, sealed)
	for done < span.Segments {
		seg := s.newSegment()
		n, err := r.Read(seg.buf[:]) // one segment, as there is room for one
		if err != nil {
			s.pool.Put(seg)
			if f, ok := s.Blobs.(blob.Forgetter); ok && errors.Is(err, cloud.ErrCorrupt) {
				f.Forget(p.chunk.Ref, span.Off, span.Len) // else it would come again
			}
			return done, err
		}
		seg.plain = seg.buf[drop:n]
		drop = 0
		p.segments <- seg // never waits
		done++
	}
	// At its end a transfer leaves its connection to the next one. What else may
	// come of this read matters to nobody: all that was asked for is here.
	_, _ = r.Read(make([]byte, 1))
	return done, nil
}
