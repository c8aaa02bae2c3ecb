package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Delete implements meta.Tree.
func (s *Store) Delete(ctx context.Context, ids []cloud.EntryID, allow meta.Allow) (d meta.Deleted, err error) {
	err = s.update(ctx, func(tx querier) error {
		p := s.disposal(ctx, tx)
		d, err = p.remove(ctx, ids, allow)
		for _, e := range d.Top {
			if err == nil {
				err = tell(ctx, tx, p.by, meta.ActivityDeleted, e, "", p.now)
			}
		}
		return err
	})
	if err != nil {
		return meta.Deleted{}, fmt.Errorf("delete: %w", err)
	}
	meta.Afterwards(ctx, func() {
		for _, e := range d.Top { // their names are free
			s.foresee(selectSeen(upByName, byPlace, meta.ViewerOf(ctx)), []any{meta.ViewerOf(ctx), e.Parent, e.Name})
		}
	})
	return d, nil
}

// disposal is what becomes of entries and contents that somebody deletes or
// replaces in one transaction.
type disposal struct {
	tx   querier
	keep meta.Retention
	by   cloud.UserID // who does it, 0 if that is nobody in particular
	now  int64
}

func (s *Store) disposal(ctx context.Context, tx querier) disposal {
	d := disposal{tx: tx, by: max(meta.ViewerOf(ctx), 0), now: s.stamp()}
	if keep := s.retention.Load(); keep != nil {
		d.keep = *keep
	}
	return d
}

// doomed is the temporary table, the writing connection's own, of what goes:
// with each entry its level and the one that was asked for.
const doomed = `CREATE TEMP TABLE IF NOT EXISTS doomed (id INTEGER PRIMARY KEY, level INTEGER, top INTEGER); DELETE FROM doomed`

// remove deletes entries with all below them: into the trash if there is one.
func (p disposal) remove(ctx context.Context, ids []cloud.EntryID, allow meta.Allow) (d meta.Deleted, err error) {
	asked := map[cloud.EntryID]bool{}
	for _, id := range ids {
		if id == cloud.Root {
			return d, cloud.UserErrorf(cloud.ErrInvalid, "the top folder stays as it is")
		}
		asked[id] = true
	}
	if err := exec(ctx, p.tx, doomed); err != nil {
		return d, err
	}
	var tops []cloud.Entry // those that do not go with another one
	seen := map[cloud.EntryID]bool{}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		e, err := entry(ctx, p.tx, id, meta.ViewerOf(ctx))
		if err != nil {
			return d, err
		}
		if err := permit(allow, e); err != nil {
			return d, err
		}
		path, err := pathOf(ctx, p.tx, e.Parent)
		if err != nil {
			return d, err
		}
		var names []string
		below := false
		for _, above := range path {
			names = append(names, above.Name)
			below = below || asked[above.ID]
		}
		d.Top, d.Paths = append(d.Top, e), append(d.Paths, names)
		if below {
			continue
		}
		tops = append(tops, e)
		if err := countWith(ctx, p.tx, e, &d); err != nil {
			return d, err
		}
		if err := exec(ctx, p.tx, `WITH RECURSIVE below (id, level) AS (
				SELECT e.id, ?2 FROM entries e WHERE e.id = ?1
				UNION
				SELECT e.id, b.level + 1 FROM below b JOIN entries e ON e.parent_id = b.id WHERE b.level <= ?3)
			INSERT INTO doomed (id, level, top) SELECT id, level, ?1 FROM below`, id, len(path), meta.MaxDepth); err != nil {
			return d, err
		}
	}
	if allow != nil && slices.ContainsFunc(tops, cloud.Entry.IsFolder) {
		if err := p.permitBelow(ctx, tops, func(e cloud.Entry) error {
			if asked[e.ID] {
				return nil // and answered
			}
			return allow(e)
		}); err != nil {
			return d, err
		}
	}
	if err := weigh(ctx, p.tx, -1, `SELECT top FROM doomed`); err != nil {
		return d, err
	}
	if p.keep.Trash <= 0 {
		return d, p.erase(ctx)
	}
	for _, e := range tops {
		d.Trash = append(d.Trash, e.ID)
	}
	return d, p.discard(ctx, d)
}

// countWith counts an entry with all below it.
func countWith(ctx context.Context, q querier, e cloud.Entry, d *meta.Deleted) error {
	if !e.IsFolder() {
		d.Files, d.Bytes = d.Files+1, d.Bytes+e.Size
		return nil
	}
	d.Folders++
	return eachTotal(ctx, q, e.ID, func(_ cloud.UserID, _ string, a amount) {
		d.Files, d.Folders, d.Bytes = d.Files+a.files, d.Folders+a.folders, d.Bytes+a.bytes
	})
}

// permitBelow asks about what is doomed below tops, if any of it is not the viewer's
// own.
func (p disposal) permitBelow(ctx context.Context, tops []cloud.Entry, allow meta.Allow) error {
	viewer := meta.ViewerOf(ctx)
	var one int
	err := p.tx.QueryRowContext(ctx, `SELECT 1 FROM doomed d JOIN entries e ON e.id = d.id
		WHERE d.id <> d.top AND (e.owner_id IS NULL OR e.owner_id <> ?1) LIMIT 1`, viewer).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	given := grants{}
	for _, e := range tops {
		if given[e.ID], err = grantOf(ctx, p.tx, e.ID, viewer); err != nil {
			return err
		}
	}
	return each(ctx, p.tx, func(row scanner) error {
		var own int
		e, err := scanEntryAnd(row, &own)
		if err != nil {
			return err
		}
		if own > 0 {
			e.Share = &cloud.Share{Entry: e.ID, User: viewer, CanWrite: own == 2}
		}
		given.inherit(&e)
		return allow(e)
	}, `SELECT `+entryColumns+`, `+rights+` FROM doomed d CROSS JOIN `+entryTables+` WHERE e.id = d.id AND d.id <> d.top ORDER BY d.level, e.id`, viewer)
}

// erase removes what is doomed for good, and turns the objects that nothing
// refers to then into garbage.
func (p disposal) erase(ctx context.Context) error {
	if err := exec(ctx, p.tx, `UPDATE objects SET state = 'garbage', state_at = ?1
		WHERE id IN (SELECT e.object_id FROM entries e JOIN doomed ON doomed.id = e.id
			UNION SELECT v.object_id FROM versions v JOIN doomed ON doomed.id = v.entry_id)
		AND NOT EXISTS (SELECT 1 FROM entries o WHERE o.object_id = objects.id AND o.id NOT IN (SELECT id FROM doomed))
		AND NOT EXISTS (SELECT 1 FROM versions o WHERE o.object_id = objects.id AND o.entry_id NOT IN (SELECT id FROM doomed))`,
		p.now); err != nil {
		return err
	}
	if err := chargeAll(ctx, p.tx, -1, `SELECT COALESCE(e.owner_id, 0), CAST(SUM(e.size) AS BIGINT), COUNT(*)
		FROM doomed d JOIN entries e ON e.id = d.id WHERE e.kind = 'file' GROUP BY 1
		UNION ALL
		SELECT COALESCE(e.owner_id, 0), CAST(SUM(v.size) AS BIGINT), 0
		FROM doomed d JOIN entries e ON e.id = d.id JOIN versions v ON v.entry_id = e.id GROUP BY 1`); err != nil {
		return err
	}
	return exec(ctx, p.tx, `DELETE FROM entries WHERE id IN (SELECT id FROM doomed); DELETE FROM doomed`)
}

// grants are what shares give a viewer at the entries met on a way down.
type grants map[cloud.EntryID]*cloud.Share

// inherit adds to an entry, which has what its own shares give, what is given
// above it. Folders must come before what is in them.
func (g grants) inherit(e *cloud.Entry) {
	for _, above := range []*cloud.Share{g[e.ID], g[e.Parent]} {
		if above != nil && (e.Share == nil || above.CanWrite && !e.Share.CanWrite) {
			e.Share = above
		}
	}
	if e.IsFolder() && e.Share != nil {
		g[e.ID] = e.Share
	}
}
