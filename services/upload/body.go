package upload

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"discordcloud/pkg/cloud"
)

// body is the body of a POST, which has to go on coming and to end in time.
type body struct {
	r     *bufio.Reader // for the parser: it would read in small bites
	from  io.Reader
	conn  *http.ResponseController
	block time.Duration
	left  int64 // bytes that may still come
	file  bool  // the file has begun
	moved int   // bytes since the deadline was set; pace and more if it is to be
	err   error // what ended it, if not its end
}

// pace is how many bytes of a file have to come before the next deadline is
// granted. What stands in front of the file has to come within one.
const pace = 4 << 10

// readAhead is the size of one read from the connection.
const readAhead = 128 << 10

func newBody(w http.ResponseWriter, r *http.Request, block time.Duration) *body {
	b := &body{from: r.Body, conn: http.NewResponseController(w), block: block, left: overhead, moved: pace}
	b.r = bufio.NewReaderSize(b, readAhead)
	return b
}

var errTooLong = fmt.Errorf("%w: more than a chunk and its form", errForm)

// allow lets a file of n bytes come.
func (b *body) allow(n int64) {
	b.left += n
	b.file, b.moved = true, pace
}

// Read reads from the connection, and sets its deadline when enough has come.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left <= 0 {
		b.err = errTooLong
		return 0, b.err
	}
	if b.moved >= pace {
		b.deadline(time.Now().Add(b.block))
		b.moved = 0
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.file {
		b.moved += n
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// deadline sets the read deadline, where the connection has one.
func (b *body) deadline(t time.Time) {
	_ = b.conn.SetReadDeadline(t) // http.ErrNotSupported, of recorders and the like
}

// done lifts the deadline: the server reads on to learn of a client that leaves.
func (b *body) done() { b.deadline(time.Time{}) }

// explain tells what err, which came out of reading the form, means.
func (b *body) explain(err error) error {
	switch {
	case errors.Is(b.err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: read body: %w", cloud.ErrUnavailable, b.err)
	case errors.Is(b.err, errTooLong):
		return b.err
	case b.err != nil:
		return fmt.Errorf("%w: %w", errGone, b.err)
	}
	return fmt.Errorf("%w: %w", errForm, err)
}

// drain reads what is left of a body that has been refused, up to most bytes, so
// that the client comes to read the answer: browsers do when they have sent
// all. It tells whether that was all. A client that is slow has to do without
// the answer.
func (b *body) drain(most int64) bool {
	if b.err != nil {
		return false
	}
	b.deadline(time.Now().Add(min(b.block, 5*time.Second)))
	n, err := io.Copy(io.Discard, io.LimitReader(b.from, most))
	if err != nil || n == most {
		return false
	}
	b.done()
	return true
}
