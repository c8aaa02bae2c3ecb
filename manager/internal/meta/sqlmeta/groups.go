package sqlmeta

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const selectGroup = `SELECT g.id, g.name, g.created_at FROM user_groups g WHERE `

// CreateGroup implements meta.Groups.
func (s *Store) CreateGroup(ctx context.Context, name string) (g cloud.Group, err error) {
	if err := meta.CheckName(name); err != nil {
		return g, fmt.Errorf("create group: %w", err)
	}
	err = s.update(ctx, func(tx querier) error {
		now := s.stamp()
		g = cloud.Group{Name: name, CreatedAt: fromStamp(now)}
		err := tx.QueryRowContext(ctx, `INSERT INTO user_groups (name, name_key, created_at) VALUES (?1, ?2, ?3) RETURNING id`,
			name, meta.FoldName(name), now).Scan(&g.ID)
		return s.groupTaken(ctx, err, name)
	})
	if err != nil {
		return cloud.Group{}, fmt.Errorf("create group: %w", err)
	}
	return g, nil
}

// groupTaken gives the error for a name that a group has a text.
func (s *Store) groupTaken(ctx context.Context, err error, name string) error {
	if errors.Is(s.classify(ctx, err), cloud.ErrExists) {
		return cloud.UserErrorf(cloud.ErrExists, "there is a group named %q already", name)
	}
	return err
}

// RenameGroup implements meta.Groups.
func (s *Store) RenameGroup(ctx context.Context, id cloud.GroupID, name string) (g cloud.Group, err error) {
	if err := meta.CheckName(name); err != nil {
		return g, fmt.Errorf("rename group: %w", err)
	}
	err = s.update(ctx, func(tx querier) error {
		if err := exec(ctx, tx, `UPDATE user_groups SET name = ?1, name_key = ?2 WHERE id = ?3`, name, meta.FoldName(name), id); err != nil {
			return s.groupTaken(ctx, err, name)
		}
		g, err = group(ctx, tx, id)
		return err
	})
	if err != nil {
		return cloud.Group{}, fmt.Errorf("rename group: %w", err)
	}
	return g, nil
}

// DeleteGroup implements meta.Groups.
func (s *Store) DeleteGroup(ctx context.Context, id cloud.GroupID) error {
	return s.update(ctx, func(tx querier) error {
		n, err := changed(ctx, tx, `DELETE FROM user_groups WHERE id = ?1`, id)
		if err == nil && n == 0 {
			err = fmt.Errorf("group %d: %w", id, cloud.ErrNotFound)
		}
		return err
	})
}

// Group implements meta.Groups.
func (s *Store) Group(ctx context.Context, id cloud.GroupID) (g cloud.Group, err error) {
	err = s.query(ctx, func(q querier) error {
		g, err = group(ctx, q, id)
		return err
	})
	return g, err
}

func group(ctx context.Context, q querier, id cloud.GroupID) (cloud.Group, error) {
	g, err := scanGroup(q.QueryRowContext(ctx, selectGroup+`g.id = ?1`, id))
	return g, notFound(err, "group %d", id)
}

// Groups implements meta.Groups.
func (s *Store) Groups(ctx context.Context, query string, limit int) (all []cloud.Group, err error) {
	if limit < 1 {
		return nil, fmt.Errorf("list groups: %w: at most %d of them", cloud.ErrInvalid, limit)
	}
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanGroup, selectGroup+`g.name_key LIKE ?1 ESCAPE '\' ORDER BY g.name_key LIMIT ?2`,
			"%"+likeEscape.Replace(meta.FoldName(query))+"%", limit)
		return err
	})
	return all, err
}

// Members implements meta.Groups.
func (s *Store) Members(ctx context.Context, id cloud.GroupID) (all []cloud.User, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if _, err := group(ctx, q, id); err != nil {
			return err
		}
		all, err = rows(ctx, q, func(row scanner) (cloud.User, error) { return scanUser(row) },
			`SELECT `+userColumns+` FROM group_members m JOIN users u ON u.id = m.user_id WHERE m.group_id = ?1 ORDER BY u.name_key`, id)
		return err
	})
	return all, err
}

// SetMember implements meta.Groups.
func (s *Store) SetMember(ctx context.Context, id cloud.GroupID, user cloud.UserID, member bool) (was bool, err error) {
	err = s.update(ctx, func(tx querier) error {
		if _, err := group(ctx, tx, id); err != nil {
			return err
		}
		statement := `DELETE FROM group_members WHERE group_id = ?1 AND user_id = ?2`
		if member {
			statement = `INSERT INTO group_members (group_id, user_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING`
		}
		n, err := changed(ctx, tx, statement, id, user)
		was = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("member %d of group %d: %w", user, id, err)
	}
	return was, nil
}

func scanGroup(row scanner) (g cloud.Group, err error) {
	var created int64
	err = row.Scan(&g.ID, &g.Name, &created)
	g.CreatedAt = fromStamp(created)
	return g, err
}
