package vfs

import (
	"context"
	"fmt"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Share lets a user read an entry of who's, and write if canWrite; it changes a
// share that is there. ErrNotFound if there is no such user.
func (f *FS) Share(ctx context.Context, who policy.Principal, id cloud.EntryID, user cloud.UserID, canWrite bool) error {
	e, err := f.EntryFor(ctx, who, id, policy.ShareEntry)
	if err != nil {
		return err
	}
	if user == e.Owner {
		return cloud.UserErrorf(cloud.ErrInvalid, "the owner needs no share")
	}
	if _, err := f.Store.User(ctx, user); err != nil {
		return fmt.Errorf("share with user %d: %w", user, err)
	}
	before, err := f.sight(ctx, e)
	if err != nil {
		return err
	}
	if err := f.Store.SetShare(ctx, cloud.Share{Entry: id, User: user, CanWrite: canWrite, SharedAt: time.Now()}); err != nil {
		return fmt.Errorf("share %d: %w", id, err)
	}
	f.publish(ctx, before.changed(e))
	return nil
}

// sight is an entry and its shares before a change of who may see it.
type sight struct {
	entry  cloud.Entry
	shares []cloud.Share
}

func (f *FS) sight(ctx context.Context, e cloud.Entry) (sight, error) {
	shares, err := f.Store.Shares(ctx, e.ID)
	if err != nil {
		return sight{}, fmt.Errorf("shares of %d: %w", e.ID, err)
	}
	return sight{e, shares}, nil
}

// changed is the news that e is what became of it: those who lose sight of it
// are told, and those who gain it.
func (s sight) changed(e cloud.Entry) event.Change {
	s.entry.Share = nil
	return event.Change{Action: event.Changed, Entry: e, Before: &s.entry, SharedBefore: s.shares}
}

// Unshare takes a share back, and tells whether there was one.
func (f *FS) Unshare(ctx context.Context, who policy.Principal, id cloud.EntryID, user cloud.UserID) (bool, error) {
	e, err := f.EntryFor(ctx, who, id, policy.ShareEntry)
	if err != nil {
		return false, err
	}
	before, err := f.sight(ctx, e)
	if err != nil {
		return false, err
	}
	was, err := f.Store.RemoveShare(ctx, id, user, 0)
	if err != nil {
		return false, fmt.Errorf("unshare %d: %w", id, err)
	}
	if was {
		f.publish(ctx, before.changed(e))
	}
	return was, nil
}

// Shares lists the shares of an entry of who's.
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

// SetOwner gives an entry to another user: dropShares removes all its shares,
// otherwise only the new owner's goes; with keep the owner before gets a share
// that can write.
func (f *FS) SetOwner(ctx context.Context, who policy.Principal, id cloud.EntryID, owner cloud.UserID, dropShares, keep bool) (cloud.Entry, error) {
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
	e, err := f.Store.SetOwner(meta.ForViewer(ctx, who.User), id, owner, meta.Transfer{DropShares: dropShares, Keep: keep}, func(e cloud.Entry) error {
		return policy.Check(who, policy.TransferFile, &e)
	})
	if err != nil {
		return cloud.Entry{}, fmt.Errorf("give %d to user %d: %w", id, owner, err)
	}
	f.publish(ctx, before.changed(e))
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
	return e, nil
}
