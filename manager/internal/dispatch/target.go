package dispatch

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// target checks that somebody may put a file into a folder below base, of which
// the last levels need not exist yet. What is above base is not asked about: who
// was given a folder deep in the tree adds to it without seeing the way there.
func (d *Dispatcher) target(ctx context.Context, who policy.Principal, base cloud.EntryID, folder []string) error {
	if err := policy.Check(who, policy.Upload, nil); err != nil {
		return err
	}
	at, above, err := d.base(ctx, who, base)
	if err != nil {
		return err
	}
	if above+len(folder)+1 > meta.MaxDepth {
		return cloud.UserErrorf(cloud.ErrInvalid, "folders are %d levels deep at most", meta.MaxDepth-1)
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

// base gives the folder that a path begins in, and how deep it lies.
func (d *Dispatcher) base(ctx context.Context, who policy.Principal, id cloud.EntryID) (e cloud.Entry, depth int, err error) {
	e, err = d.Store.Entry(ctx, id, who.User)
	if id == cloud.Root && err != nil {
		return e, 0, fmt.Errorf("top folder: %w", err)
	}
	if id == cloud.Root {
		return e, 0, nil
	}
	if err == nil {
		err = policy.Check(who, policy.SeeEntry, &e)
	}
	if err == nil && !e.IsFolder() {
		err = cloud.ErrNotFound
	}
	var path []cloud.Entry
	if err == nil {
		path, err = d.Store.Path(ctx, id)
	}
	if errors.Is(err, cloud.ErrNotFound) {
		return e, 0, cloud.UserErrorf(cloud.ErrNotFound, "the folder is not there any more")
	}
	if err != nil {
		return e, 0, fmt.Errorf("folder of an upload: %w", err)
	}
	return e, len(path), nil
}
