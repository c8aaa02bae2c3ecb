package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

// overhead is how much of a body may be something else than the part: headers,
// boundaries, other fields.
const overhead = 128 << 10

var (
	// errForm: the body is no form that can be read.
	errForm = fmt.Errorf("%w: form", cloud.ErrInvalid)
	// errGone: the client has left.
	errGone = errors.New("the client has left")
)

// form reads one POST.
type form struct {
	s       *Service
	request request

	t       *transfer // nil until the id has come
	part    int64     // -1 until the chunk has come
	hasPart bool
	last    bool // the part ends a file whose size is not known

	buf    *buffer // nil until the file has come
	size   int64   // bytes of the file
	leaves []cloud.Sum
}

// read reads the whole body. Errors are fit for Service.refuse.
func (f *form) read(ctx context.Context, r *http.Request, b *body) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" || len(params["boundary"]) > 70 { // RFC 2046 §5.1.1
		return cloud.UserErrorf(cloud.ErrInvalid, "the body is not multipart/form-data with a boundary")
	}
	largest := f.s.largest()
	if r.ContentLength > largest+overhead && largest > 0 {
		return cloud.UserErrorf(cloud.ErrInvalid, "the body is longer than any chunk")
	}
	parts := newMultipartReader(b.r, b, params["boundary"])
	for {
		p, err := parts.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return b.explain(err)
		}
		switch p.name {
		case "id":
			err = f.readID(p, b)
		case "chunk":
			err = f.readChunk(p, b)
		case "last":
			err = f.readLast(p, b)
		case "file":
			err = f.readFile(ctx, p, b, min(largest, lengthOr(r, largest)))
		default:
			if p.file != "" {
				err = fmt.Errorf("%w: a file of another name", errForm)
			} // other fields are read over, within the overhead
		}
		if err != nil {
			return err
		}
	}
	return f.complete()
}

// lengthOr is the length of the body if it is known.
func lengthOr(r *http.Request, otherwise int64) int64 {
	if r.ContentLength < 0 {
		return otherwise
	}
	return r.ContentLength
}

func (f *form) readID(p io.Reader, b *body) error {
	id, err := field(p, b)
	if err != nil {
		return err
	}
	if f.t != nil {
		return cloud.UserErrorf(cloud.ErrInvalid, "there are two ids")
	}
	t, ok := f.s.find(cloud.UploadID(id))
	if !ok {
		return cloud.UserErrorf(cloud.ErrNotFound, "no such upload is open here")
	}
	t.enter(&f.request)
	f.t = t
	return f.check()
}

func (f *form) readChunk(p io.Reader, b *body) error {
	text, err := field(p, b)
	if err != nil {
		return err
	}
	if f.hasPart {
		return cloud.UserErrorf(cloud.ErrInvalid, "there are two chunk numbers")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || text[0] == '+' || len(text) > 10 {
		return cloud.UserErrorf(cloud.ErrInvalid, "chunk is not a number from 0")
	}
	f.part, f.hasPart = n, true
	return f.check()
}

func (f *form) readLast(p io.Reader, b *body) error {
	text, err := field(p, b)
	f.last = text == "1"
	return err
}

// field reads a short field.
func field(p io.Reader, b *body) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(p, 65))
	if err != nil {
		return "", b.explain(err)
	}
	if len(raw) > 64 {
		return "", cloud.UserErrorf(cloud.ErrInvalid, "a field is too long")
	}
	return string(raw), nil
}

// check refuses what can be refused before the file has come.
func (f *form) check() error {
	if f.t == nil || !f.hasPart {
		return nil
	}
	n, err := f.t.expect(f.part)
	if err != nil {
		return err
	}
	if f.buf != nil && f.size != n && f.t.size >= 0 {
		return wrongSize(f.part, n)
	}
	return f.t.takes(f.part)
}

func wrongSize(part, n int64) error {
	return cloud.UserErrorf(cloud.ErrInvalid, "chunk %d has %d bytes", part, n)
}

// readFile reads the part into a buffer and hashes its leaves on the way. largest
// is the most that it can be if its upload is not known yet.
func (f *form) readFile(ctx context.Context, p *multipartPart, b *body, largest int64) error {
	if f.buf != nil {
		return fmt.Errorf("%w: two files", errForm)
	}
	most, stranger := largest, f.t == nil
	known := false // how long the file is
	switch {
	case f.t != nil && f.hasPart:
		most, _ = f.t.expect(f.part) // checked when it came
		known = f.t.size >= 0
	case f.t != nil:
		most = f.t.largest()
	case largest <= 0:
		return cloud.UserErrorf(cloud.ErrNotFound, "no upload is open here")
	}
	buf, err := f.s.budget.take(ctx, most, stranger)
	if err != nil {
		return err
	}
	f.buf = buf
	b.allow(most)
	read := func(b []byte) (int, error) { return io.ReadFull(p, b) }
	if known {
		read = p.readFull
	}
	f.leaves = make([]cloud.Sum, 0, most/chunk.Leaf+1)
	for f.size < most && ctx.Err() == nil {
		leaf := buf.b[f.size:min(f.size+chunk.Leaf, most)]
		n, err := read(leaf)
		if n > 0 {
			f.leaves = append(f.leaves, chunk.LeafSum(leaf[:n]))
			f.size += int64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF && b.err == nil {
			break // of the file; whether the form goes on properly shows next
		}
		if err != nil {
			return b.explain(err)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if known && f.size < most && p.holdsEnd(f.plain()) {
		return wrongSize(f.part, most)
	}
	switch n, err := io.ReadFull(p, make([]byte, 1)); {
	case n > 0 && f.t != nil && f.hasPart:
		return wrongSize(f.part, most)
	case n > 0:
		return cloud.UserErrorf(cloud.ErrInvalid, "the file is longer than any chunk")
	case err != io.EOF:
		return b.explain(err)
	}
	return f.check()
}

// complete looks for what is missing.
func (f *form) complete() error {
	switch {
	case f.t == nil:
		return cloud.UserErrorf(cloud.ErrInvalid, "there is no id")
	case !f.hasPart:
		return cloud.UserErrorf(cloud.ErrInvalid, "there is no chunk number")
	case f.buf == nil:
		return cloud.UserErrorf(cloud.ErrInvalid, "there is no file")
	case f.t.size < 0 && f.size == 0:
		return cloud.UserErrorf(cloud.ErrInvalid, "the part is empty")
	case f.t.size < 0 && !f.last && f.size != f.t.partSize:
		return wrongSize(f.part, f.t.partSize)
	}
	return nil
}

// plain is the file that has been read.
func (f *form) plain() []byte { return f.buf.b[:f.size] }

// close gives back what the form holds.
func (f *form) close() {
	if f.buf != nil {
		f.buf.release()
	}
	if f.t != nil {
		f.t.leave(&f.request, f.s.cfg.Now())
	}
}
