package auth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

const (
	maxPasskeys    = 32 // of one user
	maxPasskeyName = 64 // bytes
	handleSize     = 32
)

// Site is a server as browsers know it; a passkey belongs to one.
type Site struct {
	Name   string `json:"name"`   // of the host, without a port
	Origin string `json:"origin"` // of the page: scheme://host[:port]
}

func (s Site) relyingParty() (*webauthn.WebAuthn, error) {
	if s.Name == "" {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "there are no passkeys at this address: they need HTTPS and a name, which PUBLIC_URL tells")
	}
	return webauthn.New(&webauthn.Config{
		RPID: s.Name, RPDisplayName: "discord-cloud", RPOrigins: []string{s.Origin},
		// Who made the authenticator is not our business.
		AttestationPreference: protocol.PreferNoAttestation,
	})
}

// Ceremony is a question to a browser's authenticators.
type Ceremony struct {
	State   string // to be shown with the answer
	Options any    // JSON of the Web Authentication API (its *OptionsJSON dictionaries)
}

// holder is a user as package webauthn sees him, at one site.
type holder struct {
	handle   []byte
	name     string
	passkeys []webauthn.Credential
}

func (h *holder) WebAuthnID() []byte                         { return h.handle }
func (h *holder) WebAuthnName() string                       { return h.name }
func (h *holder) WebAuthnDisplayName() string                { return h.name }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.passkeys }

// newHolder collects the passkeys that a user has at a site. His handle is the same
// for all of them, and made up with the first.
func newHolder(name string, site Site, passkeys []meta.Passkey) (*holder, error) {
	h := &holder{name: name}
	for _, p := range passkeys {
		if p.RP != site.Name {
			continue
		}
		var c webauthn.Credential
		if err := json.Unmarshal(p.Record, &c); err != nil {
			return nil, fmt.Errorf("passkey %d: %w: %w", p.ID, cloud.ErrCorrupt, err)
		}
		c.Authenticator.SignCount = uint32(p.SignCount)
		h.handle, h.passkeys = p.Handle, append(h.passkeys, c)
	}
	if h.handle == nil {
		h.handle = make([]byte, handleSize)
		_, _ = rand.Read(h.handle) // never fails
	}
	return h, nil
}

// AskPasskey asks a browser for a passkey: with the state of a sign-in for one of
// that user's, without for any of this site's, which then stands for the password,
// too.
func (s *Service) AskPasskey(ctx context.Context, site Site, state string) (Ceremony, error) {
	party, err := site.relyingParty()
	if err != nil {
		return Ceremony{}, err
	}
	c := &challenge{Site: site}
	var options *protocol.CredentialAssertion
	if state == "" {
		options, c.Session, err = party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	} else {
		options, err = s.askSecond(ctx, party, c, state)
	}
	if err != nil {
		return Ceremony{}, err
	}
	text, _, err := s.seal(askPasskey, c)
	return Ceremony{State: text, Options: options.Response}, err
}

// askSecond asks for a passkey as the second step of a sign-in.
func (s *Service) askSecond(ctx context.Context, party *webauthn.WebAuthn, c *challenge, state string) (*protocol.CredentialAssertion, error) {
	step, err := s.unseal(secondStep, state)
	if err != nil {
		return nil, err
	}
	user, err := s.pending(ctx, step)
	if err != nil {
		return nil, err
	}
	set, err := s.store.Factors(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	h, err := newHolder(user.Name, c.Site, set.Passkeys)
	if err != nil {
		return nil, err
	}
	if len(h.passkeys) == 0 {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "this account has no passkey at this address")
	}
	c.Second = &step
	var options *protocol.CredentialAssertion
	// The password was the other half: to hold the authenticator is enough.
	options, c.Session, err = party.BeginLogin(h, webauthn.WithUserVerification(protocol.VerificationDiscouraged))
	return options, err
}

func errPasskey() error {
	return cloud.UserErrorf(cloud.ErrUnauthenticated, "that passkey is not known here")
}

// LoginPasskey begins a session for who has answered AskPasskey. ErrUnauthenticated
// if the answer is wrong, or was given before; ErrLimited, with a
// *retry.AfterError, after too many wrong ones from the same address.
func (s *Service) LoginPasskey(ctx context.Context, state string, answer []byte, peer Peer) (Token, error) {
	c, err := s.unseal(askPasskey, state)
	if err != nil {
		return Token{}, err
	}
	user, err := s.provePasskey(ctx, c, answer)
	if errors.Is(err, cloud.ErrUnauthenticated) {
		s.failedPasskey(ctx, user, peer)
		if wait, ok := s.limits.app.take(peer.network(), s.now()); !ok {
			return Token{}, tooMany("wrong passkeys", wait)
		}
	}
	if err != nil {
		return Token{}, err
	}
	if err := s.spend(ctx, c); err != nil {
		return Token{}, err
	}
	how := "passkey"
	if c.Second != nil {
		if err := s.spend(ctx, *c.Second); err != nil {
			return Token{}, err
		}
		how = "password and passkey"
	}
	return s.signIn(ctx, user, peer, how)
}

// failedPasskey writes down whose passkey was answered for wrongly, if it is
// known.
func (s *Service) failedPasskey(ctx context.Context, user cloud.User, peer Peer) {
	if user.ID == 0 {
		return
	}
	r := byUser(user, peer, audit.SignIn)
	r.Done, r.Detail = false, "passkey"
	s.audit.Add(ctx, r)
}

// provePasskey checks an answer, and gives its user. With an error the user is who
// has the passkey, if that is known.
func (s *Service) provePasskey(ctx context.Context, c challenge, answer []byte) (cloud.User, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return cloud.User{}, unreadable(err)
	}
	p, user, err := s.store.Passkey(ctx, parsed.RawID)
	if errors.Is(err, cloud.ErrNotFound) || err == nil && p.RP != c.Site.Name {
		err = errPasskey()
	}
	if err != nil {
		return cloud.User{}, err
	}
	if c.Second != nil {
		// The two steps are one user's, who is still what he was at the first.
		first, err := s.pending(ctx, *c.Second)
		if err == nil {
			err = s.runs(*c.Second)
		}
		if err == nil && first.ID != user.ID {
			err = errPasskey()
		}
		if err != nil {
			return user, err
		}
	}
	used, err := s.validate(ctx, c, user, parsed)
	if err != nil {
		return user, err
	}
	p.SignCount, p.UsedAt = int64(used.Authenticator.SignCount), s.now()
	if p.Record, err = json.Marshal(used); err != nil {
		return user, fmt.Errorf("passkey %d: %w", p.ID, err)
	}
	err = s.store.UsePasskey(ctx, p)
	if errors.Is(err, cloud.ErrNotFound) {
		s.log.WarnContext(ctx, "a passkey's count went back: it may have been copied", "user", user.ID)
		err = errPasskey()
	}
	return user, err
}

// validate has package webauthn check the answer against the keys of its user.
func (s *Service) validate(ctx context.Context, c challenge, user cloud.User, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
	party, err := c.Site.relyingParty()
	if err != nil {
		return nil, err
	}
	set, err := s.store.Factors(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	h, err := newHolder(user.Name, c.Site, set.Passkeys)
	if err != nil {
		return nil, err
	}
	var used *webauthn.Credential
	if c.Second != nil {
		used, err = party.ValidateLogin(h, *c.Session, parsed)
	} else {
		used, err = party.ValidateDiscoverableLogin(func([]byte, []byte) (webauthn.User, error) { return h, nil }, *c.Session, parsed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPasskey(), err)
	}
	return used, nil
}

// unreadable is the error for what no browser would have sent.
func unreadable(err error) error {
	return fmt.Errorf("%w: %w", cloud.UserErrorf(cloud.ErrInvalid, "that is no answer of an authenticator"), err)
}

// OfferPasskey asks a browser for a new passkey for who.
func (s *Service) OfferPasskey(ctx context.Context, who policy.Principal, p Proof, site Site, peer Peer) (Ceremony, error) {
	party, err := site.relyingParty()
	if err != nil {
		return Ceremony{}, err
	}
	if err := s.reprove(ctx, who, p, peer); err != nil {
		return Ceremony{}, err
	}
	set, err := s.store.Factors(ctx, who.User)
	if err != nil {
		return Ceremony{}, err
	}
	if n := len(set.Passkeys); n >= maxPasskeys {
		return Ceremony{}, cloud.UserErrorf(cloud.ErrLimited, "there are %d passkeys already: remove one", n)
	}
	h, err := newHolder(who.Name, site, set.Passkeys)
	if err != nil {
		return Ceremony{}, err
	}
	options, session, err := party.BeginRegistration(h,
		webauthn.WithExclusions(webauthn.Credentials(h.passkeys).CredentialDescriptors()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
		}))
	if err != nil {
		return Ceremony{}, fmt.Errorf("offer passkey: %w", err)
	}
	text, _, err := s.seal(addPasskey, &challenge{User: who.User, Site: site, Session: session})
	return Ceremony{State: text, Options: options.Response}, err
}

// AddPasskey takes the answer to OfferPasskey. It gives recovery codes if who had
// none left.
func (s *Service) AddPasskey(ctx context.Context, who policy.Principal, state, name string, answer []byte) (meta.Passkey, []string, error) {
	refuse := func(err error) (meta.Passkey, []string, error) { return meta.Passkey{}, nil, err }
	if err := policy.Check(who, policy.ManageFactors, nil); err != nil {
		return refuse(err)
	}
	name, err := passkeyName(name)
	if err != nil {
		return refuse(err)
	}
	c, err := s.unseal(addPasskey, state)
	if err == nil && c.User != who.User {
		err = errOver()
	}
	if err != nil {
		return refuse(err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return refuse(unreadable(err))
	}
	party, err := c.Site.relyingParty()
	if err != nil {
		return refuse(err)
	}
	made, err := party.CreateCredential(&holder{handle: c.Session.UserID, name: who.Name}, *c.Session, parsed)
	if err != nil {
		return refuse(fmt.Errorf("%w: %w", cloud.UserErrorf(cloud.ErrInvalid, "the authenticator's answer does not fit this server's question"), err))
	}
	if err := s.spend(ctx, c); err != nil {
		return refuse(err)
	}
	made.Attestation = webauthn.CredentialAttestation{} // its maker's word, which was not asked for
	record, err := json.Marshal(made)
	if err != nil {
		return refuse(fmt.Errorf("add passkey: %w", err))
	}
	texts, sums := newRecoveryCodes(who.User)
	p, first, err := s.store.AddPasskey(ctx, meta.Passkey{
		User: who.User, Credential: made.ID, Handle: c.Session.UserID, RP: c.Site.Name, Name: name, Record: record,
		SignCount: int64(made.Authenticator.SignCount), CreatedAt: s.now(),
	}, sums)
	if errors.Is(err, cloud.ErrExists) {
		err = fmt.Errorf("%w: %w", cloud.UserErrorf(cloud.ErrExists, "that passkey is known already"), err)
	}
	if err != nil {
		return refuse(err)
	}
	s.notePasskey(ctx, who, audit.PasskeyAdded, name)
	if !first {
		return p, nil, nil
	}
	s.audit.Add(ctx, audit.By(who, audit.RecoveryCodesMade))
	return p, texts, nil
}

func (s *Service) notePasskey(ctx context.Context, who policy.Principal, action, name string) {
	r := audit.By(who, action)
	r.About = name
	s.audit.Add(ctx, r)
}

func passkeyName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return "Passkey", nil
	}
	if len(name) > maxPasskeyName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", cloud.UserErrorf(cloud.ErrInvalid, "the name of a passkey has at most %d bytes and no control characters", maxPasskeyName)
	}
	return name, nil
}

// RenamePasskey gives a passkey of who another name. ErrNotFound if it is none of
// his.
func (s *Service) RenamePasskey(ctx context.Context, who policy.Principal, id int64, name string) (string, error) {
	if err := policy.Check(who, policy.ManageFactors, nil); err != nil {
		return "", err
	}
	name, err := passkeyName(name)
	if err == nil {
		err = s.store.RenamePasskey(ctx, who.User, id, name)
	}
	if err != nil {
		return "", err
	}
	s.notePasskey(ctx, who, audit.PasskeyRenamed, name)
	return name, nil
}

// RemovePasskey takes a passkey from who. ErrNotFound if it is none of his.
func (s *Service) RemovePasskey(ctx context.Context, who policy.Principal, id int64, p Proof, peer Peer) error {
	if err := s.reprove(ctx, who, p, peer); err != nil {
		return err
	}
	set, err := s.store.Factors(ctx, who.User)
	if err != nil {
		return err
	}
	name := ""
	for _, k := range set.Passkeys {
		if k.ID == id {
			name = k.Name
		}
	}
	if err := s.store.DeletePasskey(ctx, who.User, id); err != nil {
		return err
	}
	s.notePasskey(ctx, who, audit.PasskeyRemoved, name)
	return nil
}
