package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// The table of totals has, for each folder, what lies below it in all levels, and
// how much of that in the folder itself, by type and by who comes to see it. Each
// change of entries keeps it right in its transaction, from where it happens up to
// the root.
const (
	// everybody is who sees it where that is no user.
	everybody cloud.UserID = 0

	// seenBy is who sees entry e where he sees its folder.
	seenBy = `CASE WHEN e.public OR e.owner_id IS NULL THEN 0 ELSE e.owner_id END`

	// seenThrough is the same of what a row of totals counts in folder e: -1 is nobody,
	// but those whom shares help.
	seenThrough = `CASE WHEN e.public OR e.owner_id IS NULL OR e.owner_id = seen_by THEN seen_by
		WHEN seen_by = 0 THEN e.owner_id ELSE -1 END`

	// parts of one entry e, as totals count it.
	ownTotals = `CASE e.kind WHEN 'file' THEN e.type ELSE '' END AS type, CASE e.kind WHEN 'file' THEN 1 ELSE 0 END AS files,
		CASE e.kind WHEN 'file' THEN 0 ELSE 1 END AS folders, e.size AS bytes`
	here = `CASE e.kind WHEN 'file' THEN 1 ELSE 0 END AS files_here, CASE e.kind WHEN 'file' THEN 0 ELSE 1 END AS folders_here`
)

type amount struct{ files, folders, bytes int64 }

// weigh has the folders above some entries count them, with all that is below them,
// so many times more: once, or -1 times for what leaves. which gives their ids. What
// is in the trash counts nowhere.
func weigh(ctx context.Context, tx querier, times int, which string, args ...any) error {
	err := exec(ctx, tx, fmt.Sprintf(`INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here)
		WITH RECURSIVE given (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here) AS (
			SELECT x.folder_id, x.seen_by, x.type, CAST(SUM(x.files) AS BIGINT), CAST(SUM(x.folders) AS BIGINT), CAST(SUM(x.bytes) AS BIGINT),
				CAST(SUM(x.files_here) AS BIGINT), CAST(SUM(x.folders_here) AS BIGINT) FROM (
				SELECT e.parent_id AS folder_id, `+seenBy+` AS seen_by, `+ownTotals+`, `+here+` FROM entries e WHERE e.id IN (%[2]s)
				UNION ALL
				SELECT e.parent_id, `+seenThrough+`, t.type, t.files, t.folders, t.bytes, 0, 0
				FROM entries e CROSS JOIN totals t ON t.folder_id = e.id WHERE e.id IN (%[2]s)) x
			GROUP BY x.folder_id, x.seen_by, x.type),
		up (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here, level) AS (
			SELECT folder_id, seen_by, type, files, folders, bytes, files_here, folders_here, 0 FROM given
			UNION ALL
			SELECT e.parent_id, `+seenThrough+`, up.type, up.files, up.folders, up.bytes, 0, 0, up.level + 1
			FROM up JOIN entries e ON e.id = up.folder_id WHERE e.id > 0 AND up.level <= %[3]d)
		SELECT u.folder_id, u.seen_by, u.type, %[1]d * SUM(u.files), %[1]d * SUM(u.folders), %[1]d * SUM(u.bytes),
			%[1]d * SUM(u.files_here), %[1]d * SUM(u.folders_here)
		FROM up u WHERE u.folder_id >= 0 GROUP BY u.folder_id, u.seen_by, u.type
		ON CONFLICT (folder_id, seen_by, type) DO UPDATE SET files = totals.files + excluded.files,
			folders = totals.folders + excluded.folders, bytes = totals.bytes + excluded.bytes,
			files_here = totals.files_here + excluded.files_here, folders_here = totals.folders_here + excluded.folders_here`,
		times, which, meta.MaxDepth), args...)
	if err != nil || times > 0 {
		return err
	}
	return exec(ctx, tx, fmt.Sprintf(`DELETE FROM totals WHERE files = 0 AND folders = 0 AND folder_id IN (
		WITH RECURSIVE up (id) AS (
			SELECT e.parent_id FROM entries e WHERE e.id IN (%s)
			UNION
			SELECT e.parent_id FROM up JOIN entries e ON e.id = up.id WHERE e.id > 0)
		SELECT id FROM up)`, which), args...)
}

// reweigh keeps the totals right through a change of an entry, of what is below
// it, or of its place.
func reweigh(ctx context.Context, tx querier, id cloud.EntryID, change func() error) error {
	if err := weigh(ctx, tx, -1, `?1`, id); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	return weigh(ctx, tx, 1, `?1`, id)
}

// stale is the temporary table of folders whose totals are to be made anew, with
// how far down each is.
const stale = `CREATE TEMP TABLE IF NOT EXISTS stale (id INTEGER PRIMARY KEY, level INTEGER); DELETE FROM stale`

// recount makes the totals of the folders anew that pick gives, with levels that
// grow downwards. Those that are below them, but not among them, must be right.
func recount(ctx context.Context, tx querier, pick string, args ...any) error {
	if err := exec(ctx, tx, stale); err != nil {
		return err
	}
	if err := exec(ctx, tx, `INSERT INTO stale (id, level) `+pick, args...); err != nil {
		return err
	}
	if err := exec(ctx, tx, `DELETE FROM totals WHERE folder_id IN (SELECT id FROM stale)`); err != nil {
		return err
	}
	var deepest int
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(level), -1) FROM stale`).Scan(&deepest); err != nil {
		return err
	}
	for level := deepest; level >= 0; level-- {
		if err := exec(ctx, tx, `INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here)
			SELECT x.folder_id, x.seen_by, x.type, SUM(x.files), SUM(x.folders), SUM(x.bytes), SUM(x.files_here), SUM(x.folders_here) FROM (
				SELECT e.parent_id AS folder_id, `+seenBy+` AS seen_by, `+ownTotals+`, `+here+`
				FROM stale s CROSS JOIN entries e ON e.parent_id = s.id WHERE s.level = ?1 AND e.id > 0
				UNION ALL
				SELECT e.parent_id, `+seenThrough+`, t.type, t.files, t.folders, t.bytes, 0, 0
				FROM stale s CROSS JOIN entries e ON e.parent_id = s.id CROSS JOIN totals t ON t.folder_id = e.id
				WHERE s.level = ?1 AND e.id > 0 AND e.kind = 'folder') x
			GROUP BY x.folder_id, x.seen_by, x.type`, level); err != nil {
			return err
		}
	}
	return nil
}

// foldersFrom picks folder ?1 and those below it.
const foldersFrom = `WITH RECURSIVE below (id, level) AS (
		SELECT e.id, 0 FROM entries e WHERE e.id = ?1 AND e.kind = 'folder'
		UNION ALL
		SELECT e.id, b.level + 1 FROM below b JOIN entries e ON e.parent_id = b.id AND e.kind = 'folder' WHERE b.level <= ?2)
	SELECT id, level FROM below WHERE ?3`

// foldersAbove picks the folders with something below them that user ?1 owns and
// not everybody sees. Levels are counted from the top.
const foldersAbove = `WITH RECURSIVE above (id) AS (
		SELECT e.parent_id FROM entries e WHERE e.owner_id = ?1 AND NOT e.public AND e.id > 0
		UNION
		SELECT e.parent_id FROM above a JOIN entries e ON e.id = a.id WHERE e.id > 0),
	down (id, level) AS (
		SELECT a.id, 0 FROM above a WHERE a.id <= 0
		UNION ALL
		SELECT e.id, d.level + 1 FROM above a JOIN entries e ON e.id = a.id JOIN down d ON d.id = e.parent_id WHERE e.id > 0 AND d.level <= ?2)
	SELECT id, level FROM down WHERE id >= 0`

// opened adds what shares open to the viewer below folder ?2. given is what is
// shared with him, or by him; from each of that it goes up to the folder, as
// far as he sees the way and nothing on it is given itself.
const opened = `given (id) AS (
		` + concerns + `),
	way (top, at) AS (
		SELECT e.id, e.parent_id FROM given g CROSS JOIN entries e ON e.id = g.id WHERE e.id > 0 AND e.id <> ?2
		UNION ALL
		SELECT w.top, e.parent_id FROM way w CROSS JOIN entries e ON e.id = w.at
			WHERE w.at <> ?2 AND e.id > 0 AND ` + open + ` AND e.id NOT IN (SELECT id FROM given))`

// eachTotal calls f for each row of a folder.
func eachTotal(ctx context.Context, q querier, folder cloud.EntryID, f func(by cloud.UserID, mime string, a amount)) error {
	return each(ctx, q, func(row scanner) error {
		var by cloud.UserID
		var mime string
		var a amount
		err := row.Scan(&by, &mime, &a.files, &a.folders, &a.bytes)
		f(by, mime, a)
		return err
	}, `SELECT seen_by, type, files, folders, bytes FROM totals WHERE folder_id = ?1`, folder)
}

// Sizes implements meta.Tree.
func (s *Store) Sizes(ctx context.Context, id cloud.EntryID, viewer cloud.UserID) (sizes meta.Sizes, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		e, err := folder(ctx, q, id, viewer)
		if err != nil {
			return err
		}
		sizes = meta.Sizes{Types: map[string]int64{}}
		count := func(mime string, a amount) {
			sizes.Files, sizes.Folders, sizes.Bytes = sizes.Files+a.files, sizes.Folders+a.folders, sizes.Bytes+a.bytes
			if a.bytes > 0 {
				sizes.Types[mime] += a.bytes
			}
		}
		hidden := false
		if err := eachTotal(ctx, q, id, func(by cloud.UserID, mime string, a amount) {
			if viewer != meta.AnyViewer && e.Share == nil && by != everybody && by != viewer {
				hidden = true
				return
			}
			count(mime, a)
		}); err != nil || !hidden {
			return err // where nothing is hidden, shares open nothing
		}
		return each(ctx, q, func(row scanner) error {
			var mime string
			var a amount
			if err := row.Scan(&mime, &a.files, &a.folders, &a.bytes); err != nil {
				return err
			}
			count(mime, a)
			return nil
		}, `WITH RECURSIVE `+opened+`
			SELECT t.type, t.files, t.folders, t.bytes FROM way w CROSS JOIN entries e ON e.id = w.top CROSS JOIN totals t ON t.folder_id = e.id
			WHERE w.at = ?2 AND NOT (`+open+` AND t.seen_by IN (0, ?1))
			UNION ALL
			SELECT `+ownTotals+` FROM way w CROSS JOIN entries e ON e.id = w.top WHERE w.at = ?2 AND NOT `+open, viewer, id)
	})
	if err != nil {
		return meta.Sizes{}, fmt.Errorf("sizes: %w", err)
	}
	return sizes, nil
}

// hides tells whether there is anything that a viewer does not see without shares.
func hides(ctx context.Context, q querier, viewer cloud.UserID) (hidden bool, err error) {
	if viewer == meta.AnyViewer {
		return false, nil
	}
	err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM totals WHERE folder_id = 0 AND seen_by NOT IN (0, ?1))`, viewer).Scan(&hidden)
	return hidden, err
}

// countHere is how many files and folders the viewer sees in a folder itself.
func countHere(ctx context.Context, q querier, v sight) (files, folders int, err error) {
	switch {
	case v.viewer == meta.AnyViewer, v.granted != nil:
		return v.all.files, v.all.folders, nil
	case v.all == v.open, !v.shares && !v.grouped:
		return v.open.files, v.open.folders, nil
	}
	err = q.QueryRowContext(ctx, `SELECT COALESCE(SUM(x.files_here), 0), COALESCE(SUM(x.folders_here), 0) FROM (
			SELECT `+here+` FROM (
				SELECT v.entry_id FROM shares v WHERE v.user_id = ?1
				UNION
				SELECT v.entry_id FROM group_members m JOIN group_shares v ON v.group_id = m.group_id WHERE m.user_id = ?1) g
			CROSS JOIN entries e ON e.id = g.entry_id WHERE e.parent_id = ?2 AND NOT `+open+`) x`, v.viewer, v.folder).Scan(&files, &folders)
	return v.open.files + files, v.open.folders + folders, err
}
