package meta

import (
	"context"

	"discordcloud/pkg/cloud"
)

// Everybody stands for all users together, where a user is asked for.
const Everybody cloud.UserID = 0

// Quota is what somebody has stored, and may store at most. Files are those of
// the tree and of the trash, and their former contents count as bytes. A bound of
// 0 is none.
type Quota struct {
	Bytes, Files         int64
	MostBytes, MostFiles int64
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
}

// Quotas keeps what users have stored, in the same transactions, and holds them
// to what they may: ErrFull is the answer of CreateUpload, AddPart, SetUploadSize,
// FinishUpload, Copy and SetOwner to what would go beyond. Running uploads count
// from their beginning, for whoever sends them; a file counts to its owner.
type Quotas interface {
	// Quota gives a user's quota, or that of Everybody.
	Quota(ctx context.Context, user cloud.UserID) (Quota, error)
	// Quotas gives users by name from the one after the name after, "" for the
	// first.
	Quotas(ctx context.Context, after string, limit int) ([]UserQuota, error)
	// SetQuota sets the bounds of a user or of Everybody. They may be below what is
	// there: then nothing more is taken. ErrNotFound if there is no such user.
	SetQuota(ctx context.Context, user cloud.UserID, mostBytes, mostFiles int64) error
	// Usage tells where a user's files are, by folder and type. It reads them all.
	Usage(ctx context.Context, user cloud.UserID) ([]Usage, error)
}
