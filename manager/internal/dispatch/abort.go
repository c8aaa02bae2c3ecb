package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Abort ends an upload that lacks parts; on version 2 also one that waits for
// an answer, and one that no connection has. reply is called with nil before
// the end is told, or with why it was not aborted.
func (c *Client) Abort(ctx context.Context, id cloud.UploadID, reply func(error)) {
	d := c.d
	d.mu.Lock()
	u := d.uploads[id]
	if u != nil && u.User != c.Who.User || u != nil && c.Version == packet.V1 && u.client != c {
		u = nil
	}
	switch {
	case u == nil && c.Version == packet.V1, u != nil && c.Version == packet.V1 && u.stage == waiting:
		d.mu.Unlock()
		reply(cloud.UserErrorf(cloud.ErrNotFound, "no such upload is running"))
	case u == nil:
		d.mu.Unlock()
		c.abortStored(ctx, id, reply)
	case u.stage == waiting:
		u.stage = concluding // nobody answers it now
		if u.client != nil {
			u.client.questions--
		}
		d.mu.Unlock()
		d.aborted(ctx, u, reply)
	case u.stage == running:
		u.stage = closing
		sl := u.slot
		d.mu.Unlock()
		d.abortRunning(ctx, u, sl, reply)
	default:
		d.mu.Unlock()
		reply(cloud.UserErrorf(cloud.ErrUnavailable, "the upload is beginning or ending at this moment"))
	}
}

// abortRunning has the service forget u, and ends it if the service does.
func (d *Dispatcher) abortRunning(ctx context.Context, u *upload, sl *slot, reply func(error)) {
	// Its client waits ten seconds for the reply.
	timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(d.Answer, 8*time.Second))
	defer cancel()
	err := sl.service.call(timed, packet.UploadClose{UploadID: string(u.ID)})
	if err != nil {
		d.Log.WarnContext(ctx, "upload not aborted by its service", "service", sl.service.id, "upload", u.ID, "err", err)
		reply(cloud.UserErrorf(cloud.ErrUnavailable, "the upload service did not stop"))
		sl.service.link.Close("an upload was not aborted") // which ends u
		return
	}
	d.mu.Lock()
	if u.stage == ended {
		d.mu.Unlock()
		reply(nil)
		return
	}
	u.slot = nil
	d.pool.free(sl) // before the end is told, which says that it is
	d.mu.Unlock()
	d.aborted(ctx, u, reply)
}

// aborted records and tells that u is aborted.
func (d *Dispatcher) aborted(ctx context.Context, u *upload, reply func(error)) {
	d.record(ctx, u.ID, meta.UploadAborted, "aborted")
	d.mu.Lock()
	defer d.mu.Unlock()
	reply(nil)
	d.end(ctx, u, packet.UploadFinishInfo{Reason: "aborted"})
}

// abortStored aborts an upload of the user that is in no connection's hands.
func (c *Client) abortStored(ctx context.Context, id cloud.UploadID, reply func(error)) {
	d := c.d
	row, err := d.Store.Upload(ctx, id)
	if err == nil && row.User != c.Who.User {
		err = cloud.ErrNotFound
	}
	if err == nil {
		err = d.Store.SetUploadState(ctx, id, meta.UploadAborted, "aborted")
	}
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		reply(cloud.UserErrorf(cloud.ErrNotFound, "no such upload is running"))
		return
	case err != nil:
		reply(fmt.Errorf("abort: %w", err))
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	reply(nil)
	u := &upload{Upload: row, client: c, told: row.State == meta.UploadWaiting}
	u.finishStage(false)
	u.tell(packet.UploadFinishInfo{UploadID: string(id), Reason: "aborted"})
}
