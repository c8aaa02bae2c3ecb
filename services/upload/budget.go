package upload

import (
	"context"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"discordcloud/pkg/cloud"
)

// budget hands out the buffers that parts are read into, and never has more
// than its total of them, those that are free for reuse included. It is safe
// for concurrent use.
type budget struct {
	total int64
	used  *semaphore.Weighted // first come, first served
	// strangers bounds what parts hold whose upload is not known yet. Whoever
	// reaches the port may send such a part, and must not get it all.
	strangers *semaphore.Weighted
	longest   time.Duration // to wait for a buffer

	mu    sync.Mutex
	spare map[int64][][]byte // by size
	made  int64              // bytes of all buffers, used and spare
}

// block is what the sizes of buffers are multiples of.
const block = 64 << 10

func newBudget(total int64, longest time.Duration) *budget {
	return &budget{
		total: total, longest: longest,
		used:      semaphore.NewWeighted(total),
		strangers: semaphore.NewWeighted(total / 2),
		spare:     make(map[int64][][]byte),
	}
}

// fits tells whether a part of n bytes can ever be read.
func (b *budget) fits(n int64) bool { return roomFor(n) <= b.total }

// roomFor is the size of the buffer for n bytes: of few classes, so that
// buffers are used again, and at most a quarter too large.
func roomFor(n int64) int64 {
	step := max(block, int64(1)<<max(0, bits.Len64(uint64(max(n, 1)-1))-3))
	return (max(n, 1) + step - 1) / step * step
}

// buffer is memory on loan.
type buffer struct {
	b       []byte
	from    *budget
	strange int64 // of it, what counts as a stranger's
}

// take lends a buffer of at least n bytes, after waiting for one as long as it
// takes, but not longer than b.longest: ErrUnavailable then. ErrTooLarge if
// there will never be one.
func (b *budget) take(ctx context.Context, n int64, stranger bool) (*buffer, error) {
	size := roomFor(n)
	if size > b.total {
		return nil, fmt.Errorf("%w: no buffer has %d bytes", cloud.ErrTooLarge, n)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.longest, errBusy)
	defer cancel()
	var strange int64
	if stranger {
		strange = min(size, b.total/2) // one that is larger has to be alone
		if b.strangers.Acquire(ctx, strange) != nil {
			return nil, context.Cause(ctx)
		}
	}
	if b.used.Acquire(ctx, size) != nil {
		b.strangers.Release(strange)
		return nil, context.Cause(ctx)
	}
	return &buffer{b: b.get(size), from: b, strange: strange}, nil
}

func (b *budget) get(size int64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if same := b.spare[size]; len(same) > 0 {
		last := len(same) - 1
		p := same[last]
		same[last] = nil
		b.spare[size] = same[:last]
		return p
	}
	for other, bufs := range b.spare { // make room: used bytes leave enough of it
		for len(bufs) > 0 && b.made+size > b.total {
			bufs = bufs[:len(bufs)-1]
			b.made -= other
		}
		if b.spare[other] = bufs; len(bufs) == 0 {
			delete(b.spare, other)
		}
	}
	b.made += size
	return make([]byte, size)
}

// release gives the buffer back. Nothing may use its bytes any more.
func (p *buffer) release() {
	b, size := p.from, int64(len(p.b))
	b.mu.Lock()
	b.spare[size] = append(b.spare[size], p.b)
	b.mu.Unlock()
	p.b = nil
	b.used.Release(size)
	b.strangers.Release(p.strange)
}

// trim lets the garbage collector have the buffers that nobody uses.
func (b *budget) trim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for size, bufs := range b.spare {
		b.made -= size * int64(len(bufs))
	}
	clear(b.spare)
}
