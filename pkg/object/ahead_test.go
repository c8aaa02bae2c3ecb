package object_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/object"
)

// told is a store that is told what will be read.
type told struct {
	blob.Store
	mu   sync.Mutex
	refs []cloud.Ref
}

func (s *told) Prefetch(refs ...cloud.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs = append(s.refs, refs...)
}

// all is what it was told so far.
func (s *told) all() []cloud.Ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refs)
}

func TestSource_Prefetch(t *testing.T) {
	const size, each = 120 * chunk.Leaf, chunk.Leaf
	f := storeChunks(t, size, each)
	var want []cloud.Ref
	for _, c := range f.table.chunks {
		want = append(want, c.Ref)
	}

	store := &told{Store: f.store}
	f.Source.Blobs = store
	r := f.open(t, 0, -1)
	if got := store.all(); len(got) < 50 || !slices.Equal(got, want[:len(got)]) {
		t.Errorf("at first the store is told of %d chunks, want the first 50 or more", len(got))
	}
	first := len(store.all())
	buf := make([]byte, each)
	for range first - 20 {
		if _, err := io.ReadFull(r, buf); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(store.all()); got <= first {
		t.Errorf("20 chunks before the last of %d that it knows, the store is told of no others", first)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if got := store.all(); !slices.Equal(got, want) {
		t.Errorf("in the end the store was told of %d chunks, want each of %d once, in order", len(got), len(want))
	}

	store = &told{Store: f.store}
	f.Source.Blobs = store
	if err := f.read(t, 7*each+5, each); err != nil {
		t.Fatal(err)
	}
	if got := store.all(); !slices.Equal(got, want[7:9]) {
		t.Errorf("for a range in two chunks the store is told of %d", len(got))
	}
}

// far is a store over a line: each request waits for the latency, and each
// connection carries so many bytes a second.
type far struct {
	blob.Store
	latency time.Duration
	rate    int64
}

func (s *far) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	time.Sleep(s.latency)
	r, err := s.Store.Get(ctx, ref, off, n)
	if err != nil {
		return nil, err
	}
	return &farReader{r, s.rate}, nil
}

type farReader struct {
	io.ReadCloser
	rate int64
}

func (r *farReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	time.Sleep(time.Duration(float64(n) / float64(r.rate) * float64(time.Second)))
	return n, err
}

// A reader that takes all it can get gets what many connections carry.
func TestSource_FastReaderFarAway(t *testing.T) {
	const size, rate = 64 << 20, 8_000_000
	f := storeChunks(t, size, 8<<20)
	synctest.Test(t, func(t *testing.T) {
		f.Source.Blobs = &far{Store: f.store, latency: 80 * time.Millisecond, rate: rate}
		r := f.open(t, 0, -1)
		start := time.Now()
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		_ = r.Close()
		t.Logf("64 MiB in %v: %.1f connections' worth", took, float64(size)/rate/took.Seconds())
		if worth := float64(size) / rate / took.Seconds(); worth < 6 {
			t.Errorf("a fast reader gets %.1f connections' worth, want 6 at least, from the start on", worth)
		}
	})
}

// A reader that takes less than comes has little fetched ahead of it.
func TestSource_SlowReader(t *testing.T) {
	const size = 48 << 20
	f := storeChunks(t, size, 8<<20)
	synctest.Test(t, func(t *testing.T) {
		memory := object.NewBudget(64 << 20)
		f.Source.ReadAhead.Memory = memory
		f.Source.Blobs = &far{Store: f.store, latency: 80 * time.Millisecond, rate: 8_000_000}
		r := f.open(t, 0, -1)
		buf := make([]byte, 1<<20)
		most := int64(0)
		for i := range size / len(buf) {
			if _, err := io.ReadFull(r, buf); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if i > size/len(buf)/2 {
				most = max(most, memory.Used())
			}
		}
		_ = r.Close()
		if most == 0 || most > 4<<20 {
			t.Errorf("for a reader of 1 MiB/s %d bytes are held, want some and at most 4 MiB", most)
		}
	})
}

// A stream that reads fast leaves half of the budget to others.
func TestSource_LeavesMemory(t *testing.T) {
	const size = 64 << 20
	f := storeChunks(t, size, 8<<20)
	synctest.Test(t, func(t *testing.T) {
		memory := object.NewBudget(16 << 20)
		f.Source.ReadAhead.Memory = memory
		f.Source.Blobs = &far{Store: f.store, latency: 80 * time.Millisecond, rate: 8_000_000}
		r := f.open(t, 0, -1)
		buf := make([]byte, chunk.Segment)
		most := int64(0)
		for {
			if _, err := io.ReadFull(r, buf); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			most = max(most, memory.Used())
		}
		_ = r.Close()
		if most < 4<<20 || most > 8<<20 {
			t.Errorf("a fast stream holds up to %d bytes of 16 MiB, want about half", most)
		}
	})
}
