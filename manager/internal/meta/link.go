package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// LinkMode is what a link lets its holders do.
type LinkMode string

// The modes of a link.
const (
	LinkView     LinkMode = "view"     // look at it with previews, and download
	LinkDownload LinkMode = "download" // download, without previews
	LinkUpload   LinkMode = "upload"   // put files into a folder, and see nothing of it
)

// Link opens an entry, and what is below it, to whoever has its text. Its
// holders see there what User sees.
type Link struct {
	ID       int64
	User     cloud.UserID // who made it
	Entry    cloud.EntryID
	Mode     LinkMode
	Name     string // by which its owner knows it
	Password string // PHC string, "" for none
	Sealed   []byte // its text, for its owner, under a key that the store has not
	Uses     int64  // downloads, or files that were put there
	MostUses int64  // 0 for no bound

	CreatedAt time.Time
	ExpiresAt time.Time // zero for never
	UsedAt    time.Time // zero for never
}

// LinkUse is one thing that was done by a link.
type LinkUse struct {
	At      time.Time
	Action  string        // opened, downloaded, uploaded, refused
	Entry   cloud.EntryID // 0 if it is about none
	Name    string        // of that entry at the time
	Address string
	Agent   string
}

// MaxLinkUses is how many uses of a link are remembered: the newest.
const MaxLinkUses = 500

// Links keeps the links that users have made. They go with their entry and with
// their user. Where a method takes a user, AnyViewer is whoever has made it.
type Links interface {
	// CreateLink adds one and gives it with its id. ErrNotFound if the user or
	// the entry does not exist.
	CreateLink(ctx context.Context, l Link, sum cloud.Sum) (Link, error)
	// LinkOf finds one by the sum of its text, Link by its id, with the user who
	// made it. ErrNotFound otherwise, also for a disabled user; whether it has
	// expired or is used up is for the caller to see.
	LinkOf(ctx context.Context, sum cloud.Sum) (Link, cloud.User, error)
	Link(ctx context.Context, id int64) (Link, cloud.User, error)
	// Links lists those of a user, newest first, to an entry if that is not Root.
	Links(ctx context.Context, user cloud.UserID, entry cloud.EntryID) ([]Link, error)
	// ChangeLink writes the Mode, Name, Password, MostUses and ExpiresAt of a link
	// of l.User's. ErrNotFound if he has no such.
	ChangeLink(ctx context.Context, l Link) error
	// DeleteLink removes one of the user's. ErrNotFound if he has no such.
	DeleteLink(ctx context.Context, user cloud.UserID, id int64) error
	// UseLink counts one use at a time: of two that would be the last, one gets
	// it. ErrLimited if none is left, ErrNotFound if there is no such link.
	UseLink(ctx context.Context, id int64, at time.Time) error
	// AddLinkUse remembers what was done.
	AddLinkUse(ctx context.Context, id int64, use LinkUse) error
	// LinkUses gives the newest uses first.
	LinkUses(ctx context.Context, id int64, limit int) ([]LinkUse, error)
}
