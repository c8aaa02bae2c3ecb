package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// One-time codes as every app makes them: six digits, every 30 seconds, SHA-1
// (RFC 6238). A code of the step before or after is taken, as clocks differ, and
// none of a step that is not after the last one taken.
const (
	totpPeriod = 30 // seconds
	totpSkew   = 1  // steps
	totpIssuer = "discord-cloud"
)

// TOTPOffer is a secret that is not in force yet.
type TOTPOffer struct {
	State     string // to be shown with the first code
	Secret    string // base32, to type
	URI       string // otpauth://, for a QR code
	ExpiresAt time.Time
}

// OfferTOTP makes a secret of one-time codes for who; at is the server's name, by
// which an app tells its accounts apart.
func (s *Service) OfferTOTP(ctx context.Context, who policy.Principal, p Proof, at string, peer Peer) (TOTPOffer, error) {
	if err := s.reprove(ctx, who, p, peer); err != nil {
		return TOTPOffer{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: totpIssuer, AccountName: who.Name + "@" + at, Period: totpPeriod})
	if err != nil {
		return TOTPOffer{}, fmt.Errorf("make secret: %w", err)
	}
	text, expires, err := s.seal(confirmTOTP, &challenge{User: who.User, Secret: key.Secret()})
	if err != nil {
		return TOTPOffer{}, err
	}
	return TOTPOffer{State: text, Secret: key.Secret(), URI: key.URL(), ExpiresAt: expires}, nil
}

// SetTOTP puts an offered secret in force, by its first code, in the place of the
// one before. It gives recovery codes if who had none left.
func (s *Service) SetTOTP(ctx context.Context, who policy.Principal, state, code string) ([]string, error) {
	if err := policy.Check(who, policy.ManageFactors, nil); err != nil {
		return nil, err
	}
	c, err := s.unseal(confirmTOTP, state)
	if err == nil && c.User != who.User {
		err = errOver()
	}
	if err != nil {
		return nil, err
	}
	step, err := matchTOTP(c.Secret, plainCode(code), s.now())
	if err != nil {
		return nil, err
	}
	if step < 0 {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "that is not the code of this moment: is the clock of your device right?")
	}
	if err := s.spend(ctx, c); err != nil {
		return nil, err
	}
	texts, sums := newRecoveryCodes(who.User)
	first, err := s.store.SetTOTP(ctx, who.User, meta.TOTP{
		Sealed: s.ring.SealNote(infoTOTP, []byte(c.Secret)), Step: step, CreatedAt: s.now(),
	}, sums)
	if err != nil {
		return nil, err
	}
	s.audit.Add(ctx, audit.By(who, audit.TOTPSet))
	if !first {
		return nil, nil
	}
	s.audit.Add(ctx, audit.By(who, audit.RecoveryCodesMade))
	return texts, nil
}

// RemoveTOTP takes the secret of one-time codes from who.
func (s *Service) RemoveTOTP(ctx context.Context, who policy.Principal, p Proof, peer Peer) error {
	if err := s.reprove(ctx, who, p, peer); err != nil {
		return err
	}
	if err := s.store.DeleteTOTP(ctx, who.User); err != nil {
		return err
	}
	s.audit.Add(ctx, audit.By(who, audit.TOTPRemoved))
	return nil
}

// useTOTP takes a code of a user's: ErrNotFound if it is wrong, or too old.
func (s *Service) useTOTP(ctx context.Context, user cloud.UserID, code string) error {
	set, err := s.store.Factors(ctx, user)
	if err != nil {
		return err
	}
	if set.TOTP == nil {
		return fmt.Errorf("one-time codes: %w", cloud.ErrNotFound)
	}
	secret, err := s.ring.OpenNote(infoTOTP, set.TOTP.Sealed)
	if err != nil {
		return fmt.Errorf("secret of one-time codes: %w", err)
	}
	step, err := matchTOTP(string(secret), code, s.now())
	if err != nil {
		return err
	}
	if step < 0 {
		return fmt.Errorf("one-time code: %w", cloud.ErrNotFound)
	}
	return s.store.UseTOTP(ctx, user, step)
}

// matchTOTP is the step whose code it is, the latest if there are several, -1 for
// none.
func matchTOTP(secret, code string, now time.Time) (int64, error) {
	found := int64(-1)
	for skew := int64(-totpSkew); skew <= totpSkew; skew++ {
		step := now.Unix()/totpPeriod + skew
		want, err := totp.GenerateCodeCustom(secret, time.Unix(step*totpPeriod, 0), totp.ValidateOpts{
			Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
		})
		if err != nil {
			return 0, errors.Join(cloud.ErrCorrupt, err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	return found, nil
}
