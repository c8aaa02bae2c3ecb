package vfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Copy makes a copy of an entry, with deep of all that who sees below it, which
// becomes his. Errors are those of meta.Store's Copy and of the permissions
// needed: to read the entry, to add to the folder, to replace or delete what has
// the name.
func (f *FS) Copy(ctx context.Context, who policy.Principal, id, parent cloud.EntryID, name string, deep bool, on meta.Conflict) (meta.CopyResult, error) {
	name, err := CleanName(name)
	if err != nil {
		return meta.CopyResult{}, err
	}
	if who.Role == policy.Nobody {
		return meta.CopyResult{}, cloud.ErrUnauthenticated
	}
	lost, err := f.grantsOf(ctx, parent, name)
	if err != nil {
		return meta.CopyResult{}, err
	}
	r, err := f.Store.Copy(meta.ForViewer(ctx, who.User), id, parent, name, who.User, deep, on, func(e cloud.Entry) error {
		do, asks := policy.ReplaceFile, who
		switch {
		case e.ID == id:
			do = policy.ReadContent
		case e.ID == parent:
			do = policy.AddTo
		case e.Parent != parent:
			asks = who.Unbound() // below a folder that is replaced
		}
		err := policy.Check(asks, do, &e)
		if do == policy.ReplaceFile && errors.Is(err, cloud.ErrNotFound) {
			return cloud.UserErrorf(cloud.ErrExists, "the name %q is taken", name)
		}
		return err
	})
	if err != nil {
		return meta.CopyResult{}, f.taken(err, "copy %d", id)
	}
	action := event.Added
	if r.Replaced != nil {
		if r.Replaced.ID == r.Entry.ID {
			action = event.Changed
		} else {
			f.publish(ctx, event.Change{Action: event.Removed, Entry: *r.Replaced, SharedWith: lost})
		}
	}
	f.publish(ctx, event.Change{Action: action, Entry: r.Entry})
	return r, nil
}

// CopyMany copies entries, with all below them that who sees, into a folder: all
// of them or none. The copies are his. on is ConflictFail or ConflictRename.
func (f *FS) CopyMany(ctx context.Context, who policy.Principal, ids []cloud.EntryID, parent cloud.EntryID, on meta.Conflict) ([]meta.CopyResult, error) {
	if who.Role == policy.Nobody {
		return nil, cloud.ErrUnauthenticated
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	results, err := f.Store.CopyAll(meta.ForViewer(ctx, who.User), ids, parent, who.User, on, func(e cloud.Entry) error {
		if _, copied := slices.BinarySearch(ids, e.ID); copied {
			return policy.Check(who, policy.CopyEntry, &e)
		}
		return policy.Check(who, policy.AddTo, &e)
	})
	if err != nil {
		return nil, f.taken(err, "copy %d entries", len(ids))
	}
	for _, r := range results {
		f.publish(ctx, event.Change{Action: event.Added, Entry: r.Entry})
	}
	return results, nil
}

// SetModified sets the time of the content of an entry that who may write.
func (f *FS) SetModified(ctx context.Context, who policy.Principal, id cloud.EntryID, modified time.Time) error {
	e, err := f.EntryFor(ctx, who, id, policy.ReplaceFile)
	if err != nil {
		return err
	}
	if year := modified.UTC().Year(); year < 1 || year > 9999 {
		return cloud.UserErrorf(cloud.ErrInvalid, "the year %d is out of range", year)
	}
	if err := f.Store.SetModified(ctx, id, modified); err != nil {
		return fmt.Errorf("set time: %w", err)
	}
	e.ModifiedAt = modified
	f.publish(ctx, event.Change{Action: event.Changed, Entry: e})
	return nil
}
