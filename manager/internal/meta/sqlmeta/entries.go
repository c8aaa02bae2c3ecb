package sqlmeta

import (
	"context"
	"fmt"
	"slices"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// An entry is read with its object's sums. What shares give is added by sight.
const (
	entryColumns = `e.id, COALESCE(e.parent_id, 0), e.name, e.kind, COALESCE(e.owner_id, 0), e.public,
		e.created_at, e.updated_at, e.modified_at, e.object_id, e.size, e.type, e.has_thumbnail,
		o.hash, o.sha256, COALESCE(o.crc32, 0), COALESCE(o.preview, '')`
	entryTables = `entries e LEFT JOIN objects o ON o.id = e.object_id`
	// What is in the trash is found by the trash alone.
	selectEntry   = selectTrashed + `e.trash_id IS NULL AND `
	selectTrashed = `SELECT ` + entryColumns + ` FROM ` + entryTables + ` WHERE `
)

// Entry implements meta.Tree.
func (s *Store) Entry(ctx context.Context, id cloud.EntryID, viewer cloud.UserID) (e cloud.Entry, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		e, err = entry(ctx, q, id, viewer)
		return err
	})
	return e, err
}

// Child implements meta.Tree.
func (s *Store) Child(ctx context.Context, parent cloud.EntryID, name string, viewer cloud.UserID) (e cloud.Entry, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		e, err = child(ctx, q, parent, name, viewer)
		return err
	})
	return e, err
}

// Path implements meta.Tree.
func (s *Store) Path(ctx context.Context, id cloud.EntryID) (path []cloud.Entry, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		path, err = pathOf(ctx, q, id)
		return err
	})
	return path, err
}

func entry(ctx context.Context, q querier, id cloud.EntryID, viewer cloud.UserID) (cloud.Entry, error) {
	e, err := scanEntry(q.QueryRowContext(ctx, selectEntry+`e.id = ?1`, id))
	if err != nil {
		return cloud.Entry{}, notFound(err, "entry %d", id)
	}
	e.Share, err = grantOf(ctx, q, e.ID, viewer)
	return e, err
}

func child(ctx context.Context, q querier, parent cloud.EntryID, name string, viewer cloud.UserID) (cloud.Entry, error) {
	e, err := scanEntry(q.QueryRowContext(ctx, selectEntry+`e.parent_id = ?1 AND e.name = ?2`, parent, name))
	if err != nil {
		return cloud.Entry{}, notFound(err, "name in folder %d", parent)
	}
	e.Share, err = grantOf(ctx, q, e.ID, viewer)
	return e, err
}

// folder is the entry if it is a folder: ErrInvalid for a file.
func folder(ctx context.Context, q querier, id cloud.EntryID, viewer cloud.UserID) (cloud.Entry, error) {
	e, err := entry(ctx, q, id, viewer)
	if err == nil && !e.IsFolder() {
		return cloud.Entry{}, fmt.Errorf("entry %d: %w: not a folder", id, cloud.ErrInvalid)
	}
	return e, err
}

// pathOf goes up from id to the top. A row can be damaged so that this does not
// end, hence the bound.
func pathOf(ctx context.Context, q querier, id cloud.EntryID) ([]cloud.Entry, error) {
	var path []cloud.Entry
	for id != cloud.Root {
		if len(path) > meta.MaxDepth {
			return nil, fmt.Errorf("entry %d: %w: it does not hang on the root", id, cloud.ErrCorrupt)
		}
		e, err := entry(ctx, q, id, meta.AnyViewer)
		if err != nil {
			return nil, err
		}
		path = append(path, e)
		id = e.Parent
	}
	slices.Reverse(path)
	return path, nil
}

// namesOf is the path of a folder as names, nil for the root.
func namesOf(ctx context.Context, q querier, id cloud.EntryID) ([]string, error) {
	path, err := pathOf(ctx, q, id)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range path {
		names = append(names, e.Name)
	}
	return names, nil
}

func scanEntry(row scanner) (cloud.Entry, error) { return scanEntryAnd(row) }

// scanEntryAnd reads entryColumns, and further columns into more.
func scanEntryAnd(row scanner, more ...any) (cloud.Entry, error) {
	var (
		e                          cloud.Entry
		created, updated, modified int64
		object, hash, sha          []byte
	)
	if err := row.Scan(append([]any{&e.ID, &e.Parent, &e.Name, &e.Kind, &e.Owner, &e.Public,
		&created, &updated, &modified, &object, &e.Size, &e.Type, &e.HasThumbnail,
		&hash, &sha, &e.CRC32, &e.Preview}, more...)...); err != nil {
		return cloud.Entry{}, err
	}
	e.CreatedAt, e.UpdatedAt, e.ModifiedAt = fromStamp(created), fromStamp(updated), fromStamp(modified)
	copy(e.Object[:], object)
	copy(e.Hash[:], hash)
	copy(e.SHA256[:], sha)
	return e, nil
}

// sum is a sum as a column holds it: NULL if it is not known.
func sum(s cloud.Sum) []byte {
	if s.IsZero() {
		return nil
	}
	return s[:]
}
