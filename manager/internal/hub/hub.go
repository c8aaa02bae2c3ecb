// Package hub is the manager's end of every WebSocket: it lets clients and
// services in, answers the packets of clients, and tells them what changes in
// the tree. Bookings and uploads are package dispatch; the tree and its
// permissions are package vfs; what a packet looks like is package packet.
//
// Clients of version 1 are served as the protocol of old has it: they see
// stand-ins for names that they cannot bear, are not told of what lies too deep
// for them, and always get a reply. Nobody is told of an entry that he may not
// see.
//
// # Why
//
// Packets of one client are taken in the order of their coming, and most are
// then handled beside each other; what changes a booking or takes a place in the
// queue for one is done before the next packet is looked at. News go through one
// goroutine, since they need the database, and from there into queues that never
// block: a client that does not read loses its connection and holds up nobody.
package hub

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Options are what a Hub stands on. Zero numbers and durations have the
// defaults given.
type Options struct {
	Auth     *auth.Service
	FS       *vfs.FS
	Dispatch *dispatch.Dispatcher
	Bus      *event.Bus
	Audit    *audit.Log // nil writes nothing down
	Log      *slog.Logger
	// Thumbs gives thumbnail services work; nil has none for them.
	Thumbs *thumbs.Thumbs

	// ServicePassword lets services in; none are let in without one.
	ServicePassword string
	// Mounts are the paths on this manager's port that services in this process
	// may have as their address.
	Mounts []string
	// PublicURL is how clients reach the manager, "" for as they did.
	PublicURL string
	// PageOrigins are origins beside the manager's own whose pages may connect.
	PageOrigins []string
	// TrustedProxies, as addresses or prefixes ("10.0.0.0/8"), may say on whose
	// behalf they ask (X-Forwarded-*).
	TrustedProxies []string
	// LegacyQueryAuth lets clients of version 1 in, whose token is in the query.
	LegacyQueryAuth bool

	MaxSockets           int           // 4096 in all
	MaxSocketsPerUser    int           // 16
	MaxSocketsPerAddress int           // 256; loopback, where proxies are, counts as no address
	MaxRefusals          int           // of services from an address in a minute: 30
	CheckSessions        time.Duration // between two looks at whether sessions still run: 1 min
	// Packets configures connections beyond what the hub sets itself.
	Packets packet.Options
}

// Hub serves sockets. Make it with New; it is an http.Handler for upgrades.
type Hub struct {
	Options
	password [32]byte // SHA-256 of the service password
	proxies  []netip.Prefix
	news     *news
	cancel   func() // of the subscription

	running  sync.WaitGroup // connections
	refusals refusals

	mu       sync.Mutex
	places   map[*client]struct{} // of clients that are let in
	clients  map[*client]struct{} // of those, connected
	services map[*packet.Conn]struct{}
	closed   bool
}

// New makes a Hub, which from now on remembers what changes. Run has to be
// called, and ends that. A proxy that is no address is logged, and not trusted.
func New(o Options) *Hub {
	def := func(n *int, standard int) {
		if *n == 0 {
			*n = standard
		}
	}
	def(&o.MaxSockets, 4096)
	def(&o.MaxSocketsPerUser, 16)
	def(&o.MaxSocketsPerAddress, 256)
	def(&o.MaxRefusals, 30)
	if o.CheckSessions == 0 {
		o.CheckSessions = time.Minute
	}
	h := &Hub{
		Options: o, password: sha256.Sum256([]byte(o.ServicePassword)), news: newNews(),
		refusals: refusals{max: o.MaxRefusals, by: map[netip.Addr]int{}},
		places:   map[*client]struct{}{},
		clients:  map[*client]struct{}{}, services: map[*packet.Conn]struct{}{},
	}
	for _, text := range o.TrustedProxies {
		prefix, err := parseProxy(text)
		if err != nil {
			o.Log.Error("not a proxy's address", "proxy", text, "err", err)
			continue
		}
		h.proxies = append(h.proxies, prefix)
	}
	h.cancel = o.Bus.Subscribe(h.hear)
	return h
}

// hear takes what the bus tells. It does not block.
func (h *Hub) hear(v any) {
	switch v := v.(type) {
	case *event.Change:
		h.news.add(*v)
	case *event.Session:
		h.signOut(*v)
	}
}

// Run tells clients what changes and looks after their sessions until ctx ends.
// Then it closes all connections, and returns when what they had begun has ended
// too.
func (h *Hub) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() { h.tellNews(ctx) })
	work.Go(func() { h.watchSessions(ctx) })
	<-ctx.Done()
	h.cancel()
	h.close()
	h.running.Wait()
	work.Wait()
	return nil
}

// close ends all connections and lets no more in.
func (h *Hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.clients {
		c.conn.Close(closeGoing, errStopping.Error())
	}
	for c := range h.services {
		c.Close(closeGoing, errStopping.Error())
	}
}

// Close codes (RFC 6455 §7.4.1, and its registry).
const (
	closeNormal   = 1000
	closeGoing    = 1001 // the manager stops
	closeRefused  = 1008
	closeInternal = 1011
)

// survive ends one connection, and nothing else, for a fault of ours.
func (h *Hub) survive(conn *packet.Conn, m packet.Message) {
	if fault := recover(); fault != nil {
		h.Log.Error("panic over a packet", "packet", m.ID, "err", fault, "stack", string(debug.Stack()))
		conn.Close(closeInternal, "internal error")
	}
}

// signOut ends the connections of sessions that have ended.
func (h *Hub) signOut(s event.Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		if c.who.User != s.User || !names(s, c.who.Session) {
			continue
		}
		c.signOut(s.Reason)
	}
}

// names tells whether s is about the session.
func names(s event.Session, id string) bool {
	if len(s.IDs) == 0 {
		return true
	}
	for _, ended := range s.IDs {
		if ended == id {
			return true
		}
	}
	return false
}

// watchSessions signs out clients whose session ends without a word: by age, or
// in another process on the same database.
func (h *Hub) watchSessions(ctx context.Context) {
	tick := time.NewTicker(h.CheckSessions)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.refusals.forget()
		for _, c := range h.connected() {
			if err := h.Auth.Alive(ctx, c.who); errors.Is(err, cloud.ErrUnauthenticated) {
				c.signOut("the session has ended")
			}
		}
	}
}

// connected gives the clients that are connected now.
func (h *Hub) connected() []*client {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*client, 0, len(h.clients))
	for c := range h.clients {
		all = append(all, c)
	}
	return all
}

// Debug is the state of the hub for administrators.
func (h *Hub) Debug() any {
	h.mu.Lock()
	defer h.mu.Unlock()
	var total packet.Stats
	total.Dropped = map[packet.Reason]int64{}
	versions := map[packet.Version]int{}
	for c := range h.clients {
		s := c.conn.Stats()
		versions[c.version]++
		total.Sent += s.Sent
		total.Received += s.Received
		for reason, n := range s.Dropped {
			total.Dropped[reason] += n
		}
	}
	return map[string]any{
		"clients_v1": versions[packet.V1], "clients_v2": versions[packet.V2], "services": len(h.services),
		"packets_sent": total.Sent, "packets_received": total.Received, "packets_dropped": total.Dropped,
		"news_waiting": h.news.len(), "news_lost": h.news.lostSoFar(),
	}
}

// admit keeps a place for a client, or says why there is none.
func (h *Hub) admit(c *client) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errStopping
	}
	user, address := 0, 0
	for other := range h.places {
		if other.who.User == c.who.User {
			user++
		}
		if other.peer == c.peer {
			address++
		}
	}
	switch {
	case len(h.places) >= h.MaxSockets:
		return cloud.UserErrorf(cloud.ErrLimited, "too many connections")
	case user >= h.MaxSocketsPerUser:
		return cloud.UserErrorf(cloud.ErrLimited, "too many connections of one user")
	case c.peer.IsValid() && !c.peer.IsLoopback() && address >= h.MaxSocketsPerAddress:
		return cloud.UserErrorf(cloud.ErrLimited, "too many connections from one address")
	}
	h.places[c] = struct{}{}
	h.running.Add(1)
	return nil
}

var errStopping = cloud.UserErrorf(cloud.ErrShutdown, "the manager is stopping")

// join makes a client that has a place one that is told of news.
func (h *Hub) join(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[c] = struct{}{}
	if h.closed {
		c.conn.Close(closeGoing, errStopping.Error())
	}
}

func (h *Hub) dismiss(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
	delete(h.places, c)
	h.running.Done()
}
