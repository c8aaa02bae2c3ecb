package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const appPasswordColumns = `p.id, p.user_id, p.name, p.read_only, p.entry_id, p.created_at, p.used_at`

// CreateAppPassword implements meta.AppPasswords.
func (s *Store) CreateAppPassword(ctx context.Context, p meta.AppPassword, sum cloud.Sum) (meta.AppPassword, error) {
	created := orStamp(p.CreatedAt, s.stamp())
	err := s.update(ctx, func(tx querier) error {
		return tx.QueryRowContext(ctx, `INSERT INTO app_passwords (user_id, sum, name, read_only, entry_id, created_at)
			VALUES (?, ?, ?, ?, ?, ?) RETURNING id`, p.User, sum[:], p.Name, p.ReadOnly, p.Entry, created).Scan(&p.ID)
	})
	if err != nil {
		return meta.AppPassword{}, fmt.Errorf("create app password: %w", err)
	}
	p.CreatedAt, p.UsedAt = fromStamp(created), time.Time{}
	return p, nil
}

// AppPassword implements meta.AppPasswords.
func (s *Store) AppPassword(ctx context.Context, sum cloud.Sum) (p meta.AppPassword, u cloud.User, err error) {
	err = s.query(ctx, func(q querier) error {
		var created int64
		var used sql.NullInt64
		u, err = scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+`, `+appPasswordColumns+`
			FROM app_passwords p JOIN users u ON u.id = p.user_id WHERE p.sum = ? AND NOT u.disabled`, sum[:]),
			&p.ID, &p.User, &p.Name, &p.ReadOnly, &p.Entry, &created, &used)
		p.CreatedAt, p.UsedAt = fromStamp(created), fromOptional(used)
		return notFound(err, "app password")
	})
	if err != nil {
		return meta.AppPassword{}, cloud.User{}, err
	}
	return p, u, nil
}

// AppPasswords implements meta.AppPasswords.
func (s *Store) AppPasswords(ctx context.Context, user cloud.UserID) (all []meta.AppPassword, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanAppPassword,
			`SELECT `+appPasswordColumns+` FROM app_passwords p WHERE p.user_id = ? ORDER BY p.id`, user)
		return err
	})
	return all, err
}

func scanAppPassword(row scanner) (p meta.AppPassword, err error) {
	var created int64
	var used sql.NullInt64
	if err := row.Scan(&p.ID, &p.User, &p.Name, &p.ReadOnly, &p.Entry, &created, &used); err != nil {
		return meta.AppPassword{}, err
	}
	p.CreatedAt, p.UsedAt = fromStamp(created), fromOptional(used)
	return p, nil
}

// fromOptional is the zero Time for a column that is NULL.
func fromOptional(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return fromStamp(us.Int64)
}

// TouchAppPassword implements meta.AppPasswords.
func (s *Store) TouchAppPassword(ctx context.Context, id int64, used time.Time) error {
	return s.amend(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `UPDATE app_passwords SET used_at = ? WHERE id = ?`, used.UnixMicro(), id))
	})
}

// DeleteAppPassword implements meta.AppPasswords.
func (s *Store) DeleteAppPassword(ctx context.Context, user cloud.UserID, id int64) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `DELETE FROM app_passwords WHERE user_id = ? AND id = ?`, user, id))
	})
	if err != nil {
		return fmt.Errorf("delete app password: %w", err)
	}
	return nil
}
