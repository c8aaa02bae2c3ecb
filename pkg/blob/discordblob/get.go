package discordblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
)

// Get reads a part of a blob. See blob.Store. The reader goes on by itself from
// where it was when a connection breaks off, stalls, or its link expires;
// ctx ends it.
func (s *Store) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n > math.MaxInt64-off {
		return nil, fmt.Errorf("get: %w: %d bytes from %d", cloud.ErrInvalid, n, off)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("get: %w", context.Cause(ctx))
	}
	if ref.Attachment == "" {
		return nil, fmt.Errorf("get: %w: an empty ref", cloud.ErrNotFound)
	}
	body, err := s.fetch(ctx, ref, off, n)
	if err != nil {
		return nil, fmt.Errorf("get attachment %s: %w", ref.Attachment, storeError(err))
	}
	return &reader{store: s, ctx: ctx, ref: ref, body: body, off: off, left: n, resumes: s.resumes}, nil
}

// Prefetch refreshes the links of blobs that will be read, as many in one call as
// Discord takes. See blob.Prefetcher.
func (s *Store) Prefetch(refs ...cloud.Ref) { s.links.ahead(refs) }

// lagFirst is the first wait for a message that does not show yet; it doubles.
const lagFirst = 250 * time.Millisecond

// fetch is fetchNow, patient with messages that are young: what was posted may not
// show everywhere yet, and would be taken for lost.
func (s *Store) fetch(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	body, err := s.fetchNow(ctx, ref, off, n)
	var waited time.Duration // the clocks may differ: this counts too
	for wait := lagFirst; errors.Is(err, cloud.ErrNotFound); wait *= 2 {
		wait = min(wait, s.lag-max(waited, time.Since(discord.SnowflakeTime(ref.Message))))
		if wait <= 0 {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		waited += wait
		body, err = s.fetchNow(ctx, ref, off, n)
	}
	return body, err
}

// fetchNow opens the attachment with a good link. The CDN's word that there is none
// is not enough, nor are other odd answers: they get one fresh link. After that
// the message has the last word: ErrNotFound is what it does not know, and if it
// does, the CDN is not available.
func (s *Store) fetchNow(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	link, err := s.links.get(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	body, err := s.client.Fetch(ctx, link, off, n)
	if !doubtful(err) || ctx.Err() != nil {
		return body, err
	}
	if link, err = s.links.get(ctx, ref, link); err != nil {
		return nil, err
	}
	body, err = s.client.Fetch(ctx, link, off, n)
	if !gone(err) || ctx.Err() != nil {
		return body, err
	}
	s.links.forget(ref.Attachment)
	if link, err = s.links.reread(ctx, ref); err != nil {
		return nil, err
	}
	body, err = s.client.Fetch(ctx, link, off, n)
	if gone(err) {
		return nil, &outage{err}
	}
	return body, err
}

// gone tells that the CDN has no such attachment, or that the link is not good.
func gone(err error) bool {
	return errors.Is(err, cloud.ErrNotFound) || errors.Is(err, cloud.ErrDenied)
}

// doubtful tells that another link may get another answer.
func doubtful(err error) bool {
	return gone(err) || errors.Is(err, discord.ErrOddAnswer)
}

// worthwhile is the amount of bytes that a reader gets from a connection before
// its further failures are counted anew: a server that drips is not gone after
// for ever.
const worthwhile = 64 << 10

// reader gives one part of a blob, over several connections if need be.
type reader struct {
	store   *Store
	ctx     context.Context // of the Get: the reader is its stream
	ref     cloud.Ref
	body    io.ReadCloser
	off     int64 // of the next byte
	left    int64 // < 0: to the end
	resumes int   // left
	some    int   // bytes since the last one
	err     error
}

func (r *reader) Read(p []byte) (int, error) {
	for r.err == nil {
		n, err := r.body.Read(p)
		r.off += int64(n)
		if r.left > 0 {
			r.left -= int64(n)
		}
		if r.some += n; r.some >= worthwhile {
			r.some, r.resumes = 0, r.store.resumes
		}
		if err != nil {
			r.fail(err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// fail ends the reader, or goes on with another connection.
func (r *reader) fail(err error) {
	r.err = err
	if err == io.EOF {
		return
	}
	for r.resumes > 0 && r.ctx.Err() == nil && !errors.Is(err, discord.ErrShort) && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, cloud.ErrUnavailable)) {
		r.resumes, r.some = r.resumes-1, 0
		r.store.log.DebugContext(r.ctx, "download broke off, going on", "attachment", r.ref.Attachment, "at", r.off, "err", err)
		_ = r.body.Close() // it has failed already
		var body io.ReadCloser
		if body, err = r.store.fetch(r.ctx, r.ref, r.off, r.left); err == nil {
			r.body, r.err = body, nil
			return
		}
		r.body, r.err = io.NopCloser(nil), err
	}
	if r.err = storeError(r.err); r.ctx.Err() == nil && !errors.Is(r.err, io.ErrUnexpectedEOF) {
		r.err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, r.err)
	}
	r.err = fmt.Errorf("read attachment %s at %d: %w", r.ref.Attachment, r.off, r.err)
}

func (r *reader) Close() error {
	if r.err == nil {
		r.err = errors.New("read after Close")
	}
	return r.body.Close()
}
