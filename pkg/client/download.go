package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

// Download writes the bytes of a file to w, from the one behind have on: the
// first ones, which w has got before, or nil. moved is told how many more there
// are, also of those. It goes on where a connection was cut. ErrCorrupt if all
// of it together is not the file by its hash; w has it then all the same.
func (c *Client) Download(ctx context.Context, e Entry, have io.Reader, w io.Writer, moved func(int64)) error {
	d := &download{c: c, e: e, w: w, moved: moved}
	if have != nil {
		n, err := io.CopyBuffer(&d.tree, &untilDone{ctx, have}, make([]byte, chunk.Leaf))
		if err != nil {
			return fmt.Errorf("read what is there: %w", err)
		}
		d.at = n
		moved(n)
	}
	if d.at < e.Size {
		if err := c.persist(ctx, func() (bool, error) {
			before := d.at
			err := d.try(ctx)
			return d.at > before, err
		}); err != nil {
			return err
		}
	}
	if d.at != e.Size || e.Hash != "" && d.tree.Root().String() != e.Hash {
		return cloud.UserErrorf(cloud.ErrCorrupt, "what was downloaded is not the file that the server has")
	}
	return nil
}

// download is a file on its way.
type download struct {
	c     *Client
	e     Entry
	w     io.Writer
	moved func(int64)
	at    int64 // bytes that w has
	tree  chunk.Tree
	etag  string // of the content that was begun with
}

// try asks for what is missing, once.
func (d *download) try(ctx context.Context) error {
	ctx, moved, stop := watched(ctx)
	defer stop()
	header := http.Header{}
	if d.at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
	}
	if d.etag != "" {
		header.Set("If-Match", d.etag)
	}
	answer, err := d.c.send(ctx, http.MethodGet, at(d.e.ID, "/content"), header, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	d.etag = answer.Header.Get("ETag")
	if d.at > 0 && !strings.HasPrefix(answer.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", d.at)) {
		return cloud.UserErrorf(cloud.ErrInvalid, "the server does not go on in the middle of the file")
	}
	buffer := make([]byte, 128<<10)
	for {
		n, err := answer.Body.Read(buffer)
		moved()
		if n > 0 {
			if _, err := d.w.Write(buffer[:n]); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			_, _ = d.tree.Write(buffer[:n]) // never fails
			d.at += int64(n)
			d.moved(int64(n))
		}
		switch {
		case errors.Is(err, io.EOF) && d.at >= d.e.Size:
			return nil
		case errors.Is(err, io.EOF):
			return lost(io.ErrUnexpectedEOF)
		case err != nil && errors.Is(context.Cause(ctx), errStalled):
			return lost(errStalled)
		case err != nil:
			return lost(err)
		}
	}
}
