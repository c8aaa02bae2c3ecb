package sqlmeta

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// SetRetention implements meta.Trash.
func (s *Store) SetRetention(r meta.Retention) { s.retention.Store(&r) }

// discard moves what is doomed to the trash. A name in the trash is the entry's
// number, which is taken once. Locks and passwords for what goes end with it, as
// if it went for good.
func (p disposal) discard(ctx context.Context, d meta.Deleted) error {
	by := owner(p.by)
	for i, e := range d.Top {
		if err := exec(ctx, p.tx, `INSERT INTO trash (entry_id, user_id, parent_id, folder, name, files, folders, size, deleted_at)
			SELECT ?1, ?2, ?3, ?4, ?5, SUM(CASE e.kind WHEN 'file' THEN 1 ELSE 0 END), SUM(CASE e.kind WHEN 'file' THEN 0 ELSE 1 END), SUM(e.size), ?6
			FROM doomed d JOIN entries e ON e.id = d.id WHERE d.top = ?1 HAVING COUNT(*) > 0`,
			e.ID, by, e.Parent, strings.Join(d.Paths[i], "/"), e.Name, p.now); err != nil {
			return err
		}
	}
	for _, change := range []string{
		`DELETE FROM locks WHERE entry_id IN (SELECT id FROM doomed)`,
		`DELETE FROM app_passwords WHERE entry_id IN (SELECT id FROM doomed)`,
		`UPDATE entries SET trash_id = (SELECT d.top FROM doomed d WHERE d.id = entries.id) WHERE id IN (SELECT id FROM doomed)`,
		`UPDATE entries SET parent_id = -1, name = CAST(id AS TEXT), name_key = CAST(id AS TEXT) WHERE id IN (SELECT top FROM doomed)`,
		`DELETE FROM doomed`,
	} {
		if err := exec(ctx, p.tx, change); err != nil {
			return err
		}
	}
	return nil
}

// An entry of the trash is read with what the trash says of it; it is in the trash
// of ?1 if he deleted it or if it was his.
const (
	trashColumns = `, t.name, t.parent_id, t.folder, COALESCE(t.user_id, 0), t.deleted_at, t.files, t.folders, t.size`
	selectTrash  = `SELECT ` + entryColumns + trashColumns + ` FROM trash t, ` + entryTables +
		` WHERE e.id = t.entry_id AND (?1 = -1 OR t.user_id = ?1 OR e.owner_id = ?1)`
	selectOneTrashed = selectTrash + ` AND t.entry_id = ?2`
)

func scanTrashed(row scanner) (t meta.Trashed, err error) {
	var name, folder string
	var parent cloud.EntryID
	var deleted int64
	t.Entry, err = scanEntryAnd(row, &name, &parent, &folder, &t.DeletedBy, &deleted, &t.Files, &t.Folders, &t.Bytes)
	if err != nil {
		return meta.Trashed{}, err
	}
	t.Entry.Name, t.Entry.Parent, t.DeletedAt = name, parent, fromStamp(deleted)
	if folder != "" {
		t.Folder = strings.Split(folder, "/")
	}
	return t, nil
}

// ListTrash implements meta.Trash.
func (s *Store) ListTrash(ctx context.Context, user cloud.UserID, after string, limit int) (all []meta.Trashed, next string, err error) {
	at, id := int64(1<<62), int64(1<<62)
	if after != "" {
		a, b, ok := strings.Cut(after, ".")
		var errA, errB error
		at, errA = strconv.ParseInt(a, 10, 64)
		id, errB = strconv.ParseInt(b, 10, 64)
		if !ok || errA != nil || errB != nil {
			return nil, "", fmt.Errorf("list trash: %w cursor", cloud.ErrInvalid)
		}
	}
	if limit < 1 {
		return nil, "", fmt.Errorf("list trash: %w limit", cloud.ErrInvalid)
	}
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanTrashed, selectTrash+` AND (t.deleted_at < ?2 OR t.deleted_at = ?2 AND t.entry_id < ?3)
			ORDER BY t.deleted_at DESC, t.entry_id DESC LIMIT ?4`, user, at, id, limit+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list trash: %w", err)
	}
	if len(all) > limit {
		all = all[:limit]
		last := all[limit-1]
		next = fmt.Sprintf("%d.%d", last.DeletedAt.UnixMicro(), last.Entry.ID)
	}
	s.foreseeTrash(all, user)
	return all, next, nil
}

// Trashed implements meta.Trash.
func (s *Store) Trashed(ctx context.Context, user cloud.UserID, id cloud.EntryID) (t meta.Trashed, err error) {
	err = s.query(ctx, func(q querier) error {
		t, err = trashed(ctx, q, user, id)
		return err
	})
	return t, err
}

func trashed(ctx context.Context, q querier, user cloud.UserID, id cloud.EntryID) (meta.Trashed, error) {
	t, err := scanTrashed(q.QueryRowContext(ctx, selectOneTrashed, user, id))
	return t, notFound(err, "entry %d of the trash", id)
}

// foreseeTrash foresees that what a user was shown of his trash is asked for.
func (s *Store) foreseeTrash(all []meta.Trashed, user cloud.UserID) {
	if _, ok := s.engine.(foreseer); !ok {
		return
	}
	for _, t := range all {
		e := t.Entry
		e.Name, e.Parent = strconv.FormatInt(int64(e.ID), 10), meta.TrashRoot // as discard leaves it
		row := append(entryValues(e), t.Entry.Name, t.Entry.Parent, strings.Join(t.Folder, "/"),
			t.DeletedBy, t.DeletedAt.UnixMicro(), t.Files, t.Folders, t.Bytes)
		s.foresee(selectOneTrashed, []any{user, e.ID}, row...)
		s.foresee(selectOneTrashed, []any{meta.AnyViewer, e.ID}, row...)
	}
}

// Restore implements meta.Trash.
func (s *Store) Restore(ctx context.Context, id, parent cloud.EntryID, on meta.Conflict, allow meta.Allow) (r meta.MoveResult, err error) {
	err = s.update(ctx, func(tx querier) error {
		t, err := trashed(ctx, tx, meta.AnyViewer, id)
		if err != nil {
			return err
		}
		from := t.Entry
		from.Parent = meta.TrashRoot
		if from.Share, err = grantOf(ctx, tx, id, meta.ViewerOf(ctx)); err != nil {
			return err
		}
		if r, err = s.disposal(ctx, tx).move(ctx, from, parent, from.Name, on, allow); err != nil {
			return err
		}
		r.Before = t.Entry
		return nil
	})
	if err != nil {
		return meta.MoveResult{}, fmt.Errorf("restore entry %d: %w", id, err)
	}
	s.foreseeMoved(ctx, r)
	return r, nil
}

// takeOut has an entry, and all that was deleted with it, be in the trash no more.
func takeOut(ctx context.Context, tx querier, id cloud.EntryID) error {
	if err := exec(ctx, tx, `UPDATE entries SET trash_id = NULL WHERE trash_id = ?1`, id); err != nil {
		return err
	}
	return exec(ctx, tx, `DELETE FROM trash WHERE entry_id = ?1`, id)
}

// Purge implements meta.Trash.
func (s *Store) Purge(ctx context.Context, ids []cloud.EntryID) (d meta.Deleted, err error) {
	err = s.update(ctx, func(tx querier) error {
		d, err = s.disposal(ctx, tx).purge(ctx, ids)
		return err
	})
	if err != nil {
		return meta.Deleted{}, fmt.Errorf("purge: %w", err)
	}
	return d, nil
}

func (p disposal) purge(ctx context.Context, ids []cloud.EntryID) (d meta.Deleted, err error) {
	if err := exec(ctx, p.tx, doomed); err != nil {
		return d, err
	}
	seen := map[cloud.EntryID]bool{}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		t, err := trashed(ctx, p.tx, meta.AnyViewer, id)
		if err != nil {
			return d, err
		}
		d.Top, d.Paths = append(d.Top, t.Entry), append(d.Paths, t.Folder)
		d.Files, d.Folders, d.Bytes = d.Files+t.Files, d.Folders+t.Folders, d.Bytes+t.Bytes
		if err := exec(ctx, p.tx, `INSERT INTO doomed (id, top) SELECT id, ?1 FROM entries WHERE trash_id = ?1`, id); err != nil {
			return d, err
		}
	}
	return d, p.erase(ctx)
}

// ExpireTrash implements meta.Trash.
func (s *Store) ExpireTrash(ctx context.Context, before time.Time, most int) (n int, err error) {
	err = s.update(ctx, func(tx querier) error {
		ids, err := rows(ctx, tx, scanID[cloud.EntryID],
			`SELECT entry_id FROM trash WHERE deleted_at < ?1 ORDER BY deleted_at LIMIT ?2`, before.UnixMicro(), most)
		if err != nil || len(ids) == 0 {
			n = 0
			return err
		}
		n = len(ids)
		_, err = s.disposal(ctx, tx).purge(ctx, ids)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("expire trash: %w", err)
	}
	return n, nil
}

// Space implements meta.Trash.
func (s *Store) Space(ctx context.Context, user cloud.UserID) (space meta.Space, err error) {
	keep := meta.Retention{}
	if r := s.retention.Load(); r != nil {
		keep = *r
	}
	const day = int64(24 * time.Hour / time.Microsecond)
	err = s.snapshot(ctx, func(q querier) error {
		space = meta.Space{}
		used, err := quotaOf(ctx, q, user)
		if err != nil {
			return err
		}
		freed := map[int64]int64{} // days since 1970 to bytes
		gather := func(n, bytes *int64, kept time.Duration, query string) error {
			return each(ctx, q, func(row scanner) error {
				var on, count, size int64
				if err := row.Scan(&on, &count, &size); err != nil {
					return err
				}
				*n, *bytes = *n+count, *bytes+size
				if kept > 0 {
					freed[on] += size
				}
				return nil
			}, query, user, kept.Microseconds(), day)
		}
		if err := gather(&space.Trashed, &space.TrashBytes, keep.Trash, `SELECT (t.deleted_at + ?2) / ?3, COUNT(*), SUM(e.size)
			FROM entries e JOIN trash t ON t.entry_id = e.trash_id
			WHERE e.owner_id = ?1 AND e.trash_id IS NOT NULL AND e.kind = 'file' GROUP BY 1`); err != nil {
			return err
		}
		if err := gather(&space.Versions, &space.VersionBytes, keep.VersionAge, `SELECT (v.replaced_at + ?2) / ?3, COUNT(*), SUM(v.size)
			FROM versions v JOIN entries e ON e.id = v.entry_id WHERE e.owner_id = ?1 GROUP BY 1`); err != nil {
			return err
		}
		space.Files, space.FileBytes = used.Files-space.Trashed, used.Bytes-space.TrashBytes-space.VersionBytes
		for on, bytes := range freed {
			if bytes > 0 {
				space.Freed = append(space.Freed, meta.Freed{Day: fromStamp(on * day), Bytes: bytes})
			}
		}
		return nil
	})
	if err != nil {
		return meta.Space{}, fmt.Errorf("space of user %d: %w", user, err)
	}
	slices.SortFunc(space.Freed, func(a, b meta.Freed) int { return a.Day.Compare(b.Day) })
	return space, nil
}
