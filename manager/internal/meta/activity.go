package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// What an Activity tells.
const (
	ActivityAdded    = "added"
	ActivityChanged  = "changed" // another content
	ActivityRenamed  = "renamed"
	ActivityMovedIn  = "moved-in"
	ActivityMovedOut = "moved-out" // it does not say where to
	ActivityDeleted  = "deleted"
	ActivityRestored = "restored"
)

// Activity is something that happened in a folder, under the name that the entry
// got by it.
type Activity struct {
	ID      int64
	At      time.Time
	User    cloud.UserID // who did it, 0 if that is not known
	Action  string
	Folder  cloud.EntryID
	Entry   cloud.EntryID // which may have gone
	Kind    cloud.Kind
	Name    string
	OldName string // of ActivityRenamed
}

// ActivityQuery asks for what happened in a folder, the newest first.
type ActivityQuery struct {
	Folder cloud.EntryID
	Viewer cloud.UserID
	Deep   bool  // in the folders below, too, as far as the viewer comes down to them
	Before int64 // ids below this one; 0 is from the newest
	Limit  int   // 1 and more
}

// Activities keeps for a while what changed in the tree. It is written in the
// transactions of the changes.
type Activities interface {
	// ActivityIn gives a page of what the viewer may know: of an entry that is there
	// if he sees it, of one that is gone if he would have.
	ActivityIn(ctx context.Context, q ActivityQuery) ([]Activity, error)
	// ExpireActivity forgets what happened before a time.
	ExpireActivity(ctx context.Context, before time.Time) error
}
