package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Address implements meta.Reach.
func (s *Store) Address(ctx context.Context, user cloud.UserID) (address string, err error) {
	err = s.query(ctx, func(q querier) error {
		err := q.QueryRowContext(ctx, `SELECT address FROM addresses WHERE user_id = ?1`, user).Scan(&address)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return address, err
}

// UserOf implements meta.Reach.
func (s *Store) UserOf(ctx context.Context, nameOrAddress string) (u cloud.User, address string, err error) {
	where := `u.name_key = ?1`
	if strings.Contains(nameOrAddress, "@") {
		where = `a.address_key = ?1`
	}
	err = s.query(ctx, func(q querier) error {
		u, err = scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+`, COALESCE(a.address, '')
			FROM users u LEFT JOIN addresses a ON a.user_id = u.id WHERE `+where+` AND NOT u.disabled`, meta.FoldName(nameOrAddress)), &address)
		return notFound(err, "user by name or address")
	})
	if err != nil {
		return cloud.User{}, "", err
	}
	return u, address, nil
}

// RemoveAddress implements meta.Reach.
func (s *Store) RemoveAddress(ctx context.Context, user cloud.UserID) error {
	return s.update(ctx, func(tx querier) error {
		if err := exec(ctx, tx, `DELETE FROM single_links WHERE user_id = ?1 AND purpose = 'address'`, user); err != nil {
			return err
		}
		return exec(ctx, tx, `DELETE FROM addresses WHERE user_id = ?1`, user)
	})
}

// CreateSingleLink implements meta.Reach.
func (s *Store) CreateSingleLink(ctx context.Context, l meta.SingleLink, sum cloud.Sum) error {
	err := s.update(ctx, func(tx querier) error {
		if err := exec(ctx, tx, `DELETE FROM single_links WHERE user_id = ?1 AND purpose = ?2`, l.User, string(l.Purpose)); err != nil {
			return err
		}
		return exec(ctx, tx, `INSERT INTO single_links (sum, user_id, purpose, address, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)`,
			sum[:], l.User, string(l.Purpose), l.Address, l.ExpiresAt.UnixMicro())
	})
	if err != nil {
		return fmt.Errorf("create single link: %w", err)
	}
	return nil
}

// SingleLinkOf implements meta.Reach.
func (s *Store) SingleLinkOf(ctx context.Context, sum cloud.Sum, purpose meta.Purpose, at time.Time) (l meta.SingleLink, u cloud.User, err error) {
	err = s.query(ctx, func(q querier) error {
		l, u, err = singleLinkOf(ctx, q, sum, purpose, at)
		return err
	})
	return l, u, err
}

func singleLinkOf(ctx context.Context, q querier, sum cloud.Sum, purpose meta.Purpose, at time.Time) (l meta.SingleLink, u cloud.User, err error) {
	l.Purpose = purpose
	var expires int64
	u, err = scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+`, l.address, l.expires_at FROM single_links l JOIN users u ON u.id = l.user_id
		WHERE l.sum = ?1 AND l.purpose = ?2 AND l.expires_at > ?3 AND NOT u.disabled`, sum[:], string(purpose), at.UnixMicro()), &l.Address, &expires)
	if err != nil {
		return meta.SingleLink{}, cloud.User{}, notFound(err, "single link")
	}
	l.User, l.ExpiresAt = u.ID, fromStamp(expires)
	return l, u, nil
}

// UsePasswordLink implements meta.Reach.
func (s *Store) UsePasswordLink(ctx context.Context, sum cloud.Sum, at time.Time, password string) (u cloud.User, err error) {
	err = s.update(ctx, func(tx querier) error {
		if _, u, err = singleLinkOf(ctx, tx, sum, meta.ForPassword, at); err != nil {
			return err
		}
		_, err := setPassword(ctx, tx, u.ID, password)
		return err
	})
	if err != nil {
		return cloud.User{}, fmt.Errorf("use password link: %w", err)
	}
	return u, nil
}

// UseAddressLink implements meta.Reach.
func (s *Store) UseAddressLink(ctx context.Context, sum cloud.Sum, at time.Time) (u cloud.User, err error) {
	err = s.update(ctx, func(tx querier) error {
		var l meta.SingleLink
		if l, u, err = singleLinkOf(ctx, tx, sum, meta.ForAddress, at); err != nil {
			return err
		}
		if err := exec(ctx, tx, `DELETE FROM single_links WHERE user_id = ?1`, u.ID); err != nil {
			return err // a way in by the address before ends too
		}
		err := exec(ctx, tx, `INSERT INTO addresses (user_id, address, address_key) VALUES (?1, ?2, ?3)
			ON CONFLICT (user_id) DO UPDATE SET address = excluded.address, address_key = excluded.address_key`,
			u.ID, l.Address, meta.FoldName(l.Address))
		if errors.Is(s.classify(ctx, err), cloud.ErrExists) {
			return cloud.UserErrorf(cloud.ErrExists, "another account has this address")
		}
		return err
	})
	if err != nil {
		return cloud.User{}, fmt.Errorf("use address link: %w", err)
	}
	return u, nil
}

// ExpireReach implements meta.Reach.
func (s *Store) ExpireReach(ctx context.Context, now time.Time) error {
	return s.update(ctx, func(tx querier) error {
		if err := exec(ctx, tx, `DELETE FROM single_links WHERE expires_at < ?1`, now.UnixMicro()); err != nil {
			return err
		}
		return exec(ctx, tx, `DELETE FROM invitations WHERE expires_at < ?1`, now.UnixMicro())
	})
}
