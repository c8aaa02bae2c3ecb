// Package serve sends what users stored over HTTP: files with ranges and
// conditions (RFC 9110), folders as zip archives. It sends at the pace of the
// receiver, block by block, and gives up for lack of progress, never of age. Who
// may read what is decided before it is asked.
//
// A transfer that fails after its headers never ends cleanly: the connection is
// broken, so that nobody takes a part for the whole.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"time"

	"discordcloud/pkg/cloud"
)

// Sender sends files and archives. The zero Sender is ready.
type Sender struct {
	// Stall is how long a receiver may take for one block of 64 KiB; 2 minutes
	// by default.
	Stall time.Duration
	Log   *slog.Logger // nil is silent
}

const (
	defaultStall = 2 * time.Minute
	blockSize    = 64 << 10
)

func (s *Sender) stall() time.Duration {
	if s.Stall > 0 {
		return s.Stall
	}
	return defaultStall
}

// body is a response that begins with its first byte: what fails before can
// still be answered with an error.
type body struct {
	ctx    context.Context
	w      http.ResponseWriter
	rc     *http.ResponseController
	stall  time.Duration
	header http.Header
	status int
	begun  bool
	sent   int64
}

func (b *body) begin() {
	if b.begun {
		return
	}
	b.begun = true
	maps.Copy(b.w.Header(), b.header)
	b.w.WriteHeader(b.status)
}

// Write sends p with a fresh deadline for each block of it.
func (b *body) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		block := p[n:min(len(p), n+blockSize)]
		if err := b.deadline(time.Now().Add(b.stall)); err != nil {
			return n, err
		}
		// After the deadline was set: who ends the context cuts the deadline
		// short, and must not be overtaken.
		if err := b.ctx.Err(); err != nil {
			return n, context.Cause(b.ctx)
		}
		b.begin()
		m, err := b.w.Write(block)
		n += m
		b.sent += int64(m)
		if err != nil {
			return n, &goneError{err}
		}
	}
	return n, nil
}

// deadline is for connections; a recorder in a test has none.
func (b *body) deadline(t time.Time) error {
	if err := b.rc.SetWriteDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return &goneError{err}
	}
	return nil
}

// goneError says that the receiver, not the source, ended it.
type goneError struct{ err error }

func (e *goneError) Error() string { return "receiver: " + e.err.Error() }
func (e *goneError) Unwrap() error { return e.err }

// send runs write, which fills a response of length bytes. An error before the
// first byte is returned; after it the connection is broken by a panic with
// http.ErrAbortHandler.
func (s *Sender) send(w http.ResponseWriter, r *http.Request, status int, h http.Header, length int64, write func(io.Writer) error) error {
	ctx := r.Context()
	b := &body{ctx: ctx, w: w, rc: http.NewResponseController(w), stall: s.stall(), header: h, status: status}
	h.Set("Content-Length", fmt.Sprint(length))
	if r.Method == http.MethodHead {
		b.begin()
		return nil
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = b.deadline(time.Unix(1, 0)) // if that fails, so does the write it is to end
	})
	err := write(b)
	if !stop() {
		<-cut
	}
	if err == nil && b.sent != length {
		err = fmt.Errorf("sent %d bytes of %d: %w", b.sent, length, io.ErrUnexpectedEOF)
	}
	if err == nil {
		b.begin()                   // of an empty body
		_ = b.deadline(time.Time{}) // for the next request; a dead connection has none
		return nil
	}
	if !b.begun {
		return err
	}
	s.logBroken(ctx, err, b.sent, length)
	panic(http.ErrAbortHandler)
}

// logBroken tells of a transfer that began and did not end. Nobody else can:
// what follows is a broken connection.
func (s *Sender) logBroken(ctx context.Context, err error, sent, length int64) {
	if s.Log == nil {
		return
	}
	level := slog.LevelWarn
	if _, gone := errors.AsType[*goneError](err); gone || ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		level = slog.LevelDebug
	} else if errors.Is(err, cloud.ErrCorrupt) {
		level = slog.LevelError
	}
	s.Log.Log(ctx, level, "transfer broken off", "bytes", sent, "of", length, "err", err)
}

// copyAll copies a reader of exactly n bytes, and closes it.
func copyAll(w io.Writer, src io.ReadCloser, n int64) (err error) {
	defer func() { err = errors.Join(err, src.Close()) }()
	got, err := io.Copy(w, src)
	if err == nil && got != n {
		err = fmt.Errorf("read %d bytes of %d: %w", got, n, io.ErrUnexpectedEOF)
	}
	return err
}
