package sqlmeta

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Move implements meta.Tree.
func (s *Store) Move(ctx context.Context, id, parent cloud.EntryID, name string, on meta.Conflict, allow meta.Allow) (r meta.MoveResult, err error) {
	err = s.update(ctx, func(tx querier) error {
		r, err = move(ctx, s.disposal(ctx, tx), id, parent, name, on, allow)
		return err
	})
	if err != nil {
		return meta.MoveResult{}, fmt.Errorf("move entry %d: %w", id, err)
	}
	s.foreseeMoved(ctx, r)
	return r, nil
}

// MoveAll implements meta.Tree.
func (s *Store) MoveAll(ctx context.Context, ids []cloud.EntryID, parent cloud.EntryID, on meta.Conflict, allow meta.Allow) (all []meta.MoveResult, err error) {
	err = s.update(ctx, func(tx querier) error {
		all = make([]meta.MoveResult, 0, len(ids))
		for _, id := range ids {
			e, err := entry(ctx, tx, id, meta.AnyViewer)
			if err != nil {
				return err
			}
			r, err := move(ctx, s.disposal(ctx, tx), id, parent, e.Name, on, allow)
			if err != nil {
				return fmt.Errorf("entry %d: %w", id, err)
			}
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("move %d entries: %w", len(ids), err)
	}
	s.foreseeMoved(ctx, all...)
	return all, nil
}

// foreseeMoved foresees that what was moved is asked for.
func (s *Store) foreseeMoved(ctx context.Context, all ...meta.MoveResult) {
	meta.Afterwards(ctx, func() {
		for _, r := range all {
			s.foreseeEntries([]cloud.Entry{r.After}, meta.ViewerOf(ctx))
		}
	})
}

func move(ctx context.Context, p disposal, id, parent cloud.EntryID, name string, on meta.Conflict, allow meta.Allow) (r meta.MoveResult, err error) {
	if id == cloud.Root {
		return r, cloud.UserErrorf(cloud.ErrInvalid, "the top folder stays as it is")
	}
	before, err := entry(ctx, p.tx, id, meta.ViewerOf(ctx))
	if err != nil {
		return r, err
	}
	return p.move(ctx, before, parent, name, on, allow)
}

// move gives an entry another place, which may be one that is in the trash. All is
// read before anything is written.
func (p disposal) move(ctx context.Context, before cloud.Entry, parent cloud.EntryID, name string, on meta.Conflict, allow meta.Allow) (r meta.MoveResult, err error) {
	tx, id, viewer := p.tx, before.ID, meta.ViewerOf(ctx)
	clearing := on == meta.ConflictClear
	if clearing {
		on = meta.ConflictReplace
	}
	if err := errors.Join(meta.CheckName(name), checkConflict(on)); err != nil {
		return r, err
	}
	r.Before = before
	if err := permit(allow, r.Before); err != nil {
		return r, err
	}
	into, err := folder(ctx, tx, parent, viewer)
	if err != nil {
		return r, err
	}
	if err := permit(allow, into); err != nil {
		return r, err
	}
	if err := checkPlace(ctx, tx, r.Before, parent); err != nil {
		return r, err
	}
	taken, err := child(ctx, tx, parent, name, viewer)
	switch {
	case errors.Is(err, cloud.ErrNotFound):
	case err != nil:
		return r, err
	case taken.ID == id: // it stays where it is
		r.After = r.Before
		return r, nil
	case on == meta.ConflictRename:
		if name, err = freeName(ctx, tx, parent, name, id); err != nil {
			return r, err
		}
	case clearing && (taken.IsFolder() || r.Before.IsFolder()):
		if err := clearWay(ctx, p, taken, r.Before, allow); err != nil {
			return r, err
		}
		r.Replaced = &taken
	case on == meta.ConflictFail, taken.IsFolder(), r.Before.IsFolder():
		return r, nameTaken(taken)
	default:
		if err := permit(allow, taken); err != nil {
			return r, err
		}
		if p.keep.KeepsVersions() && taken.Owner == r.Before.Owner && taken.Public == r.Before.Public {
			err = p.supersede(ctx, taken, id)
		} else {
			_, err = p.remove(ctx, []cloud.EntryID{taken.ID}, nil)
		}
		if err != nil {
			return r, err
		}
		r.Replaced = &taken
	}
	relocate := func() error {
		if r.Before.Parent == meta.TrashRoot {
			if err := takeOut(ctx, tx, id); err != nil {
				return err
			}
		}
		return exec(ctx, tx, `UPDATE entries SET parent_id = ?, name = ?, name_key = ?, updated_at = ? WHERE id = ?`,
			parent, name, meta.FoldName(name), p.now, id)
	}
	r.After = r.Before
	r.After.Parent, r.After.Name, r.After.UpdatedAt = parent, name, fromStamp(p.now)
	switch {
	case parent == r.Before.Parent: // then nothing but this changes
		err = relocate()
	case r.Before.Share == nil:
		r.After.Share = into.Share
		err = reweigh(ctx, tx, id, relocate)
	default: // which of several shares is the best is known to the database
		if err = reweigh(ctx, tx, id, relocate); err == nil {
			r.After, err = entry(ctx, tx, id, viewer)
		}
	}
	if err != nil {
		return r, err
	}
	return r, tellMove(ctx, tx, viewer, r, p.now)
}

// checkPlace refuses a folder a place below itself, and any entry one that
// would make the tree too deep.
func checkPlace(ctx context.Context, q querier, e cloud.Entry, parent cloud.EntryID) error {
	if e.Parent == parent {
		return nil
	}
	path, err := pathOf(ctx, q, parent)
	if err != nil {
		return err
	}
	for _, above := range path {
		if above.ID == e.ID {
			return cloud.UserErrorf(cloud.ErrInvalid, "a folder cannot be moved into itself")
		}
	}
	height := 1
	if e.IsFolder() {
		err := q.QueryRowContext(ctx, `WITH RECURSIVE below (id, level) AS (
				SELECT ?1, 1
				UNION ALL
				SELECT c.id, b.level + 1 FROM below b JOIN entries c ON c.parent_id = b.id WHERE b.level <= ?2)
			SELECT MAX(level) FROM below`, e.ID, meta.MaxDepth).Scan(&height)
		if err != nil {
			return err
		}
	}
	return checkDepth(len(path) + height)
}

func checkConflict(on meta.Conflict) error {
	switch on {
	case meta.ConflictFail, meta.ConflictReplace, meta.ConflictRename:
		return nil
	}
	return fmt.Errorf("%w: no way to meet a taken name: %q", cloud.ErrInvalid, on)
}

func nameTaken(e cloud.Entry) error {
	return cloud.UserErrorf(cloud.ErrExists, "there is a %s named %q already", e.Kind, e.Name)
}

// permit asks allow, which may be nil, about an entry.
func permit(allow meta.Allow, e cloud.Entry) error {
	if allow == nil {
		return nil
	}
	return allow(e)
}
