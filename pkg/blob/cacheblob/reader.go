package cacheblob

import (
	"context"
	"errors"
	"fmt"
	"io"

	"discordcloud/pkg/cloud"
)

// reader gives one part of a blob: from disk, and where that ends from the store,
// up to what is on disk again.
type reader struct {
	cache *Cache
	ctx   context.Context // of the Get: the reader is its stream
	ref   cloud.Ref
	pos   int64 // of the next byte
	end   int64

	block []byte        // of the block that holds pos, as far as it is known
	at    int64         // where the block begins
	from  io.ReadCloser // gives what follows the known; nil if it is not needed yet
	stop  int64         // where from ends
	fresh bool          // the block has grown
	err   error
}

// errFront is an end in front of the part that was asked for: the store is to
// say itself what it thinks of that.
var errFront = errors.New("the blob ends, or breaks off, in front of the part")

// begin finds the first byte, so that what is wrong with the whole is told at
// once.
func (r *reader) begin() error {
	r.enter()
	if r.known() {
		return nil
	}
	if err := r.open(); err != nil {
		if errors.Is(err, cloud.ErrInvalid) {
			return errFront
		}
		return err
	}
	for r.at+int64(len(r.block)) < r.pos {
		if err := r.grow(); err != nil {
			if r.ctx.Err() != nil {
				return context.Cause(r.ctx)
			}
			return errFront
		}
	}
	return nil
}

// enter loads what is kept of the block that holds pos.
func (r *reader) enter() {
	if r.block == nil {
		r.block = make([]byte, 0, BlockSize)
	}
	r.at = r.pos / BlockSize * BlockSize
	r.fresh = false
	if r.from == nil {
		r.block = r.cache.load(keyOf(r.ref, r.at/BlockSize), r.block[:0])
	} else {
		r.block = r.block[:0]
	}
}

// known tells that the byte at pos is in the block.
func (r *reader) known() bool { return r.pos < r.at+int64(len(r.block)) }

// open asks the store for what follows the known part of the block, up to the
// next block that is on disk.
func (r *reader) open() error {
	start := r.at + int64(len(r.block))
	r.stop = r.end
	for next := r.at + BlockSize; next < r.end; next += BlockSize {
		if n := int64(r.cache.length(keyOf(r.ref, next/BlockSize))); n >= min(BlockSize, r.end-next) {
			r.stop = next
			break
		}
	}
	r.cache.missed()
	from, err := r.cache.next.Get(r.ctx, r.ref, start, r.stop-start)
	if err != nil {
		return err
	}
	r.from = from
	return nil
}

func (c *Cache) missed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Misses++
}

// grow reads more of the block.
func (r *reader) grow() error {
	room := min(r.at+BlockSize, r.stop) - r.at
	n, err := r.from.Read(r.block[len(r.block):room])
	r.block = r.block[:len(r.block)+n]
	r.fresh = r.fresh || n > 0
	if n > 0 {
		return nil // an error comes again
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Read gives what is known of the block, or waits for more.
func (r *reader) Read(p []byte) (int, error) {
	for r.err == nil && r.pos < r.end && len(p) > 0 {
		if r.ctx.Err() != nil {
			r.err = fmt.Errorf("read: %w", context.Cause(r.ctx))
			break
		}
		if r.known() {
			n := copy(p, r.block[r.pos-r.at:min(int64(len(r.block)), r.end-r.at)])
			r.pos += int64(n)
			if r.pos == r.end || r.pos == r.at+BlockSize {
				r.leave()
			}
			return n, nil
		}
		switch {
		case r.from != nil && r.pos < r.stop:
			if r.pos >= r.at+BlockSize {
				r.enter()
			}
			r.err = r.grow()
		default:
			if r.from != nil {
				_ = r.from.Close() // all of it was read
				r.from = nil
			}
			if r.pos >= r.at+BlockSize {
				r.enter()
			}
			if !r.known() {
				r.err = r.open()
			}
		}
		if r.err != nil && !errors.Is(r.err, io.ErrUnexpectedEOF) && r.ctx.Err() == nil {
			r.err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, r.err)
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	return 0, io.EOF
}

// leave keeps the block that was read to its end, or as far as was asked for.
func (r *reader) leave() {
	if r.fresh {
		r.cache.store(keyOf(r.ref, r.at/BlockSize), r.block)
	}
	r.fresh = false
}

// Close gives up what was not read.
func (r *reader) Close() error {
	if r.err == nil {
		r.err = errors.New("read after Close")
	}
	if r.from == nil {
		return nil
	}
	err := r.from.Close()
	r.from = nil
	return err
}
