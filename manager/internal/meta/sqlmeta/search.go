package sqlmeta

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// ways are two sets: hidden has the folders that the viewer does not come to,
// since one of them or a folder above is not his to see, and given those that
// shares open for him all the same, with entries that are shared themselves.
// Going down from the few folders that are not public costs little; going up from
// each of the entries found would not.
const (
	ways = `hidden (id) AS (
			SELECT e.id FROM entries e INDEXED BY entries_restricted WHERE e.kind = 'folder' AND NOT e.public AND e.owner_id <> ?1
			UNION
			SELECT e.id FROM hidden h CROSS JOIN entries e ON e.parent_id = h.id AND e.kind = 'folder'),
		given (id) AS (
			` + concerns + `
			UNION
			SELECT e.id FROM given g CROSS JOIN entries e ON e.parent_id = g.id AND e.kind = 'folder')`
	findable = `(` + open + ` AND e.parent_id NOT IN (SELECT id FROM hidden)
		OR e.parent_id IN (SELECT id FROM given) OR e.id IN (SELECT id FROM given))`
)

// Search implements meta.Tree. It reads every name, off an index, and what it is
// that only of those with the text in them: at a million entries that takes a
// sixth of a second, less than an index of all parts of names would be worth in
// space and in the time of each change.
func (s *Store) Search(ctx context.Context, f meta.Find) (page meta.Page, err error) {
	offset := 0
	if f.After != "" {
		offset, err = strconv.Atoi(f.After)
	}
	text := meta.FoldName(f.Text)
	if err != nil || offset < 0 || offset > meta.FindMost || f.Limit < 1 || text == "" && !f.Starred && !f.Recent || len(f.Text) > meta.MaxName ||
		f.Kind != "" && f.Kind != cloud.KindFile && f.Kind != cloud.KindFolder {
		return meta.Page{}, fmt.Errorf("search: %w query", cloud.ErrInvalid)
	}
	args := []any{f.Viewer}
	where := []string{"e.trash_id IS NULL", "e.id <> 0"}
	and := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	from := `entries e`
	if text != "" {
		args = append(args, text)
		from = fmt.Sprintf(`(SELECT n.id FROM entries n INDEXED BY entries_by_name WHERE instr(n.name_key, ?%d) > 0) named
			CROSS JOIN entries e ON e.id = named.id`, len(args))
	}
	if f.Kind != "" {
		and("e.kind = ?%d", f.Kind)
	}
	if len(f.Types) > 0 {
		var some []string
		for _, mime := range f.Types {
			args = append(args, likeEscape.Replace(strings.ToLower(mime))+"%")
			some = append(some, fmt.Sprintf(`LOWER(e.type) LIKE ?%d ESCAPE '\'`, len(args)))
		}
		where = append(where, "("+strings.Join(some, " OR ")+")")
	}
	if f.Starred {
		where = append(where, "EXISTS (SELECT 1 FROM stars m WHERE m.user_id = ?1 AND m.entry_id = e.id)")
	}
	if f.Owner != 0 {
		and("e.owner_id = ?%d", f.Owner)
	}
	if f.Least > 0 {
		and("e.size >= ?%d", f.Least)
	}
	if f.Most > 0 {
		and("e.size <= ?%d AND e.kind = 'file'", f.Most)
	}
	if !f.Since.IsZero() {
		and("e.updated_at >= ?%d", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		and("e.updated_at < ?%d", f.Until.UnixMicro())
	}
	order := "e.name_key, e.name, e.id"
	switch {
	case f.Recent:
		order = "e.updated_at DESC, e.id DESC"
	case text != "": // what begins with it is what people mean first
		order = `CASE WHEN instr(e.name_key, ?2) = 1 THEN 0 ELSE 1 END, ` + order
	}
	args = append(args, f.Limit+1, offset)
	n := len(args)
	err = s.snapshot(ctx, func(q querier) error {
		with, sees := ``, `(?1 IS NOT NULL)`
		if hidden, err := hides(ctx, q, f.Viewer); err != nil {
			return err
		} else if hidden {
			with, sees = `WITH RECURSIVE `+ways+` `, findable
		}
		page.Entries, err = rows(ctx, q, scanEntry, with+selectEntry+`e.id IN (SELECT e.id FROM `+from+`
			WHERE `+sees+` AND `+strings.Join(where, " AND ")+fmt.Sprintf(` ORDER BY %s LIMIT ?%d OFFSET ?%d)
			ORDER BY %[1]s`, order, n-1, n), args...)
		if err != nil {
			return err
		}
		shares, err := sharesTouch(ctx, q, f.Viewer)
		for i := range page.Entries {
			if err == nil && shares {
				page.Entries[i].Share, err = grantOf(ctx, q, page.Entries[i].ID, f.Viewer)
			}
		}
		return err
	})
	if err != nil {
		return meta.Page{}, fmt.Errorf("search: %w", err)
	}
	if len(page.Entries) > f.Limit {
		page.Entries = page.Entries[:f.Limit]
		if next := offset + f.Limit; next < meta.FindMost {
			page.Next = strconv.Itoa(next)
		}
	}
	return page, nil
}
