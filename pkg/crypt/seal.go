package crypt

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

// The counters of what is not a segment. No chunk has that many segments.
const (
	counterHeader = math.MaxUint32
	counterExt    = math.MaxUint32 - 1
)

// sealer seals and opens the parts of one chunk. Its prefix is what the parts
// are bound to; the header is missing in it until it is known.
type sealer struct {
	aead   cipher.AEAD
	nonce  [nonceSize]byte
	prefix [chunk.Prefix]byte
}

func newSealer(id cloud.ObjectID, salt [32]byte, ck chunkKeys) *sealer {
	s := &sealer{aead: newGCM(ck.key[:]), nonce: ck.nonce}
	copy(s.prefix[0:], id[:])
	copy(s.prefix[16:], salt[:])
	copy(s.prefix[48:], ck.commitment[:])
	return s
}

const headerAt = 16 + 32 + 32

// counter is the nonce of part i.
func (s *sealer) counter(i uint32, last bool) [nonceSize]byte {
	var b [nonceSize]byte
	if last {
		b[7] = 1
	}
	binary.BigEndian.PutUint32(b[8:], i)
	for i := range b {
		b[i] ^= s.nonce[i]
	}
	return b
}

func (s *sealer) sealHeader(h [headerSize]byte) {
	n := s.counter(counterHeader, false)
	s.aead.Seal(s.prefix[headerAt:headerAt], n[:], h[:], s.prefix[:headerAt])
}

func (s *sealer) openHeader(sealed [headerSealed]byte) ([headerSize]byte, error) {
	copy(s.prefix[headerAt:], sealed[:])
	n := s.counter(counterHeader, false)
	var h [headerSize]byte
	if _, err := s.aead.Open(h[:0], n[:], sealed[:], s.prefix[:headerAt]); err != nil {
		return h, ErrHeader
	}
	return h, nil
}

func (s *sealer) sealExt(ext []byte) []byte {
	n := s.counter(counterExt, false)
	return s.aead.Seal(nil, n[:], ext, s.prefix[:])
}

func (s *sealer) openExt(sealed []byte) ([]byte, error) {
	n := s.counter(counterExt, false)
	ext, err := s.aead.Open(sealed[:0], n[:], sealed, s.prefix[:])
	if err != nil {
		return nil, ErrExt
	}
	return ext, nil
}

// sealSegment appends segment i to dst, which must not overlap plain.
func (s *sealer) sealSegment(dst []byte, i int, last bool, plain []byte) []byte {
	n := s.counter(uint32(i), last)
	return s.aead.Seal(dst, n[:], plain, s.prefix[:])
}

// openSegment opens segment i in place. The plain bytes are the front of
// sealed; on error there is nothing in it to use.
func (s *sealer) openSegment(i int, last bool, sealed []byte) ([]byte, error) {
	n := s.counter(uint32(i), last)
	plain, err := s.aead.Open(sealed[:0], n[:], sealed, s.prefix[:])
	if err != nil {
		return nil, fmt.Errorf("%w: segment %d", ErrSegment, i)
	}
	return plain, nil
}

// Sealed is a chunk ready to be stored: its size, its prefix and, made anew by
// each reader, its segments. The methods are safe for concurrent use.
type Sealed struct {
	sealer *sealer
	salt   [32]byte
	header Header
	ext    []byte // sealed
	plain  []byte
	body   int64
}

// Seal prepares the sealing of plain as the chunk that h describes. It draws a
// fresh salt: two calls never use a key twice, and readers of one Sealed all
// give the same bytes. ext, if there is any, is sealed along; the caller may
// reuse it. plain is kept, and must not change while readers are in use.
// ErrInvalid if h states what a header cannot hold, if h.Size is neither 0 nor
// len(plain), or if ext is longer than chunk.ExtMax.
func Seal(key ObjectKey, id cloud.ObjectID, h Header, ext []byte, plain []byte) (*Sealed, error) {
	if h.Padded {
		return nil, fmt.Errorf("%w: padding asked of Seal", cloud.ErrInvalid)
	}
	return seal(key, id, freshSalt(), h, ext, plain, int64(len(plain)))
}

// SealPadded is Seal with zeros behind the payload, up to body bytes: the
// attachment then hides how long the payload is. ErrInvalid if body is less
// than len(plain).
func SealPadded(key ObjectKey, id cloud.ObjectID, h Header, ext []byte, plain []byte, body int64) (*Sealed, error) {
	h.Padded = true
	return seal(key, id, freshSalt(), h, ext, plain, body)
}

func freshSalt() (salt [32]byte) {
	_, _ = rand.Read(salt[:]) // never fails: it ends the program instead
	return salt
}

func seal(key ObjectKey, id cloud.ObjectID, salt [32]byte, h Header, ext, plain []byte, body int64) (*Sealed, error) {
	size := int64(len(plain))
	switch {
	case h.Size != 0 && h.Size != size:
		return nil, fmt.Errorf("%w: header says %d bytes, payload has %d", cloud.ErrInvalid, h.Size, size)
	case body < size || body > math.MaxUint32:
		return nil, fmt.Errorf("%w: %d bytes in a body of %d", cloud.ErrInvalid, size, body)
	case len(ext) > chunk.ExtMax:
		return nil, fmt.Errorf("%w: extension of %d bytes", cloud.ErrInvalid, len(ext))
	}
	h.Size = size
	extSealed := 0
	if len(ext) > 0 {
		extSealed = len(ext) + chunk.Tag
	}
	head, err := h.encode(extSealed)
	if err != nil {
		return nil, err
	}
	s := &Sealed{sealer: newSealer(id, salt, key.chunkKeys(salt)), salt: salt, header: h, plain: plain, body: body}
	s.sealer.sealHeader(head)
	if extSealed > 0 {
		s.ext = s.sealer.sealExt(ext)
	}
	return s, nil
}

// Salt is the salt of this sealing.
func (s *Sealed) Salt() [32]byte { return s.salt }

// SealedHeader is bytes 80 to 143 of the attachment.
func (s *Sealed) SealedHeader() [headerSealed]byte {
	return [headerSealed]byte(s.sealer.prefix[headerAt:])
}

// Header is the header as it was sealed.
func (s *Sealed) Header() Header { return s.header }

// Ext is the length of the sealed extension, 0 if there is none.
func (s *Sealed) Ext() int { return len(s.ext) }

// Size is the size of the attachment in bytes.
func (s *Sealed) Size() int64 { return chunk.SealedSize(s.body, len(s.ext)) }

// Chunk is what the database keeps of the chunk, without its Ref.
func (s *Sealed) Chunk() cloud.Chunk {
	return cloud.Chunk{
		Index: s.header.Index, Offset: s.header.Offset, Size: s.header.Size,
		Ext: s.Ext(), SealedSize: s.Size(), Salt: s.salt, Header: s.SealedHeader(),
	}
}

// Bytes is the whole attachment. Open needs a thousandth of the memory.
func (s *Sealed) Bytes() []byte {
	b := bytes.NewBuffer(make([]byte, 0, s.Size()))
	_, _ = s.reader().WriteTo(b) // neither of the two fails
	return b.Bytes()
}

// Open returns a reader of the attachment from its first byte, which seals as it
// goes and is an io.WriterTo too. It holds one segment at most.
func (s *Sealed) Open() io.Reader { return s.reader() }

func (s *Sealed) reader() *sealedReader {
	return &sealedReader{s: s, pending: append(s.sealer.prefix[:len(s.sealer.prefix):len(s.sealer.prefix)], s.ext...)}
}

// sealedReader reads one attachment.
type sealedReader struct {
	s       *Sealed
	pending []byte // sealed and not read yet
	next    int    // segment to seal then
	scratch []byte // one sealed segment, once needed
	padding []byte // one plain segment, once needed
}

func (r *sealedReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.pending) == 0 {
		if r.next == chunk.Segments(r.s.body) {
			return 0, io.EOF
		}
		if len(p) >= chunk.SegmentSealed { // without a copy
			n := 0
			for len(p)-n >= chunk.SegmentSealed && r.next < chunk.Segments(r.s.body) {
				n += len(r.segment(p[n:n]))
			}
			return n, nil
		}
		r.pending = r.segment(r.buffer())
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

// WriteTo writes what is left of the attachment, a segment at a time.
func (r *sealedReader) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for {
		if len(r.pending) == 0 {
			if r.next == chunk.Segments(r.s.body) {
				return written, nil
			}
			r.pending = r.segment(r.buffer())
		}
		n, err := w.Write(r.pending)
		written += int64(n)
		r.pending = r.pending[n:]
		if err == nil && len(r.pending) > 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
	}
}

func (r *sealedReader) buffer() []byte {
	if r.scratch == nil {
		r.scratch = make([]byte, 0, min(r.s.body, chunk.Segment)+chunk.Tag)
	}
	return r.scratch
}

// segment appends the next sealed segment to dst.
func (r *sealedReader) segment(dst []byte) []byte {
	i := r.next
	r.next++
	start := int64(i) * chunk.Segment
	end := min(start+chunk.Segment, r.s.body)
	return r.s.sealer.sealSegment(dst, i, end == r.s.body, r.bodyBytes(start, end))
}

// bodyBytes is the body from start to end: payload, then zeros.
func (r *sealedReader) bodyBytes(start, end int64) []byte {
	size := int64(len(r.s.plain))
	if end <= size {
		return r.s.plain[start:end]
	}
	if r.padding == nil {
		r.padding = make([]byte, chunk.Segment)
	}
	n := 0
	if start < size {
		n = copy(r.padding, r.s.plain[start:])
	}
	clear(r.padding[n:])
	return r.padding[:end-start]
}
