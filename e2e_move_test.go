//go:build unix

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // station

	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/supabasetest"
)

// movedRows are enough that a copy can be seen half done.
const movedRows = 40_000

// station is a database that a store is moved to, and on from.
type station struct {
	name  string
	place string            // as --from and --to have it
	env   map[string]string // with which the program uses it
	rows  func() int        // that it has of those which were put into the first one
}

func sqliteStation(t *testing.T, name string) *station {
	dir := t.TempDir()
	s := &station{name: name, place: filepath.Join(dir, "discord-cloud.db"), env: map[string]string{"DATA_DIR": dir}}
	s.rows = func() (n int) {
		db, err := sql.Open("sqlite", "file:"+s.place+"?mode=ro&_pragma=busy_timeout(5000)")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM activity`).Scan(&n) != nil {
			return 0 // no such table yet
		}
		return n
	}
	return s
}

func postgresStation(t *testing.T, p *pgtest.Server, name string) *station {
	url := p.Database(name)
	s := &station{name: name, place: url, env: map[string]string{"DATA_DIR": t.TempDir(), "DATABASE_URL": url}}
	s.rows = rowsAt(p, name)
	return s
}

func supabaseStation(t *testing.T, p *pgtest.Server, name string) *station {
	script, err := os.ReadFile("database.sql")
	if err != nil {
		t.Fatal(err)
	}
	project := supabasetest.New(t, p, name)
	project.Paste(string(script))
	return &station{
		name: name, place: project.URL, rows: rowsAt(p, name),
		env: map[string]string{"DATA_DIR": t.TempDir(), "SUPABASE_URL": project.URL, "SUPABASE_KEY": project.Key},
	}
}

func rowsAt(p *pgtest.Server, database string) func() int {
	session := p.Session(database)
	return func() (n int) {
		if session.QueryRowContext(context.Background(), `SELECT COUNT(*) FROM activity`).Scan(&n) != nil {
			return 0 // no such table yet
		}
		return n
	}
}

// admin runs a command on the station to its end.
func (s *station) admin(t *testing.T, code int, text string, args ...string) {
	t.Helper()
	p := start(t, s.env, append([]string{"admin"}, args...)...)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		t.Fatalf("%s: %v is still running", s.name, args)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code || !strings.Contains(p.output(), text) {
		t.Errorf("%s: %v: exit code %d, want %d with %q in:\n%s", s.name, args, got, code, text, p.output())
	}
}

// backup gives the rows of the station as a backup has them.
func (s *station) backup(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup")
	s.admin(t, 0, "was read again", "backup", path)
	return rowsOfBackup(t, path)
}

// rowsOfBackup is a backup without the line that tells the time, and the one that
// has the sum of all.
func rowsOfBackup(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	return string(text[bytes.IndexByte(text, '\n')+1 : bytes.LastIndexByte(text, '\n')])
}

// fill kills a command that fills the station, twice and later each time, and then
// lets it come to its end. What is half filled is nobody's to use.
func (s *station) fill(t *testing.T, done string, args ...string) {
	t.Helper()
	command := append([]string{"admin"}, args...)
	before := 0
	for range 2 {
		p := start(t, s.env, command...)
		until(t, s.name+" gets further rows", time.Minute, func() bool {
			select {
			case <-p.done:
				t.Fatalf("%s: %v ended with %d rows, before it was killed:\n%s", s.name, args, s.rows(), p.output())
			default:
			}
			return s.rows() > before
		})
		p.kill()
		if before = s.rows(); before >= movedRows {
			t.Fatalf("%s: killed with all %d rows there", s.name, before)
		}
	}
	t.Logf("%s: killed with %d rows of %d", s.name, before, movedRows)
	server := start(t, s.env, "serve")
	if code := server.exited(); code != exitFailed || !strings.Contains(server.output(), "only half") {
		t.Errorf("%s: a server on a half of a database: exit code %d:\n%s", s.name, code, server.output())
	}
	s.admin(t, exitFailed, "only half", "backup", filepath.Join(t.TempDir(), "half"))
	s.admin(t, 0, done, args...)
	if n := s.rows(); n != movedRows {
		t.Errorf("%s: %d rows, want %d", s.name, n, movedRows)
	}
}

// A store goes from one kind of database to the other and on, and its backup into
// further ones. Each time the program is killed while it copies; run again it ends
// well, with every row as it was.
func TestEndToEnd_moveKilled(t *testing.T) {
	t.Parallel()
	p := pgtest.Start(t)
	ctx := withTimeout(t, 3*time.Minute)
	data := content{seed: 6, size: 300_000}
	s, _ := startWithFile(ctx, t, nil, data)
	s.stop()
	first := &station{name: "the first", place: filepath.Join(s.dir, "discord-cloud.db"), env: map[string]string{"DATA_DIR": s.dir}}
	db, err := sql.Open("sqlite", first.place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, `DELETE FROM activity`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO activity (at, user_id, action, parent_id, entry_id, kind, name, public)
		SELECT 1000000 * i, 1, 'added', 0, i, 'file', 'Größe ' || i, TRUE FROM n`, movedRows); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join(s.dir, envFileName))
	if err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	first.admin(t, 0, "was read again", "backup", backup)
	want := rowsOfBackup(t, backup)

	postgres, sqlite := postgresStation(t, p, "moved"), sqliteStation(t, "SQLite")
	project, restored, restoredFile := supabaseStation(t, p, "project"), postgresStation(t, p, "restored"), sqliteStation(t, "restored SQLite")
	for _, to := range []*station{postgres, sqlite, project, restored, restoredFile} {
		if err := os.WriteFile(filepath.Join(to.env["DATA_DIR"], envFileName), keys, 0o600); err != nil {
			t.Fatal(err)
		}
		maps.Copy(to.env, map[string]string{"MANAGER_PORT": s.env["MANAGER_PORT"], "SANDBOX_PORT": s.env["SANDBOX_PORT"], "SANDBOX_TOKEN": s.token})
	}
	from := first
	for _, to := range []*station{postgres, sqlite, project} {
		to.fill(t, "copied and compared", "migrate-database", "--from", from.place, "--to", to.place)
		from = to
	}
	for _, to := range []*station{restored, restoredFile} {
		to.fill(t, "restored and compared", "restore", backup)
	}
	for _, to := range []*station{postgres, sqlite, project, restored, restoredFile} {
		if to.backup(t) != want {
			t.Errorf("%s has other rows than the first database", to.name)
		}
	}
	// The last of them is one to work with.
	s.env["DATABASE_URL"] = ""
	if err := os.Rename(restoredFile.place, first.place); err != nil {
		t.Fatal(err)
	}
	s.again(t)
	signIn(t, s.base, adminName, adminPassword).verify(ctx, "/a/file.bin", data)
	s.stop()
	first.admin(t, 0, "sound", "check")
}
