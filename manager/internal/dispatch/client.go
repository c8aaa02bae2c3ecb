package dispatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// ClientOptions say who a client is and how it is reached.
type ClientOptions struct {
	Who     policy.Principal
	Version packet.Version
	// Send queues a packet for the client. It must not block, and deals with
	// errors itself.
	Send func(packet.Packet)
	// Address makes of a service's address one that this client reaches.
	Address func(string) string
	// Shown is an entry's name as this client bears it.
	Shown func(cloud.Entry) string
}

// Client is one connection of a client. Close has to be called when it ends.
type Client struct {
	ClientOptions
	d *Dispatcher

	// guarded by d.mu:
	holder    *holder
	settled   string // what "use on all uploads" has settled, "" if nothing
	questions int    // open
	gone      bool
}

// Connect makes a client known, tells it of the services that are there, and
// asks it what its user had been asked before and has not answered.
func (d *Dispatcher) Connect(ctx context.Context, o ClientOptions) *Client {
	c := &Client{ClientOptions: o, d: d}
	d.mu.Lock()
	d.joined++
	c.holder = &holder{joined: d.joined, yields: o.Version >= packet.V2, change: func(by int) {
		c.Send(packet.UploadBookingModify{EffectiveChange: int64(by)})
	}}
	d.clients[c] = struct{}{}
	d.pool.join(c.holder)
	for _, role := range []policy.Role{policy.ThumbnailService, policy.UploadService} {
		for _, s := range d.services {
			if s.Role == role && !s.quarantined {
				c.registry(s.registry(packet.RegistryList))
			}
		}
	}
	d.mu.Unlock()
	if o.Version >= packet.V2 {
		if err := c.askAgain(ctx); err != nil {
			d.Log.WarnContext(ctx, "open questions not asked again", "user", o.Who.User, "err", err)
		}
	}
	return c
}

func (c *Client) registry(p packet.ServiceRegistry) {
	if p.Address != "" {
		p.Address = c.Address(p.Address)
	}
	c.Send(p)
}

// Book sets how many slots the client wants in total. reply is called with how
// many it has now, before it is told of any change.
func (c *Client) Book(wants int, reply func(has int)) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.gone {
		return
	}
	c.d.pool.book(c.holder, min(wants, maxWish), reply)
}

// maxWish bounds what a client may want: more than there will ever be.
const maxWish = 1 << 16

// Clear gives all slots back; uploads on them go on. It ends "use on all
// uploads". reply is called with whether there was a booking.
func (c *Client) Clear(reply func(had bool)) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.gone {
		return
	}
	had := c.holder.wants > 0
	c.settled = ""
	c.d.pool.book(c.holder, 0, func(int) { reply(had) })
}

// Close gives back what the client held. Its uploads of version 1 fail, since
// nobody could go on with them; those of version 2 stay in the database.
func (c *Client) Close(ctx context.Context) {
	d := c.d
	d.mu.Lock()
	c.gone = true
	d.pool.leave(c.holder)
	var failed []*upload
	for _, u := range d.uploadsOf(c) {
		switch u.stage {
		case running, waiting:
			if c.Version == packet.V1 {
				failed = append(failed, u)
			}
			d.drop(ctx, u)
		case opening, closing, concluding, ended:
			// whoever works on it sees that its client is gone
		}
	}
	d.mu.Unlock()
	for _, u := range failed {
		d.record(ctx, u.ID, meta.UploadFailed, "the client left")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.clients, c)
	d.left.Broadcast()
}

// uploadsOf gives the uploads in memory that report to c, oldest first.
func (d *Dispatcher) uploadsOf(c *Client) []*upload {
	var us []*upload
	for _, u := range d.uploads {
		if u.client == c {
			us = append(us, u)
		}
	}
	slices.SortFunc(us, func(a, b *upload) int { return int(a.seq) - int(b.seq) })
	return us
}

// record moves an upload on in the database, whatever has become of those who
// were concerned.
func (d *Dispatcher) record(ctx context.Context, id cloud.UploadID, state meta.UploadState, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := d.Store.SetUploadState(ctx, id, state, reason); err != nil {
		// It stays what it was, and expires some day.
		d.Log.WarnContext(ctx, "upload state not recorded", "upload", id, "err", fmt.Errorf("%s: %w", state, err))
	}
}
