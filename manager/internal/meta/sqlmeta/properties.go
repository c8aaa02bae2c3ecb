package sqlmeta

import (
	"context"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Properties implements meta.Properties.
func (s *Store) Properties(ctx context.Context, id cloud.EntryID) (all []meta.Property, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (p meta.Property, err error) {
			err = row.Scan(&p.Space, &p.Name, &p.Value)
			return p, err
		}, `SELECT space, name, value FROM properties WHERE entry_id = ? ORDER BY space, name`, id)
		return err
	})
	return all, err
}

// PropertiesIn implements meta.Properties.
func (s *Store) PropertiesIn(ctx context.Context, parent, first, last cloud.EntryID) (all map[cloud.EntryID][]meta.Property, err error) {
	err = s.query(ctx, func(q querier) error {
		all = map[cloud.EntryID][]meta.Property{}
		return each(ctx, q, func(row scanner) error {
			var id cloud.EntryID
			var p meta.Property
			if err := row.Scan(&id, &p.Space, &p.Name, &p.Value); err != nil {
				return err
			}
			all[id] = append(all[id], p)
			return nil
		}, `SELECT p.entry_id, p.space, p.name, p.value FROM properties p JOIN entries e ON e.id = p.entry_id
			WHERE p.entry_id BETWEEN ? AND ? AND e.parent_id = ? ORDER BY p.entry_id, p.space, p.name`, first, last, parent)
	})
	return all, err
}

// SetProperties implements meta.Properties.
func (s *Store) SetProperties(ctx context.Context, id cloud.EntryID, changes []meta.PropertyChange) error {
	err := s.update(ctx, func(tx querier) error {
		for _, c := range changes {
			statement, args := `DELETE FROM properties WHERE entry_id = ? AND space = ? AND name = ?`, []any{id, c.Space, c.Name}
			if !c.Remove {
				statement = `INSERT INTO properties (entry_id, space, name, value) VALUES (?, ?, ?, ?)
					ON CONFLICT (entry_id, space, name) DO UPDATE SET value = excluded.value`
				args = append(args, c.Value)
			}
			if err := exec(ctx, tx, statement, args...); err != nil {
				return err
			}
		}
		var n, size int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(length(space) + length(name) + length(value)), 0)
			FROM properties WHERE entry_id = ?`, id).Scan(&n, &size); err != nil {
			return err
		}
		if n > meta.MaxProperties || size > meta.MaxPropertyBytes {
			return cloud.UserErrorf(cloud.ErrFull, "an entry has at most %d properties, of %d bytes together", meta.MaxProperties, meta.MaxPropertyBytes)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set properties of %d: %w", id, err)
	}
	return nil
}

// SetModified implements meta.Tree.
func (s *Store) SetModified(ctx context.Context, id cloud.EntryID, modified time.Time) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `UPDATE entries SET modified_at = ?, updated_at = ? WHERE id = ?`,
			modified.UnixMicro(), s.stamp(), id))
	})
	if err != nil {
		return fmt.Errorf("set time of %d: %w", id, err)
	}
	return nil
}
