package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
)

// Run tests that the stores open gives keep the contract of blob.Store. Each
// subtest opens a store of its own. Blobs are up to 200 KB; they are never
// empty, for a sealed chunk never is.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s blob.Store)
	}{
		{"RoundTrip", testRoundTrip},
		{"Ranges", testRanges},
		{"Outside", testOutside},
		{"EqualBodies", testEqualBodies},
		{"Missing", testMissing},
		{"Delete", testDelete},
		{"CloseEarly", testCloseEarly},
		{"Cancelled", testCancelled},
		{"Concurrent", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func put(t *testing.T, s blob.Store, b []byte) cloud.Ref {
	t.Helper()
	ref, err := s.Put(t.Context(), Bytes(b))
	if err != nil {
		t.Fatalf("Put %d bytes: %v", len(b), err)
	}
	if ref.IsZero() {
		t.Fatalf("Put %d bytes: zero Ref", len(b))
	}
	return ref
}

func get(ctx context.Context, s blob.Store, ref cloud.Ref, off, n int64) ([]byte, error) {
	r, err := s.Get(ctx, ref, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func checkGet(t *testing.T, s blob.Store, ref cloud.Ref, off, n int64, want []byte) {
	t.Helper()
	got, err := get(t.Context(), s, ref, off, n)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("Get(%d, %d) = %d bytes, %v, want %d bytes", off, n, len(got), err, len(want))
	}
}

func testRoundTrip(t *testing.T, s blob.Store) {
	for _, size := range []int{1, 2, 160, 4096, 65536, 65537, 200_000} {
		want := Pattern(size)
		ref := put(t, s, want)
		for range 2 { // a read uses nothing up
			r, err := s.Get(t.Context(), ref, 0, -1)
			if err != nil {
				t.Fatalf("Get of %d bytes: %v", size, err)
			}
			if err := iotest.TestReader(r, want); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	}
}

func testRanges(t *testing.T, s blob.Store) {
	const size = 70_000
	want := Pattern(size)
	ref := put(t, s, want)
	for _, off := range []int64{0, 1, 511, 512, 65536, size - 1} {
		checkGet(t, s, ref, off, -1, want[off:])
		for _, n := range []int64{1, 2, 512, 65536, size - off} {
			if off+n <= size {
				checkGet(t, s, ref, off, n, want[off:off+n])
			}
		}
	}
}

// What a blob does not hold is never read as if it ended there.
func testOutside(t *testing.T, s blob.Store) {
	want := Pattern(1000)
	ref := put(t, s, want)
	for _, off := range []int64{-1, 1001, 1 << 40} {
		if _, err := get(t.Context(), s, ref, off, 1); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("Get from %d of 1000 bytes = %v, want ErrInvalid", off, err)
		}
	}
	for _, c := range []struct{ off, n int64 }{{0, 1001}, {999, 2}, {500, 1 << 40}} {
		got, err := get(t.Context(), s, ref, c.off, c.n)
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("Get(%d, %d) of 1000 bytes = %v, want ErrUnexpectedEOF or ErrInvalid", c.off, c.n, err)
		}
		if !bytes.HasPrefix(want[c.off:], got) {
			t.Errorf("Get(%d, %d) gave wrong bytes", c.off, c.n)
		}
	}
}

func testEqualBodies(t *testing.T, s blob.Store) {
	b := Pattern(300)
	first, second := put(t, s, b), put(t, s, b)
	if first == second {
		t.Fatal("two blobs have one Ref")
	}
	if err := s.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	checkGet(t, s, second, 0, -1, b)
}

func testMissing(t *testing.T, s blob.Store) {
	ref := put(t, s, Pattern(300))
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{-1, 1, 300} {
		if _, err := get(t.Context(), s, ref, 0, n); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("Get(0, %d) of a deleted blob = %v, want ErrNotFound", n, err)
		}
	}
}

func testDelete(t *testing.T, s blob.Store) {
	var refs []cloud.Ref
	for i := range 5 {
		refs = append(refs, put(t, s, Pattern(200+i)))
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	if err := s.Delete(t.Context(), refs[0], refs[2]); err != nil {
		t.Errorf("Delete: %v", err)
	}
	// One that is gone, twice, and one that is there.
	if err := s.Delete(t.Context(), refs[0], refs[3], refs[0]); err != nil {
		t.Errorf("Delete of a missing blob: %v", err)
	}
	for i, ref := range refs {
		if i == 1 || i == 4 {
			checkGet(t, s, ref, 0, -1, Pattern(200+i))
		} else if _, err := get(t.Context(), s, ref, 0, -1); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("blob %d after Delete: %v, want ErrNotFound", i, err)
		}
	}
}

func testCloseEarly(t *testing.T, s blob.Store) {
	want := Pattern(200_000)
	ref := put(t, s, want)
	r, err := s.Get(t.Context(), ref, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	checkGet(t, s, ref, 10, -1, want[10:])
}

func testCancelled(t *testing.T, s blob.Store) {
	b := Pattern(300)
	ref := put(t, s, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, Bytes(b)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want Canceled", err)
	}
	if _, err := get(ctx, s, ref, 0, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v, want Canceled", err)
	}
	if err := s.Delete(ctx, ref); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete = %v, want Canceled", err)
	}
	checkGet(t, s, ref, 0, -1, b)
}

func testConcurrent(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 3 {
				size := 1000 + 100*i + j
				b := append(fmt.Appendf(nil, "%d %d ", i, j), Pattern(size)...)
				ref, err := s.Put(t.Context(), Bytes(b))
				if err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				got, err := get(t.Context(), s, ref, 0, -1)
				if err != nil || !bytes.Equal(got, b) {
					t.Errorf("Get = %d bytes, %v, want the %d that were Put", len(got), err, len(b))
				}
				if err := s.Delete(t.Context(), ref); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
