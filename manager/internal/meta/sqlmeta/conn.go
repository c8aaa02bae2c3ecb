package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// querier is what a pool and a transaction have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// query runs f on the reading connections; each statement of f sees the state
// of its own moment. f may be called again, so it must set what it returns, not
// add to it.
func (s *Store) query(ctx context.Context, f func(q querier) error) error {
	if on := scopeOf(ctx); on != nil {
		return s.part(ctx, f(on.q))
	}
	return s.enter(ctx, func() error { return f(s.engine.speak(s.read)) })
}

// snapshot runs f in one reading transaction, on the same terms.
func (s *Store) snapshot(ctx context.Context, f func(q querier) error) error {
	if on := scopeOf(ctx); on != nil {
		return s.part(ctx, f(on.q))
	}
	return s.enter(ctx, func() error { return s.engine.view(ctx, f) })
}

// update runs f in a writing transaction, which is durable when update has
// returned nil, and undone otherwise. There is one at a time: what f has read
// stays so until it has ended. f may be called again, as in query.
func (s *Store) update(ctx context.Context, f func(tx querier) error) error {
	return s.modify(ctx, true, f)
}

// amend is update for what may happen beside other changes: f begins with the
// UPDATE of a row that holds up all who would be in its way.
func (s *Store) amend(ctx context.Context, f func(tx querier) error) error {
	return s.modify(ctx, false, f)
}

func (s *Store) modify(ctx context.Context, alone bool, f func(tx querier) error) error {
	if err := s.engine.failure(); err != nil {
		return err
	}
	if l, ok := meta.LeaseOf(ctx); ok { // leases change hands alone, too
		alone, f = true, holding(ctx, l, f)
	}
	if on := scopeOf(ctx); on != nil {
		return s.part(ctx, on.change(ctx, alone, func() error { return f(on.q) }))
	}
	return s.enter(ctx, func() error { return s.engine.update(ctx, alone, f) })
}

// enter runs call while the store is open, again while the database is in
// trouble that passes, and gives its error a kind.
func (s *Store) enter(ctx context.Context, call func() error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fmt.Errorf("database: %w", cloud.ErrShutdown)
	}
	deadline := time.Now().Add(s.busy)
	for {
		err := call()
		if err == nil || ctx.Err() != nil || !s.engine.passing(err) || time.Now().After(deadline) {
			return s.classify(ctx, err)
		}
		wait := time.NewTimer(20 * time.Millisecond)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return s.classify(ctx, ctx.Err())
		}
	}
}

// inTransaction runs f in a transaction, which is undone if f fails.
func inTransaction(ctx context.Context, db *sql.DB, o *sql.TxOptions, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit without effect
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// rows gathers what a query gives.
func rows[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := each(ctx, q, func(row scanner) error {
		v, err := scan(row)
		all = append(all, v)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// each calls f for each row that a query gives.
func each(ctx context.Context, q querier, f func(scanner) error, query string, args ...any) error {
	r, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := f(r); err != nil {
			return err
		}
	}
	return r.Err()
}

// eachPair calls f for each row of two texts.
func eachPair(ctx context.Context, q querier, f func(a, b string), query string) error {
	return each(ctx, q, func(row scanner) error {
		var a, b string
		err := row.Scan(&a, &b)
		f(a, b)
		return err
	}, query)
}

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

func scanID[T ~int64 | ~string](row scanner) (T, error) {
	var id T
	err := row.Scan(&id)
	return id, err
}

// changed runs a statement and tells how many rows it changed.
func changed(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	r, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// exec runs a statement.
func exec(ctx context.Context, q querier, query string, args ...any) error {
	_, err := q.ExecContext(ctx, query, args...)
	return err
}
