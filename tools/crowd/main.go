// Command crowd fills a folder with many entries, to see how the page and other
// clients bear it:
//
//	go run ./tools/crowd -data ./data -folder many -entries 100000
//
// It copies the one file that the folder has, by rows of the SQLite database
// alone: all of them share its content. The manager must not run.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"
)

func main() {
	data := flag.String("data", "./data", "the manager's data folder")
	folder := flag.String("folder", "many", "name of the folder, at the top, with one file in it")
	entries := flag.Int("entries", 100_000, "how many files it shall have more")
	flag.Parse()
	if err := fill(context.Background(), filepath.Join(*data, "discord-cloud.db"), *folder, *entries); err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}

// seed is the file that is copied, and who comes to see what all see in its folder.
const seed = ` seed AS (SELECT f.*, CASE WHEN d.public OR d.owner_id IS NULL THEN 0 ELSE d.owner_id END AS seen_by
	FROM entries f JOIN entries d ON d.id = f.parent_id WHERE d.parent_id = 0 AND d.name = ?1 AND f.kind = 'file' LIMIT 1)`

// fill adds files named "file 000001.txt" and so on. They have no owner: nobody's
// space is charged for them.
func fill(ctx context.Context, path, folder string, n int) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, after the commit
	made, err := tx.ExecContext(ctx, `WITH RECURSIVE`+seed+`,
			number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < ?2)
		INSERT INTO entries (parent_id, name, name_key, kind, owner_id, public, object_id, size, type, created_at, updated_at, modified_at)
		SELECT s.parent_id, printf('file %06d.txt', i), printf('file %06d.txt', i), 'file', NULL, TRUE, s.object_id, s.size, s.type,
			s.created_at, s.updated_at, s.modified_at
		FROM number CROSS JOIN seed s`, folder, n)
	if err != nil {
		return fmt.Errorf("add entries: %w", err)
	}
	if got, err := made.RowsAffected(); err != nil || got != int64(n) {
		return fmt.Errorf("added %d entries: is there a folder %q with a file?", got, folder)
	}
	// What the folder and the top hold is kept beside them.
	_, err = tx.ExecContext(ctx, `WITH`+seed+`
		INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here)
		SELECT s.parent_id, 0, s.type, ?2, 0, ?2 * s.size, ?2, 0 FROM seed s
		UNION ALL SELECT 0, s.seen_by, s.type, ?2, 0, ?2 * s.size, 0, 0 FROM seed s WHERE TRUE
		ON CONFLICT (folder_id, seen_by, type) DO UPDATE SET files = files + excluded.files, bytes = bytes + excluded.bytes,
			files_here = files_here + excluded.files_here`, folder, n)
	if err != nil {
		return fmt.Errorf("add to totals: %w", err)
	}
	return tx.Commit()
}
