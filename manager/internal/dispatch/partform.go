package dispatch

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync"

	"discordcloud/pkg/cloud"
)

// partForm is the body of a POST that takes one part from a stream to a service.
// Where the size of the file is not known, it looks whether the stream goes on
// behind the part, and says so behind it.
type partForm struct {
	boundary string
	src      *bufio.Reader
	size     int64         // of the part; the most it can have if that is not known
	known    bool          // the size of the part is
	read     chan struct{} // closed when no more will be read of src

	mu   sync.Mutex
	head string // not sent yet
	left int64  // bytes of the part
	tail string // not sent yet, once done
	done bool   // with src
	last bool   // nothing follows in src
	err  error
}

func newPartForm(id cloud.UploadID, part int64, src *bufio.Reader) *partForm {
	f := &partForm{boundary: rand.Text(), src: src, read: make(chan struct{})}
	f.head = f.field("id", string(id)) + f.field("chunk", fmt.Sprint(part)) +
		"--" + f.boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"part\"\r\n\r\n"
	return f
}

func (f *partForm) field(name, value string) string {
	return "--" + f.boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

func (f *partForm) end() string { return "\r\n--" + f.boundary + "--\r\n" }

// length of the whole body, -1 if it is not known.
func (f *partForm) length() int64 {
	if !f.known {
		return -1
	}
	return int64(len(f.head)) + f.size + int64(len(f.end()))
}

// Read implements io.Reader.
func (f *partForm) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case len(p) == 0:
		return 0, nil
	case f.head != "":
		n := copy(p, f.head)
		f.head = f.head[n:]
		return n, nil
	case f.err != nil:
		return 0, f.err
	case f.done:
		if f.tail == "" {
			return 0, io.EOF
		}
		n := copy(p, f.tail)
		f.tail = f.tail[n:]
		return n, nil
	}
	n, err := f.src.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	switch {
	case f.left == 0:
		err = f.finish()
	case err == io.EOF && !f.known:
		f.last = true
		err = f.finish()
	case err != nil:
		f.fail(unexpected(err))
		err = f.err
	}
	return n, err
}

// finish ends the part.
func (f *partForm) finish() error {
	if !f.known && !f.last {
		switch _, err := f.src.Peek(1); err {
		case nil:
		case io.EOF:
			f.last = true
		default:
			f.fail(err)
			return f.err
		}
	}
	if f.last {
		f.tail = "\r\n" + strings.TrimSuffix(f.field("last", "1"), "\r\n")
	}
	f.tail += f.end()
	f.done = true
	close(f.read)
	return nil
}

func (f *partForm) fail(err error) {
	f.err = fmt.Errorf("%w: %w", ErrBody, err)
	close(f.read)
}

// bodyError is how src failed, nil if it has not. It never waits for src.
func (f *partForm) bodyError() error {
	select {
	case <-f.read:
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.err
	default:
		return nil
	}
}
