package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const passkeyColumns = `p.id, p.user_id, p.credential, p.handle, p.rp, p.name, p.record, p.sign_count, p.created_at, p.used_at`

// passkeyRow is where a row of passkeyColumns is read into.
type passkeyRow struct {
	meta.Passkey
	created int64
	used    sql.NullInt64
}

func (r *passkeyRow) dest() []any {
	return []any{&r.ID, &r.User, &r.Credential, &r.Handle, &r.RP, &r.Name, &r.Record, &r.SignCount, &r.created, &r.used}
}

func (r *passkeyRow) passkey() meta.Passkey {
	r.CreatedAt, r.UsedAt = fromStamp(r.created), fromOptional(r.used)
	return r.Passkey
}

// Factors implements meta.Factors.
func (s *Store) Factors(ctx context.Context, user cloud.UserID) (set meta.FactorSet, err error) {
	err = s.query(ctx, func(q querier) error {
		set, err = factors(ctx, q, user)
		return err
	})
	if err != nil {
		return meta.FactorSet{}, fmt.Errorf("factors of user %d: %w", user, err)
	}
	return set, nil
}

func factors(ctx context.Context, q querier, user cloud.UserID) (set meta.FactorSet, err error) {
	var t meta.TOTP
	var created int64
	err = q.QueryRowContext(ctx, `SELECT sealed, step, created_at FROM totps WHERE user_id = ?1`, user).Scan(&t.Sealed, &t.Step, &created)
	switch {
	case err == nil:
		t.CreatedAt = fromStamp(created)
		set.TOTP = &t
	case !errors.Is(err, sql.ErrNoRows):
		return meta.FactorSet{}, err
	}
	set.Passkeys, err = rows(ctx, q, func(row scanner) (meta.Passkey, error) {
		var p passkeyRow
		err := row.Scan(p.dest()...)
		return p.passkey(), err
	}, `SELECT `+passkeyColumns+` FROM passkeys p WHERE p.user_id = ?1 ORDER BY p.id`, user)
	if err != nil {
		return meta.FactorSet{}, err
	}
	err = q.QueryRowContext(ctx, `SELECT COUNT(*) FROM recovery_codes WHERE user_id = ?1`, user).Scan(&set.Codes)
	return set, err
}

// firstCodes gives a user recovery codes if he has none, and tells whether it did.
func firstCodes(ctx context.Context, tx querier, user cloud.UserID, codes []cloud.Sum) (bool, error) {
	var left int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM recovery_codes WHERE user_id = ?1`, user).Scan(&left); err != nil || left > 0 {
		return false, err
	}
	return true, addCodes(ctx, tx, user, codes)
}

func addCodes(ctx context.Context, tx querier, user cloud.UserID, codes []cloud.Sum) error {
	for _, sum := range codes {
		if err := exec(ctx, tx, `INSERT INTO recovery_codes (user_id, sum) VALUES (?1, ?2)`, user, sum[:]); err != nil {
			return err
		}
	}
	return nil
}

// dropCodes removes the recovery codes of a user who has nothing else any more.
func dropCodes(ctx context.Context, tx querier, user cloud.UserID) error {
	return exec(ctx, tx, `DELETE FROM recovery_codes WHERE user_id = ?1
		AND NOT EXISTS (SELECT 1 FROM totps t WHERE t.user_id = ?1) AND NOT EXISTS (SELECT 1 FROM passkeys p WHERE p.user_id = ?1)`, user)
}

// SetTOTP implements meta.Factors.
func (s *Store) SetTOTP(ctx context.Context, user cloud.UserID, t meta.TOTP, codes []cloud.Sum) (first bool, err error) {
	created := orStamp(t.CreatedAt, s.stamp())
	err = s.update(ctx, func(tx querier) error {
		err := exec(ctx, tx, `INSERT INTO totps (user_id, sealed, step, created_at) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, step = excluded.step, created_at = excluded.created_at`,
			user, t.Sealed, t.Step, created)
		if err == nil {
			first, err = firstCodes(ctx, tx, user, codes)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("set TOTP: %w", err)
	}
	return first, nil
}

// UseTOTP implements meta.Factors.
func (s *Store) UseTOTP(ctx context.Context, user cloud.UserID, step int64) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `UPDATE totps SET step = ?2 WHERE user_id = ?1 AND step < ?2`, user, step))
	})
	if err != nil {
		return fmt.Errorf("use TOTP: %w", err)
	}
	return nil
}

// DeleteTOTP implements meta.Factors.
func (s *Store) DeleteTOTP(ctx context.Context, user cloud.UserID) error {
	err := s.update(ctx, func(tx querier) error {
		if err := one(changed(ctx, tx, `DELETE FROM totps WHERE user_id = ?1`, user)); err != nil {
			return err
		}
		return dropCodes(ctx, tx, user)
	})
	if err != nil {
		return fmt.Errorf("delete TOTP: %w", err)
	}
	return nil
}

// AddPasskey implements meta.Factors.
func (s *Store) AddPasskey(ctx context.Context, p meta.Passkey, codes []cloud.Sum) (_ meta.Passkey, first bool, err error) {
	created := orStamp(p.CreatedAt, s.stamp())
	err = s.update(ctx, func(tx querier) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO passkeys (user_id, credential, handle, rp, name, record, sign_count, created_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id`,
			p.User, p.Credential, p.Handle, p.RP, p.Name, p.Record, p.SignCount, created).Scan(&p.ID)
		if err == nil {
			first, err = firstCodes(ctx, tx, p.User, codes)
		}
		return err
	})
	if err != nil {
		return meta.Passkey{}, false, fmt.Errorf("add passkey: %w", err)
	}
	p.CreatedAt, p.UsedAt = fromStamp(created), time.Time{}
	return p, first, nil
}

// Passkey implements meta.Factors.
func (s *Store) Passkey(ctx context.Context, credential []byte) (p meta.Passkey, u cloud.User, err error) {
	err = s.query(ctx, func(q querier) error {
		var row passkeyRow
		u, err = scanUser(q.QueryRowContext(ctx, `SELECT `+userColumns+`, `+passkeyColumns+`
			FROM passkeys p JOIN users u ON u.id = p.user_id WHERE p.credential = ?1 AND NOT u.disabled`, credential), row.dest()...)
		p = row.passkey()
		return notFound(err, "passkey")
	})
	if err != nil {
		return meta.Passkey{}, cloud.User{}, err
	}
	return p, u, nil
}

// UsePasskey implements meta.Factors.
func (s *Store) UsePasskey(ctx context.Context, p meta.Passkey) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `UPDATE passkeys SET sign_count = ?2, used_at = ?3, record = ?4
			WHERE id = ?1 AND (sign_count < ?2 OR (sign_count = 0 AND ?2 = 0))`, p.ID, p.SignCount, p.UsedAt.UnixMicro(), p.Record))
	})
	if err != nil {
		return fmt.Errorf("use passkey %d: %w", p.ID, err)
	}
	return nil
}

// RenamePasskey implements meta.Factors.
func (s *Store) RenamePasskey(ctx context.Context, user cloud.UserID, id int64, name string) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `UPDATE passkeys SET name = ?3 WHERE user_id = ?1 AND id = ?2`, user, id, name))
	})
	if err != nil {
		return fmt.Errorf("rename passkey %d: %w", id, err)
	}
	return nil
}

// DeletePasskey implements meta.Factors.
func (s *Store) DeletePasskey(ctx context.Context, user cloud.UserID, id int64) error {
	err := s.update(ctx, func(tx querier) error {
		if err := one(changed(ctx, tx, `DELETE FROM passkeys WHERE user_id = ?1 AND id = ?2`, user, id)); err != nil {
			return err
		}
		return dropCodes(ctx, tx, user)
	})
	if err != nil {
		return fmt.Errorf("delete passkey %d: %w", id, err)
	}
	return nil
}

// SetRecoveryCodes implements meta.Factors.
func (s *Store) SetRecoveryCodes(ctx context.Context, user cloud.UserID, codes []cloud.Sum) error {
	err := s.update(ctx, func(tx querier) error {
		set, err := factors(ctx, tx, user)
		if err == nil && !set.Any() {
			err = cloud.ErrNotFound
		}
		if err == nil {
			err = exec(ctx, tx, `DELETE FROM recovery_codes WHERE user_id = ?1`, user)
		}
		if err == nil {
			err = addCodes(ctx, tx, user, codes)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set recovery codes: %w", err)
	}
	return nil
}

// UseRecoveryCode implements meta.Factors.
func (s *Store) UseRecoveryCode(ctx context.Context, user cloud.UserID, code cloud.Sum) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `DELETE FROM recovery_codes WHERE user_id = ?1 AND sum = ?2`, user, code[:]))
	})
	if err != nil {
		return fmt.Errorf("use recovery code: %w", err)
	}
	return nil
}

// ResetFactors implements meta.Factors.
func (s *Store) ResetFactors(ctx context.Context, user cloud.UserID) error {
	err := s.update(ctx, func(tx querier) error {
		totps, err := changed(ctx, tx, `DELETE FROM totps WHERE user_id = ?1`, user)
		if err != nil {
			return err
		}
		passkeys, err := changed(ctx, tx, `DELETE FROM passkeys WHERE user_id = ?1`, user)
		if err == nil {
			err = one(totps+passkeys, nil)
		}
		if err == nil {
			err = dropCodes(ctx, tx, user)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reset factors of user %d: %w", user, err)
	}
	return nil
}

// SpendChallenge implements meta.Factors.
func (s *Store) SpendChallenge(ctx context.Context, sum cloud.Sum, expires time.Time) error {
	err := s.update(ctx, func(tx querier) error {
		n, err := changed(ctx, tx, `INSERT INTO spent_challenges (sum, expires_at) VALUES (?1, ?2) ON CONFLICT (sum) DO NOTHING`,
			sum[:], expires.UnixMicro())
		if err == nil && n == 0 {
			err = cloud.ErrExists
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("spend challenge: %w", err)
	}
	return nil
}

// ExpireChallenges implements meta.Factors.
func (s *Store) ExpireChallenges(ctx context.Context, now time.Time) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM spent_challenges WHERE expires_at <= ?1`, now.UnixMicro())
	})
}
