package dispatch

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// target checks that somebody may put a file into a folder, of which the last
// levels need not exist yet.
func (d *Dispatcher) target(ctx context.Context, who policy.Principal, folder []string) error {
	if err := policy.Check(who, policy.Upload, nil); err != nil {
		return err
	}
	if len(folder)+1 > meta.MaxDepth {
		return cloud.UserErrorf(cloud.ErrInvalid, "folders are %d levels deep at most", meta.MaxDepth-1)
	}
	at, err := d.Store.Entry(ctx, cloud.Root, who.User)
	if err != nil {
		return fmt.Errorf("top folder: %w", err)
	}
	// Who is confined to a subtree has to come by its top; the way to there is
	// not his.
	asks := who.Unbound()
	if who.Top() == cloud.Root {
		asks = who
	}
	for _, name := range folder {
		child, err := d.Store.Child(ctx, at.ID, name, who.User)
		if errors.Is(err, cloud.ErrNotFound) {
			break
		}
		if err != nil {
			return fmt.Errorf("target folder: %w", err)
		}
		if child.ID == who.Top() {
			asks = who
		}
		if policy.Check(asks, policy.SeeEntry, &child) != nil {
			return cloud.UserErrorf(cloud.ErrDenied, "%q is not yours to use", name)
		}
		if !child.IsFolder() {
			return cloud.UserErrorf(cloud.ErrExists, "%q is a file, not a folder", name)
		}
		at = child
	}
	return policy.Check(who, policy.AddTo, &at)
}
