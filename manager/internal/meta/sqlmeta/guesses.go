package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
)

var _ meta.Guesses = (*Store)(nil)

// tally is a row of attempts.
type tally struct{ tries, until, ends int64 }

// lockTally makes the row of a name if there is none, and keeps others from it
// until the transaction ends.
func lockTally(ctx context.Context, tx querier, name string) (t tally, err error) {
	err = tx.QueryRowContext(ctx, `INSERT INTO attempts (name, tries, until_at, ends_at) VALUES (?, 0, 0, 0)
		ON CONFLICT (name) DO UPDATE SET tries = attempts.tries RETURNING tries, until_at, ends_at`, name).Scan(&t.tries, &t.until, &t.ends)
	return t, err
}

func (t tally) keep(ctx context.Context, tx querier, name string) error {
	return exec(ctx, tx, `UPDATE attempts SET tries = ?, until_at = ?, ends_at = ? WHERE name = ?`, t.tries, t.until, t.ends, name)
}

// inLine gives the indexes of all by name: who locks rows in one order waits for
// others, and never they for him.
func inLine(all []meta.Attempts) []int {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(all[a].Name, all[b].Name) })
	return order
}

// TakeAttempts implements meta.Guesses.
func (s *Store) TakeAttempts(ctx context.Context, now time.Time, all ...meta.Attempts) (wait time.Duration, index int, err error) {
	err = s.amend(ctx, func(tx querier) error {
		wait, index = 0, len(all)
		at := now.UnixMicro()
		tallies := make([]tally, len(all))
		for _, i := range inLine(all) {
			t, err := lockTally(ctx, tx, all[i].Name)
			if err != nil {
				return err
			}
			if t.ends <= at {
				t = tally{}
			}
			if left := t.until - at; left > 0 && i < index {
				wait, index = time.Duration(left)*time.Microsecond, i
			}
			tallies[i] = t
		}
		if wait > 0 {
			return errTooSoon
		}
		for i, a := range all {
			t := &tallies[i]
			t.tries++
			if over := t.tries - int64(a.Burst); over >= 0 {
				t.until = at + min(a.Base<<min(over, 20), a.Most).Microseconds()
			}
			t.ends = max(at, t.until) + a.Base.Microseconds()
			if err := t.keep(ctx, tx, a.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errTooSoon) {
		err = nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count attempts: %w", err)
	}
	return wait, index, nil
}

// errTooSoon undoes what makes rows to lock them.
var errTooSoon = errors.New("too soon")

// GiveBackAttempts implements meta.Guesses.
func (s *Store) GiveBackAttempts(ctx context.Context, all ...meta.Attempts) error {
	err := s.amend(ctx, func(tx querier) error {
		for _, i := range inLine(all) {
			t, err := lockTally(ctx, tx, all[i].Name)
			if err != nil {
				return err
			}
			t.tries = max(0, t.tries-1)
			if t.tries < int64(all[i].Burst) {
				t.until = 0
			}
			if t.tries == 0 {
				t.ends = 0
			}
			if err := t.keep(ctx, tx, all[i].Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("give attempts back: %w", err)
	}
	return nil
}

// ClearAttempts implements meta.Guesses.
func (s *Store) ClearAttempts(ctx context.Context, names ...string) error {
	names = slices.Sorted(slices.Values(names))
	return s.amend(ctx, func(tx querier) error {
		for _, name := range names {
			if err := exec(ctx, tx, `DELETE FROM attempts WHERE name = ?`, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// MarkAttempt implements meta.Guesses.
func (s *Store) MarkAttempt(ctx context.Context, name string, until time.Time) error {
	return s.amend(ctx, func(tx querier) error {
		return exec(ctx, tx, `INSERT INTO attempts (name, tries, until_at, ends_at) VALUES (?, 0, 0, ?)
			ON CONFLICT (name) DO UPDATE SET ends_at = excluded.ends_at`, name, until.UnixMicro())
	})
}

// Marked implements meta.Guesses.
func (s *Store) Marked(ctx context.Context, name string, now time.Time) (is bool, err error) {
	err = s.query(ctx, func(q querier) error {
		var one int
		err := q.QueryRowContext(ctx, `SELECT 1 FROM attempts WHERE name = ? AND ends_at > ?`, name, now.UnixMicro()).Scan(&one)
		is = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return is, err
}

// ExpireAttempts implements meta.Guesses.
func (s *Store) ExpireAttempts(ctx context.Context, now time.Time) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM attempts WHERE ends_at <= ?`, now.UnixMicro())
	})
}
