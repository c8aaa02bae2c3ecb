package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var _ meta.Tickets = (*Store)(nil)

// AddTicket implements meta.Tickets.
func (s *Store) AddTicket(ctx context.Context, t meta.Ticket, now time.Time, most int) error {
	err := s.update(ctx, func(tx querier) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM tickets WHERE session = ? AND expires_at > ?`,
			t.Session, now.UnixMicro()).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			var oldest []byte
			err := tx.QueryRowContext(ctx, `SELECT sum FROM tickets WHERE session = ? AND used AND expires_at > ? ORDER BY expires_at LIMIT 1`,
				t.Session, now.UnixMicro()).Scan(&oldest)
			if errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("%w: the session has %d tickets", cloud.ErrLimited, n)
			}
			if err != nil {
				return err
			}
			if err := exec(ctx, tx, `DELETE FROM tickets WHERE sum = ?`, oldest); err != nil {
				return err
			}
		}
		return exec(ctx, tx, `INSERT INTO tickets (sum, purpose, user_id, session, entry_id, expires_at, used) VALUES (?, ?, ?, ?, ?, ?, FALSE)`,
			t.Sum[:], t.Purpose, t.User, t.Session, t.Entry, t.ExpiresAt.UnixMicro())
	})
	if err != nil {
		return fmt.Errorf("add ticket: %w", err)
	}
	return nil
}

// UseTicket implements meta.Tickets.
func (s *Store) UseTicket(ctx context.Context, sum cloud.Sum, purpose string, now time.Time, once bool, after time.Time) (t meta.Ticket, err error) {
	read := func(q querier, statement string, args ...any) error {
		var expires int64
		t = meta.Ticket{Sum: sum, Purpose: purpose}
		err := q.QueryRowContext(ctx, statement, args...).Scan(&t.User, &t.Session, &t.Entry, &expires, &t.Used)
		t.ExpiresAt = fromStamp(expires)
		return notFound(err, "ticket")
	}
	const columns, where = `user_id, session, entry_id, expires_at, used`, `sum = ? AND purpose = ? AND expires_at > ?`
	err = s.query(ctx, func(q querier) error {
		return read(q, `SELECT `+columns+` FROM tickets WHERE `+where, sum[:], purpose, now.UnixMicro())
	})
	switch {
	case err != nil || t.Used && !once:
	case once: // of two at once, one deletes it
		err = s.amend(ctx, func(tx querier) error {
			return read(tx, `DELETE FROM tickets WHERE `+where+` RETURNING `+columns, sum[:], purpose, now.UnixMicro())
		})
	default:
		err = s.amend(ctx, func(tx querier) error {
			return read(tx, `UPDATE tickets SET expires_at = CASE WHEN used THEN expires_at ELSE ? END, used = TRUE
				WHERE `+where+` RETURNING `+columns, after.UnixMicro(), sum[:], purpose, now.UnixMicro())
		})
	}
	if err != nil {
		return meta.Ticket{}, err
	}
	return t, nil
}

// ExpireTickets implements meta.Tickets.
func (s *Store) ExpireTickets(ctx context.Context, now time.Time) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM tickets WHERE expires_at <= ?`, now.UnixMicro())
	})
}
