package crypt

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

// Kind is what a chunk holds.
type Kind uint8

// The kinds of chunk.
const (
	Data Kind = iota
	Parity
	Snapshot // of the journal
	Delta    // of the journal
	Keyring
	Thumbnail
	Pack // of small files
	kinds
)

// Header says what a chunk is. It is sealed with the chunk, and every segment
// is bound to it.
type Header struct {
	Kind Kind
	// Final marks the chunk that ends its object.
	Final bool
	// Padded tells that zeros follow the payload. SealPadded sets it.
	Padded bool
	Index  int
	// Size is the length of the payload in bytes. Sealing sets it; a value other
	// than 0 must be right.
	Size       int64
	Offset     int64 // of the payload's first byte in the object
	ObjectSize int64 // -1 where it is not known
	// Time is when the chunk was sealed, in whole milliseconds. The zero Time is
	// sealed as the beginning of 1970.
	Time time.Time
}

const (
	version      = 1
	suite        = 1 // AES-256-GCM, HKDF-SHA-256
	flagFinal    = 1 << 0
	flagPadded   = 1 << 1
	headerSize   = 48
	headerSealed = headerSize + chunk.Tag
	unknownSize  = math.MaxUint64
)

// encode is the header as it is sealed; ext is the length of the sealed
// extension.
func (h Header) encode(ext int) ([headerSize]byte, error) {
	var b [headerSize]byte
	switch {
	case h.Kind >= kinds:
		return b, fmt.Errorf("%w: kind %d", cloud.ErrInvalid, h.Kind)
	case h.Index < 0 || int64(h.Index) > math.MaxUint32:
		return b, fmt.Errorf("%w: index %d", cloud.ErrInvalid, h.Index)
	case h.Size < 0 || h.Size > math.MaxUint32:
		return b, fmt.Errorf("%w: payload of %d bytes", cloud.ErrInvalid, h.Size)
	case h.Offset < 0 || h.Offset > math.MaxInt64-h.Size:
		return b, fmt.Errorf("%w: offset %d", cloud.ErrInvalid, h.Offset)
	case h.ObjectSize < -1 || h.ObjectSize >= 0 && h.Offset+h.Size > h.ObjectSize:
		return b, fmt.Errorf("%w: %d bytes from %d in an object of %d", cloud.ErrInvalid, h.Size, h.Offset, h.ObjectSize)
	}
	b[0], b[1], b[2] = version, suite, byte(h.Kind)
	if h.Final {
		b[3] |= flagFinal
	}
	if h.Padded {
		b[3] |= flagPadded
	}
	binary.BigEndian.PutUint32(b[4:], uint32(ext))
	binary.BigEndian.PutUint32(b[8:], uint32(h.Index))
	binary.BigEndian.PutUint32(b[12:], uint32(h.Size))
	binary.BigEndian.PutUint64(b[16:], uint64(h.Offset))
	binary.BigEndian.PutUint64(b[24:], unknownSize)
	if h.ObjectSize >= 0 {
		binary.BigEndian.PutUint64(b[24:], uint64(h.ObjectSize))
	}
	if !h.Time.IsZero() {
		binary.BigEndian.PutUint64(b[32:], uint64(h.Time.UnixMilli()))
	}
	return b, nil
}

// decodeHeader reads what encode wrote. Whether the sizes fit the attachment is
// left to layout.
func decodeHeader(b [headerSize]byte) (h Header, ext int, err error) {
	switch {
	case b[0] != version:
		return Header{}, 0, fmt.Errorf("%w: %d", ErrVersion, b[0])
	case b[1] != suite:
		return Header{}, 0, fmt.Errorf("%w: %d", ErrSuite, b[1])
	case Kind(b[2]) >= kinds:
		return Header{}, 0, fmt.Errorf("%w: %d", ErrKind, b[2])
	case b[3]&^(flagFinal|flagPadded) != 0:
		return Header{}, 0, fmt.Errorf("%w: %#x", ErrFlags, b[3])
	case [8]byte(b[40:]) != [8]byte{}:
		return Header{}, 0, ErrReserved
	}
	extSize := binary.BigEndian.Uint32(b[4:])
	if extSize > math.MaxInt32 || extSize > 0 && extSize <= chunk.Tag {
		return Header{}, 0, fmt.Errorf("%w: %d", ErrExtSize, extSize)
	}
	h = Header{
		Kind:       Kind(b[2]),
		Final:      b[3]&flagFinal != 0,
		Padded:     b[3]&flagPadded != 0,
		Index:      int(binary.BigEndian.Uint32(b[8:])),
		Size:       int64(binary.BigEndian.Uint32(b[12:])),
		ObjectSize: -1,
		Time:       time.UnixMilli(int64(binary.BigEndian.Uint64(b[32:]))).UTC(),
	}
	offset, size := binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	if offset > math.MaxInt64-uint64(h.Size) || size > math.MaxInt64 && size != unknownSize {
		return Header{}, 0, fmt.Errorf("%w: offset %d in an object of %d", ErrPayload, offset, size)
	}
	h.Offset = int64(offset)
	if size != unknownSize {
		h.ObjectSize = int64(size)
	}
	return h, int(extSize), nil
}

// layout checks h against the size of the attachment that it heads, and gives
// the size of the body.
func (h Header) layout(sealed int64, ext int) (body int64, err error) {
	rest := sealed - chunk.Prefix - int64(ext)
	switch last := rest % chunk.SegmentSealed; {
	case rest < chunk.Tag:
		return 0, fmt.Errorf("%w: %d of %d bytes", ErrExtSize, ext, sealed)
	case last > 0 && last < chunk.Tag:
		return 0, ErrTrailing
	case last == chunk.Tag && rest > chunk.SegmentSealed:
		return 0, ErrEmptySegment
	}
	body, err = chunk.BodySize(sealed, ext)
	if err != nil {
		return 0, err
	}
	if h.Size > body || h.Size < body && !h.Padded {
		return 0, fmt.Errorf("%w: %d of %d bytes", ErrPayload, h.Size, body)
	}
	return body, nil
}
