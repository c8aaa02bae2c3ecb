// Package memblob is a blob.Store in memory, whose faults can be set. It serves
// tests: it keeps the contract of blob.Store, and breaks it on demand only.
package memblob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
)

var _ blob.Store = (*Store)(nil)

// Op is one of the calls of a store.
type Op int

// The calls of a store.
const (
	Put Op = iota
	Get
	Delete
	ops
)

// Store keeps blobs in a map. It is safe for concurrent use.
type Store struct {
	mu    sync.Mutex
	blobs map[cloud.Ref][]byte // a stored slice is never written to
	last  int                  // number of the newest blob
	calls [ops]int
	fails [ops][]error
	delay [ops]time.Duration
	cut   []int64 // for the next Gets: bytes after which the reader ends
	flip  []int64 // for the next Gets: bit of the answer to flip
}

// New returns an empty store.
func New() *Store { return &Store{blobs: map[cloud.Ref][]byte{}} }

// FailNext makes the next n calls of op return err.
func (s *Store) FailNext(op Op, n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.fails[op] = append(s.fails[op], err)
	}
}

// Delay makes each call of op wait for d, or for its context, before it
// does anything.
func (s *Store) Delay(op Op, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay[op] = d
}

// CutNext makes the readers of the next n successful Gets end early, after
// size bytes, with io.ErrUnexpectedEOF.
func (s *Store) CutNext(n int, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.cut = append(s.cut, size)
	}
}

// FlipNext makes the next n successful Gets answer with one bit altered: that
// of the answer's byte at off, which must be in it to have an effect.
func (s *Store) FlipNext(n int, off int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.flip = append(s.flip, off)
	}
}

// Corrupt flips the lowest bit of the byte at off of a stored blob, for good:
// or until it is called again. It panics if there is no such byte.
func (s *Store) Corrupt(ref cloud.Ref, off int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := bytes.Clone(s.blobs[ref])
	b[off] ^= 1
	s.blobs[ref] = b
}

// Truncate drops what a stored blob has from size on. It panics if the blob is
// shorter.
func (s *Store) Truncate(ref cloud.Ref, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[ref] = s.blobs[ref][:size:size]
}

// Calls is how often op was called.
func (s *Store) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Len is the number of blobs in the store.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.blobs)
}

// begin counts a call of op and lets it meet its delay and its fault.
func (s *Store) begin(ctx context.Context, op Op) error {
	s.mu.Lock()
	s.calls[op]++
	delay := s.delay[op]
	var err error
	if len(s.fails[op]) > 0 {
		err, s.fails[op] = s.fails[op][0], s.fails[op][1:]
	}
	s.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Put stores a copy of body's bytes.
func (s *Store) Put(ctx context.Context, body blob.Body) (cloud.Ref, error) {
	if err := s.begin(ctx, Put); err != nil {
		return cloud.Ref{}, fmt.Errorf("put blob: %w", err)
	}
	b := make([]byte, body.Size())
	r := body.Open()
	if _, err := io.ReadFull(r, b); err != nil {
		return cloud.Ref{}, fmt.Errorf("put blob: read body: %w", err)
	}
	if n, err := io.ReadFull(r, make([]byte, 1)); n > 0 || err != io.EOF {
		return cloud.Ref{}, fmt.Errorf("put blob: %w: body is longer than it says", cloud.ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	// Made up, but of the shape that Discord's have.
	n := strconv.Itoa(s.last)
	ref := cloud.Ref{Channel: "1", Message: "2" + n, Attachment: "3" + n, Path: "/attachments/1/3" + n + "/blob"}
	s.blobs[ref] = b
	return ref, nil
}

// Get reads from a blob as it was when Get was called.
func (s *Store) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	if err := s.begin(ctx, Get); err != nil {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.blobs[ref]
	if !ok {
		return nil, fmt.Errorf("get blob: %w", cloud.ErrNotFound)
	}
	size := int64(len(b))
	if off < 0 || off > size || off == size && n > 0 {
		return nil, fmt.Errorf("get blob: %w: offset %d of %d bytes", cloud.ErrInvalid, off, size)
	}
	b = b[off:]
	end := io.EOF
	switch {
	case n > int64(len(b)):
		end = io.ErrUnexpectedEOF
	case n >= 0:
		b = b[:n]
	}
	if len(s.flip) > 0 {
		if i := s.flip[0]; i < int64(len(b)) {
			b = bytes.Clone(b)
			b[i] ^= 1
		}
		s.flip = s.flip[1:]
	}
	if len(s.cut) > 0 {
		if s.cut[0] < int64(len(b)) {
			b, end = b[:s.cut[0]], io.ErrUnexpectedEOF
		}
		s.cut = s.cut[1:]
	}
	return &reader{ctx: ctx, b: b, end: end}, nil
}

// Delete removes the blobs.
func (s *Store) Delete(ctx context.Context, refs ...cloud.Ref) error {
	if err := s.begin(ctx, Delete); err != nil {
		return fmt.Errorf("delete blobs: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ref := range refs {
		delete(s.blobs, ref)
	}
	return nil
}

// reader reads one answer. Like a transfer, it ends with its context.
type reader struct {
	ctx context.Context
	b   []byte
	end error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.b) == 0 {
		return 0, r.end
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func (r *reader) Close() error {
	r.b, r.end = nil, fmt.Errorf("%w: read after close", cloud.ErrInvalid)
	return nil
}
