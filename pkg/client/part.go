package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/retry"
)

// sendPart posts part i until it is stored.
func (u *upload) sendPart(ctx context.Context, r packet.UploadResponse, i int64) error {
	policy := retry.Policy{Tries: 6, Waits: 20, First: 250 * time.Millisecond, Most: 10 * time.Second, Longest: 2 * time.Minute}
	return policy.Do(ctx, func(ctx context.Context) error {
		var sent atomic.Int64
		err := u.post(ctx, r, i, &sent)
		if err != nil {
			u.move(-sent.Load())
		}
		return err
	})
}

// post sends part i once, and counts in sent what of it was read.
func (u *upload) post(ctx context.Context, r packet.UploadResponse, i int64, sent *atomic.Int64) error {
	ctx, moved, stop := watched(ctx)
	defer stop()
	from := i * r.ChunkSize
	part := &partReader{r: io.NewSectionReader(u.f.Content, from, min(r.ChunkSize, u.f.Size-from)), read: func(n int) {
		moved()
		sent.Add(int64(n))
		u.move(int64(n))
	}}
	var frame bytes.Buffer
	form := multipart.NewWriter(&frame)
	// A buffer takes all that is written to it.
	_ = form.WriteField("id", r.UploadID)
	_ = form.WriteField("chunk", strconv.FormatInt(i, 10))
	_, _ = form.CreateFormFile("file", "part")
	head := bytes.Clone(frame.Bytes())
	frame.Reset()
	_ = form.Close()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.UploadAddress, io.MultiReader(bytes.NewReader(head), part, &frame))
	if err != nil {
		return fmt.Errorf("the address for uploads: %w", err)
	}
	q.ContentLength = int64(len(head)+frame.Len()) + part.r.Size()
	q.Header.Set("Content-Type", form.FormDataContentType())
	q.Header.Set("User-Agent", u.c.o.Agent)
	answer, err := u.c.http.Do(q)
	if failed := part.failed.Load(); failed != nil {
		return *failed
	}
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		} else if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return lost(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return lost(err)
	}
	return verdict(answer, strings.TrimSpace(string(text)), i)
}

// verdict is what the answer to part i means.
func verdict(answer *http.Response, text string, i int64) error {
	switch status := answer.StatusCode; {
	case status == http.StatusOK && text == strconv.FormatInt(i, 10):
		return nil
	case status == http.StatusOK:
		return cloud.UserErrorf(cloud.ErrInvalid, "the address for uploads does not answer as discord-cloud does")
	case status == http.StatusConflict:
		return cloud.UserErrorf(cloud.ErrCorrupt, "the server has other bytes of this file")
	case status == http.StatusBadRequest:
		return &refusedError{cloud.UserErrorf(cloud.ErrInvalid, "the upload service refuses the file: %.200s", text)}
	default:
		err := cloud.UserErrorf(cloud.ErrUnavailable, "the upload service answers with status %d", status)
		if seconds, bad := strconv.Atoi(answer.Header.Get("Retry-After")); bad == nil && seconds > 0 {
			return retry.After(err, time.Duration(seconds)*time.Second)
		}
		return err
	}
}

// refusedError is of a service that does not know the upload, or not any more:
// it is of no use to ask it again, but the manager may know better.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// partReader reads a part of a file, and tells a file that can't be read from a
// connection that can't be written to.
type partReader struct {
	r      *io.SectionReader
	read   func(n int)
	at     int64
	failed atomic.Pointer[error]
}

func (p *partReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.at += int64(n)
	p.read(n)
	if errors.Is(err, io.EOF) && p.at < p.r.Size() {
		err = errChanged // it has become shorter
	}
	if err != nil && !errors.Is(err, io.EOF) {
		p.failed.Store(&err)
	}
	return n, err
}
