package sqlmeta

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	err = s.query(ctx, func(q querier) error {
		e, err = entry(ctx, q, id, viewer)
		return err
	})
	return e, err
}

// Child implements meta.Tree.
func (s *Store) Child(ctx context.Context, parent cloud.EntryID, name string, viewer cloud.UserID) (e cloud.Entry, err error) {
	err = s.query(ctx, func(q querier) error {
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

// askedTogether is how many entries one statement asks for.
const askedTogether = 512

// Ancestry implements meta.Tree.
func (s *Store) Ancestry(ctx context.Context, ids []cloud.EntryID) (all map[cloud.EntryID]cloud.Entry, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		all, err = ancestry(ctx, q, ids)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ancestry: %w", err)
	}
	return all, nil
}

// ancestry goes up level by level.
func ancestry(ctx context.Context, q querier, ids []cloud.EntryID) (map[cloud.EntryID]cloud.Entry, error) {
	all := map[cloud.EntryID]cloud.Entry{}
	asked := map[cloud.EntryID]bool{cloud.Root: true}
	var next []cloud.EntryID
	ask := func(id cloud.EntryID) {
		if !asked[id] {
			asked[id] = true
			next = append(next, id)
		}
	}
	for _, id := range ids {
		ask(id)
	}
	for len(next) > 0 { // it ends: nothing is asked for twice
		some := next[:min(len(next), askedTogether)]
		next = next[len(some):]
		places, args := idPlaces(1, some)
		found, err := rows(ctx, q, entryInto().scan, selectEntry+`e.id IN (`+places+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			all[e.ID] = e
			ask(e.Parent)
		}
	}
	return all, nil
}

// idPlaces are places for some ids, from parameter number first on, and the ids
// for them. There are as many texts as powers of two: the last id fills up.
func idPlaces[T any](first int, ids []T) (places string, args []any) {
	n := 1
	for n < len(ids) {
		n *= 2
	}
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "?%d", first+i)
		args = append(args, ids[min(i, len(ids)-1)])
	}
	return b.String(), args
}

const (
	byID    = `e.id = ?2`
	byPlace = `e.parent_id = ?2 AND e.name = ?3`
)

func entry(ctx context.Context, q querier, id cloud.EntryID, viewer cloud.UserID) (cloud.Entry, error) {
	e, err := seen(ctx, q, up, byID, viewer, id)
	return e, notFound(err, "entry %d", id)
}

func child(ctx context.Context, q querier, parent cloud.EntryID, name string, viewer cloud.UserID) (cloud.Entry, error) {
	e, err := seen(ctx, q, upByName, byPlace, viewer, parent, name)
	return e, notFound(err, "name in folder %d", parent)
}

// seen gives the entry that a condition picks with what shares give a viewer, to
// whom it is ?1, and up the way from it. It is one statement: so it sees one moment.
func seen(ctx context.Context, q querier, up, where string, viewer cloud.UserID, args ...any) (cloud.Entry, error) {
	row := q.QueryRowContext(ctx, selectSeen(up, where, viewer), append([]any{viewer}, args...)...)
	if viewer <= 0 {
		return scanEntry(row)
	}
	var g grant
	e, err := scanEntryAnd(row, &g)
	if err == nil {
		e.Share = g.given(viewer, e.ID)
	}
	return e, err
}

func selectSeen(up, where string, viewer cloud.UserID) string {
	if viewer <= 0 {
		return selectEntry + where + ` AND ?1 IS NOT NULL`
	}
	return `WITH RECURSIVE ` + up + `, ` + best + `
		SELECT ` + entryColumns + `, best.code FROM ` + entryTables + ` CROSS JOIN best WHERE e.trash_id IS NULL AND ` + where
}

// foreseeEntries foresees that entries which a viewer was shown are asked for.
func (s *Store) foreseeEntries(all []cloud.Entry, viewer cloud.UserID) {
	if _, ok := s.engine.(foreseer); !ok {
		return
	}
	for _, e := range all {
		row := entryValues(e)
		s.foresee(selectSeen(up, byID, meta.AnyViewer), []any{meta.AnyViewer, e.ID}, row...)
		if viewer > 0 && e.Share == nil { // else it is not known which one of several shares it is
			s.foresee(selectSeen(up, byID, viewer), []any{viewer, e.ID}, append(row, nil)...)
		}
	}
}

// entryValues are entryColumns of an entry.
func entryValues(e cloud.Entry) []any {
	var object []byte
	if !e.IsFolder() {
		object = e.Object[:]
	}
	return []any{e.ID, e.Parent, e.Name, e.Kind, e.Owner, e.Public, e.CreatedAt.UnixMicro(), e.UpdatedAt.UnixMicro(), e.ModifiedAt.UnixMicro(),
		object, e.Size, e.Type, e.HasThumbnail, sum(e.Hash), sum(e.SHA256), e.CRC32, e.Preview}
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
	if id == cloud.Root {
		return nil, nil
	}
	path, err := rows(ctx, q, entryInto().scan, `WITH RECURSIVE up (id, level) AS (
			SELECT CAST(?1 AS BIGINT), 0
			UNION ALL
			SELECT e.parent_id, up.level + 1 FROM up JOIN entries e ON e.id = up.id WHERE e.parent_id <> 0 AND e.trash_id IS NULL AND up.level <= ?2)
		SELECT `+entryColumns+` FROM up JOIN entries e ON e.id = up.id LEFT JOIN objects o ON o.id = e.object_id
		WHERE e.trash_id IS NULL ORDER BY up.level`, id, meta.MaxDepth)
	switch {
	case err != nil:
		return nil, err
	case len(path) == 0:
		return nil, fmt.Errorf("entry %d: %w", id, cloud.ErrNotFound)
	case path[len(path)-1].Parent != cloud.Root && len(path) <= meta.MaxDepth:
		return nil, fmt.Errorf("entry %d: %w", path[len(path)-1].Parent, cloud.ErrNotFound)
	case path[len(path)-1].Parent != cloud.Root:
		return nil, fmt.Errorf("entry %d: %w: it does not hang on the root", id, cloud.ErrCorrupt)
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
func scanEntryAnd(row scanner, more ...any) (cloud.Entry, error) { return entryInto(more...).scan(row) }

// entryScan reads row after row into the same place.
type entryScan struct {
	entry cloud.Entry
	into  []any
}

// entryInto is for rows of entryColumns, with further columns for more.
func entryInto(more ...any) *entryScan {
	s := &entryScan{}
	e := &s.entry
	s.into = append([]any{num(&e.ID), num(&e.Parent), &e.Name, (*string)(&e.Kind), num(&e.Owner), &e.Public,
		(*moment)(&e.CreatedAt), (*moment)(&e.UpdatedAt), (*moment)(&e.ModifiedAt), (*octets16)(&e.Object), num(&e.Size), &e.Type, &e.HasThumbnail,
		(*octets32)(&e.Hash), (*octets32)(&e.SHA256), num(&e.CRC32), &e.Preview}, more...)
	return s
}

func (s *entryScan) scan(row scanner) (cloud.Entry, error) {
	if err := row.Scan(s.into...); err != nil {
		return cloud.Entry{}, err
	}
	return s.entry, nil
}

// sum is a sum as a column holds it: NULL if it is not known.
func sum(s cloud.Sum) []byte {
	if s.IsZero() {
		return nil
	}
	return s[:]
}
