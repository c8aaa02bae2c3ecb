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
		var full bool
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) >= ?3 FROM tickets WHERE session = ?1 AND expires_at > ?2`,
			t.Session, now.UnixMicro(), most).Scan(&full); err != nil {
			return err
		}
		if full {
			var oldest []byte
			err := tx.QueryRowContext(ctx, `SELECT sum FROM tickets WHERE session = ? AND used AND expires_at > ? ORDER BY expires_at LIMIT 1`,
				t.Session, now.UnixMicro()).Scan(&oldest)
			if errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("%w: the session has %d tickets", cloud.ErrLimited, most)
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
	meta.Afterwards(ctx, func() {
		s.foresee(selectTicket, []any{t.Sum[:], t.Purpose}, t.User, t.Session, t.Entry, t.ExpiresAt.UnixMicro(), false)
	})
	return nil
}

const selectTicket = `SELECT user_id, session, entry_id, expires_at, used FROM tickets WHERE sum = ? AND purpose = ?`

// UseTicket implements meta.Tickets.
func (s *Store) UseTicket(ctx context.Context, sum cloud.Sum, purpose string, now time.Time, once bool, after time.Time) (t meta.Ticket, err error) {
	t = meta.Ticket{Sum: sum, Purpose: purpose}
	err = s.query(ctx, func(q querier) error {
		var expires int64
		err := q.QueryRowContext(ctx, selectTicket, sum[:], purpose).Scan(&t.User, &t.Session, &t.Entry, &expires, &t.Used)
		if t.ExpiresAt = fromStamp(expires); err == nil && expires <= now.UnixMicro() {
			err = sql.ErrNoRows
		}
		return notFound(err, "ticket")
	})
	switch {
	case err != nil || t.Used && !once:
	case once: // of two at once, one deletes it
		err = s.amend(ctx, func(tx querier) error {
			return one(changed(ctx, tx, `DELETE FROM tickets WHERE sum = ? AND purpose = ?`, sum[:], purpose))
		})
	default:
		t.Used, t.ExpiresAt = true, after
		// In a transaction of its own: what is read on the way to a change is dearer. By
		// then the ticket was good, whatever comes of this.
		meta.Afterwards(ctx, func() {
			err = s.amend(ctx, func(tx querier) error {
				return one(changed(ctx, tx, `UPDATE tickets SET expires_at = CASE WHEN used THEN expires_at ELSE ? END, used = TRUE
					WHERE sum = ? AND purpose = ?`, after.UnixMicro(), sum[:], purpose))
			})
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
