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

// fence is a process's part in a PostgreSQL database: a lock that managers share,
// and that who restores or migrates has alone, so that the two keep each other away.
// It is held by a transaction which does nothing else, for as long as the process runs.
// The server takes it back when the connection ends, however that happens. A
// transaction, since a lock of the session would stay with pgbouncer's connection;
// without a snapshot or an id of its own it holds up no VACUUM.
type fence struct {
	db    *sql.DB
	alone bool
	stop  context.CancelFunc
	done  sync.WaitGroup
	lost  atomic.Bool // another process keeps managers away, or has done something to the tables
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
// process is in the way.
func (f *fence) take(ctx context.Context) (*sql.Conn, error) {
	c, err := f.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var taken bool
	if err = command(ctx, c, takeFence); err == nil {
		lock := `SELECT pg_try_advisory_xact_lock_shared($1)`
		if f.alone {
			lock = `SELECT pg_try_advisory_xact_lock($1)`
		}
		err = c.QueryRowContext(ctx, lock, int64(fenceKey)).Scan(&taken)
	}
	if err == nil && taken {
		return c, nil
	}
	_ = command(ctx, c, "ROLLBACK") // or the connection is closed
	_ = c.Close()
	return nil, err
}

func (e *postgresEngine) sole() bool { return false }

func (e *postgresEngine) lower() error {
	f := e.fence
	e.fence = nil
	return f.close()
}

// raise takes the lock and keeps it until the fence is closed. It waits a while
// for a process that is about to end.
func (e *postgresEngine) raise(ctx context.Context, alone bool, patience time.Duration) error {
	f := &fence{db: e.connect(1), alone: alone}
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
			err = e.inTheWay(alone)
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

func (e *postgresEngine) inTheWay(alone bool) error {
	if alone {
		return cloud.UserErrorf(cloud.ErrUnavailable, "%s is in use by a manager: stop all managers first", e.name())
	}
	return cloud.UserErrorf(cloud.ErrUnavailable, "%s is being restored, or brought up to date", e.name())
}

// sameTables tells whether the tables are those of this program, which were looked
// at before the lock was lost.
func (f *fence) sameTables(ctx context.Context, c *sql.Conn) (same bool, err error) {
	if f.alone {
		return true, nil
	}
	var version int
	err = c.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version)
	return version == len(migrations()), err
}

// keep holds the lock, and takes it again when the connection was lost. Somebody
// who wants it alone may have been faster: then nothing is written until he has gone,
// and never if he has changed the tables.
func (f *fence) keep(ctx context.Context, c *sql.Conn) {
	wait := fencePulse
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			if c != nil {
				end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				_ = command(end, c, "ROLLBACK") // or the server finds the connection closed
				cancel()
				_ = c.Close()
			}
			return
		}
		if c != nil {
			try, cancel := context.WithTimeout(ctx, fencePulse)
			err := command(try, c, "SELECT 1")
			cancel()
			if err == nil {
				continue
			}
			_ = c.Close()
			c = nil
		}
		try, cancel := context.WithTimeout(ctx, fencePulse)
		again, err := f.take(try)
		if again != nil {
			var same bool
			if same, err = f.sameTables(try, again); !same || err != nil {
				_ = command(try, again, "ROLLBACK") // or the connection is closed
				_ = again.Close()
				again = nil
			}
		}
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

// failure tells of another process that keeps managers away.
func (e *postgresEngine) failure() error {
	if e.fence != nil && e.fence.lost.Load() {
		return fmt.Errorf("%w: the database is being restored, or was brought up to date by a newer program", cloud.ErrUnavailable)
	}
	return nil
}
