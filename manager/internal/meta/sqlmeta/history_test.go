//go:build unix

package sqlmeta

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/pgtest"
)

// history are scripts that fill tables of a version: that of a version runs in all
// later ones, too.
const history = "testdata/history/%04d.sql"

var bytesLiteral = regexp.MustCompile(`X('[0-9a-f]*')`)

// TestMigrate_history opens what each version of the tables has left, with rows in
// it: nothing is lost, and all that later versions count is counted.
func TestMigrate_history(t *testing.T) {
	newest := len(migrations())
	for version := 1; version <= newest; version++ {
		t.Run(fmt.Sprintf("SQLite/%d", version), func(t *testing.T) {
			testHistory(t, version, Options{Path: filepath.Join(t.TempDir(), "meta.db")}, nil)
		})
	}
	t.Run("PostgreSQL", func(t *testing.T) {
		p := pgtest.Start(t)
		script, err := os.ReadFile(postgresSchema)
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []int{1, 6, newest - 1} {
			database := fmt.Sprintf("version_%d", version)
			t.Run(fmt.Sprint(version), func(t *testing.T) {
				testHistory(t, version, Options{URL: p.For(t).Database(database)}, nil)
			})
			t.Run(fmt.Sprintf("%d by hand", version), func(t *testing.T) {
				testHistory(t, version, Options{URL: p.For(t).Database(database + "_by_hand")}, func() {
					if out, err := p.SQL(database+"_by_hand", string(script)); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				})
			})
		}
	})
}

// testHistory has what a version left brought up to date, by the manager unless by
// something else.
func testHistory(t *testing.T, version int, o Options, upgrade func()) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	old := newStore(&o)
	_, err := old.connect(o)
	must(err)
	_, _, err = migrate(ctx, old.engine, migrations()[:version], time.Now())
	must(err)
	for v := 1; v <= version; v++ {
		script, err := os.ReadFile(fmt.Sprintf(history, v))
		if os.IsNotExist(err) {
			continue
		}
		must(err)
		text := string(script)
		if o.URL != "" {
			text = bytesLiteral.ReplaceAllString(text, `decode($1, 'hex')`)
		}
		must(exec(ctx, old.write, text))
	}
	for table, last := range map[string]int64{"users": 2, "entries": 6} {
		must(old.engine.setLastID(ctx, old.engine.speak(old.write), table, last))
	}
	must(old.engine.close())
	if upgrade != nil {
		upgrade()
	}

	s, err := Open(ctx, o)
	must(err)
	defer func() { must(s.Close()) }()
	sound := func() {
		t.Helper()
		if faults, err := s.Check(ctx); err != nil || len(faults) > 0 {
			t.Errorf("Check = %v, %v", faults, err)
		}
	}
	sound()
	sizes := func(viewer cloud.UserID, want meta.Sizes) {
		t.Helper()
		got, err := s.Sizes(ctx, cloud.Root, viewer)
		got.Types = nil
		if err != nil || got.Bytes != want.Bytes || got.Files != want.Files || got.Folders != want.Folders {
			t.Errorf("user %d has %+v, %v; want %+v", viewer, got, err, want)
		}
	}
	sizes(1, meta.Sizes{Bytes: 5, Files: 1, Folders: 2})
	sizes(2, meta.Sizes{Bytes: 12, Files: 2, Folders: 2})
	sizes(3, meta.Sizes{})
	used, deleted := int64(5), version >= 6
	if deleted {
		used += 5
	}
	if q, err := s.Quota(ctx, 1); err != nil || q.Bytes != used {
		t.Errorf("Quota = %+v, %v; want %d bytes", q, err, used)
	}
	if e, err := s.Entry(ctx, 3, 2); err != nil || e.Share == nil || !e.Share.CanWrite || e.Name != "a.txt" {
		t.Errorf("what is shared: %+v, %v", e, err)
	}
	for few := range 2 {
		s.few = few
		if page, err := s.Search(ctx, meta.Find{Viewer: 2, Text: "A.T", Limit: 10}); err != nil || len(page.Entries) == 0 || page.Entries[0].ID != 3 {
			t.Errorf("search gives %+v, %v; want entry 3", page.Entries, err)
		}
	}
	if deleted {
		_, err := s.Restore(ctx, 5, cloud.Root, meta.ConflictFail, nil)
		must(err)
		sizes(3, meta.Sizes{Bytes: 3, Files: 1, Folders: 1})
	}
	_, _, err = s.MakeFolders(ctx, cloud.Root, []string{"new"}, 2)
	must(err)
	sound()
}
