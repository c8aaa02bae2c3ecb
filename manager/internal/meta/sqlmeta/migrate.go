package sqlmeta

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"discordcloud/pkg/cloud"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration brings the tables from version-1 to version.
type migration struct {
	version int
	sql     string
}

// migrations are those of this program, in order and without gaps. Their file
// names begin with the version.
func migrations() []migration {
	files, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic("sqlmeta: " + err.Error())
	}
	var all []migration
	for i, f := range files {
		number, _, _ := strings.Cut(f.Name(), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			panic("sqlmeta: migration " + f.Name() + " is out of order")
		}
		text, err := migrationFiles.ReadFile("migrations/" + f.Name())
		if err != nil {
			panic("sqlmeta: " + err.Error())
		}
		all = append(all, migration{i + 1, string(text)})
	}
	return all
}

// migrate brings the tables to the newest of the versions, each in a
// transaction of its own, and gives the versions before and after.
func migrate(ctx context.Context, db *sql.DB, all []migration, now time.Time) (from, to int, err error) {
	from, err = schemaVersion(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	if newest := len(all); from > newest {
		return from, from, cloud.UserErrorf(cloud.ErrInvalid,
			"the database has tables of version %d, this program knows them up to version %d: use a newer program", from, newest)
	}
	to = from
	for _, m := range all[from:] {
		if err := m.apply(ctx, db, now); err != nil {
			return from, to, fmt.Errorf("migrate to version %d: %w", m.version, err)
		}
		to = m.version
	}
	return from, to, nil
}

// sameVersion refuses tables that are not of this program's version: another
// process uses them, so they must stay as they are.
func sameVersion(ctx context.Context, db *sql.DB, newest int) error {
	version, err := schemaVersion(ctx, db)
	if err == nil && version != newest {
		err = cloud.UserErrorf(cloud.ErrInvalid,
			"the database has tables of version %d and is in use, this program has version %d", version, newest)
	}
	return err
}

func (m migration) apply(ctx context.Context, db *sql.DB, now time.Time) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit without effect
	if err := exec(ctx, tx, `CREATE TABLE IF NOT EXISTS schema_version (
		version    INTEGER NOT NULL PRIMARY KEY,
		applied_at INTEGER NOT NULL)`); err != nil {
		return err
	}
	if err := exec(ctx, tx, m.sql); err != nil {
		return err
	}
	if err := exec(ctx, tx, `INSERT INTO schema_version (version, applied_at) VALUES (?, ?)`, m.version, now.UnixMicro()); err != nil {
		return err
	}
	return tx.Commit()
}

// schemaVersion is the version of the tables, 0 for an empty file. A file with
// tables of others is ErrCorrupt.
func schemaVersion(ctx context.Context, db *sql.DB) (int, error) {
	tables, err := rows(ctx, db, scanID[string], `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	if err != nil || len(tables) == 0 {
		return 0, err
	}
	if !slices.Contains(tables, "schema_version") {
		return 0, fmt.Errorf("%w: it holds tables of another program", cloud.ErrCorrupt)
	}
	var version int
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version)
	return version, err
}
