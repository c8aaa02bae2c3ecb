// Package openidtest runs a real provider of OpenID Connect on loopback, for
// tests: zitadel's, with two users of its own.
package openidtest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// What the provider knows us by, and its users by.
const (
	ClientID = "discord-cloud"
	Secret   = "the secret of the client"
	Ann      = "test-user2" // subject id2
	Password = "verysecure"
)

// Provider is a provider that runs until its test has ended.
type Provider struct {
	Issuer string
	// Tamper, if set, sees each answer of the token endpoint and may give another.
	Tamper func(body string) string
}

// Start runs a provider that sends people back to any of the addresses.
func Start(t testing.TB, redirects ...string) *Provider {
	t.Helper()
	p := &Provider{}
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Tamper == nil || !strings.HasSuffix(r.URL.Path, "/token") {
			handler.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.WriteHeader(rec.Code)
		_, _ = io.WriteString(w, p.Tamper(rec.Body.String())) // the receiver tells
	}))
	t.Cleanup(srv.Close)
	p.Issuer = srv.URL
	clients := map[string]*storage.Client{
		ClientID: storage.WebClient(ClientID, Secret, redirects...),
		"other":  storage.WebClient("other", Secret, redirects...),
	}
	handler = exampleop.SetupServer(p.Issuer, storage.NewStorageWithClients(storage.NewUserStore(p.Issuer), clients),
		slog.New(slog.DiscardHandler), false)
	return p
}

// SignIn goes where begin says, as the browser of a user who gives his password
// there, and tells what he comes back with. Nothing is asked of the address that
// he is sent back to.
func (p *Provider) SignIn(ctx context.Context, t testing.TB, begin, username string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back *url.URL
	client := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), p.Issuer) {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	do := func(method, at string, form url.Values) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	page := do(http.MethodGet, begin, nil)
	id := page.Request.URL.Query().Get("authRequestID")
	if id == "" {
		t.Fatalf("the provider shows no sign-in: %s at %s", page.Status, page.Request.URL.Path)
	}
	do(http.MethodPost, p.Issuer+"/login/username", url.Values{"username": {username}, "password": {Password}, "id": {id}})
	if back == nil {
		t.Fatal("the provider sends nobody back")
	}
	return back.Query()
}
