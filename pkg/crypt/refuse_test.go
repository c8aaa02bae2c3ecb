package crypt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

func isInvalid(err error) bool { return errors.Is(err, cloud.ErrInvalid) }

// readAll opens an attachment whole. The bytes are those that were released,
// with an error or without.
func readAll(ring crypt.Ring, sealed []byte) ([]byte, error) {
	_, r, err := crypt.Open(ring, bytes.NewReader(sealed), int64(len(sealed)))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// checkRefused demands that sealed is refused as want, and that what was released
// before is the beginning of plain, in whole segments.
func checkRefused(t *testing.T, ring crypt.Ring, sealed, plain []byte, want error) {
	t.Helper()
	got, err := readAll(ring, sealed)
	if !errors.Is(err, want) || !errors.Is(err, cloud.ErrCorrupt) {
		t.Errorf("error = %v, want %v", err, want)
	}
	if !bytes.HasPrefix(plain, got) || len(got)%chunk.Segment != 0 {
		t.Errorf("released %d bytes that are not whole segments of the payload", len(got))
	}
}

// Every byte is altered for the reader of whole attachments: by every bit where
// that is cheap, by one bit where a segment must be read to see it.
func TestOpen_EveryByte(t *testing.T) {
	ring, _, _ := fixed()
	sealed, plain := vectors[3].seal(t).Bytes(), body(65537)
	flipped := bytes.Clone(sealed)
	scratch := make([]byte, chunk.SegmentSealed)
	for i := range flipped {
		for bit := range 8 {
			if i >= chunk.Prefix && bit != i%8 {
				continue
			}
			flipped[i] ^= 1 << bit
			released, err := countRead(ring, flipped, plain, scratch)
			if !errors.Is(err, cloud.ErrCorrupt) {
				t.Errorf("bit %d of byte %d flipped: error = %v", bit, i, err)
			}
			if want := max(0, i-chunk.Prefix) / chunk.SegmentSealed * chunk.Segment; released > want {
				t.Errorf("bit %d of byte %d flipped: released %d bytes", bit, i, released)
			}
			flipped[i] ^= 1 << bit
		}
	}
}

// Every bit of the segments is flipped for what opens segments: the reader adds
// nothing but the order, and would take a minute.
func TestOpen_EveryBit(t *testing.T) {
	if testing.Short() {
		t.Skip("half a million segments")
	}
	ring, id, salt := fixed()
	sealed := vectors[3].seal(t).Bytes()
	open := crypt.SegmentOpener(ring.ObjectKey(id), id, salt, [64]byte(sealed[80:144]))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			dst := make([]byte, 0, chunk.Segment)
			for i, segment := range [][]byte{sealed[144 : 144+chunk.SegmentSealed], sealed[144+chunk.SegmentSealed:]} {
				segment = bytes.Clone(segment)
				if err := open(dst, i, i == 1, segment); err != nil {
					t.Errorf("segment %d as it is: %v", i, err)
				}
				for at := w; at < len(segment); at += workers {
					for bit := range 8 {
						segment[at] ^= 1 << bit
						if open(dst, i, i == 1, segment) == nil {
							t.Errorf("bit %d of byte %d of segment %d flipped: opened", bit, at, i)
						}
						segment[at] ^= 1 << bit
					}
				}
			}
		})
	}
	wg.Wait()
}

// countRead is readAll without keeping the bytes.
func countRead(ring crypt.Ring, sealed, plain, scratch []byte) (released int, err error) {
	_, r, err := crypt.Open(ring, bytes.NewReader(sealed), int64(len(sealed)))
	for err == nil {
		var n int
		n, err = r.Read(scratch)
		if !bytes.HasPrefix(plain[released:], scratch[:n]) {
			return released, errors.New("wrong bytes")
		}
		released += n
	}
	if err == io.EOF {
		return released, nil
	}
	return released, err
}

func TestOpen_EveryTruncation(t *testing.T) {
	ring, _, _ := fixed()
	plain := body(65537)
	for _, v := range []vector{vectors[3], vectors[4]} {
		sealed := v.seal(t).Bytes()
		scratch := make([]byte, chunk.SegmentSealed)
		for n := range sealed {
			// As if the attachment were shorter, and as if the transfer broke off.
			if _, err := countRead(ring, sealed[:n], plain, scratch); !errors.Is(err, cloud.ErrCorrupt) {
				t.Fatalf("%d of %d bytes: error = %v", n, len(sealed), err)
			}
			if n%97 != 0 && n > 300 {
				continue // the tail of a broken transfer is cheap to tell, the read before it is not
			}
			_, r, err := crypt.Open(ring, bytes.NewReader(sealed[:n]), int64(len(sealed)))
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if !errors.Is(err, crypt.ErrTruncated) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("broken off after %d of %d bytes: error = %v", n, len(sealed), err)
			}
		}
	}
}

func TestOpen_Refusals(t *testing.T) {
	ring, id, salt := fixed()
	key := ring.ObjectKey(id)
	plain := body(3 * chunk.Segment)
	segments := [][]byte{plain[:chunk.Segment], plain[chunk.Segment : 2*chunk.Segment], plain[2*chunk.Segment:]}
	header := func(edit func(b []byte)) [48]byte {
		b, err := crypt.EncodeHeader(crypt.Header{Final: true, Size: int64(len(plain)), ObjectSize: int64(len(plain))}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			edit(b[:])
		}
		return b
	}
	forge := func(edit func(b []byte)) []byte { return crypt.Forge(key, id, salt, header(edit), nil, segments, 2) }
	set := func(i int, v byte) []byte { return forge(func(b []byte) { b[i] = v }) }
	row := func(last int, segments ...[]byte) []byte {
		var size uint32
		for _, s := range segments {
			size += uint32(len(s))
		}
		h := header(func(b []byte) {
			copy(b[12:16], []byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)})
		})
		return crypt.Forge(key, id, salt, h, nil, segments, last)
	}
	sealed := forge(nil)
	if got, err := readAll(ring, sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("the forger's tool does not make sound attachments: %v", err)
	}
	cases := []struct {
		name   string
		sealed []byte
		want   error
	}{
		{"nothing", nil, crypt.ErrShort},
		{"159 bytes", sealed[:159], crypt.ErrShort},
		{"160 of more bytes", sealed[:160], crypt.ErrPayload},
		{"another object's id", replace(sealed, 0, 0), crypt.ErrNoKey},
		{"another salt", replace(sealed, 16, 0), crypt.ErrNoKey},
		{"another commitment", replace(sealed, 48, 0), crypt.ErrNoKey},
		{"header altered", replace(sealed, 100, sealed[100]^1), crypt.ErrHeader},
		{"version 0", set(0, 0), crypt.ErrVersion},
		{"version 2", set(0, 2), crypt.ErrVersion},
		{"suite 0", set(1, 0), crypt.ErrSuite},
		{"suite 2", set(1, 2), crypt.ErrSuite},
		{"kind 7", set(2, 7), crypt.ErrKind},
		{"extension past the end", set(4, 1), crypt.ErrExtSize},
		{"extension of 2 GiB", set(4, 0x80), crypt.ErrExtSize},
		{"payload too long", set(15, 1), crypt.ErrPayload},
		{"payload too short", set(13, 2), crypt.ErrPayload},
		{"payload too long, padded", forge(func(b []byte) { b[3] |= 2; b[15] = 1 }), crypt.ErrPayload},
		{"offset past 2^63", set(16, 0x80), crypt.ErrPayload},
		{"object past 2^63", set(24, 0x80), crypt.ErrPayload},
		{"one byte behind the end", append(bytes.Clone(sealed), 0), crypt.ErrTrailing},
		{"15 bytes behind the end", append(bytes.Clone(sealed), make([]byte, 15)...), crypt.ErrTrailing},
		{"16 bytes behind the end", append(bytes.Clone(sealed), make([]byte, 16)...), crypt.ErrEmptySegment},
		{"an empty last segment", row(3, segments[0], segments[1], segments[2], nil), crypt.ErrEmptySegment},
		{"a segment behind the last", row(1, segments...), crypt.ErrSegment},
		{"no last segment", row(-1, segments...), crypt.ErrSegment},
		{"cut at a segment", sealed[:144+2*chunk.SegmentSealed], crypt.ErrPayload},
		{"cut at a segment, header too", row(-1, segments[:2]...), crypt.ErrSegment},
		{"segments swapped", splice(sealed, 1, 0, 2), crypt.ErrSegment},
		{"segment doubled", splice(sealed, 0, 0, 2), crypt.ErrSegment},
		{"segment dropped", splice(sealed, 0, 2), crypt.ErrPayload},
		{"segment inserted", splice(sealed, 0, 1, 1, 2), crypt.ErrPayload},
	}
	for ext := byte(1); ext <= 16; ext++ {
		cases = append(cases, struct {
			name   string
			sealed []byte
			want   error
		}{fmt.Sprintf("extension of %d bytes", ext), set(7, ext), crypt.ErrExtSize})
	}
	for bit := 2; bit < 8; bit++ {
		cases = append(cases, struct {
			name   string
			sealed []byte
			want   error
		}{fmt.Sprintf("flag %d", bit), set(3, 1<<bit), crypt.ErrFlags})
	}
	for bit := range 64 {
		cases = append(cases, struct {
			name   string
			sealed []byte
			want   error
		}{fmt.Sprintf("reserved bit %d", bit), set(40+bit/8, 1<<(bit%8)), crypt.ErrReserved})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkRefused(t, ring, c.sealed, plain, c.want) })
	}
}

// replace is b with another byte at i.
func replace(b []byte, i int, v byte) []byte {
	b = bytes.Clone(b)
	b[i] = v
	return b
}

// splice is the attachment with its segments in that order.
func splice(sealed []byte, order ...int) []byte {
	b := bytes.Clone(sealed[:144])
	for _, i := range order {
		from := 144 + i*chunk.SegmentSealed
		b = append(b, sealed[from:min(from+chunk.SegmentSealed, len(sealed))]...)
	}
	return b
}

// What belongs to another chunk, object or sealing opens nowhere else.
func TestOpen_Foreign(t *testing.T) {
	ring, id, _ := fixed()
	plain := body(2 * chunk.Segment)
	ext := []byte(`{"name":"a"}`)
	make2 := func(id cloud.ObjectID, index int) []byte {
		h := crypt.Header{Index: index, Offset: int64(index * len(plain)), ObjectSize: -1}
		s, err := crypt.Seal(ring.ObjectKey(id), id, h, ext, plain)
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	own := make2(id, 0)
	other := id
	other[0]++
	const extEnd = 144 + 28
	for name, foreign := range map[string][]byte{
		"chunk":   make2(id, 1),
		"object":  make2(other, 0),
		"sealing": make2(id, 0),
	} {
		for _, part := range []struct {
			name     string
			from, to int
			want     error
		}{
			{"object id", 0, 16, crypt.ErrNoKey},
			{"salt", 16, 48, crypt.ErrNoKey},
			{"commitment", 48, 80, crypt.ErrNoKey},
			{"salt and commitment", 16, 80, crypt.ErrHeader},
			{"header", 80, 144, crypt.ErrHeader},
			{"extension", 144, extEnd, crypt.ErrExt},
			{"first segment", extEnd, extEnd + chunk.SegmentSealed, crypt.ErrSegment},
			{"last segment", extEnd + chunk.SegmentSealed, len(own), crypt.ErrSegment},
		} {
			if part.name == "object id" && name != "object" {
				continue // it is the same
			}
			want := part.want
			if part.name == "salt and commitment" && name == "object" {
				want = crypt.ErrNoKey
			}
			t.Run(part.name+" of another "+name, func(t *testing.T) {
				mixed := bytes.Clone(own)
				copy(mixed[part.from:part.to], foreign[part.from:part.to])
				checkRefused(t, ring, mixed, plain, want)
			})
		}
	}
	t.Run("another ring", func(t *testing.T) {
		checkRefused(t, crypt.Ring{{1}, {2}}, own, plain, crypt.ErrNoKey)
	})
}

func TestOpen_Trailing(t *testing.T) {
	ring, _, _ := fixed()
	sealed := vectors[3].seal(t).Bytes()
	_, r, err := crypt.Open(ring, bytes.NewReader(append(bytes.Clone(sealed), 0)), int64(len(sealed)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, crypt.ErrTrailing) {
		t.Errorf("error = %v, want ErrTrailing", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, crypt.ErrTrailing) {
		t.Errorf("error of the next read = %v, want ErrTrailing still", err)
	}
}

func TestOpenHeader(t *testing.T) {
	ring, _, _ := fixed()
	sealed := vectors[4].seal(t).Bytes()
	r := bytes.NewReader(sealed[:144+29])
	a, err := crypt.OpenHeader(ring, r, int64(len(sealed)))
	if err != nil || string(a.Ext) != vectors[4].ext || r.Len() != 0 {
		t.Errorf("OpenHeader = %q, %v, with %d bytes left", a.Ext, err, r.Len())
	}
	sealed[150] ^= 1
	if _, err := crypt.OpenHeader(ring, bytes.NewReader(sealed), int64(len(sealed))); !errors.Is(err, crypt.ErrExt) {
		t.Errorf("error = %v, want ErrExt", err)
	}
}

func TestRange(t *testing.T) {
	ring, id, _ := fixed()
	key := ring.ObjectKey(id)
	const s = chunk.Segment
	for _, size := range []int{1, s - 1, s, s + 1, 2 * s, 2*s + 500} {
		for _, padding := range []int{0, 1, s} {
			plain := body(size)
			h := crypt.Header{Index: 3, Offset: chunk.Leaf, ObjectSize: chunk.Leaf + int64(size)}
			sealed, err := crypt.SealPadded(key, id, h, []byte("ext"), plain, int64(size+padding))
			if err != nil {
				t.Fatal(err)
			}
			c, attachment := sealed.Chunk(), sealed.Bytes()
			opened, err := crypt.OpenChunk(key, id, c, h.ObjectSize)
			if err != nil {
				t.Fatal(err)
			}
			for _, off := range []int{0, 1, s - 1, s, s + 1, 2 * s, size - 1} {
				for _, n := range []int{1, 512, s - 1, s, s + 1, size - off} {
					if off < 0 || n <= 0 || off+n > size {
						continue
					}
					span, err := chunk.Range(c, int64(off), int64(n))
					if err != nil {
						t.Fatal(err)
					}
					part := attachment[span.Off : span.Off+span.Len]
					want := plain[off : off+n]
					got, err := io.ReadAll(opened.Range(span, bytes.NewReader(part)))
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%d+%d, [%d, +%d): %d bytes, %v", size, padding, off, n, len(got), err)
					}
					big := make([]byte, n+chunk.SegmentSealed)
					r := opened.Range(span, bytes.NewReader(part))
					m, err := readInto(r, big)
					if err != nil || !bytes.Equal(big[:m], want) {
						t.Fatalf("%d+%d, [%d, +%d) in place: %d bytes, %v", size, padding, off, n, m, err)
					}
					var w bytes.Buffer
					if _, err := opened.Range(span, bytes.NewReader(part)).(io.WriterTo).WriteTo(&w); err != nil || !bytes.Equal(w.Bytes(), want) {
						t.Fatalf("%d+%d, [%d, +%d) written: %d bytes, %v", size, padding, off, n, w.Len(), err)
					}
					if _, err := io.ReadAll(opened.Range(span, bytes.NewReader(part[:len(part)-1]))); !errors.Is(err, crypt.ErrTruncated) {
						t.Fatalf("truncated: %v", err)
					}
					if _, err := io.ReadAll(opened.Range(span, bytes.NewReader(attachment[span.Off:]))); int(span.Off+span.Len) < len(attachment) && !errors.Is(err, crypt.ErrTrailing) {
						t.Fatalf("more than asked for: %v", err)
					}
				}
			}
		}
	}
}

// readInto reads to the end with room for a sealed segment at every read.
func readInto(r io.Reader, p []byte) (n int, err error) {
	for {
		var m int
		m, err = r.Read(p[n:])
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func TestOpenChunk_Unexpected(t *testing.T) {
	ring, id, _ := fixed()
	key := ring.ObjectKey(id)
	good := vectors[3].seal(t).Chunk()
	const size = 71630849
	if _, err := crypt.NewRangeReader(key, id, good, size, chunk.Span{Segments: 1}, nil); err != nil {
		t.Fatal(err)
	}
	other := id
	other[3]++
	for _, c := range []struct {
		name string
		id   cloud.ObjectID
		size int64
		edit func(*cloud.Chunk)
		want error
	}{
		{"object", other, size, nil, crypt.ErrHeader},
		{"object size", id, size + 1, nil, crypt.ErrUnexpected},
		{"index", id, size, func(c *cloud.Chunk) { c.Index++ }, crypt.ErrUnexpected},
		{"offset", id, size, func(c *cloud.Chunk) { c.Offset++ }, crypt.ErrUnexpected},
		{"size", id, size, func(c *cloud.Chunk) { c.Size-- }, crypt.ErrUnexpected},
		{"extension", id, size, func(c *cloud.Chunk) { c.Ext = 17 }, crypt.ErrUnexpected},
		{"sealed size", id, size, func(c *cloud.Chunk) { c.SealedSize++ }, crypt.ErrPayload},
		{"sealed size, less", id, size, func(c *cloud.Chunk) { c.SealedSize = 1 }, crypt.ErrExtSize},
		{"salt", id, size, func(c *cloud.Chunk) { c.Salt[31] ^= 1 }, crypt.ErrHeader},
		{"header", id, size, func(c *cloud.Chunk) { c.Header[0] ^= 1 }, crypt.ErrHeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := good
			if c.edit != nil {
				c.edit(&bad)
			}
			_, err := crypt.OpenChunk(key, c.id, bad, c.size)
			if !errors.Is(err, c.want) || !errors.Is(err, cloud.ErrCorrupt) {
				t.Errorf("OpenChunk = %v, want %v", err, c.want)
			}
		})
	}
	if _, err := crypt.OpenChunk(key, id, good, -1); err != nil {
		t.Errorf("object size unknown to the reader: %v", err)
	}
}

func TestHeader_RoundTrip(t *testing.T) {
	ring, id, _ := fixed()
	for _, h := range []crypt.Header{
		{Kind: crypt.Pack, Index: math.MaxUint32, Offset: math.MaxInt64 - 1, Size: 1, ObjectSize: math.MaxInt64, Time: time.UnixMilli(1 << 45).UTC()},
		{Kind: crypt.Thumbnail, Final: true, Size: 1, ObjectSize: -1, Time: time.UnixMilli(-1).UTC()},
	} {
		s, err := crypt.Seal(ring.ObjectKey(id), id, h, nil, []byte{1})
		if err != nil {
			t.Fatal(err)
		}
		a, err := crypt.OpenHeader(ring, s.Open(), s.Size())
		if err != nil || a.Header != h || s.Header() != h {
			t.Errorf("got %+v, %v, want %+v", a.Header, err, h)
		}
	}
}
