package dispatch

import (
	"context"
	"fmt"
	"hash/crc32"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// An empty file has one chunk of no bytes, which the manager stores itself:
// there is nothing for a client to send.

// uploadEmpty is begin for files of no bytes.
func (c *Client) uploadEmpty(ctx context.Context, u *upload, reply func(packet.UploadResponse)) {
	d := c.d
	err := d.storeEmpty(ctx, u)
	if err == nil {
		err = c.resumeWhole(ctx, u, nil, reply)
	}
	if err != nil {
		d.Log.WarnContext(ctx, "empty file not stored", "upload", u.ID, "err", err)
		d.record(ctx, u.ID, meta.UploadFailed, cloud.TextOf(err))
		reply(c.Rejection(u.name, u.path, err))
	}
}

// resumeEmpty goes on with the upload of an empty file.
func (c *Client) resumeEmpty(ctx context.Context, u *upload, stored bool, reply func(packet.UploadResponse)) error {
	if !stored {
		if err := c.d.storeEmpty(ctx, u); err != nil {
			return err
		}
	}
	return c.resumeWhole(ctx, u, nil, reply)
}

// storeEmpty stores the one chunk of an empty file.
func (d *Dispatcher) storeEmpty(ctx context.Context, u *upload) error {
	return d.storeWhole(ctx, u, nil)
}

// storeWhole stores a file that is one chunk.
func (d *Dispatcher) storeWhole(ctx context.Context, u *upload, plain []byte) error {
	header := crypt.Header{Final: true, ObjectSize: u.Size, Time: d.Now()}
	sealed, err := crypt.Seal(u.key, u.Object, header, u.ext, plain)
	if err != nil {
		return fmt.Errorf("seal file: %w", err)
	}
	ref, err := d.Blobs.Put(ctx, sealed)
	if err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	c := meta.Stored{Chunk: sealed.Chunk(), CRC32: crc32.ChecksumIEEE(plain), Leaves: chunk.Leaves(plain)}
	c.Ref = ref
	if err := d.Store.AddPart(ctx, u.ID, 0, []meta.Stored{c}); err != nil {
		return fmt.Errorf("record file: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	u.whole = []meta.Stored{c}
	return nil
}

// CreateEmpty makes an empty file, unless its name is taken: ErrExists.
func (c *Client) CreateEmpty(ctx context.Context, q Request) error {
	d := c.d
	q.Size, q.Conflict = 0, packet.ConflictFail
	u, err := c.prepare(q)
	if err == nil {
		err = c.create(ctx, u)
	}
	if err != nil {
		return err
	}
	done, err := d.finishEmpty(ctx, u)
	if err != nil {
		err = conflictError(u.OnConflict, err)
		d.record(ctx, u.ID, meta.UploadFailed, cloud.TextOf(err))
		return err
	}
	d.publish(done)
	return nil
}

func (d *Dispatcher) finishEmpty(ctx context.Context, u *upload) (finished, error) {
	if err := d.storeEmpty(ctx, u); err != nil {
		return finished{}, err
	}
	f, err := d.sum(ctx, u)
	if err != nil {
		return finished{}, err
	}
	f.Conflict = meta.ConflictFail
	return d.make(ctx, u, f, func(context.Context) error { return nil })
}
