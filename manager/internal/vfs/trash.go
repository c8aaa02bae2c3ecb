package vfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// A user's trash is what he deleted and what was his. Both may bring it back;
// for good only the owner deletes it, before its time does.

// Trash gives a page of who's trash, what was deleted last first.
func (f *FS) Trash(ctx context.Context, who policy.Principal, after string, limit int) ([]meta.Trashed, string, error) {
	if err := policy.Check(who, policy.ManageTrash, nil); err != nil {
		return nil, "", err
	}
	all, next, err := f.Store.ListTrash(ctx, who.User, after, limit)
	if err != nil {
		return nil, "", fmt.Errorf("trash: %w", err)
	}
	return all, next, nil
}

// trashed finds entries of who's trash, what was deleted last first: what went
// before its folder comes back after it.
func (f *FS) trashed(ctx context.Context, who policy.Principal, ids []cloud.EntryID) ([]meta.Trashed, error) {
	if err := policy.Check(who, policy.ManageTrash, nil); err != nil {
		return nil, err
	}
	var all []meta.Trashed
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		t, err := f.Store.Trashed(ctx, who.User, id)
		if err != nil {
			return nil, fmt.Errorf("trash: %w", err)
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b meta.Trashed) int { return cmp.Compare(b.DeletedAt.UnixMicro(), a.DeletedAt.UnixMicro()) })
	return all, nil
}

// Restore brings entries of who's trash back, one after the other: into the
// folder that is given, else to where they were. If that is gone, or no place for
// who to add to, the owner's folders are made again; others', and what has no
// such place either, come to the top. Nobody sees more for that: folders that are
// made again are restricted, and so becomes what comes to the top. It gives what
// was restored until one failed.
func (f *FS) Restore(ctx context.Context, who policy.Principal, ids []cloud.EntryID, into *cloud.EntryID, on meta.Conflict) ([]meta.MoveResult, error) {
	all, err := f.trashed(ctx, who, ids)
	if err != nil {
		return nil, err
	}
	var done []meta.MoveResult
	for _, t := range all {
		r, err := f.restore(ctx, who, t, into, on)
		if err != nil {
			return done, err
		}
		done = append(done, r)
	}
	return done, nil
}

func (f *FS) restore(ctx context.Context, who policy.Principal, t meta.Trashed, into *cloud.EntryID, on meta.Conflict) (meta.MoveResult, error) {
	parent, home := cloud.Root, true
	var err error
	if into != nil {
		parent = *into
	} else if parent, home, err = f.homeOf(ctx, who, t); err != nil {
		return meta.MoveResult{}, err
	}
	id := t.Entry.ID
	m := moved{}
	if m.grants, err = f.Store.Grants(ctx, id); err != nil {
		return meta.MoveResult{}, fmt.Errorf("shares of %d: %w", id, err)
	}
	if m.into, err = f.setting(ctx, parent); err != nil {
		return meta.MoveResult{}, fmt.Errorf("restore %d: %w", id, err)
	}
	if on == meta.ConflictReplace {
		if m.lost, err = f.grantsOf(ctx, parent, t.Entry.Name); err != nil {
			return meta.MoveResult{}, err
		}
	}
	m.MoveResult, err = f.Store.Restore(meta.ForViewer(ctx, who.User), id, parent, on, func(e cloud.Entry) error {
		if e.ID == id {
			return nil // it is in who's trash
		}
		return mayMove(who, parent, func(cloud.EntryID) bool { return false })(e)
	})
	if err != nil {
		return meta.MoveResult{}, f.taken(err, "restore %d", id)
	}
	if !home && m.After.Public {
		hidden, err := f.Store.SetPublic(ctx, id, false, nil)
		if err != nil {
			return meta.MoveResult{}, fmt.Errorf("restore %d: %w", id, err)
		}
		m.After.Public = hidden.Public
	}
	if m.Replaced != nil {
		f.tell(ctx, event.Change{Action: event.Removed, Entry: *m.Replaced, Path: m.into.names, SharedWith: m.lost})
	}
	f.tell(ctx, event.Change{Action: event.Added, Entry: m.After, Path: m.into.names, SharedWith: m.into.grantsAt(id, m.grants)})
	f.note(ctx, who, audit.Restored, id, slices.Concat(m.into.names, []string{m.After.Name}), "")
	return m.MoveResult, nil
}

// homeOf is the folder that t comes back to. Without home it must not be seen by
// more people there than were meant to.
func (f *FS) homeOf(ctx context.Context, who policy.Principal, t meta.Trashed) (parent cloud.EntryID, home bool, err error) {
	e, err := f.EntryFor(ctx, who, t.Entry.Parent, policy.AddTo)
	switch {
	case err == nil && e.IsFolder():
		return e.ID, true, nil
	case err != nil && !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrDenied):
		return 0, false, err
	}
	if t.Entry.Owner != who.User || len(t.Folder) == 0 {
		return cloud.Root, false, nil
	}
	last, created, err := f.MakeFolders(ctx, who, cloud.Root, t.Folder)
	switch kind := cloud.KindOf(err); {
	case kind == cloud.ErrExists, kind == cloud.ErrDenied, kind == cloud.ErrNotFound, kind == cloud.ErrInvalid:
		return cloud.Root, false, nil // something else is there now
	case err != nil:
		return 0, false, err
	}
	for _, folder := range created {
		if _, err := f.SetPublic(ctx, who, folder.ID, false); err != nil {
			return 0, false, err
		}
	}
	// Into folders that others made meanwhile it comes as to the top.
	return last.ID, len(created) > 0, nil
}

// Purge deletes entries of who's trash for good, all or none.
func (f *FS) Purge(ctx context.Context, who policy.Principal, ids ...cloud.EntryID) (meta.Deleted, error) {
	all, err := f.trashed(ctx, who, ids)
	if err != nil {
		return meta.Deleted{}, err
	}
	for _, t := range all {
		if err := policy.Check(who, policy.PurgeEntry, &t.Entry); err != nil {
			return meta.Deleted{}, fmt.Errorf("purge %d: %w", t.Entry.ID,
				cloud.UserErrorf(cloud.ErrDenied, "only the owner deletes it for good"))
		}
	}
	d, err := f.Store.Purge(ctx, ids)
	if err != nil {
		return meta.Deleted{}, fmt.Errorf("purge: %w", err)
	}
	f.notePurged(ctx, who, all)
	return d, nil
}

func (f *FS) notePurged(ctx context.Context, who policy.Principal, gone []meta.Trashed) {
	records := make([]meta.AuditRecord, len(gone))
	for i, t := range gone {
		records[i] = audit.On(who, audit.Purged, t.Entry.ID, JoinPath(append(slices.Clip(t.Folder), t.Entry.Name)))
	}
	f.Audit.Add(ctx, records...)
}

// trashPage is how many entries EmptyTrash purges in one transaction.
const trashPage = 100

// EmptyTrash deletes for good what of who's trash is his own.
func (f *FS) EmptyTrash(ctx context.Context, who policy.Principal) (meta.Deleted, error) {
	var sum meta.Deleted
	for after := ""; ; {
		page, next, err := f.Trash(ctx, who, after, trashPage)
		if err != nil {
			return sum, err
		}
		var own []cloud.EntryID
		var gone []meta.Trashed
		for _, t := range page {
			if policy.Check(who, policy.PurgeEntry, &t.Entry) == nil {
				own, gone = append(own, t.Entry.ID), append(gone, t)
			}
		}
		d, err := f.Store.Purge(ctx, own)
		if err != nil && !errors.Is(err, cloud.ErrNotFound) { // one was restored meanwhile
			return sum, fmt.Errorf("empty trash: %w", err)
		}
		if err == nil {
			f.notePurged(ctx, who, gone)
		}
		sum.Files, sum.Folders, sum.Bytes = sum.Files+d.Files, sum.Folders+d.Folders, sum.Bytes+d.Bytes
		if after = next; next == "" {
			return sum, nil
		}
	}
}

// Space tells what counts to who.
func (f *FS) Space(ctx context.Context, who policy.Principal) (meta.Space, error) {
	if err := policy.Check(who, policy.SeeSpace, nil); err != nil {
		return meta.Space{}, err
	}
	s, err := f.Store.Space(ctx, who.User)
	if err != nil {
		return meta.Space{}, fmt.Errorf("space: %w", err)
	}
	return s, nil
}
