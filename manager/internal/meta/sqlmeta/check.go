package sqlmeta

import (
	"context"
	"fmt"
)

// findings are the questions that Check asks after SQLite's own: each gives one
// row, of one text, for each fault.
var findings = []string{
	`SELECT 'file ' || e.id || ' has no stored object'
		FROM entries e LEFT JOIN objects o ON o.id = e.object_id
		WHERE e.kind = 'file' AND (o.id IS NULL OR o.state <> 'stored')`,
	`SELECT 'file ' || e.id || ' has ' || e.size || ' bytes, its object ' || o.size
		FROM entries e JOIN objects o ON o.id = e.object_id WHERE e.size <> o.size`,
	`SELECT 'object ' || lower(hex(o.id)) || ' is stored, but no file has it'
		FROM objects o WHERE o.state = 'stored' AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.object_id = o.id)
			AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.object_id = o.id)`,
	`SELECT 'version ' || v.id || ' of file ' || v.entry_id || ' has no stored object of its size'
		FROM versions v LEFT JOIN objects o ON o.id = v.object_id
		WHERE o.id IS NULL OR o.state <> 'stored' OR o.size <> v.size`,
	`SELECT 'message ' || c.message_id || ' is to be deleted, but object ' || lower(hex(c.object_id)) || ' lies there'
		FROM chunks c JOIN deletions d ON d.message_id = c.message_id WHERE d.state <> 'skipped'`,
	`SELECT 'message ' || t.message_id || ' is to be deleted, but a thumbnail lies there'
		FROM thumbnails t JOIN deletions d ON d.message_id = t.message_id WHERE d.state <> 'skipped'`,
	`SELECT 'entry ' || e.id || ' is in the trash, but what was deleted with it is not there'
		FROM entries e WHERE e.trash_id > 0 AND NOT EXISTS (SELECT 1 FROM trash t WHERE t.entry_id = e.trash_id)`,
	`SELECT 'entry ' || e.id || ' and its folder ' || p.id || ' are not in the same part of the trash'
		FROM entries e JOIN entries p ON p.id = e.parent_id
		WHERE e.id > 0 AND COALESCE(e.trash_id, 0) <> CASE WHEN p.id = -1 THEN e.id ELSE COALESCE(p.trash_id, 0) END`,
	`SELECT 'object ' || lower(hex(o.id)) || ' of ' || o.size || ' bytes has ' || COALESCE(c.chunks, 0) ||
			' chunks with ' || COALESCE(c.gaps, 0) || ' gaps that reach to ' || COALESCE(c.reach, 0)
		FROM objects o LEFT JOIN (
			SELECT object_id, COUNT(*) AS chunks, SUM(start <> before) AS gaps, MAX(start + size) AS reach
			FROM (SELECT object_id, start, size,
				LAG(start + size, 1, 0) OVER (PARTITION BY object_id ORDER BY start) AS before FROM chunks)
			GROUP BY object_id) c ON c.object_id = o.id
		WHERE o.state = 'stored' AND (c.chunks IS NULL OR c.gaps > 0 OR c.reach <> o.size)`,
	`SELECT 'upload ' || u.id || ' is ' || u.state || ', but its object is not'
		FROM uploads u LEFT JOIN objects o ON o.id = u.object_id
		WHERE u.state IN ('running', 'waiting') AND (o.id IS NULL OR o.state <> 'uploading')`,
	`SELECT 'entry ' || e.id || ' is in entry ' || p.id || ', which is no folder'
		FROM entries e JOIN entries p ON p.id = e.parent_id WHERE p.kind <> 'folder'`,
	`SELECT 'the root is missing' WHERE NOT EXISTS (SELECT 1 FROM entries WHERE id = 0 AND kind = 'folder')`,
	`WITH RECURSIVE reached (id) AS (
			SELECT 0
			UNION
			SELECT -1
			UNION
			SELECT e.id FROM reached r JOIN entries e ON e.parent_id = r.id)
		SELECT 'entry ' || e.id || ' does not hang on the root'
		FROM entries e WHERE e.id NOT IN (SELECT id FROM reached)`,
}

// Check implements meta.Store. It reads everything, which takes minutes for
// millions of entries, while others read and write on. Its lines name ids only.
func (s *Store) Check(ctx context.Context) (faults []string, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if faults, err = rows(ctx, q, scanID[string], `SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`); err != nil {
			return err
		}
		broken, err := rows(ctx, q, func(row scanner) (string, error) {
			var from, to string
			var n int
			err := row.Scan(&from, &to, &n)
			return fmt.Sprintf("%d rows of %s name a row of %s that is missing", n, from, to), err
		}, `SELECT "table", "parent", COUNT(*) FROM pragma_foreign_key_check GROUP BY "table", "parent"`)
		if err != nil {
			return err
		}
		faults = append(faults, broken...)
		for _, question := range findings {
			some, err := rows(ctx, q, scanID[string], question)
			if err != nil {
				return err
			}
			faults = append(faults, some...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	return faults, nil
}
