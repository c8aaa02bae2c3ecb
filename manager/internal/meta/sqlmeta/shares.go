package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const upsertShare = `INSERT INTO shares (entry_id, user_id, can_write, shared_at, owner_id)
	VALUES (?1, ?2, ?3, ?4, (SELECT owner_id FROM entries WHERE id = ?1))
	ON CONFLICT (entry_id, user_id) DO UPDATE SET can_write = excluded.can_write`

// SetShare implements meta.Tree. A share that is changed keeps its date.
func (s *Store) SetShare(ctx context.Context, share cloud.Share) error {
	err := s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, upsertShare, share.Entry, share.User, share.CanWrite, orStamp(share.SharedAt, s.stamp()))
	})
	if err != nil {
		return fmt.Errorf("share entry %d with user %d: %w", share.Entry, share.User, err)
	}
	return nil
}

// RemoveShare implements meta.Tree.
func (s *Store) RemoveShare(ctx context.Context, entry cloud.EntryID, user cloud.UserID) (was bool, err error) {
	err = s.update(ctx, func(tx querier) error {
		n, err := changed(ctx, tx, `DELETE FROM shares WHERE entry_id = ? AND user_id = ?`, entry, user)
		was = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("unshare entry %d: %w", entry, err)
	}
	return was, nil
}

// Shares implements meta.Tree. They come in order of the users' ids.
func (s *Store) Shares(ctx context.Context, id cloud.EntryID) (all []cloud.Share, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if _, err := entry(ctx, q, id, meta.AnyViewer); err != nil {
			return err
		}
		all, err = rows(ctx, q, func(row scanner) (cloud.Share, error) {
			share := cloud.Share{Entry: id}
			var at int64
			err := row.Scan(&share.User, &share.CanWrite, &at)
			share.SharedAt = fromStamp(at)
			return share, err
		}, `SELECT user_id, can_write, shared_at FROM shares WHERE entry_id = ? ORDER BY user_id`, id)
		return err
	})
	return all, err
}

// SetOwner implements meta.Tree.
func (s *Store) SetOwner(ctx context.Context, id cloud.EntryID, to cloud.UserID, dropShares, keep bool, allow meta.Allow) (cloud.Entry, error) {
	return s.change(ctx, id, allow, func(tx querier, was cloud.Entry) error {
		if err := exec(ctx, tx, `UPDATE entries SET owner_id = ? WHERE id = ?`, owner(to), id); err != nil {
			return err
		}
		if err := exec(ctx, tx, `DELETE FROM shares WHERE entry_id = ? AND (? OR user_id = ?)`, id, dropShares, to); err != nil {
			return err
		}
		if !keep || was.Owner == 0 || was.Owner == to {
			return nil
		}
		return exec(ctx, tx, upsertShare, id, was.Owner, true, s.stamp())
	})
}

// SetPublic implements meta.Tree.
func (s *Store) SetPublic(ctx context.Context, id cloud.EntryID, public bool, allow meta.Allow) (cloud.Entry, error) {
	return s.change(ctx, id, allow, func(tx querier, _ cloud.Entry) error {
		return exec(ctx, tx, `UPDATE entries SET public = ? WHERE id = ?`, public, id)
	})
}

// change alters one entry, not the root, in place and gives it as it is then.
func (s *Store) change(ctx context.Context, id cloud.EntryID, allow meta.Allow, f func(tx querier, was cloud.Entry) error) (e cloud.Entry, err error) {
	if id == cloud.Root {
		return e, cloud.UserErrorf(cloud.ErrInvalid, "the top folder stays as it is")
	}
	err = s.update(ctx, func(tx querier) error {
		was, err := entry(ctx, tx, id, meta.ViewerOf(ctx))
		if err != nil {
			return err
		}
		if err := permit(allow, was); err != nil {
			return err
		}
		if err := f(tx, was); err != nil {
			return err
		}
		e, err = entry(ctx, tx, id, meta.ViewerOf(ctx))
		return err
	})
	if err != nil {
		return cloud.Entry{}, fmt.Errorf("change entry %d: %w", id, err)
	}
	return e, nil
}
