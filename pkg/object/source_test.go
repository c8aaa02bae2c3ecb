package object_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/memblob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/object"
)

// chunkSize is that of the test objects: a leaf and a bit, which the reader need
// not mind, so that chunks do not end with pieces.
const chunkSize = chunk.Leaf + 1000

// table is the chunk rows of one object.
type table struct {
	id     cloud.ObjectID
	chunks []cloud.Chunk
	asked  atomic.Int64
	most   int // rows an answer has at most, 0 for all
}

func (t *table) Chunks(ctx context.Context, id cloud.ObjectID, off int64, most int) ([]cloud.Chunk, error) {
	t.asked.Add(1)
	if id != t.id {
		return nil, fmt.Errorf("object %s: %w", id, cloud.ErrNotFound)
	}
	for i, c := range t.chunks {
		if off < c.End() || off == c.Offset {
			rows := t.chunks[i:]
			if t.most > 0 {
				most = min(most, t.most)
			}
			return rows[:min(most, len(rows))], ctx.Err()
		}
	}
	return nil, ctx.Err()
}

type fixture struct {
	*object.Source
	store *memblob.Store
	table *table
	plain []byte
}

// store seals size bytes into a new store, in chunks of chunkSize.
func store(t testing.TB, size int) *fixture {
	t.Helper()
	return storeChunks(t, size, chunkSize)
}

func storeChunks(t testing.TB, size int, chunkSize int64) *fixture {
	t.Helper()
	f := &fixture{
		store: memblob.New(),
		table: &table{id: cloud.ObjectID{1, 2, 3}},
		plain: blobtest.Pattern(size),
	}
	ring := crypt.Ring{{9}, {7}}
	for i := range chunk.Count(int64(size), chunkSize) {
		off, n := chunk.Part(int64(size), chunkSize, i)
		h := crypt.Header{Index: i, Offset: off, ObjectSize: int64(size), Final: off+n == int64(size)}
		var ext []byte
		if i == 0 {
			ext = []byte(`{"name":"n"}`)
		}
		// Every other chunk is of the older key, as after a change of keys.
		key := ring[i%2:].ObjectKey(f.table.id)
		sealed, err := crypt.Seal(key, f.table.id, h, ext, f.plain[off:off+n])
		if err != nil {
			t.Fatal(err)
		}
		c := sealed.Chunk()
		if c.Ref, err = f.store.Put(t.Context(), sealed); err != nil {
			t.Fatal(err)
		}
		f.table.chunks = append(f.table.chunks, c)
	}
	f.Source = &object.Source{Blobs: f.store, Chunks: f.table, Key: object.RingKeys(ring)}
	return f
}

func (f *fixture) open(t testing.TB, off, n int64) io.ReadCloser {
	t.Helper()
	r, err := f.Open(t.Context(), f.table.id, int64(len(f.plain)), off, n)
	if err != nil {
		t.Fatalf("Open(%d, %d): %v", off, n, err)
	}
	return r
}

// read reads a range to its end, and holds its bytes to the plain ones.
func (f *fixture) read(t testing.TB, off, n int64) error {
	t.Helper()
	r := f.open(t, off, n)
	defer r.Close()
	got, err := io.ReadAll(r)
	want := f.plain[off : off+n]
	if !bytes.HasPrefix(want, got) || err == nil && len(got) != len(want) {
		t.Errorf("[%d, +%d): %d bytes that are not those stored (%v)", off, n, len(got), err)
	}
	return err
}

func TestSource(t *testing.T) {
	const c = chunkSize
	for _, size := range []int64{0, 1, c - 1, c, c + 1, 2 * c, 2*c + 500} {
		f := store(t, int(size))
		f.table.most = 1
		for _, piece := range []int64{1, chunk.Segment, 1 << 20} {
			f.ReadAhead.Piece = piece
			for _, off := range []int64{0, 1, 65535, 65536, c - 1, c, c + 1, 2 * c, size - 1, size} {
				for _, n := range []int64{0, 1, 512, c - 1, c, c + 1, size - off} {
					if off < 0 || n < 0 || off+n > size {
						continue
					}
					if err := f.read(t, off, n); err != nil {
						t.Fatalf("%d bytes, piece %d, [%d, +%d): %v", size, piece, off, n, err)
					}
				}
			}
		}
		r := f.open(t, 0, -1)
		if err := iotest.TestReader(r, f.plain); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestSource_WriteTo(t *testing.T) {
	f := store(t, 3*chunkSize)
	for _, off := range []int64{0, 70_000} {
		r := f.open(t, off, -1)
		if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		n, err := r.(io.WriterTo).WriteTo(&got)
		if want := f.plain[off+100:]; err != nil || n != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("WriteTo from %d = %d, %v, want %d", off, n, err, len(want))
		}
		_ = r.Close()
	}
	r := f.open(t, 0, -1)
	defer r.Close()
	full := errors.New("full")
	if _, err := r.(io.WriterTo).WriteTo(failing{full}); err != full {
		t.Errorf("WriteTo a failing writer = %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Chunks that are known are not asked for; those of another place are no use.
func TestSource_Locate(t *testing.T) {
	f := store(t, 5*chunkSize)
	for _, c := range []struct {
		located, off, n int64
		asked           int64 // beside what was located
	}{
		{0, 0, 5 * chunkSize, 0},
		{0, 3*chunkSize + 1, 10, 0},
		{2*chunkSize + 5, 2*chunkSize + 5, 3*chunkSize - 5, 0},
		{2 * chunkSize, 0, 10, 1},
		{0, 0, 0, 0},
	} {
		known, err := f.Locate(t.Context(), f.table.id, c.located)
		if err != nil {
			t.Fatal(err)
		}
		f.table.asked.Store(0)
		r, err := f.Open(t.Context(), f.table.id, 5*chunkSize, c.off, c.n, known...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if asked := f.table.asked.Load(); err != nil || !bytes.Equal(got, f.plain[c.off:c.off+c.n]) || asked != c.asked {
			t.Errorf("%+v: %d bytes, %v, asked %d times", c, len(got), err, asked)
		}
		_ = r.Close() // it never fails
	}
}

func TestSource_Outside(t *testing.T) {
	f := store(t, 100)
	for _, c := range []struct{ off, n int64 }{{-1, 1}, {101, 0}, {101, -1}, {0, 101}, {100, 1}, {1, 1<<63 - 1}} {
		if _, err := f.Open(t.Context(), f.table.id, 100, c.off, c.n); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("Open(%d, %d) = %v, want ErrInvalid", c.off, c.n, err)
		}
	}
	if _, err := f.Open(t.Context(), cloud.ObjectID{}, 100, 0, 100); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("Open of no object = %v, want ErrNotFound", err)
	}
}

// Only the segments that hold the range are asked for.
func TestSource_AsksForWholeSegments(t *testing.T) {
	f := store(t, 2*chunkSize)
	rec := &recorder{Store: f.store}
	f.Blobs = rec
	if err := f.read(t, 65536+10, 65536); err != nil {
		t.Fatal(err)
	}
	ext := int64(f.table.chunks[0].Ext)
	want := []request{{144 + ext + chunk.SegmentSealed, 2 * chunk.SegmentSealed}}
	if got := rec.requests; len(got) != 1 || got[0] != want[0] {
		t.Errorf("requests = %v, want %v", got, want)
	}
}

type request struct{ off, n int64 }

// recorder notes what is asked for, and how much of it at a time.
type recorder struct {
	blob.Store
	mu       sync.Mutex
	requests []request
	now      int
	most     int
}

func (r *recorder) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	r.mu.Lock()
	r.requests = append(r.requests, request{off, n})
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	body, err := r.Store.Get(ctx, ref, off, n)
	if err != nil {
		r.end()
		return nil, err
	}
	return &recorded{body, r}, nil
}

func (r *recorder) end() {
	r.mu.Lock()
	r.now--
	r.mu.Unlock()
}

type recorded struct {
	io.ReadCloser
	rec *recorder
}

func (r *recorded) Close() error {
	r.rec.end()
	return r.ReadCloser.Close()
}

// The first piece is small, and the window opens as the reader goes on.
func TestSource_ReadsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store(t, 40*chunkSize)
		f.store.Delay(memblob.Get, time.Second)
		rec := &recorder{Store: f.store}
		f.Blobs = rec
		f.ReadAhead.Parallel = 4
		r := f.open(t, 0, -1)
		defer r.Close()
		start := time.Now()
		if _, err := io.ReadFull(r, make([]byte, 1)); err != nil || time.Since(start) != time.Second {
			t.Errorf("first byte after %v, %v, want one request's time", time.Since(start), err)
		}
		if rec.most != 2 {
			t.Errorf("%d requests for the first byte, want 2", rec.most)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if rec.most != 4 {
			t.Errorf("%d requests at a time, want 4", rec.most)
		}
		// One at a time would be a second for each of 80 pieces: a chunk is one of
		// 256 KiB and one of 1000 bytes at first, and one of all later.
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A reader that stops stops the reading ahead.
func TestSource_Idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store(t, 40*chunkSize)
		f.ReadAhead.Parallel = 4
		r := f.open(t, 0, -1)
		if _, err := io.ReadFull(r, make([]byte, 3*chunkSize)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := f.store.Calls(memblob.Get); n > 10 {
			t.Errorf("%d requests for three chunks", n)
		}
		_ = r.Close()
	})
}

func TestSource_Retries(t *testing.T) {
	unavailable := func(f *fixture) { f.store.FailNext(memblob.Get, 3, cloud.ErrUnavailable) }
	for name, fault := range map[string]func(f *fixture){
		"unavailable": unavailable,
		"cut at once": func(f *fixture) { f.store.CutNext(3, 0) },
		"cut later":   func(f *fixture) { f.store.CutNext(3, 100_000) },
		"bit flipped": func(f *fixture) { f.store.FlipNext(3, 70_000) },
		"all of them": func(f *fixture) { unavailable(f); f.store.FlipNext(2, 5); f.store.CutNext(4, 65552) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := store(t, 2*chunkSize)
				f.Retries = 9
				fault(f)
				if err := f.read(t, 10, 2*chunkSize-20); err != nil {
					t.Errorf("error = %v", err)
				}
			})
		})
	}
}

// A piece that broke off is asked for from the segment on that is missing.
func TestSource_RetriesTheRestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store(t, chunkSize)
		rec := &recorder{Store: f.store}
		f.Blobs = rec
		f.ReadAhead.Parallel = 1
		f.store.CutNext(1, 2*chunk.SegmentSealed+5)
		if err := f.read(t, 5, 250_000); err != nil {
			t.Fatal(err)
		}
		from := 144 + int64(f.table.chunks[0].Ext)
		want := []request{{from, 4 * chunk.SegmentSealed}, {from + 2*chunk.SegmentSealed, 2 * chunk.SegmentSealed}}
		if got := fmt.Sprint(rec.requests); got != fmt.Sprint(want) {
			t.Errorf("requests = %v, want %v", got, want)
		}
	})
}

// What does not heal ends with an error, behind sound bytes only, and after
// as many requests as were allowed.
func TestSource_Damaged(t *testing.T) {
	const size = 3*chunkSize + 5
	edit := func(i int, edit func(c *cloud.Chunk)) func(f *fixture) {
		return func(f *fixture) { edit(&f.table.chunks[i]) }
	}
	for _, c := range []struct {
		name  string
		fault func(f *fixture)
		want  error
	}{
		{"bit flipped", func(f *fixture) { f.store.Corrupt(f.table.chunks[1].Ref, 100_000) }, crypt.ErrSegment},
		{"last tag flipped", func(f *fixture) { f.store.Corrupt(f.table.chunks[3].Ref, f.table.chunks[3].SealedSize-1) }, crypt.ErrSegment},
		{"truncated", func(f *fixture) { f.store.Truncate(f.table.chunks[2].Ref, 100_000) }, crypt.ErrTruncated},
		{"one byte short", func(f *fixture) { f.store.Truncate(f.table.chunks[3].Ref, f.table.chunks[3].SealedSize-1) }, crypt.ErrTruncated},
		{"missing", func(f *fixture) { _ = f.store.Delete(context.Background(), f.table.chunks[2].Ref) }, object.ErrMissing},
		{"swapped", func(f *fixture) {
			a, b := &f.table.chunks[1].Ref, &f.table.chunks[2].Ref
			*a, *b = *b, *a
		}, crypt.ErrSegment},
		{"row missing", func(f *fixture) { f.table.chunks = append(f.table.chunks[:1:1], f.table.chunks[2:]...) }, cloud.ErrCorrupt},
		{"last row missing", func(f *fixture) { f.table.chunks = f.table.chunks[:3] }, cloud.ErrCorrupt},
		{"row altered", edit(2, func(c *cloud.Chunk) { c.Size-- }), crypt.ErrUnexpected},
		{"row past the end", edit(3, func(c *cloud.Chunk) { c.Size++ }), cloud.ErrCorrupt},
		{"header altered", edit(2, func(c *cloud.Chunk) { c.Header[0] ^= 1 }), crypt.ErrNoKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := store(t, size)
				c.fault(f)
				if err := f.read(t, 0, size); !errors.Is(err, c.want) || !errors.Is(err, cloud.ErrCorrupt) {
					t.Errorf("error = %v, want %v", err, c.want)
				} else if cloud.CodeOf(err) != "corrupt" {
					t.Errorf("code = %s", cloud.CodeOf(err))
				}
				if n := f.store.Calls(memblob.Get); n > 20 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		f := store(t, 10)
		_ = f.store.Delete(t.Context(), f.table.chunks[0].Ref)
		if err := f.read(t, 0, 10); !errors.Is(err, object.ErrMissing) || f.store.Calls(memblob.Get) != 1 {
			t.Errorf("error = %v after %d requests, want one", err, f.store.Calls(memblob.Get))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := store(t, 10)
		f.Retries = -1
		f.store.FailNext(memblob.Get, 1, cloud.ErrUnavailable)
		if err := f.read(t, 0, 10); !errors.Is(err, cloud.ErrUnavailable) || f.store.Calls(memblob.Get) != 1 {
			t.Errorf("error = %v after %d requests, want one", err, f.store.Calls(memblob.Get))
		}
	})
}

// Close ends requests that hang, and waits for them: synctest fails on a
// goroutine that is left.
func TestSource_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store(t, 10*chunkSize)
		f.store.Delay(memblob.Get, time.Hour)
		rec := &recorder{Store: f.store}
		f.Blobs = rec
		f.ReadAhead.Memory = object.NewBudget(64 << 20)
		start := time.Now()
		r := f.open(t, 0, -1)
		if f.ReadAhead.Memory.Used() == 0 {
			t.Error("nothing is taken from the budget")
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Read that waits = %v, want ErrClosed", err)
			}
		})
		synctest.Wait()
		for range 2 {
			if err := r.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
		}
		if rec.now != 0 {
			t.Errorf("%d requests after Close", rec.now)
		}
		wg.Wait()
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Read after Close = %v, want ErrClosed", err)
		}
		if used := f.ReadAhead.Memory.Used(); used != 0 {
			t.Errorf("%d bytes of the budget are not given back", used)
		}
		if time.Since(start) != 0 {
			t.Errorf("Close took %v", time.Since(start))
		}
	})
}

func TestSource_ContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store(t, 10*chunkSize)
		cause := errors.New("the client left")
		ctx, cancel := context.WithCancelCause(t.Context())
		r, err := f.Open(ctx, f.table.id, int64(len(f.plain)), 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		f.store.Delay(memblob.Get, time.Hour)
		cancel(cause)
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, cause) {
			t.Errorf("Read = %v, want the cause", err)
		}
		_ = r.Close()
		if _, err := f.Open(ctx, f.table.id, int64(len(f.plain)), 0, -1); !errors.Is(err, cause) {
			t.Errorf("Open = %v, want the cause", err)
		}
	})
}

// Many readers share a budget too small for them, and half of them never read.
func TestSource_Budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 20 * chunk.SegmentSealed
		f := store(t, 8*chunkSize)
		budget := object.NewBudget(limit)
		f.ReadAhead.Memory = budget
		f.store.Delay(memblob.Get, time.Second)
		var idle []io.ReadCloser
		for range 8 {
			idle = append(idle, f.open(t, 0, -1))
		}
		synctest.Wait()
		if used := budget.Used(); used > limit || used < limit/2 {
			t.Errorf("%d of %d bytes used by readers that stand still", used, limit)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := f.read(t, int64(i), int64(len(f.plain)-i)); err != nil {
					t.Errorf("reader %d: %v", i, err)
				}
				if used := budget.Used(); used > limit {
					t.Errorf("%d of %d bytes used", used, limit)
				}
			})
		}
		wg.Wait()
		for _, r := range idle {
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("a reader that stood still: %v", err)
			}
			_ = r.Close()
		}
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes of the budget are not given back", used)
		}
	})
}

// Without any budget a stream goes on, by one small piece at a time.
func TestSource_NoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := storeChunks(t, 3<<20, 2<<20)
		rec := &recorder{Store: f.store}
		f.Blobs = rec
		f.ReadAhead.Memory = object.NewBudget(0)
		f.store.Delay(memblob.Get, time.Second)
		if err := f.read(t, 0, 3<<20); err != nil {
			t.Fatal(err)
		}
		if rec.most != 1 {
			t.Errorf("%d requests at a time, want 1", rec.most)
		}
		for _, r := range rec.requests {
			if r.n > 4*chunk.SegmentSealed {
				t.Errorf("a request for %d bytes", r.n)
			}
		}
	})
}
