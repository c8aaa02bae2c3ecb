// Package object reads the plain bytes of objects out of a blob.Store: any range,
// in order, ahead of its reader. Which objects there are, who may read them and
// how a range is asked for is known elsewhere; so is sealing (pkg/crypt) and the
// way of a range to its segments (pkg/chunk).
package object

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/retry"
)

// Chunks gives the chunks of an object in order of Offset, at most max of them,
// starting with the one that covers the plain byte at off.
type Chunks interface {
	Chunks(ctx context.Context, id cloud.ObjectID, off int64, max int) ([]cloud.Chunk, error)
}

// Limits bounds how far a stream reads ahead. The zero value of each field is
// its default.
type Limits struct {
	// Piece is how many plain bytes one request asks for, at most: 1 MiB by
	// default. It is rounded up to whole segments. The first pieces of a stream
	// are smaller, so that its first byte does not wait long.
	Piece int64
	// Parallel is how many pieces of one stream are held or fetched at a time, at
	// most: 16 by default. A stream begins with 2, and has more under way as long as
	// its reader waits for them: what it takes is bandwidth times latency.
	Parallel int
	// Memory is shared by all streams: 64 MiB by default. See Budget.
	Memory *Budget
}

const (
	defaultPiece    = 1 << 20
	defaultParallel = 16
	defaultMemory   = 64 << 20
	defaultRetries  = 4
	// firstPiece is what a stream starts with, and what it may hold beyond the
	// budget.
	firstPiece = 256 << 10
	// firstWindow is how many pieces a stream begins with, and has in any case;
	// beyond fairWindow it leaves half of the budget to others.
	firstWindow = 2
	fairWindow  = 4
	// page is how many chunks are asked for at a time: as many as Discord refreshes
	// the links of in one call.
	page = 50
	// smallChunk is a size that chunks of long objects hardly go below.
	smallChunk = chunk.Leaf
)

// Source opens objects. Its fields are set before the first Open and not
// changed later; it must not be copied after that. It is safe for concurrent use.
type Source struct {
	Blobs  blob.Store
	Chunks Chunks
	// Key gives the object's key for a chunk, crypt.ErrNoKey if there is none.
	// See RingKeys.
	Key       func(id cloud.ObjectID, c cloud.Chunk) (crypt.ObjectKey, error)
	ReadAhead Limits
	// Retries is how often a piece is asked for again, 4 times by default; below
	// 0 never. Unavailable stores, short answers and damaged bytes are worth it:
	// a cache or a line in between may have damaged them.
	Retries int

	once   sync.Once
	memory *Budget
	pool   sync.Pool // of *segment
}

// RingKeys is the Key of a Source that holds the master keys: the ring's key that
// opens the chunk's header.
func RingKeys(ring crypt.Ring) func(cloud.ObjectID, cloud.Chunk) (crypt.ObjectKey, error) {
	return ring.FindChunkKey
}

// Open reads the plain bytes [off, off+n) of an object of size bytes; n < 0
// reads to its end. ErrInvalid if that is outside the object. A missing
// chunk row is told at once, all else by the reader.
//
// The reader gives only bytes whose tags held. It ends with io.EOF behind the
// last byte of the range and nowhere before: an object that is not whole ends
// with an error, cloud.ErrCorrupt or the store's own. It is an io.WriterTo, and
// not safe for concurrent use, save that Close may interrupt a Read that
// waits. It fetches ahead until it is closed or ctx ends; Close returns when
// all it started has ended. A seek is another Open. Chunks that are known, from
// Locate, are not asked for again.
func (s *Source) Open(ctx context.Context, id cloud.ObjectID, size, off, n int64, known ...cloud.Chunk) (io.ReadCloser, error) {
	if n < 0 {
		n = size - off
	}
	if off < 0 || n < 0 || off > size || n > size-off {
		return nil, fmt.Errorf("open object %s: %w: %d bytes from %d of %d", id, cloud.ErrInvalid, n, off, size)
	}
	s.once.Do(func() {
		if s.memory = s.ReadAhead.Memory; s.memory == nil {
			s.memory = NewBudget(defaultMemory)
		}
	})
	st := newStream(ctx, s, id, size, off, n)
	if i := slices.IndexFunc(known, func(c cloud.Chunk) bool { return c.Offset <= off && off < c.End() }); i >= 0 {
		st.take(known[i:])
	}
	if err := st.fill(); err != nil {
		_ = st.Close() // it never fails
		return nil, err
	}
	return st, nil
}

// Locate gives the first chunks that a stream from off asks for.
func (s *Source) Locate(ctx context.Context, id cloud.ObjectID, off int64) ([]cloud.Chunk, error) {
	return s.Chunks.Chunks(ctx, id, off, page)
}

func (s *Source) parallel() int {
	if s.ReadAhead.Parallel > 0 {
		return s.ReadAhead.Parallel
	}
	return defaultParallel
}

func (s *Source) pieceSize() int64 {
	piece := s.ReadAhead.Piece
	if piece <= 0 {
		piece = defaultPiece
	}
	return (piece + chunk.Segment - 1) / chunk.Segment * chunk.Segment
}

func (s *Source) retries() retry.Policy {
	p := retry.Default()
	p.First, p.Most = 100*time.Millisecond, 5*time.Second
	switch {
	case s.Retries > 0:
		p.Tries = s.Retries + 1
	case s.Retries < 0:
		p.Tries = 1
	default:
		p.Tries = defaultRetries + 1
	}
	return p
}

// segment is room for one segment as it is stored, and for what it opens to.
type segment struct {
	buf   [chunk.SegmentSealed]byte
	plain []byte // of buf
}

func (s *Source) newSegment() *segment {
	if seg, ok := s.pool.Get().(*segment); ok {
		return seg
	}
	return new(segment)
}
