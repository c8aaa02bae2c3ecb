package vfs

import (
	"context"
	"fmt"

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
// if there is no such user or group.
func (f *FS) Share(ctx context.Context, who policy.Principal, id cloud.EntryID, with Grantee, canWrite bool) error {
	e, err := f.EntryFor(ctx, who, id, policy.ShareEntry)
	if err != nil {
		return err
	}
	switch {
	case (with.User == 0) == (with.Group == 0):
		return cloud.UserErrorf(cloud.ErrInvalid, "share with either a user or a group")
	case with.Group != 0:
		_, err = f.Store.Group(ctx, with.Group)
	case with.User == e.Owner:
		return cloud.UserErrorf(cloud.ErrInvalid, "the owner needs no share")
	default:
		_, err = f.Store.User(ctx, with.User)
	}
	if err != nil {
		return fmt.Errorf("share with %+v: %w", with, err)
	}
	before, err := f.sight(ctx, e)
	if err != nil {
		return err
	}
	share := cloud.Share{Entry: id, User: with.User, Group: with.Group, CanWrite: canWrite}
	if err := f.Store.SetShare(ctx, share); err != nil {
		return fmt.Errorf("share %d: %w", id, err)
	}
	f.publish(ctx, before.changed(e))
	rights := ", may read"
	if canWrite {
		rights = ", may write"
	}
	f.note(ctx, who, audit.Shared, id, f.nameOf(ctx, with)+rights)
	return nil
}

// sight is an entry and what shares give there before a change of it.
type sight struct {
	entry  cloud.Entry
	grants []cloud.Share
}

func (f *FS) sight(ctx context.Context, e cloud.Entry) (sight, error) {
	grants, err := f.Store.Grants(ctx, e.ID)
	if err != nil {
		return sight{}, fmt.Errorf("shares of %d: %w", e.ID, err)
	}
	e.Share = nil
	return sight{e, grants}, nil
}

// changed is the news that e is what became of it: those who lose sight of it
// are told, and those who gain it.
func (s sight) changed(e cloud.Entry) event.Change {
	return event.Change{Action: event.Changed, Entry: e, Before: &s.entry, SharedBefore: s.grants}
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
		f.publish(ctx, before.changed(e))
		f.note(ctx, who, audit.Unshared, id, f.nameOf(ctx, with))
	}
	return was, nil
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
	f.publish(ctx, before.changed(e))
	f.note(ctx, who, audit.Transferred, id, f.nameOf(ctx, Grantee{User: owner}))
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
	f.publish(ctx, before.changed(e))
	action := audit.MadePublic
	if !public {
		action = audit.MadeRestricted
	}
	f.note(ctx, who, action, id, "")
	return e, nil
}
