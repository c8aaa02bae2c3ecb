package sqlmeta

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// walkPage is how many entries of one folder are in memory; at MaxDepth levels
// that makes a bound for the walk.
const walkPage = 64

// level is a folder that a walk is in.
type level struct {
	id   cloud.EntryID
	page []cloud.Entry // entries not visited yet
	last string        // name that the page ends with
	done bool          // no page follows
}

// Walk implements meta.Tree. Between two pages of a folder it sees what has
// changed since; it does not meet an entry twice unless that is renamed or
// moved meanwhile.
func (s *Store) Walk(ctx context.Context, id cloud.EntryID, viewer cloud.UserID, visit func(names []string, e cloud.Entry) error) error {
	err := s.query(ctx, func(q querier) error {
		_, err := folder(ctx, q, id, meta.AnyViewer)
		return err
	})
	if err != nil {
		return fmt.Errorf("walk: %w", err)
	}
	stack := []level{{id: id}}
	var names []string
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.page) == 0 && !top.done {
			if err := s.fill(ctx, top, viewer); err != nil {
				return fmt.Errorf("walk: %w", err)
			}
		}
		if len(top.page) == 0 {
			stack = stack[:len(stack)-1]
			names = names[:max(0, len(names)-1)]
			continue
		}
		e := top.page[0]
		top.page = top.page[1:]
		names = append(names, e.Name)
		if err := visit(names, e); err != nil {
			return err
		}
		if e.IsFolder() && len(stack) <= meta.MaxDepth {
			stack = append(stack, level{id: e.ID})
		} else {
			names = names[:len(names)-1]
		}
	}
	return nil
}

// fill reads the next page of a folder, files and folders together by name. The
// two halves come off one index each, and SQLite merges them.
func (s *Store) fill(ctx context.Context, l *level, viewer cloud.UserID) error {
	err := s.snapshot(ctx, func(q querier) error {
		v, err := sightOf(ctx, q, l.id, viewer)
		if errors.Is(err, cloud.ErrNotFound) { // it has gone since it was met
			l.page = nil
			return nil
		}
		if err != nil {
			return err
		}
		half := `SELECT * FROM (SELECT ` + v.columns() + `, e.name_key AS name_key FROM ` + entryTables + `
			WHERE e.parent_id = ?2 AND e.kind = '%s' AND (e.name_key, e.name) > (?3, ?4) AND ` + v.visible() + `
			ORDER BY e.name_key, e.name LIMIT ?5) half`
		var key string // last column, there to be sorted by
		page, err := rows(ctx, q, v.scan(&key),
			fmt.Sprintf(half+` UNION ALL `+half+` ORDER BY name_key, name LIMIT ?5`, cloud.KindFolder, cloud.KindFile),
			viewer, l.id, meta.FoldName(l.last), l.last, walkPage)
		l.page = page
		return err
	})
	if err == nil {
		l.done = len(l.page) < walkPage
		if len(l.page) > 0 {
			l.last = l.page[len(l.page)-1].Name
		}
	}
	return err
}
