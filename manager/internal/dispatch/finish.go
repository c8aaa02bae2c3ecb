package dispatch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// concludeTime is how long the database may take for what ends an upload.
const concludeTime = time.Minute

// conclude takes an upload whose parts are all there to its end, or to the
// question that has to be answered before. Its stage is concluding.
func (d *Dispatcher) conclude(ctx context.Context, u *upload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeTime)
	defer cancel()
	sums, err := d.sum(ctx, u)

	d.mu.Lock()
	if sl := u.slot; sl != nil {
		u.slot = nil
		d.shut(ctx, sl, u.ID)
	}
	u.finishStage(false)
	d.mu.Unlock()
	if err != nil {
		d.fail(ctx, u, err)
		return
	}
	d.commit(ctx, u, u.OnConflict, sums)
}

// settle concludes an upload by the answer to its question.
func (d *Dispatcher) settle(ctx context.Context, u *upload, how string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeTime)
	defer cancel()
	sums, err := d.sum(ctx, u)
	if err != nil {
		d.fail(ctx, u, err)
		return
	}
	d.commit(ctx, u, how, sums)
}

// sum computes what is known of the whole file by its chunks.
func (d *Dispatcher) sum(ctx context.Context, u *upload) (meta.Finish, error) {
	var tree chunk.Tree
	var crc uint32
	add := func(c meta.Stored) error {
		for _, leaf := range c.Leaves {
			tree.AddLeaf(leaf)
		}
		crc = chunk.CombineCRC32(crc, c.CRC32, c.Size)
		return nil
	}
	d.mu.Lock()
	whole := u.whole
	d.mu.Unlock()
	for _, c := range whole {
		_ = add(c) // never fails
	}
	if whole == nil {
		if err := d.Store.Leaves(ctx, u.ID, add); err != nil {
			return meta.Finish{}, fmt.Errorf("sum upload: %w", err)
		}
	}
	var sum cloud.Sum
	if u.put != nil {
		var err error
		if sum, err = u.put.finish(); err != nil {
			return meta.Finish{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if root := tree.Root(); !u.hash.IsZero() && u.hash != root {
		return meta.Finish{}, cloud.UserErrorf(cloud.ErrCorrupt, "what arrived is not the file that was sent")
	}
	f := meta.Finish{Hash: tree.Root(), CRC32: crc, Type: u.mimeType(), SHA256: sum}
	if u.Size == 0 {
		f.SHA256 = sha256.Sum256(nil) // of others only who has the bytes in order knows it
	}
	return f, nil
}

// mimeType is what the content shows to be, or else what the client said it is.
func (u *upload) mimeType() string {
	const unknown, text = "application/octet-stream", "text/plain"
	switch {
	case u.kind != "" && u.kind != unknown && u.kind != text:
		return u.kind
	case u.Type != "":
		return u.Type
	case u.kind != "":
		return u.kind
	}
	return unknown
}

// commit makes the entry, asks about a conflict, or fails.
func (d *Dispatcher) commit(ctx context.Context, u *upload, how string, f meta.Finish) {
	d.mu.Lock()
	who := policy.Principal{Role: policy.User, User: u.User}
	if u.client != nil {
		who = u.client.Who
		if how == packet.ConflictAsk && u.client.settled != "" {
			how = u.client.settled
		}
	}
	d.mu.Unlock()

	done, err := d.finish(ctx, who, u, how, f)
	switch {
	case err == nil:
		d.succeed(ctx, u, done)
	case errors.Is(err, cloud.ErrExists) && how == packet.ConflictAsk:
		d.ask(ctx, u, f)
	default:
		d.fail(ctx, u, conflictError(how, err))
	}
}

// finished is an entry that was made, with what shares give at it.
type finished struct {
	meta.Finished
	grants []cloud.Share
}

// finish makes the entry if who still may put it there.
func (d *Dispatcher) finish(ctx context.Context, who policy.Principal, u *upload, how string, f meta.Finish) (finished, error) {
	f.Conflict = meta.ConflictFail
	switch how {
	case string(meta.ConflictReplace), string(meta.ConflictRename):
		f.Conflict = meta.Conflict(how)
	}
	f.Allow = func(e cloud.Entry) error { return policy.Check(who, policy.ReplaceFile, &e) }
	if u.put != nil {
		f.Allow = u.put.allow(f.Allow)
	}
	return d.make(ctx, u, f, func(ctx context.Context) error {
		if u.put != nil {
			if err := u.put.ready(ctx); err != nil {
				return err
			}
		}
		return d.target(ctx, who, u.Base, u.Folder)
	})
}

// make makes the entry, unless check fails.
func (d *Dispatcher) make(ctx context.Context, u *upload, f meta.Finish, check func(context.Context) error) (done finished, err error) {
	err = d.Store.Together(ctx, "finish an upload", func(ctx context.Context) error {
		err := check(ctx)
		if err == nil {
			done.Finished, err = d.Store.FinishUpload(meta.ForViewer(ctx, u.User), u.ID, f)
		}
		if err != nil || done.Again {
			return err
		}
		if done.grants, err = d.Store.Grants(ctx, done.Entry.ID); err != nil {
			// It is there all the same: those it is shared with see it when they look.
			meta.Afterwards(ctx, func() {
				d.Log.WarnContext(ctx, "shares of an uploaded file not read", "file", done.Entry.ID, "err", err)
			})
		}
		return nil
	})
	return done, err
}

// conflictError puts into words why a taken name ended an upload.
func conflictError(how string, err error) error {
	_, worded := errors.AsType[*cloud.UserError](err)
	switch {
	case errors.Is(err, cloud.ErrExists) && how == packet.ConflictSkip:
		return cloud.UserErrorf(cloud.ErrExists, "skipped: the name is taken")
	case worded:
		return err
	case errors.Is(err, cloud.ErrExists) && how == string(meta.ConflictReplace):
		return cloud.UserErrorf(cloud.ErrExists, "a folder has this name")
	case errors.Is(err, cloud.ErrExists) && how == string(meta.ConflictRename):
		return cloud.UserErrorf(cloud.ErrExists, "no free name was found")
	case errors.Is(err, cloud.ErrExists):
		return cloud.UserErrorf(cloud.ErrExists, "the name is taken")
	case errors.Is(err, cloud.ErrDenied), errors.Is(err, cloud.ErrNotFound) && how == string(meta.ConflictReplace):
		return cloud.UserErrorf(cloud.ErrDenied, "the file of this name may not be replaced")
	}
	return err
}

// succeed tells everybody of a finished upload.
func (d *Dispatcher) succeed(ctx context.Context, u *upload, done finished) {
	d.publish(done)
	if u.put != nil {
		u.put.settle(done.Finished, nil)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end(ctx, u, u.success(done.Entry))
	d.Log.InfoContext(ctx, "upload finished", "upload", u.ID, "file", done.Entry.ID, "bytes", u.Size, "took", d.Now().Sub(u.CreatedAt))
}

// success is the outcome of u as the entry e.
func (u *upload) success(e cloud.Entry) packet.UploadFinishInfo {
	p := packet.UploadFinishInfo{Success: true, UploadID: string(u.ID)}
	if e.Name != u.Name {
		p.RenameTarget = e.Name
		if u.client != nil {
			p.RenameTarget = u.client.Shown(e)
		}
	}
	return p
}

// publish tells the bus what a finished upload has changed.
func (d *Dispatcher) publish(done finished) {
	if done.Again {
		return
	}
	for i, e := range done.CreatedFolders { // which have no shares of their own
		e.Share = nil
		depth := len(done.Folder) - len(done.CreatedFolders) + i
		d.Bus.Publish(&event.Change{Action: event.Added, Entry: e, Path: slices.Clone(done.Folder[:depth]), SharedWith: done.grants})
	}
	change := &event.Change{Action: event.Added, Entry: done.Entry, Path: done.Folder, SharedWith: done.grants}
	change.Entry.Share = nil
	if done.Replaced {
		change.Action = event.Changed
	}
	d.Bus.Publish(change)
}

// fail ends an upload that cannot become an entry. Where it is not the upload's
// fault its client may try again later, if it can.
func (d *Dispatcher) fail(ctx context.Context, u *upload, err error) {
	if u.put != nil {
		u.put.settle(meta.Finished{}, err)
	}
	kind := cloud.KindOf(err)
	if (kind == nil || kind == cloud.ErrUnavailable || kind == cloud.ErrFull) && u.resumable() {
		level := slog.LevelError
		if _, told := errors.AsType[*cloud.UserError](err); told {
			level = slog.LevelInfo // its user has no room for it, until he makes some
		} else if kind == cloud.ErrUnavailable {
			level = slog.LevelWarn // the database is away
		}
		d.Log.Log(ctx, level, "upload not finished", "upload", u.ID, "err", err)
		d.mu.Lock()
		defer d.mu.Unlock()
		if u.stage != ended {
			u.tell(packet.UploadInterrupted{UploadID: string(u.ID), Reason: cloud.TextOf(err), Code: cloud.CodeOf(err)})
			d.drop(ctx, u)
		}
		return
	}
	if kind == nil {
		d.Log.ErrorContext(ctx, "upload failed", "upload", u.ID, "err", err)
	} else {
		d.Log.InfoContext(ctx, "upload failed", "upload", u.ID, "err", err)
	}
	d.record(ctx, u.ID, meta.UploadFailed, cloud.TextOf(err))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end(ctx, u, packet.UploadFinishInfo{Reason: cloud.TextOf(err), Code: cloud.CodeOf(err)})
}
