package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// SetStar implements meta.Stars.
func (s *Store) SetStar(ctx context.Context, user cloud.UserID, id cloud.EntryID, on bool) error {
	err := s.update(ctx, func(tx querier) error {
		if !on {
			return exec(ctx, tx, `DELETE FROM stars WHERE user_id = ?1 AND entry_id = ?2`, user, id)
		}
		if _, err := entry(ctx, tx, id, meta.AnyViewer); err != nil {
			return err
		}
		var full bool
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) >= ?2 FROM stars WHERE user_id = ?1`, user, meta.MaxStars).Scan(&full); err != nil {
			return err
		}
		if full {
			return cloud.UserErrorf(cloud.ErrInvalid, "nobody can star more than %d entries", meta.MaxStars)
		}
		return exec(ctx, tx, `INSERT INTO stars (user_id, entry_id, starred_at) VALUES (?1, ?2, ?3)
			ON CONFLICT (user_id, entry_id) DO NOTHING`, user, id, s.stamp())
	})
	if err != nil {
		return fmt.Errorf("star entry %d: %w", id, err)
	}
	return nil
}

// StarsOf implements meta.Stars.
func (s *Store) StarsOf(ctx context.Context, user cloud.UserID) (ids []cloud.EntryID, err error) {
	err = s.query(ctx, func(q querier) error {
		ids, err = rows(ctx, q, func(row scanner) (id cloud.EntryID, err error) {
			err = row.Scan(&id)
			return id, err
		}, `SELECT entry_id FROM stars WHERE user_id = ?1`, user)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("stars: %w", err)
	}
	return ids, nil
}
