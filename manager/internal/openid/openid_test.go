package openid_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"discordcloud/manager/internal/openid"
	"discordcloud/manager/internal/openid/openidtest"
	"discordcloud/pkg/cloud"
)

const back = "http://cloud.example/api/openid/return"

func client(p *openidtest.Provider, id string) *openid.Provider {
	return openid.New(openid.Options{Issuer: p.Issuer, ClientID: id, ClientSecret: openidtest.Secret, Name: "Club", Now: time.Now})
}

// goAndReturn is a sign-in at the provider, up to the code.
func goAndReturn(t *testing.T, p *openidtest.Provider, c *openid.Provider) (openid.Flow, string) {
	t.Helper()
	f := openid.NewFlow(back)
	begin, err := c.URL(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	got := p.SignIn(t.Context(), t, begin, openidtest.Ann)
	if got.Get("state") != f.State || got.Get("code") == "" {
		t.Fatalf("came back with %v", got)
	}
	return f, got.Get("code")
}

func TestProvider(t *testing.T) {
	p := openidtest.Start(t, back)
	c := client(p, openidtest.ClientID)
	f, code := goAndReturn(t, p, c)
	who, err := c.Redeem(t.Context(), f, code)
	want := openid.Person{Subject: "id2", Username: openidtest.Ann, Name: "Test User2", Email: "test-user2@zitadel.ch", EmailVerified: true}
	if err != nil || who != want {
		t.Errorf("Redeem = %+v, %v; want %+v", who, err, want)
	}
	refused(t, "the same code again", func() error { _, err := c.Redeem(t.Context(), f, code); return err })
}

func refused(t *testing.T, what string, do func() error) {
	t.Helper()
	if err := do(); !errors.Is(err, cloud.ErrDenied) {
		t.Errorf("%s: %v, want ErrDenied", what, err)
	}
}

func TestProvider_refuses(t *testing.T) {
	p := openidtest.Start(t, back)
	c := client(p, openidtest.ClientID)
	redeem := func(what string, c *openid.Provider, spoil func(f *openid.Flow, code *string)) {
		t.Helper()
		f, code := goAndReturn(t, p, client(p, openidtest.ClientID))
		spoil(&f, &code)
		refused(t, what, func() error { _, err := c.Redeem(t.Context(), f, code); return err })
	}
	redeem("made up code", c, func(_ *openid.Flow, code *string) { *code = "made-up" })
	redeem("another verifier", c, func(f *openid.Flow, _ *string) { f.Verifier = openid.NewFlow(back).Verifier })
	redeem("another nonce", c, func(f *openid.Flow, _ *string) { f.Nonce = "another" })
	redeem("another redirect", c, func(f *openid.Flow, _ *string) { f.Redirect = back + "2" })
	redeem("another client", client(p, "other"), func(*openid.Flow, *string) {})

	// An identity that the provider made for another client, and one whose
	// signature is not the provider's.
	other := client(p, "other")
	var foreign string
	p.Tamper = func(body string) string { foreign = body; return body }
	f, code := goAndReturn(t, p, other)
	if _, err := other.Redeem(t.Context(), f, code); err != nil {
		t.Fatal(err)
	}
	p.Tamper = func(body string) string { return withIdentity(t, body, identityOf(t, foreign)) }
	redeem("another audience", c, func(mine *openid.Flow, _ *string) { mine.Nonce = f.Nonce })
	second := openidtest.Start(t, back)
	c2 := client(second, openidtest.ClientID)
	second.Tamper = func(body string) string { foreign = body; return body }
	f, code = goAndReturn(t, second, c2)
	if _, err := c2.Redeem(t.Context(), f, code); err != nil {
		t.Fatal(err)
	}
	redeem("another issuer", c, func(mine *openid.Flow, _ *string) { mine.Nonce = f.Nonce })
	p.Tamper = func(body string) string { return withIdentity(t, body, "") }
	redeem("no identity", c, func(*openid.Flow, *string) {})
}

func identityOf(t *testing.T, body string) string {
	t.Helper()
	var m struct {
		ID string `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.ID == "" {
		t.Fatalf("no identity in %.100q: %v", body, err)
	}
	return m.ID
}

func withIdentity(t *testing.T, body, id string) string {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	if m["id_token"] = id; id == "" {
		delete(m, "id_token")
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A provider that is down is asked again, and one that calls itself otherwise is
// not believed.
func TestProvider_discovery(t *testing.T) {
	p := openidtest.Start(t, back)
	up := false
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, p.Issuer+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(front.Close)
	c := openid.New(openid.Options{Issuer: front.URL, ClientID: openidtest.ClientID, Name: "Club"})
	for range 2 {
		if _, err := c.URL(t.Context(), openid.NewFlow(back)); !errors.Is(err, cloud.ErrUnavailable) {
			t.Errorf("URL = %v, want ErrUnavailable", err)
		}
		up = true
	}
}
