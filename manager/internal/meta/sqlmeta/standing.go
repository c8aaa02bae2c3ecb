package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/pkg/cloud"
)

// SetDisabled implements meta.Accounts.
func (s *Store) SetDisabled(ctx context.Context, id cloud.UserID, disabled bool) (cloud.User, error) {
	ends := []string{`DELETE FROM sessions WHERE user_id = ?1`, `DELETE FROM app_passwords WHERE user_id = ?1`, `DELETE FROM single_links WHERE user_id = ?1`}
	if !disabled {
		ends = nil
	}
	return s.stand(ctx, id, `UPDATE users SET disabled = ?2 WHERE id = ?1`, disabled, disabled, ends)
}

// SetAdministrator implements meta.Accounts.
func (s *Store) SetAdministrator(ctx context.Context, id cloud.UserID, administrator bool) (cloud.User, error) {
	ends := []string{`DELETE FROM sessions WHERE user_id = ?1`}
	if administrator {
		ends = nil
	}
	return s.stand(ctx, id, `UPDATE users SET administrator = ?2 WHERE id = ?1`, administrator, !administrator, ends)
}

// stand changes a user, who must not be the last administrator if he loses
// something by it.
func (s *Store) stand(ctx context.Context, id cloud.UserID, change string, to, loses bool, ends []string) (u cloud.User, err error) {
	err = s.update(ctx, func(tx querier) error {
		if loses {
			if err := othersAdminister(ctx, tx, id); err != nil {
				return err
			}
		}
		if err := exec(ctx, tx, change, id, to); err != nil {
			return err
		}
		for _, end := range ends {
			if err := exec(ctx, tx, end, id); err != nil {
				return err
			}
		}
		u, err = user(ctx, tx, id)
		return err
	})
	if err != nil {
		return cloud.User{}, fmt.Errorf("change user %d: %w", id, err)
	}
	return u, nil
}

// othersAdminister is ErrDenied if nobody could administer any more without the
// user.
func othersAdminister(ctx context.Context, tx querier, id cloud.UserID) error {
	var others int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM users WHERE administrator AND NOT disabled AND id <> ?1`, id).Scan(&others)
	if err == nil && others == 0 {
		err = cloud.UserErrorf(cloud.ErrDenied, "that is the last administrator: make another one first")
	}
	return err
}

func user(ctx context.Context, q querier, id cloud.UserID) (cloud.User, error) {
	u, err := scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = ?1`, id))
	return u, notFound(err, "user %d", id)
}
