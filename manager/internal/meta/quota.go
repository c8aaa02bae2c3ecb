package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// Everybody stands for all users together, where a user is asked for.
const Everybody cloud.UserID = 0

// Others stands for all users without bounds of their own, where a user is asked
// for: they have its bounds, each for himself.
const Others cloud.UserID = -1

// Quota is what somebody has stored, and may store at most. Files are those of
// the tree and of the trash, and their former contents count as bytes. A bound of
// 0 is none.
type Quota struct {
	Bytes, Files         int64
	MostBytes, MostFiles int64
	Own                  bool // the bounds are the user's own, not those of Others
	// Reserved is what uploads under way will take: of an unknown size, what is
	// stored of them.
	ReservedBytes, ReservedFiles int64
}

// Usage is what somebody's files below one folder of the top take.
type Usage struct {
	Folder cloud.EntryID // Root for files at the top itself, TrashRoot for the trash
	Name   string
	Type   string
	Files  int64
	Bytes  int64
}

// UserQuota is a user with his quota, without what is reserved.
type UserQuota struct {
	cloud.User
	Quota
	SeenAt time.Time // when he last signed in or used a session, zero if that is not known
}

// Quotas keeps what users have stored, in the same transactions, and holds them
// to what they may: ErrFull is the answer of CreateUpload, AddPart, SetUploadSize,
// FinishUpload, Copy and SetOwner to what would go beyond. Running uploads count
// from their beginning, for whoever sends them; a file counts to its owner.
type Quotas interface {
	// Quota gives a user's quota, or that of Everybody.
	Quota(ctx context.Context, user cloud.UserID) (Quota, error)
	// Quotas gives users whose name contains query (all for ""), by name from the
	// one after the name after, "" for the first.
	Quotas(ctx context.Context, query, after string, limit int) ([]UserQuota, error)
	// SetQuota sets the bounds of a user, of Everybody or of Others. They may be
	// below what is there: then nothing more is taken. ErrNotFound if there is no
	// such user.
	SetQuota(ctx context.Context, user cloud.UserID, mostBytes, mostFiles int64) error
	// ClearQuota lets the bounds of Others hold for a user again.
	ClearQuota(ctx context.Context, user cloud.UserID) error
	// Usage tells where a user's files are, by folder and type. It reads them all.
	Usage(ctx context.Context, user cloud.UserID) ([]Usage, error)
}
