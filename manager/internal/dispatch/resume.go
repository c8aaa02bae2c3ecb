package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Pending gives the user's uploads that have not ended.
func (c *Client) Pending(ctx context.Context) ([]packet.PendingUpload, error) {
	rows, err := c.d.Store.UploadsIn(ctx, c.Who.User, meta.UploadRunning, meta.UploadWaiting)
	if err != nil {
		return nil, fmt.Errorf("uploads: %w", err)
	}
	c.d.mu.Lock()
	active := make(map[cloud.UploadID]bool)
	for _, row := range rows {
		u := c.d.uploads[row.ID]
		active[row.ID] = u != nil && u.client != nil && !u.client.gone || u == nil && c.d.elsewhere(row)
	}
	c.d.mu.Unlock()
	pending := make([]packet.PendingUpload, 0, len(rows))
	for _, row := range rows {
		if row.Size <= 0 {
			continue // under way at this moment, or of no use to anybody
		}
		stored, err := c.d.Store.PartsStored(ctx, row.ID)
		if err != nil {
			return nil, fmt.Errorf("parts of %s: %w", row.ID, err)
		}
		u := upload{Upload: row}
		pending = append(pending, packet.PendingUpload{
			UploadID: string(row.ID), Name: row.Name, Path: u.folderPath(), Size: row.Size, ChunkSize: row.PartSize,
			Confirmed: stored, CreatedAt: row.CreatedAt.UTC().Format(time.RFC3339),
			WaitingForAnswer: row.State == meta.UploadWaiting, Active: active[row.ID], FolderID: int64(row.Base),
		})
	}
	return pending, nil
}

// Resume goes on with an upload of the same user that was interrupted, on this
// connection: with a service that takes the missing parts, with the question
// that is open, or with the outcome if it has ended. A living connection that
// had it is told that it has it no more. reply is called once, before anything
// else is sent about it.
func (c *Client) Resume(ctx context.Context, id cloud.UploadID, reply func(packet.UploadResponse)) {
	if err := c.resume(ctx, id, reply); err != nil {
		p := c.Rejection("", "/", err)
		p.UploadID = string(id)
		reply(p)
	}
}

func (c *Client) resume(ctx context.Context, id cloud.UploadID, reply func(packet.UploadResponse)) error {
	d := c.d
	if err := policy.Check(c.Who, policy.Upload, nil); err != nil {
		return err
	}
	row, err := d.Store.Upload(ctx, id)
	if err != nil || row.User != c.Who.User {
		if err == nil || cloud.KindOf(err) == cloud.ErrNotFound {
			return cloud.UserErrorf(cloud.ErrNotFound, "there is no such upload")
		}
		return fmt.Errorf("resume: %w", err)
	}
	switch row.State {
	case meta.UploadFailed, meta.UploadAborted:
		return cloud.UserErrorf(cloud.ErrInvalid, "the upload has ended: %s", row.Reason)
	case meta.UploadDone:
		return c.repeat(ctx, row, reply)
	case meta.UploadRunning, meta.UploadWaiting:
	}
	if row.Size < 0 { // its bytes came once, in a stream
		return cloud.UserErrorf(cloud.ErrNotFound, "there is no such upload")
	}
	if taken, err := c.takeOver(ctx, id, reply); taken || err != nil {
		return err
	}
	if err := d.isShut(ctx, id); err != nil {
		return fmt.Errorf("resume: %w", err)
	}

	if err := d.claim(ctx, row); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	u, err := c.restore(ctx, row)
	if err != nil {
		return err
	}
	if err := d.findKey(ctx, u); err != nil {
		return err
	}
	stored, err := d.Store.PartsStored(ctx, id)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	u.missing = u.Parts() - count(stored)
	if row.Size == 0 {
		return c.resumeEmpty(ctx, u, len(stored) > 0, reply)
	}
	if u.missing == 0 {
		return c.resumeWhole(ctx, u, stored, reply)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	r := c.Reserve()
	sl, err := r.slot(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.uploads[id] != nil || c.gone {
		d.pool.free(sl)
		d.mu.Unlock()
		return cloud.UserErrorf(cloud.ErrExists, "another connection goes on with the upload")
	}
	d.hold(u, c, sl)
	d.mu.Unlock()
	if err := d.open(ctx, u, stored, func() { reply(c.resumed(u, stored)) }); err != nil {
		return err // it stays in the database
	}
	d.Log.InfoContext(ctx, "upload resumed", "upload", u.ID, "user", u.User, "chunks", count(stored))
	return nil
}

// resumed is the answer to a resumption that goes on. d.mu is held.
func (c *Client) resumed(u *upload, stored [][2]int64) packet.UploadResponse {
	p := packet.UploadResponse{
		Name: u.Name, Path: u.folderPath(), Accepted: true, UploadID: string(u.ID), ChunkSize: u.PartSize,
		Confirmed: stored, Size: &u.Size,
	}
	if u.slot != nil {
		p.UploadAddress = c.Address(u.slot.service.Address)
	}
	return p
}

// takeOver gives c an upload that another connection has, or has had until a
// moment ago.
func (c *Client) takeOver(ctx context.Context, id cloud.UploadID, reply func(packet.UploadResponse)) (taken bool, err error) {
	d := c.d
	stored, err := d.Store.PartsStored(ctx, id)
	if err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.uploads[id]
	if u == nil {
		return false, nil
	}
	if !u.resumable() && !u.client.gone {
		return false, cloud.UserErrorf(cloud.ErrExists, "another client is uploading it")
	}
	switch u.stage {
	case opening, closing, ended:
		return false, cloud.UserErrorf(cloud.ErrUnavailable, "the upload is being opened or closed at the moment")
	case running, concluding, waiting:
	}
	if u.client != c {
		if u.stage == waiting {
			if u.client != nil {
				u.client.questions--
			}
			c.questions++
		}
		u.tell(packet.UploadInterrupted{UploadID: string(id), Reason: "another connection goes on with it"})
		u.client = c
	}
	u.name, u.path = u.Name, u.folderPath()
	reply(c.resumed(u, stored))
	if u.told { // to the connection before
		u.told = false
		u.finishStage(false)
	}
	if u.stage == waiting {
		u.tell(u.overwriteRequest())
	}
	return true, nil
}

// resumeWhole goes on with an upload that lacks no part.
func (c *Client) resumeWhole(ctx context.Context, u *upload, stored [][2]int64, reply func(packet.UploadResponse)) error {
	d := c.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uploads[u.ID] != nil || c.gone {
		return cloud.UserErrorf(cloud.ErrExists, "another connection goes on with the upload")
	}
	d.hold(u, c, nil)
	reply(c.resumed(u, stored))
	u.stage = concluding
	ctx = context.WithoutCancel(ctx)
	d.background.Go(func() { d.conclude(ctx, u) })
	return nil
}

// repeat gives the outcome of an upload that is done once more.
func (c *Client) repeat(ctx context.Context, row meta.Upload, reply func(packet.UploadResponse)) error {
	e, err := c.d.Store.Entry(ctx, row.Entry, c.Who.User)
	if err != nil {
		return cloud.UserErrorf(cloud.ErrNotFound, "the upload is done, and its file is gone")
	}
	u := &upload{Upload: row, client: c}
	p := c.resumed(u, nil)
	if n := row.Parts(); n > 0 {
		p.Confirmed = []packet.Range{{0, n - 1}}
	}
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	reply(p)
	u.finishStage(false)
	u.tell(u.success(e))
	return nil
}

// restore makes an upload of its row, for a client that goes on with it. It is
// not held yet, and has no key.
func (c *Client) restore(ctx context.Context, row meta.Upload) (*upload, error) {
	u := &upload{Upload: row, name: row.Name}
	u.path = u.folderPath()
	if err := c.d.describe(ctx, u, c.Who.Name); err != nil {
		return nil, err
	}
	return u, nil
}

// findKey gives u the key that its stored chunks are sealed under: all chunks of
// an object are under one key, also if the ring has got a newer one meanwhile.
func (d *Dispatcher) findKey(ctx context.Context, u *upload) error {
	u.key = d.Ring.ObjectKey(u.Object)
	err := d.Store.Leaves(ctx, u.ID, func(s meta.Stored) error {
		key, err := d.Ring.FindChunkKey(u.Object, s.Chunk)
		if err != nil {
			return fmt.Errorf("key of a stored chunk: %w", err)
		}
		u.key = key
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("restore upload %s: %w", u.ID, err)
	}
	return nil
}

var errEnough = errors.New("enough")
