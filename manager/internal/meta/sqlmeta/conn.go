package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"discordcloud/pkg/cloud"
)

// SQLite itself waits a tenth of a second for a lock, since it does not see
// that a context ends; enter waits for the rest. Temporary tables and the journals
// of big statements go to files, as they do by default: in memory, to delete
// 100,000 files would take 50 MiB more.
var (
	bothPragmas  = []string{"busy_timeout(100)", "foreign_keys(1)", "trusted_schema(0)"}
	writePragmas = []string{"journal_mode(WAL)", "synchronous(FULL)", "cache_size(-8192)", "journal_size_limit(67108864)"}
	readPragmas  = []string{"query_only(1)", "cache_size(-2048)"}
)

// querier is what a pool and a transaction have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func connect(path string, most int, pragmas []string, params ...string) (*sql.DB, error) {
	for _, p := range slices.Concat(bothPragmas, pragmas) {
		params = append(params, "_pragma="+url.QueryEscape(p))
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: strings.Join(params, "&")}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// query runs f on the reading connections; each statement of f sees the state
// of its own moment. f may be called again, so it must set what it returns, not
// add to it.
func (s *Store) query(ctx context.Context, f func(q querier) error) error {
	return s.enter(ctx, func() error { return f(s.read) })
}

// snapshot runs f in one reading transaction, on the same terms.
func (s *Store) snapshot(ctx context.Context, f func(q querier) error) error {
	return s.enter(ctx, func() error {
		tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer tx.Rollback() // nothing to undo
		return f(tx)
	})
}

// update runs f in the one writing transaction, which is durable when update
// has returned nil, and undone otherwise.
func (s *Store) update(ctx context.Context, f func(tx querier) error) error {
	if err := s.failure(); err != nil {
		return err
	}
	err := s.enter(ctx, func() error {
		tx, err := s.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() // after Commit without effect
		if err := f(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
	s.distrust(err)
	return err
}

// enter runs call while the store is open, again while another program keeps
// the file locked, and gives its error a kind.
func (s *Store) enter(ctx context.Context, call func() error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fmt.Errorf("database: %w", cloud.ErrShutdown)
	}
	deadline := time.Now().Add(s.busy)
	for {
		err := call()
		if !isBusy(err) || time.Now().After(deadline) {
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

// failure is the error for every write after one that the disk refused.
func (s *Store) failure() error {
	if err := s.broken.Load(); err != nil {
		return fmt.Errorf("%w: a write to the database failed before: %w", cloud.ErrUnavailable, *err)
	}
	return nil
}

// distrust remembers that the disk refused a write. What the kernel threw away
// after a failed fsync cannot be known, so nothing is acknowledged any more
// until the file is opened again.
func (s *Store) distrust(err error) {
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == lib.SQLITE_IOERR {
		if s.broken.CompareAndSwap(nil, &err) {
			s.log.Error("database takes no more writes", "err", err)
		}
	}
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
