//go:build unix

package sqlmeta_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/metatest"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/manager/internal/restsql"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/supabasetest"
)

// TestRest has one server for all projects. The contract runs in a real project
// instead when SUPABASE_TEST_URL and SUPABASE_TEST_KEY name one: everything that
// its tables of ours hold is deleted.
func TestRest(t *testing.T) {
	if url := os.Getenv("SUPABASE_TEST_URL"); url != "" {
		t.Run("contract", func(t *testing.T) { restContract(t, url, config.Secret(os.Getenv("SUPABASE_TEST_KEY"))) })
		return
	}
	server := pgtest.Start(t)
	for name, run := range map[string]func(t *testing.T, p *supabasetest.Project){
		"contract": func(t *testing.T, p *supabasetest.Project) { restContract(t, p.URL, config.Secret(p.Key)) },
		"refused":  restRefused, "lost answers": restLost, "away": restAway, "changed": restChanged, "values": restValues, "behind": restBehind,
		"round trips": restRoundTrips, "move": restMove, "together": restTogether,
	} {
		t.Run(name, func(t *testing.T) {
			p := supabasetest.New(t, server.For(t), strings.ReplaceAll(name, " ", "_"))
			if name != "refused" {
				p.Paste(pasted(t))
			}
			t.Parallel()
			run(t, p)
		})
	}
}

func pasted(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(postgresScript)
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

func openRest(t testing.TB, url string, key config.Secret) *sqlmeta.Store {
	t.Helper()
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: url, Key: key})
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	return s
}

// wipeRest empties tables as the service role may: what others refer to goes once
// those have gone.
const wipeRest = `DO $$
	DECLARE
		one  RECORD;
		left_over INTEGER := 1;
	BEGIN
		WHILE left_over > 0 LOOP
			left_over := 0;
			FOR one IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'schema_version' LOOP
				BEGIN
					EXECUTE format('DELETE FROM %I', one.relname);
				EXCEPTION WHEN foreign_key_violation THEN
					left_over := left_over + 1;
				END;
			END LOOP;
		END LOOP;
		FOR one IN SELECT s.oid::regclass AS name FROM pg_class s WHERE s.relnamespace = 'public'::regnamespace AND s.relkind = 'S' LOOP
			PERFORM setval(one.name, 1, FALSE);
		END LOOP;
		INSERT INTO entries (id, parent_id, name, name_key, kind, public, created_at, updated_at, modified_at, trash_id)
		VALUES (0, NULL, '', '', 'folder', TRUE, 0, 0, 0, NULL), (-1, -1, '', '', 'folder', FALSE, 0, 0, 0, -1);
		INSERT INTO space (user_id) VALUES (0);
	END $$`

func restContract(t *testing.T, url string, key config.Secret) {
	client := restsql.New(restsql.Options{URL: url, Key: key})
	defer client.Close()
	db := client.DB(1)
	defer db.Close()
	last := ""
	metatest.Run(t, func(t testing.TB, dir string) meta.Store {
		t.Helper()
		if dir != last {
			if _, err := db.ExecContext(t.Context(), wipeRest); err != nil {
				t.Fatal(err)
			}
		}
		last = dir
		return openRest(t, url, key)
	})
	t.Logf("%d calls to wipe", client.Calls())
}

// What is wrong with a project is said in words that tell what to do.
func restRefused(t *testing.T, p *supabasetest.Project) {
	refuses := func(kind error, key, text string) {
		t.Helper()
		s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: p.URL, Key: config.Secret(key)})
		if err == nil {
			s.Close()
		}
		if told, ok := errors.AsType[*cloud.UserError](err); !ok || !errors.Is(err, kind) || !strings.Contains(told.Text, text) || strings.Contains(err.Error(), key) {
			t.Errorf("Open = %v, want %v with %q", err, kind, text)
		}
	}
	refuses(cloud.ErrInvalid, p.Key, "paste database.sql")
	refuses(cloud.ErrDenied, "another.key", "SUPABASE_KEY")
	p.Paste(pasted(t))
	p.Paste(`UPDATE schema_version SET version = 3`)
	refuses(cloud.ErrInvalid, p.Key, "tables of version 3")
	p.Paste(`UPDATE schema_version SET version = 9999`)
	refuses(cloud.ErrInvalid, p.Key, "use a newer program")
	p.Paste(`DELETE FROM schema_version; INSERT INTO schema_version VALUES (1, 0); DROP FUNCTION discord_cloud_look`)
	refuses(cloud.ErrInvalid, p.Key, "paste database.sql")
	for _, role := range []string{"anon", "authenticated"} {
		out, err := p.Try(fmt.Sprintf(`SET ROLE %s; SELECT discord_cloud_run('{"keep": false, "steps": []}')`, role))
		if err == nil || !strings.Contains(out, "permission denied") {
			t.Errorf("as %s: %v, %s", role, err, out)
		}
	}
}

// A commit whose answer is lost was made, once; and one that is lost itself is made
// again.
func restLost(t *testing.T, p *supabasetest.Project) {
	s := openRest(t, p.URL, config.Secret(p.Key))
	defer s.Close()
	ctx := t.Context()
	commits := func(body []byte) bool { return bytes.Contains(body, []byte(`"keep":true`)) }
	for i, fault := range []supabasetest.Fault{
		supabasetest.LoseAnswer,
		supabasetest.LoseRequest,
		func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			supabasetest.Says(w, http.StatusServiceUnavailable, "PGRST002", "Could not query the database for the schema cache. Retrying.")
		},
		func(w http.ResponseWriter, r *http.Request, proceed http.Handler) { // a gateway that lost patience
			proceed.ServeHTTP(supabasetest.Nowhere{}, r)
			w.WriteHeader(http.StatusGatewayTimeout)
		},
	} {
		name := fmt.Sprintf("user %d", i)
		p.Spoil(commits, fault)
		user, err := s.CreateUser(ctx, name, "", false, false)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := s.User(ctx, user.ID); err != nil || got.Name != name {
			t.Errorf("%s is %+v, %v", name, got, err)
		}
	}
	if n := p.Paste(`SELECT COUNT(*) FROM users`); n != "4" {
		t.Errorf("%s users, want 4", n)
	}

	// One that is late finds that it was given up.
	late := make(chan func(), 1)
	p.Spoil(commits, func(_ http.ResponseWriter, r *http.Request, proceed http.Handler) {
		again := r.WithContext(context.WithoutCancel(r.Context()))
		late <- func() { proceed.ServeHTTP(supabasetest.Nowhere{}, again) }
		panic(http.ErrAbortHandler)
	})
	if _, _, err := s.MakeFolders(ctx, cloud.Root, []string{"once"}, 0); err != nil {
		t.Fatal(err)
	}
	before := p.Paste(`SELECT COUNT(*), MAX(id) FROM entries`)
	(<-late)()
	if after := p.Paste(`SELECT COUNT(*), MAX(id) FROM entries`); after != before {
		t.Errorf("the late one made of %s %s", before, after)
	}
}

// While the project is away calls wait a little, and say so then.
func restAway(t *testing.T, p *supabasetest.Project) {
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: p.URL, Key: config.Secret(p.Key), Busy: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p.Calls()
	p.SpoilAll(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		supabasetest.Says(w, http.StatusServiceUnavailable, "PGRST001", "Could not connect with the database due to an internal error")
	})
	if _, err := s.Entry(t.Context(), cloud.Root, meta.AnyViewer); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Entry = %v, want %v", err, cloud.ErrUnavailable)
	}
	if n := p.Calls(); n < 2 || n > 12 {
		t.Errorf("it asked %d times", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Entry(ctx, cloud.Root, meta.AnyViewer); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Entry = %v, want %v", err, context.DeadlineExceeded)
	}
	p.SpoilAll(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { // not to be tried again: it has waited
		supabasetest.Says(w, http.StatusInternalServerError, "57014", "canceling statement due to statement timeout")
	})
	p.Calls()
	if _, err := s.Entry(t.Context(), cloud.Root, meta.AnyViewer); !errors.Is(err, cloud.ErrUnavailable) || p.Calls() != 1 {
		t.Errorf("Entry = %v, want %v after one call", err, cloud.ErrUnavailable)
	}
	p.SpoilAll(nil)
	if _, _, err := s.MakeFolders(t.Context(), cloud.Root, []string{"a"}, 0); err != nil {
		t.Errorf("when it is there again: %v", err)
	}
}

// Two managers, each of which remembers what the other changes.
func restChanged(t *testing.T, p *supabasetest.Project) {
	a, b := openRest(t, p.URL, config.Secret(p.Key)), openRest(t, p.URL, config.Secret(p.Key))
	defer a.Close()
	defer b.Close()
	ctx := t.Context()
	for i := range 5 {
		for j, s := range []*sqlmeta.Store{a, b} {
			name := fmt.Sprintf("folder %d %d", i, j)
			made, _, err := s.MakeFolders(ctx, cloud.Root, []string{"in", name}, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range []*sqlmeta.Store{a, b} {
				page, err := other.List(ctx, meta.Query{Parent: made.Parent, Viewer: meta.AnyViewer, Limit: 100})
				if err != nil || len(page.Entries) != 2*i+j+1 {
					t.Fatalf("%d entries, %v; want %d", len(page.Entries), err, 2*i+j+1)
				}
				if _, err := other.Move(ctx, made.ID, made.Parent, name+" moved", meta.ConflictFail, nil); err != nil && !errors.Is(err, cloud.ErrExists) {
					t.Fatal(err)
				}
				if e, err := other.Child(ctx, made.Parent, name+" moved", meta.AnyViewer); err != nil || e.ID != made.ID {
					t.Fatalf("Child = %+v, %v", e, err)
				}
				if _, err := other.Child(ctx, made.Parent, name, meta.AnyViewer); !errors.Is(err, cloud.ErrNotFound) {
					t.Fatalf("Child of the old name = %v", err)
				}
			}
		}
	}
	if faults, err := a.Check(ctx); err != nil || len(faults) > 0 {
		t.Errorf("Check = %v, %v", faults, err)
	}
}

// Every kind of value comes back as it was, the same as through a connection.
func restValues(t *testing.T, p *supabasetest.Project) {
	client := restsql.New(restsql.Options{URL: p.URL, Key: config.Secret(p.Key), Lock: 1})
	defer client.Close()
	db := client.DB(2)
	defer db.Close()
	ctx := t.Context()
	for _, value := range []any{
		int64(0), int64(-1), int64(1<<63 - 1), int64(-1 << 63), int64(1<<53 + 1), true, false, 1.5, "", "a", "\\x6162", "NULL", "$1 ?1 'quote' \"double\" \\ \n\t\r",
		"\u2028<&>\U0001f600\ufffd", "\u0001\u001f\u007f", []byte{}, []byte("\x00\xff\\x"), nil,
	} {
		var got any
		var seven int64
		err := db.QueryRowContext(ctx, "SELECT "+restsql.Place(1, value)+", 7::bigint", value).Scan(&got, &seven)
		if err != nil || fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", value, value) || seven != 7 {
			t.Errorf("%T %v comes back as %T %v, %v", value, value, got, got, err)
		}
	}
	for text, want := range map[string]string{
		"0": "0", "1": "1", "-1": "-1", "10000": "10000", "99999999": "99999999", "-9223372036854775808": "-9223372036854775808",
		"12345678901234567890123": "12345678901234567890123", "0.5": "0.5", "-0.00012": "-0.00012", "10000.10": "10000.10",
	} {
		var got string
		if err := db.QueryRowContext(ctx, "SELECT "+text+"::numeric").Scan(&got); err != nil || got != want {
			t.Errorf("numeric %s is %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"\xff", "a\x00b"} {
		_, err := db.QueryContext(ctx, "SELECT "+restsql.Place(1, bad), bad)
		if refused, ok := errors.AsType[*restsql.Error](err); !ok || refused.Code != "22021" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var n int64
	if err := db.QueryRowContext(ctx, "SELECT 1::bigint WHERE FALSE").Scan(&n); err == nil {
		t.Error("no row is read as one")
	}
	if _, err := db.QueryContext(ctx, "SELECT interval '1 day'"); err == nil {
		t.Error("a type that is not known is read")
	}
}

// What a transaction has read and then changed is asked again behind its changes; that
// this fails undoes nothing.
func restBehind(t *testing.T, p *supabasetest.Project) {
	p.Paste(`CREATE TABLE divisors (n BIGINT); INSERT INTO divisors VALUES (2); CREATE TABLE marks (n BIGINT); INSERT INTO marks VALUES (0)`)
	client := restsql.New(restsql.Options{URL: p.URL, Key: config.Secret(p.Key), Lock: 1})
	defer client.Close()
	db := client.DB(1)
	defer db.Close()
	ctx := t.Context()
	commit := func() restsql.Commit {
		return restsql.Commit{Mark: restsql.Statement{Text: `UPDATE marks SET n = n + 1`}}
	}
	for i, step := range []struct{ read, write, calls int64 }{
		{5, 5, 2},  // what is there is not known yet
		{2, 10, 1}, // it was asked behind the change before
		{1, 0, 3},  // behind this one nothing can be divided: then it is asked before
	} {
		p.Calls()
		var got int64
		if err := client.Update(ctx, db, "", commit, func(c *sql.Conn) error {
			if err := c.QueryRowContext(ctx, `SELECT 10 / n FROM divisors`).Scan(&got); err != nil {
				return err
			}
			_, err := c.ExecContext(ctx, `UPDATE divisors SET n = `+restsql.Place(1, step.write), step.write)
			return err
		}); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if calls := int64(p.Calls()); got != step.read || calls != step.calls {
			t.Errorf("step %d: read %d in %d calls, want %d in %d", i, got, calls, step.read, step.calls)
		}
	}
	if got := p.Paste(`SELECT d.n, m.n FROM divisors d, marks m`); got != "0|3" {
		t.Errorf("there is %s, want 0|3", got)
	}
}

// restRoundTrips counts what the work of users costs, when the same was done before.
func restRoundTrips(t *testing.T, p *supabasetest.Project) {
	s := openRest(t, p.URL, config.Secret(p.Key))
	defer s.Close()
	ctx, now := t.Context(), time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ann, err := s.CreateUser(ctx, "ann", "", false, false)
	must(err)
	must(s.CreateSession(ctx, meta.Session{ID: "s", User: ann.ID, ExpiresAt: now.Add(time.Hour)}))
	dir, _, err := s.MakeFolders(ctx, cloud.Root, []string{"a", "b"}, ann.ID)
	must(err)
	must(s.JoinManagers(ctx, "one", ""))
	n, last := 0, cloud.EntryID(0)
	actions := []struct {
		name string
		most int // when it was done twice before
		do   func() error
	}{
		{"session", 1, func() error { _, _, err := s.Session(ctx, "s", now); return err }},
		{"entry", 1, func() error { _, err := s.Entry(ctx, dir.ID, ann.ID); return err }},
		{"path", 1, func() error { _, err := s.Path(ctx, dir.ID); return err }},
		{"list", 1, func() error {
			_, err := s.List(ctx, meta.Query{Parent: dir.ID, Viewer: ann.ID, Limit: 100})
			return err
		}},
		{"sizes", 1, func() error { _, err := s.Sizes(ctx, dir.ID, ann.ID); return err }},
		{"make a folder", 1, func() error {
			n++
			_, _, err := s.MakeFolders(ctx, dir.ID, []string{fmt.Sprintf("folder %d", n)}, ann.ID)
			return err
		}},
		{"upload", 4, func() (err error) {
			n++
			_, err = upload(ctx, s, ann.ID, fmt.Sprintf("file %d", n))
			return err
		}},
		{"rename", 2, func() error {
			e, err := s.Child(ctx, cloud.Root, fmt.Sprintf("file %d", n), ann.ID)
			must(err)
			p.Calls()
			last = e.ID
			_, err = s.Move(ctx, last, dir.ID, fmt.Sprintf("moved %d", n), meta.ConflictFail, nil)
			return err
		}},
		{"delete", 1, func() error { _, err := s.Delete(ctx, []cloud.EntryID{last}, nil); return err }},
		{"sign of life", 2, func() error { _, err := s.Beat(ctx, "one"); return err }},
	}
	p.Calls()
	for round := range 4 {
		for _, a := range actions {
			must(a.do())
			calls := p.Calls()
			t.Logf("round %d: %s: %d calls", round, a.name, calls)
			if round > 1 && calls > a.most {
				t.Errorf("%s takes %d calls, want %d at most", a.name, calls, a.most)
			}
		}
	}
}

// What is done together is one transaction, tried again when another manager was
// quicker, and made once.
func restTogether(t *testing.T, p *supabasetest.Project) {
	a, b := openRest(t, p.URL, config.Secret(p.Key)), openRest(t, p.URL, config.Secret(p.Key))
	defer a.Close()
	defer b.Close()
	ctx := t.Context()
	make := func(ctx context.Context, s *sqlmeta.Store, name string) error {
		_, _, err := s.MakeFolders(ctx, cloud.Root, []string{name}, 0)
		return err
	}
	there := func(want string) {
		t.Helper()
		if got := p.Paste(`SELECT string_agg(name, ' ' ORDER BY id) FROM entries WHERE parent_id = 0 AND id > 0`); got != want {
			t.Errorf("there is %q, want %q", got, want)
		}
	}

	// An error undoes all, and what was to follow does not.
	wrong := errors.New("a test's")
	followed := 0
	var seen error // in the last attempt: before it, what is seen may be a guess
	err := a.Together(ctx, "fails", func(ctx context.Context) error {
		if err := make(ctx, a, "undone"); err != nil {
			return err
		}
		meta.Afterwards(ctx, func() { followed++ })
		_, seen = a.Child(ctx, cloud.Root, "undone", meta.AnyViewer)
		return wrong
	})
	if !errors.Is(err, wrong) || followed != 0 || seen != nil {
		t.Errorf("Together = %v, followed by %d, having seen its change: %v", err, followed, seen)
	}
	there("")

	// A part that fails leaves the others.
	var moved, deleted error
	err = a.Together(ctx, "goes on", func(ctx context.Context) error {
		if err := make(ctx, a, "first"); err != nil {
			return err
		}
		dir, err := a.Child(ctx, cloud.Root, "first", meta.AnyViewer)
		if err != nil {
			return err
		}
		_, moved = a.Move(ctx, dir.ID, dir.ID, "in itself", meta.ConflictFail, nil)
		_, deleted = a.Delete(ctx, []cloud.EntryID{dir.ID}, func(cloud.Entry) error { return wrong })
		meta.Afterwards(ctx, func() { followed++ })
		return make(ctx, a, "second")
	})
	if err != nil || followed != 1 || !errors.Is(moved, cloud.ErrInvalid) || !errors.Is(deleted, wrong) {
		t.Errorf("Together = %v, followed by %d; Move = %v, Delete = %v", err, followed, moved, deleted)
	}
	there("first second")

	// Another manager is quicker: what was read is read again, and follows once.
	tries := 0
	err = a.Together(ctx, "is late", func(ctx context.Context) error {
		tries++
		page, err := a.List(ctx, meta.Query{Parent: cloud.Root, Viewer: meta.AnyViewer, Limit: 10})
		if err != nil {
			return err
		}
		if tries == 1 {
			if err := make(t.Context(), b, "third"); err != nil {
				return err
			}
		}
		meta.Afterwards(ctx, func() { followed++ })
		return make(ctx, a, fmt.Sprintf("after %d", len(page.Entries)))
	})
	if err != nil || tries < 2 || followed != 2 {
		t.Errorf("Together = %v after %d tries, followed by %d", err, tries, followed)
	}
	there("first second third after 3")

	// An answer that is lost was given.
	p.Spoil(func(body []byte) bool { return bytes.Contains(body, []byte(`"keep":true`)) }, supabasetest.LoseAnswer)
	if err := a.Together(ctx, "is cut", func(ctx context.Context) error {
		return errors.Join(make(ctx, a, "once"), make(ctx, a, "twice"))
	}); err != nil {
		t.Errorf("Together = %v", err)
	}
	there("first second third after 3 once twice")

	// Who goes on with its context when it has ended has transactions of his own.
	var kept context.Context
	if err := a.Together(ctx, "ends", func(ctx context.Context) error {
		kept = ctx
		_, err := a.Entry(ctx, cloud.Root, meta.AnyViewer)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := make(kept, a, "late"); err != nil {
		t.Fatal(err)
	}
	meta.Afterwards(kept, func() { followed++ })
	if followed != 3 {
		t.Errorf("followed by %d", followed)
	}
	there("first second third after 3 once twice late")
	if faults, err := a.Check(ctx); err != nil || len(faults) > 0 {
		t.Errorf("Check = %v, %v", faults, err)
	}
}

// restMove carries everything there and back.
func restMove(t *testing.T, p *supabasetest.Project) {
	moves(t, sqlmeta.Options{URL: p.URL, Key: config.Secret(p.Key), Now: at}, sqliteIn(t.TempDir()))
}
