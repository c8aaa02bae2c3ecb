package sqlmeta

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"discordcloud/pkg/cloud"
)

const (
	postgresReaders = 8
	postgresLeast   = 13_00_00

	// lockTimeout, statementTimeout and idleTimeout bound what a transaction may
	// wait for: a lock, a statement, and the manager itself between two statements.
	// Who waits longer than the first has met a session that hangs, not one that
	// works. The last is the shortest: what a manager that is frozen within a
	// transaction has locked is free before those who wait for it give up.
	lockTimeout      = 20 * time.Second
	statementTimeout = 5 * time.Minute
	idleTimeout      = 10 * time.Second
	commitTimeout    = 30 * time.Second
)

// Keys of advisory locks, which are a database's own: "dcld" and a number.
const (
	aloneKey   = 0x64636c64_00000001
	migrateKey = 0x64636c64_00000002
	fenceKey   = 0x64636c64_00000003
)

// postgresEngine is a PostgreSQL database. Any connection may be another's after
// a transaction, as behind pgbouncer in transaction mode: what is set or locked
// ends with its transaction, and statements are prepared, which halves their time,
// only where the server itself is at the other end. See pipeline for how they travel.
//
// Why a lock around changes, where PostgreSQL offers SERIALIZABLE: whether a
// folder may go below another depends on all rows above it. Predicate locks for
// that cover pages of the indexes that strangers share, so that they would undo
// each other's work, and a big deletion might never come to its end. In line, each
// change is made once; what only touches a row of its own is let through.
type postgresEngine struct {
	catalogue
	config      *pgx.ConnConfig
	write, read *sql.DB
	words       phrasebook
	log         *slog.Logger
	trigrams    atomic.Bool // see indexNames
	direct      atomic.Bool // no pooler is between
	now         func() time.Time
	turns       *turns
	fence       *fence // nil beside a manager
}

func openPostgres(o Options) (*postgresEngine, error) {
	config, err := pgx.ParseConfig(o.URL)
	if err != nil { // its text may show the password
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "the URL of the database is none of PostgreSQL (postgres://user:password@host:5432/name)")
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = preparedMost, 0
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "discord-cloud"
	}
	if o.Readers <= 0 {
		o.Readers = postgresReaders
	}
	e := &postgresEngine{config: config, words: phrasebook{put: placeNumbered, once: []any{pgx.QueryExecModeExec}}, log: o.Log, now: o.Now, turns: newTurns()}
	e.write, e.read = e.connect(postgresWriters+1), e.connect(o.Readers) // one more finds out about a cut COMMIT
	return e, nil
}

func (e *postgresEngine) connect(most int) *sql.DB {
	db := sql.OpenDB(pipelining{stdlib.GetConnector(*e.config, stdlib.OptionBeforeConnect(func(_ context.Context, c *pgx.ConnConfig) error {
		if e.direct.Load() {
			c.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
		}
		return nil
	}), stdlib.OptionAfterConnect(e.find))})
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour) // so that they spread again after one of several servers was away
	return db
}

// find finds out whether a new connection is with the server itself. Those that come
// after it follow.
func (e *postgresEngine) find(ctx context.Context, c *pgx.Conn) error {
	direct, err := isDirect(ctx, c)
	if err != nil {
		return err
	}
	e.direct.Store(direct)
	if c.Config().DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		return nil
	}
	if !direct {
		return errors.Join(driver.ErrBadConn, c.Close(ctx))
	}
	_, err = c.Prepare(ctx, commitName, "COMMIT WORK")
	return err
}

// isDirect tells whether the process that greeted is the one that answers. With a
// pooler between, the next statement may be for another one.
func isDirect(ctx context.Context, c *pgx.Conn) (bool, error) {
	var pid uint32
	err := c.QueryRow(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeExec).Scan(&pid)
	return pid == c.PgConn().PID(), err
}

func (e *postgresEngine) name() string {
	return fmt.Sprintf("the PostgreSQL database %s at %s", e.config.Database, e.config.Host)
}

func (e *postgresEngine) pools() (write, read *sql.DB) { return e.write, e.read }

func (e *postgresEngine) speak(q querier) querier { return translated{q, &e.words} }

func (e *postgresEngine) view(ctx context.Context, f func(q querier) error) error {
	begin := []*waiter{
		{text: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`},
		{text: fmt.Sprintf(`SELECT set_config('statement_timeout', '%d', true)`, statementTimeout.Milliseconds())},
	}
	return e.transaction(ctx, e.read, true, begin, func(c *sql.Conn) error {
		if err := f(e.speak(c)); err != nil {
			return err
		}
		_, _, err := commit(ctx, c)
		return err
	})
}

// transaction runs f between begin and a ROLLBACK, unless f has ended the
// transaction.
func (e *postgresEngine) transaction(ctx context.Context, db *sql.DB, eager bool, begin []*waiter, f func(c *sql.Conn) error) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close() // one that is still in a transaction is not used again
	if err := onPipeline(c, func(p *pipeline) error { p.open(eager, begin...); return nil }); err != nil {
		return err
	}
	defer onPipeline(c, func(p *pipeline) error { p.close(); return nil }) // of a connection that is lost nothing is left
	if err = f(c); err != nil {
		rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		// Where this fails, the connection is gone, and the transaction with it.
		_ = onPipeline(c, func(p *pipeline) error { return p.rollback(rollback) })
	}
	return err
}

// commit ends a transaction, see pipeline.commit.
func commit(ctx context.Context, c *sql.Conn) (tag string, reached bool, err error) {
	err = onPipeline(c, func(p *pipeline) (err error) {
		tag, reached, err = p.commit(ctx)
		return err
	})
	return tag, reached, err
}

func onPipeline(c *sql.Conn, f func(*pipeline) error) error {
	return c.Raw(func(is any) error { return f(is.(*pipeline)) })
}

// command sends statements without arguments in one message.
func command(ctx context.Context, c *sql.Conn, statements string) error {
	return onPipeline(c, func(p *pipeline) error {
		_, err := p.Conn.Conn().Exec(ctx, statements)
		return err
	})
}

func (e *postgresEngine) judge(err error) verdict {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return verdictOf(refused.Code)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return verdict{kind: cloud.ErrUnavailable, own: true}
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	if connecting || network || pgconn.SafeToRetry(err) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, errCut) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		return verdict{cloud.ErrUnavailable, true, true}
	}
	return verdict{}
}

func (e *postgresEngine) kindOf(err error) (kind error, own bool) {
	v := e.judge(err)
	return v.kind, v.own
}

// cutOff: to end a statement, pgx asks the server for it or ends the connection,
// so that any of its errors may come of it.
func (e *postgresEngine) cutOff(err error) bool {
	kind, own := e.kindOf(err)
	return own && errors.Is(kind, cloud.ErrUnavailable)
}

func (e *postgresEngine) passing(err error) bool { return e.judge(err).passing }

// inspect refuses a server that the tables are not made for.
func (e *postgresEngine) inspect(ctx context.Context) error {
	var version int
	var encoding string
	if err := e.read.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, getdatabaseencoding()`).Scan(&version, &encoding); err != nil {
		return err
	}
	if version < postgresLeast || encoding != "UTF8" {
		return cloud.UserErrorf(cloud.ErrInvalid, "%s has version %d and the encoding %s: it must be PostgreSQL 13 or later, with UTF8",
			e.name(), version/10_000, encoding)
	}
	return nil
}

func (e *postgresEngine) settle(ctx context.Context, tx querier) error {
	return exec(ctx, tx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrateKey))
}

// guard keeps the tables from the roles behind Supabase's public API, to which it
// opens new tables.
func (e *postgresEngine) guard(ctx context.Context, tx querier) error {
	return exec(ctx, tx, fmt.Sprintf(`DO $$
DECLARE
	one  TEXT;
	role TEXT;
BEGIN
	FOR one IN SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
		AND relkind = 'r' AND NOT relrowsecurity AND relname = ANY ('{%s}') LOOP
		EXECUTE format('ALTER TABLE %%I ENABLE ROW LEVEL SECURITY', one);
		EXECUTE format('REVOKE ALL ON TABLE %%I FROM PUBLIC', one);
		FOREACH role IN ARRAY ARRAY['anon', 'authenticated'] LOOP
			IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role) THEN
				EXECUTE format('REVOKE ALL ON TABLE %%I FROM %%I', one, role);
			END IF;
		END LOOP;
	END LOOP;
END
$$`, strings.Join(ourTables(migrations()), ",")))
}

// ready makes the index of names, and removes what processes that ended long ago
// have left of their commits.
func (e *postgresEngine) ready(ctx context.Context) error {
	if err := e.indexNames(ctx); err != nil {
		return err
	}
	return forgetWriters(ctx, e.speak(e.write), e.now())
}

func (e *postgresEngine) walk(ctx context.Context, f func(q querier) error) error {
	return e.view(ctx, func(q querier) error {
		if err := exec(ctx, q, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		return f(q)
	})
}

func (e *postgresEngine) close() error {
	return errors.Join(e.fence.close(), e.read.Close(), e.write.Close())
}
