package sqlmeta

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"discordcloud/pkg/cloud"
)

// passed over in archives: what belongs to one database, not to what is kept.
var notArchived = []string{versionTable, commitsTable, "managers", "leases", "news_head", "news", "attempts", "tickets"}

const commitsTable = "commits"

// Dump writes an archive of everything, as it is at one moment, while others read
// and write on.
func (s *Store) Dump(ctx context.Context, w io.Writer) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fmt.Errorf("dump: %w", cloud.ErrShutdown)
	}
	a := newArchiveWriter(w)
	err := s.engine.walk(ctx, func(q querier) error { // once: what is written is written
		schema, err := schemaVersion(ctx, s.engine, q)
		if err != nil {
			return err
		}
		if err := a.head(archiveHead{archiveFormat, schema, s.stamp()}); err != nil {
			return err
		}
		return s.dumpTables(ctx, q, func(t *tableHead) error { return a.head(t) }, a.row)
	})
	if err == nil {
		err = a.close()
	}
	if err != nil {
		return fmt.Errorf("dump: %w", s.classify(ctx, err))
	}
	return nil
}

// dumpTables goes through all rows in an order that is the same in every
// database, and in which a row comes behind all that it refers to. row must not
// keep what it is given.
func (s *Store) dumpTables(ctx context.Context, q querier, table func(*tableHead) error, row func([]byte) error) error {
	names, err := s.archived(ctx, q)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.dumpTable(ctx, q, name, table, row); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	return nil
}

// archived are the tables of archives, each behind those that it refers to.
func (s *Store) archived(ctx context.Context, q querier) ([]string, error) {
	there, err := s.engine.tables(ctx, q)
	if err != nil {
		return nil, err
	}
	ours := ourTables(migrations())
	parents := map[string][]string{}
	for _, name := range there {
		if slices.Contains(ours, name) && !slices.Contains(notArchived, name) {
			parents[name] = nil
		}
	}
	if err := s.engine.references(ctx, q, func(from, to string) {
		if _, ok := parents[from]; ok && from != to {
			parents[from] = append(parents[from], to)
		}
	}); err != nil {
		return nil, err
	}
	return inOrder(parents)
}

// inOrder sorts names so that each comes behind its parents.
func inOrder(parents map[string][]string) (sorted []string, err error) {
	for len(sorted) < len(parents) {
		before := len(sorted)
		for _, name := range slices.Sorted(maps.Keys(parents)) {
			waits := slices.ContainsFunc(parents[name], func(p string) bool { return !slices.Contains(sorted, p) })
			if !waits && !slices.Contains(sorted, name) {
				sorted = append(sorted, name)
			}
		}
		if len(sorted) == before {
			return nil, fmt.Errorf("%w: tables refer to each other in a circle", cloud.ErrCorrupt)
		}
	}
	return sorted, nil
}

// byDepth has folders in front of what is in them.
const byDepth = `WITH RECURSIVE placed (id, depth) AS (
		SELECT id, CAST(0 AS BIGINT) FROM entries WHERE id IN (0, -1)
		UNION ALL
		SELECT e.id, p.depth + 1 FROM placed p JOIN entries e ON e.parent_id = p.id WHERE e.id <> -1)
	SELECT %s FROM placed p JOIN entries t ON t.id = p.id ORDER BY p.depth, p.id`

func (s *Store) dumpTable(ctx context.Context, q querier, name string, table func(*tableHead) error, row func([]byte) error) error {
	all, key, err := s.engine.columns(ctx, q, name)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b column) int { return strings.Compare(a.name, b.name) })
	columns := namesOfColumns(all)
	head := &tableHead{Table: name, Columns: columns}
	if err := head.learnKinds(all); err != nil {
		return err
	}
	if head.Last, err = s.engine.lastID(ctx, q, name); err != nil {
		return err
	}
	selected := "t." + strings.Join(columns, ", t.")
	query := fmt.Sprintf(`SELECT %s FROM %s t ORDER BY t.%s`, selected, name, strings.Join(key, ", t."))
	if name == "entries" {
		query = fmt.Sprintf(byDepth, selected)
	}
	r, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := table(head); err != nil {
		return err
	}
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var line []byte
	n := int64(0)
	for r.Next() {
		if err := r.Scan(into...); err != nil {
			return err
		}
		if line, err = head.appendRow(line[:0], values); err != nil {
			return err
		}
		if err := row(bytes.Clone(line)); err != nil {
			return err
		}
		n++
	}
	if err := r.Err(); err != nil {
		return err
	}
	r.Close() // a connection answers one question at a time
	var counted int64
	if err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+name).Scan(&counted); err != nil {
		return err
	}
	if counted != n {
		return fmt.Errorf("%w: %d of %d rows are out of reach", cloud.ErrCorrupt, counted-n, counted)
	}
	return nil
}

// column is one of a table, with the engine's name for its type.
type column struct{ name, kind string }

func scanColumn(row scanner) (c column, err error) {
	err = row.Scan(&c.name, &c.kind)
	return c, err
}

func namesOfColumns(all []column) (names []string) {
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}

// learnKinds takes what the engine says that the columns are.
func (t *tableHead) learnKinds(all []column) error {
	var kinds strings.Builder
	for _, c := range all {
		switch strings.ToUpper(c.kind) {
		case "INTEGER", "BIGINT":
			kinds.WriteByte(kindNumber)
		case "TEXT":
			kinds.WriteByte(kindText)
		case "BOOLEAN":
			kinds.WriteByte(kindTruth)
		case "BLOB", "BYTEA":
			kinds.WriteByte(kindBytes)
		default:
			return fmt.Errorf("%w: column %s has the type %q", cloud.ErrCorrupt, c.name, c.kind)
		}
	}
	t.Kinds = kinds.String()
	return nil
}

// ReadArchive reads an archive to its end, and is ErrCorrupt unless it is whole.
// It gives the number of its rows.
func ReadArchive(r io.Reader) (rows int64, err error) {
	a, err := newArchiveReader(r)
	if err != nil {
		return 0, err
	}
	for {
		t, err := a.table()
		if err != nil || t == nil {
			return a.rows, err
		}
		for {
			row, err := a.row()
			if err != nil {
				return 0, err
			}
			if row == nil {
				break
			}
			if _, err := t.values(row); err != nil {
				return 0, err
			}
		}
	}
}
