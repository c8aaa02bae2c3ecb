package crypt_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

// FuzzOpen demands that whatever opens whole is one of the attachments that were
// sealed, byte for byte, and that all else is refused by kind, without a wrong
// byte released.
func FuzzOpen(f *testing.F) {
	ring, id, salt := fixed()
	known := map[string][]byte{}
	for _, v := range vectors[:5] {
		sealed := v.seal(f).Bytes()
		known[string(sealed)] = body(v.payload)
		f.Add(sealed, uint32(len(sealed)), uint32(0), byte(0))
	}
	long := body(600_000)
	f.Add(vectors[3].seal(f).Bytes(), uint32(65713), uint32(65700), byte(0x80))
	f.Add(crypt.Forge(ring.ObjectKey(id), id, salt, [48]byte{1, 1, 0, 4}, nil, [][]byte{nil}, 0), uint32(160), uint32(0), byte(0))
	f.Fuzz(func(t *testing.T, sealed []byte, size, at uint32, flip byte) {
		sealed = bytes.Clone(sealed)
		if int(at) < len(sealed) {
			sealed[at] ^= flip
		}
		_, r, err := crypt.Open(ring, bytes.NewReader(sealed), int64(size))
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r)
		}
		if !bytes.HasPrefix(long, got) {
			t.Fatalf("released %d bytes that were never sealed", len(got))
		}
		if err == nil {
			if want, ok := known[string(sealed)]; !ok || int(size) != len(sealed) || !bytes.Equal(got, want) {
				t.Fatal("opened what was never sealed")
			}
		} else if !errors.Is(err, cloud.ErrCorrupt) {
			t.Fatalf("error of no kind: %v", err)
		}
	})
}

// FuzzHeader seals any header as if it were right: what opens must be what the
// bytes say, and ranges of it must stay inside.
func FuzzHeader(f *testing.F) {
	ring, id, salt := fixed()
	key := ring.ObjectKey(id)
	for _, v := range vectors {
		h := v.header
		h.Size = int64(v.payload)
		b, err := crypt.EncodeHeader(h, 0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:], uint16(min(v.payload, 2000)))
	}
	f.Fuzz(func(t *testing.T, head []byte, size uint16) {
		var h [48]byte
		copy(h[:], head)
		plain := body(int(size))
		sealed := crypt.Forge(key, id, salt, h, nil, [][]byte{plain}, 0)
		a, r, err := crypt.Open(ring, bytes.NewReader(sealed), int64(len(sealed)))
		if err != nil {
			if !errors.Is(err, cloud.ErrCorrupt) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		sane := a.Header.ObjectSize < 0 || a.Chunk.End() <= a.Header.ObjectSize
		again, err := crypt.EncodeHeader(a.Header, a.Chunk.Ext)
		if sane != (err == nil) || sane && again != h && !a.Header.Time.IsZero() {
			t.Fatalf("header %x reads as %+v (%v)", h, a.Header, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, plain[:a.Header.Size]) {
			t.Fatalf("%d bytes of %d, %v", len(got), a.Header.Size, err)
		}
		if a.Header.Size == 0 {
			return
		}
		span, err := chunk.Range(a.Chunk, a.Header.Size-1, 1)
		if err != nil {
			t.Fatal(err)
		}
		part, err := crypt.NewRangeReader(key, id, a.Chunk, a.Header.ObjectSize, span, bytes.NewReader(sealed[span.Off:span.Off+span.Len]))
		if err != nil {
			t.Fatal(err)
		}
		if last, err := io.ReadAll(part); err != nil || len(last) != 1 || last[0] != plain[a.Header.Size-1] {
			t.Fatalf("last byte = %v, %v", last, err)
		}
	})
}
