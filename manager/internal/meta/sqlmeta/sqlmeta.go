// Package sqlmeta is the manager's database in one SQLite file. It keeps the
// contract of package meta, on modernc.org/sqlite, without cgo; what rows mean
// to users is known above it.
//
// One connection writes, in immediate transactions; a few read, each with a
// small page cache, since the manager has to stay small. The file is in WAL mode
// with synchronous=FULL: with NORMAL a power cut loses changes that had been
// acknowledged.
//
// Why one table for files and folders: a name is taken once in a folder, over
// both kinds, and only an index holds that up against two writers at once.
//
// Why no running totals per folder: the index entries_by_type holds everything
// that a sum over a tree looks at, which is fast enough at a million entries,
// and a total that depends on who looks cannot be kept in a column.
package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Options say how a database is opened. Zero values are defaults.
type Options struct {
	// Path of the file. It and its folder are made if they are missing, for the
	// owner's eyes only. Beside it lie "-wal", "-shm" and ".lock".
	Path string
	// Shared allows another process to have the file open, as a command line has
	// beside a running manager. Tables are not brought up to date then.
	Shared bool
	Log    *slog.Logger
	Now    func() time.Time
	// Readers is how many connections read, 4 by default.
	Readers int
	// Busy is how long a call waits while another program, a backup for
	// instance, keeps the file locked; 5 s by default. Then it is ErrUnavailable.
	Busy time.Duration
}

// Store is an open database. It implements meta.Store.
type Store struct {
	log       *slog.Logger
	now       func() time.Time
	busy      time.Duration
	write     *sql.DB
	read      *sql.DB
	lock      *fileLock
	retention atomic.Pointer[meta.Retention] // nil keeps nothing
	broken    atomic.Pointer[error]          // what the disk said when a write failed

	mu     sync.RWMutex // held for reading by every call, so that Close waits
	closed bool
}

var _ meta.Store = (*Store)(nil)

// Open opens a database, makes it if there is none, and brings its tables up to
// date. It refuses, with a text fit to be shown: a file that another process
// has open (ErrUnavailable), one whose tables are newer than this program
// (ErrInvalid), and one that is damaged or no database of ours (ErrCorrupt).
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{log: o.Log, now: o.Now, busy: o.Busy}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.busy <= 0 {
		s.busy = 5 * time.Second
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s.lock, err = lockFile(path + ".lock")
	beside := o.Shared && errors.Is(err, cloud.ErrUnavailable)
	if err != nil && !beside {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := s.open(ctx, path, o.Readers, beside); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), s.release())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string, readers int, beside bool) error {
	var err error
	if !beside {
		if err := makePrivate(path); err != nil {
			return err
		}
	}
	if s.write, err = connect(path, 1, writePragmas, "_txlock=immediate"); err != nil {
		return err
	}
	if s.read, err = connect(path, readers, readPragmas); err != nil {
		return err
	}
	if beside {
		return sameVersion(ctx, s.write, len(migrations()))
	}
	start := time.Now()
	if err := quickCheck(ctx, s.write); err != nil {
		return damaged(path, s.classify(ctx, err))
	}
	from, to, err := migrate(ctx, s.write, migrations(), s.now())
	if err != nil {
		return damaged(path, s.classify(ctx, err))
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "database opened", "from", from, "schema", to, "took", time.Since(start))
	return nil
}

// damaged gives an ErrCorrupt a text that says which file it is about.
func damaged(path string, err error) error {
	if err == nil || !errors.Is(err, cloud.ErrCorrupt) {
		return err
	}
	return cloud.UserErrorf(cloud.ErrCorrupt, "%s is damaged or no database of discord-cloud: %v", path, err)
}

// quickCheck has SQLite look at every page of the file.
func quickCheck(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", cloud.ErrCorrupt, verdict)
	}
	return nil
}

// makePrivate sees to it that the file exists and is its owner's only. SQLite
// gives the files that it makes beside it the same mode. It is called under the
// lock: to close a file ends the POSIX locks that SQLite has on it elsewhere in
// the process.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f.Chmod(0o600)
	}
	return nil
}

// syncFolder makes the names of new files in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return ignoreUnsupported(d.Sync())
}

// Ping tells whether the database answers. After a write that the disk refused
// it says so until the store is opened again.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.failure(); err != nil {
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
	return s.release()
}

func (s *Store) release() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil { // last, for it is allowed to write: it empties the WAL
		errs = append(errs, s.write.Close())
	}
	return errors.Join(append(errs, s.lock.release())...)
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
