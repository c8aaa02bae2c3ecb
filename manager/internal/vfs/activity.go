package vfs

import (
	"context"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Activity tells what happened in a folder, as far as who sees it; Viewer and
// Folder of q are set by it.
func (f *FS) Activity(ctx context.Context, who policy.Principal, folder cloud.EntryID, q meta.ActivityQuery) ([]meta.Activity, error) {
	if _, err := f.folder(ctx, who, folder, policy.ListFolder); err != nil {
		return nil, err
	}
	q.Folder, q.Viewer = folder, who.User
	return f.Store.ActivityIn(ctx, q)
}
