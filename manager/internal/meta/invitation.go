package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// Invitation lets whoever has its text make an account.
type Invitation struct {
	ID      int64
	Name    string // by which administrators know it
	Address string // where it was sent, "" if nowhere; then the account gets it as its own
	MadeBy  string // name of who made it

	// What the account gets.
	MostBytes, MostFiles int64 // 0 for no bound; both 0 for those of everybody
	Groups               []cloud.GroupID

	Uses      int64 // accounts that were made
	MostUses  int64 // 0 for no bound
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Invitations keeps invitations until they are deleted or have expired.
type Invitations interface {
	// CreateInvitation adds one and gives it with its id. ErrNotFound for a group
	// that does not exist.
	CreateInvitation(ctx context.Context, i Invitation, sum cloud.Sum) (Invitation, error)
	// InvitationOf finds one by the sum of its text. ErrNotFound otherwise; whether
	// it has expired or is used up is for the caller to see.
	InvitationOf(ctx context.Context, sum cloud.Sum) (Invitation, error)
	// Invitations lists them, the newest first.
	Invitations(ctx context.Context) ([]Invitation, error)
	DeleteInvitation(ctx context.Context, id int64) error
	// AcceptInvitation makes an account by one use, in one transaction: of two for
	// the last use, one gets it. ErrNotFound if the invitation does not exist, has
	// expired or is used up, ErrExists if the name is taken, which takes no use.
	AcceptInvitation(ctx context.Context, sum cloud.Sum, at time.Time, name, password string) (cloud.User, Invitation, error)
}

// Purpose is what a single link is for.
type Purpose string

// The purposes of single links.
const (
	ForPassword Purpose = "password" // set a new one
	ForAddress  Purpose = "address"  // confirm it
)

// SingleLink does one thing once for one user.
type SingleLink struct {
	User      cloud.UserID
	Purpose   Purpose
	Address   string // to confirm
	ExpiresAt time.Time
}

// Reach is how to reach users who cannot sign in: their addresses, and links that
// work once. A new password ends all links of its user.
type Reach interface {
	// Address is the user's, "" if he has none.
	Address(ctx context.Context, user cloud.UserID) (string, error)
	// UserOf finds who has an address or, without "@" in it, a name, with his
	// address, "" if he has none. ErrNotFound for nobody, and for the disabled.
	UserOf(ctx context.Context, nameOrAddress string) (cloud.User, string, error)
	// RemoveAddress takes the user's address away, and links to confirm another.
	RemoveAddress(ctx context.Context, user cloud.UserID) error

	// CreateSingleLink adds a link, in the place of all others of its user for the
	// same purpose.
	CreateSingleLink(ctx context.Context, l SingleLink, sum cloud.Sum) error
	// SingleLinkOf finds a link that has not expired by the sum of its text, with
	// its user. ErrNotFound otherwise, also for a disabled user.
	SingleLinkOf(ctx context.Context, sum cloud.Sum, purpose Purpose, at time.Time) (SingleLink, cloud.User, error)
	// UsePasswordLink sets a password as SetPassword does, by a link that ends with
	// it: of two at once, one does. ErrNotFound as SingleLinkOf.
	UsePasswordLink(ctx context.Context, sum cloud.Sum, at time.Time, password string) (cloud.User, error)
	// UseAddressLink makes the link's address the user's. ErrNotFound as
	// SingleLinkOf, ErrExists if somebody has it.
	UseAddressLink(ctx context.Context, sum cloud.Sum, at time.Time) (cloud.User, error)
	// ExpireReach removes links and invitations that expired before now.
	ExpireReach(ctx context.Context, now time.Time) error
}

// Identity is who a user is to a provider of sign-ins.
type Identity struct {
	Issuer  string // address of the provider
	Subject string // its unchanging name of the user
	User    cloud.UserID
	Name    string // by which a person knows it

	CreatedAt time.Time
}

// Identities keeps who users are elsewhere. They go with their user.
type Identities interface {
	// UserOfIdentity finds the user. ErrNotFound for none.
	UserOfIdentity(ctx context.Context, issuer, subject string) (cloud.User, error)
	// AddIdentity links one to its user. ErrExists if it is anybody's.
	AddIdentity(ctx context.Context, i Identity) error
	// CreateUserOf makes an account with its identity, and with an address where
	// that is given and nobody's yet, in one transaction. ErrExists if the name is
	// taken, or the identity linked.
	CreateUserOf(ctx context.Context, name, password, address string, i Identity) (cloud.User, error)
	// Identities lists those of a user, the oldest first.
	Identities(ctx context.Context, user cloud.UserID) ([]Identity, error)
	// RemoveIdentity unlinks one of the user's. ErrNotFound if he has no such.
	RemoveIdentity(ctx context.Context, user cloud.UserID, issuer, subject string) error
}
