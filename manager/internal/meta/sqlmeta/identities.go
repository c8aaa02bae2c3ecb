package sqlmeta

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// UserOfIdentity implements meta.Identities.
func (s *Store) UserOfIdentity(ctx context.Context, issuer, subject string) (u cloud.User, err error) {
	err = s.query(ctx, func(q querier) error {
		u, err = scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+` FROM identities i JOIN users u ON u.id = i.user_id
			WHERE i.issuer = ?1 AND i.subject = ?2`, issuer, subject))
		return notFound(err, "user of an identity")
	})
	return u, err
}

// AddIdentity implements meta.Identities.
func (s *Store) AddIdentity(ctx context.Context, i meta.Identity) error {
	err := s.update(ctx, func(tx querier) error { return s.addIdentity(ctx, tx, i) })
	if err != nil {
		return fmt.Errorf("add identity: %w", err)
	}
	return nil
}

func (s *Store) addIdentity(ctx context.Context, tx querier, i meta.Identity) error {
	err := exec(ctx, tx, `INSERT INTO identities (issuer, subject, user_id, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5)`,
		i.Issuer, i.Subject, i.User, i.Name, orStamp(i.CreatedAt, s.stamp()))
	if errors.Is(s.classify(ctx, err), cloud.ErrExists) {
		return cloud.UserErrorf(cloud.ErrExists, "this identity is linked to an account already")
	}
	return err
}

// CreateUserOf implements meta.Identities.
func (s *Store) CreateUserOf(ctx context.Context, name, password, address string, i meta.Identity) (u cloud.User, err error) {
	if err := meta.CheckName(name); err != nil {
		return u, fmt.Errorf("create user: %w", err)
	}
	err = s.update(ctx, func(tx querier) error {
		if u, err = s.addUser(ctx, tx, name, password); err != nil {
			return err
		}
		i.User = u.ID
		if err := s.addIdentity(ctx, tx, i); err != nil {
			return err
		}
		return addAddress(ctx, tx, u.ID, address)
	})
	if err != nil {
		return cloud.User{}, fmt.Errorf("create user of an identity: %w", err)
	}
	return u, nil
}

// Identities implements meta.Identities.
func (s *Store) Identities(ctx context.Context, user cloud.UserID) (all []meta.Identity, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (i meta.Identity, err error) {
			var created int64
			err = row.Scan(&i.Issuer, &i.Subject, &i.User, &i.Name, &created)
			i.CreatedAt = fromStamp(created)
			return i, err
		}, `SELECT issuer, subject, user_id, name, created_at FROM identities WHERE user_id = ?1 ORDER BY created_at, issuer, subject`, user)
		return err
	})
	return all, err
}

// RemoveIdentity implements meta.Identities.
func (s *Store) RemoveIdentity(ctx context.Context, user cloud.UserID, issuer, subject string) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `DELETE FROM identities WHERE user_id = ?1 AND issuer = ?2 AND subject = ?3`, user, issuer, subject))
	})
	if err != nil {
		return fmt.Errorf("remove identity: %w", err)
	}
	return nil
}
