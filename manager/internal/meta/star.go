package meta

import (
	"context"

	"discordcloud/pkg/cloud"
)

// MaxStars is how many entries a user may star.
const MaxStars = 10_000

// Stars keeps which entries each user has marked to find them again. They are
// nobody else's business, and go with the entry. Find with Starred lists them.
type Stars interface {
	// SetStar marks an entry for a user, or takes the mark away; to do so twice
	// changes nothing. ErrInvalid beyond MaxStars.
	SetStar(ctx context.Context, user cloud.UserID, id cloud.EntryID, on bool) error
	// StarsOf gives the entries that a user has marked, in no order. Some may be
	// hidden from the user by now.
	StarsOf(ctx context.Context, user cloud.UserID) ([]cloud.EntryID, error)
}
