package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// What shares give is never written down for what lies below them: it is found by
// going up from an entry, of which the folders are few, or carried along on the
// way down. The viewer is always parameter ?1.
const (
	// granted tells whether shares of the entry itself give the viewer anything.
	granted = `(EXISTS (SELECT 1 FROM shares v WHERE v.entry_id = e.id AND (v.user_id = ?1 OR v.owner_id = ?1))
		OR EXISTS (SELECT 1 FROM group_shares v WHERE v.entry_id = e.id
			AND (v.owner_id = ?1 OR v.group_id IN (SELECT m.group_id FROM group_members m WHERE m.user_id = ?1))))`

	// rights is what they give: 2 for writing, 1 for reading, 0 for nothing.
	rights = `COALESCE((SELECT MAX(CASE WHEN r.can_write THEN 2 ELSE 1 END) FROM (
			SELECT v.can_write FROM shares v WHERE v.entry_id = e.id AND (v.user_id = ?1 OR v.owner_id = ?1)
			UNION ALL
			SELECT v.can_write FROM group_shares v WHERE v.entry_id = e.id
				AND (v.owner_id = ?1 OR v.group_id IN (SELECT m.group_id FROM group_members m WHERE m.user_id = ?1))) r), 0)`

	// open is what a viewer sees whom no share helps.
	open = `(?1 = -1 OR e.public OR e.owner_id IS NULL OR e.owner_id = ?1)`

	// ownShares and groupShares tell whether shares of the entry show it to the
	// viewer. What he shares himself he sees anyway.
	ownShares   = `EXISTS (SELECT 1 FROM shares v WHERE v.entry_id = e.id AND v.user_id = ?1)`
	groupShares = `EXISTS (SELECT 1 FROM group_shares v JOIN group_members m ON m.group_id = v.group_id
		WHERE v.entry_id = e.id AND m.user_id = ?1)`

	// visible is what a viewer sees in a folder that is not shared with him. It
	// reads shares only where nothing else lets him see the entry.
	visible = `(` + open + ` OR ` + ownShares + ` OR ` + groupShares + `)`

	// concerns are the entries that are shared with the viewer, or by him: each
	// part off an index of its own.
	concerns = `SELECT v.entry_id FROM shares v WHERE v.user_id = ?1
		UNION SELECT v.entry_id FROM shares v WHERE v.owner_id = ?1
		UNION SELECT v.entry_id FROM group_shares v WHERE v.owner_id = ?1
		UNION SELECT v.entry_id FROM group_members m JOIN group_shares v ON v.group_id = m.group_id WHERE m.user_id = ?1`

	// up goes from entry ?2 to the top. By UNION it ends also in damaged rows.
	up       = `up (id, parent_id, shared) AS (SELECT e.id, e.parent_id, e.shared FROM entries e WHERE e.id = ?2 ` + upwards
	upByName = `up (id, parent_id, shared) AS (SELECT e.id, e.parent_id, e.shared FROM entries e WHERE e.parent_id = ?2 AND e.name = ?3 ` + upwards
	upwards  = `UNION SELECT p.id, p.parent_id, p.shared FROM up JOIN entries p ON p.id = up.parent_id)`

	// best is one row: the share on the way up that gives the viewer most, as grant
	// reads it, or NULL. Of each entry that is shared at all the least text is the best
	// share. PostgreSQL would look up all that somebody shares if this were a join.
	best = `best (code) AS (SELECT MIN(x.code) FROM (
			SELECT CASE WHEN up.shared THEN (SELECT MIN(` + giftOfUser + `) FROM shares v
				WHERE v.entry_id = up.id AND (v.user_id = ?1 OR v.owner_id = ?1)) END AS code FROM up
			UNION ALL
			SELECT CASE WHEN up.shared THEN (SELECT MIN(` + giftOfGroup + `) FROM group_shares v
				WHERE v.entry_id = up.id AND (v.owner_id = ?1 OR v.group_id IN (SELECT m.group_id FROM group_members m WHERE m.user_id = ?1))) END FROM up) x)`

	// A gift is a share v as a text: a digit that is 0 for writing, and each with as
	// many digits the group, the time, and the entry.
	giftOfUser  = writing + ` || '4000000000000000000' || ` + when
	giftOfGroup = writing + ` || ` + digits + `v.group_id AS TEXT) || ` + when
	writing     = `CASE WHEN v.can_write THEN '0' ELSE '1' END`
	when        = digits + `v.shared_at AS TEXT) || ` + digits + `v.entry_id AS TEXT)`
	digits      = `CAST(4000000000000000000 + `
)

// digitsFrom is what makes all numbers of a gift as long.
const digitsFrom = 4_000_000_000_000_000_000

// grant scans best.code.
type grant struct {
	share cloud.Share
	is    bool
}

var _ sql.Scanner = (*grant)(nil)

// Scan implements sql.Scanner.
func (g *grant) Scan(v any) error {
	*g = grant{}
	var code string
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		code = v
	case []byte:
		code = string(v)
	}
	const size = len("4000000000000000000")
	if len(code) != 1+3*size {
		return fmt.Errorf("%w: a share read as %v", cloud.ErrCorrupt, v)
	}
	var n [3]int64
	for i := range n {
		read, err := strconv.ParseInt(code[1+i*size:][:size], 10, 64)
		if err != nil {
			return fmt.Errorf("%w: a share read as %v", cloud.ErrCorrupt, v)
		}
		n[i] = read - digitsFrom
	}
	g.share = cloud.Share{Group: cloud.GroupID(n[0]), CanWrite: code[0] == '0', SharedAt: fromStamp(n[1]), Entry: cloud.EntryID(n[2])}
	g.is = true
	return nil
}

// given is what shares give a viewer at an entry, nil for nothing.
func (g *grant) given(viewer cloud.UserID, at cloud.EntryID) *cloud.Share {
	if !g.is || at == cloud.Root {
		return nil
	}
	g.share.User = viewer
	return &g.share
}

// sight is how a viewer looks at what lies in one folder.
type sight struct {
	viewer  cloud.UserID
	folder  cloud.EntryID
	granted *cloud.Share // by the folder or one above it: it holds for all below
	shares  bool         // something is shared with him
	grouped bool         // he is in a group
	// What is in the folder, all of it and what he sees of it without shares.
	all, open struct{ files, folders int }
}

// sightOf is how a viewer looks at what lies in a folder: ErrNotFound if there is
// none, ErrInvalid for a file.
func sightOf(ctx context.Context, q querier, folder cloud.EntryID, viewer cloud.UserID) (sight, error) {
	v := sight{viewer: viewer, folder: folder}
	var g grant
	var kind cloud.Kind
	err := q.QueryRowContext(ctx, `WITH RECURSIVE `+up+`, `+best+`
		SELECT e.kind, EXISTS (SELECT 1 FROM shares WHERE user_id = ?1), EXISTS (SELECT 1 FROM group_members WHERE user_id = ?1),
			COALESCE(t.files, 0), COALESCE(t.folders, 0), COALESCE(t.open_files, 0), COALESCE(t.open_folders, 0), best.code
		FROM entries e CROSS JOIN best LEFT JOIN (
			SELECT CAST(SUM(files_here) AS BIGINT) AS files, CAST(SUM(folders_here) AS BIGINT) AS folders,
				CAST(SUM(CASE WHEN seen_by IN (0, ?1) THEN files_here ELSE 0 END) AS BIGINT) AS open_files,
				CAST(SUM(CASE WHEN seen_by IN (0, ?1) THEN folders_here ELSE 0 END) AS BIGINT) AS open_folders
			FROM totals WHERE folder_id = ?2) t ON TRUE
		WHERE e.id = ?2 AND e.trash_id IS NULL`, viewer, folder).
		Scan(&kind, &v.shares, &v.grouped, &v.all.files, &v.all.folders, &v.open.files, &v.open.folders, &g)
	if err != nil {
		return v, notFound(err, "entry %d", folder)
	}
	if kind != cloud.KindFolder {
		return v, fmt.Errorf("entry %d: %w: not a folder", folder, cloud.ErrInvalid)
	}
	if viewer > 0 {
		v.granted = g.given(viewer, folder)
	}
	return v, nil
}

// sharesTouch tells whether anything is shared with a viewer, or by him.
func sharesTouch(ctx context.Context, q querier, viewer cloud.UserID) (touch bool, err error) {
	if viewer <= 0 {
		return false, nil
	}
	err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM shares WHERE user_id = ?1) OR EXISTS (SELECT 1 FROM shares WHERE owner_id = ?1)
		OR EXISTS (SELECT 1 FROM group_members WHERE user_id = ?1) OR EXISTS (SELECT 1 FROM group_shares WHERE owner_id = ?1)`, viewer).Scan(&touch)
	return touch, err
}

// grantOf is the best that shares of an entry and of the folders above it give a
// viewer, nil for nothing.
func grantOf(ctx context.Context, q querier, id cloud.EntryID, viewer cloud.UserID) (*cloud.Share, error) {
	if viewer <= 0 || id == cloud.Root {
		return nil, nil
	}
	var g grant
	if err := q.QueryRowContext(ctx, `WITH RECURSIVE `+up+`, `+best+` SELECT code FROM best`, viewer, id).Scan(&g); err != nil {
		return nil, err
	}
	return g.given(viewer, id), nil
}

// grantAll gives entries what shares of them and of the folders above them give a
// viewer, in some questions for all of them.
func grantAll(ctx context.Context, q querier, entries []cloud.Entry, viewer cloud.UserID) error {
	if touch, err := sharesTouch(ctx, q, viewer); err != nil || !touch {
		return err
	}
	ids := make([]cloud.EntryID, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	above, err := ancestry(ctx, q, ids)
	if err != nil {
		return err
	}
	shares := map[cloud.EntryID]cloud.Share{} // the best of each
	for some := range slices.Chunk(slices.Collect(maps.Keys(above)), askedTogether) {
		places, args := idPlaces(2, some)
		found, err := rows(ctx, q, scanShare, `SELECT v.entry_id, ?1, 0, v.can_write, v.shared_at FROM shares v
				WHERE v.entry_id IN (`+places+`) AND (v.user_id = ?1 OR v.owner_id = ?1)
			UNION ALL
			SELECT v.entry_id, ?1, v.group_id, v.can_write, v.shared_at FROM group_shares v
				WHERE v.entry_id IN (`+places+`) AND (v.owner_id = ?1 OR v.group_id IN (SELECT m.group_id FROM group_members m WHERE m.user_id = ?1))`,
			append([]any{viewer}, args...)...)
		if err != nil {
			return err
		}
		for _, share := range found {
			if other, ok := shares[share.Entry]; !ok || betterShare(share, other) < 0 {
				shares[share.Entry] = share
			}
		}
	}
	for i := range entries {
		entries[i].Share = nil
		e, ok := entries[i], true
		for steps := 0; ok && steps <= len(above); steps++ { // rows can be damaged so that they have no top
			share, has := shares[e.ID]
			if has && (entries[i].Share == nil || betterShare(share, *entries[i].Share) < 0) {
				entries[i].Share = &share
			}
			e, ok = above[e.Parent]
		}
	}
	return nil
}

// betterShare is the order of best.
func betterShare(a, b cloud.Share) int {
	if a.CanWrite != b.CanWrite {
		if a.CanWrite {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Group, b.Group), a.SharedAt.Compare(b.SharedAt))
}

// visible is the condition for what the viewer sees in the folder.
func (v sight) visible() string {
	if v.granted != nil {
		return `(?1 IS NOT NULL)` // everything
	}
	where := `(` + open
	if v.shares {
		where += ` OR ` + ownShares
	}
	if v.grouped {
		where += ` OR ` + groupShares
	}
	return where + `)`
}

// plain tells that no share of what lies in the folder can give the viewer more
// than he has.
func (v sight) plain() bool {
	return v.viewer <= 0 || !v.shares && !v.grouped || v.granted != nil && v.granted.CanWrite
}

// selectEntry selects what lies in the folder with what the viewer's own shares
// give, as far as that can be better than what the folder gives.
func (v sight) selectEntry() string {
	return `SELECT ` + v.columns() + ` FROM ` + entryTables + ` WHERE `
}

func (v sight) columns() string {
	switch {
	case v.plain():
		return entryColumns
	case !v.grouped:
		return entryColumns + ownShare
	}
	return entryColumns + ownShare + groupShare
}

// What the viewer's own shares of an entry give, and those of his groups, each as
// one number: since when, in microseconds, times four, and 2 for writing or 1 for
// reading. It is NULL for nothing. Most entries say themselves that it is nothing:
// to look it up for each would make a page a tenth slower.
const (
	ownShare = `, CASE WHEN e.shared THEN (SELECT 4 * s.shared_at + CASE WHEN s.can_write THEN 2 ELSE 1 END
		FROM shares s WHERE s.entry_id = e.id AND s.user_id = ?1) END`
	groupShare = `, CASE WHEN e.shared THEN (SELECT 4 * MIN(g.shared_at) + MAX(CASE WHEN g.can_write THEN 2 ELSE 1 END)
		FROM group_members m JOIN group_shares g ON g.group_id = m.group_id WHERE m.user_id = ?1 AND g.entry_id = e.id) END`
)

// scan reads columns, and further ones into more, row after row.
func (v sight) scan(more ...any) func(scanner) (cloud.Entry, error) {
	if v.plain() {
		s := entryInto(more...)
		return func(row scanner) (cloud.Entry, error) {
			e, err := s.scan(row)
			e.Share = v.granted
			return e, err
		}
	}
	var own, group orZero
	into := []any{&own}
	if v.grouped {
		into = append(into, &group)
	}
	s := entryInto(append(into, more...)...)
	return func(row scanner) (cloud.Entry, error) {
		e, err := s.scan(row)
		best := own
		if group&3 > best&3 {
			best = group
		}
		e.Share = v.granted
		if best&3 == 2 || best&3 == 1 && v.granted == nil {
			e.Share = &cloud.Share{Entry: e.ID, User: v.viewer, CanWrite: best&3 == 2, SharedAt: fromStamp(int64(best >> 2))}
		}
		return e, err
	}
}

// Grants implements meta.Tree.
func (s *Store) Grants(ctx context.Context, id cloud.EntryID) (all []cloud.Share, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanShare, `WITH RECURSIVE `+up+`
			SELECT entry_id, user_id, 0, can_write, shared_at FROM up CROSS JOIN shares ON entry_id = up.id WHERE up.shared AND ?1 IS NOT NULL
			UNION ALL
			SELECT entry_id, owner_id, 0, can_write, shared_at FROM up CROSS JOIN shares ON entry_id = up.id WHERE up.shared AND owner_id IS NOT NULL
			UNION ALL
			SELECT g.entry_id, m.user_id, g.group_id, g.can_write, g.shared_at FROM up CROSS JOIN group_shares g ON g.entry_id = up.id
				JOIN group_members m ON m.group_id = g.group_id WHERE up.shared
			UNION ALL
			SELECT entry_id, owner_id, group_id, can_write, shared_at FROM up CROSS JOIN group_shares ON entry_id = up.id
				WHERE up.shared AND owner_id IS NOT NULL`, meta.AnyViewer, id)
		return err
	})
	return all, err
}
