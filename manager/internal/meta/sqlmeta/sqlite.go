package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

const (
	sqliteReaders = 4
	// checkedWhole is how much is read in some tenths of a second.
	checkedWhole = 64 << 20
)

// sqliteEngine is one file. One connection writes, in immediate transactions that
// those who wait share; a few read, each with a small page cache, since the manager
// has to stay small.
type sqliteEngine struct {
	path        string
	log         *slog.Logger
	write, read *sql.DB
	line        *line                 // of those who write
	trigrams    atomic.Bool           // see indexNames
	lock        *fileLock             // nil beside a process that holds it
	broken      atomic.Pointer[error] // what the disk said when a write failed, or a check found
	whole       int64                 // of bytes: a file up to this is checked before it is used
	checking    sync.WaitGroup        // of a bigger one
	stop        context.CancelFunc    // ends that, nil without
}

// openSQLite makes the file if it is missing. beside tells that another process
// has it open, which is ErrUnavailable unless it is shared.
func openSQLite(o Options) (e *sqliteEngine, beside bool, err error) {
	e = &sqliteEngine{log: o.Log, whole: checkedWhole}
	if o.Readers <= 0 {
		o.Readers = sqliteReaders
	}
	if e.path, err = filepath.Abs(o.Path); err != nil {
		return nil, false, err
	}
	if err := os.MkdirAll(filepath.Dir(e.path), 0o700); err != nil {
		return nil, false, err
	}
	e.lock, err = lockFile(e.path + ".lock")
	beside = o.Shared && errors.Is(err, cloud.ErrUnavailable)
	if err != nil && !beside {
		return nil, false, err
	}
	if err := e.connect(o.Readers, beside); err != nil {
		return nil, false, errors.Join(err, e.close())
	}
	return e, beside, nil
}

func (e *sqliteEngine) connect(readers int, beside bool) (err error) {
	if !beside {
		if err := makePrivate(e.path); err != nil {
			return err
		}
	}
	if e.write, err = connect(e.path, 1, writePragmas, "_txlock=immediate"); err != nil {
		return err
	}
	e.line = &line{db: e.write, failure: e.failure, distrust: e.distrust, most: changesMost, work: changesWork, turn: make(chan struct{}, 1)}
	e.read, err = connect(e.path, readers, readPragmas)
	return err
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
	db := sql.OpenDB(preparing{connector})
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
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

func (e *sqliteEngine) name() string { return e.path }

func (e *sqliteEngine) pools() (write, read *sql.DB) { return e.write, e.read }

func (e *sqliteEngine) speak(q querier) querier { return q }

func (e *sqliteEngine) view(ctx context.Context, f func(q querier) error) error {
	return inTransaction(ctx, e.read, &sql.TxOptions{ReadOnly: true}, func(tx *sql.Tx) error { return f(tx) })
}

// update has every change alone: there is one connection for them.
func (e *sqliteEngine) update(ctx context.Context, _ bool, f func(tx querier) error) error {
	return e.line.update(ctx, f)
}

// failure tells of a write that the disk refused.
func (e *sqliteEngine) failure() error {
	if err := e.broken.Load(); err != nil {
		return fmt.Errorf("%w: the database takes no more writes: %w", cloud.ErrUnavailable, *err)
	}
	return nil
}

// distrust remembers that the disk refused a write. What the kernel threw away
// after a failed fsync cannot be known, so nothing is acknowledged any more
// until the file is opened again.
func (e *sqliteEngine) distrust(err error) {
	if refused, ok := errors.AsType[*sqlite.Error](err); ok && refused.Code()&0xff == lib.SQLITE_IOERR {
		if e.broken.CompareAndSwap(nil, &err) {
			e.log.Error("database takes no more writes", "err", err)
		}
	}
}

// sqliteKinds maps SQLite's primary and extended result codes.
var sqliteKinds = []struct {
	code int
	kind error
}{
	{lib.SQLITE_CONSTRAINT_FOREIGNKEY, cloud.ErrNotFound},
	{lib.SQLITE_CONSTRAINT_UNIQUE, cloud.ErrExists},
	{lib.SQLITE_CONSTRAINT_PRIMARYKEY, cloud.ErrExists},
	{lib.SQLITE_CONSTRAINT_CHECK, cloud.ErrInvalid},
	{lib.SQLITE_BUSY, cloud.ErrUnavailable},
	{lib.SQLITE_LOCKED, cloud.ErrUnavailable},
	{lib.SQLITE_READONLY, cloud.ErrUnavailable},
	{lib.SQLITE_IOERR, cloud.ErrUnavailable},
	{lib.SQLITE_CANTOPEN, cloud.ErrUnavailable},
	{lib.SQLITE_NOMEM, cloud.ErrUnavailable},
	{lib.SQLITE_FULL, cloud.ErrFull},
	{lib.SQLITE_CORRUPT, cloud.ErrCorrupt},
	{lib.SQLITE_NOTADB, cloud.ErrCorrupt},
	{lib.SQLITE_TOOBIG, cloud.ErrTooLarge},
}

func (e *sqliteEngine) kindOf(err error) (kind error, own bool) {
	coded, own := errors.AsType[*sqlite.Error](err)
	if !own {
		return nil, false
	}
	for _, k := range sqliteKinds {
		if coded.Code() == k.code || coded.Code()&0xff == k.code {
			return k.kind, true
		}
	}
	return nil, true
}

func (e *sqliteEngine) cutOff(err error) bool {
	coded, ok := errors.AsType[*sqlite.Error](err)
	return ok && coded.Code()&0xff == lib.SQLITE_INTERRUPT
}

// passing is about another program that keeps the file locked.
func (e *sqliteEngine) passing(err error) bool {
	coded, ok := errors.AsType[*sqlite.Error](err)
	return ok && (coded.Code()&0xff == lib.SQLITE_BUSY || coded.Code()&0xff == lib.SQLITE_LOCKED)
}

func (e *sqliteEngine) sole() bool { return true }

// raise has nothing to do: the file is locked since it was opened.
func (e *sqliteEngine) raise(context.Context, bool, time.Duration) error { return nil }

func (e *sqliteEngine) lower() error { return nil }

// announce has nobody to wake.
func (e *sqliteEngine) announce(context.Context, querier) error { return nil }

func (e *sqliteEngine) listen(context.Context, func()) error { return errors.ErrUnsupported }

// inspect has SQLite look at every page of the file. That takes a second for
// each few hundred megabytes, so it goes on beside the work in a big file, whose
// size and first pages alone are looked at before.
func (e *sqliteEngine) inspect(ctx context.Context) error {
	var pages, pageSize int64
	err := e.write.QueryRowContext(ctx, `SELECT page_count, page_size FROM pragma_page_count, pragma_page_size`).Scan(&pages, &pageSize)
	if err != nil {
		return err
	}
	if pages*pageSize <= e.whole {
		return quickCheck(ctx, e.write)
	}
	info, err := os.Stat(e.path)
	if err != nil {
		return err
	}
	wal, err := os.Stat(e.path + "-wal")
	if info.Size() < pages*pageSize && (err != nil || wal.Size() == 0) { // pages may be in the WAL alone
		return fmt.Errorf("%w: it has %d bytes of %d", cloud.ErrCorrupt, info.Size(), pages*pageSize)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	e.checking.Go(func() { e.checkOn(background) })
	return nil
}

// checkOn looks at every page while others read and write. After damage nothing
// is acknowledged any more.
func (e *sqliteEngine) checkOn(ctx context.Context) {
	start := time.Now()
	switch err := quickCheck(ctx, e.read); {
	case ctx.Err() != nil: // closed before
	case err != nil:
		err = fmt.Errorf("%w: %w", cloud.ErrCorrupt, err)
		if e.broken.CompareAndSwap(nil, &err) {
			e.log.Error("database is damaged and takes no more writes", "err", err)
		}
	default:
		e.log.Info("database checked", "took", time.Since(start))
	}
}

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

func (e *sqliteEngine) tables(ctx context.Context, q querier) ([]string, error) {
	all, err := rows(ctx, q, scanID[string], `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	if err == nil && len(all) > 0 && !slices.Contains(all, versionTable) {
		return nil, fmt.Errorf("%w: it holds tables of another program", cloud.ErrCorrupt)
	}
	return all, err
}

// settle has nothing to do: the transaction is the only one that writes.
func (e *sqliteEngine) settle(context.Context, querier) error { return nil }

func (e *sqliteEngine) migration(script string) string { return script }

// guard has nothing to do: the file is its owner's.
func (e *sqliteEngine) guard(context.Context, querier) error { return nil }

// ready makes the index of names, and the names of new files in the folder durable.
func (e *sqliteEngine) ready(ctx context.Context) error {
	if err := e.indexNames(ctx); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(e.path))
	if err != nil {
		return err
	}
	defer d.Close()
	return ignoreUnsupported(d.Sync())
}

func (e *sqliteEngine) check(ctx context.Context, q querier) ([]string, error) {
	faults, err := rows(ctx, q, scanID[string], `SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`)
	if err != nil {
		return nil, err
	}
	broken, err := rows(ctx, q, func(row scanner) (string, error) {
		var from, to string
		var n int
		err := row.Scan(&from, &to, &n)
		return fmt.Sprintf("%d rows of %s name a row of %s that is missing", n, from, to), err
	}, `SELECT "table", "parent", COUNT(*) FROM pragma_foreign_key_check GROUP BY "table", "parent"`)
	if faults = append(faults, broken...); err != nil {
		return nil, err
	}
	there, err := e.hasTrigrams(ctx, q)
	if err != nil || !there {
		return faults, err
	}
	lost, err := rows(ctx, q, func(row scanner) (string, error) {
		id, err := scanID[int64](row)
		return fmt.Sprintf("entry %d is not found by its name", id), err
	}, lostTrigrams)
	return append(faults, lost...), err
}

func (e *sqliteEngine) columns(ctx context.Context, q querier, table string) (all []column, key []string, err error) {
	if all, err = rows(ctx, q, scanColumn, `SELECT name, type FROM pragma_table_info(?)`, table); err != nil {
		return nil, nil, err
	}
	key, err = rows(ctx, q, scanID[string], `SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk`, table)
	return all, key, err
}

func (e *sqliteEngine) references(ctx context.Context, q querier, each func(from, to string)) error {
	return eachPair(ctx, q, each, `SELECT m.name, f."table" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`)
}

func (e *sqliteEngine) insert(ctx context.Context, tx querier, t *tableHead, all [][]any) error {
	var statement strings.Builder
	fmt.Fprintf(&statement, `INSERT INTO %s (%s) VALUES `, t.Table, strings.Join(t.Columns, ", "))
	places := "(?" + strings.Repeat(", ?", len(t.Columns)-1) + ")"
	args := make([]any, 0, len(all)*len(t.Columns))
	for i, row := range all {
		if i > 0 {
			statement.WriteString(", ")
		}
		statement.WriteString(places)
		args = append(args, row...)
	}
	return exec(ctx, tx, statement.String(), args...)
}

func (e *sqliteEngine) lastID(ctx context.Context, q querier, table string) (last int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)`, table).Scan(&last)
	return last, err
}

func (e *sqliteEngine) setLastID(ctx context.Context, tx querier, table string, last int64) error {
	if err := exec(ctx, tx, `DELETE FROM sqlite_sequence WHERE name = ?`, table); err != nil {
		return err
	}
	return exec(ctx, tx, `INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)`, table, last)
}

func (e *sqliteEngine) walk(ctx context.Context, f func(q querier) error) error {
	return e.view(ctx, f)
}

func (e *sqliteEngine) close() error {
	var errs []error
	if e.stop != nil {
		e.stop()
		e.checking.Wait()
	}
	if e.read != nil {
		errs = append(errs, e.read.Close())
	}
	if e.write != nil { // last, for it is allowed to write: it empties the WAL
		errs = append(errs, e.write.Close())
	}
	return errors.Join(append(errs, e.lock.release())...)
}
