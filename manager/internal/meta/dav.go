package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// AppPassword is a password that a program uses for a user: random, so that its
// SHA-256 is all that is kept of it.
type AppPassword struct {
	ID       int64
	User     cloud.UserID
	Name     string // by which its owner knows it
	ReadOnly bool
	// Entry is the folder that it is confined to. It goes with that folder.
	Entry     cloud.EntryID
	CreatedAt time.Time
	UsedAt    time.Time // zero if never; kept to the minute or so, not exact
}

// AppPasswords keeps the passwords of programs.
type AppPasswords interface {
	// CreateAppPassword adds one and gives it with its id. ErrNotFound if the
	// user or the entry does not exist.
	CreateAppPassword(ctx context.Context, p AppPassword, sum cloud.Sum) (AppPassword, error)
	// AppPassword finds one by the sum of its text, with its user. ErrNotFound
	// otherwise, also for a disabled user.
	AppPassword(ctx context.Context, sum cloud.Sum) (AppPassword, cloud.User, error)
	// AppPasswords lists those of a user, oldest first.
	AppPasswords(ctx context.Context, user cloud.UserID) ([]AppPassword, error)
	TouchAppPassword(ctx context.Context, id int64, used time.Time) error
	// DeleteAppPassword removes one of the user's. ErrNotFound if he has no such.
	DeleteAppPassword(ctx context.Context, user cloud.UserID, id int64) error
}

// Property is a fact about an entry that clients keep there and that means
// nothing to us: a dead property in the words of WebDAV.
type Property struct {
	Space, Name string // of the XML element
	Value       []byte // the element, whole, as XML
}

// PropertyChange sets a property, or removes it.
type PropertyChange struct {
	Property
	Remove bool
}

// The most properties that an entry may have, and the bytes of all of them.
const (
	MaxProperties    = 256
	MaxPropertyBytes = 256 << 10
)

// Properties keeps dead properties. They go with their entry; a copy of it gets
// copies of them.
type Properties interface {
	Properties(ctx context.Context, id cloud.EntryID) ([]Property, error)
	// PropertiesIn gives the properties of the children of a folder with ids
	// from first to last, by child.
	PropertiesIn(ctx context.Context, parent, first, last cloud.EntryID) (map[cloud.EntryID][]Property, error)
	// SetProperties makes all the changes in their order, or none of them. ErrFull
	// beyond MaxProperties or MaxPropertyBytes; to remove what is not there is no
	// error.
	SetProperties(ctx context.Context, id cloud.EntryID, changes []PropertyChange) error
}

// Lock keeps others from changing an entry. One that has expired is none.
type Lock struct {
	Token     string // an URI
	Entry     cloud.EntryID
	User      cloud.UserID
	Shared    bool
	Deep      bool   // holds for all below the entry too
	Owner     []byte // what the client says of its owner: XML
	Timeout   time.Duration
	ExpiresAt time.Time
}

// Locks keeps locks. They go with their entry, and stay behind when it is moved.
type Locks interface {
	// CreateLock adds a lock unless another is in its way at now: one on the
	// entry, a deep one above, or, if it is deep, any below. Two shared locks are
	// not in each other's way. The locks in the way are given with ErrExists.
	// ErrLimited beyond MaxLocks of the user's.
	CreateLock(ctx context.Context, l Lock, now time.Time) ([]Lock, error)
	// LocksOver gives the locks that hold for an entry: its own, and the deep ones
	// above.
	LocksOver(ctx context.Context, id cloud.EntryID, now time.Time) ([]Lock, error)
	// LocksBelow gives the locks on entries below a folder, with direct on its
	// children only.
	LocksBelow(ctx context.Context, id cloud.EntryID, direct bool, now time.Time) ([]Lock, error)
	// RefreshLock sets when a lock ends. ErrNotFound if there is none at now.
	RefreshLock(ctx context.Context, token string, timeout time.Duration, now time.Time) (Lock, error)
	// DeleteLock removes a lock. ErrNotFound if there is none.
	DeleteLock(ctx context.Context, token string) error
	// MoveLocks puts the locks of from on to; with from and to the same, the
	// locks on the entry and below it go.
	MoveLocks(ctx context.Context, from, to cloud.EntryID) error
	// ExpireLocks removes those that have expired.
	ExpireLocks(ctx context.Context, now time.Time) error
}

// MaxLocks is how many locks a user may hold.
const MaxLocks = 1024
