package sqlmeta

import (
	"context"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// tell writes down what somebody did with an entry, where it is or was.
func tell(ctx context.Context, tx querier, by cloud.UserID, action string, e cloud.Entry, oldName string, now int64) error {
	return exec(ctx, tx, `INSERT INTO activity (at, user_id, action, parent_id, entry_id, kind, name, old_name, owner_id, public)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`,
		now, max(by, 0), action, e.Parent, e.ID, e.Kind, e.Name, oldName, owner(e.Owner), e.Public)
}

// tellMove writes down a move, for those who look at either folder.
func tellMove(ctx context.Context, tx querier, by cloud.UserID, r meta.MoveResult, now int64) error {
	switch {
	case r.Before.Parent == r.After.Parent:
		return tell(ctx, tx, by, meta.ActivityRenamed, r.After, r.Before.Name, now)
	case r.Before.Parent == meta.TrashRoot:
		return tell(ctx, tx, by, meta.ActivityRestored, r.After, "", now)
	}
	if err := tell(ctx, tx, by, meta.ActivityMovedOut, r.Before, "", now); err != nil {
		return err
	}
	return tell(ctx, tx, by, meta.ActivityMovedIn, r.After, "", now)
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

// thisFolder is in place of belowFolder where only the folder itself counts.
const thisFolder = `tree (id, granted) AS (SELECT e.id, CASE WHEN ?3 THEN 1 ELSE 0 END FROM entries e WHERE e.id = ?2)`

// ActivityIn implements meta.Activities.
func (s *Store) ActivityIn(ctx context.Context, q meta.ActivityQuery) (all []meta.Activity, err error) {
	if q.Limit < 1 || q.Before < 0 {
		return nil, fmt.Errorf("activity: %w query", cloud.ErrInvalid)
	}
	folders, before := thisFolder, q.Before
	if q.Deep {
		folders = belowFolder
	}
	if before == 0 {
		before = 1 << 62
	}
	err = s.snapshot(ctx, func(tx querier) error {
		if _, err := folder(ctx, tx, q.Folder, meta.AnyViewer); err != nil {
			return err
		}
		grant, err := grantOf(ctx, tx, q.Folder, q.Viewer)
		if err != nil {
			return err
		}
		all, err = rows(ctx, tx, func(row scanner) (a meta.Activity, err error) {
			var at int64
			err = row.Scan(&a.ID, &at, &a.User, &a.Action, &a.Folder, &a.Entry, &a.Kind, &a.Name, &a.OldName)
			a.At = fromStamp(at)
			return a, err
		}, `WITH RECURSIVE `+folders+`
			SELECT a.id, a.at, a.user_id, a.action, a.parent_id, a.entry_id, a.kind, a.name, a.old_name
			FROM tree t CROSS JOIN activity a ON a.parent_id = t.id LEFT JOIN entries e ON e.id = a.entry_id AND e.trash_id IS NULL
			WHERE a.id < ?4 AND CASE
				WHEN e.id IS NULL THEN ?1 = -1 OR t.granted = 1 OR a.public OR a.owner_id IS NULL OR a.owner_id = ?1
				ELSE t.granted = 1 AND e.parent_id = a.parent_id OR `+visible+` END
			ORDER BY a.id DESC LIMIT ?5`, q.Viewer, q.Folder, grant != nil, before, q.Limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("activity: %w", err)
	}
	return all, nil
}

// ExpireActivity implements meta.Activities.
func (s *Store) ExpireActivity(ctx context.Context, before time.Time) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM activity WHERE at < ?1`, before.UnixMicro())
	})
}
