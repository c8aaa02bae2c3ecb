package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// idleStatements are what the only connection of db keeps.
func idleStatements(t *testing.T, db *sql.DB) (texts []string) {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Raw(func(conn any) error {
		for text := range conn.(*preparedConn).idle {
			texts = append(texts, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func preparedDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := connect(filepath.Join(t.TempDir(), "x.db"), 1, writePragmas, "_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Exec(`CREATE TABLE x (id INTEGER PRIMARY KEY, name TEXT UNIQUE); INSERT INTO x (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')`); err != nil {
		t.Fatal(err)
	}
	return db
}

// One text is used inside the loop over its own rows, each use with arguments of
// its own, and by somebody who stops in the middle.
func TestPrepared_nested(t *testing.T) {
	db := preparedDB(t)
	const text = `SELECT id, name FROM x WHERE id >= ? ORDER BY id`
	read := func(q querier, from int, each func(id int, name string) bool) {
		t.Helper()
		rows, err := q.QueryContext(t.Context(), text, from)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var id int
			var name string
			if err := rows.Scan(&id, &name); err != nil {
				t.Fatal(err)
			}
			if !each(id, name) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		read(tx, 1, func(id int, name string) bool {
			got = append(got, name)
			read(tx, id, func(_ int, name string) bool {
				got = append(got, strings.ToUpper(name))
				return name != "b"
			})
			return true
		})
		if all := strings.Join(got, ""); all != "aABbBcC" {
			t.Errorf("read %q", all)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if idle := idleStatements(t, db); strings.Count(strings.Join(idle, "\n"), text) != 1 {
		t.Errorf("kept %q", idle)
	}
}

func TestPrepared_bounded(t *testing.T) {
	db := preparedDB(t)
	long := `SELECT 1 /* ` + strings.Repeat("x", preparedLength) + ` */`
	for i := range 3 * preparedMost {
		var got int
		if err := db.QueryRow(fmt.Sprintf(`SELECT %d`, i)).Scan(&got); err != nil || got != i {
			t.Fatalf("%d is %d, %v", i, got, err)
		}
	}
	if _, err := db.Exec(long); err != nil {
		t.Fatal(err)
	}
	idle := idleStatements(t, db)
	if len(idle) != preparedMost || strings.Contains(strings.Join(idle, ""), "xxx") {
		t.Errorf("%d statements kept", len(idle))
	}
}

// After a failure, a change of the tables, or the end of a context in the middle,
// the same texts do what they did before.
func TestPrepared_again(t *testing.T) {
	db := preparedDB(t)
	const add, all = `INSERT INTO x (name) VALUES (?)`, `SELECT name FROM x ORDER BY id`
	names := func() (names string) {
		t.Helper()
		rows, err := db.Query(all)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var name sql.NullString
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			names += name.String
		}
		return names
	}
	if _, err := db.Exec(add, "d"); err != nil || names() != "abcd" {
		t.Fatalf("%v, %s", err, names())
	}
	if _, err := db.Exec(add, "d"); err == nil {
		t.Error("a name twice")
	}
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := db.QueryContext(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n`)
	if err != nil || !rows.Next() {
		t.Fatalf("endless rows: %v", err)
	}
	cancel()
	for rows.Next() { // until it is noticed
	}
	if err := rows.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	_ = rows.Close()
	if _, err := db.Exec(`ALTER TABLE x ADD COLUMN more TEXT; CREATE INDEX x_more ON x (more)`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(add, "e"); err != nil || names() != "abcde" {
		t.Errorf("%v, %s", err, names())
	}
}
