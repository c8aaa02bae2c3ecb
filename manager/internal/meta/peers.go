package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// Lease is the right to do what only one manager does at a time. It is held until
// its manager gives it back or is taken for dead. The epoch goes up with each
// holder, so that one who comes back late is known for what he is.
type Lease struct {
	Name    string
	Manager string
	Epoch   int64
}

type leaseKey struct{}

// UnderLease says under which lease changes are made. Once another manager has
// it, each change is ErrUnavailable and has not been made.
func UnderLease(ctx context.Context, l Lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// LeaseOf is the lease given to UnderLease.
func LeaseOf(ctx context.Context) (Lease, bool) {
	l, ok := ctx.Value(leaseKey{}).(Lease)
	return l, ok
}

// News is what one manager tells the others.
type News struct {
	ID      int64 // from 1, without gaps
	Manager string
	Payload string
}

// Peers is what managers that share a database know of each other. Whether one
// lives is told by a number that goes up, not by clocks: those may be wrong.
type Peers interface {
	// Sole tells that the database never has more than one manager.
	Sole() bool
	// JoinManagers adds a manager, or adds it again. ErrInvalid, with a text, if
	// another one is there that has other keys.
	JoinManagers(ctx context.Context, id, keys string) error
	// Managers gives the beats of all managers.
	Managers(ctx context.Context) (map[string]int64, error)
	// Beat shows that a manager lives, and gives the beats of all.
	// ErrNotFound if it was taken for dead.
	Beat(ctx context.Context, id string) (map[string]int64, error)
	// RemoveManager forgets a manager: its leases are free, and uploads that it
	// worked on are nobody's. It does nothing, and says so, if the manager has
	// beaten since; beat is -1 for one that leaves by itself.
	RemoveManager(ctx context.Context, id string, beat int64) (bool, error)
	// TakeLease gives a lease to a manager that has joined. ErrExists if another
	// one holds it.
	TakeLease(ctx context.Context, name, manager string) (Lease, error)

	// AddNews tells the other managers something, in this order. It wakes those
	// who Listen.
	AddNews(ctx context.Context, manager string, payloads []string) error
	// NewsAfter gives news from the one after the id, oldest first.
	NewsAfter(ctx context.Context, id int64, most int) ([]News, error)
	// LastNews is the id of the latest, also if it is forgotten by now; 0 for none.
	LastNews(ctx context.Context) (int64, error)
	ForgetNews(ctx context.Context, before time.Time) error
	// Listen calls heard once it listens, and whenever there may be news, until ctx
	// ends or the connection does. It may miss some. errors.ErrUnsupported where
	// nothing can be listened to.
	Listen(ctx context.Context, heard func()) error
}

// Attempts bounds how often something is tried, such as passwords.
type Attempts struct {
	Name string // at most 64 bytes, what it is counted for
	// Burst of them are free; each further one has to wait, first for Base, then
	// twice as long each time, up to Most. The count is forgotten once nothing was
	// tried for its whole wait and Base more.
	Burst      int
	Base, Most time.Duration
}

// Guesses counts attempts.
type Guesses interface {
	// TakeAttempts counts one attempt of each, or of none: then it gives how long
	// to wait, and the first that has to.
	TakeAttempts(ctx context.Context, now time.Time, all ...Attempts) (wait time.Duration, index int, err error)
	// GiveBackAttempts takes one attempt of each back that turned out to be none.
	GiveBackAttempts(ctx context.Context, all ...Attempts) error
	// ClearAttempts forgets those.
	ClearAttempts(ctx context.Context, names ...string) error
	// MarkAttempt remembers a name until a time, and Marked tells whether it does.
	MarkAttempt(ctx context.Context, name string, until time.Time) error
	Marked(ctx context.Context, name string, now time.Time) (bool, error)
	// ExpireAttempts removes what counts no more.
	ExpireAttempts(ctx context.Context, now time.Time) error
}

// Ticket stands for a session where no header can be sent.
type Ticket struct {
	Sum       cloud.Sum // of its text
	Purpose   string
	User      cloud.UserID
	Session   string
	Entry     cloud.EntryID
	ExpiresAt time.Time
	Used      bool
}

// Tickets keeps tickets.
type Tickets interface {
	// AddTicket adds one. If its session has most of them, the used one that ends
	// first goes; ErrLimited if none was used.
	AddTicket(ctx context.Context, t Ticket, now time.Time, most int) error
	// UseTicket gives a ticket that has not expired, ErrNotFound otherwise. once
	// removes it; its first use otherwise makes it end at after.
	UseTicket(ctx context.Context, sum cloud.Sum, purpose string, now time.Time, once bool, after time.Time) (Ticket, error)
	// ExpireTickets removes those that have expired.
	ExpireTickets(ctx context.Context, now time.Time) error
}
