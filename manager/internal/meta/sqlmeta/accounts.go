package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const userColumns = `u.id, u.name, u.administrator, u.disabled, u.created_at`

// CreateUser implements meta.Accounts.
func (s *Store) CreateUser(ctx context.Context, name, password string, administrator, first bool) (cloud.User, error) {
	if err := meta.CheckName(name); err != nil {
		return cloud.User{}, fmt.Errorf("create user: %w", err)
	}
	now := s.stamp()
	u := cloud.User{Name: name, Administrator: administrator, CreatedAt: fromStamp(now)}
	err := s.update(ctx, func(tx querier) error {
		if first {
			n, err := countUsers(ctx, tx)
			if err != nil {
				return err
			}
			if n > 0 {
				return cloud.UserErrorf(cloud.ErrDenied, "there is a user already")
			}
		}
		err := tx.QueryRowContext(ctx, `INSERT INTO users (name, name_key, password, administrator, created_at)
			VALUES (?, ?, ?, ?, ?) RETURNING id`, name, meta.FoldName(name), password, administrator, now).Scan(&u.ID)
		if errors.Is(s.classify(ctx, err), cloud.ErrExists) {
			return cloud.UserErrorf(cloud.ErrExists, "the name %q is taken", name)
		}
		return err
	})
	if err != nil {
		return cloud.User{}, fmt.Errorf("create user: %w", err)
	}
	return u, nil
}

// User implements meta.Accounts.
func (s *Store) User(ctx context.Context, id cloud.UserID) (u cloud.User, err error) {
	err = s.query(ctx, func(q querier) error {
		u, err = scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = ?`, id))
		return notFound(err, "user %d", id)
	})
	return u, err
}

// Credentials implements meta.Accounts.
func (s *Store) Credentials(ctx context.Context, name string) (c meta.Credentials, err error) {
	err = s.query(ctx, func(q querier) error {
		row := q.QueryRowContext(ctx, `SELECT `+userColumns+`, u.password FROM users u WHERE u.name_key = ? AND u.name = ?`,
			meta.FoldName(name), name)
		c.User, err = scanUser(row, &c.Password)
		return notFound(err, "user by name")
	})
	return c, err
}

// Users implements meta.Accounts.
func (s *Store) Users(ctx context.Context, query string, limit int) (users []cloud.User, err error) {
	if limit < 1 {
		return nil, fmt.Errorf("list users: %w: at most %d of them", cloud.ErrInvalid, limit)
	}
	err = s.query(ctx, func(q querier) error {
		users, err = rows(ctx, q, func(row scanner) (cloud.User, error) { return scanUser(row) },
			`SELECT `+userColumns+` FROM users u WHERE u.name_key LIKE ? ESCAPE '\' ORDER BY u.name_key LIMIT ?`,
			"%"+likeEscape.Replace(meta.FoldName(query))+"%", limit)
		return err
	})
	return users, err
}

// CountUsers implements meta.Accounts.
func (s *Store) CountUsers(ctx context.Context) (n int, err error) {
	err = s.query(ctx, func(q querier) error {
		n, err = countUsers(ctx, q)
		return err
	})
	return n, err
}

func countUsers(ctx context.Context, q querier) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT COUNT(*) FROM users`).Scan(&n)
	return n, err
}

// SetPassword implements meta.Accounts.
func (s *Store) SetPassword(ctx context.Context, id cloud.UserID, password string) (ended []string, err error) {
	err = s.update(ctx, func(tx querier) error {
		ended, err = setPassword(ctx, tx, id, password)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("set password: %w", err)
	}
	return ended, nil
}

// setPassword replaces a password and ends all that stood on the one before.
func setPassword(ctx context.Context, tx querier, id cloud.UserID, password string) (ended []string, err error) {
	n, err := changed(ctx, tx, `UPDATE users SET password = ? WHERE id = ?`, password, id)
	if err == nil && n == 0 {
		err = fmt.Errorf("user %d: %w", id, cloud.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	for _, end := range []string{`DELETE FROM app_passwords WHERE user_id = ?`, `DELETE FROM single_links WHERE user_id = ?`} {
		if err := exec(ctx, tx, end, id); err != nil {
			return nil, err
		}
	}
	return rows(ctx, tx, scanID[string], `DELETE FROM sessions WHERE user_id = ? RETURNING id`, id)
}

// Rehash implements meta.Accounts.
func (s *Store) Rehash(ctx context.Context, id cloud.UserID, old, password string) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `UPDATE users SET password = ? WHERE id = ? AND password = ?`, password, id, old)
	})
}

// scanUser reads userColumns, and further columns into more.
func scanUser(row scanner, more ...any) (u cloud.User, err error) {
	var created int64
	if err := row.Scan(append([]any{&u.ID, &u.Name, &u.Administrator, &u.Disabled, &created}, more...)...); err != nil {
		return cloud.User{}, err
	}
	u.CreatedAt = fromStamp(created)
	return u, nil
}

// owner is a user id as a column holds it: NULL for nobody.
func owner(id cloud.UserID) sql.NullInt64 {
	return sql.NullInt64{Int64: int64(id), Valid: id != 0}
}
