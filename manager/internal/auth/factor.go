package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Who has one-time codes (RFC 6238) or a passkey shows one of them after the
// password. A recovery code stands for either, once. A passkey that has asked its
// user for a PIN or a finger signs in without the password, too: it is two things
// in one.

const (
	recoveryCodes  = 10 // are made at a time
	recoveryLength = 16 // characters of appAlphabet: 80 bits
	recoveryGroup  = 4
	infoTOTP       = "discord-cloud/1 TOTP secret"
)

// errSecond is the answer where there is no way to ask for a second factor.
func errSecond() error {
	return cloud.UserErrorf(cloud.ErrDenied,
		"this account asks for a second factor: sign in on the page; programs take an app password, by WebDAV")
}

func errCode() error {
	return cloud.UserErrorf(cloud.ErrUnauthenticated, "that code is wrong, or was used already")
}

// Second is what a sign-in lacks after the password.
type Second struct {
	State     string // to be shown with what is asked for
	ExpiresAt time.Time
	Codes     bool     // one-time codes are taken
	Recovery  bool     // recovery codes are taken
	Passkeys  []string // servers at which a passkey is taken, as Site.Name
}

func (s *Service) second(c meta.Credentials, set meta.FactorSet) (*Second, error) {
	sum := sha256.Sum256([]byte(c.Password))
	text, expires, err := s.seal(secondStep, &challenge{User: c.ID, Name: c.Name, Password: sum[:]})
	if err != nil {
		return nil, err
	}
	more := &Second{State: text, ExpiresAt: expires, Codes: set.TOTP != nil, Recovery: set.Codes > 0}
	for _, p := range set.Passkeys {
		if len(more.Passkeys) == 0 || more.Passkeys[len(more.Passkeys)-1] != p.RP {
			more.Passkeys = append(more.Passkeys, p.RP)
		}
	}
	return more, nil
}

// LoginCode finishes a sign-in with a one-time code or a recovery code.
// ErrUnauthenticated for a wrong code, one that was used, or a state that is over;
// ErrLimited, with a *retry.AfterError, after too many attempts.
func (s *Service) LoginCode(ctx context.Context, state, code string, peer Peer) (Token, error) {
	step, err := s.unseal(secondStep, state)
	if err != nil {
		return Token{}, err
	}
	user, err := s.pending(ctx, step)
	if err != nil {
		return Token{}, err
	}
	how, err := s.proveCode(ctx, user, code, peer)
	if err != nil {
		return Token{}, err
	}
	if err := s.spend(ctx, step); err != nil {
		return Token{}, err
	}
	return s.signIn(ctx, user, peer, how)
}

// proveCode takes a code within the limits, and tells what it was.
func (s *Service) proveCode(ctx context.Context, user cloud.User, code string, peer Peer) (how string, err error) {
	try, err := s.limits.guess(user.Name, peer, s.now())
	if err != nil {
		return "", err
	}
	how, err = s.useCode(ctx, user.ID, code)
	switch {
	case errors.Is(err, cloud.ErrUnauthenticated):
		r := byUser(user, peer, audit.SignIn)
		r.Done, r.Detail = false, how
		s.audit.Add(ctx, r)
		return "", err
	case err != nil:
		try.undo()
		return "", err
	}
	try.right(s.now())
	return how, nil
}

// useCode takes a code for good: ErrUnauthenticated if there is none such (any
// more).
func (s *Service) useCode(ctx context.Context, user cloud.UserID, code string) (how string, err error) {
	code = plainCode(code)
	if len(code) == recoveryLength {
		how = "recovery code"
		err = s.store.UseRecoveryCode(ctx, user, recoverySum(user, code))
	} else {
		how = "one-time code"
		err = s.useTOTP(ctx, user, code)
	}
	if errors.Is(err, cloud.ErrNotFound) {
		err = errCode()
	}
	return how, err
}

// plainCode is a code as it was told, however it was typed.
func plainCode(code string) string {
	if len(code) > 64 {
		return ""
	}
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, code))
}

// Proof is what somebody shows again for what his session alone must not do.
type Proof struct {
	Password string
	Code     string // one-time or recovery code, where Password is ""
}

func (s *Service) reprove(ctx context.Context, who policy.Principal, p Proof, peer Peer) error {
	if err := policy.Check(who, policy.ManageFactors, nil); err != nil {
		return err
	}
	if p.Password == "" && p.Code != "" {
		_, err := s.proveCode(ctx, cloud.User{ID: who.User, Name: who.Name}, p.Code, peer)
		return err
	}
	_, _, err := s.prove(ctx, who.Name, p.Password, peer)
	return err
}

// Factors gives what who may show besides his password.
func (s *Service) Factors(ctx context.Context, who policy.Principal) (meta.FactorSet, error) {
	if err := policy.Check(who, policy.ManageFactors, nil); err != nil {
		return meta.FactorSet{}, err
	}
	return s.store.Factors(ctx, who.User)
}

// MakeRecoveryCodes gives who other recovery codes, in the place of those that
// are left. They are told once.
func (s *Service) MakeRecoveryCodes(ctx context.Context, who policy.Principal, p Proof, peer Peer) ([]string, error) {
	if err := s.reprove(ctx, who, p, peer); err != nil {
		return nil, err
	}
	texts, sums := newRecoveryCodes(who.User)
	if err := s.store.SetRecoveryCodes(ctx, who.User, sums); err != nil {
		if errors.Is(err, cloud.ErrNotFound) {
			err = fmt.Errorf("%w: %w", cloud.UserErrorf(cloud.ErrInvalid, "there is nothing yet that they would stand for"), err)
		}
		return nil, err
	}
	s.audit.Add(ctx, audit.By(who, audit.RecoveryCodesMade))
	return texts, nil
}

func newRecoveryCodes(user cloud.UserID) (texts []string, sums []cloud.Sum) {
	for range recoveryCodes {
		code := newAppPassword()[:recoveryLength]
		sums = append(sums, recoverySum(user, code))
		text := code[:recoveryGroup]
		for at := recoveryGroup; at < len(code); at += recoveryGroup {
			text += "-" + code[at:at+recoveryGroup]
		}
		texts = append(texts, text)
	}
	return texts, sums
}

// recoverySum is how a code is kept: what is random needs no slow hash.
func recoverySum(user cloud.UserID, code string) cloud.Sum {
	return sha256.Sum256(fmt.Appendf(nil, "discord-cloud/1 recovery code\x00%d\x00%s", user, code))
}

// ResetFactors takes all second factors from a user who has lost them.
// ErrNotFound if he has none.
func (s *Service) ResetFactors(ctx context.Context, who policy.Principal, id cloud.UserID) error {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return err
	}
	u, err := s.store.User(ctx, id)
	if err != nil {
		return err
	}
	if err := s.store.ResetFactors(ctx, id); err != nil {
		if errors.Is(err, cloud.ErrNotFound) {
			err = fmt.Errorf("%w: %w", cloud.UserErrorf(cloud.ErrNotFound, "%s has no second factor", u.Name), err)
		}
		return err
	}
	s.log.InfoContext(ctx, "second factors reset", "user", id)
	r := audit.By(who, audit.FactorsReset)
	r.About = u.Name
	s.audit.Add(ctx, r)
	return nil
}
