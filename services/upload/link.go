package upload

import (
	"context"
	"reflect"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/services/worker"
)

// link is the side of a Service that a manager sees. Packets of one come one after
// the other.
type link Service

var _ worker.Handler = (*link)(nil)

// Handle does what the manager asks, and says yes or why not.
func (l *link) Handle(ctx context.Context, m packet.Message) {
	s := (*Service)(l)
	var err error
	switch p := m.Data.(type) {
	case packet.Configure:
		err = s.configure(m.Conn(), p)
	case packet.UploadOpen:
		err = s.open(m.Conn(), p)
	case packet.UploadClose:
		s.close(m.Conn(), cloud.UploadID(p.UploadID))
	default:
		err = cloud.UserErrorf(cloud.ErrInvalid, "no such request to an upload service")
	}
	answer := packet.Boolean{Success: err == nil}
	if err != nil {
		answer.Message = cloud.TextOf(err)
		s.log.WarnContext(ctx, "manager refused", "packet", m.ID, "err", err)
	}
	s.tellManagers()
	_ = m.Reply(answer) // a manager that is gone asks again when it is back
}

// Disconnected keeps the uploads of the connection for a while.
func (l *link) Disconnected(conn *packet.Conn) {
	s := (*Service)(l)
	for _, t := range s.all() {
		t.lost(conn, s.cfg.Now())
	}
	s.mu.Lock()
	delete(s.managers, conn)
	s.mu.Unlock()
	s.tellManagers()
}

// configure opens the store. The same configuration again keeps the one that
// is open, and what it has learned of limits.
func (s *Service) configure(conn *packet.Conn, p packet.Configure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	given := p
	if err := s.agree(conn, &p); err != nil {
		return err
	}
	if err := s.reconfigure(p); err != nil {
		return err
	}
	if s.managers[conn] == nil {
		s.managers[conn] = &terms{}
	}
	s.managers[conn].Configure = given
	return nil
}

// reconfigure makes p the configuration. s.mu is held.
func (s *Service) reconfigure(p packet.Configure) error {
	s.stall = s.cfg.Stall
	if p.StallSeconds != nil {
		s.stall = time.Duration(*p.StallSeconds) * time.Second
	}
	same := p
	same.StallSeconds = s.configured.StallSeconds
	same.AttachmentLimit = s.configured.AttachmentLimit // the store knows better by now
	same.RequestsPerSecond = s.configured.RequestsPerSecond
	if s.store != nil && reflect.DeepEqual(same, s.configured) {
		if a, ok := s.store.Store.(Adjuster); ok {
			a.Adjust(p)
			s.configured = p
			return nil
		}
		if p.AttachmentLimit <= s.configured.AttachmentLimit {
			return nil
		}
	}
	store, err := s.cfg.OpenStore(p)
	if err != nil {
		return err
	}
	s.store.retire() // parts under way finish with it
	s.store, s.configured = &lent{Store: store, log: s.log}, p
	return nil
}

// open takes an upload, or goes on with one that is here already.
func (s *Service) open(conn *packet.Conn, p packet.UploadOpen) error {
	t, err := newTransfer(p)
	if err != nil {
		return err
	}
	if part := t.largest(); part > chunk.MaxPlain || !s.budget.fits(part) {
		return cloud.UserErrorf(cloud.ErrTooLarge, "parts of %d bytes do not fit into the service's memory", part)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return cloud.UserErrorf(cloud.ErrUnavailable, "the service is not configured")
	}
	old := s.transfers[t.id]
	// What an earlier connection opened is kept for a while, but the manager
	// does not count on it any more.
	held := 0
	for _, other := range s.transfers {
		if other != old && other.isHeld() {
			held++
		}
	}
	if held >= s.cfg.Worker.Capacity {
		return cloud.UserErrorf(cloud.ErrUnavailable, "the service has %d uploads already", held)
	}
	if old != nil && old.same(t) {
		t = old
	}
	if err := t.open(conn, p, s.cfg.Now()); err != nil {
		return err
	}
	if old != nil && old != t {
		old.end(errClosed, s.cfg.Now())
	}
	s.transfers[t.id] = t
	s.log.Info("upload opened", "upload", t.id, "bytes", t.size)
	return nil
}

// close forgets an upload. One that is not here, or that another manager has opened
// meanwhile, is as good as closed.
func (s *Service) close(conn *packet.Conn, id cloud.UploadID) {
	if t, ok := s.find(id); ok && t.isOpenFor(conn) {
		t.end(errClosed, s.cfg.Now())
		s.log.Info("upload closed", "upload", id)
	}
}
