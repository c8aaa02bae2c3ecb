package sqlmeta

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// DeleteUser implements meta.Accounts.
func (s *Store) DeleteUser(ctx context.Context, id, heir cloud.UserID, discard bool) (d meta.Deleted, err error) {
	if id == heir {
		return d, cloud.UserErrorf(cloud.ErrInvalid, "somebody else gets the files")
	}
	err = s.update(ctx, func(tx querier) error {
		if _, err := user(ctx, tx, id); err != nil {
			return err
		}
		to, err := user(ctx, tx, heir)
		if err != nil {
			return err
		}
		if err := othersAdminister(ctx, tx, id); err != nil {
			return err
		}
		if err := s.abandon(ctx, tx, id); err != nil {
			return err
		}
		var tops []cloud.EntryID
		if discard {
			if tops, err = disposable(ctx, tx, id); err != nil {
				return err
			}
		}
		if err := bequeath(ctx, tx, id, heir); err != nil {
			return err
		}
		if discard {
			// Nobody has a share of his own things: the heir is the viewer.
			ctx := meta.ForViewer(ctx, heir)
			if d, err = s.disposal(ctx, tx).remove(ctx, tops, nil); err != nil {
				return err
			}
		} else if err := fits(ctx, tx, heir, id, ""); err != nil {
			if errors.Is(err, cloud.ErrFull) {
				err = cloud.UserErrorf(cloud.ErrFull, "%s has no room for the files: raise the quota first", to.Name)
			}
			return err
		}
		return exec(ctx, tx, `DELETE FROM users WHERE id = ?1`, id)
	})
	if err != nil {
		return meta.Deleted{}, fmt.Errorf("delete user %d: %w", id, err)
	}
	return d, nil
}

// abandon aborts the uploads of a user: what they have stored becomes garbage.
func (s *Store) abandon(ctx context.Context, tx querier, id cloud.UserID) error {
	running, err := rows(ctx, tx, scanID[cloud.UploadID],
		`SELECT u.id FROM uploads u WHERE u.user_id = ?1 AND u.state IN ('running', 'waiting')`, id)
	if err != nil {
		return err
	}
	for _, up := range running {
		u, err := getUpload(ctx, tx, up)
		if err != nil {
			return err
		}
		if err := end(ctx, tx, u, meta.UploadAborted, "the account was deleted", s.stamp()); err != nil {
			return err
		}
	}
	return nil
}

// disposable are the tops of what a user owns and can go: not the folders with
// something below them that others own.
func disposable(ctx context.Context, tx querier, id cloud.UserID) ([]cloud.EntryID, error) {
	return rows(ctx, tx, scanID[cloud.EntryID], `WITH RECURSIVE kept (id) AS (
			SELECT p.id FROM entries p JOIN entries c ON c.parent_id = p.id
				WHERE p.owner_id = ?1 AND p.trash_id IS NULL AND COALESCE(c.owner_id, 0) <> ?1
			UNION
			SELECT p.id FROM kept k JOIN entries e ON e.id = k.id JOIN entries p ON p.id = e.parent_id WHERE p.owner_id = ?1)
		SELECT e.id FROM entries e JOIN entries p ON p.id = e.parent_id
		WHERE e.owner_id = ?1 AND e.trash_id IS NULL AND e.id NOT IN (SELECT id FROM kept)
			AND (COALESCE(p.owner_id, 0) <> ?1 OR p.id IN (SELECT id FROM kept))
		ORDER BY e.id`, id)
}

// bequeath makes the heir the owner of all that a user has, in the trash too, and
// counts it to him.
func bequeath(ctx context.Context, tx querier, id, heir cloud.UserID) error {
	for _, statement := range []string{
		`DELETE FROM shares WHERE user_id = ?2 AND entry_id IN (SELECT e.id FROM entries e WHERE e.owner_id = ?1)`,
		`UPDATE shares SET owner_id = ?2 WHERE owner_id = ?1`,
		`UPDATE group_shares SET owner_id = ?2 WHERE owner_id = ?1`,
		`UPDATE trash SET user_id = ?2 WHERE user_id = ?1`,
		`UPDATE versions SET user_id = ?2 WHERE user_id = ?1`,
		`UPDATE entries SET owner_id = ?2 WHERE owner_id = ?1`,
		`INSERT INTO space (user_id, used_bytes, used_files)
			SELECT CAST(?2 AS BIGINT), s.used_bytes, s.used_files FROM space s WHERE s.user_id = ?1
			ON CONFLICT (user_id) DO UPDATE SET used_bytes = space.used_bytes + excluded.used_bytes,
				used_files = space.used_files + excluded.used_files`,
	} {
		if err := exec(ctx, tx, statement, id, heir); err != nil {
			return err
		}
	}
	if err := exec(ctx, tx, `DELETE FROM space WHERE user_id = ?1`, id); err != nil {
		return err
	}
	return recount(ctx, tx, foldersAbove, heir, meta.MaxDepth)
}
