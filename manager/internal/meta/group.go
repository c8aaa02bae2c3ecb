package meta

import (
	"context"

	"discordcloud/pkg/cloud"
)

// Groups keeps groups of users. A group that is deleted takes its shares along.
type Groups interface {
	// CreateGroup adds a group without members. ErrExists if the name is taken;
	// names that differ only in case count as the same.
	CreateGroup(ctx context.Context, name string) (cloud.Group, error)
	RenameGroup(ctx context.Context, id cloud.GroupID, name string) (cloud.Group, error)
	DeleteGroup(ctx context.Context, id cloud.GroupID) error
	Group(ctx context.Context, id cloud.GroupID) (cloud.Group, error)
	// Groups lists those whose name contains query (all for ""), by name.
	Groups(ctx context.Context, query string, limit int) ([]cloud.Group, error)
	// Members lists the users of a group, by name.
	Members(ctx context.Context, id cloud.GroupID) ([]cloud.User, error)
	// SetMember puts a user into a group, or takes him out, and tells whether
	// that changed anything. ErrNotFound if one of them does not exist.
	SetMember(ctx context.Context, id cloud.GroupID, user cloud.UserID, member bool) (bool, error)
}
