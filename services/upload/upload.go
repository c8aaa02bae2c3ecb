// Package upload is the upload service: it takes the parts of files from
// clients over HTTP, seals each under the key of its object, posts it to the
// store and reports it to the manager. Which uploads there are, who may make
// them and what becomes of a complete one is the manager's business; keeping
// the connection to it is package worker's.
//
// # A part
//
// A part is read once, into a buffer of a bounded budget, and hashed on the
// way. Sealing happens while the store reads, from that buffer. The client is
// told that the part is stored after the manager has recorded where it lies,
// not before. Clients may send parts in any order, several at once, and again:
// the first to arrive whole wins, the same bytes get the same answer, others a
// conflict.
//
// What is stored but could not be reported stays where it is. It may have been
// recorded although no answer came, so only the manager, which knows what
// refers to it, may delete it.
//
// # Memory
//
// Whoever finds no buffer waits, without its body being read: TCP slows the
// client down. The budget does not grow with the size of files, with their
// number or with clients.
package upload

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/services/worker"
)

// Store is where chunks go.
type Store interface {
	blob.Store
	// Limit is the size of the largest blob that Put takes at the moment, in
	// bytes.
	Limit() int64
}

// Config is what a Service stands on. The zero value of each but Worker is its
// default.
type Config struct {
	// Worker says where the manager is. Its Type and Handlers are set by New; its
	// Capacity is the number of uploads at once, 4 by default.
	Worker worker.Config
	// Managers are the addresses of several managers on one database, instead of
	// the Worker's. They share the capacity.
	Managers []string
	// OpenStore makes the store that the manager's configuration describes. An
	// error refuses the configuration; the text of a cloud.UserError is told to
	// the manager. A store that is an io.Closer is closed when another one has
	// taken its place, or Run has ended, and no part uses it any more; who hands
	// out a store that lives on wraps it. By default the store is Discord.
	OpenStore func(packet.Configure) (Store, error)
	// Memory bounds the buffers for parts, in bytes: 48 MiB.
	Memory int64
	// Stall is how long an upload may make no progress while no bytes of it are
	// in transit: 120 s, or what the manager says.
	Stall time.Duration
	// Block is how long a client may take for the next 4 KiB of a part: 30 s.
	Block time.Duration
	// Queue is how long a part may wait for a buffer: 2 min.
	Queue time.Duration
	// Reconnect is how long a part waits for the manager if that is gone: 20 s.
	Reconnect time.Duration
	// Grace is how long uploads are kept without the manager: 60 s.
	Grace time.Duration
	// Linger is how long repeats of an upload's last parts are answered after its
	// end, in case the answers were lost: 2 min.
	Linger time.Duration

	Log *slog.Logger     // nil for none
	Now func() time.Time // time.Now
}

// Service is an upload service. Make it with New; its methods are safe for
// concurrent use.
type Service struct {
	cfg      Config
	log      *slog.Logger
	budget   *budget
	requests requests

	mu         sync.Mutex
	store      *lent            // nil until configured
	configured packet.Configure // what store was made from
	managers   map[*packet.Conn]*terms
	stall      time.Duration
	transfers  map[cloud.UploadID]*transfer
}

// New makes a Service. It does nothing until Run is called.
func New(cfg Config) *Service {
	cfg.Worker.Type = packet.ServiceUpload
	cfg.Worker.Handlers = 1 // an upload is closed after it was opened
	cfg.Worker.Capacity = cmp.Or(cfg.Worker.Capacity, 4)
	cfg.Memory = cmp.Or(cfg.Memory, 48<<20)
	cfg.Stall = cmp.Or(cfg.Stall, 2*time.Minute)
	cfg.Block = cmp.Or(cfg.Block, 30*time.Second)
	cfg.Queue = cmp.Or(cfg.Queue, 2*time.Minute)
	cfg.Reconnect = cmp.Or(cfg.Reconnect, 20*time.Second)
	cfg.Grace = cmp.Or(cfg.Grace, time.Minute)
	cfg.Linger = cmp.Or(cfg.Linger, 2*time.Minute)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Worker.Log = cmp.Or(cfg.Worker.Log, cfg.Log)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OpenStore == nil {
		cfg.OpenStore = openDiscord(cfg.Log)
	}
	return &Service{
		cfg: cfg, log: cfg.Log, stall: cfg.Stall,
		budget:    newBudget(cfg.Memory, cfg.Queue),
		requests:  newRequests(),
		transfers: map[cloud.UploadID]*transfer{},
		managers:  map[*packet.Conn]*terms{},
	}
}

// Run keeps the service connected to its manager until ctx ends, and returns
// its cause. Uploads end with it: requests that are under way answer that the
// service is shutting down.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var sweeper sync.WaitGroup
	sweeper.Go(func() { s.sweep(ctx) })
	managers := s.cfg.Managers
	if len(managers) == 0 {
		managers = []string{s.cfg.Worker.ManagerURL}
	}
	err := worker.RunAll(ctx, s.cfg.Worker, managers, func(string) worker.Handler { return (*link)(s) })
	cancel()
	sweeper.Wait()
	for _, t := range s.all() {
		t.end(errShutdown, s.cfg.Now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.retire()
	s.store, s.configured = nil, packet.Configure{}
	return err
}

var (
	errShutdown = cloud.UserErrorf(cloud.ErrShutdown, "the service is shutting down")
	errClosed   = cloud.UserErrorf(cloud.ErrNotFound, "the upload has ended")
	errStalled  = cloud.UserErrorf(cloud.ErrNotFound, "the upload was given up: it made no progress")
	errOrphaned = cloud.UserErrorf(cloud.ErrNotFound, "the upload was given up: the manager is gone")
)

func (s *Service) all() []*transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*transfer, 0, len(s.transfers))
	for _, t := range s.transfers {
		all = append(all, t)
	}
	return all
}

// find gives the transfer of an upload, also one that has ended lately.
func (s *Service) find(id cloud.UploadID) (*transfer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.transfers[id]
	return t, ok
}

// largest is the size of the largest part that an open upload has, 0 if there
// is none.
func (s *Service) largest() int64 {
	var n int64
	for _, t := range s.all() {
		if t.isOpen() {
			n = max(n, t.largest())
		}
	}
	return n
}

// lingerMost is the number of transfers, beside which ended ones are not kept.
const lingerMost = 1024

// sweep gives up transfers on which nothing happens.
func (s *Service) sweep(ctx context.Context) {
	for {
		s.mu.Lock()
		stalled := s.stall
		s.mu.Unlock()
		shortest := min(stalled, s.cfg.Grace, s.cfg.Linger)
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(5*time.Millisecond, min(shortest/8, time.Second))):
		}
		s.tellManagers()
		busy := false
		all, linger := s.all(), s.cfg.Linger
		if len(all) > lingerMost {
			linger = 0
		}
		for _, t := range all {
			now := s.cfg.Now()
			switch verdict, conn := t.judge(now, stalled, s.cfg.Grace, linger); verdict {
			case keep:
				busy = busy || t.isOpen()
			case stall:
				s.log.WarnContext(ctx, "upload given up: no progress", "upload", t.id)
				t.end(errStalled, now)
				// If the connection is gone, the manager knows by that.
				_ = conn.Send(packet.UploadFailed{UploadID: string(t.id), Reason: "no progress on the upload"})
			case drop:
				s.log.WarnContext(ctx, "upload given up: the manager is gone", "upload", t.id)
				t.end(errOrphaned, now)
			case forget:
				s.mu.Lock()
				if s.transfers[t.id] == t && !t.isOpen() {
					delete(s.transfers, t.id)
				}
				s.mu.Unlock()
			}
		}
		if !busy {
			s.budget.trim()
		}
	}
}
