// Package sqlmeta is the manager's database in SQL: in one SQLite file, in
// PostgreSQL, or in PostgreSQL behind the REST API of Supabase. It keeps the
// contract of package meta; what rows mean to users is known above it. Tables and
// statements are the same in all, see dialect.go for the few words that are not.
//
// SQLite is modernc.org/sqlite, without cgo. One connection writes, in immediate
// transactions; a few read. The file is in WAL mode with synchronous=FULL: with
// NORMAL a power cut loses changes that had been acknowledged.
//
// PostgreSQL 13 or later is spoken to through pgx, in a way that works behind
// pgbouncer in transaction mode. Statements whose answers nobody waits for travel
// with the next one, see pipeline.
//
// Over REST only a stored function is a transaction. There is one, which runs the
// statements of this package, see package restsql; there all calls below a Together
// are one transaction.
//
// Why one table for files and folders: a name is taken once in a folder, over
// both kinds, and only an index holds that up against two writers at once.
//
// Why running totals per folder by who sees what they count: a sum over a tree of
// a million entries takes a second, and what somebody sees is some of these rows,
// with those of the few entries that shares open to him.
package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
)

// Options say how a database is opened. Zero values are defaults.
type Options struct {
	// URL is that of a PostgreSQL database, postgres://…, or of a Supabase project,
	// https://…. Without one the database is SQLite's.
	URL string
	// Key is that of a Supabase project's service role.
	Key config.Secret
	// Path of SQLite's file. It and its folder are made if they are missing, for
	// the owner's eyes only. Beside it lie "-wal", "-shm" and ".lock".
	Path string
	// Shared allows another process to have the database open, as a command line
	// has beside a running manager. Tables are not brought up to date then.
	Shared bool
	Log    *slog.Logger
	Now    func() time.Time
	// Readers is how many connections read, by default 4 of SQLite, 8 of PostgreSQL.
	Readers int
	// Busy is how long a call waits while another program, a backup for
	// instance, keeps SQLite's file locked, or while PostgreSQL is away; 5 s by
	// default. Then it is ErrUnavailable.
	Busy time.Duration
}

// Store is an open database. It implements meta.Store.
type Store struct {
	log         *slog.Logger
	now         func() time.Time
	busy        time.Duration
	engine      engine
	write, read *sql.DB                        // the engine's
	retention   atomic.Pointer[meta.Retention] // nil keeps nothing
	few, some   int                            // see fewNames

	mu     sync.RWMutex // held for reading by every call, so that Close waits
	closed bool
}

var _ meta.Store = (*Store)(nil)

// Open opens a database, makes it if there is none, and brings its tables up to
// date. It refuses, with a text fit to be shown: a file that another process
// has open (ErrUnavailable), one whose tables are newer than this program
// (ErrInvalid), and one that is damaged or no database of ours (ErrCorrupt).
func Open(ctx context.Context, o Options) (*Store, error) {
	s := newStore(&o)
	beside, err := s.connect(o)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := s.open(ctx, beside); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), s.engine.close())
	}
	return s, nil
}

// newStore puts the defaults in.
func newStore(o *Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Busy <= 0 {
		o.Busy = 5 * time.Second
	}
	return &Store{log: o.Log, now: o.Now, busy: o.Busy, few: fewNames, some: postgresNames}
}

// connect chooses the engine. beside tells that another process keeps the tables
// up to date.
func (s *Store) connect(o Options) (beside bool, err error) {
	if strings.HasPrefix(o.URL, "https://") || strings.HasPrefix(o.URL, "http://") {
		e := openRest(o)
		s.engine, s.now, beside = e, e.clock.Now, o.Shared
	} else if o.URL != "" {
		e, err := openPostgres(o)
		if err != nil {
			return false, err
		}
		s.engine, beside = e, o.Shared
	} else {
		e, shared, err := openSQLite(o)
		if err != nil {
			return false, err
		}
		s.engine, beside, s.some = e, shared, sqliteNames
	}
	s.write, s.read = s.engine.pools()
	return beside, nil
}

func (s *Store) open(ctx context.Context, beside bool) error {
	if beside {
		if err := s.enter(ctx, func() error { return sameVersion(ctx, s.engine, len(migrations())) }); err != nil {
			return err
		}
		return s.whole(ctx)
	}
	start := time.Now()
	from, to, err := s.takePart(ctx)
	if err != nil {
		return err
	}
	if err := s.whole(ctx); err != nil {
		return err
	}
	if err := s.engine.ready(ctx); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "database opened", "from", from, "schema", to, "took", time.Since(start))
	return nil
}

// whole refuses a database that a Restore or a Move was cut short in: what is in it
// is not what was copied, and a backup of it would pass for one of everything.
func (s *Store) whole(ctx context.Context) error {
	return s.query(ctx, func(q querier) error {
		begun, err := unfinished(ctx, q)
		if begun {
			err = cloud.UserErrorf(cloud.ErrInvalid, "%s is only half filled, by a restore or migrate-database that was cut short: run the same again", s.engine.name())
		}
		return err
	})
}

// takePart makes the store a manager's, with tables of this program's version.
// They change only while no manager uses them: an older one would not know what
// to make of them.
func (s *Store) takePart(ctx context.Context) (from, to int, err error) {
	raise := func(alone bool, patience time.Duration) error {
		return s.enter(ctx, func() error { return s.engine.raise(ctx, alone, patience) })
	}
	first := -1 // version at the beginning
	for deadline := time.Now().Add(s.busy); ; {
		if err := raise(false, s.busy); err != nil {
			return 0, 0, err
		}
		if err := s.enter(ctx, func() error { return s.engine.inspect(ctx) }); err != nil {
			return 0, 0, s.damaged(err)
		}
		if err := s.enter(ctx, func() (err error) {
			from, err = schemaVersion(ctx, s.engine, s.read)
			return err
		}); err != nil {
			return 0, 0, s.damaged(err)
		}
		if first < 0 {
			first = from
		}
		if from < len(migrations()) && !s.engine.sole() {
			if err := s.engine.lower(); err != nil {
				return 0, 0, err
			}
			if err := raise(true, 200*time.Millisecond); err != nil {
				if errors.Is(err, cloud.ErrUnavailable) && time.Now().Before(deadline) {
					continue // others may be about to go, or be doing just this
				}
				return 0, 0, err
			}
		}
		if err := s.enter(ctx, func() (err error) {
			_, to, err = migrate(ctx, s.engine, migrations(), s.now())
			return err
		}); err != nil {
			return 0, 0, s.damaged(err)
		}
		if from == to || s.engine.sole() {
			return first, to, nil
		}
		if err := s.engine.lower(); err != nil {
			return 0, 0, err
		}
	}
}

// damaged gives an ErrCorrupt a text that says which database it is about.
func (s *Store) damaged(err error) error {
	if !errors.Is(err, cloud.ErrCorrupt) {
		return err
	}
	return cloud.UserErrorf(cloud.ErrCorrupt, "%s is damaged or no database of discord-cloud: %v", s.engine.name(), err)
}

// Ping tells whether the database answers. After a write that the disk refused
// it says so until the store is opened again.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.engine.failure(); err != nil {
		return err
	}
	return s.query(ctx, func(q querier) error {
		var root int64
		return q.QueryRowContext(ctx, `SELECT id FROM entries WHERE id = 0`).Scan(&root)
	})
}

// Close waits for the calls under way and closes the file. Calls after it are
// ErrShutdown.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.engine.close()
}

// stamp is the present as a column holds it.
func (s *Store) stamp() int64 { return s.now().UnixMicro() }

func fromStamp(us int64) time.Time { return time.UnixMicro(us).UTC() }

// orStamp is t as a column holds it, now if it is not set.
func orStamp(t time.Time, now int64) int64 {
	if t.IsZero() {
		return now
	}
	return t.UnixMicro()
}
