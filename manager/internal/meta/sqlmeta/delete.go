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
	if err := exec(ctx, tx, `CREATE TEMP TABLE IF NOT EXISTS doomed (id INTEGER PRIMARY KEY); DELETE FROM doomed`); err != nil {
		return d, err
	}
	asked := map[cloud.EntryID]bool{}
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
		if err := exec(ctx, tx, `WITH RECURSIVE below (id) AS (
				SELECT ?1
				UNION
				SELECT e.id FROM below b JOIN entries e ON e.parent_id = b.id)
			INSERT OR IGNORE INTO doomed SELECT id FROM below`, id); err != nil {
			return d, err
		}
	}
	err = each(ctx, tx, func(row scanner) error {
		e, err := scanEntry(row)
		if err != nil {
			return err
		}
		if e.IsFolder() {
			d.Folders++
		} else {
			d.Files++
			d.Bytes += e.Size
		}
		return permit(allow, e)
	}, selectEntry+`e.id IN (SELECT id FROM doomed) ORDER BY e.id`, viewer)
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
