package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"unicode/utf8"
)

// shortestPart is how many letters the index needs of a text.
const shortestPart = 3

func seekable(text string) bool {
	return utf8.RuneCountInString(text) >= shortestPart && !strings.ContainsRune(text, 0)
}

// In SQLite the index is a table of FTS5 that keeps which entry has which part and
// nothing else: about 40 bytes for a name. Triggers keep it, so that no statement
// can forget it.
const (
	trigramTable = "entry_trigrams"

	makeTrigrams = `CREATE VIRTUAL TABLE entry_trigrams USING fts5 (name_key,
			content = 'entries', content_rowid = 'id', detail = 'none', columnsize = 0, tokenize = 'trigram case_sensitive 1');
		CREATE TRIGGER entry_trigrams_insert AFTER INSERT ON entries BEGIN
			INSERT INTO entry_trigrams (rowid, name_key) VALUES (new.id, new.name_key);
		END;
		CREATE TRIGGER entry_trigrams_delete AFTER DELETE ON entries BEGIN
			INSERT INTO entry_trigrams (entry_trigrams, rowid, name_key) VALUES ('delete', old.id, old.name_key);
		END;
		CREATE TRIGGER entry_trigrams_update AFTER UPDATE OF name_key ON entries WHEN old.name_key <> new.name_key BEGIN
			INSERT INTO entry_trigrams (entry_trigrams, rowid, name_key) VALUES ('delete', old.id, old.name_key);
			INSERT INTO entry_trigrams (rowid, name_key) VALUES (new.id, new.name_key);
		END;
		INSERT INTO entry_trigrams (entry_trigrams) VALUES ('rebuild')`

	// lostTrigrams gives some of the entries that the index lacks: of a thousand, all
	// over the table, it asks for the first three letters and for the last.
	lostTrigrams = `SELECT e.id FROM entries e WHERE e.id % (SELECT MAX(id) / 1000 + 1 FROM entries) = 0 AND length(e.name_key) >= 3
			AND NOT EXISTS (SELECT 1 FROM entry_trigrams t WHERE t.rowid = e.id AND t.entry_trigrams MATCH
				'"' || replace(substr(e.name_key, 1, 3), '"', '""') || '" AND "' || replace(substr(e.name_key, -3), '"', '""') || '"')`
)

// indexNames makes the index if it is missing, which takes some ten seconds for a
// million names.
func (e *sqliteEngine) indexNames(ctx context.Context) error {
	err := inTransaction(ctx, e.write, nil, func(tx *sql.Tx) error {
		there, err := e.hasTrigrams(ctx, tx)
		if err != nil || there {
			return err
		}
		return exec(ctx, tx, makeTrigrams)
	})
	if err != nil {
		return fmt.Errorf("index names: %w", err)
	}
	e.trigrams.Store(true)
	return nil
}

func (e *sqliteEngine) hasTrigrams(ctx context.Context, q querier) (there bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)`, trigramTable).Scan(&there)
	return there, err
}

// seek asks for the parts that stand side by side in the text, and for the last
// one: more would mean to read more of the index.
func (e *sqliteEngine) seek(text string) (query, arg string, ok bool) {
	if !e.trigrams.Load() || !seekable(text) {
		return "", "", false
	}
	letters := []rune(text)
	var match strings.Builder
	for at, last := 0, len(letters)-shortestPart; ; at = min(at+shortestPart, last) {
		// In quotes everything is text; a quote is written as two.
		match.WriteString(`"` + strings.ReplaceAll(string(letters[at:at+shortestPart]), `"`, `""`) + `"`)
		if at == last {
			break
		}
		match.WriteString(" AND ")
	}
	return `SELECT rowid AS id FROM entry_trigrams WHERE entry_trigrams MATCH ?%d`, match.String(), true
}

// In PostgreSQL the index is one of pg_trgm, an extension that the owner of a
// database may install where the server has its files. Where it has not, searches
// read all names. database.sql has the same words.
const (
	trigramIndex = "entries_by_trigram"

	makeTrigramIndex = `DO $$
DECLARE
	home TEXT;
BEGIN
	CREATE EXTENSION IF NOT EXISTS pg_trgm;
	SELECT s.nspname INTO STRICT home FROM pg_opclass c JOIN pg_namespace s ON s.oid = c.opcnamespace WHERE c.opcname = 'gin_trgm_ops';
	EXECUTE format('CREATE INDEX IF NOT EXISTS entries_by_trigram ON entries USING gin (name_key %I.gin_trgm_ops)', home);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
	RAISE NOTICE 'searches read all names: %', SQLERRM;
END
$$;`
)

// indexNames makes the index if it is missing and can be had.
func (e *postgresEngine) indexNames(ctx context.Context) error {
	there := false
	ask := func(q querier) error {
		return q.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, trigramIndex).Scan(&there)
	}
	err := ask(e.read)
	if err == nil && !there {
		err = inTransaction(ctx, e.write, nil, func(tx *sql.Tx) error {
			if err := exec(ctx, tx, `SET LOCAL statement_timeout = 0`); err != nil {
				return err
			}
			if err := e.settle(ctx, tx); err != nil {
				return err
			}
			if err := exec(ctx, tx, makeTrigramIndex); err != nil {
				return err
			}
			return ask(tx)
		})
	}
	if err != nil {
		return fmt.Errorf("index names: %w", err)
	}
	if !there {
		e.log.WarnContext(ctx, "searches read all names: the database has no extension pg_trgm")
	}
	e.trigrams.Store(there)
	return nil
}

// seek leaves the sign that escapes at PostgreSQL's own: with ESCAPE it would see
// no pattern in what is to come, and use no index.
func (e *postgresEngine) seek(text string) (query, arg string, ok bool) {
	return seekTrigrams(text, e.trigrams.Load())
}

func seekTrigrams(text string, indexed bool) (query, arg string, ok bool) {
	if !indexed || !seekable(text) {
		return "", "", false
	}
	return `SELECT id FROM entries WHERE name_key LIKE ?%d`, "%" + likeEscape.Replace(text) + "%", true
}
