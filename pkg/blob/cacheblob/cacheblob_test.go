package cacheblob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/cacheblob"
	"discordcloud/pkg/blob/memblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/object"
)

const size = cacheblob.BlockSize

// counted is a store that counts what is read of it.
type counted struct {
	blob.Store
	gets, bytes atomic.Int64
}

func (c *counted) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	c.gets.Add(1)
	r, err := c.Store.Get(ctx, ref, off, n)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r, counter{&c.bytes}), r}, nil
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

func open(t testing.TB, next blob.Store, dir string, bytes int64) *cacheblob.Cache {
	t.Helper()
	c, err := cacheblob.Open(cacheblob.Options{Store: next, Dir: dir, Size: bytes})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t testing.TB, s blob.Store, b []byte) cloud.Ref {
	t.Helper()
	ref, err := s.Put(t.Context(), blobtest.Bytes(b))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func read(t testing.TB, s blob.Store, ref cloud.Ref, off, n int64) ([]byte, error) {
	t.Helper()
	r, err := s.Get(t.Context(), ref, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestCache_Store(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, memblob.New(), t.TempDir(), 10*size) })
}

// Whatever is read in whatever order is right, with a cache that is always
// full.
func TestCache_Random(t *testing.T) {
	seed := uint64(rand.Int64())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	next := &counted{Store: memblob.New()}
	dir := t.TempDir()
	c := open(t, next, dir, 4*size)
	want := make([]byte, 5*size+1234)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	ref := put(t, c, want)
	for i := range 400 {
		off := r.Int64N(int64(len(want)))
		n := 1 + r.Int64N(int64(len(want))-off)
		if i%3 == 0 {
			n = min(n, 1000)
		}
		got, err := read(t, c, ref, off, n)
		if err != nil || !bytes.Equal(got, want[off:off+n]) {
			t.Fatalf("%d bytes from %d: %d bytes, %v", n, off, len(got), err)
		}
		if i%100 == 50 {
			c = open(t, next, dir, 4*size)
		}
	}
	var sum int64
	for _, name := range files(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if s := c.State(); sum != s.Bytes || sum > 4*size || s.Hits == 0 || s.Evicted == 0 {
		t.Errorf("%d bytes on disk, state %+v", sum, s)
	}
}

func TestCache_FetchesNothingTwice(t *testing.T) {
	next := &counted{Store: memblob.New()}
	dir := t.TempDir()
	c := open(t, next, dir, 100*size)
	want := blobtest.Pattern(10*size + 77)
	ref := put(t, c, want)
	fetched := func(what string, most int64, ranges ...[2]int64) {
		t.Helper()
		before := next.bytes.Load()
		for _, r := range ranges {
			if got, err := read(t, c, ref, r[0], r[1]); err != nil || !bytes.Equal(got, want[r[0]:r[0]+r[1]]) {
				t.Fatalf("%s: %d bytes, %v", what, len(got), err)
			}
		}
		if got := next.bytes.Load() - before; got != most {
			t.Errorf("%s: %d bytes fetched, want %d", what, got, most)
		}
	}
	fetched("pieces in order", 3*size+500, [2]int64{0, 1000}, [2]int64{1000, size}, [2]int64{size + 1000, 2*size - 500})
	fetched("the same once more", 0, [2]int64{100, 3 * size})
	fetched("a seek", 700, [2]int64{5*size + 200, 500})
	fetched("a hole", 2*size-500, [2]int64{size, 4*size + 100})
	c = open(t, next, dir, 100*size)
	fetched("after a restart", 0, [2]int64{0, 5 * size})
	fetched("the rest", int64(len(want))-5*size-700, [2]int64{5 * size, int64(len(want)) - 5*size})
	if err := c.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, c, ref, 0, 10); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("Get of a deleted blob = %v", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("%d files are left of it", len(left))
	}
}

// The least recently used goes first.
func TestCache_Evicts(t *testing.T) {
	next := &counted{Store: memblob.New()}
	c := open(t, next, t.TempDir(), 4*size)
	var refs []cloud.Ref
	for range 4 {
		refs = append(refs, put(t, c, blobtest.Pattern(size)))
	}
	for _, i := range []int{0, 1, 2, 0, 3, 0} { // three fit
		if _, err := read(t, c, refs[i], 0, size); err != nil {
			t.Fatal(err)
		}
	}
	if got := next.gets.Load(); got != 4 {
		t.Errorf("%d requests, want 4", got)
	}
	if _, err := read(t, c, refs[1], 0, size); err != nil || next.gets.Load() != 5 {
		t.Errorf("the oldest was kept: %v", err)
	}
}

// Whatever happens to the files, no wrong byte comes of them.
func TestCache_TornFiles(t *testing.T) {
	want := blobtest.Pattern(3 * size)
	for name, damage := range map[string]func(path string, b []byte) error{
		"cut":       func(p string, b []byte) error { return os.Truncate(p, int64(len(b)/2)) },
		"no head":   func(p string, _ []byte) error { return os.Truncate(p, 10) },
		"empty":     func(p string, _ []byte) error { return os.Truncate(p, 0) },
		"longer":    func(p string, b []byte) error { return os.WriteFile(p, append(b, 0), 0o600) },
		"zeros":     func(p string, b []byte) error { clear(b[len(b)/2:]); return os.WriteFile(p, b, 0o600) },
		"flip":      func(p string, b []byte) error { b[len(b)-7] ^= 1; return os.WriteFile(p, b, 0o600) },
		"flip head": func(p string, b []byte) error { b[20] ^= 1; return os.WriteFile(p, b, 0o600) },
		"gone":      func(p string, _ []byte) error { return os.Remove(p) },
		"half made": func(p string, _ []byte) error { return os.Rename(p, p+".new") },
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/restart=%t", name, restart), func(t *testing.T) {
				next := &counted{Store: memblob.New()}
				dir := t.TempDir()
				c := open(t, next, dir, 100*size)
				ref := put(t, c, want)
				if _, err := read(t, c, ref, 0, 3*size); err != nil {
					t.Fatal(err)
				}
				for _, path := range files(t, dir) {
					b, err := os.ReadFile(path)
					if err == nil {
						err = damage(path, b)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if restart {
					c = open(t, next, dir, 100*size)
				}
				for range 2 {
					if got, err := read(t, c, ref, 5, 3*size-5); err != nil || !bytes.Equal(got, want[5:]) {
						t.Fatalf("Get = %d bytes, %v", len(got), err)
					}
				}
				if n := next.gets.Load(); n > 4 || n < 2 && name != "longer" { // once at first, and again for what was damaged
					t.Errorf("%d requests to the store", n)
				}
			})
		}
	}
}

// A directory of something else is not taken for a cache, and not emptied.
func TestOpen_Refuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cacheblob.Open(cacheblob.Options{Store: memblob.New(), Dir: dir, Size: 1 << 30}); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("Open = %v, want ErrInvalid", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if _, err := cacheblob.Open(cacheblob.Options{Store: memblob.New(), Dir: t.TempDir(), Size: 1000}); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("Open with room for nothing = %v, want ErrInvalid", err)
	}
}

func TestCache_Concurrent(t *testing.T) {
	c := open(t, memblob.New(), t.TempDir(), 5*size)
	want := blobtest.Pattern(6 * size)
	ref := put(t, c, want)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for range 40 {
				off := r.Int64N(5 * size)
				n := 1 + r.Int64N(size)
				if got, err := read(t, c, ref, off, n); err != nil || !bytes.Equal(got, want[off:off+n]) {
					t.Errorf("%d bytes from %d: %d bytes, %v", n, off, len(got), err)
				}
				if r.IntN(10) == 0 {
					c.Forget(ref, off, n)
				}
			}
		})
	}
	wg.Wait()
}

// rotten flips a bit of what it gives, as often as it is told to.
type rotten struct {
	blob.Store
	left atomic.Int64
}

func (s *rotten) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	r, err := s.Store.Get(ctx, ref, off, n)
	if err != nil || s.left.Add(-1) < 0 {
		return r, err
	}
	b, err := io.ReadAll(r)
	b[len(b)/2] ^= 4
	return io.NopCloser(bytes.NewReader(b)), errors.Join(err, r.Close())
}

type oneChunk cloud.Chunk

func (c oneChunk) Chunks(context.Context, cloud.ObjectID, int64, int) ([]cloud.Chunk, error) {
	return []cloud.Chunk{cloud.Chunk(c)}, nil
}

// Bytes that came in wrong are kept like others; who opens them has them
// forgotten, and gets them anew.
func TestCache_ReaderHeals(t *testing.T) {
	next := &rotten{Store: memblob.New()}
	c := open(t, next, t.TempDir(), 100*size)
	id := cloud.ObjectID{1}
	key := crypt.Ring{{7}}.ObjectKey(id)
	plain := blobtest.Pattern(3 << 20)
	sealed, err := crypt.Seal(key, id, crypt.Header{Kind: crypt.Data, Final: true, Size: int64(len(plain)), ObjectSize: int64(len(plain))}, nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	row := sealed.Chunk()
	if row.Ref, err = c.Put(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	src := &object.Source{
		Blobs: c, Chunks: oneChunk(row), Key: func(cloud.ObjectID, cloud.Chunk) (crypt.ObjectKey, error) { return key, nil },
	}
	for _, rot := range []int64{2, 0, 1} {
		next.left.Store(rot)
		if rot == 1 {
			c.Forget(row.Ref, 0, -1)
		}
		r, err := src.Open(t.Context(), id, int64(len(plain)), 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
	}
	if s := c.State(); s.Hits == 0 || s.Forgotten == 0 {
		t.Errorf("state %+v", s)
	}
}

func BenchmarkCache(b *testing.B) {
	for _, hit := range []bool{false, true} {
		b.Run(fmt.Sprintf("hit=%t", hit), func(b *testing.B) {
			c := open(b, memblob.New(), b.TempDir(), 64<<20)
			ref := put(b, c, blobtest.Pattern(10<<20))
			b.SetBytes(1 << 20)
			for b.Loop() {
				if !hit {
					c.Forget(ref, 1<<20, 1<<20)
				}
				r, err := c.Get(b.Context(), ref, 1<<20, 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
