package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/mail"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// A single link is 160 random bits in an address, and does one thing once: it
// lets its holder set a new password, or it confirms the address that it was sent
// to. A new password signs nobody in: who has a second factor is asked for it.

const (
	resetFor   = 24 * time.Hour // of a link that an administrator hands over
	mailedFor  = time.Hour      // of one that was asked for by mail
	confirmFor = 24 * time.Hour
	askedAgain = 5 * time.Minute // a user gets one mail in that time
)

// Mailer sends mail in the background.
type Mailer interface{ Send(mail.Message) error }

// wantedReset is somebody's wish for a mail. Whether there is such a user is
// looked up behind the answer, which so is the same, and as quick, for all.
type wantedReset struct {
	of, language string
	peer         Peer
}

func errNoSingleLink() error {
	return cloud.UserErrorf(cloud.ErrNotFound, "this link does not exist, or it was used, or it has expired")
}

// link is an address of the page with a secret behind the "#", which browsers
// keep to themselves.
func (s *Service) link(kind, text string) string { return s.publicURL + "/#" + kind + "=" + text }

// Mails tells whether there is mail.
func (s *Service) Mails() bool { return s.mail != nil }

// MakeResetLink gives the text of a link by which a user sets a new password
// within a day. Links made before end.
func (s *Service) MakeResetLink(ctx context.Context, who policy.Principal, id cloud.UserID) (text string, expires time.Time, err error) {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return "", expires, err
	}
	user, err := s.store.User(ctx, id)
	if err != nil {
		return "", expires, err
	}
	if user.Disabled {
		return "", expires, cloud.UserErrorf(cloud.ErrInvalid, "the account is closed: open it first")
	}
	expires = s.now().Add(resetFor)
	if text, err = s.singleLink(ctx, meta.SingleLink{User: id, Purpose: meta.ForPassword, ExpiresAt: expires}); err != nil {
		return "", expires, err
	}
	s.note(ctx, who, audit.ResetLinkMade, user.Name, "")
	return text, expires, nil
}

func (s *Service) singleLink(ctx context.Context, l meta.SingleLink) (string, error) {
	text := newID()
	return text, s.store.CreateSingleLink(ctx, l, sha256.Sum256([]byte(text)))
}

// ResetOf tells whose password the link of a text sets.
func (s *Service) ResetOf(ctx context.Context, text string, peer Peer) (cloud.User, error) {
	if err := s.limitRedeem(peer); err != nil {
		return cloud.User{}, err
	}
	_, user, err := s.store.SingleLinkOf(ctx, sha256.Sum256([]byte(text)), meta.ForPassword, s.now())
	if errors.Is(err, cloud.ErrNotFound) {
		return cloud.User{}, errNoSingleLink()
	}
	if err != nil {
		return cloud.User{}, fmt.Errorf("find link: %w", err)
	}
	s.limits.redeem.giveBack(peer.network())
	return user, nil
}

// Reset sets a new password by a link, which ends with it, as all sign-ins and
// app passwords of its user do.
func (s *Service) Reset(ctx context.Context, text, password string, peer Peer) (cloud.User, error) {
	user, err := s.ResetOf(ctx, text, peer)
	if err != nil {
		return cloud.User{}, err
	}
	if err := checkPassword(user.Name, password); err != nil {
		return cloud.User{}, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return cloud.User{}, fmt.Errorf("hash password: %w", err)
	}
	user, err = s.store.UsePasswordLink(ctx, sha256.Sum256([]byte(text)), s.now(), hash)
	if errors.Is(err, cloud.ErrNotFound) {
		return cloud.User{}, errNoSingleLink()
	}
	if err != nil {
		return cloud.User{}, err
	}
	s.publishEnd(user.ID, "the password was changed")
	r := byUser(user, peer, audit.PasswordChanged)
	r.About, r.Detail = user.Name, "by a link"
	s.audit.Add(ctx, r)
	return user, nil
}

// RequestReset asks for a link by mail, by name or address. Who asks learns
// nothing of whether there is such a user, or whether he has an address.
func (s *Service) RequestReset(nameOrAddress, language string, peer Peer) error {
	if s.mail == nil {
		return cloud.UserErrorf(cloud.ErrNotFound, "this server sends no mail: ask an administrator for a link")
	}
	if wait, ok := s.limits.ask.take(peer.network(), s.now()); !ok {
		return tooMany("requests for mail", wait)
	}
	select {
	case s.resets <- wantedReset{nameOrAddress, language, peer}:
		return nil
	default:
		return cloud.UserErrorf(cloud.ErrUnavailable, "too many ask for mail at the moment; try again later")
	}
}

// mailReset sends what was asked for, if there is somebody to send it to.
func (s *Service) mailReset(ctx context.Context, w wantedReset) error {
	if len(w.of) > 254 {
		return nil
	}
	user, address, err := s.store.UserOf(ctx, w.of)
	if errors.Is(err, cloud.ErrNotFound) || err == nil && address == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find user: %w", err)
	}
	if _, ok := s.limits.asked.take(sameName(user.Name), s.now()); !ok {
		return nil
	}
	expires := s.now().Add(mailedFor)
	text, err := s.singleLink(ctx, meta.SingleLink{User: user.ID, Purpose: meta.ForPassword, ExpiresAt: expires})
	if err != nil {
		return err
	}
	if err := s.mail.Send(s.letters(w.language).reset(address, user.Name, s.link("reset", text))); err != nil {
		return fmt.Errorf("send link: %w", err)
	}
	r := byUser(user, w.peer, audit.ResetLinkMade)
	r.About, r.Detail = user.Name, "by mail"
	s.audit.Add(ctx, r)
	return nil
}

// Address is where who gets mail, "" for nowhere.
func (s *Service) Address(ctx context.Context, who policy.Principal) (string, error) {
	if err := policy.Check(who, policy.ChangePassword, nil); err != nil {
		return "", err
	}
	return s.store.Address(ctx, who.User)
}

// ChangeAddress sends a link to an address of who, which becomes his when he
// opens it; whether it is another's is told to no one else. It asks for the
// password: an address is a way to a new one. With "" there is none any more.
func (s *Service) ChangeAddress(ctx context.Context, who policy.Principal, address, password, language string, peer Peer) error {
	if err := policy.Check(who, policy.ChangePassword, nil); err != nil {
		return err
	}
	if address != "" {
		if s.mail == nil {
			return cloud.UserErrorf(cloud.ErrNotFound, "this server sends no mail")
		}
		if err := mail.CheckAddress(address); err != nil {
			return err
		}
	}
	found, _, err := s.prove(ctx, who.Name, password, peer)
	if err != nil {
		return err
	}
	if address == "" {
		if err := s.store.RemoveAddress(ctx, found.ID); err != nil {
			return fmt.Errorf("remove address: %w", err)
		}
		s.note(ctx, who, audit.AddressChanged, who.Name, "removed")
		return nil
	}
	if wait, ok := s.limits.ask.take(peer.network(), s.now()); !ok {
		return tooMany("requests for mail", wait)
	}
	text, err := s.singleLink(ctx, meta.SingleLink{User: found.ID, Purpose: meta.ForAddress, Address: address, ExpiresAt: s.now().Add(confirmFor)})
	if err != nil {
		return err
	}
	return s.mail.Send(s.letters(language).confirm(address, found.Name, s.link("address", text)))
}

// ConfirmAddress makes an address its user's, by the link that was sent there.
// ErrExists if it is another's.
func (s *Service) ConfirmAddress(ctx context.Context, text string, peer Peer) error {
	if err := s.limitRedeem(peer); err != nil {
		return err
	}
	user, err := s.store.UseAddressLink(ctx, sha256.Sum256([]byte(text)), s.now())
	if errors.Is(err, cloud.ErrNotFound) {
		return errNoSingleLink()
	}
	if err != nil {
		return err
	}
	s.limits.redeem.giveBack(peer.network())
	r := byUser(user, peer, audit.AddressChanged)
	r.About = user.Name
	s.audit.Add(ctx, r)
	return nil
}
