package vfs

import (
	"context"
	"fmt"
	"io"

	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Content is a file open for reading. It holds nothing: there is no Close, and
// it reads the object that the entry had, whole, whatever becomes of the entry.
type Content struct {
	Entry cloud.Entry
	Size  int64

	source Opener
	chunks []cloud.Chunk // that are known
}

// Open opens a file that who may read.
func (f *FS) Open(_ context.Context, who policy.Principal, e cloud.Entry) (*Content, error) {
	if err := policy.Check(who, policy.ReadContent, &e); err != nil {
		return nil, fmt.Errorf("open %d: %w", e.ID, err)
	}
	if e.IsFolder() {
		return nil, fmt.Errorf("open %d: %w", e.ID, cloud.UserErrorf(cloud.ErrInvalid, "that is a folder"))
	}
	return f.content(e), nil
}

func (f *FS) content(e cloud.Entry) *Content {
	return &Content{Entry: e, Size: e.Size, source: f.Source}
}

// Locate asks where the bytes from off on lie, so that OpenRange need not.
func (c *Content) Locate(ctx context.Context, off int64) (err error) {
	c.chunks, err = c.source.Locate(ctx, c.Entry.Object, off)
	return err
}

// OpenRange reads n bytes from off, to the end for n < 0. The caller closes the
// reader. ErrInvalid if the range is not inside the file.
func (c *Content) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if c.Entry.IsFolder() || off < 0 || off > c.Size || n > c.Size-off {
		return nil, fmt.Errorf("read %d bytes from %d of entry %d with %d: %w", n, off, c.Entry.ID, c.Size, cloud.ErrInvalid)
	}
	if n < 0 {
		n = c.Size - off
	}
	return c.source.Open(ctx, c.Entry.Object, c.Size, off, n, c.chunks...)
}
