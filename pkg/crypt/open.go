package crypt

import (
	"errors"
	"fmt"
	"io"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

// Attachment is what an attachment says of itself.
type Attachment struct {
	Object cloud.ObjectID
	Key    ObjectKey // of that object
	Header Header
	Ext    []byte // plain; nil if there is none
	// Chunk is what the database keeps of it, without its Ref.
	Chunk cloud.Chunk
}

// Open reads an attachment of size bytes whose place in the tree need not be
// known. It returns what the attachment says of itself, and a reader of the
// payload: that one releases the bytes of a segment only after its tag held,
// and ends with io.EOF only after the last segment held and nothing followed.
// The errors of both are those of this package, or the attachment reader's own.
func Open(ring Ring, attachment io.Reader, size int64) (Attachment, io.Reader, error) {
	a, s, body, err := open(ring, attachment, size)
	if err != nil {
		return Attachment{}, nil, err
	}
	all := chunk.Span{Segments: chunk.Segments(body), Plain: a.Header.Size}
	return a, newSegmentReader(s, body, all, attachment), nil
}

// OpenHeader is Open without the payload. It reads the prefix and the extension
// only, at most chunk.Reserve bytes of what this package sealed.
func OpenHeader(ring Ring, attachment io.Reader, size int64) (Attachment, error) {
	a, _, _, err := open(ring, attachment, size)
	return a, err
}

func open(ring Ring, r io.Reader, size int64) (a Attachment, s *sealer, body int64, err error) {
	fail := func(err error) (Attachment, *sealer, int64, error) { return Attachment{}, nil, 0, err }
	if size < chunk.MinSealed {
		return fail(fmt.Errorf("%w: %d bytes", ErrShort, size))
	}
	var prefix [chunk.Prefix]byte
	if err := readFull(r, prefix[:]); err != nil {
		return fail(err)
	}
	var (
		id         = cloud.ObjectID(prefix[:16])
		salt       = [32]byte(prefix[16:48])
		commitment = [32]byte(prefix[48:headerAt])
		sealed     = [headerSealed]byte(prefix[headerAt:])
	)
	key, err := ring.FindKey(id, salt, commitment)
	if err != nil {
		return fail(err)
	}
	s = newSealer(id, salt, key.chunkKeys(salt))
	h, ext, body, err := s.header(sealed, size)
	if err != nil {
		return fail(err)
	}
	a = Attachment{Object: id, Key: key, Header: h, Chunk: cloud.Chunk{
		Index: h.Index, Offset: h.Offset, Size: h.Size,
		Ext: ext, SealedSize: size, Salt: salt, Header: sealed,
	}}
	if ext > 0 {
		a.Ext = make([]byte, ext)
		if err := readFull(r, a.Ext); err != nil {
			return fail(err)
		}
		if a.Ext, err = s.openExt(a.Ext); err != nil {
			return fail(err)
		}
	}
	return a, s, body, nil
}

// header opens a sealed header and checks it against the attachment's size.
func (s *sealer) header(sealed [headerSealed]byte, size int64) (h Header, ext int, body int64, err error) {
	b, err := s.openHeader(sealed)
	if err != nil {
		return Header{}, 0, 0, err
	}
	if h, ext, err = decodeHeader(b); err != nil {
		return Header{}, 0, 0, err
	}
	if body, err = h.layout(size, ext); err != nil {
		return Header{}, 0, 0, err
	}
	return h, ext, body, nil
}

// Chunk opens ranges of one chunk whose sealed header is known, so that a
// range costs no read of anything but its own segments. It is safe for
// concurrent use.
type Chunk struct {
	sealer *sealer
	header Header
	body   int64
}

// OpenChunk checks the sealed header of c against c itself, and prepares to
// open its segments. objectSize is the size of the object, -1 if it is not
// known. Beside the refusals of the header, it is ErrUnexpected if the header
// is sound but states another chunk than c.
func OpenChunk(key ObjectKey, id cloud.ObjectID, c cloud.Chunk, objectSize int64) (*Chunk, error) {
	s := newSealer(id, c.Salt, key.chunkKeys(c.Salt))
	h, ext, body, err := s.header(c.Header, c.SealedSize)
	if err != nil {
		return nil, err
	}
	switch {
	case h.Index != c.Index:
		return nil, fmt.Errorf("%w: index %d, want %d", ErrUnexpected, h.Index, c.Index)
	case h.Offset != c.Offset:
		return nil, fmt.Errorf("%w: offset %d, want %d", ErrUnexpected, h.Offset, c.Offset)
	case h.Size != c.Size:
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrUnexpected, h.Size, c.Size)
	case ext != c.Ext:
		return nil, fmt.Errorf("%w: extension of %d bytes, want %d", ErrUnexpected, ext, c.Ext)
	case objectSize >= 0 && h.ObjectSize >= 0 && h.ObjectSize != objectSize:
		return nil, fmt.Errorf("%w: of an object of %d bytes, want %d", ErrUnexpected, h.ObjectSize, objectSize)
	}
	return &Chunk{sealer: s, header: h, body: body}, nil
}

// Header is the chunk's header.
func (c *Chunk) Header() Header { return c.header }

// Range reads the plain bytes of span, made by chunk.Range for this chunk, from
// r, which gives the sealed bytes of span and no more. The bytes of a segment
// are released only after its tag held, and io.EOF comes only after the last
// segment of span held and r ended. A Read with room for chunk.SegmentSealed bytes
// gives the rest of one segment, opened in place; while all are such there is no
// buffer (but for a span that skips bytes). It is an io.WriterTo too.
func (c *Chunk) Range(span chunk.Span, r io.Reader) io.Reader {
	if span.First < 0 || span.Segments < 0 || span.First+span.Segments > chunk.Segments(c.body) {
		panic("crypt: span outside the chunk")
	}
	return newSegmentReader(c.sealer, c.body, span, r)
}

// NewRangeReader is OpenChunk and Range in one, for a single range.
func NewRangeReader(key ObjectKey, id cloud.ObjectID, c cloud.Chunk, objectSize int64, span chunk.Span, r io.Reader) (io.Reader, error) {
	opened, err := OpenChunk(key, id, c, objectSize)
	if err != nil {
		return nil, err
	}
	return opened.Range(span, r), nil
}

// segmentReader opens a row of segments.
type segmentReader struct {
	sealer    *sealer
	r         io.Reader
	body      int64
	next, end int   // segments
	skip      int   // plain bytes to drop from the next segment
	left      int64 // plain bytes to release
	pending   []byte
	scratch   []byte
	err       error
}

func newSegmentReader(s *sealer, body int64, span chunk.Span, r io.Reader) *segmentReader {
	return &segmentReader{
		sealer: s, r: r, body: body,
		next: span.First, end: span.First + span.Segments,
		skip: span.Skip, left: span.Plain,
	}
}

func (r *segmentReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.pending) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.next == r.end {
			r.err = r.finish()
			continue
		}
		if len(p) >= chunk.SegmentSealed && r.skip == 0 {
			var plain []byte
			if plain, r.err = r.segment(p); len(plain) > 0 {
				return len(plain), nil
			}
			continue
		}
		r.pending, r.err = r.segment(r.buffer())
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

// WriteTo writes what is left, a segment at a time.
func (r *segmentReader) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for {
		if len(r.pending) > 0 {
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
		switch {
		case r.err == io.EOF:
			return written, nil
		case r.err != nil:
			return written, r.err
		case r.next == r.end:
			r.err = r.finish()
		default:
			r.pending, r.err = r.segment(r.buffer())
		}
	}
}

func (r *segmentReader) buffer() []byte {
	if r.scratch == nil {
		r.scratch = make([]byte, min(r.body, chunk.Segment)+chunk.Tag)
	}
	return r.scratch
}

// segment reads and opens the next segment in buf, and returns what of its
// plain bytes is to be released.
func (r *segmentReader) segment(buf []byte) ([]byte, error) {
	i := r.next
	size := min(r.body-int64(i)*chunk.Segment, chunk.Segment)
	sealed := buf[:size+chunk.Tag]
	if err := readFull(r.r, sealed); err != nil {
		return nil, err
	}
	plain, err := r.sealer.openSegment(i, i == chunk.Segments(r.body)-1, sealed)
	if err != nil {
		return nil, err
	}
	r.next++
	plain = plain[min(r.skip, len(plain)):]
	plain = plain[:min(r.left, int64(len(plain)))]
	r.skip = 0
	r.left -= int64(len(plain))
	return plain, nil
}

// finish is io.EOF if nothing follows.
func (r *segmentReader) finish() error {
	var one [1]byte
	switch n, err := io.ReadFull(r.r, one[:]); {
	case n > 0:
		return ErrTrailing
	default:
		return err
	}
}

// readFull fills p. An early end is ErrTruncated.
func readFull(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}
