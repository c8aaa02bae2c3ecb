package sqlmeta

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Copy implements meta.Tree.
func (s *Store) Copy(ctx context.Context, id, parent cloud.EntryID, name string, owner cloud.UserID, deep bool, on meta.Conflict, allow meta.Allow) (r meta.CopyResult, err error) {
	err = s.update(ctx, func(tx querier) error {
		c := copier{Tx: tx, owner: owner, viewer: meta.ViewerOf(ctx), now: s.stamp(), allow: allow, old: s.disposal(ctx, tx)}
		r, err = c.copy(ctx, id, parent, name, deep, on)
		return err
	})
	if err != nil {
		return meta.CopyResult{}, fmt.Errorf("copy entry %d: %w", id, err)
	}
	return r, nil
}

// CopyAll implements meta.Tree.
func (s *Store) CopyAll(ctx context.Context, ids []cloud.EntryID, parent cloud.EntryID, owner cloud.UserID, on meta.Conflict, allow meta.Allow) (all []meta.CopyResult, err error) {
	err = s.update(ctx, func(tx querier) error {
		all = make([]meta.CopyResult, 0, len(ids))
		c := copier{Tx: tx, owner: owner, viewer: meta.ViewerOf(ctx), now: s.stamp(), allow: allow}
		for _, id := range ids {
			e, err := entry(ctx, tx, id, meta.AnyViewer)
			if err != nil {
				return err
			}
			r, err := c.copy(ctx, id, parent, e.Name, true, on)
			if err != nil {
				return fmt.Errorf("entry %d: %w", id, err)
			}
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("copy %d entries: %w", len(ids), err)
	}
	return all, nil
}

// copier is one Copy.
type copier struct {
	Tx     querier
	owner  cloud.UserID
	viewer cloud.UserID
	now    int64
	allow  meta.Allow
	old    disposal
}

func (c copier) copy(ctx context.Context, id, parent cloud.EntryID, name string, deep bool, on meta.Conflict) (r meta.CopyResult, err error) {
	if on != meta.ConflictFail && on != meta.ConflictClear && on != meta.ConflictRename {
		return r, fmt.Errorf("%w: no way to meet a taken name: %q", cloud.ErrInvalid, on)
	}
	if err := meta.CheckName(name); err != nil {
		return r, err
	}
	if id == cloud.Root {
		return r, cloud.UserErrorf(cloud.ErrInvalid, "the top folder cannot be copied")
	}
	from, err := entry(ctx, c.Tx, id, c.viewer)
	if err != nil {
		return r, err
	}
	into, err := folder(ctx, c.Tx, parent, c.viewer)
	if err != nil {
		return r, err
	}
	if err := errors.Join(permit(c.allow, from), permit(c.allow, into)); err != nil {
		return r, err
	}
	if err := c.checkPlace(ctx, from, parent, deep); err != nil {
		return r, err
	}
	taken, err := child(ctx, c.Tx, parent, name, c.viewer)
	switch {
	case errors.Is(err, cloud.ErrNotFound):
	case err != nil:
		return r, err
	case on == meta.ConflictRename:
		if name, err = freeName(ctx, c.Tx, parent, name, 0); err != nil {
			return r, err
		}
	case taken.ID == id:
		return r, cloud.UserErrorf(cloud.ErrInvalid, "an entry cannot be copied onto itself")
	case on == meta.ConflictFail:
		return r, nameTaken(taken)
	case !taken.IsFolder() && !from.IsFolder():
		r.Replaced = &taken
		return r, c.overwrite(ctx, from, taken, &r)
	default:
		if err := clearWay(ctx, c.old, taken, from, c.allow); err != nil {
			return r, err
		}
		r.Replaced = &taken
	}
	return r, c.insert(ctx, from, parent, name, deep, &r)
}

// checkPlace is checkPlace for a copy: into itself only a folder alone may go.
func (c copier) checkPlace(ctx context.Context, from cloud.Entry, parent cloud.EntryID, deep bool) error {
	if deep && from.IsFolder() {
		if parent == from.ID {
			return cloud.UserErrorf(cloud.ErrInvalid, "a folder cannot be copied into itself")
		}
		if parent == from.Parent {
			return nil
		}
		return checkPlace(ctx, c.Tx, from, parent)
	}
	above, err := pathOf(ctx, c.Tx, parent)
	if err != nil {
		return err
	}
	return checkDepth(len(above) + 1)
}

// clearWay deletes what is in the way of an entry.
func clearWay(ctx context.Context, p disposal, taken, from cloud.Entry, allow meta.Allow) error {
	above, err := pathOf(ctx, p.tx, from.Parent)
	if err != nil {
		return err
	}
	for _, e := range above {
		if e.ID == taken.ID {
			return cloud.UserErrorf(cloud.ErrInvalid, "a folder cannot be replaced by what is in it")
		}
	}
	if err := permit(allow, taken); err != nil {
		return err
	}
	_, err = p.remove(ctx, []cloud.EntryID{taken.ID}, allow)
	return err
}

// overwrite gives a file the content of another.
func (c copier) overwrite(ctx context.Context, from, to cloud.Entry, r *meta.CopyResult) (err error) {
	if err := permit(c.allow, to); err != nil {
		return err
	}
	if err := reweigh(ctx, c.Tx, to.ID, func() error {
		return exec(ctx, c.Tx, `UPDATE entries SET object_id = ?, size = ?, type = ?, has_thumbnail = ?, updated_at = ?, modified_at = ?
			WHERE id = ?`, from.Object[:], from.Size, from.Type, from.HasThumbnail, c.now, from.ModifiedAt.UnixMicro(), to.ID)
	}); err != nil {
		return err
	}
	if err := charge(ctx, c.Tx, to.Owner, from.Size-to.Size, 0); err != nil {
		return err
	}
	if err := c.old.retire(ctx, to, to.ID); err != nil {
		return err
	}
	if err := fits(ctx, c.Tx, to.Owner, c.viewer, ""); err != nil {
		return err
	}
	if err := exec(ctx, c.Tx, `DELETE FROM properties WHERE entry_id = ?`, to.ID); err != nil {
		return err
	}
	if err := exec(ctx, c.Tx, `INSERT INTO properties (entry_id, space, name, value)
		SELECT ?, space, name, value FROM properties WHERE entry_id = ?`, to.ID, from.ID); err != nil {
		return err
	}
	r.Files = 1
	if r.Entry, err = entry(ctx, c.Tx, to.ID, c.viewer); err != nil {
		return err
	}
	return tell(ctx, c.Tx, c.owner, meta.ActivityChanged, r.Entry, "", c.now)
}

// insert makes the copies level by level: names are unique in a folder, so that
// the copies of a level are found by the names of what they copy.
func (c copier) insert(ctx context.Context, from cloud.Entry, parent cloud.EntryID, name string, deep bool, r *meta.CopyResult) error {
	top, err := insertEntry(ctx, c.Tx, cloud.Entry{
		Parent: parent, Name: name, Kind: from.Kind, Owner: c.owner, Public: from.Public,
		Object: from.Object, Size: from.Size, Type: from.Type, HasThumbnail: from.HasThumbnail,
		CreatedAt: fromStamp(c.now), UpdatedAt: fromStamp(c.now), ModifiedAt: from.ModifiedAt,
	})
	if err != nil {
		return err
	}
	if err := exec(ctx, c.Tx, `CREATE TEMP TABLE IF NOT EXISTS copied (old INTEGER PRIMARY KEY, new INTEGER, level INTEGER, granted INTEGER);
		DELETE FROM copied`); err != nil {
		return err
	}
	sees := 0 // 1 for a folder in which a share lets the viewer see everything
	if from.Share != nil {
		sees = 1
	}
	if err := exec(ctx, c.Tx, `INSERT INTO copied (old, new, level, granted) VALUES (?1, ?2, 0, ?3)`, from.ID, top.ID, sees); err != nil {
		return err
	}
	for level := 0; deep && from.IsFolder() && level < meta.MaxDepth; level++ {
		n, err := changed(ctx, c.Tx, `INSERT INTO entries (parent_id, name, name_key, kind, owner_id, public, object_id, size, type, has_thumbnail,
				created_at, updated_at, modified_at)
			SELECT c.new, e.name, e.name_key, e.kind, ?3, e.public, e.object_id, e.size, e.type, e.has_thumbnail, ?4, ?4, e.modified_at
			FROM copied c JOIN entries e ON e.parent_id = c.old WHERE c.level = ?2 AND (c.granted = 1 OR `+visible+`)`, c.viewer, level, owner(c.owner), c.now)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := exec(ctx, c.Tx, `INSERT INTO copied (old, new, level, granted)
			SELECT e.id, n.id, c.level + 1, CASE WHEN c.granted = 1 OR ?1 <> -1 AND `+granted+` THEN 1 ELSE 0 END
			FROM copied c JOIN entries e ON e.parent_id = c.old JOIN entries n ON n.parent_id = c.new AND n.name = e.name
			WHERE c.level = ?2`, c.viewer, level); err != nil {
			return err
		}
	}
	if err := reweigh(ctx, c.Tx, top.ID, func() error {
		return recount(ctx, c.Tx, `SELECT c.new, c.level FROM copied c JOIN entries e ON e.id = c.new WHERE e.kind = 'folder'`)
	}); err != nil {
		return err
	}
	if err := exec(ctx, c.Tx, `INSERT INTO properties (entry_id, space, name, value)
		SELECT c.new, p.space, p.name, p.value FROM copied c JOIN properties p ON p.entry_id = c.old`); err != nil {
		return err
	}
	if err := c.Tx.QueryRowContext(ctx, `SELECT COUNT(*) FILTER (WHERE e.kind = 'file'), COUNT(*) FILTER (WHERE e.kind = 'folder')
		FROM copied c JOIN entries e ON e.id = c.new`).Scan(&r.Files, &r.Folders); err != nil {
		return err
	}
	if err := chargeAll(ctx, c.Tx, 1, `SELECT COALESCE(e.owner_id, 0), CAST(SUM(e.size) AS BIGINT), COUNT(*)
		FROM copied c JOIN entries e ON e.id = c.new WHERE c.level > 0 AND e.kind = 'file' GROUP BY 1`); err != nil {
		return err
	}
	if err := fits(ctx, c.Tx, c.owner, c.owner, ""); err != nil {
		return err
	}
	if r.Entry, err = entry(ctx, c.Tx, top.ID, c.viewer); err != nil {
		return err
	}
	if err := tell(ctx, c.Tx, c.owner, meta.ActivityAdded, r.Entry, "", c.now); err != nil {
		return err
	}
	return exec(ctx, c.Tx, `DELETE FROM copied`)
}
