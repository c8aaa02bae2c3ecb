package meta

import (
	"context"
	"time"
)

// DeletionState is what became of a message that is to be deleted.
type DeletionState string

// The states of a deletion.
const (
	DeletionDue     DeletionState = "due"
	DeletionDone    DeletionState = "deleted"
	DeletionMissing DeletionState = "missing" // it was not there any more
	DeletionSkipped DeletionState = "skipped" // it may not be deleted; nobody tries again by himself
)

// Deletion is a message in Discord that nothing refers to any more.
type Deletion struct {
	Channel, Message string
	State            DeletionState
	Reason           string // why it was skipped, or why the last try failed
	Orphan           bool   // no row had ever named it
	Attachments      int64
	Bytes            int64 // sealed
	Tries            int
	DueAt            time.Time
	EndedAt          time.Time // zero while it is due
}

// Condemned tells what one call of Condemn found.
type Condemned struct {
	Messages  []Deletion // that are due now
	Objects   int64      // whose last row has gone
	Kept      int64      // messages that hold something of use as well
	KeptBytes int64      // of no use in those, sealed
	Next      string     // where to go on, "" at the end
}

// Tally counts deletions.
type Tally struct {
	Due, DueBytes           int64
	Deleted, DeletedBytes   int64 // those that are still remembered
	Missing, Skipped        int64
	Orphans, OrphanBytes    int64 // found, and not to be deleted so far
	Garbage, GarbageBytes   int64 // objects that nothing refers to, and their sealed bytes
	Messages, MessagesBytes int64 // all that rows name, sealed
	Channels                []ChannelTally
}

// ChannelTally counts what lies in one channel.
type ChannelTally struct {
	Channel      string
	Messages     int64
	Attachments  int64
	Bytes        int64 // sealed
	GarbageBytes int64 // of these, of objects that nothing refers to
}

// Posted is a message of ours as it was found in a channel.
type Posted struct {
	Channel, Message string
	Attachments      int64
	Bytes            int64
}

// Job is work in the background, as it is kept over restarts.
type Job struct {
	Name      string
	Paused    bool
	State     string // its own
	UpdatedAt time.Time
}

// Collection finds what in Discord is of no use any more. Its promise: a message
// that a Deletion names is named by no chunk and no thumbnail, and never will be.
type Collection interface {
	// Condemn looks at objects that have been garbage since before, from where a
	// former call ended. Messages of which every chunk belongs to such objects, that
	// hold no thumbnail and were posted before the time as well, become deletions,
	// and the rows of their chunks go; at most so many are looked at. dry only looks.
	Condemn(ctx context.Context, before time.Time, after string, most int, dry bool) (Condemned, error)
	// DueDeletions gives those whose time has come, channel by channel.
	DueDeletions(ctx context.Context, now time.Time, most int) ([]Deletion, error)
	// EndDeletions records what became of deletions: State, Reason, and for those
	// that stay due DueAt.
	EndDeletions(ctx context.Context, all []Deletion) error
	// RetryDeletions makes those that were skipped due again.
	RetryDeletions(ctx context.Context) (int64, error)
	// Deletions gives those in a state, those that changed last first.
	Deletions(ctx context.Context, state DeletionState, most int) ([]Deletion, error)
	// DeletedSince counts the messages that were deleted since a time.
	DeletedSince(ctx context.Context, since time.Time) (int64, error)
	// ForgetDeletions drops the rows of those that ended well before a time.
	ForgetDeletions(ctx context.Context, before time.Time) error
	// NoteOrphans keeps those of the messages that no row names, and forgets others
	// of theirs. It gives the number of those kept.
	NoteOrphans(ctx context.Context, all []Posted) (int64, error)
	// CondemnOrphans makes deletions of orphans that were found before a time and
	// that no row names now either.
	CondemnOrphans(ctx context.Context, before time.Time, most int) (int64, error)
	// CountDeletions counts everything; it reads all chunks.
	CountDeletions(ctx context.Context) (Tally, error)

	// Job gives a job; one that nobody has set is not paused.
	Job(ctx context.Context, name string) (Job, error)
	// SetJobState replaces what a job keeps.
	SetJobState(ctx context.Context, name, state string) error
	PauseJob(ctx context.Context, name string, paused bool) error
}
