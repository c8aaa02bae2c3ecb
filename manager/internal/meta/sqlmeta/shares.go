package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const (
	upsertShare = `INSERT INTO shares (entry_id, user_id, can_write, shared_at, owner_id)
		VALUES (?1, ?2, ?3, ?4, (SELECT owner_id FROM entries WHERE id = ?1))
		ON CONFLICT (entry_id, user_id) DO UPDATE SET can_write = excluded.can_write`
	upsertGroupShare = `INSERT INTO group_shares (entry_id, group_id, can_write, shared_at, owner_id)
		VALUES (?1, ?2, ?3, ?4, (SELECT owner_id FROM entries WHERE id = ?1))
		ON CONFLICT (entry_id, group_id) DO UPDATE SET can_write = excluded.can_write`
)

// SetShare implements meta.Tree. A share that is changed keeps its date.
func (s *Store) SetShare(ctx context.Context, share cloud.Share) (cloud.Share, error) {
	fail := func(err error) (cloud.Share, error) {
		return cloud.Share{}, fmt.Errorf("share entry %d with user %d or group %d: %w", share.Entry, share.User, share.Group, err)
	}
	upsert, since, whom := upsertShare, `SELECT shared_at FROM shares WHERE entry_id = ?1 AND user_id = ?2`, int64(share.User)
	if share.Group != 0 {
		upsert, since, whom = upsertGroupShare, `SELECT shared_at FROM group_shares WHERE entry_id = ?1 AND group_id = ?2`, int64(share.Group)
	}
	if (share.User == 0) == (share.Group == 0) {
		return fail(fmt.Errorf("%w: with a user or with a group", cloud.ErrInvalid))
	}
	var at int64
	err := s.update(ctx, func(tx querier) error {
		err := tx.QueryRowContext(ctx, since, share.Entry, whom).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			at, err = orStamp(share.SharedAt, s.stamp()), nil
		}
		if err != nil {
			return err
		}
		return putShare(ctx, tx, upsert, share.Entry, whom, share.CanWrite, at)
	})
	if err != nil {
		return fail(err)
	}
	share.SharedAt = fromStamp(at)
	return share, nil
}

// putShare adds or changes a share with whom, and has the entry say that it is
// shared.
func putShare(ctx context.Context, tx querier, upsert string, entry cloud.EntryID, whom int64, write bool, at int64) error {
	if err := exec(ctx, tx, upsert, entry, whom, write, at); err != nil {
		return err
	}
	return exec(ctx, tx, `UPDATE entries SET shared = TRUE WHERE id = ?1 AND NOT shared`, entry)
}

// RemoveShare implements meta.Tree.
func (s *Store) RemoveShare(ctx context.Context, entry cloud.EntryID, user cloud.UserID, group cloud.GroupID) (was bool, err error) {
	err = s.update(ctx, func(tx querier) error {
		users, err := changed(ctx, tx, `DELETE FROM shares WHERE entry_id = ?1 AND user_id = ?2`, entry, user)
		if err != nil {
			return err
		}
		groups, err := changed(ctx, tx, `DELETE FROM group_shares WHERE entry_id = ?1 AND group_id = ?2`, entry, group)
		if was = users+groups > 0; err != nil || !was {
			return err
		}
		return exec(ctx, tx, `UPDATE entries SET shared = FALSE WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM shares WHERE entry_id = ?1)
			AND NOT EXISTS (SELECT 1 FROM group_shares WHERE entry_id = ?1)`, entry)
	})
	if err != nil {
		return false, fmt.Errorf("unshare entry %d: %w", entry, err)
	}
	return was, nil
}

// Shares implements meta.Tree.
func (s *Store) Shares(ctx context.Context, id cloud.EntryID) (all []cloud.Share, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if _, err := entry(ctx, q, id, meta.AnyViewer); err != nil {
			return err
		}
		all, err = rows(ctx, q, scanShare, `SELECT entry_id, user_id, 0 AS group_id, can_write, shared_at FROM shares WHERE entry_id = ?1
			UNION ALL SELECT entry_id, 0, group_id, can_write, shared_at FROM group_shares WHERE entry_id = ?1
			ORDER BY group_id, user_id`, id)
		return err
	})
	return all, err
}

func scanShare(row scanner) (share cloud.Share, err error) {
	var at int64
	err = row.Scan(&share.Entry, &share.User, &share.Group, &share.CanWrite, &at)
	share.SharedAt = fromStamp(at)
	return share, err
}

// SharedWith implements meta.Tree.
func (s *Store) SharedWith(ctx context.Context, user cloud.UserID, limit int, after string) (meta.Page, error) {
	return s.shared(ctx, user, limit, after, `WITH given (id, at) AS (
			SELECT g.entry_id, MAX(g.shared_at) FROM (
				SELECT entry_id, shared_at FROM shares WHERE user_id = ?1
				UNION ALL
				SELECT v.entry_id, v.shared_at FROM group_members m JOIN group_shares v ON v.group_id = m.group_id WHERE m.user_id = ?1) g
			GROUP BY g.entry_id)
		SELECT `+entryColumns+`, i.at FROM given i CROSS JOIN `+entryTables+`
		WHERE e.id = i.id AND e.trash_id IS NULL AND (e.owner_id IS NULL OR e.owner_id <> ?1) AND `)
}

// SharedBy implements meta.Tree.
func (s *Store) SharedBy(ctx context.Context, by cloud.UserID, limit int, after string) (meta.Page, error) {
	return s.shared(ctx, by, limit, after, `WITH given (id, at) AS (
			SELECT entry_id, entry_id FROM shares WHERE owner_id = ?1
			UNION
			SELECT entry_id, entry_id FROM group_shares WHERE owner_id = ?1)
		SELECT `+entryColumns+`, i.at FROM given i CROSS JOIN `+entryTables+` WHERE e.id = i.id AND e.trash_id IS NULL AND `)
}

// shared gives a page of what a query selects, which gives a number for the
// order, too: the largest comes first. A cursor is that number and the id.
func (s *Store) shared(ctx context.Context, user cloud.UserID, limit int, after, query string) (page meta.Page, err error) {
	at, id := int64(math.MaxInt64), int64(math.MaxInt64)
	if after != "" {
		if n, err := fmt.Sscanf(after, "%d.%d", &at, &id); n != 2 || err != nil {
			return page, fmt.Errorf("shared: %w: no cursor of this listing", cloud.ErrInvalid)
		}
	}
	if limit < 1 {
		return page, fmt.Errorf("shared: %w query", cloud.ErrInvalid)
	}
	type row struct {
		cloud.Entry
		at int64
	}
	err = s.snapshot(ctx, func(q querier) error {
		page = meta.Page{}
		found, err := rows(ctx, q, func(r scanner) (one row, err error) {
			one.Entry, err = scanEntryAnd(r, &one.at)
			return one, err
		}, query+`(i.at < ?2 OR i.at = ?2 AND e.id < ?3) ORDER BY i.at DESC, e.id DESC LIMIT ?4`, user, at, id, limit+1)
		if err != nil {
			return err
		}
		if len(found) > limit {
			found = found[:limit]
			page.Next = fmt.Sprintf("%d.%d", found[limit-1].at, found[limit-1].ID)
		}
		for _, one := range found {
			page.Entries = append(page.Entries, one.Entry)
		}
		return grantAll(ctx, q, page.Entries, user)
	})
	if err != nil {
		return meta.Page{}, fmt.Errorf("shared: %w", err)
	}
	return page, nil
}

// SetOwner implements meta.Tree.
func (s *Store) SetOwner(ctx context.Context, id cloud.EntryID, to cloud.UserID, t meta.Transfer, allow meta.Allow) (cloud.Entry, error) {
	return s.change(ctx, id, allow, func(tx querier, was cloud.Entry) error {
		return transfer(ctx, tx, was, to, t, s.stamp())
	})
}

// transfer gives an entry, with Deep all below it that has the same owner, to
// another user.
func transfer(ctx context.Context, tx querier, was cloud.Entry, to cloud.UserID, t meta.Transfer, now int64) error {
	if err := exec(ctx, tx, `CREATE TEMP TABLE IF NOT EXISTS given (id INTEGER PRIMARY KEY); DELETE FROM given`); err != nil {
		return err
	}
	if err := exec(ctx, tx, `WITH RECURSIVE below (id) AS (
			SELECT e.id FROM entries e WHERE e.id = ?1
			UNION
			SELECT e.id FROM below b JOIN entries e ON e.parent_id = b.id WHERE ?2)
		INSERT INTO given (id) SELECT e.id FROM below b JOIN entries e ON e.id = b.id
			WHERE e.id = ?1 OR COALESCE(e.owner_id, 0) = ?3`, was.ID, t.Deep, was.Owner); err != nil {
		return err
	}
	const given = `SELECT CAST(?1 AS BIGINT), CAST(COALESCE(SUM(e.size), 0) AS BIGINT) + (SELECT CAST(COALESCE(SUM(v.size), 0) AS BIGINT)
			FROM versions v WHERE v.entry_id IN (SELECT id FROM given)), COUNT(*)
		FROM entries e WHERE e.id IN (SELECT id FROM given) AND e.kind = 'file'`
	if err := chargeAll(ctx, tx, -1, given, was.Owner); err != nil {
		return err
	}
	if err := chargeAll(ctx, tx, 1, given, to); err != nil {
		return err
	}
	if err := fits(ctx, tx, to, was.Owner, ""); err != nil {
		return err
	}
	if err := reweigh(ctx, tx, was.ID, func() error {
		if err := exec(ctx, tx, `UPDATE entries SET owner_id = ?1 WHERE id IN (SELECT id FROM given)`, owner(to)); err != nil {
			return err
		}
		return recount(ctx, tx, foldersFrom, was.ID, meta.MaxDepth, t.Deep)
	}); err != nil {
		return err
	}
	for _, c := range []struct {
		statement string
		arg       any
	}{
		{`DELETE FROM shares WHERE entry_id IN (SELECT id FROM given) AND user_id = ?1`, to},
		{`DELETE FROM shares WHERE entry_id IN (SELECT id FROM given) AND ?1`, t.DropShares},
		{`DELETE FROM group_shares WHERE entry_id IN (SELECT id FROM given) AND ?1`, t.DropShares},
		{`UPDATE shares SET owner_id = ?1 WHERE entry_id IN (SELECT id FROM given)`, owner(to)},
		{`UPDATE group_shares SET owner_id = ?1 WHERE entry_id IN (SELECT id FROM given)`, owner(to)},
	} {
		if err := exec(ctx, tx, c.statement, c.arg); err != nil {
			return err
		}
	}
	if t.Keep && was.Owner != 0 && was.Owner != to {
		if err := putShare(ctx, tx, upsertShare, was.ID, int64(was.Owner), true, now); err != nil {
			return err
		}
	}
	return exec(ctx, tx, `DELETE FROM given`)
}

// SetPublic implements meta.Tree.
func (s *Store) SetPublic(ctx context.Context, id cloud.EntryID, public bool, allow meta.Allow) (cloud.Entry, error) {
	return s.change(ctx, id, allow, func(tx querier, _ cloud.Entry) error {
		return reweigh(ctx, tx, id, func() error {
			return exec(ctx, tx, `UPDATE entries SET public = ? WHERE id = ?`, public, id)
		})
	})
}

// change alters one entry, not the root, in place and gives it as it is then.
func (s *Store) change(ctx context.Context, id cloud.EntryID, allow meta.Allow, f func(tx querier, was cloud.Entry) error) (e cloud.Entry, err error) {
	if id == cloud.Root {
		return e, cloud.UserErrorf(cloud.ErrInvalid, "the top folder stays as it is")
	}
	err = s.update(ctx, func(tx querier) error {
		was, err := entry(ctx, tx, id, meta.ViewerOf(ctx))
		if err != nil {
			return err
		}
		if err := permit(allow, was); err != nil {
			return err
		}
		if err := f(tx, was); err != nil {
			return err
		}
		e, err = entry(ctx, tx, id, meta.ViewerOf(ctx))
		return err
	})
	if err != nil {
		return cloud.Entry{}, fmt.Errorf("change entry %d: %w", id, err)
	}
	return e, nil
}
