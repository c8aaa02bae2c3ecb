package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pquerna/otp/totp"

	"discordcloud/manager/internal/api"
	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/auth/authtest"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

var site = auth.Site{Name: "cloud.example", Origin: "https://cloud.example"}

// proof is the password of who: another one if he has changed it.
func (w *world) proof(t *testing.T, who policy.Principal) auth.Proof {
	t.Helper()
	for _, p := range []string{password + "2", password} {
		_, _, err := w.auth.LoginStep(t.Context(), who.Name, p, auth.Peer{})
		if err == nil {
			return auth.Proof{Password: p}
		}
	}
	t.Fatalf("the password of %s is none of those", who.Name)
	return auth.Proof{}
}

// offerTOTP makes a secret for who, with a code that confirms it.
func (w *world) offerTOTP(t *testing.T, who policy.Principal, p auth.Proof) (state, secret, code string) {
	t.Helper()
	o, err := w.auth.OfferTOTP(t.Context(), who, p, "cloud.example", auth.Peer{})
	if err != nil {
		t.Fatal(err)
	}
	if code, err = totp.GenerateCode(o.Secret, w.clock()); err != nil {
		t.Fatal(err)
	}
	return o.State, o.Secret, code
}

func (w *world) enrol(t *testing.T, who policy.Principal, p auth.Proof) (codes []string) {
	t.Helper()
	state, _, code := w.offerTOTP(t, who, p)
	codes, err := w.auth.SetTOTP(t.Context(), who, state, code)
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

func (w *world) addKey(t *testing.T, who policy.Principal, p auth.Proof) (*authtest.Key, meta.Passkey) {
	t.Helper()
	k := authtest.NewKey(t, site.Origin)
	c, err := w.auth.OfferPasskey(t.Context(), who, p, site, auth.Peer{})
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := w.auth.AddPasskey(t.Context(), who, c.State, "", k.Create(c.Options))
	if err != nil {
		t.Fatal(err)
	}
	return k, made
}

// factorBody is what the matrix asks a route about second factors with, where it
// needs something that is there: of who asks, or of somebody for sign-ins and
// resets. nil is for other routes, and those whom they are not for.
func (w *world) factorBody(t *testing.T, rt api.RouteFacts, who policy.Principal, s subject) (body record, at string) {
	if !strings.HasPrefix(rt.Path, "/api/login/") && !strings.HasPrefix(rt.Path, "/api/factors/") && !strings.HasSuffix(rt.Path, "/reset-factors") {
		return nil, ""
	}
	of := who
	if !strings.HasPrefix(rt.Path, "/api/factors/") {
		of = w.signIn(t, s.user).Principal
	} else if who.Role != policy.User {
		return nil, ""
	}
	if err := w.Store.ResetFactors(t.Context(), of.User); err != nil && !errors.Is(err, cloud.ErrNotFound) {
		t.Fatal(err)
	}
	p := w.proof(t, of)
	again := record{"password": p.Password}
	switch at = rt.Path; at {
	case "/api/login/code":
		codes := w.enrol(t, of, p)
		_, second, err := w.auth.LoginStep(t.Context(), of.Name, p.Password, auth.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		return record{"state": second.State, "code": codes[0]}, at
	case "/api/login/passkey":
		return record{}, at
	case "/api/login/passkey/answer":
		k, _ := w.addKey(t, of, p)
		c, err := w.auth.AskPasskey(t.Context(), site, "")
		if err != nil {
			t.Fatal(err)
		}
		return record{"state": c.State, "credential": k.Get(c.Options)}, at
	case "/api/factors/totp/confirm":
		state, _, code := w.offerTOTP(t, of, p)
		return record{"state": state, "code": code}, at
	case "/api/factors/totp/remove", "/api/factors/recovery-codes":
		w.enrol(t, of, p)
	case "/api/factors/passkeys/answer":
		c, err := w.auth.OfferPasskey(t.Context(), of, p, site, auth.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		return record{"state": c.State, "name": "phone", "credential": authtest.NewKey(t, site.Origin).Create(c.Options)}, at
	case "/api/factors/passkeys/{id}", "/api/factors/passkeys/{id}/remove":
		_, made := w.addKey(t, of, p)
		at = strings.Replace(at, "{id}", fmt.Sprint(made.ID), 1)
		if rt.Method == "PATCH" {
			return record{"name": "key ring"}, at
		}
	case "/api/users/{id}/reset-factors":
		w.enrol(t, of, p)
		return record{}, fmt.Sprintf("/api/users/%d/reset-factors", of.User)
	}
	return again, at
}

// A user's way through all of it, over HTTP.
func TestFactors(t *testing.T) {
	w := open(t, func(o *api.Options) { o.PublicURL = site.Origin + "/" })
	root := w.person(t, "root")
	ada := w.person(t, "ada")
	ask := func(method, path string, body any, status int) map[string]any {
		t.Helper()
		a := want(t, w.ask(t, method, path, ada.token, body), status)
		if status == 204 {
			return nil
		}
		return a.json(t)
	}
	if at := ask("GET", "/api/status", nil, 200)["passkeys_at"]; at != site.Origin {
		t.Errorf("passkeys at %v", at)
	}
	set := ask("GET", "/api/factors", nil, 200)
	if set["totp"] != nil || len(set["passkeys"].([]any)) != 0 || set["recovery_codes"] != 0.0 {
		t.Errorf("none: %v", set)
	}
	ask("POST", "/api/factors/totp", record{}, 401)
	ask("POST", "/api/factors/totp", record{"password": password, "user": 1}, 400)
	offer := ask("POST", "/api/factors/totp", record{"password": password}, 200)
	code, err := totp.GenerateCode(offer["secret"].(string), w.clock())
	if err != nil {
		t.Fatal(err)
	}
	codes := ask("POST", "/api/factors/totp/confirm", record{"state": offer["state"], "code": code}, 200)["recovery_codes"].([]any)

	// Version 1 cannot ask, and is told why.
	old := want(t, w.ask(t, "GET", "/login"+query("username", "ada", "password", password), "", nil), 403).json(t)
	if text, _ := old["error_details"].(string); !strings.Contains(text, "second factor") {
		t.Errorf("version 1 is told %v", old)
	}
	want(t, w.ask(t, "GET", "/update-password"+query("username", "ada", "previousPassword", password, "newPassword", "another horse"), "", nil), 403)
	if plain := want(t, w.ask(t, "GET", "/login"+query("username", "ada", "password", "wrong password"), "", nil), 403).json(t); plain["error_details"] != nil {
		t.Errorf("a wrong password is told %v", plain)
	}

	in := ask("POST", "/api/login", record{"username": "ada", "password": password}, 200)
	second, _ := in["second"].(map[string]any)
	if in["token"] != nil || fmt.Sprint(second["methods"]) != "[code recovery_code]" {
		t.Fatalf("first step: %v", in)
	}
	ask("POST", "/api/login/code", record{"state": second["state"], "code": code}, 401)
	if in := ask("POST", "/api/login/code", record{"state": second["state"], "code": codes[0]}, 200); in["user"].(map[string]any)["name"] != "ada" {
		t.Errorf("second step: %v", in)
	}

	k := authtest.NewKey(t, site.Origin)
	c := ask("POST", "/api/factors/passkeys", record{"password": password}, 200)
	made := ask("POST", "/api/factors/passkeys/answer", record{"state": c["state"], "name": "phone", "credential": k.Create(c["options"])}, 200)
	if made["recovery_codes"] != nil || made["passkey"].(map[string]any)["server"] != "cloud.example" {
		t.Errorf("passkey: %v", made)
	}
	c = ask("POST", "/api/login/passkey", record{}, 200)
	if options := c["options"].(map[string]any); options["userVerification"] != "required" || options["rpId"] != "cloud.example" || options["allowCredentials"] != nil {
		t.Errorf("asked for %v", options)
	}
	ask("POST", "/api/login/passkey/answer", record{"state": c["state"], "credential": k.Get(c["options"])}, 200)
	ask("POST", "/api/login/passkey/answer", record{"state": c["state"], "credential": k.Get(c["options"])}, 401)
	second = ask("POST", "/api/login", record{"username": "ada", "password": password}, 200)["second"].(map[string]any)
	if fmt.Sprint(second["methods"]) != "[code passkey recovery_code]" {
		t.Errorf("methods %v", second["methods"])
	}
	c = ask("POST", "/api/login/passkey", record{"state": second["state"]}, 200)
	ask("POST", "/api/login/passkey/answer", record{"state": c["state"], "credential": k.Get(c["options"])}, 200)

	want(t, w.ask(t, "POST", fmt.Sprintf("/api/users/%d/reset-factors", ada.User), root.token, record{}), 204)
	want(t, w.ask(t, "POST", fmt.Sprintf("/api/users/%d/reset-factors", ada.User), root.token, record{}), 404)
	if in := ask("POST", "/api/login", record{"username": "ada", "password": password}, 200); in["token"] == nil {
		t.Errorf("after the reset: %v", in)
	}

	records, err := w.Store.AuditRecords(t.Context(), meta.AuditQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range records {
		seen[fmt.Sprintf("%s %t %s", r.Action, r.Done, r.Detail)] = true
		for _, secret := range []string{offer["secret"].(string), code, codes[0].(string)} {
			if strings.Contains(fmt.Sprint(r), secret) || strings.Contains(w.logs.String(), secret) {
				t.Errorf("a secret is written down with %s", r.Action)
			}
		}
	}
	for _, line := range []string{
		audit.TOTPSet + " true ", audit.RecoveryCodesMade + " true ", audit.PasskeyAdded + " true ", audit.FactorsReset + " true ",
		audit.SignIn + " true recovery code", audit.SignIn + " true passkey", audit.SignIn + " true password and passkey", audit.SignIn + " false one-time code",
	} {
		if !seen[line] {
			t.Errorf("the audit log lacks %q: %v", line, seen)
		}
	}
}

// Passkeys need a name, and HTTPS unless it is this machine's.
func TestSite(t *testing.T) {
	for public, want := range map[string]string{
		"https://Cloud.Example/":        "https://cloud.example",
		"https://cloud.example:8443":    "https://cloud.example:8443",
		"http://localhost:8080":         "http://localhost:8080",
		"http://cloud.example":          "",
		"https://192.0.2.1":             "",
		"https://[2001:db8::1]:8443":    "",
		"http://localhost.evil.example": "",
	} {
		w := open(t, func(o *api.Options) { o.PublicURL = public })
		if got := w.ask(t, "GET", "/api/status", "", nil).json(t)["passkeys_at"]; got != want {
			t.Errorf("PUBLIC_URL %s: %v, want %q", public, got, want)
		}
	}
	w := open(t, nil)
	port := w.srv.Listener.Addr().String()[strings.LastIndex(w.srv.Listener.Addr().String(), ":"):]
	for host, want := range map[string]string{"localhost" + port: "http://localhost" + port, "127.0.0.1" + port: "", "cloud.example": ""} {
		if got := w.ask(t, "GET", "/api/status", "", nil, "Host", host).json(t)["passkeys_at"]; got != want {
			t.Errorf("at %s: %v, want %q", host, got, want)
		}
	}
	if got := w.ask(t, "GET", "/api/status", "", nil, "Host", "localhost"+port, "X-Forwarded-For", "192.0.2.1").json(t)["passkeys_at"]; got != "" {
		t.Errorf("from elsewhere, through a proxy: %v", got)
	}
}
