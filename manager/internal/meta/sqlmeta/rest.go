package sqlmeta

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"discordcloud/manager/internal/restsql"
	"discordcloud/pkg/cloud"
)

const (
	restCalls = 16   // at once
	restPage  = 5000 // rows of a table that is read as a whole
	// restWatch is how long the other managers are watched for a sign of life by
	// who wants the database alone: they give one every three seconds.
	restWatch = 4 * time.Second
)

// restEngine is a Supabase project that is reached by its URL and its key. Its
// tables are made by pasting database.sql into the project's SQL editor, and never
// here. What is known of PostgreSQL holds for it, but for what a session has:
// nobody can be listened to, and no lock outlasts a call.
type restEngine struct {
	catalogue
	client *restsql.Client
	db     *sql.DB
	pages  *sql.DB // for queries that read whole tables
	words  phrasebook
	clock  *stillClock
	turns  *turns

	trigrams atomic.Bool // names are indexed by their parts
}

func openRest(o Options) *restEngine {
	client := restsql.New(restsql.Options{URL: o.URL, Key: o.Key, Lock: aloneKey})
	return &restEngine{
		client: client, db: client.DB(restCalls), pages: client.Pages(2, restPage), words: phrasebook{put: restsql.Place},
		clock: &stillClock{now: o.Now}, turns: newTurns(),
	}
}

func (e *restEngine) name() string { return "the Supabase project " + e.client.Host() }

func (e *restEngine) pools() (write, read *sql.DB) { return e.db, e.db }

func (e *restEngine) speak(q querier) querier { return translated{q, &e.words} }

func (e *restEngine) view(ctx context.Context, f func(q querier) error) error {
	return e.client.View(ctx, e.db, func(c *sql.Conn) error { return f(e.speak(c)) })
}

func (e *restEngine) update(ctx context.Context, alone bool, f func(tx querier) error) error {
	t := restTurn{e: e}
	if err := t.take(ctx, alone); err != nil {
		return err
	}
	defer t.done()
	defer e.clock.hold()()
	return e.client.Update(ctx, e.db, "", t.commit, func(c *sql.Conn) error { return f(e.speak(c)) })
}

// together takes its turn when something is about to be changed: what is read behind
// that stays as it is, unless another manager is at work.
func (e *restEngine) together(ctx context.Context, kind string, f func(context.Context) error) error {
	t := restTurn{e: e}
	defer func() {
		if t.done != nil {
			t.done()
		}
	}()
	defer e.clock.hold()()
	var sc scope
	return e.client.Update(ctx, e.db, kind, t.commit, func(c *sql.Conn) error {
		return sc.run(ctx, &scoped{q: e.speak(c), change: func(ctx context.Context, _ bool, f func() error) error {
			if err := t.take(ctx, true); err != nil {
				return err
			}
			return restsql.Part(ctx, c, f)
		}}, f)
	})
}

// restTurn is that of a transaction. They are counted as postgresEngine's are, so
// that it can be found out about one whose last call got no answer. That call may
// still be on its way then: it finds its number taken back, and does nothing.
type restTurn struct {
	e      *restEngine
	writer string
	number int64
	done   func() // nil until it was taken
}

// take takes it once.
func (t *restTurn) take(ctx context.Context, alone bool) (err error) {
	if t.done == nil {
		t.writer, t.number, t.done, err = t.e.turns.take(ctx, alone)
	}
	return err
}

func (t *restTurn) commit() restsql.Commit {
	mark := t.e.statement(`INSERT INTO commits (writer, number, at) VALUES (?1, ?2, ?3)
		ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at WHERE abs(commits.number) < excluded.number`,
		t.writer, t.number, t.e.clock.Now().UnixMicro())
	return restsql.Commit{Mark: mark, Settle: func(ctx context.Context) (bool, error) { return t.e.made(ctx, t.writer, t.number) }}
}

func (e *restEngine) statement(text string, args ...any) restsql.Statement {
	args = plainArgs(args)
	s := restsql.Statement{Text: e.words.lookup(text, args).text}
	for _, arg := range args {
		s.Args = append(s.Args, driver.Value(arg))
	}
	return s
}

func (e *restEngine) foresee(query string, args []any, row ...any) {
	var values []driver.Value
	for _, v := range plainArgs(row) {
		values = append(values, driver.Value(v))
	}
	e.client.Foresee(e.statement(query, args...), values...)
}

// made tells whether a transaction was made. If it was not, it will not be any more.
// It comes behind one that is being made, since that has the lock.
func (e *restEngine) made(ctx context.Context, writer string, number int64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	for {
		var last int64
		err := e.speak(e.db).QueryRowContext(ctx, `INSERT INTO commits (writer, number, at) VALUES (?1, ?2, ?3) ON CONFLICT (writer)
			DO UPDATE SET number = CASE WHEN commits.number = ?4 THEN ?4 ELSE ?2 END, at = excluded.at RETURNING number`,
			writer, -number, e.clock.Now().UnixMicro(), number).Scan(&last)
		switch {
		case err == nil:
			return last == number, nil
		case !e.passing(err): // the client waits between calls that fail
			return false, fmt.Errorf("whether a change was made is not known: %w", err)
		}
	}
}

func (e *restEngine) failure() error { return nil }

func (e *restEngine) judge(err error) verdict {
	if refused, ok := errors.AsType[*restsql.Error](err); ok {
		if v := verdictOf(refused.Code); v.kind != nil {
			return v
		}
		if refused.OfStatement() {
			return verdict{own: true}
		}
		return verdict{cloud.ErrUnavailable, true, refused.Passing()}
	}
	if errors.Is(err, restsql.ErrCut) || errors.Is(err, restsql.ErrChanged) || errors.Is(err, errCut) {
		return verdict{cloud.ErrUnavailable, true, true}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return verdict{kind: cloud.ErrUnavailable, own: true}
	}
	return verdict{}
}

func (e *restEngine) kindOf(err error) (kind error, own bool) {
	v := e.judge(err)
	return v.kind, v.own
}

func (e *restEngine) cutOff(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, restsql.ErrCut)
}

func (e *restEngine) passing(err error) bool { return e.judge(err).passing }

func (e *restEngine) sole() bool { return false }

// raise can keep nobody away. Who wants the database alone looks whether managers
// are at work; those that come later find what he leaves in the table of commits.
func (e *restEngine) raise(ctx context.Context, alone bool, patience time.Duration) error {
	if !alone {
		return nil
	}
	if err := e.inspect(ctx); err != nil {
		return err
	}
	before, err := managers(ctx, e.speak(e.db))
	if err != nil || len(before) == 0 {
		return err
	}
	select {
	case <-time.After(restWatch):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := managers(ctx, e.speak(e.db))
	for id, beat := range after {
		if err == nil && beat != before[id] {
			err = cloud.UserErrorf(cloud.ErrUnavailable, "%s is in use by a manager: stop all managers first", e.name())
		}
	}
	return err
}

func (e *restEngine) lower() error { return nil }

// inspect says when database.sql has to be pasted before a manager can work here.
func (e *restEngine) inspect(ctx context.Context) error {
	version, err := schemaVersion(ctx, e, e.db)
	if newest := len(migrations()); err == nil && version < newest {
		return cloud.UserErrorf(cloud.ErrInvalid,
			"%s has tables of version %d, this program needs version %d: stop all managers, paste its database.sql into the SQL editor, and run it",
			e.name(), version, newest)
	}
	return err
}

// tables is what a database is asked first: it tells why a project does not answer.
func (e *restEngine) tables(ctx context.Context, q querier) ([]string, error) {
	all, err := e.catalogue.tables(ctx, q)
	refused, is := errors.AsType[*restsql.Error](err)
	switch {
	case !is:
		return all, err
	case refused.Code == restsql.NoFunction, refused.Code == restsql.OtherProtocol:
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "%s lacks what this program needs: paste database.sql into its SQL editor, and run it", e.name())
	case refused.Denied():
		return nil, cloud.UserErrorf(cloud.ErrDenied, "%s refuses SUPABASE_KEY: it must be the key of the service role, or a secret key", e.name())
	case refused.Missing():
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "%s does not answer as Supabase does: is SUPABASE_URL the URL of the project?", e.name())
	}
	return nil, err
}

// settle has nothing to do: tables are not migrated here.
func (e *restEngine) settle(context.Context, querier) error { return nil }

func (e *restEngine) guard(context.Context, querier) error { return nil }

func (e *restEngine) seek(text string) (query, arg string, ok bool) {
	return seekTrigrams(text, e.trigrams.Load())
}

// ready looks for the index of names, which database.sql makes, and removes what
// processes that ended long ago have left of their commits.
func (e *restEngine) ready(ctx context.Context) error {
	var there bool
	if err := e.db.QueryRowContext(ctx, `SELECT to_regclass('`+trigramIndex+`') IS NOT NULL`).Scan(&there); err != nil {
		return err
	}
	e.trigrams.Store(there)
	return forgetWriters(ctx, e.speak(e.db), e.clock.Now())
}

// announce wakes managers that have a connection string.
func (e *restEngine) announce(ctx context.Context, tx querier) error { return announce(ctx, tx) }

func (e *restEngine) listen(context.Context, func()) error {
	return fmt.Errorf("listen over REST: %w", errors.ErrUnsupported)
}

// walk reads page by page, each at a moment of its own. Whoever changes something
// leaves the number of his transaction: where these are as they were, all of it was
// one moment.
func (e *restEngine) walk(ctx context.Context, f func(q querier) error) error {
	numbers := func() ([]string, error) {
		return rows(ctx, e.db, scanID[string], `SELECT writer || ' ' || number FROM commits ORDER BY writer`)
	}
	before, err := numbers()
	if err != nil {
		return err
	}
	if err := f(e.speak(e.pages)); err != nil {
		return err
	}
	after, err := numbers()
	if err == nil && !slices.Equal(before, after) {
		err = cloud.UserErrorf(cloud.ErrUnavailable, "%s was changed while it was read: stop all managers first", e.name())
	}
	return err
}

func (e *restEngine) close() error {
	err := errors.Join(e.pages.Close(), e.db.Close())
	e.client.Close()
	return err
}

// stillClock stands still while transactions are tried: what they write, and read
// again behind that, is then the same in each attempt.
type stillClock struct {
	now func() time.Time

	mu    sync.Mutex
	users int
	at    time.Time
}

// stillMost is how long it stands at most.
const stillMost = 2 * time.Second

// hold has it stand until what it gives is called.
func (c *stillClock) hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.users == 0 || now.Sub(c.at) > stillMost {
		c.at = now
	}
	c.users++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.users--
	}
}

func (c *stillClock) Now() time.Time {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if behind := now.Sub(c.at); c.users > 0 && behind >= 0 && behind <= stillMost {
		return c.at
	}
	return now
}
