package sqlmeta

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// MakeFolders implements meta.Tree.
func (s *Store) MakeFolders(ctx context.Context, parent cloud.EntryID, names []string, owner cloud.UserID) (last cloud.Entry, created []cloud.Entry, err error) {
	err = s.update(ctx, func(tx querier) error {
		last, created, err = makeFolders(ctx, tx, parent, names, owner, s.stamp())
		return err
	})
	if err != nil {
		return cloud.Entry{}, nil, fmt.Errorf("make folders: %w", err)
	}
	meta.Afterwards(ctx, func() { s.foreseeEntries(created, owner) })
	return last, created, nil
}

func makeFolders(ctx context.Context, tx querier, parent cloud.EntryID, names []string, owner cloud.UserID, now int64) (cloud.Entry, []cloud.Entry, error) {
	last, err := folder(ctx, tx, parent, meta.ViewerOf(ctx))
	if err != nil {
		return cloud.Entry{}, nil, err
	}
	above, err := pathOf(ctx, tx, parent)
	if err != nil {
		return cloud.Entry{}, nil, err
	}
	if err := checkDepth(len(above) + len(names)); err != nil {
		return cloud.Entry{}, nil, err
	}
	var created []cloud.Entry
	for _, name := range names {
		if err := meta.CheckName(name); err != nil {
			return cloud.Entry{}, nil, err
		}
		next, err := child(ctx, tx, last.ID, name, meta.ViewerOf(ctx))
		switch {
		case errors.Is(err, cloud.ErrNotFound):
			next, err = insertEntry(ctx, tx, cloud.Entry{
				Parent: last.ID, Name: name, Kind: cloud.KindFolder, Owner: owner, Public: last.Public,
				CreatedAt: fromStamp(now), UpdatedAt: fromStamp(now), ModifiedAt: fromStamp(now),
			})
			if err != nil {
				return cloud.Entry{}, nil, err
			}
			next.Share = last.Share // there is none of its own
			created = append(created, next)
			if err := tell(ctx, tx, owner, meta.ActivityAdded, next, "", now); err != nil {
				return cloud.Entry{}, nil, err
			}
		case err != nil:
			return cloud.Entry{}, nil, err
		case !next.IsFolder():
			return cloud.Entry{}, nil, cloud.UserErrorf(cloud.ErrExists, "%q is a file", name)
		}
		last = next
	}
	return last, created, nil
}

func checkDepth(levels int) error {
	if levels > meta.MaxDepth {
		return cloud.UserErrorf(cloud.ErrInvalid, "folders cannot be nested more than %d deep", meta.MaxDepth)
	}
	return nil
}

// insertEntry adds an entry and gives it with its id.
func insertEntry(ctx context.Context, tx querier, e cloud.Entry) (cloud.Entry, error) {
	var object []byte
	if !e.IsFolder() {
		object = e.Object[:]
	}
	err := tx.QueryRowContext(ctx, `INSERT INTO entries
		(parent_id, name, name_key, kind, owner_id, public, object_id, size, type, has_thumbnail, created_at, updated_at, modified_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		e.Parent, e.Name, meta.FoldName(e.Name), e.Kind, owner(e.Owner), e.Public, object, e.Size, e.Type, e.HasThumbnail,
		e.CreatedAt.UnixMicro(), e.UpdatedAt.UnixMicro(), e.ModifiedAt.UnixMicro()).Scan(&e.ID)
	if err == nil && !e.IsFolder() {
		err = charge(ctx, tx, e.Owner, e.Size, 1)
	}
	if err != nil {
		return e, err
	}
	return e, weigh(ctx, tx, 1, `?1`, e.ID)
}

// freeName finds the first free name in place of a taken one. Of entry except,
// 0 for none, the name counts as free.
func freeName(ctx context.Context, q querier, parent cloud.EntryID, name string, except cloud.EntryID) (string, error) {
	for n := 1; n <= meta.FreeNames; n++ {
		free := meta.FreeName(name, n)
		if free == "" {
			break
		}
		e, err := child(ctx, q, parent, free, meta.AnyViewer)
		if errors.Is(err, cloud.ErrNotFound) || err == nil && except != 0 && e.ID == except {
			return free, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", cloud.UserErrorf(cloud.ErrExists, "no free name for %q", name)
}
