package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // PostgreSQL
	_ "modernc.org/sqlite"             // SQLite
)

// catalogue says what is in a database that has grown: one folder of a tenth of
// all files, and the others in folders of twenty, which lie in folders of 250
// folders. Entries have their numbers in this order: the big one, those of
// folders, folders, files.
type catalogue struct {
	files, folders, tops int
	inBig                int   // files in the big folder
	crowd                int64 // the big folder
	shares               int
	batch                int // of files added since
}

func newCatalogue(files int) catalogue {
	folders := max(files/20, 1)
	return catalogue{files: files, folders: folders, tops: max(folders/250, 1), inBig: files / 10, crowd: 1, shares: min(10_000, files/10)}
}

// dialect is what the two databases say otherwise.
type dialect struct {
	object, zeros string // the id of object number i, and %d bytes of nothing
	begin, end    []string
	indexes       string // the statements that make the indexes which are no rule
}

var dialects = map[string]dialect{
	"sqlite": {
		object: `unhex(printf('%016x%016x', i * 40503 % 65521, i))`, zeros: `zeroblob(%d)`,
		begin: []string{
			`PRAGMA journal_mode = OFF`, `PRAGMA synchronous = OFF`, `PRAGMA cache_size = -262144`,
			// The product makes it anew when it starts.
			`DROP TRIGGER entry_trigrams_insert`, `DROP TRIGGER entry_trigrams_update`, `DROP TRIGGER entry_trigrams_delete`, `DROP TABLE entry_trigrams`,
		},
		end: []string{`PRAGMA journal_mode = WAL`},
		indexes: `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
			AND tbl_name IN ('objects', 'chunks', 'entries', 'shares')`,
	},
	"pgx": {
		object: `decode(lpad(to_hex(i::bigint * 40503 % 65521), 16, '0') || lpad(to_hex(i), 16, '0'), 'hex')`, zeros: `decode(repeat('00', %d), 'hex')`,
		begin: []string{`SET session_replication_role = replica`, `SET synchronous_commit = off`, `SET maintenance_work_mem = '256MB'`},
		end: []string{
			`SELECT setval(pg_get_serial_sequence('entries', 'id'), (SELECT MAX(id) FROM entries))`,
			`VACUUM ANALYZE`, `CHECKPOINT`, // as a server does by itself in time
		},
		indexes: `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ('objects', 'chunks', 'entries', 'shares')
			AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)`,
	},
}

// fill puts the catalogue into the empty database of a product that does not run.
// User 1 owns everything, user friend has some shares.
func (c catalogue) fill(ctx context.Context, driver, source string, friend int64) (err error) {
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // db's Close tells
	d := dialects[driver]
	again, err := indexes(ctx, conn, d.indexes)
	if err != nil {
		return err
	}
	statements := d.begin
	for name := range again {
		statements = append(statements, `DROP INDEX `+name)
	}
	statements = append(statements, c.rows(d, friend)...)
	for _, create := range again { // in one go they are made much sooner
		statements = append(statements, create)
	}
	for _, statement := range append(statements, d.end...) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%w in %s", err, strings.TrimSpace(statement))
		}
	}
	return nil
}

// indexes are the statements that make them, by name.
func indexes(ctx context.Context, conn *sql.Conn, query string) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err tells
	all := map[string]string{}
	for rows.Next() {
		var name, create string
		if err := rows.Scan(&name, &create); err != nil {
			return nil, err
		}
		all[name] = create
	}
	return all, rows.Err()
}

// rows are the statements that make them.
func (c catalogue) rows(d dialect, friend int64) []string {
	firstTop := c.crowd + 1
	firstFolder := firstTop + int64(c.tops)
	firstFile := firstFolder + int64(c.folders)
	numbers := func(n int) string {
		return fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d) `, n)
	}
	folder := func(n int, id, parent int64, per int, name string) string {
		return fmt.Sprintf(`INSERT INTO entries (id, parent_id, name, name_key, kind, owner_id, public, created_at, updated_at, modified_at) %s
			SELECT %d + i, %d + i / %d, '%s ' || i, '%s ' || i, 'folder', 1, TRUE, i, i, i FROM n`, numbers(n), id, parent, per, name, name)
	}
	const name = `CASE i % 4 WHEN 0 THEN 'holiday ' WHEN 1 THEN 'invoice ' WHEN 2 THEN 'letter ' ELSE 'scan ' END || i || ' of ' || `
	return []string{
		fmt.Sprintf(`INSERT INTO objects (id, state, size, created_at, finished_at, state_at) %s
			SELECT %s, 'stored', i %% 99991 + 1, i, i, i FROM n`, numbers(c.files), d.object),
		fmt.Sprintf(`INSERT INTO chunks (object_id, start, size, number, part, ext, sealed_size, salt, header, crc32,
				channel_id, message_id, attachment_id, path) %s
			SELECT %s, 0, i %% 99991 + 1, 0, 0, 0, i %% 99991 + 161, %s, %s, 0, '1000', 'm' || i, 'a' || i, '' FROM n`,
			numbers(c.files), d.object, fmt.Sprintf(d.zeros, 32), fmt.Sprintf(d.zeros, 64)),
		folder(1, c.crowd, 0, 1, "big"),
		folder(c.tops, firstTop, 0, c.tops, "top"),
		folder(c.folders, firstFolder, firstTop, (c.folders+c.tops-1)/c.tops, "folder"),
		fmt.Sprintf(`INSERT INTO entries (id, parent_id, name, name_key, kind, owner_id, public, object_id, size, type, created_at, updated_at, modified_at) %s
			SELECT %d + i, CASE WHEN i < %d THEN %d ELSE %d + i %% %d END, %s'%d.jpg', %s'%d.jpg', 'file', 1, TRUE, %s, i %% 99991 + 1, 'type/' || i %% 7,
				i, i * 7919 %% 1000003, i FROM n`,
			strings.Replace(numbers(c.files), "SELECT 0 ", "SELECT CAST(0 AS BIGINT) ", 1), firstFile, c.inBig, c.crowd, firstFolder, c.folders, name, c.files, name, c.files, d.object),
		fmt.Sprintf(`INSERT INTO shares (entry_id, user_id, can_write, shared_at, owner_id) %s
			SELECT %d + i * %d, %d, i %% 2 = 0, i, 1 FROM n`, numbers(c.shares), firstFile, c.files/c.shares, friend),
		`UPDATE entries SET shared = TRUE WHERE id IN (SELECT entry_id FROM shares)`,
		`INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here)
			SELECT e.parent_id, 0, e.type, COUNT(*), 0, SUM(e.size), COUNT(*), 0 FROM entries e WHERE e.kind = 'file' GROUP BY e.parent_id, e.type`,
		fmt.Sprintf(`INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here)
			SELECT e.parent_id, 0, t.type, SUM(t.files), 0, SUM(t.bytes), 0, 0 FROM totals t JOIN entries e ON e.id = t.folder_id
			WHERE e.id >= %d GROUP BY e.parent_id, t.type`, firstFolder),
		fmt.Sprintf(`INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here)
			SELECT 0, 0, t.type, SUM(t.files), 0, SUM(t.bytes), 0, 0 FROM totals t WHERE t.folder_id < %d GROUP BY t.type`, firstFolder),
		`INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here)
			SELECT e.parent_id, 0, '', 0, COUNT(*), 0, 0, COUNT(*) FROM entries e WHERE e.kind = 'folder' AND e.id > 0 GROUP BY e.parent_id`,
		fmt.Sprintf(`UPDATE totals SET folders = folders + %d WHERE folder_id = 0 AND type = ''`, c.folders),
		`INSERT INTO space (user_id, used_bytes, used_files) SELECT 1, SUM(size), COUNT(*) FROM entries WHERE kind = 'file'
			ON CONFLICT (user_id) DO UPDATE SET used_bytes = excluded.used_bytes, used_files = excluded.used_files`,
		`UPDATE space SET used_bytes = (SELECT SUM(size) FROM entries WHERE kind = 'file'), used_files = (SELECT COUNT(*) FROM entries WHERE kind = 'file')
			WHERE user_id = 0`,
	}
}
