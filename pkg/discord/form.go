package discord

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
	"sync"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
)

// form is a multipart body that is streamed: the framing stands in memory, the
// files are opened anew for every try (RFC 7578; Discord's reference,
// "Uploading Files").
type form struct {
	boundary string
	frames   []byte // all framing in one piece
	cuts     []int  // where in frames each file goes
	files    []blob.Body
}

func newForm(payload any, names []string, files []blob.Body) (*form, error) {
	encoded, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encode payload: %w", err)
	}
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	f := &form{boundary: w.Boundary(), files: files, cuts: make([]int, len(files))}
	part := func(disposition, contentType string) io.Writer {
		h := textproto.MIMEHeader{"Content-Disposition": {disposition}, "Content-Type": {contentType}}
		p, _ := w.CreatePart(h) // writes to a buffer
		return p
	}
	_, _ = part(`form-data; name="payload_json"`, "application/json").Write(encoded) // the same
	for i, name := range names {
		part(fmt.Sprintf(`form-data; name="files[%d]"; filename="%s"`, i, name), "application/octet-stream")
		f.cuts[i] = buf.Len()
	}
	_ = w.Close() // the same
	f.frames = buf.Bytes()
	return f, nil
}

func (f *form) contentType() string { return "multipart/form-data; boundary=" + f.boundary }

func (f *form) size() int64 {
	n := int64(len(f.frames))
	for _, b := range f.files {
		n += b.Size()
	}
	return n
}

// opened is the form's body as one request sends it, perhaps more than once: a
// transport may ask anew when a connection turns out to be dead.
type opened struct {
	form  *form
	watch *watchdog

	mu    sync.Mutex
	shut  bool
	short error // of a file that gave other than its size
}

func (o *opened) open() (io.ReadCloser, error) {
	return &formReader{o: o}, nil
}

// close ends all reading: after it nobody touches the files. It returns what
// was wrong with a file, if something was.
func (o *opened) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut = true
	return o.short
}

var errShut = errors.New("read after the request ended")

type formReader struct {
	o    *opened
	off  int // in frames
	next int // file
	file io.Reader
	left int64
}

func (r *formReader) Read(p []byte) (int, error) {
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	if r.o.shut {
		return 0, errShut
	}
	n, err := r.read(p)
	r.o.watch.progress(n)
	if err == io.EOF {
		r.o.watch.expect(r.o.watch.answer)
	}
	return n, err
}

func (r *formReader) read(p []byte) (int, error) {
	f := r.o.form
	if r.file != nil {
		if r.left > 0 {
			if int64(len(p)) > r.left {
				p = p[:r.left]
			}
			n, err := r.file.Read(p)
			r.left -= int64(n)
			if err == io.EOF && r.left > 0 {
				err = fmt.Errorf("%w: file %d is %d bytes shorter than its size", cloud.ErrInvalid, r.next, r.left)
			}
			if err == io.EOF {
				err = nil
			}
			if err != nil {
				r.o.short = fmt.Errorf("read file %d: %w", r.next, err)
			}
			return n, err
		}
		r.shutFile()
		r.next++
	}
	end := len(f.frames)
	if r.next < len(f.cuts) {
		end = f.cuts[r.next]
	}
	if r.off < end {
		n := copy(p, f.frames[r.off:end])
		r.off += n
		return n, nil
	}
	if r.next < len(f.cuts) {
		r.file, r.left = f.files[r.next].Open(), f.files[r.next].Size()
		return r.read(p)
	}
	return 0, io.EOF
}

func (r *formReader) shutFile() {
	if c, ok := r.file.(io.Closer); ok {
		_ = c.Close() // it was only read
	}
	r.file = nil
}

// Close is the transport's word that it reads no more.
func (r *formReader) Close() error {
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	r.shutFile()
	return nil
}
