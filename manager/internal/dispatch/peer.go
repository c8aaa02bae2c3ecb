package dispatch

import (
	"context"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Several managers may share the database. An upload is in the memory of the one
// whose client works on it, and its row names that manager. When the client comes
// by another manager, that one takes the upload and says so, and the first lets it
// go. If both go on for a moment, nothing is lost: which part is stored, and what
// the upload has become, the database decides.

// Peers is what a Dispatcher has to know of other managers on the same database.
type Peers interface {
	ID() string
	// Alive tells whether a manager is there.
	Alive(id string) bool
	// Managers is how many there are, with this one.
	Managers() int
	// Lead does something if no other manager does.
	Lead(ctx context.Context, name string, do func(context.Context) error) error
}

// self is the id of this manager, "" if there are never others.
func (d *Dispatcher) self() string {
	if d.Peers == nil {
		return ""
	}
	return d.Peers.ID()
}

// elsewhere tells whether another manager works on an upload.
func (d *Dispatcher) elsewhere(row meta.Upload) bool {
	return row.Manager != "" && row.Manager != d.self() && d.Peers != nil && d.Peers.Alive(row.Manager)
}

// claim takes an upload from whichever manager has it.
func (d *Dispatcher) claim(ctx context.Context, row meta.Upload) error {
	self := d.self()
	if self == "" || row.Manager == self {
		return nil
	}
	if err := d.Store.HoldUpload(ctx, row.ID, row.Manager, self); err != nil {
		return err
	}
	d.Bus.Publish(&event.Upload{ID: row.ID, Manager: self})
	return nil
}

// unclaim says that this manager does not work on an upload any more, which may go
// on. d.mu may be held.
func (d *Dispatcher) unclaim(id cloud.UploadID) {
	self := d.self()
	if self == "" {
		return
	}
	d.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := d.Store.HoldUpload(ctx, id, self, ""); err != nil && cloud.KindOf(err) != cloud.ErrNotFound {
			// It is thought to be worked on until this manager ends.
			d.Log.WarnContext(ctx, "upload not given back", "upload", id, "err", err)
		}
	})
}

// hear takes what the bus tells. It does not block.
func (d *Dispatcher) hear(v any) {
	if taken, ok := v.(*event.Upload); ok && taken.Manager != d.self() {
		d.background.Go(func() { d.letGo(taken.ID) })
	}
}

// letGo forgets an upload that another manager has taken.
func (d *Dispatcher) letGo(id cloud.UploadID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.uploads[id]
	if u == nil || u.stage != running && u.stage != waiting {
		return // of one that begins or ends the database decides
	}
	u.tell(packet.UploadInterrupted{UploadID: string(id), Reason: "another connection goes on with it"})
	d.drop(context.Background(), u)
}
