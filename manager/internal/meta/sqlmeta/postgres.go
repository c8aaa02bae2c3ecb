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
	"slices"
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
	postgresWriters = 4 // one of them alone
	postgresLeast   = 13_00_00

	// postgresPatience bounds what a transaction may wait for: a lock, a
	// statement, and the manager itself between two statements. Who waits longer
	// than the first has met a session that hangs, not one that works.
	lockTimeout      = 20 * time.Second
	statementTimeout = 5 * time.Minute
	idleTimeout      = 30 * time.Second
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
// only where the server itself is at the other end.
//
// Why a lock around changes, where PostgreSQL offers SERIALIZABLE: whether a
// folder may go below another depends on all rows above it. Predicate locks for
// that cover pages of the indexes that strangers share, so that they would undo
// each other's work, and a big deletion might never come to its end. In line, each
// change is made once; what only touches a row of its own is let through.
type postgresEngine struct {
	config      *pgx.ConnConfig
	write, read *sql.DB
	words       phrasebook
	log         *slog.Logger
	trigrams    atomic.Bool // see indexNames
	direct      atomic.Bool // no pooler is between
	now         func() time.Time
	writer      string        // names this engine's rows of commits
	alone       chan struct{} // holds one token: in line here, nobody in line holds a connection
	slots       chan int      // of writers beside
	number      atomic.Int64  // of the last transaction
	fence       *fence        // nil beside a manager
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
	e := &postgresEngine{config: config, log: o.Log, now: o.Now, writer: newWriter(), alone: make(chan struct{}, 1), slots: make(chan int, postgresWriters)}
	for slot := range postgresWriters - 1 {
		e.slots <- slot + 1
	}
	e.write, e.read = e.connect(postgresWriters+1), e.connect(o.Readers) // one more finds out about a cut COMMIT
	return e, nil
}

func (e *postgresEngine) connect(most int) *sql.DB {
	db := stdlib.OpenDB(*e.config, stdlib.OptionBeforeConnect(func(_ context.Context, c *pgx.ConnConfig) error {
		if e.direct.Load() {
			c.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
		}
		return nil
	}), stdlib.OptionAfterConnect(e.find))
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
	if c.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement && !direct {
		return errors.Join(driver.ErrBadConn, c.Close(ctx))
	}
	return nil
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
	begin := fmt.Sprintf(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = %d`, statementTimeout.Milliseconds())
	return e.transaction(ctx, e.read, begin, func(c *sql.Conn) error {
		if err := f(e.speak(c)); err != nil {
			return err
		}
		_, err := command(ctx, c, "COMMIT")
		return err
	})
}

// transaction runs f between begin, some statements in one message, and a
// ROLLBACK unless f has ended the transaction.
func (e *postgresEngine) transaction(ctx context.Context, db *sql.DB, begin string, f func(c *sql.Conn) error) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close() // one that is still in a transaction is not used again
	if _, err = command(ctx, c, begin); err == nil {
		err = f(c)
	}
	if err != nil {
		rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = command(rollback, c, "ROLLBACK") // where this fails, the connection is gone, and the transaction with it
	}
	return err
}

// command sends statements without arguments in one message, and gives what the
// server calls the last.
func command(ctx context.Context, c *sql.Conn, statements string) (tag string, err error) {
	err = c.Raw(func(conn any) error {
		t, err := conn.(*stdlib.Conn).Conn().Exec(ctx, statements)
		tag = t.String()
		return err
	})
	return tag, err
}

// postgresKinds maps SQLSTATE codes and their classes.
var postgresKinds = []struct {
	code    string
	kind    error
	passing bool
}{
	{"23503", cloud.ErrNotFound, false},    // foreign_key_violation
	{"23505", cloud.ErrExists, false},      // unique_violation
	{"23514", cloud.ErrInvalid, false},     // check_violation
	{"22021", cloud.ErrInvalid, false},     // character_not_in_repertoire: a NUL in a text
	{"22P05", cloud.ErrInvalid, false},     // untranslatable_character
	{"25006", cloud.ErrUnavailable, true},  // read_only_sql_transaction: a standby that takes over
	{"40001", cloud.ErrUnavailable, true},  // serialization_failure
	{"40P01", cloud.ErrUnavailable, true},  // deadlock_detected
	{"53100", cloud.ErrFull, false},        // disk_full
	{"53", cloud.ErrUnavailable, true},     // insufficient_resources: connections, memory
	{"55P03", cloud.ErrUnavailable, false}, // lock_not_available: has waited already
	{"57014", cloud.ErrUnavailable, false}, // query_canceled: by statement_timeout
	{"57P", cloud.ErrUnavailable, true},    // shut down, crashed, starting
	{"25P03", cloud.ErrUnavailable, true},  // idle_in_transaction_session_timeout
	{"58", cloud.ErrUnavailable, false},    // system_error
	{"08", cloud.ErrUnavailable, true},     // connection_exception
	{"28", cloud.ErrUnavailable, false},    // invalid_authorization_specification
	{"3D000", cloud.ErrUnavailable, false}, // invalid_catalog_name: no such database
	{"XX001", cloud.ErrCorrupt, false},     // data_corrupted
	{"XX002", cloud.ErrCorrupt, false},     // index_corrupted
	{"42P07", cloud.ErrCorrupt, false},     // duplicate_table: another program's
}

// verdict is what an error of the engine's own means.
type verdict struct {
	kind    error // nil for none
	own     bool
	passing bool
}

func (e *postgresEngine) judge(err error) verdict {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		for _, k := range postgresKinds {
			if strings.HasPrefix(refused.Code, k.code) {
				return verdict{k.kind, true, k.passing}
			}
		}
		return verdict{own: true}
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

func (e *postgresEngine) tables(ctx context.Context, q querier) ([]string, error) {
	return rows(ctx, q, scanID[string],
		`SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'`)
}

func (e *postgresEngine) settle(ctx context.Context, tx querier) error {
	return exec(ctx, tx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrateKey))
}

func (e *postgresEngine) migration(script string) string { return tablesToPostgres(script) }

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
	_, err := e.write.ExecContext(ctx, `DELETE FROM commits WHERE at < $1 AND writer <> $2`, e.now().Add(-24*time.Hour).UnixMicro(), restoring)
	return err
}

// check asks for rules that are not in force: PostgreSQL keeps the others itself.
func (e *postgresEngine) check(ctx context.Context, q querier) ([]string, error) {
	return rows(ctx, q, func(row scanner) (string, error) {
		name, err := scanID[string](row)
		return fmt.Sprintf("the rule %s is not in force", name), err
	}, `SELECT conname FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND NOT convalidated`)
}

func (e *postgresEngine) columns(ctx context.Context, q querier, table string) (names, key []string, err error) {
	if names, err = rows(ctx, q, scanID[string], `SELECT column_name::text FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = ?`, table); err != nil {
		return nil, nil, err
	}
	key, err = rows(ctx, q, scanID[string], `SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indisprimary AND i.indrelid = to_regclass(?) ORDER BY array_position(i.indkey::int2[], a.attnum)`, table)
	return names, key, err
}

func (e *postgresEngine) references(ctx context.Context, q querier, each func(from, to string)) error {
	return eachPair(ctx, q, each, `SELECT c.relname, p.relname FROM pg_constraint k
		JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
		WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace`)
}

// sequence is what numbers the rows of a table, "" for nothing.
func (e *postgresEngine) sequence(ctx context.Context, q querier, table string) (string, error) {
	all, err := rows(ctx, q, scanID[string], `SELECT s.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'i'
		WHERE s.relkind = 'S' AND d.refobjid = to_regclass(?)`, table)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return pgx.Identifier{all[0]}.Sanitize(), nil
}

func (e *postgresEngine) lastID(ctx context.Context, q querier, table string) (last int64, err error) {
	sequence, err := e.sequence(ctx, q, table)
	if err != nil || sequence == "" {
		return 0, err
	}
	err = q.QueryRowContext(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM `+sequence).Scan(&last)
	return last, err
}

func (e *postgresEngine) setLastID(ctx context.Context, tx querier, table string, last int64) error {
	sequence, err := e.sequence(ctx, tx, table)
	if err != nil || sequence == "" {
		return err
	}
	return exec(ctx, tx, `SELECT setval(?, ?)`, sequence, last)
}

func (e *postgresEngine) unhurried(ctx context.Context, q querier) error {
	return exec(ctx, q, `SET LOCAL statement_timeout = 0`)
}

func (e *postgresEngine) close() error {
	return errors.Join(e.fence.close(), e.read.Close(), e.write.Close())
}

// ourTables are the names of the tables that migrations make.
func ourTables(all []migration) []string {
	names := []string{versionTable}
	for _, m := range all {
		for _, match := range createTable.FindAllStringSubmatch(m.sql, -1) {
			names = append(names, match[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
