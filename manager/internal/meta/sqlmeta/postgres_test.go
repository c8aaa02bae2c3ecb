//go:build unix

package sqlmeta_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/metatest"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/pgtest"
)

const postgresScript = "../../../../database.sql"

// wipe empties all tables but that of versions, and makes what migrations put in.
const wipe = `SET session_replication_role = replica;
	DO $$
	DECLARE one RECORD;
	BEGIN
		FOR one IN SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'schema_version' LOOP
			EXECUTE format('DELETE FROM %I', one.table_name);
		END LOOP;
		FOR one IN SELECT sequence_name FROM information_schema.sequences WHERE sequence_schema = 'public' LOOP
			EXECUTE format('ALTER SEQUENCE %I RESTART', one.sequence_name);
		END LOOP;
	END $$;
	INSERT INTO entries (id, parent_id, name, name_key, kind, public, created_at, updated_at, modified_at, trash_id)
	VALUES (0, NULL, '', '', 'folder', TRUE, 0, 0, 0, NULL), (-1, -1, '', '', 'folder', FALSE, 0, 0, 0, -1);
	INSERT INTO space (user_id) VALUES (0)`

// TestPostgres has one server for what does it no harm.
func TestPostgres(t *testing.T) {
	p := pgtest.Start(t)
	for _, c := range []struct {
		name string
		run  func(t *testing.T, p *pgtest.Server)
	}{
		{"contract", testContract}, {"schema", testSchema}, {"cut commit", testCutCommit}, {"cut connections", testCutConnections},
		{"patience", testPatience}, {"refused", testRefused}, {"migrated by many", testMigrateTwice}, {"fence", testFence}, {"listen", testListen},
		{"move", testMove}, {"restore cut short", testCutShort}, {"no extension", testNoExtension},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, p.For(t)) })
	}
}

// testContract runs behind pgbouncer, which hands each transaction another
// connection: what works there works without it, as the other tests show.
func testContract(t *testing.T, p *pgtest.Server) {
	direct, url := p.Database("contract"), p.Bouncer("contract")
	openPostgres(t, direct).Close()
	db, err := sql.Open("pgx", direct)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	last := ""
	metatest.Run(t, func(t testing.TB, dir string) meta.Store {
		t.Helper()
		if dir != last { // to wipe one database costs much less than to make another
			if _, err := db.ExecContext(t.Context(), wipe); err != nil {
				t.Fatal(err)
			}
		}
		last = dir
		return openPostgres(t, url)
	})
}

func openPostgres(t testing.TB, url string) *sqlmeta.Store {
	t.Helper()
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: url})
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	return s
}

// catalogue is what a database says of its tables, without the order of columns:
// a migration adds one behind all others.
const catalogue = `SELECT table_name, column_name, data_type, collation_name, is_nullable, is_identity, column_default FROM information_schema.columns
		WHERE table_schema = 'public' ORDER BY 1, 2;
	SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1;
	SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2;
	SELECT relname, relrowsecurity FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1;
	SELECT MAX(version) FROM schema_version; SELECT id, parent_id, name, kind, public, trash_id FROM entries ORDER BY id;`

func testSchema(t *testing.T, p *pgtest.Server) {
	script, err := os.ReadFile(postgresScript)
	if err != nil {
		t.Fatal(err)
	}
	p.Database("pasted")
	works := func(statements string) string {
		t.Helper()
		out, err := p.SQL("pasted", statements)
		if err != nil {
			t.Fatalf("psql: %v\n%s", err, out)
		}
		return out
	}
	fails := func(statements, why string) {
		t.Helper()
		if out, err := p.SQL("pasted", statements); err == nil || !strings.Contains(out, why) {
			t.Errorf("%s: %v, %s; want %s", statements, err, out, why)
		}
	}
	works(string(script)) // without the roles of Supabase
	first := works(catalogue)

	// The migrations make the same, and find nothing left to do in it.
	migrated := p.Database("migrated")
	if err := openPostgres(t, migrated).Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := p.SQL("migrated", catalogue); err != nil || out != first {
		t.Errorf("migrations and database.sql differ (%v):\n%s", err, difference(out, first))
	}
	if err := openPostgres(t, p.URL("pasted")).Close(); err != nil {
		t.Fatal(err)
	}

	works(`CREATE ROLE anon; CREATE ROLE authenticated; GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated`)
	works(string(script)) // and with them
	if again := works(catalogue); again != first {
		t.Errorf("the second time made a change:\n%s", difference(again, first))
	}

	tables := strings.Fields(works(`SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`))
	secured := strings.Fields(works(`SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relrowsecurity ORDER BY 1`))
	if len(tables) < 20 || !slices.Equal(secured, tables) {
		t.Errorf("tables with row level security %q, want %q", secured, tables)
	}
	for _, role := range []string{"anon", "authenticated"} {
		fails(fmt.Sprintf(`SET ROLE %s; SELECT discord_cloud_look('{"steps": []}')`, role), "permission denied")
		for _, name := range tables {
			fails(fmt.Sprintf("SET ROLE %s; SELECT * FROM %s", role, name), "permission denied")
			fails(fmt.Sprintf("SET ROLE %s; DELETE FROM %s", role, name), "permission denied")
		}
	}

	const folder = `INSERT INTO entries (parent_id, name, name_key, kind, created_at, updated_at, modified_at) VALUES (%s, 'a', 'a', '%s', 0, 0, 0)`
	works(fmt.Sprintf(folder, "0", "folder"))
	fails(fmt.Sprintf(folder, "0", "folder"), "entries_name")
	fails(fmt.Sprintf(folder, "NULL", "folder"), "entries_root")
	fails(fmt.Sprintf(folder, "0", "file"), "entries_content")
	fails(fmt.Sprintf(folder, "77", "folder"), "entries_parent_id_fkey")
	fails(`INSERT INTO objects (id, state, size, created_at, state_at) VALUES ('short', 'uploading', 1, 0, 0)`, "objects_id")
	works(`INSERT INTO schema_version VALUES (9999, 0)`)
	fails(string(script), "newer tables")
	refusedURL(t, p.URL("pasted"), cloud.ErrInvalid)
}

// testNoExtension has an owner of tables who may not install anything: searches
// work, and a line of the log says what they do without.
func testNoExtension(t *testing.T, p *pgtest.Server) {
	url := p.Database("poor")
	if out, err := p.SQL("poor", `CREATE ROLE poor LOGIN; GRANT ALL ON SCHEMA public TO poor`); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	var log bytes.Buffer
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{
		URL: strings.Replace(url, pgtest.Owner+"@", "poor@", 1), Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.Contains(log.String(), "no extension pg_trgm") {
		t.Errorf("the log says nothing of it:\n%s", log.String())
	}
	if _, _, err := s.MakeFolders(t.Context(), cloud.Root, []string{"Holiday"}, 0); err != nil {
		t.Fatal(err)
	}
	page, err := s.Search(t.Context(), meta.Find{Viewer: meta.AnyViewer, Text: "LIDA", Limit: 10})
	if err != nil || len(page.Entries) != 1 {
		t.Errorf("search gives %v, %v", page.Entries, err)
	}
}

// refusedURL checks that a database does not open, with an error of the kind that
// has a text fit to be shown.
func refusedURL(t *testing.T, url string, kind error) {
	t.Helper()
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{URL: url})
	if err == nil {
		s.Close()
	}
	if _, ok := errors.AsType[*cloud.UserError](err); !ok || !errors.Is(err, kind) {
		t.Errorf("Open = %v, want %v with a text for people", err, kind)
	}
}

// difference gives the lines that only one of two texts has.
func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	var out []string
	for _, line := range a {
		if !slices.Contains(b, line) {
			out = append(out, "+ "+line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out = append(out, "- "+line)
		}
	}
	return strings.Join(out, "\n")
}
