package sqlmeta

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"discordcloud/pkg/cloud"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

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

// versionTable has a row for each migration that was applied.
const versionTable = "schema_version"

const makeVersionTable = `CREATE TABLE IF NOT EXISTS ` + versionTable + ` (
	version    INTEGER NOT NULL PRIMARY KEY,
	applied_at INTEGER NOT NULL)`

// migrate brings the tables to the newest of the versions, each in a
// transaction of its own, and gives the versions before and after. Of two
// processes at once, one does it.
func migrate(ctx context.Context, e engine, all []migration, now time.Time) (from, to int, err error) {
	_, db := e.pools()
	from, err = schemaVersion(ctx, e, db)
	if err != nil {
		return 0, 0, err
	}
	if newest := len(all); from > newest {
		return from, from, cloud.UserErrorf(cloud.ErrInvalid,
			"the database has tables of version %d, this program knows them up to version %d: use a newer program", from, newest)
	}
	to = from
	for _, m := range all[from:] {
		if err := m.apply(ctx, e, now); err != nil {
			return from, to, fmt.Errorf("migrate to version %d: %w", m.version, err)
		}
		to = m.version
	}
	return from, to, nil
}

// sameVersion refuses tables that are not of this program's version: another
// process uses them, so they must stay as they are.
func sameVersion(ctx context.Context, e engine, newest int) error {
	_, db := e.pools()
	version, err := schemaVersion(ctx, e, db)
	if err == nil && version != newest {
		err = cloud.UserErrorf(cloud.ErrInvalid,
			"the database has tables of version %d and is in use, this program has version %d", version, newest)
	}
	return err
}

func (m migration) apply(ctx context.Context, e engine, now time.Time) error {
	db, _ := e.pools()
	return inTransaction(ctx, db, nil, func(tx *sql.Tx) error {
		if err := e.settle(ctx, tx); err != nil {
			return err
		}
		if at, err := schemaVersion(ctx, e, tx); err != nil || at >= m.version {
			return err // another process was faster
		}
		for _, script := range []string{makeVersionTable, m.sql} {
			if err := exec(ctx, tx, e.migration(script)); err != nil {
				return err
			}
		}
		if err := exec(ctx, e.speak(tx), `INSERT INTO schema_version (version, applied_at) VALUES (?, ?)`, m.version, now.UnixMicro()); err != nil {
			return err
		}
		return e.guard(ctx, tx)
	})
}

// schemaVersion is the version of the tables, 0 where there are none. Tables of
// others are ErrCorrupt.
func schemaVersion(ctx context.Context, e engine, q querier) (int, error) {
	tables, err := e.tables(ctx, q)
	if err != nil || !slices.Contains(tables, versionTable) {
		return 0, err
	}
	var version int
	err = q.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version)
	return version, err
}
