package vfs

import (
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

// MakeFolders makes the missing folders of a path below parent and gives the
// last one and the created ones, top down. They are public and owned by who.
// ErrExists if something else has one of the names.
func (f *FS) MakeFolders(ctx context.Context, who policy.Principal, parent cloud.EntryID, names []string) (cloud.Entry, []cloud.Entry, error) {
	fail := func(err error) (cloud.Entry, []cloud.Entry, error) { return cloud.Entry{}, nil, err }
	names, err := CleanNames(names)
	if err != nil {
		return fail(err)
	}
	if err := f.checkWay(ctx, who, parent, names); err != nil {
		return fail(err)
	}
	last, created, err := f.Store.MakeFolders(ctx, parent, names, who.User)
	if err != nil {
		return fail(f.taken(err, "make folders below %d", parent))
	}
	for _, e := range created {
		f.publish(ctx, event.Change{Action: event.Added, Entry: e})
	}
	return last, created, nil
}

// checkWay tells whether who may add to each of the folders that are there.
func (f *FS) checkWay(ctx context.Context, who policy.Principal, parent cloud.EntryID, names []string) error {
	at, err := f.folder(ctx, who, parent, policy.AddTo)
	if err != nil {
		return err
	}
	for _, name := range names {
		next, err := f.Store.Child(ctx, at.ID, name, who.User)
		if errors.Is(err, cloud.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("child of %d: %w", at.ID, err)
		}
		// That a name is taken shows by itself when it is tried: a hidden entry
		// says no more than that.
		if !next.IsFolder() || policy.Check(who, policy.AddTo, &next) != nil {
			return cloud.UserErrorf(cloud.ErrExists, "the name %q is taken", name)
		}
		at = next
	}
	return nil
}

// Move gives an entry another name, another folder, or both. Errors are those of
// meta.Store's Move and of the permissions needed: to move or rename the entry,
// to add to the folder, to replace the file that has the name.
func (f *FS) Move(ctx context.Context, who policy.Principal, id, parent cloud.EntryID, name string, on meta.Conflict) (meta.MoveResult, error) {
	m, err := f.move(ctx, who, id, parent, name, on)
	if err != nil {
		return meta.MoveResult{}, err
	}
	f.tellMove(ctx, m)
	return m.MoveResult, nil
}

// moved is a move that is done but not told. What news of it say was read before:
// to ask for what one has just changed may cost another round trip.
type moved struct {
	meta.MoveResult
	into   setting
	grants []cloud.Share // at the entry, before
	lost   []cloud.Share // at what was replaced
}

// setting is a folder that something comes into: the names from the top down to it,
// and what shares give there.
type setting struct {
	names  []string
	grants []cloud.Share
}

func (f *FS) setting(ctx context.Context, id cloud.EntryID) (s setting, err error) {
	if id == cloud.Root {
		return s, nil
	}
	if s.names, err = f.PathOf(ctx, id); err != nil {
		return s, err
	}
	if s.grants, err = f.Store.Grants(ctx, id); err != nil {
		return s, fmt.Errorf("shares of %d: %w", id, err)
	}
	return s, nil
}

// grantsAt is what shares give in the folder at an entry, by what they gave at it
// elsewhere.
func (s setting) grantsAt(id cloud.EntryID, elsewhere []cloud.Share) []cloud.Share {
	own := slices.DeleteFunc(slices.Clone(elsewhere), func(g cloud.Share) bool { return g.Entry != id })
	return append(own, s.grants...)
}

func (f *FS) move(ctx context.Context, who policy.Principal, id, parent cloud.EntryID, name string, on meta.Conflict) (moved, error) {
	name, err := CleanName(name)
	if err != nil {
		return moved{}, err
	}
	if who.Role == policy.Nobody {
		return moved{}, cloud.ErrUnauthenticated
	}
	m := moved{}
	if m.grants, err = f.Store.Grants(ctx, id); err != nil {
		return moved{}, fmt.Errorf("shares of %d: %w", id, err)
	}
	if m.into, err = f.setting(ctx, parent); err != nil {
		return moved{}, fmt.Errorf("move %d: %w", id, err)
	}
	if on == meta.ConflictReplace || on == meta.ConflictClear {
		if m.lost, err = f.grantsOf(ctx, parent, name); err != nil {
			return moved{}, err
		}
	}
	m.MoveResult, err = f.Store.Move(meta.ForViewer(ctx, who.User), id, parent, name, on,
		mayMove(who, parent, func(e cloud.EntryID) bool { return e == id }))
	if err != nil {
		return moved{}, f.taken(err, "move %d", id)
	}
	return m, nil
}

// mayMove decides about the entries of a move into a folder: those that are
// moved, the folder, and what has to go.
func mayMove(who policy.Principal, parent cloud.EntryID, moves func(cloud.EntryID) bool) meta.Allow {
	return func(e cloud.Entry) error {
		do := policy.ReplaceFile
		asks := who
		switch {
		case moves(e.ID):
			do = policy.MoveEntry
			if e.Parent == parent {
				do = policy.RenameEntry
			}
		case e.ID == parent:
			do = policy.AddTo
		default:
			if e.Parent != parent {
				asks = who.Unbound() // below a folder that is replaced
			}
		}
		err := policy.Check(asks, do, &e)
		if do == policy.ReplaceFile && errors.Is(err, cloud.ErrNotFound) {
			return cloud.UserErrorf(cloud.ErrExists, "the name %q is taken", e.Name)
		}
		return err
	}
}

// grantsOf is what shares give at what has a name, nothing if nothing has it.
func (f *FS) grantsOf(ctx context.Context, parent cloud.EntryID, name string) ([]cloud.Share, error) {
	e, err := f.Store.Child(ctx, parent, name, meta.AnyViewer)
	if errors.Is(err, cloud.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("child of %d: %w", parent, err)
	}
	grants, err := f.Store.Grants(ctx, e.ID)
	if err != nil {
		return nil, fmt.Errorf("shares of %d: %w", e.ID, err)
	}
	return grants, nil
}

// MoveMany moves entries into a folder under their names, all of them or none.
func (f *FS) MoveMany(ctx context.Context, who policy.Principal, ids []cloud.EntryID, parent cloud.EntryID, on meta.Conflict) ([]meta.MoveResult, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	grants, lost := map[cloud.EntryID][]cloud.Share{}, map[cloud.EntryID][]cloud.Share{} // lost: of what has the name that an entry will have, by the entry
	for _, id := range ids {
		e, err := f.EntryFor(ctx, who, id, policy.MoveEntry)
		if err != nil {
			return nil, err
		}
		if grants[id], err = f.Store.Grants(ctx, id); err != nil {
			return nil, fmt.Errorf("shares of %d: %w", id, err)
		}
		if on == meta.ConflictReplace {
			if lost[id], err = f.grantsOf(ctx, parent, e.Name); err != nil {
				return nil, err
			}
		}
	}
	into, err := f.setting(ctx, parent)
	if err != nil {
		return nil, fmt.Errorf("move %d entries: %w", len(ids), err)
	}
	results, err := f.Store.MoveAll(meta.ForViewer(ctx, who.User), ids, parent, on,
		mayMove(who, parent, func(e cloud.EntryID) bool { return slices.Contains(ids, e) }))
	if err != nil {
		return nil, f.taken(err, "move %d entries", len(ids))
	}
	for _, r := range results {
		f.tellMove(ctx, moved{r, into, grants[r.Before.ID], lost[r.Before.ID]})
	}
	return results, nil
}

func (f *FS) tellMove(ctx context.Context, m moved) {
	if m.Replaced != nil {
		f.tell(ctx, event.Change{Action: event.Removed, Entry: *m.Replaced, Path: m.into.names, SharedWith: m.lost})
	}
	if m.Before.Parent == m.After.Parent && m.Before.Name == m.After.Name {
		return
	}
	m.Before.Share = nil
	f.tell(ctx, event.Change{Action: event.Moved, Entry: m.After, Path: m.into.names, SharedWith: m.into.grantsAt(m.After.ID, m.grants),
		Before: &m.Before, SharedBefore: m.grants})
}

// Delete removes entries and all that is below them, all or none. ErrDenied if
// something below is not for who to delete.
func (f *FS) Delete(ctx context.Context, who policy.Principal, ids ...cloud.EntryID) (meta.Deleted, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	shares := map[cloud.EntryID][]cloud.Share{}
	for _, id := range ids {
		if _, err := f.EntryFor(ctx, who, id, policy.DeleteEntry); err != nil {
			return meta.Deleted{}, err
		}
		var err error
		if shares[id], err = f.Store.Grants(ctx, id); err != nil {
			return meta.Deleted{}, fmt.Errorf("shares of %d: %w", id, err)
		}
	}
	d, err := f.Store.Delete(meta.ForViewer(ctx, who.User), ids, func(e cloud.Entry) error {
		asks := who
		_, asked := shares[e.ID]
		if !asked {
			asks = who.Unbound() // it lies below one that was asked for
		}
		err := policy.Check(asks, policy.DeleteEntry, &e)
		if err != nil && !asked {
			return cloud.UserErrorf(cloud.ErrDenied, "the folder holds something that is not yours to delete")
		}
		return err
	})
	if err != nil {
		return meta.Deleted{}, fmt.Errorf("delete: %w", err)
	}
	records := make([]meta.AuditRecord, len(d.Top))
	for i, e := range d.Top {
		records[i] = audit.On(who, audit.Deleted, e.ID, JoinPath(append(slices.Clip(d.Paths[i]), e.Name)))
		f.tell(ctx, event.Change{Action: event.Removed, Entry: e, Path: d.Paths[i], SharedWith: shares[e.ID]})
	}
	f.Audit.Add(ctx, records...)
	return d, nil
}

// taken gives ErrExists a text for people, unless it has one.
func (f *FS) taken(err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if _, told := errors.AsType[*cloud.UserError](err); !told && errors.Is(err, cloud.ErrExists) {
		err = errors.Join(cloud.UserErrorf(cloud.ErrExists, "that name is taken"), err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// publish tells of a change that is done. It adds the folder's path and, unless
// they are given, the shares.
func (f *FS) publish(ctx context.Context, c event.Change) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := f.complete(ctx, &c); err != nil {
		// The change is done: news that lack a part are better than none.
		meta.Afterwards(ctx, func() {
			f.log().WarnContext(ctx, "news of a change are incomplete", "entry", c.Entry.ID, "err", err)
		})
	}
	f.tell(ctx, c)
}

// tell is publish of what is complete.
func (f *FS) tell(ctx context.Context, c event.Change) {
	c.Entry.Share = nil
	meta.Afterwards(ctx, func() { f.Bus.Publish(&c) })
}

func (f *FS) complete(ctx context.Context, c *event.Change) (err error) {
	if c.Path, err = f.PathOf(ctx, c.Entry.Parent); err != nil {
		return err
	}
	if c.Action != event.Removed {
		if c.SharedWith, err = f.Store.Grants(ctx, c.Entry.ID); err != nil {
			return fmt.Errorf("shares of %d: %w", c.Entry.ID, err)
		}
	}
	return nil
}
