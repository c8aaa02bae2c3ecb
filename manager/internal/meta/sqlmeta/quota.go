package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// charge adds to what a user has stored, and to what all have. Each change of
// entries, their sizes and owners, and of versions is charged in its transaction.
func charge(ctx context.Context, tx querier, user cloud.UserID, bytes, files int64) error {
	if bytes == 0 && files == 0 {
		return nil
	}
	for _, id := range accounts(user) {
		if err := exec(ctx, tx, `INSERT INTO space (user_id, used_bytes, used_files) VALUES (?1, ?2, ?3)
			ON CONFLICT (user_id) DO UPDATE SET used_bytes = space.used_bytes + excluded.used_bytes,
				used_files = space.used_files + excluded.used_files`, id, bytes, files); err != nil {
			return err
		}
	}
	return nil
}

// accounts are the rows of the table that something of a user's counts in.
func accounts(user cloud.UserID) []cloud.UserID {
	if user == meta.Everybody {
		return []cloud.UserID{meta.Everybody}
	}
	return []cloud.UserID{meta.Everybody, user}
}

// fits is ErrFull if a user, or all together, have more than they may, uploads
// under way included, but for one. asks is who wants to know.
func fits(ctx context.Context, tx querier, user, asks cloud.UserID, but cloud.UploadID) error {
	var bounded bool // most are not, and what they have is not looked at then
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM space s WHERE s.user_id IN (?1, ?2, ?3) AND (s.most_bytes > 0 OR s.most_files > 0))`,
		meta.Everybody, meta.Others, user).Scan(&bounded); err != nil || !bounded {
		return err
	}
	all, err := quotasOf(ctx, tx, user)
	if err != nil {
		return err
	}
	for _, id := range accounts(user) {
		q := all[id]
		if q.MostBytes == 0 && q.MostFiles == 0 {
			continue
		}
		if err := reservedOf(ctx, tx, id, but, &q); err != nil {
			return err
		}
		bytes := q.MostBytes > 0 && q.Bytes+q.ReservedBytes > q.MostBytes
		files := q.MostFiles > 0 && q.Files+q.ReservedFiles > q.MostFiles
		switch {
		case !bytes && !files:
		case id == meta.Everybody:
			return cloud.UserErrorf(cloud.ErrFull, "the server has no room for it")
		case id != asks:
			return cloud.UserErrorf(cloud.ErrFull, "its owner has no room for it")
		case bytes:
			return cloud.UserErrorf(cloud.ErrFull, "there is no room for it: you may store %d bytes", q.MostBytes)
		default:
			return cloud.UserErrorf(cloud.ErrFull, "there is no room for it: you may store %d files", q.MostFiles)
		}
	}
	return nil
}

// owned is whether a row of space has bounds of its own.
const owned = `(s.own OR s.most_bytes > 0 OR s.most_files > 0)`

func quotaOf(ctx context.Context, q querier, user cloud.UserID) (meta.Quota, error) {
	all, err := quotasOf(ctx, q, user)
	return all[user], err
}

// quotasOf are what a user and all together have, and may have. Who has nothing, and
// no bound of his own, has no row.
func quotasOf(ctx context.Context, q querier, user cloud.UserID) (map[cloud.UserID]meta.Quota, error) {
	all := map[cloud.UserID]meta.Quota{}
	err := each(ctx, q, func(row scanner) error {
		var id cloud.UserID
		var u meta.Quota
		err := row.Scan(&id, &u.Bytes, &u.Files, &u.MostBytes, &u.MostFiles, &u.Own)
		all[id] = u
		return err
	}, `SELECT s.user_id, s.used_bytes, s.used_files, s.most_bytes, s.most_files, `+owned+` FROM space s WHERE s.user_id IN (?1, ?2, ?3)`,
		user, meta.Everybody, meta.Others)
	if u := all[user]; err == nil && !u.Own && user > meta.Everybody {
		u.MostBytes, u.MostFiles = all[meta.Others].MostBytes, all[meta.Others].MostFiles
		all[user] = u
	}
	return all, err
}

// reservedOf adds what uploads under way take. They are few.
func reservedOf(ctx context.Context, q querier, user cloud.UserID, but cloud.UploadID, u *meta.Quota) error {
	return q.QueryRowContext(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN u.size < ?3 THEN u.size ELSE COALESCE(
			(SELECT c.start + c.size FROM chunks c WHERE c.object_id = u.object_id ORDER BY c.start DESC LIMIT 1), 0) END), 0) AS BIGINT)
		FROM uploads u INDEXED BY uploads_by_state
		WHERE u.state IN ('running', 'waiting') AND u.id <> ?2 AND (?1 = 0 OR u.user_id = ?1)`, user, but, int64(sizeMax)).
		Scan(&u.ReservedFiles, &u.ReservedBytes)
}

// Quota implements meta.Quotas.
func (s *Store) Quota(ctx context.Context, user cloud.UserID) (u meta.Quota, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if u, err = quotaOf(ctx, q, user); err != nil {
			return err
		}
		return reservedOf(ctx, q, user, "", &u)
	})
	if err != nil {
		return meta.Quota{}, fmt.Errorf("quota of user %d: %w", user, err)
	}
	return u, nil
}

// Quotas implements meta.Quotas.
func (s *Store) Quotas(ctx context.Context, query, after string, limit int) (all []meta.UserQuota, err error) {
	if limit < 1 {
		return nil, fmt.Errorf("quotas: %w query", cloud.ErrInvalid)
	}
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (u meta.UserQuota, err error) {
			var signedIn, used int64
			u.User, err = scanUser(row, &u.Bytes, &u.Files, &u.MostBytes, &u.MostFiles, &u.Own, &signedIn, &used)
			if seen := max(signedIn, used); seen > 0 {
				u.SeenAt = fromStamp(seen)
			}
			return u, err
		}, `SELECT `+userColumns+`, COALESCE(s.used_bytes, 0), COALESCE(s.used_files, 0),
				COALESCE(CASE WHEN `+owned+` THEN s.most_bytes ELSE d.most_bytes END, 0),
				COALESCE(CASE WHEN `+owned+` THEN s.most_files ELSE d.most_files END, 0), COALESCE(`+owned+`, FALSE),
				COALESCE((SELECT a.at FROM audit a WHERE a.user_id = u.id AND a.action = 'sign-in' AND a.done ORDER BY a.number DESC LIMIT 1), 0),
				COALESCE((SELECT MAX(t.used_at) FROM sessions t WHERE t.user_id = u.id), 0)
			FROM users u LEFT JOIN space s ON s.user_id = u.id LEFT JOIN space d ON d.user_id = -1
			WHERE u.name_key > ?1 AND u.name_key LIKE ?2 ESCAPE '\' ORDER BY u.name_key LIMIT ?3`,
			meta.FoldName(after), "%"+likeEscape.Replace(meta.FoldName(query))+"%", limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("quotas: %w", err)
	}
	return all, nil
}

// SetQuota implements meta.Quotas.
func (s *Store) SetQuota(ctx context.Context, user cloud.UserID, mostBytes, mostFiles int64) error {
	if mostBytes < 0 || mostFiles < 0 || mostBytes > sizeMax {
		return cloud.UserErrorf(cloud.ErrInvalid, "a quota is a number of bytes and one of files, 0 for no bound")
	}
	return s.setQuota(ctx, user, mostBytes, mostFiles, true)
}

// ClearQuota implements meta.Quotas.
func (s *Store) ClearQuota(ctx context.Context, user cloud.UserID) error {
	return s.setQuota(ctx, user, 0, 0, false)
}

func (s *Store) setQuota(ctx context.Context, user cloud.UserID, mostBytes, mostFiles int64, own bool) error {
	err := s.update(ctx, func(tx querier) error {
		if user != meta.Everybody && user != meta.Others {
			if _, err := scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = ?1`, user)); err != nil {
				return notFound(err, "user %d", user)
			}
		}
		return exec(ctx, tx, `INSERT INTO space (user_id, most_bytes, most_files, own) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (user_id) DO UPDATE SET most_bytes = excluded.most_bytes, most_files = excluded.most_files, own = excluded.own`,
			user, mostBytes, mostFiles, own)
	})
	if err != nil {
		return fmt.Errorf("set quota of user %d: %w", user, err)
	}
	return nil
}

// Usage implements meta.Quotas.
func (s *Store) Usage(ctx context.Context, user cloud.UserID) (all []meta.Usage, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (u meta.Usage, err error) {
			err = row.Scan(&u.Folder, &u.Name, &u.Type, &u.Files, &u.Bytes)
			return u, err
		}, `WITH RECURSIVE tree (id, top) AS (
				SELECT e.id, e.id FROM entries e WHERE e.id IN (0, -1)
				UNION
				SELECT e.id, CASE WHEN t.id = 0 THEN e.id ELSE t.top END
					FROM tree t CROSS JOIN entries e INDEXED BY entries_by_type ON e.parent_id = t.id AND e.kind = 'folder'),
			used (top, type, files, bytes) AS (
				SELECT t.top, e.type, COUNT(*), SUM(e.size)
				FROM tree t CROSS JOIN entries e INDEXED BY entries_by_type ON e.parent_id = t.id AND e.kind = 'file'
				WHERE e.owner_id = ?1 GROUP BY t.top, e.type)
			SELECT u.top, f.name, u.type, u.files, u.bytes FROM used u JOIN entries f ON f.id = u.top
			ORDER BY u.bytes DESC, u.top, u.type`, user)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("usage of user %d: %w", user, err)
	}
	return all, nil
}

// ownerOf is whose an entry is.
func ownerOf(ctx context.Context, q querier, id cloud.EntryID) (user cloud.UserID, err error) {
	err = q.QueryRowContext(ctx, `SELECT COALESCE(owner_id, 0) FROM entries WHERE id = ?1`, id).Scan(&user)
	return user, err
}

// chargeAll charges what a query gives, so many times: users with bytes and files.
func chargeAll(ctx context.Context, tx querier, times int64, query string, args ...any) error {
	return exec(ctx, tx, fmt.Sprintf(`INSERT INTO space (user_id, used_bytes, used_files)
		WITH charged (user_id, bytes, files) AS (%s)
		SELECT x.user_id, %[2]d * SUM(x.bytes), %[2]d * SUM(x.files) FROM (
			SELECT user_id, bytes, files FROM charged WHERE user_id <> 0
			UNION ALL
			SELECT 0, bytes, files FROM charged) x
		GROUP BY x.user_id HAVING SUM(x.bytes) <> 0 OR SUM(x.files) <> 0
		ON CONFLICT (user_id) DO UPDATE SET used_bytes = space.used_bytes + excluded.used_bytes,
			used_files = space.used_files + excluded.used_files`, query, times), args...)
}
