package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// TrashRoot is what entries in the trash hang below. It is not reached from
// Root, and no method of Tree finds it, or anything below it.
const TrashRoot cloud.EntryID = -1

// Retention says how long a store keeps what people deleted or replaced. The
// zero value keeps nothing: it is gone at once.
type Retention struct {
	Trash time.Duration // what was deleted
	// Versions is how many former contents a file has at most, VersionAge how long
	// each is kept after it was replaced. Without one of them there are none.
	Versions   int
	VersionAge time.Duration
}

// KeepsVersions tells whether former contents are kept at all.
func (r Retention) KeepsVersions() bool { return r.Versions > 0 && r.VersionAge > 0 }

// Collapse is the time in which further writes of the same user do not make
// further versions: editors that save every few seconds would push out all
// others.
const Collapse = time.Minute

// Trashed is an entry in the trash, with all that was deleted together with it.
type Trashed struct {
	Entry     cloud.Entry // under the name and with the parent that it had
	Folder    []string    // path of its folder at the time
	DeletedBy cloud.UserID
	DeletedAt time.Time
	Files     int64 // of all that went
	Folders   int64
	Bytes     int64
}

// Trash keeps what was deleted. A user's trash is what he deleted and what was
// his: both he and the owner can bring it back.
type Trash interface {
	// SetRetention says what is kept of what is deleted and replaced from now on.
	SetRetention(r Retention)
	// ListTrash gives a page of a user's trash, what was deleted last first; after
	// is the cursor of an earlier page, or "".
	ListTrash(ctx context.Context, user cloud.UserID, after string, limit int) (all []Trashed, next string, err error)
	// Trashed gives one entry of a user's trash; AnyViewer has all of it.
	Trashed(ctx context.Context, user cloud.UserID, id cloud.EntryID) (Trashed, error)
	// Restore brings an entry back into a folder, with all that was deleted with
	// it. allow sees the entry, the folder, and what is replaced. Errors are those of
	// Move; a file that is replaced goes where Move would put it.
	Restore(ctx context.Context, id, parent cloud.EntryID, on Conflict, allow Allow) (MoveResult, error)
	// Purge removes entries of the trash with all that was deleted with them, all
	// or none. Their objects become unreferenced.
	Purge(ctx context.Context, ids []cloud.EntryID) (Deleted, error)
	// ExpireTrash purges at most so many of those that were deleted before a time,
	// and tells how many.
	ExpireTrash(ctx context.Context, before time.Time, most int) (int, error)
	// Space sums up what counts to a user, and what of it will be free when.
	Space(ctx context.Context, user cloud.UserID) (Space, error)
}

// VersionID names a former content of a file.
type VersionID int64

// Version is a former content of a file.
type Version struct {
	ID         VersionID
	Entry      cloud.EntryID
	Object     cloud.ObjectID
	Size       int64
	Type       string
	Hash       cloud.Sum
	ModifiedAt time.Time    // of the content
	ReplacedAt time.Time    // since when it is a former one
	ReplacedBy cloud.UserID // 0 if it is not known any more
}

// Versions keeps the contents that files had before. Whose file it is, his are
// the versions.
type Versions interface {
	// ListVersions gives the versions of a file, the newest first.
	ListVersions(ctx context.Context, entry cloud.EntryID) ([]Version, error)
	// Version gives one version of a file.
	Version(ctx context.Context, entry cloud.EntryID, id VersionID) (Version, error)
	// RestoreVersion makes a version the content of its file; the present content
	// becomes a version. allow sees the file.
	RestoreVersion(ctx context.Context, entry cloud.EntryID, id VersionID, allow Allow) (cloud.Entry, error)
	// DeleteVersion removes a version for good. allow sees the file.
	DeleteVersion(ctx context.Context, entry cloud.EntryID, id VersionID, allow Allow) error
	// ExpireVersions removes at most so many versions that were replaced before a
	// time, and tells how many.
	ExpireVersions(ctx context.Context, before time.Time, most int) (int, error)
}

// Space is what counts to a user.
type Space struct {
	Files, FileBytes       int64 // of the tree
	Trashed, TrashBytes    int64 // files in the trash
	Versions, VersionBytes int64
	Freed                  []Freed // by time
}

// Freed tells how many bytes of trash and versions will be gone by the end of a
// day, as far as they are kept for a time.
type Freed struct {
	Day   time.Time // its beginning, UTC
	Bytes int64
}
