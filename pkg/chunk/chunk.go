// Package chunk is the arithmetic of storage: how a file is cut into chunks and
// a chunk into segments, where a range of plain bytes lies in a sealed
// attachment, and how the hash of a file grows from its leaves. It is pure: it
// reads nothing, stores nothing and knows no key. Sealing is pkg/crypt.
//
// One chunk is one attachment:
//
//	144 bytes   prefix: object id, salt, commitment, sealed header
//	E bytes     sealed extension, often none
//	segments    64 KiB of the body each, sealed by itself, 16 bytes longer
//
// The body is the payload, and zeros behind it where a chunk is padded. There is
// always a segment: the body of an empty chunk is one empty segment.
package chunk

import (
	"fmt"

	"discordcloud/pkg/cloud"
)

// Sizes of the format, in bytes.
const (
	// Segment is the plain size of a segment; the last of a chunk may be shorter.
	Segment = 64 << 10
	// Tag is what sealing adds to a header, an extension or a segment.
	Tag = 16
	// SegmentSealed is the size of a whole segment in the attachment.
	SegmentSealed = Segment + Tag
	// Prefix is what lies in front of the extension: object id, salt,
	// commitment and sealed header.
	Prefix = 144
	// Leaf is the plain size of a leaf of the hash tree. Chunks start at leaves.
	Leaf = 256 << 10
	// Reserve is kept of an attachment for the prefix and the extension.
	Reserve = 4 << 10
	// ExtMax is the largest plain extension that fits into the Reserve.
	ExtMax = Reserve - Prefix - Tag
	// MinSealed is the size of the smallest attachment: prefix and one empty
	// segment.
	MinSealed = Prefix + Tag
	// MaxPlain is the largest payload that a header can state, in whole leaves.
	MaxPlain = (1<<32 - 1) / Leaf * Leaf
)

// PlainMax is the payload of a full chunk under an attachment limit: the
// largest multiple of Leaf whose sealed form fits, with the Reserve kept. It is
// 0 for limits too small to hold a leaf.
func PlainMax(limit int64) int64 {
	const leafSealed = Leaf / Segment * SegmentSealed
	if limit < Reserve {
		return 0
	}
	return min((limit-Reserve)/leafSealed*Leaf, MaxPlain)
}

// Segments is the number of segments of a body of that many bytes.
func Segments(body int64) int {
	if body <= 0 {
		return 1
	}
	return int((body-1)/Segment + 1)
}

// SealedSize is the size of the attachment for a body of plain bytes (padding
// included) with a sealed extension of ext bytes, 0 if there is none.
func SealedSize(plain int64, ext int) int64 {
	return Prefix + int64(ext) + plain + int64(Segments(plain))*Tag
}

// BodySize undoes SealedSize: the bytes of the body in an attachment of the
// given size, padding included. It is ErrCorrupt if no body seals to that size.
func BodySize(sealed int64, ext int) (int64, error) {
	n := sealed - Prefix - int64(ext)
	if ext < 0 || n < Tag {
		return 0, fmt.Errorf("%w: no room for a segment in %d bytes", cloud.ErrCorrupt, sealed)
	}
	segments := (n-1)/SegmentSealed + 1
	last := n - (segments-1)*SegmentSealed
	if last < Tag || last == Tag && segments > 1 {
		return 0, fmt.Errorf("%w: %d bytes behind the last segment", cloud.ErrCorrupt, last)
	}
	return n - segments*Tag, nil
}

// Count is the number of chunks of a file of size bytes, cut every chunkSize
// bytes: at least one, since an empty file has an empty chunk.
func Count(size, chunkSize int64) int {
	if chunkSize <= 0 {
		panic("chunk: chunk size is not positive")
	}
	if size <= 0 {
		return 1
	}
	return int((size-1)/chunkSize + 1)
}

// Part is the place of chunk i of a file of size bytes, cut every chunkSize
// bytes: its first byte and its length.
func Part(size, chunkSize int64, i int) (off, n int64) {
	if i < 0 || i >= Count(size, chunkSize) {
		panic("chunk: part outside the file")
	}
	off = int64(i) * chunkSize
	return off, min(chunkSize, size-off)
}

// Span is a range of a chunk's payload, and the sealed bytes that hold it:
// whole segments only, since a part of one does not open.
type Span struct {
	First    int   // first segment
	Segments int   // how many
	Off      int64 // of the first segment's first byte in the attachment
	Len      int64 // of the sealed segments together
	Skip     int   // plain bytes of the first segment in front of the range
	Plain    int64 // length of the range
}

// Range maps the payload bytes [off, off+n) of c, counted from the chunk's own
// first byte, to the segments that hold them. It is ErrInvalid if the range is
// empty or reaches outside the payload, ErrCorrupt if c's sizes contradict
// each other.
func Range(c cloud.Chunk, off, n int64) (Span, error) {
	if off < 0 || n <= 0 || off > c.Size || n > c.Size-off {
		return Span{}, fmt.Errorf("%w: %d bytes from %d in a chunk of %d", cloud.ErrInvalid, n, off, c.Size)
	}
	body, err := BodySize(c.SealedSize, c.Ext)
	if err != nil {
		return Span{}, err
	}
	if body < c.Size {
		return Span{}, fmt.Errorf("%w: %d sealed bytes cannot hold %d", cloud.ErrCorrupt, c.SealedSize, c.Size)
	}
	first, last := off/Segment, (off+n-1)/Segment
	start := Prefix + int64(c.Ext) + first*SegmentSealed
	end := min(Prefix+int64(c.Ext)+(last+1)*SegmentSealed, c.SealedSize)
	return Span{
		First: int(first), Segments: int(last - first + 1),
		Off: start, Len: end - start,
		Skip: int(off - first*Segment), Plain: n,
	}, nil
}

// From is the part of s from its i-th segment on: what is left to read once i
// segments are there. At i = s.Segments nothing is left.
func (s Span) From(i int) Span {
	if i <= 0 {
		return s
	}
	if i >= s.Segments {
		return Span{First: s.First + s.Segments, Off: s.Off + s.Len}
	}
	return Span{
		First: s.First + i, Segments: s.Segments - i,
		Off: s.Off + int64(i)*SegmentSealed, Len: s.Len - int64(i)*SegmentSealed,
		Plain: s.Plain - (int64(i)*Segment - int64(s.Skip)),
	}
}
