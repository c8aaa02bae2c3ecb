package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"discordcloud/pkg/cloud"
)

// fence keeps a second manager away from a PostgreSQL database: a lock that is
// held by a transaction which does nothing else, for as long as the manager runs.
// The server takes it back when the connection ends, however that happens. A
// transaction, since a lock of the session would stay with pgbouncer's connection;
// without a snapshot or an id of its own it holds up no VACUUM.
type fence struct {
	db   *sql.DB
	stop context.CancelFunc
	done sync.WaitGroup
	lost atomic.Bool // another manager has it
}

const (
	// fencePulse is how often the connection is tried: what is between may think
	// it idle, and the manager has to know that it is gone.
	fencePulse = 5 * time.Second
	// takeFence lets the server notice within half a minute that the manager's
	// machine is gone.
	takeFence = `BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0;
		SET LOCAL tcp_keepalives_idle = 10; SET LOCAL tcp_keepalives_interval = 5; SET LOCAL tcp_keepalives_count = 3`
)

// take tries to get the lock; the connection that holds it is nil if another
// manager does.
func (f *fence) take(ctx context.Context) (*sql.Conn, error) {
	c, err := f.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var taken bool
	if _, err = command(ctx, c, takeFence); err == nil {
		err = c.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(fenceKey)).Scan(&taken)
	}
	if err == nil && taken {
		return c, nil
	}
	_, _ = command(ctx, c, "ROLLBACK") // or the connection is closed
	_ = c.Close()
	return nil, err
}

// raise takes the lock and keeps it until the fence is closed. It waits a while
// for one whose manager is about to end.
func (e *postgresEngine) raise(ctx context.Context, patience time.Duration) error {
	f := &fence{db: e.connect(1)}
	deadline := time.Now().Add(patience)
	for {
		c, err := f.take(ctx)
		if err == nil && c != nil {
			keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
			f.stop = stop
			f.done.Go(func() { f.keep(keeping, c) })
			e.fence = f
			return nil
		}
		if err == nil && time.Now().After(deadline) {
			err = cloud.UserErrorf(cloud.ErrUnavailable, "%s is in use by another manager", e.name())
		}
		if err != nil {
			_ = f.db.Close() // nothing is open
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			_ = f.db.Close()
			return ctx.Err()
		}
	}
}

// keep holds the lock, and takes it again when the connection was lost. Another
// manager may have been faster: then nothing is written until it has gone.
func (f *fence) keep(ctx context.Context, c *sql.Conn) {
	wait := fencePulse
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			if c != nil {
				end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				_, _ = command(end, c, "ROLLBACK") // or the server finds the connection closed
				cancel()
				_ = c.Close()
			}
			return
		}
		if c != nil {
			try, cancel := context.WithTimeout(ctx, fencePulse)
			_, err := command(try, c, "SELECT 1")
			cancel()
			if err == nil {
				continue
			}
			_ = c.Close()
			c = nil
		}
		try, cancel := context.WithTimeout(ctx, fencePulse)
		again, err := f.take(try)
		cancel()
		if c = again; err == nil {
			f.lost.Store(c == nil)
		}
		if wait = fencePulse; c == nil {
			wait = 100 * time.Millisecond
		}
	}
}

func (f *fence) close() error {
	if f == nil {
		return nil
	}
	f.stop()
	f.done.Wait()
	return f.db.Close()
}

// failure tells of another manager that has the database.
func (e *postgresEngine) failure() error {
	if e.fence != nil && e.fence.lost.Load() {
		return fmt.Errorf("%w: another manager uses the database", cloud.ErrUnavailable)
	}
	return nil
}
