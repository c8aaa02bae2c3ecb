package sqlmeta

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// The table of totals has, for each folder, what lies below it in all levels, and
// how much of that in the folder itself, by type and by who comes to see it. Each change of entries keeps it right in its
// transaction, from where it happens up to the root.
const (
	everybody cloud.UserID = 0
	nobody    cloud.UserID = -1 // but those whom shares help

	// seenBy is who sees entry e where he sees its folder.
	seenBy = `CASE WHEN e.public OR e.owner_id IS NULL THEN 0 ELSE e.owner_id END`

	// seenThrough is the same of what a row t of totals counts in folder e.
	seenThrough = `CASE WHEN e.public OR e.owner_id IS NULL OR e.owner_id = t.seen_by THEN t.seen_by
		WHEN t.seen_by = 0 THEN e.owner_id ELSE -1 END`

	// parts of one entry e, as totals count it.
	ownTotals = `CASE e.kind WHEN 'file' THEN e.type ELSE '' END AS type, CASE e.kind WHEN 'file' THEN 1 ELSE 0 END AS files,
		CASE e.kind WHEN 'file' THEN 0 ELSE 1 END AS folders, e.size AS bytes`
	here = `CASE e.kind WHEN 'file' THEN 1 ELSE 0 END AS files_here, CASE e.kind WHEN 'file' THEN 0 ELSE 1 END AS folders_here`
)

// sees is seenBy.
func sees(e cloud.Entry) cloud.UserID {
	if e.Public {
		return everybody
	}
	return e.Owner
}

// through is who sees what one sees in a folder that the other sees.
func through(folder, inside cloud.UserID) cloud.UserID {
	switch {
	case folder == everybody || folder == inside:
		return inside
	case inside == everybody:
		return folder
	}
	return nobody
}

// weight is what entries add to the totals of the folder that they are in. What is
// here are the entries themselves, without what is below them.
type weight map[weightKey]amount

type weightKey struct {
	by   cloud.UserID
	mime string
}

type amount struct{ files, folders, bytes, filesHere, foldersHere int64 }

func (w weight) add(k weightKey, a amount, sign int64) {
	sum := w[k]
	sum.files += sign * a.files
	sum.folders += sign * a.folders
	sum.bytes += sign * a.bytes
	sum.filesHere += sign * a.filesHere
	sum.foldersHere += sign * a.foldersHere
	if sum == (amount{}) {
		delete(w, k)
		return
	}
	w[k] = sum
}

func (w weight) addAll(other weight, sign int64) {
	for k, a := range other {
		w.add(k, a, sign)
	}
}

// ownWeight is what a file, or an empty folder, adds to its folder.
func ownWeight(e cloud.Entry) weight {
	if e.IsFolder() {
		return weight{{by: sees(e)}: {folders: 1, foldersHere: 1}}
	}
	return weight{{sees(e), e.Type}: {files: 1, bytes: e.Size, filesHere: 1}}
}

// weigh gives an entry's folder, and what it adds to that with all below it.
func weigh(ctx context.Context, q querier, id cloud.EntryID) (parent cloud.EntryID, w weight, err error) {
	w = weight{}
	err = each(ctx, q, func(row scanner) error {
		var k weightKey
		var a amount
		if err := row.Scan(&parent, &k.by, &k.mime, &a.files, &a.folders, &a.bytes, &a.filesHere, &a.foldersHere); err != nil {
			return err
		}
		w.add(k, a, 1)
		return nil
	}, `SELECT e.parent_id, `+seenBy+`, `+ownTotals+`, `+here+` FROM entries e WHERE e.id = ?1
		UNION ALL
		SELECT e.parent_id, `+seenThrough+`, t.type, t.files, t.folders, t.bytes, 0, 0
		FROM entries e CROSS JOIN totals t ON t.folder_id = e.id WHERE e.id = ?1`, id)
	return parent, w, err
}

// reweigh keeps the totals right through a change of an entry, of what is below
// it, or of its place.
func reweigh(ctx context.Context, tx querier, id cloud.EntryID, change func() error) error {
	from, before, err := weigh(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	to, after, err := weigh(ctx, tx, id)
	if err != nil {
		return err
	}
	gone := weight{}
	gone.addAll(before, -1)
	if from == to {
		after.addAll(gone, 1)
		return spread(ctx, tx, to, after)
	}
	if err := spread(ctx, tx, from, gone); err != nil {
		return err
	}
	return spread(ctx, tx, to, after)
}

// carry keeps the totals right through a change of an entry's place: what it adds to
// a folder is the same in another one.
func carry(ctx context.Context, tx querier, e cloud.Entry, to cloud.EntryID, relocate func() error) error {
	w, err := ownWeight(e), error(nil)
	if e.IsFolder() {
		_, w, err = weigh(ctx, tx, e.ID)
	}
	if err != nil {
		return err
	}
	gone := weight{}
	gone.addAll(w, -1)
	if err := spread(ctx, tx, e.Parent, gone); err != nil {
		return err
	}
	if err := relocate(); err != nil {
		return err
	}
	return spread(ctx, tx, to, w)
}

const (
	totalsColumns = 8
	// totalsTogether is how many rows of totals a statement changes.
	totalsTogether = 200
)

// spread adds to the totals of a folder and of all above it. The trash has none.
func spread(ctx context.Context, tx querier, folder cloud.EntryID, w weight) error {
	if len(w) == 0 {
		return nil
	}
	type level struct {
		id cloud.EntryID
		by cloud.UserID
	}
	above, err := rows(ctx, tx, func(row scanner) (l level, err error) {
		err = row.Scan(&l.id, &l.by)
		return l, err
	}, `WITH RECURSIVE up (id, parent_id, seen_by, level) AS (
			SELECT e.id, e.parent_id, `+seenBy+`, 0 FROM entries e WHERE e.id = ?1 AND e.id >= 0
			UNION ALL
			SELECT e.id, e.parent_id, `+seenBy+`, up.level + 1 FROM up JOIN entries e ON e.id = up.parent_id WHERE e.id >= 0 AND up.level < ?2)
		SELECT id, seen_by FROM up ORDER BY level`, folder, meta.MaxDepth+1)
	if err != nil {
		return err
	}
	var args []any
	var less []any // folders that lose something
	flush := func() error {
		if len(args) == 0 {
			return nil
		}
		values := strings.Repeat(`, (?, ?, ?, ?, ?, ?, ?, ?)`, len(args)/totalsColumns)[2:]
		err := exec(ctx, tx, `INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here) VALUES `+values+`
			ON CONFLICT (folder_id, seen_by, type) DO UPDATE SET files = totals.files + excluded.files,
				folders = totals.folders + excluded.folders, bytes = totals.bytes + excluded.bytes,
				files_here = totals.files_here + excluded.files_here, folders_here = totals.folders_here + excluded.folders_here`, args...)
		args = args[:0]
		return err
	}
	for _, l := range above {
		loses := false
		for k, a := range w {
			args = append(args, l.id, k.by, k.mime, a.files, a.folders, a.bytes, a.filesHere, a.foldersHere)
			loses = loses || a.files < 0 || a.folders < 0
			if len(args) == totalsColumns*totalsTogether {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if loses {
			less = append(less, l.id)
		}
		w = w.through(l.by)
	}
	if err := flush(); err != nil || len(less) == 0 {
		return err
	}
	return exec(ctx, tx, `DELETE FROM totals WHERE folder_id IN (`+strings.Repeat(`, ?`, len(less))[2:]+`) AND files = 0 AND folders = 0`, less...)
}

// through is what a folder's totals are to the one that it is in.
func (w weight) through(folder cloud.UserID) weight {
	outside := weight{}
	for k, a := range w {
		a.filesHere, a.foldersHere = 0, 0
		outside.add(weightKey{through(folder, k.by), k.mime}, a, 1)
	}
	return outside
}

// lift takes entries, none of which is in another, out of the totals.
func lift(ctx context.Context, tx querier, all []cloud.Entry) error {
	gone := map[cloud.EntryID]weight{}
	for _, e := range all {
		w := ownWeight(e)
		if e.IsFolder() {
			var err error
			if _, w, err = weigh(ctx, tx, e.ID); err != nil {
				return err
			}
		}
		if gone[e.Parent] == nil {
			gone[e.Parent] = weight{}
		}
		gone[e.Parent].addAll(w, -1)
	}
	for _, from := range slices.Sorted(maps.Keys(gone)) {
		if err := spread(ctx, tx, from, gone[from]); err != nil {
			return err
		}
	}
	return nil
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
		if err := each(ctx, q, func(row scanner) error {
			var by cloud.UserID
			var mime string
			var a amount
			if err := row.Scan(&by, &mime, &a.files, &a.folders, &a.bytes); err != nil {
				return err
			}
			if viewer != meta.AnyViewer && e.Share == nil && by != everybody && by != viewer {
				hidden = true
				return nil
			}
			count(mime, a)
			return nil
		}, `SELECT seen_by, type, files, folders, bytes FROM totals WHERE folder_id = ?1`, id); err != nil || !hidden {
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
