// Package openid signs people in by another provider: OpenID Connect Core 1.0 by
// the authorization code flow, with PKCE (RFC 7636) and a nonce. It tells who
// somebody is to the provider; whose account that is, package auth decides.
package openid

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
)

// patience is how long the provider may take for one answer.
const patience = 15 * time.Second

// Options say which provider it is, and what we are to it. All but HTTP and Now
// are needed.
type Options struct {
	Issuer       string
	ClientID     string
	ClientSecret config.Secret
	Name         string       // as people know the provider
	HTTP         *http.Client // nil for one of our own
	Now          func() time.Time
}

// Provider is a provider of sign-ins. It is asked about itself when it is first
// needed, not before: it may be down when we start. Safe for concurrent use.
type Provider struct {
	o Options

	mu       sync.Mutex
	provider *oidc.Provider
}

// New makes a Provider.
func New(o Options) *Provider {
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: patience}
	}
	return &Provider{o: o}
}

// Name is the provider's, for people; Issuer is by which it is known.
func (p *Provider) Name() string   { return p.o.Name }
func (p *Provider) Issuer() string { return p.o.Issuer }

// discover gives what the provider says of itself.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider != nil {
		return p.provider, nil
	}
	// The provider's keys are fetched later, when this request is over.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.o.HTTP), p.o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cloud.UserErrorf(cloud.ErrUnavailable, "%s does not answer as it should; try again later", p.o.Name), err)
	}
	p.provider = found
	return found, nil
}

func (p *Provider) client(found *oidc.Provider, redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.o.ClientID, ClientSecret: p.o.ClientSecret.Reveal(), Endpoint: found.Endpoint(), RedirectURL: redirect,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
}

// Flow is a sign-in under way, as both ends of it must agree on.
type Flow struct {
	State    string
	Nonce    string
	Verifier string // of PKCE
	Redirect string // where the provider sends people back to
}

// NewFlow makes up a flow.
func NewFlow(redirect string) Flow {
	return Flow{State: oauth2.GenerateVerifier(), Nonce: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier(), Redirect: redirect}
}

// URL is where to send somebody to sign in.
func (p *Provider) URL(ctx context.Context, f Flow) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.client(found, f.Redirect).AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), nil
}

// Person is who somebody is to the provider. But for Subject, which never
// changes, it is what he calls himself.
type Person struct {
	Subject       string `json:"sub"`
	Username      string `json:"preferred_username"`
	Name          string `json:"name"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
}

// Redeem tells who came back with a code. ErrDenied if the code or what it gives
// is not for us, or not of this flow; ErrUnavailable if the provider does not
// answer.
func (p *Provider) Redeem(ctx context.Context, f Flow, code string) (Person, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return Person{}, err
	}
	refuse := func(what string, err error) (Person, error) {
		return Person{}, fmt.Errorf("%w: %s: %w", cloud.UserErrorf(cloud.ErrDenied, "%s did not confirm this sign-in: begin again", p.o.Name), what, err)
	}
	ctx = oidc.ClientContext(ctx, p.o.HTTP)
	client := p.client(found, f.Redirect)
	token, err := client.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return refuse("exchange the code", withoutAnswer(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return refuse("identity", errors.New("there is none in the answer"))
	}
	id, err := found.Verifier(&oidc.Config{ClientID: p.o.ClientID, Now: p.o.Now}).Verify(ctx, raw)
	if err != nil {
		return refuse("identity", err)
	}
	if id.Nonce != f.Nonce {
		return refuse("identity", errors.New("it is of another sign-in"))
	}
	var who Person
	if err := id.Claims(&who); err != nil {
		return refuse("identity", err)
	}
	if who.Username == "" && who.Email == "" {
		// Many tell no more than the subject there: OpenID Connect Core §5.4.
		if info, err := found.UserInfo(ctx, client.TokenSource(ctx, token)); err == nil && info.Subject == id.Subject {
			_ = info.Claims(&who) // who is known already; the rest is names
		}
	}
	who.Subject = id.Subject
	return who, nil
}

// withoutAnswer is an error of an exchange without the provider's whole answer,
// which may hold what it was asked.
func withoutAnswer(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("answer %d: %q", e.Response.StatusCode, e.ErrorCode)
	}
	return err
}
