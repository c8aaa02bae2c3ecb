package crypt_test

import (
	"bytes"
	"io"
	"testing"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/crypt"
)

// benchSize is the payload of a chunk under the usual limit of 10 MiB.
const benchSize = 39 * chunk.Leaf

func benchSealed(b *testing.B) *crypt.Sealed {
	b.Helper()
	ring, id, _ := fixed()
	s, err := crypt.Seal(ring.ObjectKey(id), id, crypt.Header{ObjectSize: -1}, nil, body(benchSize))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchSize)
	b.ReportAllocs()
	return s
}

func BenchmarkSeal(b *testing.B) {
	s := benchSealed(b)
	for b.Loop() {
		if _, err := io.Copy(io.Discard, s.Open()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	ring, _, _ := fixed()
	sealed := benchSealed(b).Bytes()
	for b.Loop() {
		_, r, err := crypt.Open(ring, bytes.NewReader(sealed), int64(len(sealed)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenSegment is a small range: one segment, with the header checked.
func BenchmarkOpenSegment(b *testing.B) {
	ring, id, _ := fixed()
	s := benchSealed(b)
	sealed, c, key := s.Bytes(), s.Chunk(), ring.ObjectKey(id)
	p := make([]byte, chunk.SegmentSealed)
	b.SetBytes(chunk.Segment)
	for b.Loop() {
		span, err := chunk.Range(c, 5*chunk.Segment, chunk.Segment)
		if err != nil {
			b.Fatal(err)
		}
		r, err := crypt.NewRangeReader(key, id, c, -1, span, bytes.NewReader(sealed[span.Off:span.Off+span.Len]))
		if err != nil {
			b.Fatal(err)
		}
		if n, err := r.Read(p); err != nil || n != chunk.Segment {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkCopy is what the others are to be compared with: the same bytes,
// copied segment by segment.
func BenchmarkCopy(b *testing.B) {
	plain, scratch := body(benchSize), make([]byte, chunk.Segment)
	b.SetBytes(benchSize)
	for b.Loop() {
		for rest := plain; len(rest) > 0; rest = rest[copy(scratch, rest):] {
		}
	}
}
