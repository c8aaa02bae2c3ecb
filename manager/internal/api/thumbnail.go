package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/serve"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/pkg/cloud"
)

// thumbnail sends the preview of a file. Whoever names the content by its hash
// may keep the answer: another content has another hash.
func (a *api) thumbnail(q *call) error {
	query := q.r.URL.Query()
	size := 256
	if s := query.Get("size"); s != "" {
		var err error
		if size, err = strconv.Atoi(s); err != nil || size < 1 || size > 4096 {
			return cloud.UserErrorf(cloud.ErrInvalid, "size is a number of pixels from 1 to 4096")
		}
	}
	if a.Thumbs == nil {
		return cloud.UserErrorf(cloud.ErrNotFound, "there are no thumbnails here")
	}
	h := q.w.Header()
	var img thumbs.Image
	var err error
	switch format := query.Get("format"); format {
	case "":
		img, err = a.Thumbs.Open(q.ctx(), q.entry, size)
	case thumbs.AVIF: // what version 1 takes, whose pages come from elsewhere
		h.Set("Access-Control-Allow-Origin", "*")
		img, err = a.Thumbs.Small(q.ctx(), q.entry)
	default:
		return cloud.UserErrorf(cloud.ErrInvalid, "format can only be avif")
	}
	if err != nil {
		return err
	}
	h.Set("Cache-Control", "private, no-cache")
	if hash := query.Get("hash"); hash != "" && hash == q.entry.Hash.String() {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	if len(a.origins) > 0 {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin") // as for contents
	}
	return a.sender.Content(q.w, q.r, serve.File{
		Name: "thumbnail." + strings.TrimPrefix(img.Type, "image/"), Type: img.Type, ETag: `"` + img.Sum.String() + `"`, Size: int64(len(img.Bytes)), Inline: true,
		Open: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(img.Bytes[off : off+n])), nil
		},
	})
}

// mediaFacts are what is known of a file beside its bytes, nil if that is
// nothing.
func (a *api) mediaFacts(q *call) json.RawMessage {
	if a.Thumbs == nil {
		return nil
	}
	facts, err := a.Thumbs.Facts(q.ctx(), q.entry)
	if err != nil || facts == "" {
		return nil // the entry is worth showing without
	}
	return json.RawMessage(facts)
}

// identifyJob lets a thumbnail service in by the ticket of its job.
func (a *api) identifyJob(q *call) (err error) {
	if a.Thumbs == nil {
		return cloud.ErrUnauthenticated
	}
	q.who, q.entry, err = a.Thumbs.Redeem(q.r.PathValue("job"), bearer(q.r))
	return err
}

// ofJob is the entry of the job that let the request in, as it was when the job
// began: its object is read, whatever has become of the entry.
func ofJob(q *call, do policy.Action) (cloud.Entry, error) {
	return q.entry, policy.Check(q.who, do, &q.entry)
}

// jobSource sends the object of a job.
func (a *api) jobSource(q *call) error {
	e := q.entry
	return a.sender.Content(q.w, q.r, serve.File{
		Name: "object", Type: "application/octet-stream", ETag: `"` + e.Object.String() + `"`, Size: e.Size,
		Open: func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
			return a.FS.Source.Open(ctx, e.Object, e.Size, off, n)
		},
	})
}
