package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/mail"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// An invitation is 160 random bits in an address. Whoever opens it makes an
// account for himself, which is never an administrator's.

const (
	maxInvitations    = 1000
	maxInvitationName = 128 // bytes
	inviteFor         = 7 * 24 * time.Hour
)

// InvitationWish is what an administrator wants of an invitation.
type InvitationWish struct {
	Name                 string // by which administrators know it
	Address              string // "" for none; the invitation is sent there, if there is mail
	MostBytes, MostFiles int64
	Groups               []cloud.GroupID
	MostUses             int64     // 0 for no bound
	ExpiresAt            time.Time // zero for a week from now
	Language             string    // of the mail
}

// errNoInvitation is the one answer to an invitation that never was, has ended or
// is used up.
func errNoInvitation() error {
	return cloud.UserErrorf(cloud.ErrNotFound, "this invitation does not exist, or it has ended")
}

// Invite makes an invitation and gives its text, which is told here and nowhere
// again. sent tells whether it is on its way by mail.
func (s *Service) Invite(ctx context.Context, who policy.Principal, w InvitationWish) (i meta.Invitation, text string, sent bool, err error) {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return i, "", false, err
	}
	if err := s.checkInvitation(&w); err != nil {
		return i, "", false, err
	}
	there, err := s.store.Invitations(ctx)
	if err != nil {
		return i, "", false, fmt.Errorf("invitations: %w", err)
	}
	if len(there) >= maxInvitations {
		return i, "", false, cloud.UserErrorf(cloud.ErrLimited, "there are %d invitations already: revoke one", len(there))
	}
	text = newID()
	i, err = s.store.CreateInvitation(ctx, meta.Invitation{
		Name: w.Name, Address: w.Address, MadeBy: who.Name, MostBytes: w.MostBytes, MostFiles: w.MostFiles,
		Groups: w.Groups, MostUses: w.MostUses, CreatedAt: s.now(), ExpiresAt: w.ExpiresAt,
	}, sha256.Sum256([]byte(text)))
	if err != nil {
		return i, "", false, err
	}
	s.note(ctx, who, audit.InvitationMade, w.Name, w.Address)
	if w.Address != "" && s.mail != nil {
		// The link is there all the same.
		sent = s.mail.Send(s.letters(w.Language).invitation(w.Address, who.Name, s.link("invite", text), i.ExpiresAt)) == nil
	}
	return i, text, sent, nil
}

func (s *Service) checkInvitation(w *InvitationWish) error {
	w.Name = strings.TrimSpace(w.Name)
	if w.ExpiresAt.IsZero() {
		w.ExpiresAt = s.now().Add(inviteFor)
	}
	switch {
	case len(w.Name) > maxInvitationName || !utf8.ValidString(w.Name) || strings.ContainsFunc(w.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return cloud.UserErrorf(cloud.ErrInvalid, "the name of an invitation has at most %d bytes and no control characters", maxInvitationName)
	case w.MostUses < 0 || w.MostBytes < 0 || w.MostFiles < 0:
		return cloud.UserErrorf(cloud.ErrInvalid, "a bound is 0, for none, or more")
	case !w.ExpiresAt.After(s.now()):
		return cloud.UserErrorf(cloud.ErrInvalid, "the invitation would have ended already")
	case w.ExpiresAt.After(s.now().AddDate(1, 0, 1)):
		return cloud.UserErrorf(cloud.ErrInvalid, "an invitation lasts a year at most")
	case w.Address != "":
		return mail.CheckAddress(w.Address)
	}
	return nil
}

// Invitations lists the invitations that are kept, the newest first.
func (s *Service) Invitations(ctx context.Context, who policy.Principal) ([]meta.Invitation, error) {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return nil, err
	}
	return s.store.Invitations(ctx)
}

// RevokeInvitation ends an invitation. The accounts that it has made stay.
func (s *Service) RevokeInvitation(ctx context.Context, who policy.Principal, id int64) error {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return err
	}
	all, err := s.store.Invitations(ctx)
	if err != nil {
		return fmt.Errorf("invitations: %w", err)
	}
	if err := s.store.DeleteInvitation(ctx, id); err != nil {
		return err
	}
	for _, i := range all {
		if i.ID == id {
			s.note(ctx, who, audit.InvitationRevoked, i.Name, i.Address)
		}
	}
	return nil
}

// Invitation gives the invitation of a text. ErrNotFound if it is over.
func (s *Service) Invitation(ctx context.Context, text string, peer Peer) (meta.Invitation, error) {
	if err := s.limitRedeem(peer); err != nil {
		return meta.Invitation{}, err
	}
	i, err := s.store.InvitationOf(ctx, sha256.Sum256([]byte(text)))
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		return meta.Invitation{}, errNoInvitation()
	case err != nil:
		return meta.Invitation{}, fmt.Errorf("find invitation: %w", err)
	case !i.ExpiresAt.After(s.now()) || i.MostUses > 0 && i.Uses >= i.MostUses:
		return meta.Invitation{}, errNoInvitation()
	}
	s.limits.redeem.giveBack(peer.network())
	return i, nil
}

// AcceptInvitation makes an account and signs it in. ErrNotFound if the
// invitation is over, ErrExists if the name is taken, ErrInvalid for a name or a
// password that may not be one. Each taken name that is tried counts: an
// invitation is no way to ask who has an account.
func (s *Service) AcceptInvitation(ctx context.Context, text, name, password string, peer Peer) (Token, error) {
	if _, err := s.Invitation(ctx, text, peer); err != nil {
		return Token{}, err
	}
	if err := checkUserName(name); err != nil {
		return Token{}, err
	}
	if err := checkPassword(name, password); err != nil {
		return Token{}, err
	}
	if err := s.limitRedeem(peer); err != nil {
		return Token{}, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return Token{}, fmt.Errorf("hash password: %w", err)
	}
	user, i, err := s.store.AcceptInvitation(ctx, sha256.Sum256([]byte(text)), s.now(), name, hash)
	switch {
	case errors.Is(err, cloud.ErrExists):
		return Token{}, fmt.Errorf("accept invitation: %w: %w", cloud.UserErrorf(cloud.ErrExists, "that name is taken"), err)
	case errors.Is(err, cloud.ErrNotFound):
		return Token{}, errNoInvitation()
	case err != nil:
		return Token{}, err
	}
	s.limits.redeem.giveBack(peer.network())
	s.log.InfoContext(ctx, "user created", "user", user.ID, "administrator", false)
	r := byUser(user, peer, audit.UserCreated)
	r.About, r.Detail = user.Name, strings.TrimSpace("invited by "+i.MadeBy+": "+i.Name)
	s.audit.Add(ctx, r)
	return s.SignIn(ctx, user, peer)
}

// limitRedeem counts a try of a text that stands for something.
func (s *Service) limitRedeem(peer Peer) error {
	if wait, ok := s.limits.redeem.take(peer.network(), s.now()); !ok {
		return tooMany("attempts", wait)
	}
	return nil
}
