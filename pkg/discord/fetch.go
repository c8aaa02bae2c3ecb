package discord

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// Fetch reads n bytes of an attachment from off on, through its signed link;
// n < 0 reads to the end. The caller closes the reader. What the CDN answers is
// held to what was asked (RFC 9110 §14, §15.3.7): a whole answer to a range is
// skipped to off, and another range, an encoding, a page of HTML, several parts
// and a redirect are refused as ErrUnavailable. The bot token is not sent.
//
// ErrNotFound if the link is expired or the attachment gone, ErrInvalid if off
// is beyond the end. The reader ends with io.EOF after exactly what was asked,
// and with io.ErrUnexpectedEOF if the attachment or the connection ends before;
// with ErrStalled if the CDN sends too little for too long. Fetch repeats
// requests that fail before the first byte; who goes on after a reader that
// broke off calls Fetch again with a later off.
func (c *Client) Fetch(ctx context.Context, link string, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n > math.MaxInt64-off {
		return nil, fmt.Errorf("fetch: %w: %d bytes from %d", cloud.ErrInvalid, n, off)
	}
	u, err := c.cdnLink(link)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	var r io.ReadCloser
	var final error
	err = c.opt.Retry.Do(ctx, func(ctx context.Context) error {
		if err := c.cdnGate.wait(ctx); err != nil {
			return err
		}
		var err error
		if r, err = c.fetch(ctx, u.String(), off, n); err != nil && errors.Is(err, ErrOddAnswer) {
			final = err // a fresh link may help, the same request will not
			return nil
		}
		return err
	})
	if err == nil {
		err = final
	}
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return r, nil
}

// ErrOddAnswer is an answer of the CDN that does not fit the request. A fresh
// link may get another.
var ErrOddAnswer = fmt.Errorf("%w: the CDN's answer does not fit the request", cloud.ErrUnavailable)

// ErrShort is the end of a reader that was to give more than the attachment
// has. It wraps io.ErrUnexpectedEOF, and nothing more is to be had.
var ErrShort = fmt.Errorf("%w: the attachment is shorter", io.ErrUnexpectedEOF)

// short is a reader of an attachment at its end.
type short struct{}

func (short) Read([]byte) (int, error) { return 0, ErrShort }

func odd(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrOddAnswer}, args...)...)
}

func (c *Client) fetch(outer context.Context, link string, off, n int64) (_ io.ReadCloser, err error) {
	ctx, cancel := context.WithCancelCause(outer)
	tell := func(err error) error {
		if outer.Err() == nil && errors.Is(context.Cause(ctx), ErrStalled) {
			return ErrStalled
		}
		return netError(outer, err)
	}
	timer := time.AfterFunc(c.opt.AnswerTimeout, func() { cancel(ErrStalled) })
	var resp *http.Response
	defer func() {
		timer.Stop()
		if err != nil {
			if resp != nil {
				_ = resp.Body.Close() // it is given up
			}
			cancel(context.Canceled)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return nil, errors.New("a link that is no address") // err would quote it
	}
	req.Header.Set("User-Agent", c.opt.UserAgent)
	req.Header.Set("Accept-Encoding", "identity")
	ranged := off > 0 || n >= 0
	if ranged {
		req.Header.Set("Range", rangeHeader(off, n))
	}
	c.count.fetches.Add(1)
	if resp, err = c.cdn.Do(req); err != nil { //nolint:bodyclose // closed above, or by the reader
		return nil, tell(err)
	}
	skip, want, err := c.checkFetch(resp, ranged, off, n)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable { // at the end exactly
		_ = resp.Body.Close() // it holds no byte of the attachment
		cancel(context.Canceled)
		if want > 0 {
			return io.NopCloser(short{}), nil
		}
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err := context.Cause(ctx); !timer.Stop() && err != nil {
		return nil, tell(err)
	}
	body := &fetched{
		client: c, src: newPatience(resp.Body, c.opt.Stall, cancel), body: resp.Body, tell: tell, cancel: cancel, left: want,
	}
	if resp.ContentLength >= 0 {
		body.short = skip+want > resp.ContentLength
	}
	if skip > 0 {
		if err := body.discard(skip); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// rangeHeader asks for n bytes from off; HTTP cannot ask for none, so that no
// byte is asked for as one.
func rangeHeader(off, n int64) string {
	switch {
	case n < 0:
		return fmt.Sprintf("bytes=%d-", off)
	case n == 0:
		return fmt.Sprintf("bytes=%d-%d", max(off-1, 0), max(off-1, 0))
	default:
		return fmt.Sprintf("bytes=%d-%d", off, off+n-1)
	}
}

// unknown is the length of a body that ends when it ends.
const unknown = -1

// checkFetch says how much of the body is before off, and how much of it is to
// be given.
func (c *Client) checkFetch(resp *http.Response, ranged bool, off, n int64) (skip, want int64, err error) {
	h := resp.Header
	switch status := resp.StatusCode; {
	case status == http.StatusOK, status == http.StatusPartialContent && ranged:
	case status == http.StatusRequestedRangeNotSatisfiable && ranged:
		return c.checkBeyond(h, off, n)
	case status == http.StatusTooManyRequests:
		wait, ok := seconds(h.Get("Retry-After"))
		if !ok {
			wait = c.opt.Unstated
		}
		c.cdnGate.block(time.Now().Add(wait))
		c.count.limited.Add(1)
		return 0, 0, retry.After(newAPIError(status, 0, "the CDN limits us"), wait)
	case status >= 400:
		return 0, 0, newAPIError(status, 0, "from the CDN")
	default:
		return 0, 0, odd("status %d", status)
	}
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return 0, 0, odd("encoded as %q", line(e))
	}
	if t, _, _ := mime.ParseMediaType(h.Get("Content-Type")); strings.HasPrefix(t, "multipart/") || t == "text/html" {
		return 0, 0, odd("of type %q", t)
	}
	if resp.ContentLength < 0 && resp.ProtoMajor == 1 && len(resp.TransferEncoding) == 0 {
		return 0, 0, odd("no length, and no end that could be told from a cut")
	}
	if resp.StatusCode == http.StatusPartialContent {
		return checkRange(resp, off, n)
	}
	length := resp.ContentLength // -1 is unknown
	if length >= 0 && off > length {
		return 0, 0, fmt.Errorf("%w: %d is beyond the %d bytes of the attachment", cloud.ErrInvalid, off, length)
	}
	if n < 0 && length >= 0 {
		return off, length - off, nil
	}
	return off, n, nil
}

func checkRange(resp *http.Response, off, n int64) (skip, want int64, err error) {
	first, last, total, err := parseContentRange(resp.Header.Get("Content-Range"))
	if err != nil {
		return 0, 0, err
	}
	if resp.ContentLength >= 0 && resp.ContentLength != last-first+1 {
		return 0, 0, odd("%d bytes for the range %d-%d", resp.ContentLength, first, last)
	}
	if n == 0 {
		if first != max(off-1, 0) {
			return 0, 0, odd("range %d-%d for none at %d", first, last, off)
		}
		return 0, 0, nil
	}
	if first != off || n > 0 && last > off+n-1 || n < 0 && total >= 0 && last != total-1 ||
		n > 0 && last < off+n-1 && last != total-1 {
		return 0, 0, odd("range %d-%d of %d for %d bytes from %d", first, last, total, n, off)
	}
	if n < 0 {
		n = last - first + 1
	}
	return 0, n, nil
}

// checkBeyond tells a range that really is beyond the end from a CDN that
// refuses a good one.
func (c *Client) checkBeyond(h http.Header, off, n int64) (skip, want int64, err error) {
	size, isSize := strings.CutPrefix(h.Get("Content-Range"), "bytes */")
	total, err := strconv.ParseInt(size, 10, 64)
	switch {
	case !isSize || err != nil || off < total:
		return 0, 0, odd("no such range")
	case off == total:
		return 0, max(n, 0), nil // all of nothing, or an end that comes too early
	default:
		return 0, 0, fmt.Errorf("%w: %d is beyond the %d bytes of the attachment", cloud.ErrInvalid, off, total)
	}
}

// parseContentRange reads "bytes first-last/total", where total may be "*",
// which is unknown (RFC 9110 §14.4).
func parseContentRange(s string) (first, last, total int64, err error) {
	spec, ok := strings.CutPrefix(s, "bytes ")
	span, size, ok2 := strings.Cut(spec, "/")
	from, to, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, 0, odd("Content-Range %q", line(s))
	}
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	total, err3 := int64(unknown), error(nil)
	if size != "*" {
		total, err3 = strconv.ParseInt(size, 10, 64)
	}
	if errors.Join(err1, err2, err3) != nil || first < 0 || last < first || total != unknown && last >= total {
		return 0, 0, 0, odd("Content-Range %q", line(s))
	}
	return first, last, total, nil
}

// fetched gives left bytes of the body, or all if left is unknown.
type fetched struct {
	client *Client
	src    *patience
	body   io.Closer
	tell   func(error) error
	cancel context.CancelCauseFunc
	left   int64
	short  bool  // the attachment ends before left bytes
	err    error // that ended it
}

func (f *fetched) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.left == 0 {
		return 0, f.end(io.EOF)
	}
	if f.left > 0 && int64(len(p)) > f.left {
		p = p[:f.left]
	}
	n, err := f.src.Read(p)
	f.client.count.fetched.Add(int64(n))
	if f.left > 0 {
		f.left -= int64(n)
	}
	switch {
	case f.left == 0 && (err == nil || err == io.EOF):
		return n, f.end(io.EOF)
	case err == nil:
		return n, nil
	case err == io.EOF && f.left == unknown:
		return n, f.end(io.EOF)
	case err == io.EOF && f.short:
		return n, f.end(ErrShort)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return n, f.end(io.ErrUnexpectedEOF)
	}
	if err = f.tell(err); errors.Is(err, cloud.ErrUnavailable) && !errors.Is(err, ErrStalled) {
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err) // cut off, whatever the network calls it
	}
	return n, f.end(err)
}

func (f *fetched) end(err error) error {
	f.err = err
	return err
}

// discard reads over n bytes.
func (f *fetched) discard(n int64) error {
	done, err := io.CopyN(io.Discard, f.src, n)
	f.client.count.fetched.Add(done)
	if err == io.EOF {
		return fmt.Errorf("%w: the attachment has %d bytes only", cloud.ErrInvalid, done)
	}
	if err != nil {
		return f.tell(err)
	}
	return nil
}

func (f *fetched) Close() error {
	if f.err == nil {
		f.err = errShut
	}
	err := f.body.Close()
	f.cancel(context.Canceled)
	return err
}

// gate holds all fetches back while the CDN limits us.
type gate struct {
	mu    sync.Mutex
	until time.Time
}

func (g *gate) block(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.until) {
		g.until = until
	}
}

func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	wait := time.Until(g.until)
	g.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
