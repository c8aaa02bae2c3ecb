package dispatch

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// ask puts the question about a taken name to u's client.
func (d *Dispatcher) ask(ctx context.Context, u *upload, f meta.Finish) {
	if err := d.Store.SetUploadState(ctx, u.ID, meta.UploadWaiting, ""); err != nil {
		d.fail(ctx, u, fmt.Errorf("keep the question: %w", err))
		return
	}
	d.mu.Lock()
	c := u.client
	switch {
	case (c == nil || c.gone) && u.resumable():
		d.forget(u) // it is asked again when its user comes back
		d.mu.Unlock()
	case c.gone:
		d.forget(u)
		d.mu.Unlock()
		d.record(ctx, u.ID, meta.UploadFailed, "the client left before it answered")
	case c.settled != "":
		d.mu.Unlock()
		d.commit(ctx, u, c.settled, f)
	case c.questions >= d.Questions:
		d.mu.Unlock()
		d.fail(ctx, u, cloud.UserErrorf(cloud.ErrLimited, "too many questions are open"))
	default:
		d.question(u)
		d.mu.Unlock()
	}
}

// question sends the question. d.mu is held.
func (d *Dispatcher) question(u *upload) {
	u.stage = waiting
	u.client.questions++
	u.tell(u.overwriteRequest())
}

func (u *upload) overwriteRequest() packet.UploadOverwriteRequest {
	return packet.UploadOverwriteRequest{UploadID: string(u.ID), FileName: u.name, FilePath: u.path, FolderID: int64(u.Base)}
}

// Answer settles a question, and with all every other one that is open or comes
// up until Clear. Answers to questions that are not open are passed over.
func (c *Client) Answer(ctx context.Context, p packet.UploadOverwriteResponse) {
	d := c.d
	how := onConflict(p.Action)
	d.mu.Lock()
	u := d.uploads[cloud.UploadID(p.UploadID)]
	if u == nil || u.client != c || u.stage != waiting {
		d.mu.Unlock()
		return
	}
	d.answered(u)
	if p.UseOnAllUploads {
		c.settled = how
	}
	d.mu.Unlock()
	d.settle(ctx, u, how)
	if !p.UseOnAllUploads {
		return
	}

	d.mu.Lock()
	c.Send(packet.UploadOverwriteCancel{})
	var others []*upload
	for _, other := range d.uploadsOf(c) {
		if other.stage == waiting {
			d.answered(other)
			others = append(others, other)
		}
	}
	d.mu.Unlock()
	for _, other := range others {
		d.settle(ctx, other, how)
	}
}

// answered takes the question back. d.mu is held.
func (d *Dispatcher) answered(u *upload) {
	u.stage = concluding
	u.client.questions--
}

// askAgain asks what the user of a fresh connection was asked on another one
// that is gone.
func (c *Client) askAgain(ctx context.Context) error {
	d := c.d
	rows, err := d.Store.UploadsIn(ctx, c.Who.User, meta.UploadWaiting)
	if err != nil {
		return fmt.Errorf("open questions: %w", err)
	}
	for _, row := range rows {
		if d.elsewhere(row) {
			continue // it is asked there
		}
		if err := d.claim(ctx, row); err != nil {
			return err
		}
		u, err := c.restore(ctx, row)
		if err != nil {
			return err
		}
		d.mu.Lock()
		if d.uploads[row.ID] == nil && !c.gone && c.questions < d.Questions {
			d.hold(u, c, nil)
			u.finishStage(false) // it does not know from before
			d.question(u)
		}
		d.mu.Unlock()
	}
	return nil
}
