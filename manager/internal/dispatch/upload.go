package dispatch

import (
	"context"
	"strings"
	"sync"

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
// what follows from it never change, but for a size that was not known; that and
// the rest is guarded by Dispatcher.mu.
type upload struct {
	meta.Upload
	key crypt.ObjectKey
	ext []byte // plain extension of the first chunk
	seq uint64 // in order of coming

	parts  sync.Mutex // held while a part is recorded
	unsure bool       // missing may be wrong: guarded by parts

	put     *put    // of one by Put, otherwise nil
	client  *Client // nil if it has none at the moment
	name    string  // name and folder as the client calls them
	path    string
	slot    *slot // nil if no service has it
	stage   stage
	told    bool  // the end of the stage was told
	over    bool  // its row says that it has ended
	missing int64 // parts
	coming  int64 // parts that a service has reported and that are not recorded yet
	// inspected tells that a part was chosen to be read back since a service holds it.
	inspected bool
	// whole are the chunks of an upload of one part, once it is recorded.
	whole []meta.Stored
	kind  string // MIME type by content, "" while it is not known
	// hash is what the client says that the file's hash is; zero if it has not.
	hash cloud.Sum
}

// hold takes an upload into memory. d.mu is held.
func (d *Dispatcher) hold(u *upload, c *Client, sl *slot) {
	d.joined++
	u.seq, u.client, u.stage = d.joined, c, opening
	d.uploads[u.ID] = u
	u.Manager = d.self()
	if sl != nil {
		d.place(u, sl)
	}
}

func (d *Dispatcher) place(u *upload, sl *slot) {
	u.slot, sl.upload = sl, u
	u.inspected = false
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
		if !u.over {
			d.unclaim(u.ID)
		}
	}
	if u.put != nil { // unless it was told better
		u.put.settle(meta.Finished{}, cloud.UserErrorf(cloud.ErrUnavailable, "the upload was interrupted"))
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
	u.over = true
	outcome.UploadID = string(u.ID)
	u.tell(outcome)
	d.drop(ctx, u)
}

// resumable tells whether its client can go on with u later.
func (u *upload) resumable() bool {
	return u.client == nil || u.client.Version >= packet.V2
}

// interrupt ends the work on an upload whose service has it no more: lost tells
// that the service itself is gone. Version 2 may go on with it later. d.mu is
// held.
func (d *Dispatcher) interrupt(ctx context.Context, u *upload, reason string, lost bool) {
	switch u.stage {
	case opening, concluding, waiting, ended:
		return // whoever opens it sees it; who has all parts needs no service
	case running, closing:
	}
	d.interrupts++
	state := meta.UploadFailed
	if u.stage == closing {
		state, reason = meta.UploadAborted, "aborted"
	}
	if state == meta.UploadFailed && u.resumable() {
		u.tell(packet.UploadInterrupted{UploadID: string(u.ID), Reason: reason})
		d.forget(u)
		return
	}
	u.finishStage(lost)
	u.tell(packet.UploadFinishInfo{UploadID: string(u.ID), Reason: reason})
	d.forget(u)
	ctx = context.WithoutCancel(ctx)
	d.background.Go(func() { d.record(ctx, u.ID, state, reason) })
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
	reason := short(p.Reason)
	if reason == "" {
		reason = "the upload service gave up"
	}
	s.failed(reason)
	sl := u.slot
	u.slot = nil
	d.interrupt(ctx, u, reason, false)
	d.pool.free(sl)
}

// folderPath is the path of the folder, from its base on.
func (u *upload) folderPath() string { return "/" + strings.Join(u.Folder, "/") }

// extSealed is the length of the sealed extension of the first chunk.
func (u *upload) extSealed() int { return len(u.ext) + chunk.Tag }

// short cuts a text of a peer down to what may be shown and stored.
func short(s string) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}
