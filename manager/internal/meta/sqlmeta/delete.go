package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Delete implements meta.Tree.
func (s *Store) Delete(ctx context.Context, ids []cloud.EntryID, allow meta.Allow) (d meta.Deleted, err error) {
	err = s.update(ctx, func(tx querier) error {
		d, err = remove(ctx, tx, ids, allow, s.stamp())
		return err
	})
	if err != nil {
		return meta.Deleted{}, fmt.Errorf("delete: %w", err)
	}
	return d, nil
}

// remove deletes entries with all below them. What goes is gathered in a
// temporary table of ids, which is the writing connection's own.
func remove(ctx context.Context, tx querier, ids []cloud.EntryID, allow meta.Allow, now int64) (d meta.Deleted, err error) {
	viewer := meta.ViewerOf(ctx)
	if err := exec(ctx, tx, `CREATE TEMP TABLE IF NOT EXISTS doomed (id INTEGER PRIMARY KEY, level INTEGER); DELETE FROM doomed`); err != nil {
		return d, err
	}
	asked, given := map[cloud.EntryID]bool{}, grants{}
	for _, id := range ids {
		if asked[id] {
			continue
		}
		asked[id] = true
		if id == cloud.Root {
			return d, cloud.UserErrorf(cloud.ErrInvalid, "the top folder stays as it is")
		}
		e, err := entry(ctx, tx, id, viewer)
		if err != nil {
			return d, err
		}
		path, err := namesOf(ctx, tx, e.Parent)
		if err != nil {
			return d, err
		}
		d.Top, d.Paths = append(d.Top, e), append(d.Paths, path)
		if given[e.ID], err = grantOf(ctx, tx, e.ID, viewer); err != nil {
			return d, err
		}
		if err := exec(ctx, tx, `WITH RECURSIVE below (id, level) AS (
				SELECT e.id, ?2 FROM entries e WHERE e.id = ?1
				UNION
				SELECT e.id, b.level + 1 FROM below b JOIN entries e ON e.parent_id = b.id WHERE b.level <= ?3)
			INSERT INTO doomed (id, level) SELECT id, level FROM below WHERE TRUE ON CONFLICT DO NOTHING`,
			id, len(path), meta.MaxDepth); err != nil {
			return d, err
		}
	}
	err = each(ctx, tx, func(row scanner) error {
		var own int
		e, err := scanEntryAnd(row, &own)
		if err != nil {
			return err
		}
		if own > 0 {
			e.Share = &cloud.Share{Entry: e.ID, User: viewer, CanWrite: own == 2}
		}
		given.inherit(&e)
		if e.IsFolder() {
			d.Folders++
		} else {
			d.Files++
			d.Bytes += e.Size
		}
		return permit(allow, e)
	}, `SELECT `+entryColumns+`, `+rights+` FROM doomed d CROSS JOIN `+entryTables+` WHERE e.id = d.id ORDER BY d.level, e.id`, viewer)
	if err != nil {
		return d, err
	}
	if err := exec(ctx, tx, `UPDATE objects SET state = 'garbage', state_at = ?1
		WHERE id IN (SELECT e.object_id FROM entries e JOIN doomed ON doomed.id = e.id)
		AND NOT EXISTS (SELECT 1 FROM entries o WHERE o.object_id = objects.id AND o.id NOT IN (SELECT id FROM doomed))`,
		now); err != nil {
		return d, err
	}
	return d, exec(ctx, tx, `DELETE FROM entries WHERE id IN (SELECT id FROM doomed); DELETE FROM doomed`)
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
