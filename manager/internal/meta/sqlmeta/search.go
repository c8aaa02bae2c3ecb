package sqlmeta

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// A text that few names have is looked up in the index of their parts; one that
// more of them have is met often by who reads all names in their order.
const (
	// fewNames is how many of what the index gives are all looked at.
	fewNames = 2000
	// In SQLite it gives up to so many in less time than it takes to read the names
	// up to where they may stand. In PostgreSQL each is read from the table first.
	sqliteNames, postgresNames = 30_000, 5000
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

// Orders of what is found. What begins with the text, ?2, is what people mean
// first.
const (
	byName     = `e.name_key, e.name, e.id`
	byMeaning  = `CASE WHEN instr(e.name_key, ?2) = 1 THEN 0 ELSE 1 END, ` + byName
	byChange   = `e.updated_at DESC, e.id DESC`
	everyName  = `entries n INDEXED BY entries_by_key CROSS JOIN entries e ON e.id = n.id`
	everyOrder = `n.name_key, n.name, n.id`
)

// hunt is one search: conditions of entries e and their arguments. ?1 is the
// viewer, ?2 the folded text if there is one.
type hunt struct {
	q     querier
	with  string
	where []string
	args  []any
}

// Search implements meta.Tree. Of a text that not too many names have, an index of
// their parts gives them. Otherwise names are read in their order, from those that
// begin with the text, until the page is full: the more names have it, the sooner.
// Which it is, the index is asked first; without one, or for one or two letters, it
// is the second.
func (s *Store) Search(ctx context.Context, f meta.Find) (page meta.Page, err error) {
	offset := 0
	if f.After != "" {
		offset, err = strconv.Atoi(f.After)
	}
	text := meta.FoldName(f.Text)
	if err != nil || offset < 0 || offset > meta.FindMost || f.Limit < 1 || text == "" && !f.Starred && !f.Recent || len(f.Text) > meta.MaxName ||
		!utf8.ValidString(f.Text) || f.Kind != "" && f.Kind != cloud.KindFile && f.Kind != cloud.KindFolder {
		return meta.Page{}, fmt.Errorf("search: %w query", cloud.ErrInvalid)
	}
	err = s.snapshot(ctx, func(q querier) error {
		h, err := newHunt(ctx, q, f, text)
		if err != nil {
			return err
		}
		if page.Entries, err = s.hunt(ctx, h, f, text, f.Limit+1, offset); err != nil {
			return err
		}
		return grantAll(ctx, q, page.Entries, f.Viewer)
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

// newHunt puts into SQL what is asked for beside the text.
func newHunt(ctx context.Context, q querier, f meta.Find, text string) (hunt, error) {
	h := hunt{q: q, args: []any{f.Viewer}}
	sees := `(?1 IS NOT NULL)`
	if hidden, err := hides(ctx, q, f.Viewer); err != nil {
		return h, err
	} else if hidden {
		h.with, sees = `WITH RECURSIVE `+ways+` `, findable
	}
	if text != "" {
		h.args = append(h.args, text)
	}
	h.where = []string{sees, "e.trash_id IS NULL", "e.id <> 0"}
	if f.Kind != "" {
		h.and("e.kind = ?%d", f.Kind)
	}
	if len(f.Types) > 0 {
		var some []string
		for _, mime := range f.Types {
			h.args = append(h.args, likeEscape.Replace(strings.ToLower(mime))+"%")
			some = append(some, fmt.Sprintf(`LOWER(e.type) LIKE ?%d ESCAPE '\'`, len(h.args)))
		}
		h.where = append(h.where, "("+strings.Join(some, " OR ")+")")
	}
	if f.Starred {
		h.where = append(h.where, "EXISTS (SELECT 1 FROM stars m WHERE m.user_id = ?1 AND m.entry_id = e.id)")
	}
	if f.Owner != 0 {
		h.and("e.owner_id = ?%d", f.Owner)
	}
	if f.Least > 0 {
		h.and("e.size >= ?%d", f.Least)
	}
	if f.Most > 0 {
		h.and("e.size <= ?%d AND e.kind = 'file'", f.Most)
	}
	if !f.Since.IsZero() {
		h.and("e.updated_at >= ?%d", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		h.and("e.updated_at < ?%d", f.Until.UnixMicro())
	}
	return h, nil
}

// and adds a condition with one parameter.
func (h *hunt) and(condition string, arg any) {
	h.args = append(h.args, arg)
	h.where = append(h.where, fmt.Sprintf(condition, len(h.args)))
}

// also is the hunt with one more condition, and arguments for it.
func (h hunt) also(condition string, args ...any) hunt {
	h.where = append(slices.Clip(h.where), condition)
	h.args = append(slices.Clip(h.args), args...)
	return h
}

// hunt chooses the way to what is asked for.
func (s *Store) hunt(ctx context.Context, h hunt, f meta.Find, text string, want, skip int) ([]cloud.Entry, error) {
	all, order := `entries e`, byName
	if f.Recent {
		order = byChange
	}
	if text == "" {
		if f.Starred {
			all = `(SELECT entry_id FROM stars WHERE user_id = ?1) m CROSS JOIN entries e ON e.id = m.entry_id`
		}
		return h.page(ctx, all, order, order, want, skip)
	}
	if query, arg, ok := s.engine.seek(text); ok {
		if !f.Recent {
			order = byMeaning
		}
		h := h.also(`instr(e.name_key, ?2) > 0`)
		found, err := h.met(fmt.Sprintf(query, len(h.args)+1), arg, s.few).page(ctx, `met n CROSS JOIN entries e ON e.id = n.id`, order, order, want, skip)
		if err != nil || len(found) > 0 {
			return found, err
		}
		if few, err := h.atMost(ctx, fmt.Sprintf(query, 1), arg, s.few); err != nil || few {
			return nil, err
		}
		some := f.Recent
		if !some {
			if some, err = h.atMost(ctx, fmt.Sprintf(query, 1), arg, s.some); err != nil {
				return nil, err
			}
		}
		if some {
			h.args = append(slices.Clip(h.args), arg)
			return h.page(ctx, `(`+fmt.Sprintf(query, len(h.args))+`) n CROSS JOIN entries e ON e.id = n.id`, order, order, want, skip)
		}
	}
	if f.Recent {
		return h.also(`instr(n.name_key, ?2) > 0`).page(ctx, everyName, order, order, want, skip)
	}
	return h.read(ctx, text, want, skip)
}

// met is the hunt among the entries met that a query gives, if they are not more than
// so many: else it finds nothing.
func (h hunt) met(query, arg string, most int) hunt {
	with := "WITH "
	if h.with != "" {
		with = strings.TrimSpace(h.with) + ", "
	}
	n := len(h.args) + 2
	h = h.also(fmt.Sprintf(`(SELECT COUNT(*) FROM met) < ?%d`, n), arg, most+1)
	h.with = with + fmt.Sprintf(`met (id) AS (SELECT id FROM (%s) n LIMIT ?%d) `, query, n)
	return h
}

// atMost tells whether a query gives at most so many entries.
func (h hunt) atMost(ctx context.Context, query, arg string, most int) (bool, error) {
	n := 0
	err := h.q.QueryRowContext(ctx, `SELECT COUNT(*) FROM (`+query+` LIMIT ?2) few`, arg, most+1).Scan(&n)
	return n <= most, err
}

// read goes through the names in their order: first those that begin with the
// text, then those that have it further on.
func (h hunt) read(ctx context.Context, text string, want, skip int) (found []cloud.Entry, err error) {
	begin := h.also(`instr(n.name_key, ?2) = 1 AND n.name_key >= ?2`)
	if end := behind(text); end != "" {
		begin = begin.also(fmt.Sprintf(`n.name_key < ?%d`, len(h.args)+1), end)
	}
	for _, part := range []hunt{begin, h.also(`instr(n.name_key, ?2) > 1`)} {
		some, err := part.page(ctx, everyName, everyOrder, byName, want-len(found), skip)
		if err != nil {
			return nil, err
		}
		if found = append(found, some...); len(found) == want {
			break
		}
		if len(some) > 0 {
			skip = 0
		} else if skip > 0 {
			n, err := part.count(ctx, skip)
			if err != nil {
				return nil, err
			}
			skip -= n
		}
	}
	return found, nil
}

// behind is the first text after all that begin with one, "" if there is none.
func behind(text string) string {
	letters := []rune(text)
	for i, letter := range slices.Backward(letters) {
		switch {
		case letter == utf8.MaxRune:
			continue
		case letter == 0xd7ff: // surrogates are no letters
			letter = 0xdfff
		}
		return string(append(letters[:i], letter+1))
	}
	return ""
}

// page gives entries in an order, which is inner in the words of from.
func (h hunt) page(ctx context.Context, from, inner, order string, want, skip int) ([]cloud.Entry, error) {
	n := len(h.args)
	return rows(ctx, h.q, entryInto().scan, h.with+selectEntry+`e.id IN (SELECT e.id FROM `+from+` WHERE `+strings.Join(h.where, " AND ")+
		fmt.Sprintf(` ORDER BY %s LIMIT ?%d OFFSET ?%d) ORDER BY %s`, inner, n+1, n+2, order), append(slices.Clip(h.args), want, skip)...)
}

// count tells how many names there are, up to a number.
func (h hunt) count(ctx context.Context, most int) (n int, err error) {
	err = h.q.QueryRowContext(ctx, h.with+`SELECT COUNT(*) FROM (SELECT e.id FROM `+everyName+` WHERE `+strings.Join(h.where, " AND ")+
		fmt.Sprintf(` LIMIT ?%d) met`, len(h.args)+1), append(slices.Clip(h.args), most)...).Scan(&n)
	return n, err
}
