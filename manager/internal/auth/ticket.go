package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Purpose is what a ticket is for.
type Purpose string

// The purposes of tickets.
const (
	// Download opens one file or folder to read. It may be used again and again
	// for twelve hours after the first time, as ranges and media elements need.
	Download Purpose = "download"
	// Socket begins one connection, once.
	Socket Purpose = "socket"
)

// Ticket stands for a session where no header can be sent: in the address of a
// download or of a socket. Its text is worth little: it begins one thing, soon.
type Ticket struct {
	Text      string
	ExpiresAt time.Time // unless it is used before
}

const (
	ticketFirst  = time.Minute    // to the first use
	ticketAfter  = 12 * time.Hour // of a download, from the first use
	maxTickets   = 256            // of one session
	maxVisits    = 4096           // of one link
	purgeTickets = time.Minute
)

type ticket struct {
	purpose Purpose
	user    cloud.UserID
	session string
	entry   cloud.EntryID
	expires time.Time
	used    bool
}

// tickets are kept in memory, by the hash of their text, where there is one manager
// only. They do not outlive the process: whoever has a session gets another one.
// Several managers keep them in the database, since the one that gives a ticket may
// not be the one that is shown it.
type tickets struct {
	mu     sync.Mutex
	byHash map[[32]byte]*ticket
	purged time.Time
}

// IssueTicket makes a ticket for a signed-in user, or a download's for a visitor. Whether he may read the entry
// is for the caller to check, now and when the ticket comes back. ErrLimited if
// the session has too many.
func (s *Service) IssueTicket(who policy.Principal, purpose Purpose, entry cloud.EntryID) (Ticket, error) {
	if who.Role != policy.User && (who.Role != policy.Visitor || purpose != Download) || who.Session == "" {
		return Ticket{}, fmt.Errorf("issue ticket: %w", cloud.ErrDenied)
	}
	if purpose != Download && purpose != Socket {
		return Ticket{}, cloud.UserErrorf(cloud.ErrInvalid, "there are no tickets for that purpose")
	}
	now := s.now()
	t := Ticket{Text: newID(), ExpiresAt: now.Add(ticketFirst)}
	row := &ticket{purpose: purpose, user: who.User, session: who.Session, entry: entry, expires: t.ExpiresAt}

	if s.shared != nil {
		most := maxTickets
		if linkID(who.Session) != 0 {
			most = maxVisits
		}
		if err := s.shared.issue(t.Text, row, now, most); err != nil {
			if errors.Is(err, cloud.ErrLimited) {
				return Ticket{}, tooMany("downloads begun", ticketFirst)
			}
			return Ticket{}, err
		}
		return t, nil
	}
	s.tickets.purge(now)
	s.tickets.mu.Lock()
	defer s.tickets.mu.Unlock()
	if !s.tickets.room(who.Session) {
		return Ticket{}, tooMany("downloads begun", ticketFirst)
	}
	s.tickets.byHash[sha256.Sum256([]byte(t.Text))] = row
	return t, nil
}

// RedeemTicket tells whom a ticket stands for: for Socket the user himself, for
// Download a policy.TicketHolder who may read the one entry, or the policy.Visitor
// who got it, with that as his Entry. ErrUnauthenticated
// if there is no such ticket (any more) or its session has ended.
func (s *Service) RedeemTicket(ctx context.Context, text string, purpose Purpose) (policy.Principal, error) {
	use := func() (ticket, error) { return s.tickets.use(text, purpose, s.now()) }
	if s.shared != nil {
		use = func() (ticket, error) { return s.shared.use(ctx, text, purpose, s.now()) }
	}
	row, err := use()
	if err != nil {
		return policy.Principal{}, err
	}
	who, err := s.principal(ctx, row.user, row.session)
	if err != nil {
		return policy.Principal{}, err
	}
	if purpose == Download {
		if who.Role != policy.Visitor { // who stays one, for one entry
			who.Role = policy.TicketHolder
		}
		who.Entry = row.entry
		who.Administrator = false
	}
	return who, nil
}

func (t *tickets) use(text string, purpose Purpose, now time.Time) (ticket, error) {
	hash := sha256.Sum256([]byte(text))
	t.mu.Lock()
	defer t.mu.Unlock()
	row := t.byHash[hash]
	if row == nil || row.purpose != purpose || !now.Before(row.expires) {
		return ticket{}, fmt.Errorf("ticket: %w", cloud.ErrUnauthenticated)
	}
	switch {
	case purpose == Socket:
		delete(t.byHash, hash)
	case !row.used:
		row.used = true
		row.expires = now.Add(ticketAfter)
	}
	return *row, nil
}

func (t *tickets) purge(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.purged) < purgeTickets {
		return
	}
	t.purged = now
	for k, row := range t.byHash {
		if !now.Before(row.expires) {
			delete(t.byHash, k)
		}
	}
}

// room tells whether the session may have another ticket, and forgets its
// longest used one if that is what it takes.
func (t *tickets) room(session string) bool {
	n := 0
	var oldest [32]byte
	var at time.Time
	for k, row := range t.byHash {
		if row.session != session {
			continue
		}
		n++
		if row.used && (at.IsZero() || row.expires.Before(at)) {
			oldest, at = k, row.expires
		}
	}
	if n < maxTickets || linkID(session) != 0 && n < maxVisits {
		return true
	}
	if at.IsZero() {
		return false
	}
	delete(t.byHash, oldest)
	return true
}
