package object_test

import (
	"io"
	"testing"

	"discordcloud/pkg/chunk"
)

// BenchmarkRead is to be compared with BenchmarkCopy: the same bytes, from
// memory to nowhere, through everything and through nothing.
func BenchmarkRead(b *testing.B) {
	f := storeChunks(b, 64<<20, chunk.PlainMax(10<<20))
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		r := f.open(b, 0, -1)
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
	}
}

// BenchmarkReadSmall is the cost of 4 KiB at an odd place.
func BenchmarkReadSmall(b *testing.B) {
	f := storeChunks(b, 64<<20, chunk.PlainMax(10<<20))
	p := make([]byte, 4096)
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		r := f.open(b, 12_345_678, 4096)
		if _, err := io.ReadFull(r, p); err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
	}
}

func BenchmarkCopy(b *testing.B) {
	f := storeChunks(b, 64<<20, chunk.PlainMax(10<<20))
	p := make([]byte, 64<<10)
	b.SetBytes(64 << 20)
	for b.Loop() {
		for rest := f.plain; len(rest) > 0; rest = rest[len(p):] {
			copy(p, rest)
		}
	}
}
