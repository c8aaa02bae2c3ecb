package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// order is a listing's order as SQL: sorted by key, then by tie. Each is the
// end of an index that begins with (parent_id, kind).
type order struct{ key, tie string }

var orders = map[meta.Sort]order{
	meta.SortName:    {"e.name_key", "e.name"},
	meta.SortSize:    {"e.size", "e.id"},
	meta.SortUpdated: {"e.updated_at", "e.id"},
	meta.SortType:    {"e.type", "e.id"},
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
		if _, err := folder(ctx, tx, q.Parent, meta.AnyViewer); err != nil {
			return err
		}
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
	want, skip := query.Limit+1, query.Offset // one more tells whether there is a next page
	for _, kind := range []cloud.Kind{cloud.KindFolder, cloud.KindFile} {
		passed := kind == cloud.KindFolder && after != nil && after.kind == cloud.KindFile
		if passed || query.Kind != "" && query.Kind != kind {
			continue
		}
		from := after
		if from != nil && from.kind != kind {
			from = nil
		}
		some, err := listKind(ctx, q, v, query, kind, from, want-len(page.Entries), skip)
		if err != nil {
			return meta.Page{}, err
		}
		page.Entries = append(page.Entries, some...)
		if len(page.Entries) == want {
			break
		}
		if len(some) > 0 {
			skip = 0
		} else if skip > 0 && kind == cloud.KindFolder {
			n, err := count(ctx, q, v, query.Parent, kind)
			if err != nil {
				return meta.Page{}, err
			}
			skip -= n
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

// listKind reads entries of one kind, off its index: nothing is sorted but the
// page itself. What lies in front of the page is skipped before objects and
// shares are looked up.
func listKind(ctx context.Context, q querier, v sight, query meta.Query, kind cloud.Kind, after *position, limit, skip int) ([]cloud.Entry, error) {
	by, desc := orderOf(query, kind)
	o, than, dir := orders[by], ">", ""
	if desc {
		than, dir = "<", " DESC"
	}
	args := []any{query.Viewer, query.Parent, kind, limit, skip}
	from := []string{""}
	if after != nil {
		key, tie := after.values(by)
		args = append(args, key, tie)
		from[0] = fmt.Sprintf(` AND (%s, %s) %s (?6, ?7)`, o.key, o.tie, than)
		if o.tie == "e.id" {
			// SQLite does not seek by a pair whose second is the row's number,
			// and would read all entries of the same type before each page.
			from = []string{fmt.Sprintf(` AND %s = ?6 AND e.id %s ?7`, o.key, than), fmt.Sprintf(` AND %s %s ?6`, o.key, than)}
		}
	}
	sorted := fmt.Sprintf(` ORDER BY %s%s, %s%s`, o.key, dir, o.tie, dir)
	var all []cloud.Entry
	for _, where := range from {
		args[3] = limit - len(all)
		some, err := rows(ctx, q, v.entry, v.selectEntry()+`e.id IN (SELECT e.id FROM entries e
			WHERE e.parent_id = ?2 AND e.kind = ?3 AND `+v.visible()+where+sorted+` LIMIT ?4 OFFSET ?5)`+sorted, args...)
		if err != nil {
			return nil, err
		}
		if all = append(all, some...); len(all) == limit {
			break
		}
	}
	return all, nil
}

// Count implements meta.Tree.
func (s *Store) Count(ctx context.Context, parent cloud.EntryID, viewer cloud.UserID) (files, folders int, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if _, err := folder(ctx, q, parent, meta.AnyViewer); err != nil {
			return err
		}
		v, err := sightOf(ctx, q, parent, viewer)
		if err != nil {
			return err
		}
		if files, err = count(ctx, q, v, parent, cloud.KindFile); err != nil {
			return err
		}
		folders, err = count(ctx, q, v, parent, cloud.KindFolder)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count: %w", err)
	}
	return files, folders, nil
}

func count(ctx context.Context, q querier, v sight, parent cloud.EntryID, kind cloud.Kind) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT COUNT(*) FROM entries e INDEXED BY entries_by_type
		WHERE e.parent_id = ?2 AND e.kind = ?3 AND `+v.visible(), v.viewer, parent, kind).Scan(&n)
	return n, err
}

// belowFolder is the folders at and below folder ?2 that the viewer sees. ?3 tells
// whether a share lets him see everything there; what is granted on the way is
// carried along.
const belowFolder = `tree (id, granted) AS (
		SELECT e.id, CASE WHEN ?3 THEN 1 ELSE 0 END FROM entries e WHERE e.id = ?2
		UNION
		SELECT e.id, CASE WHEN t.granted = 1 OR ?1 <> -1 AND ` + granted + ` THEN 1 ELSE 0 END
			FROM tree t CROSS JOIN entries e INDEXED BY entries_by_type
			ON e.parent_id = t.id AND e.kind = 'folder' WHERE t.granted = 1 OR ` + visible + `)`

// Sizes implements meta.Tree.
func (s *Store) Sizes(ctx context.Context, id cloud.EntryID, viewer cloud.UserID) (sizes meta.Sizes, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if _, err := folder(ctx, q, id, meta.AnyViewer); err != nil {
			return err
		}
		grant, err := grantOf(ctx, q, id, viewer)
		if err != nil {
			return err
		}
		sizes = meta.Sizes{Types: map[string]int64{}}
		return each(ctx, q, func(row scanner) error {
			var (
				kind, mime string
				n, bytes   int64
			)
			if err := row.Scan(&kind, &mime, &n, &bytes); err != nil {
				return err
			}
			if kind == "folder" {
				sizes.Folders = n
				return nil
			}
			sizes.Files += n
			sizes.Bytes += bytes
			if bytes > 0 {
				sizes.Types[mime] = bytes
			}
			return nil
		}, `WITH RECURSIVE `+belowFolder+`
			SELECT 'file', e.type, COUNT(*), SUM(e.size)
				FROM tree t CROSS JOIN entries e INDEXED BY entries_by_type
				ON e.parent_id = t.id AND e.kind = 'file' WHERE t.granted = 1 OR `+visible+` GROUP BY e.type
			UNION ALL
			SELECT 'folder', '', COUNT(*) - 1, 0 FROM tree`, viewer, id, grant != nil)
	})
	if err != nil {
		return meta.Sizes{}, fmt.Errorf("sizes: %w", err)
	}
	return sizes, nil
}
