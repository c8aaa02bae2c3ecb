package sqlmeta

import (
	"context"
	"fmt"
	"strings"
)

// findings are the questions that Check asks after the engine's own: each gives
// one row for each fault, whose columns complete the text.
var findings = []struct {
	text, query string
}{
	{"file %v has no stored object", `SELECT e.id
		FROM entries e LEFT JOIN objects o ON o.id = e.object_id
		WHERE e.kind = 'file' AND (o.id IS NULL OR o.state <> 'stored')`},
	{"file %v has %v bytes, its object %v", `SELECT e.id, e.size, o.size
		FROM entries e JOIN objects o ON o.id = e.object_id WHERE e.size <> o.size`},
	{"object %x is stored, but no file has it", `SELECT o.id
		FROM objects o WHERE o.state = 'stored' AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.object_id = o.id)
			AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.object_id = o.id)`},
	{"version %v of file %v has no stored object of its size", `SELECT v.id, v.entry_id
		FROM versions v LEFT JOIN objects o ON o.id = v.object_id
		WHERE o.id IS NULL OR o.state <> 'stored' OR o.size <> v.size`},
	{"message %v is to be deleted, but object %x lies there", `SELECT c.message_id, c.object_id
		FROM chunks c JOIN deletions d ON d.message_id = c.message_id`},
	{"message %v is to be deleted, but a thumbnail lies there", `SELECT t.message_id
		FROM thumbnails t JOIN deletions d ON d.message_id = t.message_id`},
	{"entry %v is in the trash, but what was deleted with it is not there", `SELECT e.id
		FROM entries e WHERE e.trash_id > 0 AND NOT EXISTS (SELECT 1 FROM trash t WHERE t.entry_id = e.trash_id)`},
	{"entry %v and its folder %v are not in the same part of the trash", `SELECT e.id, p.id
		FROM entries e JOIN entries p ON p.id = e.parent_id
		WHERE e.id > 0 AND COALESCE(e.trash_id, 0) <> CASE WHEN p.id = -1 THEN e.id ELSE COALESCE(p.trash_id, 0) END`},
	{"object %x of %v bytes has %v chunks with %v gaps that reach to %v", `SELECT o.id, o.size, COALESCE(c.chunks, 0), COALESCE(c.gaps, 0), COALESCE(c.reach, 0)
		FROM objects o LEFT JOIN (
			SELECT object_id, COUNT(*) AS chunks, COUNT(*) FILTER (WHERE start <> before) AS gaps, MAX(start + size) AS reach
			FROM (SELECT object_id, start, size,
				COALESCE(LAG(start + size) OVER (PARTITION BY object_id ORDER BY start), 0) AS before FROM chunks) placed
			GROUP BY object_id) c ON c.object_id = o.id
		WHERE o.state = 'stored' AND (c.chunks IS NULL OR c.gaps > 0 OR c.reach <> o.size)`},
	{"upload %v is %v, but its object is not", `SELECT u.id, u.state
		FROM uploads u LEFT JOIN objects o ON o.id = u.object_id
		WHERE u.state IN ('running', 'waiting') AND (o.id IS NULL OR o.state <> 'uploading')`},
	{"entry %v is in entry %v, which is no folder", `SELECT e.id, p.id
		FROM entries e JOIN entries p ON p.id = e.parent_id WHERE p.kind <> 'folder'`},
	{"the root is missing: entry %v", `SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM entries WHERE id = 0 AND kind = 'folder')`},
	{"entry %v does not hang on the root", `WITH RECURSIVE reached (id) AS (
			SELECT id FROM entries WHERE id IN (0, -1)
			UNION
			SELECT e.id FROM reached r JOIN entries e ON e.parent_id = r.id)
		SELECT e.id FROM entries e LEFT JOIN reached r ON r.id = e.id WHERE r.id IS NULL`},
}

// Check implements meta.Store. It reads everything, which takes minutes for
// millions of entries, while others read and write on. Its lines name ids only.
func (s *Store) Check(ctx context.Context) (faults []string, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if faults, err = s.engine.check(ctx, q); err != nil {
			return err
		}
		for _, f := range findings {
			some, err := rows(ctx, q, func(row scanner) (string, error) {
				values := make([]any, strings.Count(f.text, "%"))
				into := make([]any, len(values))
				for i := range values {
					into[i] = &values[i]
				}
				err := row.Scan(into...)
				return fmt.Sprintf(f.text, values...), err
			}, f.query)
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
