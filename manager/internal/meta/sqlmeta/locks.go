package sqlmeta

import (
	"context"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const (
	lockColumns = `l.token, l.entry_id, l.user_id, l.shared, l.deep, l.owner, l.timeout, l.expires_at`

	// locksOver are the locks that hold for entry ?1 at ?2.
	locksOver = `WITH RECURSIVE above (id, own) AS (
			SELECT ?1, TRUE
			UNION
			SELECT e.parent_id, FALSE FROM above a JOIN entries e ON e.id = a.id WHERE e.parent_id IS NOT NULL)
		SELECT ` + lockColumns + ` FROM above a JOIN locks l ON l.entry_id = a.id
		WHERE (a.own OR l.deep) AND l.expires_at > ?2`

	// locksBelow goes up from the locks, which are few, not down the tree.
	locksBelow = `WITH RECURSIVE above (token, id) AS (
			SELECT l.token, e.parent_id FROM locks l JOIN entries e ON e.id = l.entry_id WHERE l.expires_at > ?2
			UNION
			SELECT a.token, e.parent_id FROM above a JOIN entries e ON e.id = a.id WHERE e.parent_id IS NOT NULL)
		SELECT ` + lockColumns + ` FROM above a JOIN locks l ON l.token = a.token WHERE a.id = ?1`

	locksIn = `SELECT ` + lockColumns + ` FROM locks l JOIN entries e ON e.id = l.entry_id
		WHERE e.parent_id = ?1 AND l.expires_at > ?2`
)

// CreateLock implements meta.Locks.
func (s *Store) CreateLock(ctx context.Context, l meta.Lock, now time.Time) (others []meta.Lock, err error) {
	err = s.update(ctx, func(tx querier) error {
		others = nil
		if _, err := entry(ctx, tx, l.Entry, meta.AnyViewer); err != nil {
			return err
		}
		there, err := rows(ctx, tx, scanLock, locksOver, l.Entry, now.UnixMicro())
		if err == nil && l.Deep {
			var below []meta.Lock
			below, err = rows(ctx, tx, scanLock, locksBelow, l.Entry, now.UnixMicro())
			there = append(there, below...)
		}
		if err != nil {
			return err
		}
		for _, other := range there {
			if !l.Shared || !other.Shared {
				others = append(others, other)
			}
		}
		if len(others) > 0 {
			return cloud.UserErrorf(cloud.ErrExists, "it is locked")
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM locks WHERE user_id = ? AND expires_at > ?`,
			l.User, now.UnixMicro()).Scan(&n); err != nil {
			return err
		}
		if n >= meta.MaxLocks {
			return cloud.UserErrorf(cloud.ErrLimited, "a user holds at most %d locks", meta.MaxLocks)
		}
		return exec(ctx, tx, `INSERT INTO locks (token, entry_id, user_id, shared, deep, owner, timeout, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			l.Token, l.Entry, l.User, l.Shared, l.Deep, append([]byte{}, l.Owner...), l.Timeout.Microseconds(), l.ExpiresAt.UnixMicro())
	})
	if err != nil {
		return others, fmt.Errorf("lock %d: %w", l.Entry, err)
	}
	return nil, nil
}

// LocksOver implements meta.Locks.
func (s *Store) LocksOver(ctx context.Context, id cloud.EntryID, now time.Time) ([]meta.Lock, error) {
	return s.locks(ctx, locksOver, id, now)
}

// LocksBelow implements meta.Locks.
func (s *Store) LocksBelow(ctx context.Context, id cloud.EntryID, direct bool, now time.Time) ([]meta.Lock, error) {
	if direct {
		return s.locks(ctx, locksIn, id, now)
	}
	return s.locks(ctx, locksBelow, id, now)
}

func (s *Store) locks(ctx context.Context, query string, id cloud.EntryID, now time.Time) (all []meta.Lock, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanLock, query, id, now.UnixMicro())
		return err
	})
	return all, err
}

func scanLock(row scanner) (l meta.Lock, err error) {
	var timeout, expires int64
	if err := row.Scan(&l.Token, &l.Entry, &l.User, &l.Shared, &l.Deep, &l.Owner, &timeout, &expires); err != nil {
		return meta.Lock{}, err
	}
	l.Timeout, l.ExpiresAt = time.Duration(timeout)*time.Microsecond, fromStamp(expires)
	return l, nil
}

// RefreshLock implements meta.Locks.
func (s *Store) RefreshLock(ctx context.Context, token string, timeout time.Duration, now time.Time) (l meta.Lock, err error) {
	err = s.update(ctx, func(tx querier) error {
		if err := one(changed(ctx, tx, `UPDATE locks SET timeout = ?, expires_at = ? WHERE token = ? AND expires_at > ?`,
			timeout.Microseconds(), now.Add(timeout).UnixMicro(), token, now.UnixMicro())); err != nil {
			return err
		}
		l, err = scanLock(tx.QueryRowContext(ctx, `SELECT `+lockColumns+` FROM locks l WHERE l.token = ?`, token))
		return err
	})
	if err != nil {
		return meta.Lock{}, fmt.Errorf("refresh lock: %w", err)
	}
	return l, nil
}

// DeleteLock implements meta.Locks.
func (s *Store) DeleteLock(ctx context.Context, token string) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `DELETE FROM locks WHERE token = ?`, token))
	})
	if err != nil {
		return fmt.Errorf("delete lock: %w", err)
	}
	return nil
}

// MoveLocks implements meta.Locks.
func (s *Store) MoveLocks(ctx context.Context, from, to cloud.EntryID) error {
	err := s.update(ctx, func(tx querier) error {
		if from != to {
			return exec(ctx, tx, `UPDATE locks SET entry_id = ? WHERE entry_id = ?`, to, from)
		}
		return exec(ctx, tx, `WITH RECURSIVE above (token, id) AS (
				SELECT token, entry_id FROM locks
				UNION
				SELECT a.token, e.parent_id FROM above a JOIN entries e ON e.id = a.id WHERE e.parent_id IS NOT NULL)
			DELETE FROM locks WHERE token IN (SELECT token FROM above WHERE id = ?)`, from)
	})
	if err != nil {
		return fmt.Errorf("move locks of %d: %w", from, err)
	}
	return nil
}

// ExpireLocks implements meta.Locks.
func (s *Store) ExpireLocks(ctx context.Context, now time.Time) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM locks WHERE expires_at <= ?`, now.UnixMicro())
	})
}
