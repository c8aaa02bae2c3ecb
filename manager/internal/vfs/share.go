package vfs

import (
	"context"
	"fmt"
	"slices"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Grantee is whom an entry is shared with: a user or a group, the other is 0.
type Grantee struct {
	User  cloud.UserID
	Group cloud.GroupID
}

// Share lets a user, or the members of a group, read an entry of who's and all
// below it, and write if canWrite; it changes a share that is there. ErrNotFound
// if there is no such user or group. It gives the share as it is then.
func (f *FS) Share(ctx context.Context, who policy.Principal, id cloud.EntryID, with Grantee, canWrite bool) (cloud.Share, error) {
	e, err := f.EntryFor(ctx, who, id, policy.ShareEntry)
	if err != nil {
		return cloud.Share{}, err
	}
	switch {
	case (with.User == 0) == (with.Group == 0):
		return cloud.Share{}, cloud.UserErrorf(cloud.ErrInvalid, "share with either a user or a group")
	case with.User != 0 && with.User == e.Owner:
		return cloud.Share{}, cloud.UserErrorf(cloud.ErrInvalid, "the owner needs no share")
	}
	name, users, err := f.grantees(ctx, with)
	if err != nil {
		return cloud.Share{}, fmt.Errorf("share with %+v: %w", with, err)
	}
	before, err := f.sight(ctx, e)
	if err != nil {
		return cloud.Share{}, err
	}
	share, err := f.Store.SetShare(ctx, cloud.Share{Entry: id, User: with.User, Group: with.Group, CanWrite: canWrite})
	if err != nil {
		return cloud.Share{}, fmt.Errorf("share %d: %w", id, err)
	}
	after := before.without(with)
	for _, user := range users {
		given := share
		given.User = user
		after = append(after, given)
	}
	f.tell(ctx, before.changed(e, after))
	rights := ", may read"
	if canWrite {
		rights = ", may write"
	}
	f.note(ctx, who, audit.Shared, id, before.names, name+rights)
	return share, nil
}

// sight is an entry, the names that lead to it, and what shares give there, before
// a change of it.
type sight struct {
	entry  cloud.Entry
	names  []string
	grants []cloud.Share
}

func (f *FS) sight(ctx context.Context, e cloud.Entry) (s sight, err error) {
	s.entry = e
	s.entry.Share = nil
	if s.names, err = f.PathOf(ctx, e.ID); err != nil {
		return sight{}, err
	}
	if s.grants, err = f.Store.Grants(ctx, e.ID); err != nil {
		return sight{}, fmt.Errorf("shares of %d: %w", e.ID, err)
	}
	return s, nil
}

// without is what shares give but for the entry's own share with somebody.
func (s sight) without(with Grantee) []cloud.Share {
	return slices.DeleteFunc(slices.Clone(s.grants), func(g cloud.Share) bool {
		return g.Entry == s.entry.ID && g.Group == with.Group && (with.Group != 0 || g.User == with.User)
	})
}

// changed is the news that e is what became of it, and that shares give this there:
// those who lose sight of it are told, and those who gain it.
func (s sight) changed(e cloud.Entry, grants []cloud.Share) event.Change {
	folder := slices.Clip(s.names[:len(s.names)-1])
	return event.Change{Action: event.Changed, Entry: e, Path: folder, SharedWith: grants, Before: &s.entry, SharedBefore: s.grants}
}

// Unshare takes a share back, and tells whether there was one.
func (f *FS) Unshare(ctx context.Context, who policy.Principal, id cloud.EntryID, with Grantee) (bool, error) {
	e, err := f.EntryFor(ctx, who, id, policy.ShareEntry)
	if err != nil {
		return false, err
	}
	before, err := f.sight(ctx, e)
	if err != nil {
		return false, err
	}
	was, err := f.Store.RemoveShare(ctx, id, with.User, with.Group)
	if err != nil {
		return false, fmt.Errorf("unshare %d: %w", id, err)
	}
	if was {
		f.tell(ctx, before.changed(e, before.without(with)))
		f.note(ctx, who, audit.Unshared, id, before.names, f.nameOf(ctx, with))
	}
	return was, nil
}

// grantees gives whom something is to be shared with: the name for the audit log, and
// the users. ErrNotFound if there is nobody.
func (f *FS) grantees(ctx context.Context, with Grantee) (name string, users []cloud.UserID, err error) {
	if with.Group == 0 {
		u, err := f.Store.User(ctx, with.User)
		return u.Name, []cloud.UserID{u.ID}, err
	}
	g, err := f.Store.Group(ctx, with.Group)
	if err != nil {
		return "", nil, err
	}
	members, err := f.Store.Members(ctx, with.Group)
	for _, m := range members {
		users = append(users, m.ID)
	}
	return "group " + g.Name, users, err
}

// nameOf is a grantee's name for the audit log.
func (f *FS) nameOf(ctx context.Context, with Grantee) string {
	if with.Group != 0 {
		g, err := f.Store.Group(ctx, with.Group)
		if err != nil {
			return fmt.Sprintf("group number %d", with.Group)
		}
		return "group " + g.Name
	}
	u, err := f.Store.User(ctx, with.User)
	if err != nil {
		return fmt.Sprintf("user number %d", with.User)
	}
	return u.Name
}

// Shares lists the shares of an entry of who's, without those of folders above.
func (f *FS) Shares(ctx context.Context, who policy.Principal, id cloud.EntryID) ([]cloud.Share, error) {
	if _, err := f.EntryFor(ctx, who, id, policy.ShareEntry); err != nil {
		return nil, err
	}
	shares, err := f.Store.Shares(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("shares of %d: %w", id, err)
	}
	return shares, nil
}

// SharedWithMe gives one page of what others share with who, what was shared
// last first. Folders above need not be his to see: he gets there by id.
func (f *FS) SharedWithMe(ctx context.Context, who policy.Principal, limit int, after string) (meta.Page, error) {
	if err := policy.Check(who, policy.FindEntries, nil); err != nil {
		return meta.Page{}, err
	}
	return f.Store.SharedWith(ctx, who.User, limit, after)
}

// SharedByMe gives one page of who's own entries that have shares.
func (f *FS) SharedByMe(ctx context.Context, who policy.Principal, limit int, after string) (meta.Page, error) {
	if err := policy.Check(who, policy.FindEntries, nil); err != nil {
		return meta.Page{}, err
	}
	return f.Store.SharedBy(ctx, who.User, limit, after)
}

// SetOwner gives an entry to another user, as t says: see meta.Tree's SetOwner.
func (f *FS) SetOwner(ctx context.Context, who policy.Principal, id cloud.EntryID, owner cloud.UserID, t meta.Transfer) (cloud.Entry, error) {
	old, err := f.EntryFor(ctx, who, id, policy.TransferFile)
	if err != nil {
		return cloud.Entry{}, err
	}
	if _, err := f.Store.User(ctx, owner); err != nil {
		return cloud.Entry{}, fmt.Errorf("give to user %d: %w", owner, err)
	}
	before, err := f.sight(ctx, old)
	if err != nil {
		return cloud.Entry{}, err
	}
	e, err := f.Store.SetOwner(meta.ForViewer(ctx, who.User), id, owner, t, func(e cloud.Entry) error {
		return policy.Check(who, policy.TransferFile, &e)
	})
	if err != nil {
		return cloud.Entry{}, fmt.Errorf("give %d to user %d: %w", id, owner, err)
	}
	f.publish(ctx, before.changed(e, nil))
	f.note(ctx, who, audit.Transferred, id, before.names, f.nameOf(ctx, Grantee{User: owner}))
	return e, nil
}

// SetPublic says whether all users may read an entry.
func (f *FS) SetPublic(ctx context.Context, who policy.Principal, id cloud.EntryID, public bool) (cloud.Entry, error) {
	e, err := f.EntryFor(ctx, who, id, policy.ShareEntry)
	if err != nil || e.Public == public {
		return e, err
	}
	before, err := f.sight(ctx, e)
	if err != nil {
		return cloud.Entry{}, err
	}
	e, err = f.Store.SetPublic(meta.ForViewer(ctx, who.User), id, public, func(e cloud.Entry) error {
		return policy.Check(who, policy.ShareEntry, &e)
	})
	if err != nil {
		return cloud.Entry{}, fmt.Errorf("make %d public or private: %w", id, err)
	}
	f.tell(ctx, before.changed(e, before.grants))
	action := audit.MadePublic
	if !public {
		action = audit.MadeRestricted
	}
	f.note(ctx, who, action, id, before.names, "")
	return e, nil
}
