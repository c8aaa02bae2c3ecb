package chunk_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

func TestPlainMax(t *testing.T) {
	for _, c := range []struct{ limit, want int64 }{
		{10 << 20, 10_223_616},
		{8 << 20, 31 * chunk.Leaf},
		{25 << 20, 99 * chunk.Leaf},
		{4<<10 + 262_208, chunk.Leaf},
		{4<<10 + 262_207, 0},
		{0, 0},
		{-1 << 62, 0},
		{1 << 62, chunk.MaxPlain},
	} {
		got := chunk.PlainMax(c.limit)
		if got != c.want {
			t.Errorf("PlainMax(%d) = %d, want %d", c.limit, got, c.want)
		}
		if got > 0 && chunk.SealedSize(got, chunk.ExtMax+chunk.Tag) > c.limit {
			t.Errorf("PlainMax(%d): %d sealed", c.limit, chunk.SealedSize(got, chunk.ExtMax+chunk.Tag))
		}
	}
}

func TestSealedSize(t *testing.T) {
	for _, c := range []struct {
		plain int64
		ext   int
		want  int64
	}{
		{0, 0, 160}, {3, 0, 163}, {65536, 0, 65696}, {65537, 0, 65713}, {1024, 29, 1213}, {600_000, 0, 600_304},
	} {
		if got := chunk.SealedSize(c.plain, c.ext); got != c.want {
			t.Errorf("SealedSize(%d, %d) = %d, want %d", c.plain, c.ext, got, c.want)
		}
	}
}

// BodySize and SealedSize undo each other, and sizes that nothing seals to are
// told.
func TestBodySize(t *testing.T) {
	const ext = 29
	sizes := map[int64]int64{}
	for plain := range int64(3*chunk.Segment + 2) {
		sizes[chunk.SealedSize(plain, ext)] = plain
	}
	for sealed := int64(-1); sealed <= chunk.SealedSize(3*chunk.Segment+1, ext); sealed++ {
		want, ok := sizes[sealed]
		got, err := chunk.BodySize(sealed, ext)
		if ok && (err != nil || got != want) || !ok && !errors.Is(err, cloud.ErrCorrupt) {
			t.Fatalf("BodySize(%d) = %d, %v, want %d, %t", sealed, got, err, want, ok)
		}
	}
	if _, err := chunk.BodySize(1000, -1); !errors.Is(err, cloud.ErrCorrupt) {
		t.Errorf("negative extension: %v", err)
	}
}

func TestPart(t *testing.T) {
	const c = 1000
	for _, size := range []int64{0, 1, c - 1, c, c + 1, 2 * c, 2*c + 500} {
		var next int64
		n := chunk.Count(size, c)
		for i := range n {
			off, length := chunk.Part(size, c, i)
			if off != next || length > c || length == 0 && size > 0 {
				t.Errorf("Part(%d, %d) = [%d, +%d), want it at %d", size, i, off, length, next)
			}
			next = off + length
		}
		if next != size || n < 1 {
			t.Errorf("%d parts of %d bytes cover %d", n, size, next)
		}
	}
}

func sealed(size, padding int64, ext int) cloud.Chunk {
	return cloud.Chunk{Offset: 12345, Size: size, Ext: ext, SealedSize: chunk.SealedSize(size+padding, ext)}
}

func TestRange(t *testing.T) {
	const s = chunk.Segment
	c := sealed(2*s+500, 0, 29)
	for _, tc := range []struct {
		off, n int64
		want   chunk.Span
	}{
		{0, 1, chunk.Span{First: 0, Segments: 1, Off: 173, Len: s + 16, Skip: 0, Plain: 1}},
		{s - 1, 2, chunk.Span{First: 0, Segments: 2, Off: 173, Len: 2*s + 32, Skip: s - 1, Plain: 2}},
		{s, s, chunk.Span{First: 1, Segments: 1, Off: 173 + s + 16, Len: s + 16, Skip: 0, Plain: s}},
		{2*s + 499, 1, chunk.Span{First: 2, Segments: 1, Off: 173 + 2*s + 32, Len: 516, Skip: 499, Plain: 1}},
		{0, 2*s + 500, chunk.Span{First: 0, Segments: 3, Off: 173, Len: 2*s + 500 + 48, Skip: 0, Plain: 2*s + 500}},
	} {
		if got, err := chunk.Range(c, tc.off, tc.n); err != nil || got != tc.want {
			t.Errorf("Range(%d, %d) = %+v, %v, want %+v", tc.off, tc.n, got, err, tc.want)
		}
	}
	for _, bad := range []struct{ off, n int64 }{{-1, 1}, {0, 0}, {0, -1}, {0, c.Size + 1}, {c.Size, 1}, {c.Size + 1, 1}, {1, 1<<63 - 1}} {
		if _, err := chunk.Range(c, bad.off, bad.n); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("Range(%d, %d) = %v, want ErrInvalid", bad.off, bad.n, err)
		}
	}
	// With padding, the last segment of the payload may be a whole one.
	padded := sealed(10, s, 0)
	if got, err := chunk.Range(padded, 0, 10); err != nil || got.Len != s+16 {
		t.Errorf("padded: %+v, %v", got, err)
	}
	c.SealedSize = 200
	if _, err := chunk.Range(c, 0, 100); !errors.Is(err, cloud.ErrCorrupt) {
		t.Errorf("sealed size too small: %v, want ErrCorrupt", err)
	}
}

// What is left of a span is the span of what is left.
func TestSpan_From(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		c := sealed(1+rng.Int64N(6*chunk.Segment), rng.Int64N(chunk.Segment), 29)
		off := rng.Int64N(c.Size)
		n := 1 + rng.Int64N(c.Size-off)
		span, err := chunk.Range(c, off, n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range span.Segments {
			from := max(off, int64(span.First+i)*chunk.Segment)
			want, err := chunk.Range(c, from, off+n-from)
			if got := span.From(i); err != nil || got != want {
				t.Fatalf("%+v from %d = %+v, want %+v, %v", span, i, got, want, err)
			}
		}
		if end := span.From(span.Segments); end.Segments != 0 || end.Len != 0 || end.Plain != 0 || end.Off != span.Off+span.Len {
			t.Fatalf("%+v from its end = %+v", span, end)
		}
	}
}
