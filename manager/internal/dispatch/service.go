package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Link is the manager's end of a service's socket.
type Link interface {
	// Call sends a request and waits for its reply.
	Call(ctx context.Context, p packet.Packet) (packet.Packet, error)
	// Close ends the connection. It does not wait for that.
	Close(reason string)
}

// Service is one connection of a service. A service that connects again is
// another Service: what the first had been given, the second does not hold.
type Service struct {
	d     *Dispatcher
	link  Link
	id    string // random
	since time.Time
	ServiceOptions
	terms terms // guarded by d.shares.mu

	// Guarded by d.mu:
	gone        bool
	quarantined bool // it has lied, and is given nothing
	draining    bool // an administrator wants it to end what it has
	lacks       string
	// elsewhereNow is how many of its slots other managers use.
	elsewhereNow int
	maker        Maker
	work         work
}

// ServiceOptions are what a service says of itself, and what the hub knows.
type ServiceOptions struct {
	Role policy.Role
	// Address is where clients send parts, an URL or the path of a mount on this
	// manager; "" for others.
	Address string
	// Name is what a thumbnail service is known by; an upload service is by its
	// address. Whoever has the password may take any.
	Name     string
	Version  string // of its program, as it says, "" if it does not
	Peer     string // address that it came from
	Capacity int    // at least 1
}

// work is what a connection has done.
type work struct {
	parts, bytes int64 // stored, plain
	failures     int64 // uploads that it gave up, and parts that were refused
	failure      string
	failedAt     time.Time
}

// failed counts a failure. d.mu is held.
func (s *Service) failed(reason string) {
	s.work.failures++
	s.work.failure, s.work.failedAt = reason, s.d.Now()
}

// Lacks says what the service cannot do for want of programs, for people.
func (s *Service) Lacks(what string) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.lacks = what
}

// Elsewhere is a service's word on how many of its slots other managers use. It
// refuses what is more than its capacity, so that to believe it costs nothing but
// its own work.
func (s *Service) Elsewhere(n int64) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.gone || s.Role != policy.UploadService {
		return
	}
	d.lent = d.lent || n > 0
	d.pool.elsewhere(s, int(min(max(n, 0), int64(s.Capacity))))
}

// MaxCapacity is the most uploads that one service takes at once.
const MaxCapacity = 64

// NewService makes a service of a fresh connection. Nobody sees it before
// Configure, and Lost has to be called when it ends.
func (d *Dispatcher) NewService(link Link, o ServiceOptions) *Service {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attached++
	o.Capacity = min(max(o.Capacity, 1), MaxCapacity)
	if o.Role == policy.UploadService {
		o.Name = o.Address
	}
	return &Service{d: d, link: link, id: packet.NewUUID(), since: d.Now(), ServiceOptions: o}
}

// ID names the connection.
func (s *Service) ID() string { return s.id }

// Configure tells an upload service how to reach Discord, and makes it visible
// once it has accepted. The error says why it has not; the caller closes the
// connection then.
func (s *Service) Configure(ctx context.Context) error {
	d := s.d
	if s.Role == policy.UploadService {
		if err := d.enlist(ctx, s); err != nil {
			return err
		}
	}
	d.standing.Lock() // what is said of it from here on finds it among the services
	defer d.standing.Unlock()
	standing, err := d.standingOf(ctx, s.kind(), s.Name)
	if err != nil {
		return fmt.Errorf("configure service: %w", err)
	}
	if standing == meta.StandingRevoked {
		return fmt.Errorf("configure service: %w", errRevoked)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.gone {
		return fmt.Errorf("configure service: %w: it has left", cloud.ErrUnavailable)
	}
	s.draining = standing == meta.StandingDraining
	d.services = append(d.services, s)
	d.admit(ctx, s)
	d.Log.InfoContext(ctx, "service connected", "service", s.id, "type", s.kind(), "capacity", s.Capacity)
	return nil
}

// call asks the service for something, and takes anything but yes for an error.
func (s *Service) call(ctx context.Context, p packet.Packet) error {
	ctx, cancel := context.WithTimeout(ctx, s.d.Answer)
	defer cancel()
	answer, err := s.link.Call(ctx, p)
	if err != nil {
		return fmt.Errorf("%s: %w", p.PacketID(), err)
	}
	switch a := answer.(type) {
	case packet.Boolean:
		if a.Success {
			return nil
		}
		return fmt.Errorf("%s: %w", p.PacketID(), errRefused)
	default:
		return fmt.Errorf("%s: answered by %s", p.PacketID(), answer.PacketID())
	}
}

var errRefused = errors.New("the service refused")

// Lost tells that the connection has ended. Uploads on it are
// interrupted, and those who held its slots are told.
func (s *Service) Lost(ctx context.Context) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.gone {
		return
	}
	s.gone = true
	if s.Role == policy.UploadService {
		ctx := context.WithoutCancel(ctx)
		d.background.Go(func() { d.discharge(ctx, s) })
	}
	d.attached--
	d.left.Broadcast()
	i := slices.Index(d.services, s)
	if i < 0 {
		return // never configured
	}
	d.services = slices.Delete(d.services, i, i+1)
	for _, sl := range d.pool.remove(s) {
		if u := sl.upload; u != nil {
			u.slot = nil
			d.interrupt(ctx, u, "the upload service disconnected", true)
		}
	}
	if !s.quarantined {
		d.announce(s.registry(packet.RegistryRemoved))
	}
	d.Log.InfoContext(ctx, "service disconnected", "service", s.id, "type", s.kind())
}

// Info is a service as administrators and clients may see it.
type Info struct {
	ID       string // "" for one that is not connected
	Type     string
	Name     string // that it is known by
	Address  string // as the service gave it
	Version  string // as the service gave it
	Peer     string
	Busy     int // uploads on it, or thumbnails
	Capacity int
	// Quarantined tells that it has lied about what it stored, and is given nothing.
	Quarantined bool
	Lacks       string // what it cannot do, for people
	Standing    meta.Standing
	SetAt       time.Time // of the standing, zero for StandingOpen
	Since       time.Time // it is connected
	// Of this connection: parts that it stored, with their plain bytes, and what
	// failed on it, the last time for that reason.
	Parts, Bytes, Failures int64
	Failure                string
	FailedAt               time.Time
}

// Services lists the services that are connected and configured.
func (d *Dispatcher) Services() []Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	infos := make([]Info, 0, len(d.services))
	for _, s := range d.services {
		info := Info{
			ID: s.id, Type: s.kind(), Name: s.Name, Address: s.Address, Version: s.Version, Peer: s.Peer, Busy: d.busy(s), Capacity: s.Capacity,
			Quarantined: s.quarantined, Lacks: s.lacks, Standing: meta.StandingOpen, Since: s.since,
			Parts: s.work.parts, Bytes: s.work.bytes, Failures: s.work.failures, Failure: s.work.failure, FailedAt: s.work.failedAt,
		}
		if s.draining {
			info.Standing = meta.StandingDraining
		}
		if s.maker != nil {
			info.Busy = s.maker.Busy()
		}
		infos = append(infos, info)
	}
	return infos
}

func (d *Dispatcher) busy(s *Service) int {
	n := 0
	for _, sl := range d.pool.slots {
		if sl.service == s && sl.busy {
			n++
		}
	}
	return n
}

func (s *Service) kind() string { return kindOf(s.Role) }

func kindOf(role policy.Role) string {
	if role == policy.ThumbnailService {
		return packet.ServiceThumbnail
	}
	return packet.ServiceUpload
}

// registry is the news of s for clients; the address is filled in for each.
func (s *Service) registry(action string) packet.ServiceRegistry {
	p := packet.ServiceRegistry{ServiceType: s.kind(), Action: action, ServiceUUID: s.id}
	if s.Role == policy.UploadService && action != packet.RegistryRemoved {
		busy, capacity := s.d.busy(s) >= s.Capacity, int64(s.Capacity)
		p.Address, p.Busy, p.Capacity = s.Address, &busy, &capacity
	}
	return p
}

// announce tells every client of a service.
func (d *Dispatcher) announce(p packet.ServiceRegistry) {
	for c := range d.clients {
		if !c.gone {
			c.registry(p)
		}
	}
}

// shut closes an upload on its service and frees the slot. A service that does
// not confirm is closed: nobody knows what it is doing. d.mu is held.
func (d *Dispatcher) shut(ctx context.Context, sl *slot, id cloud.UploadID) {
	sl.upload = nil
	ctx = context.WithoutCancel(ctx)
	shut := make(chan struct{})
	d.shutting[id] = shut
	d.background.Go(func() {
		defer close(shut)
		err := sl.service.call(ctx, packet.UploadClose{UploadID: string(id)})
		if err != nil {
			d.Log.WarnContext(ctx, "upload not closed on its service", "service", sl.service.id, "upload", id, "err", err)
			sl.service.link.Close("an upload was not closed")
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.shutting[id] == shut {
			delete(d.shutting, id)
		}
		if err == nil {
			d.pool.free(sl)
		}
	})
}

// isShut waits until no service is being told to forget the upload.
func (d *Dispatcher) isShut(ctx context.Context, id cloud.UploadID) error {
	for {
		d.mu.Lock()
		shut := d.shutting[id]
		d.mu.Unlock()
		if shut == nil {
			return nil
		}
		select {
		case <-shut:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
