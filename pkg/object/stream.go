package object

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

// stream reads one range. Pieces are planned and begun by the reader's own
// calls; only fetching is done elsewhere. So whoever stops reading stops the
// reading ahead too, after a window of pieces.
type stream struct {
	src    *Source
	id     cloud.ObjectID
	size   int64
	ctx    context.Context // the stream is the call: it ends with Close
	cancel context.CancelCauseFunc
	fetch  sync.WaitGroup

	mu sync.Mutex // held by Read, WriteTo and Close

	pos, end int64         // plain bytes of the object that no piece covers yet
	chunks   []cloud.Chunk // that follow the open one
	listed   int64         // plain bytes of the object up to which chunks were asked for
	chunk    cloud.Chunk   // that covers pos, if opened is not nil
	opened   *crypt.Chunk
	piece    int64 // plain bytes of the next piece
	window   int   // pieces at a time
	waited   bool  // for a segment of queue[0]
	planErr  error // to be told once the pieces are read

	queue []*piece // in order; the first is being read
	cur   *segment // being read, of queue[0]
	err   error
}

func newStream(ctx context.Context, src *Source, id cloud.ObjectID, size, off, n int64) *stream {
	s := &stream{
		src: src, id: id, size: size, pos: off, end: off + n, listed: off,
		piece:  min(firstPiece, src.pieceSize()),
		window: min(firstWindow, src.parallel()),
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// Read reads what is left of the current segment, or waits for the next.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.advance(); err != nil {
		return 0, err
	}
	n := copy(p, s.cur.plain)
	s.cur.plain = s.cur.plain[n:]
	return n, nil
}

// WriteTo writes what is left of the range, a segment at a time.
func (s *stream) WriteTo(w io.Writer) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var written int64
	for {
		switch err := s.advance(); err {
		case nil:
		case io.EOF:
			return written, nil
		default:
			return written, err
		}
		n, err := w.Write(s.cur.plain)
		written += int64(n)
		s.cur.plain = s.cur.plain[n:]
		if err == nil && len(s.cur.plain) > 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
	}
}

// Close ends all fetching, waits for it, and gives the memory back.
func (s *stream) Close() error {
	s.cancel(fs.ErrClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetch.Wait()
	s.dropCurrent()
	for _, p := range s.queue {
		s.drop(p)
	}
	s.queue, s.err = nil, fs.ErrClosed
	return nil
}

// advance sees to it that cur has bytes to read. Its error is the stream's end.
func (s *stream) advance() error {
	if s.err != nil {
		return s.err
	}
	if s.cur != nil && len(s.cur.plain) > 0 {
		return nil
	}
	s.dropCurrent()
	if s.err = s.next(); s.err != nil {
		s.cancel(s.err) // nothing else will be read
	}
	return s.err
}

// next waits for the next segment.
func (s *stream) next() error {
	for {
		if s.planErr == nil {
			s.planErr = s.fill()
		}
		if len(s.queue) == 0 {
			if s.planErr != nil {
				return s.planErr
			}
			return io.EOF // fill has nothing left to begin
		}
		p := s.queue[0]
		seg, ok, err := s.receive(p)
		if err != nil {
			return err
		}
		if ok {
			s.cur = seg
			return nil
		}
		s.queue = s.queue[1:]
		s.drop(p)
		if p.err != nil {
			return fmt.Errorf("read chunk %d of object %s: %w", p.chunk.Index, s.id, p.err)
		}
		s.adapt()
	}
}

// receive waits for a segment of p; false when p has no more.
func (s *stream) receive(p *piece) (seg *segment, ok bool, err error) {
	select {
	case seg, ok = <-p.segments:
		return seg, ok, nil
	default:
	}
	s.waited = true
	select {
	case seg, ok = <-p.segments:
		return seg, ok, nil
	case <-s.ctx.Done():
		return nil, false, fmt.Errorf("read object %s: %w", s.id, context.Cause(s.ctx))
	}
}

// adapt fits the window to the reader, once for each piece that it has read. One
// who had to wait takes more than comes: what is under way at a time is doubled,
// until it is what the line holds. One who finds everything there, to the last
// piece, takes less.
func (s *stream) adapt() {
	switch {
	case s.waited:
		s.window = min(2*s.window, s.src.parallel())
	case len(s.queue) > firstWindow && s.queue[len(s.queue)-1].fetched():
		s.window = max(s.window-1, firstWindow)
	}
	s.waited = false
}

// fill begins pieces as far as window and memory allow, and at least one unless
// the range is at its end.
func (s *stream) fill() error {
	for len(s.queue) < s.window && s.pos < s.end {
		if s.ctx.Err() != nil {
			return fmt.Errorf("read object %s: %w", s.id, context.Cause(s.ctx))
		}
		if err := s.openChunk(); err != nil {
			return fmt.Errorf("read object %s: %w", s.id, err)
		}
		p, err := s.plan(s.piece)
		if err != nil {
			return fmt.Errorf("read chunk %d of object %s: %w", s.chunk.Index, s.id, err)
		}
		if s.src.memory.tryAcquire(int64(p.span.Segments)*chunk.SegmentSealed, len(s.queue) >= fairWindow) {
			p.acquired = p.span.Segments
		} else if len(s.queue) > 0 {
			return nil
		} else if p, err = s.plan(min(s.piece, firstPiece)); err != nil {
			return fmt.Errorf("read chunk %d of object %s: %w", s.chunk.Index, s.id, err)
		}
		s.pos += p.span.Plain
		s.piece = min(2*s.piece, s.src.pieceSize())
		s.queue = append(s.queue, p)
		s.fetch.Go(func() { p.fetch(s.ctx, s.src) })
	}
	return nil
}

// openChunk makes chunk the one that covers pos.
func (s *stream) openChunk() error {
	if s.opened != nil && s.pos < s.chunk.End() {
		return nil
	}
	if len(s.chunks) <= page/2 && s.listed < s.end {
		if err := s.list(); err != nil {
			return err
		}
	}
	if len(s.chunks) == 0 {
		return fmt.Errorf("%w: no chunk at %d", cloud.ErrCorrupt, s.pos)
	}
	c := s.chunks[0]
	if c.Offset > s.pos || c.End() <= s.pos || c.End() > s.size {
		return fmt.Errorf("%w: no chunk at %d, but one of [%d, %d)", cloud.ErrCorrupt, s.pos, c.Offset, c.End())
	}
	key, err := s.src.Key(s.id, c)
	if err != nil {
		return fmt.Errorf("key of chunk %d: %w", c.Index, err)
	}
	opened, err := crypt.OpenChunk(key, s.id, c, s.size)
	if err != nil {
		return fmt.Errorf("chunk %d: %w", c.Index, err)
	}
	s.chunk, s.opened, s.chunks = c, opened, s.chunks[1:]
	return nil
}

// list asks for the chunks that follow those that are known: half a page before the
// first of them is needed.
func (s *stream) list() error {
	// A short range asks for what it may need, should chunks be small.
	most := min(page, (s.end-s.listed)/smallChunk+2)
	chunks, err := s.src.Chunks.Chunks(s.ctx, s.id, s.listed, int(most))
	if err != nil {
		return fmt.Errorf("find the chunk at %d: %w", s.listed, err)
	}
	s.take(chunks)
	return nil
}

// take adds the chunks that follow those that are known, and tells the store of them.
func (s *stream) take(chunks []cloud.Chunk) {
	if n := len(chunks); n > 0 {
		s.listed = chunks[n-1].End()
	} else {
		s.listed = s.end // it ends there, and is found to when that is read
	}
	for len(chunks) > 0 && chunks[len(chunks)-1].Offset >= s.end {
		chunks = chunks[:len(chunks)-1]
	}
	s.chunks = append(s.chunks, chunks...)
	if p, ok := s.src.Blobs.(blob.Prefetcher); ok && len(chunks) > 0 {
		refs := make([]cloud.Ref, len(chunks))
		for i, c := range chunks {
			refs[i] = c.Ref
		}
		p.Prefetch(refs...)
	}
}

// plan is the piece at pos, which ends with a segment, the chunk or the range.
func (s *stream) plan(size int64) (*piece, error) {
	off := s.pos - s.chunk.Offset
	n := min(size-off%chunk.Segment, s.chunk.Size-off, s.end-s.pos)
	span, err := chunk.Range(s.chunk, off, n)
	if err != nil {
		return nil, err
	}
	return &piece{
		chunk: s.chunk, opened: s.opened, span: span,
		segments: make(chan *segment, span.Segments),
	}, nil
}

// dropCurrent gives back the segment that was read.
func (s *stream) dropCurrent() {
	if s.cur == nil {
		return
	}
	s.src.pool.Put(s.cur)
	s.cur = nil
	if p := s.queue[0]; p.acquired > 0 {
		p.acquired--
		s.src.memory.release(chunk.SegmentSealed)
	}
}

// drop gives back what a piece holds whose fetching has ended.
func (s *stream) drop(p *piece) {
	for seg := range p.segments {
		s.src.pool.Put(seg)
	}
	s.src.memory.release(int64(p.acquired) * chunk.SegmentSealed)
	p.acquired = 0
}
