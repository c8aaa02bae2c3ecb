package dispatch

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// Request is a wish to upload a file. Folder and Name are clean.
type Request struct {
	Base   cloud.EntryID // folder that Folder begins in
	Folder []string
	Name   string
	// As the client wrote them, for packets that repeat them.
	WrittenPath, WrittenName string

	Size       int64
	Public     bool
	Conflict   string // one of packet's Conflict constants
	Type       string // MIME type, a hint
	ModifiedAt time.Time

	open bool // the size may be -1
}

// Reservation is the place of an upload request in the queue for slots.
type Reservation struct {
	c    *Client
	t    *ticket // nil if too many wait
	wait time.Duration
}

// Reserve takes a place in the queue, and the slot if there is one. It does not
// block, so that requests keep the order in which they came. Upload or Drop has
// to follow.
func (c *Client) Reserve() *Reservation {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	r := &Reservation{c: c, wait: c.d.SlotWait}
	n := 0
	for _, t := range c.d.pool.waiting {
		if t.holder == c.holder {
			n++
		}
	}
	if n < c.d.Requests && !c.gone {
		r.t = c.d.pool.ask(c.holder)
	}
	return r
}

// ready tells whether it has its slot.
func (r *Reservation) ready() bool { return r.t != nil && len(r.t.got) > 0 }

// slot waits for the reservation's slot. ErrUnavailable if none becomes free in
// time.
func (r *Reservation) slot(ctx context.Context) (*slot, error) {
	if r.t == nil {
		return nil, cloud.UserErrorf(cloud.ErrLimited, "too many uploads are waiting")
	}
	timeout := time.NewTimer(r.wait)
	defer timeout.Stop()
	select {
	case s := <-r.t.got:
		return s, nil
	case <-timeout.C:
	case <-ctx.Done():
	}
	r.c.d.mu.Lock()
	defer r.c.d.mu.Unlock()
	if s := r.c.d.pool.giveUp(r.t); s != nil {
		if ctx.Err() == nil {
			return s, nil
		}
		r.c.d.pool.free(s)
	}
	if len(r.c.d.pool.slots) == 0 {
		return nil, cloud.UserErrorf(cloud.ErrUnavailable, "no upload service is connected")
	}
	return nil, cloud.UserErrorf(cloud.ErrUnavailable, "all upload services are busy")
}

// Drop gives the place up.
func (r *Reservation) Drop() {
	if r.t == nil {
		return
	}
	r.c.d.mu.Lock()
	defer r.c.d.mu.Unlock()
	if s := r.c.d.pool.giveUp(r.t); s != nil {
		r.c.d.pool.free(s)
	}
}

// answerTime bounds how long a request for an upload may take: its client waits
// for ten seconds, and does not hear what comes later.
const answerTime = 9500 * time.Millisecond

// Upload begins an upload in the slot of a reservation, for which it waits.
// reply is called once with the answer, before anything else is sent about it.
func (c *Client) Upload(ctx context.Context, r *Reservation, q Request, reply func(packet.UploadResponse)) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	u, err := c.prepare(q)
	if err != nil || u.Size == 0 {
		r.Drop()
	}
	switch {
	case err != nil:
	case u.Size == 0:
		if err = c.create(ctx, u); err == nil {
			c.uploadEmpty(ctx, u, reply)
		}
	default:
		err = c.begin(ctx, r, u, reply)
	}
	if err != nil {
		c.d.Log.DebugContext(ctx, "upload rejected", "user", c.Who.User, "err", err)
		reply(c.Rejection(q.WrittenName, q.WrittenPath, err))
	}
}

// Rejection is the answer to an upload request that tells what may be told of
// err.
func (c *Client) Rejection(name, path string, err error) packet.UploadResponse {
	return packet.UploadResponse{
		Name: name, Path: path, UploadID: packet.NewUUID(), ChunkSize: max(1, c.d.partSize()),
		RejectionReason: cloud.TextOf(err), RejectionCode: cloud.CodeOf(err),
	}
}

// prepare makes the upload of a request, in memory only.
func (c *Client) prepare(q Request) (*upload, error) {
	d := c.d
	if q.Size < 0 && !(q.open && q.Size == -1) {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "a file cannot have %d bytes", q.Size)
	}
	size := d.partSize()
	if size <= 0 {
		return nil, fmt.Errorf("%w: attachments of %d bytes hold nothing", cloud.ErrUnavailable, d.Service.AttachmentLimit())
	}
	now := d.Now().UTC()
	if q.ModifiedAt.IsZero() {
		q.ModifiedAt = now
	}
	row := meta.Upload{
		ID: cloud.UploadID(packet.NewUUID()), User: c.Who.User,
		Base: q.Base, Folder: q.Folder, Name: q.Name, Size: q.Size, PartSize: size, Public: q.Public,
		OnConflict: onConflict(q.Conflict), Type: cleanType(q.Type), ModifiedAt: q.ModifiedAt.UTC(),
		State: meta.UploadRunning, CreatedAt: now, TouchedAt: now, Manager: d.here,
		Fleeting: c.Version == packet.V1 || q.Size == 0, // whose clients do not come back
	}
	_, _ = rand.Read(row.Object[:]) // never fails
	if row.Parts() > 1<<31 {
		return nil, cloud.UserErrorf(cloud.ErrTooLarge, "a file of %d bytes is too large", q.Size)
	}
	return &upload{Upload: row, key: d.Ring.ObjectKey(row.Object), name: q.WrittenName, path: q.WrittenPath, missing: row.Parts()}, nil
}

// admit tells whether an upload may go where it is to.
func (c *Client) admit(ctx context.Context, u *upload) error {
	return c.d.Store.Together(ctx, "target of an upload", func(ctx context.Context) error {
		return c.d.target(ctx, c.Who, u.Base, u.Folder)
	})
}

// create stores an upload, if it may go where it is to.
func (c *Client) create(ctx context.Context, u *upload) error {
	d := c.d
	return d.Store.Together(ctx, "begin an upload", func(ctx context.Context) error {
		if err := d.target(ctx, c.Who, u.Base, u.Folder); err != nil {
			return err
		}
		if err := d.describe(ctx, u, c.Who.Name); err != nil {
			return err
		}
		if err := d.Store.CreateUpload(ctx, u.Upload); err != nil {
			return fmt.Errorf("store upload: %w", err)
		}
		return nil
	})
}

// describe makes the extension, which tells a rebuild what the file was. It has
// the whole path, which the client may not know.
func (d *Dispatcher) describe(ctx context.Context, u *upload, owner string) error {
	path := u.folderPath()
	if u.Base != cloud.Root {
		above, err := d.Store.Path(ctx, u.Base)
		if err != nil && !errors.Is(err, cloud.ErrNotFound) { // of a folder that is gone nothing becomes a file
			return fmt.Errorf("path of upload: %w", err)
		}
		names := make([]string, 0, len(above)+len(u.Folder))
		for _, e := range above {
			names = append(names, e.Name)
		}
		path = "/" + strings.Join(append(names, u.Folder...), "/")
	}
	ext, err := crypt.EncodeExtension(crypt.Extension{
		Name: u.Name, Path: path, Owner: owner, Type: u.Type, Created: u.CreatedAt,
	})
	if err != nil {
		return fmt.Errorf("describe upload: %w", err)
	}
	u.ext = ext
	return nil
}

// begin stores the upload, has a service open it, and answers.
func (c *Client) begin(ctx context.Context, r *Reservation, u *upload, reply func(packet.UploadResponse)) error {
	d := c.d
	if !r.ready() { // nobody waits in vain
		if err := c.admit(ctx, u); err != nil {
			r.Drop()
			return err
		}
	}
	sl, err := r.slot(ctx)
	if err != nil {
		return err
	}
	if err := c.create(ctx, u); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.pool.free(sl)
		return err
	}
	d.mu.Lock()
	d.hold(u, c, sl)
	d.mu.Unlock()
	if err := d.open(ctx, u, nil, func() {
		reply(packet.UploadResponse{
			Name: u.name, Path: u.path, Accepted: true, UploadID: string(u.ID), ChunkSize: u.PartSize,
			UploadAddress: c.Address(u.slot.service.Address),
		})
	}); err != nil {
		d.record(ctx, u.ID, meta.UploadAborted, cloud.TextOf(err))
		return err
	}
	d.Log.InfoContext(ctx, "upload begun", "upload", u.ID, "user", u.User, "bytes", u.Size)
	return nil
}

// open has the service of u's slot take it, and calls opened under d.mu once one
// has. If that one fails, others are tried: a client of version 1 would lose the
// file. On error u is held no more.
func (d *Dispatcher) open(ctx context.Context, u *upload, confirmed [][2]int64, opened func()) error {
	p := packet.UploadOpen{
		UploadID: string(u.ID), Object: u.Object.String(), Key: packet.Secret(base64.StdEncoding.EncodeToString(u.key[:])),
		Size: max(u.Size, 0), ChunkSize: u.PartSize, Extension: packet.Secret(base64.StdEncoding.EncodeToString(u.ext)),
		Confirmed: confirmed,
	}
	var tried []*Service
	for n := 0; n < d.opens(); n++ { // that there are others may be learned in between
		sl := d.slotFor(u, tried)
		if sl == nil && len(tried) > 0 && d.sharesSlots() {
			// Other managers were faster with the slots that were free, or a service
			// is not yet done with what was in them.
			if !pause(ctx, openPause) {
				break
			}
			sl, tried = d.awaitSlot(ctx, u), nil
		}
		if sl == nil || ctx.Err() != nil {
			break
		}
		tried = append(tried, sl.service)
		err := sl.service.call(ctx, p)
		if done := d.answeredOpen(ctx, u, sl, err, opened); done {
			return nil
		}
		d.Log.WarnContext(ctx, "upload not opened by its service", "service", sl.service.id, "upload", u.ID, "err", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(ctx, u)
	if u.client.gone {
		return cloud.UserErrorf(cloud.ErrUnavailable, "the client left")
	}
	return cloud.UserErrorf(cloud.ErrUnavailable, "no upload service took the upload")
}

// openPause is between two rounds of asking services that are all full.
const openPause = 50 * time.Millisecond

// opens is how often services are asked to take an upload: where managers share
// them, for as long as an answer may take.
func (d *Dispatcher) opens() int {
	if d.sharesSlots() {
		return int(answerTime / openPause)
	}
	return 3
}

// pause tells whether ctx has not ended in that time.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitSlot waits for a slot for u, nil if none becomes free in time.
func (d *Dispatcher) awaitSlot(ctx context.Context, u *upload) *slot {
	r := u.client.Reserve()
	sl, err := r.slot(ctx)
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if u.stage == ended || u.client.gone {
		d.pool.free(sl)
		return nil
	}
	d.place(u, sl)
	return sl
}

// slotFor is the slot that u has, or another if it has lost its own.
func (d *Dispatcher) slotFor(u *upload, not []*Service) *slot {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u.stage == ended || u.client.gone {
		return nil
	}
	if u.slot == nil {
		if sl := d.pool.take(u.client.holder, not...); sl != nil {
			d.place(u, sl)
		}
	}
	return u.slot
}

// answeredOpen deals with how a service answered: it tells whether u is open.
func (d *Dispatcher) answeredOpen(ctx context.Context, u *upload, sl *slot, err error, opened func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case u.slot != sl: // lost meanwhile, or u has ended
	case err == nil && !u.client.gone:
		u.stage = running
		opened()
		return true
	case err == nil: // for nobody: the caller drops it
	case errors.Is(err, errRefused):
		u.slot = nil
		d.pool.free(sl) // it is there, and had its reasons
	case ctx.Err() != nil:
		u.slot = nil
		d.shut(ctx, sl, u.ID) // it had less time than it may take
	default:
		u.slot, sl.upload = nil, nil
		sl.service.link.Close("an upload was not opened") // frees the slot
	}
	return false
}

// onConflict is a word of the wire as the database has it.
func onConflict(word string) string {
	switch word {
	case packet.ConflictOverwrite:
		return string(meta.ConflictReplace)
	case packet.ConflictRename, packet.ConflictSkip, packet.ConflictFail:
		return word
	}
	return packet.ConflictAsk
}

// cleanType is a MIME type without parameters, "" if it is none.
func cleanType(s string) string {
	t, _, err := mime.ParseMediaType(s)
	if err != nil || len(t) > 100 || !strings.Contains(t, "/") {
		return ""
	}
	return t
}
