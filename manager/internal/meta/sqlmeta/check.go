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
	{"user %v has %v files and %v bytes, counted are %v and %v", `SELECT w.id, w.files, w.bytes, COALESCE(s.used_files, 0), COALESCE(s.used_bytes, 0)
		FROM (` + stored + `) w LEFT JOIN space s ON s.user_id = w.id
		WHERE w.files <> COALESCE(s.used_files, 0) OR w.bytes <> COALESCE(s.used_bytes, 0)`},
	{"user %v has nothing, counted are %v files and %v bytes", `SELECT s.user_id, s.used_files, s.used_bytes
		FROM space s WHERE (s.used_files <> 0 OR s.used_bytes <> 0) AND s.user_id NOT IN (SELECT w.id FROM (` + stored + `) w)`},
	{"folder %v has %v files, %v folders and %v bytes of one sort below it, its totals say otherwise", counted + `SELECT c.folder_id,
			CAST(c.files AS BIGINT), CAST(c.folders AS BIGINT), CAST(c.bytes AS BIGINT)
		FROM counted c LEFT JOIN totals t ON t.folder_id = c.folder_id AND t.seen_by = c.seen_by AND t.type = c.type
		WHERE t.folder_id IS NULL OR t.files <> c.files OR t.folders <> c.folders OR t.bytes <> c.bytes
			OR t.files_here <> c.files_here OR t.folders_here <> c.folders_here`},
	{"folder %v has totals of what is not below it", counted + `SELECT t.folder_id
		FROM totals t LEFT JOIN counted c ON c.folder_id = t.folder_id AND c.seen_by = t.seen_by AND c.type = t.type
		WHERE c.folder_id IS NULL`},
	{"a share of entry %v names another owner", `SELECT g.entry_id FROM (
			SELECT entry_id, owner_id FROM shares UNION ALL SELECT entry_id, owner_id FROM group_shares) g
		JOIN entries e ON e.id = g.entry_id WHERE COALESCE(e.owner_id, 0) <> COALESCE(g.owner_id, 0)`},
	{"entry %v is shared, and does not say so", `SELECT e.id FROM entries e
		WHERE NOT e.shared AND e.id IN (SELECT entry_id FROM shares UNION SELECT entry_id FROM group_shares)`},
	{"the root is missing: entry %v", `SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM entries WHERE id = 0 AND kind = 'folder')`},
	{"entry %v does not hang on the root", `WITH RECURSIVE reached (id) AS (
			SELECT id FROM entries WHERE id IN (0, -1)
			UNION
			SELECT e.id FROM reached r JOIN entries e ON e.parent_id = r.id)
		SELECT e.id FROM entries e LEFT JOIN reached r ON r.id = e.id WHERE r.id IS NULL`},
}

// counted is what each folder's totals should say.
const counted = `WITH RECURSIVE direct (folder_id, seen_by, type, files, folders, bytes) AS (
		SELECT d.folder_id, d.seen_by, d.type, SUM(d.files), SUM(d.folders), SUM(d.bytes) FROM (
			SELECT e.parent_id AS folder_id, ` + seenBy + ` AS seen_by, ` + ownTotals + ` FROM entries e WHERE e.id > 0) d
		GROUP BY d.folder_id, d.seen_by, d.type),
	below (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here, level) AS (
		SELECT d.folder_id, d.seen_by, d.type, d.files, d.folders, d.bytes, d.files, d.folders, 0 FROM direct d
		UNION ALL
		SELECT e.parent_id, ` + seenThrough + `, t.type, t.files, t.folders, t.bytes, 0, 0, t.level + 1
		FROM below t JOIN entries e ON e.id = t.folder_id WHERE e.id > 0 AND t.level < 200),
	counted (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here) AS (
		SELECT b.folder_id, b.seen_by, b.type, SUM(b.files), SUM(b.folders), SUM(b.bytes), SUM(b.files_here), SUM(b.folders_here) FROM below b
		WHERE b.folder_id >= 0 GROUP BY b.folder_id, b.seen_by, b.type) `

// stored is what each user has, and what all have (user 0): what the table of
// space should say.
const stored = `SELECT x.id, CAST(SUM(x.files) AS BIGINT) AS files, CAST(SUM(x.bytes) AS BIGINT) AS bytes FROM (
		SELECT owner_id AS id, COUNT(*) AS files, SUM(size) AS bytes FROM entries WHERE kind = 'file' AND owner_id IS NOT NULL GROUP BY owner_id
		UNION ALL SELECT 0, COUNT(*), COALESCE(SUM(size), 0) FROM entries WHERE kind = 'file'
		UNION ALL SELECT e.owner_id, 0, SUM(v.size) FROM versions v JOIN entries e ON e.id = v.entry_id WHERE e.owner_id IS NOT NULL GROUP BY e.owner_id
		UNION ALL SELECT 0, 0, COALESCE(SUM(size), 0) FROM versions) x GROUP BY x.id`

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
