package sqlmeta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const linkColumns = `l.id, l.user_id, l.entry_id, l.mode, l.name, l.password, l.sealed, l.uses, l.most_uses,
	l.created_at, l.expires_at, l.used_at`

// linkRow is where a row of linkColumns is read into.
type linkRow struct {
	meta.Link
	created       int64
	expires, used sql.NullInt64
}

func (r *linkRow) dest() []any {
	return []any{&r.ID, &r.User, &r.Entry, &r.Mode, &r.Name, &r.Password, &r.Sealed, &r.Uses, &r.MostUses,
		&r.created, &r.expires, &r.used}
}

func (r *linkRow) link() meta.Link {
	r.CreatedAt, r.ExpiresAt, r.UsedAt = fromStamp(r.created), fromOptional(r.expires), fromOptional(r.used)
	return r.Link
}

// optional is a time as a column holds it that may be NULL.
func optional(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

// CreateLink implements meta.Links.
func (s *Store) CreateLink(ctx context.Context, l meta.Link, sum cloud.Sum) (meta.Link, error) {
	created := orStamp(l.CreatedAt, s.stamp())
	err := s.update(ctx, func(tx querier) error {
		// Of an entry in the trash, or below it, nothing new begins.
		if _, err := entry(ctx, tx, l.Entry, meta.AnyViewer); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `INSERT INTO links (sum, sealed, user_id, entry_id, mode, name, password, most_uses, created_at, expires_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id`, sum[:], l.Sealed, l.User, l.Entry, string(l.Mode), l.Name,
			l.Password, l.MostUses, created, optional(l.ExpiresAt)).Scan(&l.ID)
	})
	if err != nil {
		return meta.Link{}, fmt.Errorf("create link: %w", err)
	}
	l.CreatedAt, l.Uses, l.UsedAt = fromStamp(created), 0, time.Time{}
	return l, nil
}

// LinkOf implements meta.Links.
func (s *Store) LinkOf(ctx context.Context, sum cloud.Sum) (meta.Link, cloud.User, error) {
	return s.link(ctx, `l.sum = ?1`, sum[:])
}

// Link implements meta.Links.
func (s *Store) Link(ctx context.Context, id int64) (meta.Link, cloud.User, error) {
	return s.link(ctx, `l.id = ?1`, id)
}

func (s *Store) link(ctx context.Context, where string, arg any) (l meta.Link, u cloud.User, err error) {
	err = s.query(ctx, func(q querier) error {
		var row linkRow
		u, err = scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+`, `+linkColumns+`
			FROM links l JOIN users u ON u.id = l.user_id WHERE `+where+` AND NOT u.disabled`, arg), row.dest()...)
		l = row.link()
		return notFound(err, "link")
	})
	if err != nil {
		return meta.Link{}, cloud.User{}, err
	}
	return l, u, nil
}

// Links implements meta.Links.
func (s *Store) Links(ctx context.Context, user cloud.UserID, entry cloud.EntryID) (all []meta.Link, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (meta.Link, error) {
			var l linkRow
			err := row.Scan(l.dest()...)
			return l.link(), err
		}, `SELECT `+linkColumns+` FROM links l WHERE (?1 = -1 OR l.user_id = ?1) AND (?2 = 0 OR l.entry_id = ?2)
			ORDER BY l.id DESC`, user, entry)
		return err
	})
	return all, err
}

// ChangeLink implements meta.Links.
func (s *Store) ChangeLink(ctx context.Context, l meta.Link) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `UPDATE links SET mode = ?3, name = ?4, password = ?5, most_uses = ?6, expires_at = ?7
			WHERE id = ?2 AND (?1 = -1 OR user_id = ?1)`, l.User, l.ID, string(l.Mode), l.Name, l.Password, l.MostUses, optional(l.ExpiresAt)))
	})
	if err != nil {
		return fmt.Errorf("change link: %w", err)
	}
	return nil
}

// DeleteLink implements meta.Links.
func (s *Store) DeleteLink(ctx context.Context, user cloud.UserID, id int64) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `DELETE FROM links WHERE id = ?2 AND (?1 = -1 OR user_id = ?1)`, user, id))
	})
	if err != nil {
		return fmt.Errorf("delete link: %w", err)
	}
	return nil
}

// UseLink implements meta.Links.
func (s *Store) UseLink(ctx context.Context, id int64, at time.Time) error {
	err := s.update(ctx, func(tx querier) error {
		n, err := changed(ctx, tx, `UPDATE links SET uses = uses + 1, used_at = ?2
			WHERE id = ?1 AND (most_uses = 0 OR uses < most_uses)`, id, at.UnixMicro())
		if err != nil || n == 1 {
			return err
		}
		var there int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM links WHERE id = ?1`, id).Scan(&there); err != nil {
			return err
		}
		if there == 0 {
			return cloud.ErrNotFound
		}
		return cloud.ErrLimited
	})
	if err != nil {
		return fmt.Errorf("use link: %w", err)
	}
	return nil
}

// AddLinkUse implements meta.Links.
func (s *Store) AddLinkUse(ctx context.Context, id int64, use meta.LinkUse) error {
	err := s.update(ctx, func(tx querier) error {
		of := sql.NullInt64{Int64: int64(use.Entry), Valid: use.Entry != cloud.Root}
		if err := exec(ctx, tx, `INSERT INTO link_uses (link_id, at, action, entry_id, name, address, agent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
			id, use.At.UnixMicro(), use.Action, of, use.Name, use.Address, use.Agent); err != nil {
			return err
		}
		return exec(ctx, tx, `DELETE FROM link_uses WHERE link_id = ?1 AND id <= (
			SELECT u.id FROM link_uses u WHERE u.link_id = ?1 ORDER BY u.id DESC LIMIT 1 OFFSET ?2)`, id, meta.MaxLinkUses)
	})
	if err != nil {
		return fmt.Errorf("note use of link: %w", err)
	}
	return nil
}

// LinkUses implements meta.Links.
func (s *Store) LinkUses(ctx context.Context, id int64, limit int) (all []meta.LinkUse, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (u meta.LinkUse, err error) {
			var at int64
			var of sql.NullInt64
			err = row.Scan(&at, &u.Action, &of, &u.Name, &u.Address, &u.Agent)
			u.At, u.Entry = fromStamp(at), cloud.EntryID(of.Int64)
			return u, err
		}, `SELECT at, action, entry_id, name, address, agent FROM link_uses WHERE link_id = ?1 ORDER BY id DESC LIMIT ?2`, id, limit)
		return err
	})
	return all, err
}
