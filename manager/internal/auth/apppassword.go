package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// An app password is what a program that asks for a name and a password is
// given: 24 random characters, which open files and nothing of the account. The
// account's own password is never taken where an app password is. What is random
// needs no slow hash, so that it may be checked with every request.

const (
	appPasswordLength = 24
	// appAlphabet has 32 characters, none of which looks like another: 120 bits in
	// all.
	appAlphabet     = "abcdefghjkmnpqrstuvwxyz123456789"
	maxAppPasswords = 64 // of one user
	maxAppName      = 64 // bytes
)

// AppPassword is what somebody asks for.
type AppPassword struct {
	Name     string // by which its owner knows it
	ReadOnly bool
	Entry    cloud.EntryID // folder that it is confined to; that who may see it is for the caller to check
}

// MakeAppPassword makes an app password for who, and gives its text, which
// nobody can tell later.
func (s *Service) MakeAppPassword(ctx context.Context, who policy.Principal, p AppPassword) (row meta.AppPassword, text string, err error) {
	if err := policy.Check(who, policy.ManageAppPasswords, nil); err != nil {
		return meta.AppPassword{}, "", err
	}
	p.Name = strings.TrimSpace(p.Name)
	if p.Name == "" {
		p.Name = "WebDAV"
	}
	if len(p.Name) > maxAppName || !utf8.ValidString(p.Name) || strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return meta.AppPassword{}, "", cloud.UserErrorf(cloud.ErrInvalid, "the name of an app password has at most %d bytes and no control characters", maxAppName)
	}
	all, err := s.store.AppPasswords(ctx, who.User)
	if err != nil {
		return meta.AppPassword{}, "", fmt.Errorf("app passwords: %w", err)
	}
	if len(all) >= maxAppPasswords {
		return meta.AppPassword{}, "", cloud.UserErrorf(cloud.ErrLimited, "there are %d app passwords already: revoke one", len(all))
	}
	text = newAppPassword()
	row, err = s.store.CreateAppPassword(ctx, meta.AppPassword{
		User: who.User, Name: p.Name, ReadOnly: p.ReadOnly, Entry: p.Entry, CreatedAt: s.now(),
	}, sha256.Sum256([]byte(text)))
	if err != nil {
		return meta.AppPassword{}, "", fmt.Errorf("make app password: %w", err)
	}
	r := audit.On(who, audit.AppPasswordMade, p.Entry, p.Name)
	if p.ReadOnly {
		r.Detail = "read-only"
	}
	s.audit.Add(ctx, r)
	return row, text, nil
}

func newAppPassword() string {
	b := make([]byte, appPasswordLength)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = appAlphabet[b[i]%byte(len(appAlphabet))]
	}
	return string(b)
}

// AppPasswords lists the app passwords of who.
func (s *Service) AppPasswords(ctx context.Context, who policy.Principal) ([]meta.AppPassword, error) {
	if err := policy.Check(who, policy.ManageAppPasswords, nil); err != nil {
		return nil, err
	}
	all, err := s.store.AppPasswords(ctx, who.User)
	if err != nil {
		return nil, fmt.Errorf("app passwords: %w", err)
	}
	return all, nil
}

// RevokeAppPassword ends an app password of who, and what it carries at the
// moment. ErrNotFound if it is none of his.
func (s *Service) RevokeAppPassword(ctx context.Context, who policy.Principal, id int64) error {
	if err := policy.Check(who, policy.ManageAppPasswords, nil); err != nil {
		return err
	}
	if err := s.store.DeleteAppPassword(ctx, who.User, id); err != nil {
		return fmt.Errorf("revoke app password: %w", err)
	}
	s.publishEnd(who.User, "this app password was revoked", appSession(id))
	r := audit.By(who, audit.AppPasswordRevoked)
	r.About = strconv.FormatInt(id, 10)
	s.audit.Add(ctx, r)
	return nil
}

// appSession is what stands for a session in a Principal of an app password.
func appSession(id int64) string { return "app-password " + strconv.FormatInt(id, 10) }

// VerifyAppPassword tells who shows the name of a user and one of his app
// passwords. ErrUnauthenticated if they are wrong, whatever is wrong with them: that
// is for WrongAppPassword, when nobody asks again. The right one is always taken:
// nobody can be locked out by others, and 120 random bits cannot be guessed.
func (s *Service) VerifyAppPassword(ctx context.Context, name, text string) (policy.Principal, error) {
	row, user, err := s.findAppPassword(ctx, name, text)
	if err != nil {
		return policy.Principal{}, err
	}
	s.touchAppPassword(ctx, row, s.now())
	who := policy.Principal{
		Role: policy.AppPassword, User: user.ID, Name: user.Name, Session: appSession(row.ID), ReadOnly: row.ReadOnly,
	}
	if row.Entry != cloud.Root {
		who.Within = policy.NewSubtree(row.Entry)
	}
	return who, nil
}

// WrongAppPassword counts a wrong one: ErrLimited, with a *retry.AfterError, after
// too many from the same address.
func (s *Service) WrongAppPassword(peer Peer) error {
	if wait, ok := s.limits.app.take(peer.network(), s.now()); !ok {
		return tooMany("wrong app passwords", wait)
	}
	return nil
}

func (s *Service) findAppPassword(ctx context.Context, name, text string) (meta.AppPassword, cloud.User, error) {
	wrong := func() (meta.AppPassword, cloud.User, error) {
		return meta.AppPassword{}, cloud.User{}, cloud.UserErrorf(cloud.ErrUnauthenticated, "wrong name or app password")
	}
	if len(text) != appPasswordLength {
		return wrong()
	}
	row, user, err := s.store.AppPassword(ctx, sha256.Sum256([]byte(text)))
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		return wrong()
	case err != nil:
		return meta.AppPassword{}, cloud.User{}, fmt.Errorf("find app password: %w", err)
	case sameName(user.Name) != sameName(name):
		return wrong()
	}
	return row, user, nil
}

// touchAppPassword notes that it is in use, now and then.
func (s *Service) touchAppPassword(ctx context.Context, row meta.AppPassword, now time.Time) {
	if now.Sub(row.UsedAt) < touchEvery {
		return
	}
	key := appSession(row.ID)
	if _, busy := s.touching.LoadOrStore(key, nil); busy {
		return // of many requests at the same moment, one writes
	}
	defer s.touching.Delete(key)
	if err := s.store.TouchAppPassword(ctx, row.ID, now); err != nil {
		// Who asks has shown who he is; that his use was not noted must not stop him.
		meta.Afterwards(ctx, func() {
			s.log.WarnContext(ctx, "use of an app password not noted", "user", row.User, "err", err)
		})
	}
}

// appAlive tells whether the app password of who is still there.
func (s *Service) appAlive(ctx context.Context, who policy.Principal) error {
	all, err := s.store.AppPasswords(ctx, who.User)
	if err != nil {
		return fmt.Errorf("app passwords: %w", err)
	}
	for _, row := range all {
		if appSession(row.ID) == who.Session {
			return nil
		}
	}
	return fmt.Errorf("app password was revoked: %w", cloud.ErrUnauthenticated)
}
