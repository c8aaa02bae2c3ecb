package dispatch

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"strings"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// stage is where an upload stands that is in memory.
type stage int

const (
	opening    stage = iota // a slot is being found, nobody has been told yet
	running                 // parts may come
	closing                 // its service is being told to forget it
	concluding              // all parts are there
	waiting                 // a question is open
	ended                   // it is in memory no longer
)

// upload is an upload that a client or a service works on. The embedded row and
// what follows from it never change; the rest is guarded by Dispatcher.mu.
type upload struct {
	meta.Upload
	key  crypt.ObjectKey
	ext  []byte // plain extension of the first chunk
	name string // name and folder as its client calls them
	path string
	seq  uint64 // in order of coming

	parts sync.Mutex // held while a part is recorded

	client  *Client // nil if it has none at the moment
	slot    *slot   // nil if no service has it
	stage   stage
	told    bool   // the end of the stage was told
	missing int64  // parts
	kind    string // MIME type by content, "" while it is not known
}

// Request is a wish to upload a file. Folder and Name are clean.
type Request struct {
	Folder []string
	Name   string
	// As the client wrote them, for packets that repeat them.
	WrittenPath, WrittenName string

	Size       int64
	Public     bool
	Conflict   string // one of packet's Conflict constants
	Type       string // MIME type, a hint
	ModifiedAt time.Time
}

// Reservation is the place of an upload request in the queue for slots.
type Reservation struct {
	c *Client
	t *ticket // nil if too many wait
}

// Reserve takes a place in the queue, and the slot if there is one. It does not
// block, so that requests keep the order in which they came; Upload has to
// follow.
func (c *Client) Reserve() *Reservation {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	return c.reserve()
}

func (c *Client) reserve() *Reservation {
	r := &Reservation{c: c}
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

// slot waits for the reservation's slot. ErrUnavailable if none becomes free in
// time.
func (r *Reservation) slot(ctx context.Context) (*slot, error) {
	if r.t == nil {
		return nil, cloud.UserErrorf(cloud.ErrLimited, "too many uploads are waiting")
	}
	timeout := time.NewTimer(r.c.d.SlotWait)
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
	u, err := c.prepare(ctx, q)
	if err != nil || u.Size == 0 {
		r.Drop()
	}
	if err == nil && u.Size == 0 {
		c.uploadEmpty(ctx, u, reply)
		return
	}
	if err == nil {
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
		RejectionReason: cloud.TextOf(err),
	}
}

// prepare checks a request and makes the upload of it, in memory only.
func (c *Client) prepare(ctx context.Context, q Request) (*upload, error) {
	d := c.d
	if q.Size < 0 {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "a file cannot have %d bytes", q.Size)
	}
	if err := d.target(ctx, c.Who, q.Folder); err != nil {
		return nil, err
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
		Folder: q.Folder, Name: q.Name, Size: q.Size, PartSize: size, Public: q.Public,
		OnConflict: onConflict(q.Conflict), Type: cleanType(q.Type), ModifiedAt: q.ModifiedAt.UTC(),
		State: meta.UploadRunning, CreatedAt: now, TouchedAt: now,
	}
	_, _ = rand.Read(row.Object[:]) // never fails
	if row.Parts() > 1<<31 {
		return nil, cloud.UserErrorf(cloud.ErrTooLarge, "a file of %d bytes is too large", q.Size)
	}
	u := &upload{Upload: row, key: d.Ring.ObjectKey(row.Object), name: q.WrittenName, path: q.WrittenPath, missing: row.Parts()}
	if err := u.describe(c.Who.Name); err != nil {
		return nil, err
	}
	return u, nil
}

// describe makes the extension, which tells a rebuild what the file was.
func (u *upload) describe(owner string) error {
	ext, err := crypt.EncodeExtension(crypt.Extension{
		Name: u.Name, Path: u.folderPath(), Owner: owner, Type: u.Type, Created: u.CreatedAt,
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
	sl, err := r.slot(ctx)
	if err != nil {
		return err
	}
	if err := d.Store.CreateUpload(ctx, u.Upload); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.pool.free(sl)
		return fmt.Errorf("store upload: %w", err)
	}
	d.mu.Lock()
	d.hold(u, c, sl)
	d.mu.Unlock()
	if err := d.open(ctx, u, nil); err != nil {
		d.record(ctx, u.ID, meta.UploadAborted, "no service took it")
		return err
	}

	d.mu.Lock()
	if c.gone {
		d.drop(ctx, u)
		d.mu.Unlock()
		d.record(ctx, u.ID, meta.UploadAborted, "the client left")
		return nil // nobody is there to be answered
	}
	u.stage = running
	reply(packet.UploadResponse{
		Name: u.name, Path: u.path, Accepted: true, UploadID: string(u.ID), ChunkSize: u.PartSize,
		UploadAddress: c.Address(u.slot.service.address),
	})
	d.mu.Unlock()
	d.Log.InfoContext(ctx, "upload begun", "upload", u.ID, "user", u.User, "bytes", u.Size)
	return nil
}

// hold takes an upload into memory. d.mu is held.
func (d *Dispatcher) hold(u *upload, c *Client, sl *slot) {
	d.joined++
	u.seq, u.client, u.stage = d.joined, c, opening
	d.uploads[u.ID] = u
	if sl != nil {
		d.place(u, sl)
	}
}

func (d *Dispatcher) place(u *upload, sl *slot) {
	u.slot, sl.upload = sl, u
}

// open has the service of u's slot take it. If that one fails, others are
// tried: a client of version 1 would lose the file. On error u is held no more.
func (d *Dispatcher) open(ctx context.Context, u *upload, confirmed [][2]int64) error {
	p := packet.UploadOpen{
		UploadID: string(u.ID), Object: u.Object.String(), Key: packet.Secret(base64.StdEncoding.EncodeToString(u.key[:])),
		Size: u.Size, ChunkSize: u.PartSize, Extension: packet.Secret(base64.StdEncoding.EncodeToString(u.ext)),
		Confirmed: confirmed,
	}
	var tried []*Service
	for range 3 {
		d.mu.Lock()
		if u.slot == nil { // lost, or refused
			if sl := d.pool.take(u.client.holder, tried...); sl != nil {
				d.place(u, sl)
			}
		}
		sl := u.slot
		d.mu.Unlock()
		if sl == nil {
			break
		}
		tried = append(tried, sl.service)
		err := sl.service.call(ctx, p)
		d.mu.Lock()
		if err == nil && u.slot == sl {
			d.mu.Unlock()
			return nil
		}
		if u.slot == sl {
			u.slot = nil
			switch {
			case errors.Is(err, errRefused):
				d.pool.free(sl) // it is there, and had its reasons
			case ctx.Err() != nil:
				d.shut(ctx, sl, u.ID) // it had less time than it may take
			default:
				sl.upload = nil
				sl.service.link.Close("an upload was not opened") // frees the slot
			}
		}
		d.mu.Unlock()
		d.Log.WarnContext(ctx, "upload not opened by its service", "service", sl.service.id, "upload", u.ID, "err", err)
		if ctx.Err() != nil {
			break
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(u)
	return cloud.UserErrorf(cloud.ErrUnavailable, "no upload service took the upload")
}

// drop forgets an upload in memory, and has its service forget it. d.mu is held.
func (d *Dispatcher) drop(ctx context.Context, u *upload) {
	if sl := u.slot; sl != nil {
		u.slot = nil
		d.shut(ctx, sl, u.ID)
	}
	d.forget(u)
}

// forget takes u out of memory. d.mu is held.
func (d *Dispatcher) forget(u *upload) {
	if u.stage == waiting && u.client != nil {
		u.client.questions--
	}
	u.stage = ended
	if d.uploads[u.ID] == u {
		delete(d.uploads, u.ID)
	}
}

// tell sends to the upload's client, if there is one. d.mu is held.
func (u *upload) tell(p packet.Packet) {
	if u.client != nil && !u.client.gone {
		u.client.Send(p)
	}
}

// finishStage tells, once, that no more parts are to come. d.mu is held.
func (u *upload) finishStage(lost bool) {
	if !u.told {
		u.told = true
		u.tell(packet.UploadStageFinish{UploadID: string(u.ID), ServiceDisconnect: lost})
	}
}

// end tells how u ended and forgets it. d.mu is held.
func (d *Dispatcher) end(ctx context.Context, u *upload, outcome packet.UploadFinishInfo) {
	if u.stage == ended {
		return // told already
	}
	u.finishStage(false)
	outcome.UploadID = string(u.ID)
	u.tell(outcome)
	d.drop(ctx, u)
}

// resumable tells whether its client can go on with u later.
func (u *upload) resumable() bool {
	return u.client == nil || u.client.Version >= packet.V2
}

// lostService deals with an upload whose service is gone. Its slot has been
// taken from it. d.mu is held.
func (d *Dispatcher) lostService(ctx context.Context, u *upload) {
	switch u.stage {
	case opening, concluding, waiting, ended:
		return // whoever opens it sees it; who has all parts needs no service
	case running, closing:
	}
	d.interrupts++
	const reason = "the upload service disconnected"
	state := meta.UploadFailed
	switch {
	case u.stage == closing:
		state = meta.UploadAborted
		u.finishStage(true)
		u.tell(packet.UploadFinishInfo{UploadID: string(u.ID), Reason: "aborted"})
	case u.resumable():
		state = ""
		u.tell(packet.UploadInterrupted{UploadID: string(u.ID), Reason: reason})
	default:
		u.finishStage(true)
		u.tell(packet.UploadFinishInfo{UploadID: string(u.ID), Reason: reason})
	}
	d.forget(u)
	if state != "" {
		ctx = context.WithoutCancel(ctx)
		d.background.Go(func() { d.record(ctx, u.ID, state, reason) })
	}
}

// Failed is a service's word that it gives an upload up.
func (s *Service) Failed(ctx context.Context, p packet.UploadFailed) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.uploads[cloud.UploadID(p.UploadID)]
	if u == nil || u.slot == nil || u.slot.service != s || u.stage != running {
		return // one that it does not hold, or not any more
	}
	d.interrupts++
	sl := u.slot
	u.slot = nil
	reason := short(p.Reason)
	if reason == "" {
		reason = "the upload service gave up"
	}
	if u.resumable() {
		u.tell(packet.UploadInterrupted{UploadID: string(u.ID), Reason: reason})
		d.forget(u)
	} else {
		u.finishStage(false)
		u.tell(packet.UploadFinishInfo{UploadID: string(u.ID), Reason: reason})
		d.forget(u)
		ctx = context.WithoutCancel(ctx)
		d.background.Go(func() { d.record(ctx, u.ID, meta.UploadFailed, reason) })
	}
	d.pool.free(sl)
}

// short cuts a text of a peer down to what may be shown and stored.
func short(s string) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
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

// folderPath is the path of the folder.
func (u *upload) folderPath() string { return "/" + strings.Join(u.Folder, "/") }

// extSealed is the length of the sealed extension of the first chunk.
func (u *upload) extSealed() int { return len(u.ext) + chunk.Tag }
