package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver
)

const schema = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bots (
	id INTEGER PRIMARY KEY, name TEXT NOT NULL, token TEXT NOT NULL UNIQUE, content INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS guilds (
	id INTEGER PRIMARY KEY, name TEXT NOT NULL, owner INTEGER NOT NULL, tier INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS channels (
	id INTEGER PRIMARY KEY, guild INTEGER NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, topic TEXT NOT NULL,
	position INTEGER NOT NULL, parent INTEGER NOT NULL, nsfw INTEGER NOT NULL, slowmode INTEGER NOT NULL, overwrites TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS webhooks (
	id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, guild INTEGER NOT NULL, name TEXT NOT NULL, avatar TEXT NOT NULL,
	token TEXT NOT NULL, creator INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS webhooks_channel ON webhooks (channel);
CREATE TABLE IF NOT EXISTS messages (
	id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, author INTEGER NOT NULL, webhook INTEGER NOT NULL, author_name TEXT NOT NULL,
	kind INTEGER NOT NULL, content TEXT NOT NULL, nonce TEXT NOT NULL, flags INTEGER NOT NULL, tts INTEGER NOT NULL,
	edited INTEGER NOT NULL, extra TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS messages_channel ON messages (channel, id);
CREATE INDEX IF NOT EXISTS messages_nonce ON messages (author, nonce) WHERE nonce <> '';
CREATE TABLE IF NOT EXISTS attachments (
	id INTEGER PRIMARY KEY, message INTEGER NOT NULL, channel INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
	title TEXT NOT NULL, description TEXT NOT NULL, content_type TEXT NOT NULL, size INTEGER NOT NULL, md5 BLOB NOT NULL,
	crc INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, spoiler INTEGER NOT NULL, duration REAL NOT NULL,
	waveform TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS attachments_message ON attachments (message, place);
`

// store is the database. Readers run beside the one writer; what a change
// announces to the gateway is announced in the order of the commits.
type store struct {
	read  *sql.DB
	write *sql.DB
	lock  *sql.DB
	mu    sync.Mutex // held from a change's begin until its events are out
}

// querier is what a read needs: a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func openStore(dir string, sync bool) (st *store, err error) {
	level := "FULL" // in WAL mode, NORMAL may lose commits in a power cut
	if !sync {
		level = "OFF"
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	uri := func(name string) string {
		return (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, name))}).String()
	}
	lock, err := lockStore(uri("lock.db"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close() // the first error tells more
		}
	}()
	dsn := uri("sandbox.db") +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(" + level + ")&_txlock=immediate"
	write, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	if _, err := write.Exec(schema); err != nil {
		_ = write.Close() // the first error tells more
		return nil, fmt.Errorf("open database: %w", err)
	}
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		_ = write.Close() // the first error tells more
		return nil, err
	}
	read.SetMaxOpenConns(8)
	read.SetMaxIdleConns(8)
	return &store{read: read, write: write, lock: lock}, nil
}

// lockStore holds a database that is there to be locked: the system gives it
// free however this process ends, on every platform.
func lockStore(dsn string) (*sql.DB, error) {
	lock, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	lock.SetMaxOpenConns(1)
	if _, err := lock.Exec(`BEGIN EXCLUSIVE`); err != nil {
		_ = lock.Close() // the first error tells more
		return nil, fmt.Errorf("the directory is in use: %w", err)
	}
	return lock, nil
}

func (st *store) close() error {
	return errors.Join(st.read.Close(), st.write.Close(), st.lock.Close())
}

// change is a write transaction, with what is to happen once it has committed.
type change struct {
	*sql.Tx
	after []func()
}

func (c *change) then(f func()) { c.after = append(c.after, f) }

// update runs fn in a transaction. The functions that fn hands to then run
// after the commit, in order, before the next change begins.
func (st *store) update(ctx context.Context, fn func(c *change) error) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	tx, err := st.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	c := &change{Tx: tx}
	if err := fn(c); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, f := range c.after {
		f()
	}
	return nil
}

// meta reads a value, or "" if there is none.
func (st *store) meta(ctx context.Context, q querier, key string) (string, error) {
	var v string
	err := q.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, err
}

func (c *change) setMeta(ctx context.Context, key string, value any) error {
	_, err := c.ExecContext(ctx, `INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// keepID records the highest id that has left the server.
func (c *change) keepID(ctx context.Context, i id) error {
	_, err := c.ExecContext(ctx,
		`INSERT INTO meta VALUES ('last_id', ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)`, int64(i))
	return err
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, q querier, scan func(func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has what matters
	var out []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one reads a query's only row; false if there is none.
func one[T any](ctx context.Context, q querier, scan func(func(...any) error) (T, error), query string, args ...any) (T, bool, error) {
	v, err := scan(q.QueryRowContext(ctx, query, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, err
}
