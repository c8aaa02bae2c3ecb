package upload

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"strings"
)

// multipartReader reads a multipart body (RFC 2046 §5.1.1, RFC 7578) out of a
// large buffer straight into the reader's own. Package mime/multipart moves every
// byte two times more, 4 KiB at a time: a quarter of what it cost to take a part,
// beside its hash. Lines end with CRLF here.
type multipartReader struct {
	r     *bufio.Reader // has room for the delimiter, and for any line of a header
	from  io.Reader     // what r reads from
	delim []byte        // CRLF, two dashes and the boundary
	begun bool
	part  *multipartPart
}

// newMultipartReader reads from, and nobody else may: r is its buffer.
func newMultipartReader(r *bufio.Reader, from io.Reader, boundary string) *multipartReader {
	return &multipartReader{r: r, from: from, delim: []byte("\r\n--" + boundary)}
}

// multipartPart is one part, until the next one is asked for.
type multipartPart struct {
	from       *multipartReader
	name, file string // of its Content-Disposition; file is "" if it has none
	begun      bool   // a byte of it was read
	over       bool
}

// headerLines is how many lines the header of a part has, at most.
const headerLines = 32

// next reads over what is left of the current part and gives the next one; io.EOF
// if there is none.
func (m *multipartReader) next() (*multipartPart, error) {
	if !m.begun {
		if err := m.first(); err != nil {
			return nil, err
		}
		m.begun = true
	} else if _, err := io.Copy(io.Discard, m.part); err != nil {
		return nil, err
	}
	// Behind the delimiter: two dashes end the body, else the line ends.
	tail, err := m.line()
	if bytes.HasPrefix(tail, []byte("--")) {
		return nil, io.EOF // what follows is nobody's
	}
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimRight(tail, " \t")) > 0 {
		return nil, fmt.Errorf("%w: a boundary with something behind it", errForm)
	}
	m.part = &multipartPart{from: m}
	return m.part, m.part.header()
}

// first reads up to the first delimiter, which may stand at the very beginning.
func (m *multipartReader) first() error {
	start, err := m.r.Peek(len(m.delim) - 2)
	if err == nil && bytes.Equal(start, m.delim[2:]) {
		_, err = m.r.Discard(len(start))
		return err
	}
	preamble := &multipartPart{from: m}
	_, err = io.Copy(io.Discard, preamble)
	return err
}

// line reads a line, without its end. It is valid until the next read. The error
// of a body that ends within the line comes with what there was of it.
func (m *multipartReader) line() ([]byte, error) {
	line, err := m.r.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return nil, fmt.Errorf("%w: a line without end", errForm)
	case err != nil:
		return line, unexpected(err)
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// header reads the part's header, of which only its names count.
func (p *multipartPart) header() error {
	for range headerLines {
		line, err := p.from.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		key, value, ok := strings.Cut(string(line), ":")
		if !ok || key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("%w: a header that is none", errForm)
		}
		if !strings.EqualFold(key, "Content-Disposition") {
			continue
		}
		if kind, params, err := mime.ParseMediaType(value); err == nil && kind == "form-data" {
			p.name, p.file = params["name"], params["filename"]
		}
	}
	return fmt.Errorf("%w: a header of too many lines", errForm)
}

// Read implements io.Reader, up to the delimiter.
func (p *multipartPart) Read(b []byte) (int, error) {
	if p.over {
		return 0, io.EOF
	}
	if len(b) == 0 {
		return 0, nil
	}
	r, delim := p.from.r, p.from.delim
	// Enough that a delimiter at the very front can be told, with the byte behind.
	ahead, err := r.Peek(max(len(delim)+1, r.Buffered()))
	ended := err != nil
	if ended && err != io.EOF {
		return 0, err
	}
	if !p.begun && p.from.stands(ahead, delim[2:], ended) {
		return 0, p.end(len(delim) - 2) // an empty part may share the line's end with its header
	}
	n := len(ahead) // bytes that are the part's for sure
	if i := p.from.find(ahead, ended); i >= 0 {
		if n = i; n == 0 {
			return 0, p.end(len(delim))
		}
	} else if !ended {
		n -= len(delim) // what may be the front of one, and the byte behind it
	} else {
		if last := bytes.LastIndexByte(ahead, delim[0]); last >= 0 && bytes.HasPrefix(delim, ahead[last:]) {
			n = last // the front of one that was cut
		}
		if n == 0 {
			return 0, io.ErrUnexpectedEOF
		}
	}
	n = copy(b, ahead[:n])
	p.begun = true
	_, err = r.Discard(n)
	return n, err
}

// readFull fills b with bytes of a part that is known to have as many, straight
// from the connection: to search them for the delimiter, and to move them, would
// cost a tenth of taking a part. If the part is shorter, what follows it lands in b
// too, and readFull, Read or next tells that the form does not go on as it should.
func (p *multipartPart) readFull(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		from := p.from.from
		if p.from.r.Buffered() > 0 {
			from = p.from.r
		}
		k, err := from.Read(b[n:])
		n += k
		p.begun = p.begun || n > 0
		if err != nil && n < len(b) {
			return n, unexpected(err)
		}
	}
	return n, nil
}

// holdsEnd tells whether b, which readFull has read, goes beyond the part.
func (p *multipartPart) holdsEnd(b []byte) bool {
	return bytes.HasPrefix(b, p.from.delim[2:]) || bytes.Contains(b, p.from.delim)
}

// end is the end of the part, at a delimiter of n bytes.
func (p *multipartPart) end(n int) error {
	p.over = true
	if _, err := p.from.r.Discard(n); err != nil {
		return err
	}
	return io.EOF
}

// find finds a delimiter in b, which is all there is or goes on.
func (m *multipartReader) find(b []byte, all bool) int {
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], m.delim)
		if i < 0 {
			return -1
		}
		if at += i; m.stands(b[at:], m.delim, all) {
			return at
		}
	}
}

// stands tells whether b begins with delim, and goes on with what may stand behind
// one. Where nothing does yet, it is to be looked at again with more.
func (m *multipartReader) stands(b, delim []byte, all bool) bool {
	rest, ok := bytes.CutPrefix(b, delim)
	if !ok || len(rest) == 0 {
		return ok && all
	}
	return bytes.IndexByte([]byte(" \t\r\n-"), rest[0]) >= 0
}
