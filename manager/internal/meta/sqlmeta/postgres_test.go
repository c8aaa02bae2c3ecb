//go:build unix

package sqlmeta_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// postgres is a server of its own on a socket in a temporary folder.
type postgres struct {
	t   *testing.T
	bin string
	dir string
	as  *syscall.Credential // root must not run it
}

// startPostgres starts a server, or skips the test where there is none; with
// CI=true nothing may be missing.
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian keeps it out of PATH
	if err != nil || len(found) == 0 {
		path, err := exec.LookPath("initdb")
		if err != nil {
			missing(t, "no PostgreSQL server (Debian: apt-get install postgresql)")
		}
		found = []string{path}
	}
	p := &postgres{t: t, bin: filepath.Dir(found[len(found)-1])}
	// A socket's path must be short, so it is not below t.TempDir.
	if p.dir, err = os.MkdirTemp("", "pg"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(p.dir) })
	if os.Getuid() == 0 {
		p.as = p.unprivileged()
	}
	p.run("initdb", "-D", p.dir+"/data", "-U", "owner", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8")
	options := fmt.Sprintf("-c listen_addresses= -c unix_socket_directories=%s -c fsync=off", p.dir)
	p.run("pg_ctl", "-D", p.dir+"/data", "-w", "-l", p.dir+"/log", "-o", options, "start")
	t.Cleanup(func() { p.run("pg_ctl", "-D", p.dir+"/data", "-w", "-m", "immediate", "stop") })
	return p
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// unprivileged gives the folder to another user, who runs the server.
func (p *postgres) unprivileged() *syscall.Credential {
	p.t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(p.dir, uid, gid); err != nil {
			p.t.Fatal(err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	missing(p.t, "no user to run PostgreSQL as")
	return nil
}

// command is a program of PostgreSQL, run in its folder without a terminal.
func (p *postgres) command(name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(p.t.Context(), filepath.Join(p.bin, name), args...)
	if p.t.Context().Err() != nil { // the test is over, the server must still stop
		c = exec.Command(filepath.Join(p.bin, name), args...)
	}
	c.Dir, c.Env = p.dir, []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return c
}

func (p *postgres) run(name string, args ...string) {
	p.t.Helper()
	// Into a file: the server would keep a pipe open.
	out, err := os.CreateTemp(p.t.TempDir(), name)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	c := p.command(name, args...)
	c.Stdout, c.Stderr = out, out
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		p.t.Fatalf("%s: %v\n%s", name, err, text)
	}
}

// sql runs statements in one connection and gives what they print.
func (p *postgres) sql(statements string) (string, error) {
	c := p.command("psql", "-h", p.dir, "-U", "owner", "-d", "postgres", "-qAtX", "-v", "ON_ERROR_STOP=1")
	c.Stdin = strings.NewReader(statements)
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestSchema_postgresServer(t *testing.T) {
	p := startPostgres(t)
	script, err := os.ReadFile("../../../../database.sql")
	if err != nil {
		t.Fatal(err)
	}
	works := func(statements string) string {
		t.Helper()
		out, err := p.sql(statements)
		if err != nil {
			t.Fatalf("psql: %v\n%s", err, out)
		}
		return out
	}
	fails := func(statements, why string) {
		t.Helper()
		if out, err := p.sql(statements); err == nil || !strings.Contains(out, why) {
			t.Errorf("%s: %v, %s; want %s", statements, err, out, why)
		}
	}
	works(string(script)) // without the roles of Supabase
	const catalogue = `SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
			WHERE table_schema = 'public' ORDER BY table_name, ordinal_position;
		SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1;
		SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2;
		SELECT * FROM schema_version; SELECT * FROM entries;`
	first := works(catalogue)
	works(`CREATE ROLE anon; CREATE ROLE authenticated; GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated`)
	works(string(script)) // and with them
	if again := works(catalogue); again != first {
		t.Errorf("the second time made a change:\n%s\n%s", first, again)
	}

	got := strings.Fields(works(`SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relrowsecurity ORDER BY 1`))
	want := []string{
		"activity", "app_passwords", "audit", "audit_head", "chunks", "deletions", "entries", "group_members", "group_shares", "jobs", "keys",
		"locks", "objects", "orphans", "properties", "schema_version", "sessions", "shares", "space", "stars", "thumbnails", "trash", "uploads",
		"user_groups", "users", "versions",
	}
	if !slices.Equal(got, want) {
		t.Errorf("tables with row level security %q, want %q", got, want)
	}
	for _, role := range []string{"anon", "authenticated"} {
		for _, name := range want {
			fails(fmt.Sprintf("SET ROLE %s; SELECT * FROM %s", role, name), "permission denied")
			fails(fmt.Sprintf("SET ROLE %s; DELETE FROM %s", role, name), "permission denied")
		}
	}

	const folder = `INSERT INTO entries (parent_id, name, name_key, kind, created_at, updated_at, modified_at) VALUES (%s, 'a', 'a', '%s', now(), now(), now())`
	works(fmt.Sprintf(folder, "0", "folder"))
	fails(fmt.Sprintf(folder, "0", "folder"), "entries_name")
	fails(fmt.Sprintf(folder, "NULL", "folder"), "entries_root")
	fails(fmt.Sprintf(folder, "0", "file"), "entries_content")
	fails(fmt.Sprintf(folder, "77", "folder"), "entries_parent_id_fkey")
	fails(`INSERT INTO objects (id, state, size, created_at, state_at) VALUES ('short', 'uploading', 1, now(), now())`, "objects_id")
	works(`INSERT INTO schema_version VALUES (9999, now())`)
	fails(string(script), "newer tables")
}
