// Package dispatch shares the connected upload services among clients and
// takes uploads from the request to the entry in the tree: which service takes
// the bytes, what it has stored, what happens if the name is taken, and how an
// interrupted upload goes on. It knows connections only as what they can be
// sent; sockets, and what else clients ask for, are package hub.
//
// # Order
//
// A client is told what happens to an upload in the order of the protocol: the
// response, the end of the stage, then a question or the outcome. Everything
// that is sent about bookings and uploads is therefore queued under one lock,
// replies included; nothing that waits (database, services) runs under it.
//
// A part counts only when it is recorded, and it is recorded although its
// client or the service may have gone by then: what lies in Discord and is in
// no table would be garbage. An upload is in memory while a service or a client
// works on it; the database alone decides what it has become.
//
// # Why
//
// One service takes as many uploads as it has slots, and clients hold slots,
// not services: version 1's "one upload per service" is a service of one slot.
// A slot whose client lowers its wish or leaves goes to the others when its
// upload has ended, never before. Requests that come before a slot is free are
// held for some seconds, since clients of version 1 ask for the next upload a
// moment too early and lose the file on a rejection.
package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/peers"
	"discordcloud/pkg/blob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// ServiceConfig is what upload services are told when they connect.
type ServiceConfig struct {
	Token    packet.Secret // of the bot
	Channels []string      // that they post to; a chunk anywhere else is refused
	APIURL   string        // "" is Discord's own
	CDNHosts []string      // nil are Discord's own
	// AttachmentLimit gives the largest attachment at the moment, in bytes.
	AttachmentLimit func() int64
	// LimitFell is told, in bytes, when a service elsewhere has found the limit to be
	// less. AttachmentLimit follows. Nil if that is of no interest.
	LimitFell func(int64)
	// PerSecond is how many requests a second a token may make; SetPerSecond is
	// told how many of them this process may, nil if it does not care.
	PerSecond    int
	SetPerSecond func(int)
}

// Options are what a Dispatcher stands on. Zero durations have the defaults
// given.
type Options struct {
	Store   meta.Store
	Ring    crypt.Ring
	Blobs   blob.Store // for the chunk of an empty file, which no service stores
	Bus     *event.Bus // is told of finished uploads
	Audit   *audit.Log // nil writes nothing down
	Service ServiceConfig
	Peers   Peers // nil without other managers on the database
	Log     *slog.Logger
	Now     func() time.Time // nil is time.Now

	Stall     time.Duration // a service gives up an upload without progress: 2 min
	SlotWait  time.Duration // a request waits for a free slot: 8 s
	Answer    time.Duration // a service has time to answer: 10 s
	Idle      time.Duration // an upload without progress is aborted: 24 h
	History   time.Duration // the outcome of an upload is remembered: 7 days
	Expiry    time.Duration // between two looks for idle uploads: 10 min
	PutWait   time.Duration // a Put waits for a free slot: 2 min
	Questions int           // open conflicts of one client: 512
	Requests  int           // upload requests of one client that wait: 128

	// SelfURL is where this process reaches what is mounted on its own port, for
	// Put; without a slash at its end.
	SelfURL string
	// HTTP sends the parts of a Put to services; nil is a client of its own.
	HTTP *http.Client
}

// Dispatcher shares services among clients. Make it with New; its methods are
// safe for concurrent use.
type Dispatcher struct {
	Options
	background sync.WaitGroup      // what goes on after the packet that began it
	small      *semaphore.Weighted // files of Put in memory

	shares shares // of what a token may do

	// standing is held while what was said about services is read and applied;
	// before mu.
	standing sync.Mutex

	mu       sync.Mutex
	left     sync.Cond // a client or a service has left
	attached int       // services, configured or not
	pool     pool
	clients  map[*Client]struct{}
	services []*Service          // that have been configured, oldest first
	lent     bool                // a service has said that other managers use its slots
	liars    map[string]struct{} // addresses of services in quarantine
	uploads  map[cloud.UploadID]*upload
	// shutting holds what a service is being told to forget, closed when it has:
	// until then the upload cannot be opened again, or the service would close
	// what it has just opened.
	shutting   map[cloud.UploadID]chan struct{}
	joined     uint64 // counts clients and uploads, for their order
	refused    int64  // parts that were not taken, for Debug
	interrupts int64  // uploads that lost their service, for Debug
	unhear     func() // ends the subscription to the bus
	here       string // names this process in what it begins, also where there are never others
}

// New makes a Dispatcher. Run has to run beside it.
func New(o Options) *Dispatcher {
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&o.Stall, 2 * time.Minute}, {&o.SlotWait, 8 * time.Second}, {&o.Answer, 10 * time.Second},
		{&o.PutWait, 2 * time.Minute}, {&o.Idle, 24 * time.Hour}, {&o.History, 7 * 24 * time.Hour}, {&o.Expiry, 10 * time.Minute},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if o.Questions == 0 {
		o.Questions = 512
	}
	if o.Requests == 0 {
		o.Requests = 128
	}
	if o.HTTP == nil {
		o.HTTP = newPartClient()
	}
	d := &Dispatcher{
		Options: o, here: rand.Text(),
		small:   semaphore.NewWeighted(smallFiles),
		clients: map[*Client]struct{}{}, liars: map[string]struct{}{},
		uploads: map[cloud.UploadID]*upload{}, shutting: map[cloud.UploadID]chan struct{}{},
	}
	d.left.L = &d.mu
	d.unhear = func() {}
	if d.self() != "" {
		d.unhear, d.here = o.Bus.Subscribe(d.hear), d.self()
	}
	return d
}

// Run aborts idle uploads until ctx ends, then waits until all clients and
// services have left, and what they had begun has ended. Whoever serves them has
// to let them go.
func (d *Dispatcher) Run(ctx context.Context) error {
	defer d.drain()
	defer d.unhear()
	for {
		next, err := d.Expiry, error(nil)
		if d.Peers == nil {
			err = d.expire(ctx)
		} else if err = d.Peers.Lead(ctx, "uploads", d.expire); errors.Is(err, peers.ErrElsewhere) {
			next, err = min(next, peers.Again), nil
		}
		if err != nil && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "idle uploads not looked for", "err", err)
		}
		tick := time.NewTimer(next)
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
		}
	}
}

// drain waits until nothing goes on any more.
func (d *Dispatcher) drain() {
	d.mu.Lock()
	for len(d.clients)+d.attached > 0 {
		d.left.Wait()
	}
	d.mu.Unlock()
	d.background.Wait()
}

// expire aborts uploads that nobody has gone on with.
func (d *Dispatcher) expire(ctx context.Context) error {
	now := d.Now()
	aborted, err := d.Store.ExpireUploads(ctx, now.Add(-d.Idle), now.Add(-d.History), d.here)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, row := range aborted {
		d.Log.InfoContext(ctx, "upload expired", "upload", row.ID)
		switch u := d.uploads[row.ID]; {
		case u == nil:
		case u.stage == opening:
			d.drop(ctx, u) // its client has not been told of it yet, and is refused
		default:
			d.end(ctx, u, packet.UploadFinishInfo{Reason: "nobody has gone on with the upload"})
		}
	}
	return nil
}

// partSize is the size of parts under the attachment limit in force.
func (d *Dispatcher) partSize() int64 { return chunk.PlainMax(d.Service.AttachmentLimit()) }

// Debug is the state of the dispatcher for administrators.
func (d *Dispatcher) Debug() any {
	d.mu.Lock()
	defer d.mu.Unlock()
	busy := 0
	for _, s := range d.pool.slots {
		if s.busy {
			busy++
		}
	}
	return map[string]any{
		"clients": len(d.clients), "services": len(d.services),
		"slots": len(d.pool.slots), "slots_busy": busy, "requests_waiting": len(d.pool.waiting),
		"uploads": len(d.uploads), "parts_refused": d.refused, "uploads_interrupted": d.interrupts,
	}
}
