package sqlmeta

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"discordcloud/pkg/cloud"
)

// catalogue is what PostgreSQL tells of its tables in statements, whichever way
// they reach it.
type catalogue struct{}

func (catalogue) tables(ctx context.Context, q querier) ([]string, error) {
	return rows(ctx, q, scanID[string],
		`SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'`)
}

func (catalogue) migration(script string) string { return tablesToPostgres(script) }

// check asks for rules that are not in force: PostgreSQL keeps the others itself.
func (catalogue) check(ctx context.Context, q querier) ([]string, error) {
	return rows(ctx, q, func(row scanner) (string, error) {
		name, err := scanID[string](row)
		return fmt.Sprintf("the rule %s is not in force", name), err
	}, `SELECT conname FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND NOT convalidated`)
}

func (catalogue) columns(ctx context.Context, q querier, table string) (all []column, key []string, err error) {
	if all, err = rows(ctx, q, scanColumn, `SELECT column_name::text, data_type::text FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = ?`, table); err != nil {
		return nil, nil, err
	}
	key, err = rows(ctx, q, scanID[string], `SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indisprimary AND i.indrelid = to_regclass(?) ORDER BY array_position(i.indkey::int2[], a.attnum)`, table)
	return all, key, err
}

func (catalogue) references(ctx context.Context, q querier, each func(from, to string)) error {
	return eachPair(ctx, q, each, `SELECT c.relname, p.relname FROM pg_constraint k
		JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
		WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace`)
}

// insert hands all rows over as one argument: over REST each argument costs as much
// as all of them are long.
func (catalogue) insert(ctx context.Context, tx querier, t *tableHead, all [][]any) error {
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	values := make([]string, len(t.Columns))
	for i := range t.Columns {
		values[i] = fmt.Sprintf("r.value->>%d", i)
		switch t.Kinds[i] {
		case kindNumber:
			values[i] = "CAST(" + values[i] + " AS BIGINT)"
		case kindTruth:
			values[i] = "CAST(" + values[i] + " AS BOOLEAN)"
		case kindBytes:
			values[i] = "decode(" + values[i] + ", 'base64')"
		}
	}
	return exec(ctx, tx, fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM jsonb_array_elements(CAST(? AS JSONB)) WITH ORDINALITY r (value, place) ORDER BY r.place`,
		t.Table, strings.Join(t.Columns, ", "), strings.Join(values, ", ")), string(text))
}

// sequence is what numbers the rows of a table, "" for nothing.
func (c catalogue) sequence(ctx context.Context, q querier, table string) (string, error) {
	all, err := rows(ctx, q, scanID[string], `SELECT s.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'i'
		WHERE s.relkind = 'S' AND d.refobjid = to_regclass(?)`, table)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return pgx.Identifier{all[0]}.Sanitize(), nil
}

func (c catalogue) lastID(ctx context.Context, q querier, table string) (last int64, err error) {
	sequence, err := c.sequence(ctx, q, table)
	if err != nil || sequence == "" {
		return 0, err
	}
	err = q.QueryRowContext(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM `+sequence).Scan(&last)
	return last, err
}

func (c catalogue) setLastID(ctx context.Context, tx querier, table string, last int64) error {
	sequence, err := c.sequence(ctx, tx, table)
	if err != nil || sequence == "" {
		return err
	}
	return exec(ctx, tx, `SELECT setval(?, ?)`, sequence, last)
}

// postgresKinds maps SQLSTATE codes and their classes.
var postgresKinds = []struct {
	code    string
	kind    error
	passing bool
}{
	{"23503", cloud.ErrNotFound, false},    // foreign_key_violation
	{"23505", cloud.ErrExists, false},      // unique_violation
	{"23514", cloud.ErrInvalid, false},     // check_violation
	{"22021", cloud.ErrInvalid, false},     // character_not_in_repertoire: a NUL in a text
	{"22P05", cloud.ErrInvalid, false},     // untranslatable_character
	{"25006", cloud.ErrUnavailable, true},  // read_only_sql_transaction: a standby that takes over
	{"40001", cloud.ErrUnavailable, true},  // serialization_failure
	{"40P01", cloud.ErrUnavailable, true},  // deadlock_detected
	{"53100", cloud.ErrFull, false},        // disk_full
	{"53", cloud.ErrUnavailable, true},     // insufficient_resources: connections, memory
	{"55P03", cloud.ErrUnavailable, false}, // lock_not_available: has waited already
	{"57014", cloud.ErrUnavailable, false}, // query_canceled: by statement_timeout
	{"57P", cloud.ErrUnavailable, true},    // shut down, crashed, starting
	{"25P03", cloud.ErrUnavailable, true},  // idle_in_transaction_session_timeout
	{"58", cloud.ErrUnavailable, false},    // system_error
	{"08", cloud.ErrUnavailable, true},     // connection_exception
	{"28", cloud.ErrUnavailable, false},    // invalid_authorization_specification
	{"3D000", cloud.ErrUnavailable, false}, // invalid_catalog_name: no such database
	{"XX001", cloud.ErrCorrupt, false},     // data_corrupted
	{"XX002", cloud.ErrCorrupt, false},     // index_corrupted
	{"42P07", cloud.ErrCorrupt, false},     // duplicate_table: another program's
}

// verdict is what an error of the engine's own means.
type verdict struct {
	kind    error // nil for none
	own     bool
	passing bool
}

// verdictOf is what a SQLSTATE means.
func verdictOf(code string) verdict {
	for _, k := range postgresKinds {
		if strings.HasPrefix(code, k.code) {
			return verdict{k.kind, true, k.passing}
		}
	}
	return verdict{own: true}
}

// ourTables are the names of the tables that migrations make.
func ourTables(all []migration) []string {
	names := []string{versionTable}
	for _, m := range all {
		for _, match := range createTable.FindAllStringSubmatch(m.sql, -1) {
			names = append(names, match[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
