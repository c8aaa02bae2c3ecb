package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
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
// download or of a socket. Its text is worth little: it begins one thing, soon. The
// database keeps its sum, so that a download goes on by any manager, and after a
// restart.
type Ticket struct {
	Text      string
	ExpiresAt time.Time // unless it is used before
}

const (
	ticketFirst = time.Minute    // to the first use
	ticketAfter = 12 * time.Hour // of a download, from the first use
	maxTickets  = 256            // of one session
	maxVisits   = 4096           // of one link
)

// IssueTicket makes a ticket for a signed-in user, or a download's for a visitor. Whether he may read the entry
// is for the caller to check, now and when the ticket comes back. ErrLimited if
// the session has too many.
func (s *Service) IssueTicket(ctx context.Context, who policy.Principal, purpose Purpose, entry cloud.EntryID) (Ticket, error) {
	if who.Role != policy.User && (who.Role != policy.Visitor || purpose != Download) || who.Session == "" {
		return Ticket{}, fmt.Errorf("issue ticket: %w", cloud.ErrDenied)
	}
	if purpose != Download && purpose != Socket {
		return Ticket{}, cloud.UserErrorf(cloud.ErrInvalid, "there are no tickets for that purpose")
	}
	most := maxTickets
	if linkID(who.Session) != 0 {
		most = maxVisits
	}
	now := s.now()
	t := Ticket{Text: newID(), ExpiresAt: now.Add(ticketFirst)}
	err := s.store.AddTicket(ctx, meta.Ticket{
		Sum: sha256.Sum256([]byte(t.Text)), Purpose: string(purpose), User: who.User, Session: who.Session, Entry: entry, ExpiresAt: t.ExpiresAt,
	}, now, most)
	if errors.Is(err, cloud.ErrLimited) {
		return Ticket{}, tooMany("downloads begun", ticketFirst)
	}
	if err != nil {
		return Ticket{}, err
	}
	return t, nil
}

// RedeemTicket tells whom a ticket stands for: for Socket the user himself, for
// Download a policy.TicketHolder who may read the one entry, or the policy.Visitor
// who got it, with that as his Entry. ErrUnauthenticated
// if there is no such ticket (any more) or its session has ended.
func (s *Service) RedeemTicket(ctx context.Context, text string, purpose Purpose) (policy.Principal, error) {
	now := s.now()
	row, err := s.store.UseTicket(ctx, sha256.Sum256([]byte(text)), string(purpose), now, purpose == Socket, now.Add(ticketAfter))
	if errors.Is(err, cloud.ErrNotFound) {
		return policy.Principal{}, fmt.Errorf("ticket: %w", cloud.ErrUnauthenticated)
	}
	if err != nil {
		return policy.Principal{}, fmt.Errorf("ticket: %w", err)
	}
	who, err := s.principal(ctx, row.User, row.Session)
	if err != nil {
		return policy.Principal{}, err
	}
	if purpose == Download {
		if who.Role != policy.Visitor { // who stays one, for one entry
			who.Role = policy.TicketHolder
		}
		who.Entry = row.Entry
		who.Administrator = false
	}
	return who, nil
}
