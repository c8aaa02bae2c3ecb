package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/mail"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/openid"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// An identity of another provider is linked to an account only by who is signed in
// there and gives the password: the same name or address elsewhere proves nothing
// here (many providers let people call themselves as they like).

const (
	flowFor   = 10 * time.Minute // to sign in at the provider
	mostFlows = 1 << 12
)

// flow is a sign-in by the provider under way. It belongs to the browser that has
// the key, and ends with the first that comes back, right or wrong.
type flow struct {
	openid.Flow
	key     [32]byte // SHA-256 of what the browser has
	user    cloud.UserID
	session string // of user, who wants to link an identity; "" to sign in
	expires time.Time
}

// flows are kept in memory: who is on the way when we stop begins again.
type flows struct {
	mu      sync.Mutex
	byState map[string]flow
}

func (f *flows) put(x flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for state := range f.byState { // in no order
		if len(f.byState) < mostFlows {
			break
		}
		delete(f.byState, state)
	}
	f.byState[x.State] = x
}

func (f *flows) take(state string, now time.Time) (flow, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, ok := f.byState[state]
	delete(f.byState, state)
	return x, ok && x.expires.After(now)
}

func (f *flows) purge(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for state, x := range f.byState {
		if !x.expires.After(now) {
			delete(f.byState, state)
		}
	}
}

// Departure is where to send somebody to sign in, and what his browser keeps
// meanwhile to be known again.
type Departure struct{ URL, Key string }

// Return is what somebody comes back with.
type Return struct{ State, Code, Key string }

// OpenIDName is the other provider's, "" without one.
func (s *Service) OpenIDName() string {
	if s.openID == nil {
		return ""
	}
	return s.openID.Name()
}

// OpenIDIssuer tells whether an answer that names its issuer (RFC 9207) may be
// the provider's.
func (s *Service) OpenIDIssuer(iss string) bool {
	return s.openID != nil && (iss == "" || iss == s.openID.Issuer())
}

// Depart begins a sign-in by the other provider, which sends people back to
// redirect.
func (s *Service) Depart(ctx context.Context, redirect string, peer Peer) (Departure, error) {
	return s.depart(ctx, redirect, policy.Principal{}, peer)
}

// DepartToLink begins to link an identity to the account of who, whose password
// it asks for.
func (s *Service) DepartToLink(ctx context.Context, who policy.Principal, password, redirect string, peer Peer) (Departure, error) {
	if err := policy.Check(who, policy.ManageIdentities, nil); err != nil {
		return Departure{}, err
	}
	if _, _, err := s.prove(ctx, who.Name, password, peer); err != nil {
		return Departure{}, err
	}
	return s.depart(ctx, redirect, who, peer)
}

func (s *Service) depart(ctx context.Context, redirect string, who policy.Principal, peer Peer) (Departure, error) {
	if s.openID == nil {
		return Departure{}, cloud.UserErrorf(cloud.ErrNotFound, "this server knows no other provider of sign-ins")
	}
	if wait, ok := s.limits.signOn.take(peer.network(), s.now()); !ok {
		return Departure{}, tooMany("sign-ins", wait)
	}
	f := flow{Flow: openid.NewFlow(redirect), user: who.User, session: who.Session, expires: s.now().Add(flowFor)}
	url, err := s.openID.URL(ctx, f.Flow)
	if err != nil {
		return Departure{}, err
	}
	key := newID()
	f.key = sha256.Sum256([]byte(key))
	s.flows.put(f)
	return Departure{url, key}, nil
}

// arrive tells who came back from the provider, for the flow of who.
func (s *Service) arrive(ctx context.Context, who policy.Principal, r Return) (openid.Person, error) {
	if s.openID == nil {
		return openid.Person{}, cloud.UserErrorf(cloud.ErrNotFound, "this server knows no other provider of sign-ins")
	}
	f, ok := s.flows.take(r.State, s.now())
	key := sha256.Sum256([]byte(r.Key))
	if !ok || subtle.ConstantTimeCompare(key[:], f.key[:]) != 1 || f.user != who.User || f.session != who.Session {
		return openid.Person{}, cloud.UserErrorf(cloud.ErrDenied, "this sign-in was not begun here, or too long ago: begin again")
	}
	return s.openID.Redeem(ctx, f.Flow, r.Code)
}

// Arrive signs in who comes back from the provider: into the account that his
// identity is linked to, or where that is wanted into a new one. ErrDenied for
// anybody else. The provider has asked for what it asks for: there is no further
// factor of ours.
func (s *Service) Arrive(ctx context.Context, r Return, peer Peer) (Token, error) {
	person, err := s.arrive(ctx, policy.Principal{}, r)
	if err != nil {
		return Token{}, err
	}
	user, err := s.store.UserOfIdentity(ctx, s.openID.Issuer(), person.Subject)
	if errors.Is(err, cloud.ErrNotFound) {
		user, err = s.signUpBy(ctx, person, peer)
	}
	if err != nil {
		return Token{}, err
	}
	note := byUser(user, peer, audit.SignIn)
	note.Detail = "by " + s.openID.Name()
	if user.Disabled {
		note.Done = false
		s.audit.Add(ctx, note)
		return Token{}, cloud.UserErrorf(cloud.ErrDenied, "this account is closed")
	}
	t, err := s.SignIn(ctx, user, peer)
	if err == nil {
		s.audit.Add(ctx, note)
	}
	return t, err
}

// signUpBy makes an account for somebody whom the provider knows.
func (s *Service) signUpBy(ctx context.Context, person openid.Person, peer Peer) (cloud.User, error) {
	required, err := s.SetupRequired(ctx)
	if err != nil {
		return cloud.User{}, err
	}
	if required || !s.signUp {
		return cloud.User{}, cloud.UserErrorf(cloud.ErrDenied,
			"no account here is linked with this identity: sign in with your password and link it in the settings")
	}
	address := ""
	if person.EmailVerified && mail.CheckAddress(person.Email) == nil {
		address = person.Email
	}
	base := nameOf(person)
	for n := 1; n <= 100; n++ {
		name := base
		if n > 1 {
			name = fmt.Sprintf("%s%d", base, n)
		}
		user, err := s.store.CreateUserOf(ctx, name, s.hasher.dummy(), address, meta.Identity{
			Issuer: s.openID.Issuer(), Subject: person.Subject, Name: labelOf(person), CreatedAt: s.now(),
		})
		if errors.Is(err, cloud.ErrExists) {
			if user, err := s.store.UserOfIdentity(ctx, s.openID.Issuer(), person.Subject); err == nil {
				return user, nil // made at the same moment, from another window
			}
			continue
		}
		if err != nil {
			return cloud.User{}, err
		}
		s.log.InfoContext(ctx, "user created", "user", user.ID, "administrator", false)
		r := byUser(user, peer, audit.UserCreated)
		r.About, r.Detail = user.Name, "by "+s.openID.Name()
		s.audit.Add(ctx, r)
		return user, nil
	}
	return cloud.User{}, cloud.UserErrorf(cloud.ErrExists, "there is no free name for this account: ask an administrator")
}

// nameOf makes a user name of what somebody calls himself.
func nameOf(p openid.Person) string {
	for _, text := range []string{p.Username, p.Email, p.Name} {
		text, _, _ = strings.Cut(text, "@")
		text = strings.Map(func(r rune) rune {
			if r < 0x80 && checkUserName(string(r)) == nil {
				return r
			}
			return -1
		}, text)
		if text = text[:min(len(text), 60)]; text != "" {
			return text
		}
	}
	return "user"
}

// labelOf is what a person knows an identity by.
func labelOf(p openid.Person) string {
	for _, text := range []string{p.Email, p.Username, p.Name, p.Subject} {
		if text != "" {
			return strings.ToValidUTF8(text[:min(len(text), 254)], "")
		}
	}
	return ""
}

// LinkIdentity links the identity of who comes back from the provider with the
// account of who, who left from it. ErrExists if it is linked already.
func (s *Service) LinkIdentity(ctx context.Context, who policy.Principal, r Return) error {
	if err := policy.Check(who, policy.ManageIdentities, nil); err != nil {
		return err
	}
	person, err := s.arrive(ctx, who, r)
	if err != nil {
		return err
	}
	err = s.store.AddIdentity(ctx, meta.Identity{
		Issuer: s.openID.Issuer(), Subject: person.Subject, User: who.User, Name: labelOf(person), CreatedAt: s.now(),
	})
	if err != nil {
		return err
	}
	s.note(ctx, who, audit.IdentityLinked, who.Name, labelOf(person))
	return nil
}

// Identities lists those of who.
func (s *Service) Identities(ctx context.Context, who policy.Principal) ([]meta.Identity, error) {
	if err := policy.Check(who, policy.ManageIdentities, nil); err != nil {
		return nil, err
	}
	return s.store.Identities(ctx, who.User)
}

// IdentityID names an identity in addresses.
func IdentityID(i meta.Identity) string {
	sum := sha256.Sum256([]byte(i.Issuer + "\n" + i.Subject))
	return hex.EncodeToString(sum[:16])
}

// UnlinkIdentity removes one of the identities of who by its IdentityID.
func (s *Service) UnlinkIdentity(ctx context.Context, who policy.Principal, id string) error {
	all, err := s.Identities(ctx, who)
	if err != nil {
		return err
	}
	for _, i := range all {
		if IdentityID(i) != id {
			continue
		}
		if err := s.store.RemoveIdentity(ctx, who.User, i.Issuer, i.Subject); err != nil {
			return err
		}
		s.note(ctx, who, audit.IdentityUnlinked, who.Name, i.Name)
		return nil
	}
	return fmt.Errorf("identity: %w", cloud.ErrNotFound)
}
