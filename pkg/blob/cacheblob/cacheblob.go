// Package cacheblob is a blob.Store in front of another that keeps what was read
// on disk, within a bound, so that a second look and a seek back are local.
//
// It keeps sealed bytes as they come, in blocks, and knows nothing of what they
// mean: whoever opens them finds damage by their tags, and has it forgotten by
// Forget. What lies on disk tells as little as what lies in the store.
//
// # Why
//
// Blocks begin at multiples of BlockSize and are kept as far as they were read:
// a reader that goes on where another ended fetches nothing twice, and a lone
// seek fetches at most one block more than it wants. Files are not synced, and
// not trusted: a sum in each finds those that a crash tore. They are written
// whole and then named, so that no reader sees half of one.
package cacheblob

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
)

// BlockSize is what is kept as one file, at most, in bytes: four segments as they
// are sealed.
const BlockSize = 4 * (64<<10 + 16)

// Options say what is cached where.
type Options struct {
	Store blob.Store
	Dir   string // is made, and belongs to the cache alone
	Size  int64  // of all files, in bytes; at least one block's
	Log   *slog.Logger
}

// Cache is a blob.Store that remembers. It is safe for concurrent use; a Dir has
// one Cache at a time.
type Cache struct {
	next blob.Store
	dir  string
	most int64
	log  *slog.Logger

	mu     sync.Mutex
	blocks map[key]*list.Element // the values are *block
	recent *list.List            // most recently used first
	size   int64                 // of all files
	counts Counts
	sick   bool // the disk failed, and it was told
}

// Counts are what a cache has done, and holds.
type Counts struct {
	Hits      int64 `json:"hits"`   // blocks read from disk
	Misses    int64 `json:"misses"` // requests to the store
	Stored    int64 `json:"stored"` // blocks written
	Evicted   int64 `json:"evicted"`
	Forgotten int64 `json:"forgotten"` // because they were damaged, or their blob deleted
	Blocks    int   `json:"blocks"`
	Bytes     int64 `json:"bytes"` // of all files
}

// key is a sum over the ref, so that the names of blobs stay off the disk, and
// the block's number.
type key [sha256.Size]byte

type block struct {
	key     key
	name    string
	length  int // bytes of the block that are kept, from its begin
	touched time.Time
}

func (b *block) fileSize() int64 { return int64(headerSize + b.length) }

var (
	_ blob.Store      = (*Cache)(nil)
	_ blob.Forgetter  = (*Cache)(nil)
	_ blob.Prefetcher = (*Cache)(nil)
)

// Open makes the directory, or goes on with what is in it.
func Open(opt Options) (*Cache, error) {
	if opt.Store == nil || opt.Dir == "" || opt.Size < int64(headerSize)+BlockSize {
		return nil, fmt.Errorf("open cache: %w: a store, a directory and room for a block are needed", cloud.ErrInvalid)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cache{
		next: opt.Store, dir: opt.Dir, most: opt.Size, log: opt.Log,
		blocks: make(map[key]*list.Element), recent: list.New(),
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	found, err := c.scan()
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	for _, b := range found { // oldest first
		c.add(b)
	}
	return c, nil
}

// Put stores body; it is not cached before it is read.
func (c *Cache) Put(ctx context.Context, body blob.Body) (cloud.Ref, error) {
	return c.next.Put(ctx, body)
}

// Delete removes the blobs, and what is kept of them.
func (c *Cache) Delete(ctx context.Context, refs ...cloud.Ref) error {
	for _, ref := range refs {
		c.forget(ref, 0, -1)
	}
	return c.next.Delete(ctx, refs...)
}

// Forget drops what is kept of n bytes from off, and so does the store behind if
// it can.
func (c *Cache) Forget(ref cloud.Ref, off, n int64) {
	c.forget(ref, off, n)
	if f, ok := c.next.(blob.Forgetter); ok {
		f.Forget(ref, off, n)
	}
}

// mostBlocks bounds the search for the blocks of a blob whose length is not known:
// of the largest attachment that Discord has ever taken.
const mostBlocks = (500<<20)/BlockSize + 1

func (c *Cache) forget(ref cloud.Ref, off, n int64) {
	first, last := off/BlockSize, int64(mostBlocks)
	if n >= 0 {
		last = (off + max(n, 1) - 1) / BlockSize
	}
	k := keyOf(ref, 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := first; i <= last && c.recent.Len() > 0; i++ {
		if e, ok := c.blocks[k.at(i)]; ok {
			c.counts.Forgotten++
			c.drop(e)
		}
	}
}

// Prefetch tells the store behind.
func (c *Cache) Prefetch(refs ...cloud.Ref) {
	if p, ok := c.next.(blob.Prefetcher); ok {
		p.Prefetch(refs...)
	}
}

// Get reads a part of a blob, from disk as far as it is there. See blob.Store.
func (c *Cache) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	if ref.IsZero() || off < 0 || n <= 0 || n > 1<<62-off {
		return c.next.Get(ctx, ref, off, n) // to the end of what nobody knows the length of, or a mistake
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("get: %w", context.Cause(ctx))
	}
	r := &reader{cache: c, ctx: ctx, ref: ref, pos: off, end: off + n}
	if err := r.begin(); err != nil {
		_ = r.Close() // it holds nothing
		if !errors.Is(err, errFront) {
			return nil, err
		}
		return c.next.Get(ctx, ref, off, n)
	}
	return r, nil
}

// State is a copy of the counts.
func (c *Cache) State() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.counts
	s.Blocks, s.Bytes = c.recent.Len(), c.size
	return s
}

func keyOf(ref cloud.Ref, number int64) key {
	b := make([]byte, 0, 96)
	for _, s := range []string{ref.Channel, ref.Message, ref.Attachment} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return key(sha256.Sum256(b)).at(number)
}

func (k key) at(number int64) key {
	binary.LittleEndian.PutUint32(k[len(k)-4:], uint32(number))
	return k
}

// length is how much of a block is kept.
func (c *Cache) length(k key) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.blocks[k]; ok {
		return e.Value.(*block).length
	}
	return 0
}

// load appends to b what is kept of a block. A file that is not whole is gone
// after that.
func (c *Cache) load(k key, b []byte) []byte {
	c.mu.Lock()
	e, ok := c.blocks[k]
	if !ok {
		c.mu.Unlock()
		return b
	}
	bl := e.Value.(*block)
	c.recent.MoveToFront(e)
	touch := time.Since(bl.touched) > touchEvery
	if touch {
		bl.touched = time.Now()
	}
	name, length := bl.name, bl.length
	c.mu.Unlock()

	got, err := readBlock(filepath.Join(c.dir, name), k, length, b)
	if err == nil && touch {
		now := time.Now()
		_ = os.Chtimes(filepath.Join(c.dir, name), now, now) // it is only a little older than it was
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.counts.Hits++
		return got
	}
	if e, ok := c.blocks[k]; ok && e.Value.(*block).name == name { // it has not been replaced meanwhile
		c.counts.Forgotten++
		c.drop(e)
		c.log.Warn("cached block is damaged, and forgotten", "err", err)
	}
	return b
}

// store keeps a block, if that is more than what is kept.
func (c *Cache) store(k key, data []byte) {
	if c.length(k) >= len(data) {
		return
	}
	name, err := writeBlock(c.dir, k, data)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if !c.sick {
			c.log.Warn("cache cannot be written", "err", err)
		}
		c.sick = true
		return
	}
	c.sick = false
	c.counts.Stored++
	c.add(&block{key: k, name: name, length: len(data), touched: time.Now()})
}

// add takes a block in place of what was kept of it, and makes room. The caller
// holds mu.
func (c *Cache) add(b *block) {
	if e, ok := c.blocks[b.key]; ok {
		if e.Value.(*block).length >= b.length {
			c.remove(b)
			return
		}
		c.drop(e)
	}
	c.blocks[b.key] = c.recent.PushFront(b)
	c.size += b.fileSize()
	for c.size > c.most {
		c.counts.Evicted++
		c.drop(c.recent.Back())
	}
}

// drop forgets a block. Who reads its file meanwhile reads it to its end. The
// caller holds mu.
func (c *Cache) drop(e *list.Element) {
	b := c.recent.Remove(e).(*block)
	delete(c.blocks, b.key)
	c.size -= b.fileSize()
	c.remove(b)
}

func (c *Cache) remove(b *block) {
	if err := os.Remove(filepath.Join(c.dir, b.name)); err != nil && !os.IsNotExist(err) {
		c.log.Warn("cached block not removed", "err", err)
	}
}
