package hub

import (
	"context"
	"errors"
	"time"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Bookings and uploads: from the wire to package dispatch and back.

func (c *client) book(_ context.Context, m packet.Message, p packet.UploadBookingRequest) error {
	c.uploads.Book(int(min(p.DesiredAmount, 1<<30)), func(has int) {
		c.reply(m, packet.UploadBooking{Amount: int64(has)})
	})
	return nil
}

func (c *client) clear(_ context.Context, m packet.Message, _ packet.UploadBookingClear) error {
	c.uploads.Clear(func(had bool) {
		answer := packet.Boolean{Success: had}
		if !had {
			answer.Message = "nothing is booked"
		}
		c.reply(m, answer)
	})
	return nil
}

// upload takes a place in the queue for slots at once: whoever asks for an upload
// and then gives his booking back meant to have it.
func (c *client) upload() do {
	place := c.uploads.Reserve()
	return func(c *client, ctx context.Context, m packet.Message) error {
		p := m.Data.(packet.UploadRequest)
		q, err := c.request(ctx, p)
		respond := func(r packet.UploadResponse) { c.reply(m, r) }
		if err != nil {
			place.Drop()
			c.note(ctx, m, err)
			respond(c.uploads.Rejection(p.Name, p.Path, err))
			return nil
		}
		c.uploads.Upload(ctx, place, q, respond)
		return nil
	}
}

// request is an upload request in true names.
func (c *client) request(ctx context.Context, p packet.UploadRequest) (dispatch.Request, error) {
	q := dispatch.Request{
		WrittenName: p.Name, WrittenPath: p.Path,
		Base: cloud.EntryID(p.FolderID), Size: p.Size, Public: p.IsPublic, Conflict: p.Conflict, Type: p.Type,
	}
	if q.Conflict == "" && p.DoOverwrite {
		q.Conflict = packet.ConflictOverwrite
	}
	if p.ModifiedAt != nil {
		// Beyond these years nothing can write it as RFC 3339.
		if t := time.UnixMilli(*p.ModifiedAt).UTC(); t.Year() >= 1 && t.Year() <= 9999 {
			q.ModifiedAt = t
		}
	}
	var err error
	if q.Folder, err = c.path(ctx, p.Path); err != nil {
		return q, err
	}
	q.Name, err = c.target(ctx, p.Path, p.Name)
	return q, err
}

// target is the true name for a file that the client puts into a folder: if it
// names the stand-in of a file that is there, that file is meant.
func (c *client) target(ctx context.Context, path, name string) (string, error) {
	clean, err := vfs.CleanName(name)
	if err != nil || c.version >= packet.V2 {
		return clean, err
	}
	e, err := c.file(ctx, path, name)
	if errors.Is(err, cloud.ErrNotFound) {
		return clean, nil
	}
	return e.Name, err
}

func (c *client) emptyFile(ctx context.Context, p packet.EmptyFileUpload) error {
	q, err := c.request(ctx, packet.UploadRequest{Name: p.Name, Path: p.Path})
	if err != nil {
		return err
	}
	return c.uploads.CreateEmpty(ctx, q)
}

func (c *client) abort(ctx context.Context, m packet.Message, p packet.UploadAbortRequest) error {
	c.uploads.Abort(ctx, cloud.UploadID(p.UploadID), func(err error) {
		if err != nil {
			c.note(ctx, m, err)
			c.reply(m, packet.Boolean{Message: cloud.TextOf(err)})
			return
		}
		c.reply(m, packet.Boolean{Success: true})
	})
	return nil
}

func (c *client) answer(ctx context.Context, _ packet.Message, p packet.UploadOverwriteResponse) error {
	c.uploads.Answer(ctx, p)
	return nil
}

func (c *client) resume(ctx context.Context, m packet.Message, p packet.UploadResume) error {
	c.uploads.Resume(ctx, cloud.UploadID(p.UploadID), func(r packet.UploadResponse) { c.reply(m, r) })
	return nil
}

func (c *client) pause(ctx context.Context, p packet.UploadPause) error {
	return c.uploads.Pause(ctx, cloud.UploadID(p.UploadID))
}

func (c *client) expect(_ context.Context, p packet.UploadHash) error {
	sum, err := cloud.ParseSum(p.Hash)
	if err != nil {
		return err
	}
	return c.uploads.Expect(cloud.UploadID(p.UploadID), sum)
}

func (c *client) pending(ctx context.Context, m packet.Message, _ packet.UploadsRequest) error {
	uploads, err := c.uploads.Pending(ctx)
	if err != nil {
		return err
	}
	c.reply(m, packet.Uploads{Uploads: uploads})
	return nil
}
