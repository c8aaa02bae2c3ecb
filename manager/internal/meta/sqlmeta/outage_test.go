//go:build unix

package sqlmeta_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/pgtest"
)

// A COMMIT that is cut off was made once in the end, and nobody is told otherwise.
func testCutCommit(t *testing.T, p *pgtest.Server) {
	p.Database("cut")
	w := p.Wire()
	s := openPostgres(t, w.URL("cut"))
	defer s.Close()
	for i, fate := range []pgtest.Fate{pgtest.Pass, pgtest.CutOff, pgtest.Unheard, pgtest.LateOnly, pgtest.Pass} {
		name := fmt.Sprintf("user %d", i)
		calls := 0
		w.Next(fate)
		done := make(chan error, 1)
		go func() {
			_, _, err := s.MakeFolders(t.Context(), cloud.Root, []string{name}, 0)
			done <- err
		}()
		if fate == pgtest.LateOnly {
			// Who asks what became of it waits until the server knows.
			waiting(t, p, "cut", done)
			w.Release()
		}
		if err := <-done; err != nil {
			t.Errorf("fate %d: %v", fate, err)
		}
		// A change that was made without anybody knowing would stand in its own way.
		_, err := s.Move(t.Context(), child(t, s, name).ID, cloud.Root, name+" moved", meta.ConflictFail, func(cloud.Entry) error {
			calls++
			return nil
		})
		if err != nil || calls != 2 {
			t.Errorf("fate %d: then Move = %v after %d questions", fate, err, calls)
		}
	}
	for _, fate := range []pgtest.Fate{pgtest.CutOff, pgtest.Unheard} {
		w.Next(fate)
		if _, err := s.CreateUser(t.Context(), fmt.Sprintf("ann %d", fate), "", false, false); err != nil {
			t.Errorf("fate %d: CreateUser = %v; made twice, or not at all?", fate, err)
		}
	}
	if n, err := s.CountUsers(t.Context()); err != nil || n != 2 {
		t.Errorf("%d users, %v; want 2", n, err)
	}
}

func child(t *testing.T, s *sqlmeta.Store, name string) cloud.Entry {
	t.Helper()
	e, err := s.Child(t.Context(), cloud.Root, name, meta.AnyViewer)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// waiting returns when a session of the database waits for another.
func waiting(t *testing.T, p *pgtest.Server, database string, done chan error) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		out, err := p.SQL(database, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		if err == nil && out == "1" {
			return
		}
	}
	t.Fatal("nobody waits")
}

// The server crashes while many write. What was acknowledged is there, nothing
// is half there, and the same store works on when the server is back.
func TestPostgres_killed(t *testing.T) {
	p := pgtest.Start(t)
	url := p.Database("killed")
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: url, Busy: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ann, err := s.CreateUser(t.Context(), "ann", "", false, false)
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu           sync.Mutex
		acknowledged = map[string]cloud.ObjectID{}
		refused      atomic.Int64
		all          sync.WaitGroup
	)
	ctx, stop := context.WithCancel(t.Context())
	for writer := range 8 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("%d-%d", writer, i)
				object, err := upload(context.WithoutCancel(ctx), s, ann.ID, name)
				if err != nil {
					if !errors.Is(err, cloud.ErrUnavailable) {
						t.Errorf("upload %s: %v", name, err)
					}
					refused.Add(1)
					continue
				}
				mu.Lock()
				acknowledged[name] = object
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	reach := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not within 30 s", what)
			}
		}
	}
	for range 2 {
		before, none := count(), refused.Load()
		reach("uploads", func() bool { return count() >= before+20 })
		p.Kill()
		reach("refusals", func() bool { return refused.Load() > none })
		if err := s.Ping(t.Context()); !errors.Is(err, cloud.ErrUnavailable) {
			t.Errorf("Ping = %v, want %v", err, cloud.ErrUnavailable)
		}
		p.Boot()
	}
	before := count()
	reach("uploads after the last start", func() bool { return count() >= before+20 })
	stop()
	all.Wait()
	if faults, err := s.Check(t.Context()); err != nil || len(faults) > 0 {
		t.Errorf("Check = %v, %v", faults, err)
	}
	for name, object := range acknowledged {
		if e := child(t, s, name); e.Object != object || e.Size != 5 {
			t.Errorf("%s was acknowledged, and is %+v", name, e)
		}
	}
	t.Logf("%d acknowledged, %d refused", len(acknowledged), refused.Load())
}

// upload puts a file of 5 bytes into the root.
func upload(ctx context.Context, s *sqlmeta.Store, user cloud.UserID, name string) (cloud.ObjectID, error) {
	var object cloud.ObjectID
	copy(object[:], name)
	object[15] = 1
	u := meta.Upload{ID: cloud.UploadID("u" + name), User: user, Object: object, Name: name, Size: 5, PartSize: 5}
	chunk := meta.Stored{Chunk: cloud.Chunk{Size: 5, SealedSize: 165, Ref: cloud.Ref{Message: "1" + name}}}
	if err := s.CreateUpload(ctx, u); err != nil {
		return object, err
	}
	if err := s.AddPart(ctx, u.ID, 0, []meta.Stored{chunk}); err != nil {
		return object, err
	}
	_, err := s.FinishUpload(ctx, u.ID, meta.Finish{Conflict: meta.ConflictFail})
	return object, err
}

// Connections break while nothing is wrong with the server: nobody notices.
func testCutConnections(t *testing.T, p *pgtest.Server) {
	p.Database("connections")
	w := p.Wire()
	s := openPostgres(t, w.URL("connections"))
	defer s.Close()
	for i := range 20 {
		w.Cut()
		if _, _, err := s.MakeFolders(t.Context(), cloud.Root, []string{fmt.Sprint(i)}, 0); err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		w.Cut()
		if _, folders, err := s.Count(t.Context(), cloud.Root, meta.AnyViewer); err != nil || folders != i+1 {
			t.Fatalf("%d folders, %v; want %d", folders, err, i+1)
		}
	}
}

// What a session of the server keeps locked holds a change up, but not for ever,
// nor longer than its caller waits.
func testPatience(t *testing.T, p *pgtest.Server) {
	s := openPostgres(t, p.Database("patience"))
	defer s.Close()
	session := p.Session("patience")
	if _, err := session.ExecContext(t.Context(), `BEGIN; LOCK TABLE entries`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := s.MakeFolders(ctx, cloud.Root, []string{"a"}, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("MakeFolders = %v, want %v", err, context.DeadlineExceeded)
	}
	if _, err := session.ExecContext(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.MakeFolders(t.Context(), cloud.Root, []string{"a"}, 0); err != nil {
		t.Errorf("MakeFolders without the lock = %v", err)
	}
}

func testRefused(t *testing.T, p *pgtest.Server) {
	refusedURL(t, "mysql://somewhere", cloud.ErrInvalid)
	if _, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: p.URL("nowhere")}); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Open of no database = %v, want %v", err, cloud.ErrUnavailable)
	}
	if out, err := p.SQL("postgres", `CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`); err != nil {
		t.Fatal(err, out)
	}
	refusedURL(t, p.URL("latin"), cloud.ErrInvalid)
	other := p.Database("other")
	if out, err := p.SQL("other", `CREATE TABLE users (id INT)`); err != nil {
		t.Fatal(err, out)
	}
	refusedURL(t, other, cloud.ErrCorrupt)
	_, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: "postgres://ann:geheim@127.0.0.1:1/x?connect_timeout=1", Busy: time.Millisecond})
	if !errors.Is(err, cloud.ErrUnavailable) || strings.Contains(err.Error(), "geheim") {
		t.Errorf("Open where nobody listens = %v, want %v without the password", err, cloud.ErrUnavailable)
	}
}

// Managers share the database; who restores has it alone. When a manager has lost
// its connection, and somebody who wants it alone was faster, the manager writes
// nothing until he has gone.
func testFence(t *testing.T, p *pgtest.Server) {
	url := p.Database("fence")
	w := p.Wire()
	first := openPostgres(t, w.URL("fence"))
	defer first.Close()
	quick := sqlmeta.Options{URL: url, Busy: time.Millisecond}
	second, err := sqlmeta.Open(t.Context(), quick)
	if err != nil {
		t.Fatalf("Open beside a manager = %v", err)
	}
	var archive bytes.Buffer
	if err := first.Dump(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
	restore := func() error {
		_, err := sqlmeta.Restore(t.Context(), quick, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
		return err
	}
	refused := func() {
		t.Helper()
		err := restore()
		if e, ok := errors.AsType[*cloud.UserError](err); !ok || !errors.Is(err, cloud.ErrUnavailable) || !strings.Contains(e.Text, "is in use by a manager") {
			t.Errorf("Restore beside a manager = %v, want %v", err, cloud.ErrUnavailable)
		}
	}
	refused()
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	refused() // there is the first

	reach := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not within a minute", what)
			}
		}
	}
	alone := p.Session("fence")
	w.Cut()
	reach("the database alone", func() bool {
		var taken bool
		err := alone.QueryRowContext(t.Context(), `SELECT pg_try_advisory_lock($1)`, int64(0x64636c64_00000003)).Scan(&taken)
		return err == nil && taken
	})
	reach("the manager to notice", func() bool { return errors.Is(first.Ping(t.Context()), cloud.ErrUnavailable) })
	if _, err := first.CreateUser(t.Context(), "ann", "", false, false); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("a change beside somebody who has the database alone: %v, want %v", err, cloud.ErrUnavailable)
	}
	if _, err := sqlmeta.Open(t.Context(), quick); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Open beside somebody who has the database alone: %v, want %v", err, cloud.ErrUnavailable)
	}
	if _, err := alone.ExecContext(t.Context(), `SELECT pg_advisory_unlock_all()`); err != nil {
		t.Fatal(err)
	}
	reach("the manager to go on", func() bool {
		_, err := first.CreateUser(t.Context(), "ann", "", false, false)
		return err == nil
	})
}

// Who listens hears of news at once; behind a pooler nothing can be listened to.
func testListen(t *testing.T, p *pgtest.Server) {
	s := openPostgres(t, p.Database("listen"))
	defer s.Close()
	w := p.Wire()
	behind := openPostgres(t, w.URL("listen"))
	defer behind.Close()
	heard := make(chan bool, 16)
	ended := make(chan error, 1)
	go func() { ended <- behind.Listen(t.Context(), func() { heard <- true }) }()
	await := func(what string) {
		t.Helper()
		select {
		case <-heard:
		case err := <-ended:
			t.Fatalf("%s: Listen = %v", what, err)
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: not heard", what)
		}
	}
	await("that it listens")
	for range 3 {
		if err := s.AddNews(t.Context(), "a", []string{"{}"}); err != nil {
			t.Fatal(err)
		}
		await("news")
	}
	w.Cut()
	if err := <-ended; err == nil || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Listen on a cut connection = %v", err)
	}
	pooled, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: p.Bouncer("listen")})
	if err != nil {
		t.Fatal(err)
	}
	defer pooled.Close()
	if err := pooled.Listen(t.Context(), func() { t.Error("heard something") }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Listen behind pgbouncer = %v, want %v", err, errors.ErrUnsupported)
	}
}

// Two managers that start at once bring the tables up to date once.
func testMigrateTwice(t *testing.T, p *pgtest.Server) {
	url := p.Database("twice")
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: url})
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Errorf("Open = %v", err)
		}
	}
	if out, err := p.SQL("twice", `SELECT COUNT(*) = MAX(version) FROM schema_version`); err != nil || out != "t" {
		t.Errorf("versions: %s, %v", out, err)
	}
}
