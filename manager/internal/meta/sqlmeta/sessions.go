package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const sessionColumns = `t.id, t.user_id, t.created_at, t.used_at, t.expires_at, t.agent, t.address`

// CreateSession implements meta.Accounts.
func (s *Store) CreateSession(ctx context.Context, t meta.Session) error {
	now := s.stamp()
	err := s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `INSERT INTO sessions (id, user_id, created_at, used_at, expires_at, agent, address)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
			t.ID, t.User, orStamp(t.CreatedAt, now), orStamp(t.UsedAt, now), t.ExpiresAt.UnixMicro(), t.Agent, t.Address)
	})
	if err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	return nil
}

// Session implements meta.Accounts.
func (s *Store) Session(ctx context.Context, id string, now time.Time) (t meta.Session, u cloud.User, err error) {
	err = s.query(ctx, func(q querier) error {
		row := q.QueryRowContext(ctx, `SELECT `+userColumns+`, `+sessionColumns+`
			FROM sessions t JOIN users u ON u.id = t.user_id
			WHERE t.id = ? AND NOT u.disabled`, id)
		var created, used, expires int64
		u, err = scanUser(row, &t.ID, &t.User, &created, &used, &expires, &t.Agent, &t.Address)
		t.CreatedAt, t.UsedAt, t.ExpiresAt = fromStamp(created), fromStamp(used), fromStamp(expires)
		if err == nil && expires <= now.UnixMicro() {
			err = sql.ErrNoRows
		}
		return notFound(err, "session")
	})
	if err != nil {
		return meta.Session{}, cloud.User{}, err
	}
	return t, u, nil
}

// TouchSession implements meta.Accounts.
func (s *Store) TouchSession(ctx context.Context, id string, used, expires time.Time) error {
	return s.amend(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `UPDATE sessions SET used_at = ?, expires_at = ? WHERE id = ?`,
			used.UnixMicro(), expires.UnixMicro(), id))
	})
}

// Sessions implements meta.Accounts.
func (s *Store) Sessions(ctx context.Context, user cloud.UserID) (all []meta.Session, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanSession,
			`SELECT `+sessionColumns+` FROM sessions t WHERE t.user_id = ? ORDER BY t.created_at, t.id`, user)
		return err
	})
	return all, err
}

// DeleteSession implements meta.Accounts.
func (s *Store) DeleteSession(ctx context.Context, user cloud.UserID, id string) error {
	return s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `DELETE FROM sessions WHERE id = ? AND user_id = ?`, id, user))
	})
}

// ExpireSessions implements meta.Accounts.
func (s *Store) ExpireSessions(ctx context.Context, now time.Time) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM sessions WHERE expires_at <= ?`, now.UnixMicro())
	})
}

func scanSession(row scanner) (t meta.Session, err error) {
	var created, used, expires int64
	err = row.Scan(&t.ID, &t.User, &created, &used, &expires, &t.Agent, &t.Address)
	t.CreatedAt, t.UsedAt, t.ExpiresAt = fromStamp(created), fromStamp(used), fromStamp(expires)
	return t, err
}

// one is ErrNotFound for a change that met no row.
func one(n int64, err error) error {
	if err == nil && n == 0 {
		return cloud.ErrNotFound
	}
	return err
}
