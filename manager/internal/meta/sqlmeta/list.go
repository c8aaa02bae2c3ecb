package sqlmeta

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// order is a listing's order as SQL: sorted by key, then by tie; at is the key of
// a position. Each is the end of an index that begins with (parent_id, kind), but
// for owners: their entries are sorted for each page, which few folders need.
type order struct{ key, tie, at string }

var orders = map[meta.Sort]order{
	meta.SortName:    {"e.name_key", "e.name", "?4"},
	meta.SortSize:    {"e.size", "e.id", "?4"},
	meta.SortUpdated: {"e.updated_at", "e.id", "?4"},
	meta.SortType:    {"e.type", "e.id", "?4"},
	meta.SortOwner:   {ownerName("e.owner_id"), "e.id", ownerName("?4")},
}

// ownerName is what the owner of an id sorts by; an id that is none sorts before all.
func ownerName(id string) string {
	return `COALESCE((SELECT w.name_key FROM users w WHERE w.id = ` + id + `), '')`
}

// values are a position's values of the order's columns.
func (p position) values(by meta.Sort) (key, tie any) {
	switch by {
	case meta.SortName:
		return meta.FoldName(p.text), p.text
	case meta.SortType:
		return p.text, p.id
	default:
		return p.number, p.id
	}
}

// List implements meta.Tree.
func (s *Store) List(ctx context.Context, q meta.Query) (page meta.Page, err error) {
	if q.Sort == "" {
		q.Sort = meta.SortName
	}
	var after *position
	switch _, ok := orders[q.Sort]; {
	case !ok, q.Limit < 1, q.Offset < 0, q.Offset > 0 && q.After != "",
		q.Kind != "" && q.Kind != cloud.KindFile && q.Kind != cloud.KindFolder:
		return page, fmt.Errorf("list folder %d: %w query", q.Parent, cloud.ErrInvalid)
	case q.After != "":
		p, err := parseCursor(q.After, q)
		if err != nil {
			return page, fmt.Errorf("list folder %d: %w", q.Parent, err)
		}
		after = &p
	}
	err = s.snapshot(ctx, func(tx querier) error {
		v, err := sightOf(ctx, tx, q.Parent, q.Viewer)
		if err != nil {
			return err
		}
		page, err = list(ctx, tx, v, q, after)
		return err
	})
	if err != nil {
		return meta.Page{}, fmt.Errorf("list: %w", err)
	}
	s.foreseeEntries(page.Entries, q.Viewer)
	return page, nil
}

// orderOf is the order of one kind: folders have neither size nor type.
func orderOf(q meta.Query, kind cloud.Kind) (by meta.Sort, desc bool) {
	if kind == cloud.KindFolder && (q.Sort == meta.SortSize || q.Sort == meta.SortType) {
		return meta.SortName, false
	}
	return q.Sort, q.Desc
}

// list puts the folders, then the files on one page.
func list(ctx context.Context, q querier, v sight, query meta.Query, after *position) (page meta.Page, err error) {
	if page.Files, page.Folders, err = countHere(ctx, q, v); err != nil {
		return meta.Page{}, err
	}
	want, skip := query.Limit+1, query.Offset // one more tells whether there is a next page
	if n := page.Files + page.Folders; n > 0 {
		page.Entries = make([]cloud.Entry, 0, min(want, n))
	}
	for _, kind := range []cloud.Kind{cloud.KindFolder, cloud.KindFile} {
		passed := kind == cloud.KindFolder && after != nil && after.kind == cloud.KindFile
		there := page.Files
		if kind == cloud.KindFolder {
			there = page.Folders
		}
		if passed || there == 0 || query.Kind != "" && query.Kind != kind {
			continue
		}
		from := after
		if from != nil && from.kind != kind {
			from = nil
		}
		before := len(page.Entries)
		if page.Entries, err = listKind(ctx, q, v, query, kind, from, page.Entries, want-before, skip); err != nil {
			return meta.Page{}, err
		}
		if len(page.Entries) == want {
			break
		}
		if len(page.Entries) > before {
			skip = 0
		} else if skip > 0 && kind == cloud.KindFolder {
			skip -= page.Folders
		}
	}
	if len(page.Entries) == want {
		page.Entries = page.Entries[:query.Limit]
		last := page.Entries[query.Limit-1]
		by, _ := orderOf(query, last.Kind)
		page.Next = positionOf(last, by).cursor(query)
	}
	return page, nil
}

// listKind adds entries of one kind to all, off its index: nothing is sorted but by
// owners. What does not come on the page is passed before objects and shares are
// looked up.
func listKind(ctx context.Context, q querier, v sight, query meta.Query, kind cloud.Kind, after *position, all []cloud.Entry, limit, skip int) ([]cloud.Entry, error) {
	by, desc := orderOf(query, kind)
	o, than, dir := orders[by], ">", ""
	if desc {
		than, dir = "<", " DESC"
	}
	type part struct {
		where string
		args  []any
	}
	args := []any{query.Viewer, query.Parent, kind}
	parts := []part{{"", args}}
	if after != nil {
		key, tie := after.values(by)
		args = append(args, key, tie)
		parts = []part{{fmt.Sprintf(` AND (%s, %s) %s (%s, ?5)`, o.key, o.tie, than, o.at), args}}
		if o.tie == "e.id" {
			// SQLite does not seek by a pair whose second is the row's number,
			// and would read all entries of the same type before each page.
			parts = []part{
				{fmt.Sprintf(` AND %s = %s AND e.id %s ?5`, o.key, o.at, than), args},
				{fmt.Sprintf(` AND %s %s %s`, o.key, than, o.at), args[:4]},
			}
		}
	}
	sorted := fmt.Sprintf(` ORDER BY %s%s, %s%s`, o.key, dir, o.tie, dir)
	scan := v.scan()
	end := len(all) + limit
	for i, p := range parts {
		if kind == cloud.KindFile && i == len(parts)-1 {
			q = lastly(q)
		}
		wanted := end - len(all)
		most := fmt.Sprintf("?%d", len(p.args)+1)
		if skip == 0 && wanted == query.Limit+1 {
			// Written out, it lets PostgreSQL keep a plan that knows how few rows are wanted.
			most = strconv.Itoa(wanted)
		}
		where := ` e.parent_id = ?2 AND e.kind = ?3 AND ` + v.visible() + p.where + sorted + ` LIMIT ` + most
		if skip > 0 {
			where += fmt.Sprintf(` OFFSET ?%d`, len(p.args)+2)
		}
		if skip > 0 || by == meta.SortOwner {
			where = ` e.id IN (SELECT e.id FROM entries e WHERE` + where + `)` + sorted
		}
		if err := each(ctx, q, func(row scanner) error {
			e, err := scan(row)
			all = append(all, e)
			return err
		}, v.selectEntry()+where, append(slices.Clip(p.args), wanted, skip)...); err != nil {
			return nil, err
		}
		if len(all) == end {
			break
		}
	}
	return all, nil
}

// Count implements meta.Tree.
func (s *Store) Count(ctx context.Context, parent cloud.EntryID, viewer cloud.UserID) (files, folders int, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		v, err := sightOf(ctx, q, parent, viewer)
		if err != nil {
			return err
		}
		files, folders, err = countHere(ctx, q, v)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count: %w", err)
	}
	return files, folders, nil
}
