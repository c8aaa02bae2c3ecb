//go:build unix

// Package pgtest runs PostgreSQL for tests: a server of their own on a socket in
// a temporary folder, which they may kill, and pgbouncer in front of it. Root
// runs them as another user, since they refuse to be root's.
package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // Session
)

// TB is what a server needs of a testing.TB. Programs that measure bring one of
// their own.
type TB interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
	Cleanup(f func())
	Context() context.Context
	TempDir() string
}

// Owner is the user that everything belongs to. It needs no password.
const Owner = "owner"

// Server is a PostgreSQL server. Its methods fail the test.
type Server struct {
	Dir string // of its socket
	t   TB
	bin string
	as  *syscall.Credential // whom it runs as, nil for the test's user
}

// Start starts a server that stops when the test ends, or skips the test where
// PostgreSQL is not installed; with CI=true nothing may be missing.
func Start(t TB) *Server {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian keeps it out of PATH
	if err != nil || len(found) == 0 {
		path, err := exec.LookPath("initdb")
		if err != nil {
			missing(t, "no PostgreSQL server (Debian: apt-get install postgresql)")
		}
		found = []string{path}
	}
	s := &Server{t: t, bin: filepath.Dir(found[len(found)-1])}
	s.Dir, s.as = folder(t)
	s.run("initdb", "-D", s.Dir+"/data", "-U", Owner, "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8")
	s.Boot()
	t.Cleanup(func() { s.run("pg_ctl", "-D", s.Dir+"/data", "-w", "-m", "immediate", "stop") })
	return s
}

// For is the same server for a subtest.
func (s *Server) For(t TB) *Server {
	c := *s
	c.t = t
	return &c
}

// folder makes one for a server, and gives it to the user that it runs as. A
// socket's path must be short, so it is not below t.TempDir.
func folder(t TB) (dir string, as *syscall.Credential) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() != 0 {
		return dir, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	missing(t, "no user to run PostgreSQL as")
	return "", nil
}

func missing(t TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Boot starts the server again after Kill or Stop.
func (s *Server) Boot() {
	s.t.Helper()
	options := fmt.Sprintf("-c listen_addresses= -c unix_socket_directories=%s -c fsync=off -c max_connections=200", s.Dir)
	s.run("pg_ctl", "-D", s.Dir+"/data", "-w", "-l", s.Dir+"/log", "-o", options, "start")
}

// Stop ends the server in an orderly way, with all of its sessions.
func (s *Server) Stop() {
	s.t.Helper()
	s.run("pg_ctl", "-D", s.Dir+"/data", "-w", "-m", "fast", "stop")
}

// Kill ends all processes of the server at once, as a crash would.
func (s *Server) Kill() {
	s.t.Helper()
	text, err := os.ReadFile(s.Dir + "/data/postmaster.pid")
	if err != nil {
		s.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	// The sessions see that their parent has gone and end; the next start waits
	// for them.
	for deadline := time.Now().Add(20 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("the server survives SIGKILL")
		}
	}
}

// Database makes an empty database and gives its URL.
func (s *Server) Database(name string) string {
	s.t.Helper()
	if out, err := s.SQL("postgres", "CREATE DATABASE "+name); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return s.URL(name)
}

// URL is that of a database of the server.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s&sslmode=disable", Owner, database, url.QueryEscape(s.Dir))
}

// SQL runs statements in one session and gives what they print.
func (s *Server) SQL(database, statements string) (string, error) {
	c := s.command("psql", "-h", s.Dir, "-U", Owner, "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1")
	c.Stdin = strings.NewReader(statements)
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Session is a connection of its own, which may keep transactions open.
func (s *Server) Session(database string) *sql.Conn {
	s.t.Helper()
	db, err := sql.Open("pgx", s.URL(database))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	c, err := db.Conn(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// command is a program of PostgreSQL, run in its folder without a terminal.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	ctx := s.t.Context()
	if ctx.Err() != nil { // the test is over, the server must still stop
		ctx = context.WithoutCancel(ctx)
	}
	c := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	c.Dir, c.Env = s.Dir, []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return c
}

func (s *Server) run(name string, args ...string) {
	s.t.Helper()
	// Into a file: the server would keep a pipe open.
	out, err := os.CreateTemp(s.t.TempDir(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	c := s.command(name, args...)
	c.Stdout, c.Stderr = out, out
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		log, _ := os.ReadFile(s.Dir + "/log")
		s.t.Fatalf("%s: %v\n%s\n%s", name, err, text, log)
	}
}
