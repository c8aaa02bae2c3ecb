package api

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/serve"
	"discordcloud/pkg/cloud"
)

// The routes of version 1: all GET, at the root, in any case. What they put into
// queries has a better place below /api.

func (a *api) routesV1() []route {
	return []route{
		{method: "GET", path: "/health", do: policy.SeeHealth, handle: a.healthV1},
		{method: "GET", path: "/login", do: policy.SignIn, handle: a.loginV1},
		{method: "GET", path: "/register", do: policy.Register, handle: a.registerV1},
		{method: "GET", path: "/update-password", do: policy.SignIn, handle: a.updatePasswordV1},
		{method: "GET", path: "/token-status", do: policy.SeeSelf, handle: a.tokenStatusV1},
		{method: "GET", path: "/download", do: policy.ReadContent, on: inQueryV1, handle: a.downloadV1},
		{method: "GET", path: "/bulk-download", do: policy.ReadContent, on: inQueryV1, handle: a.bulkDownloadV1},
		{method: "GET", path: "/signed-download", do: policy.ReadContent, on: inQueryV1, handle: a.signedDownloadV1},
		{method: "GET", path: "/signed-download-metadata", do: policy.ReadContent, on: inQueryV1, handle: a.signedMetadataV1},
	}
}

// inQueryV1 marks routes that find their entry and their caller in the query, in
// the order of checks that version 1 has. All of them end in vfs, which checks
// the action.
func inQueryV1(*call, policy.Action) (cloud.Entry, error) { return cloud.Entry{}, nil }

func pathV1(p string) string {
	if p != "/" {
		p = strings.TrimSuffix(p, "/")
	}
	return strings.ToLower(p)
}

// errorV1 is an answer of version 1 that is not the one for the error's kind.
type errorV1 struct {
	status int
	detail string         // "" for none
	extra  map[string]any // further fields
	err    error          // for the log, and for Retry-After; may be nil
}

func (e *errorV1) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return e.detail
}

func (e *errorV1) Unwrap() error { return e.err }

func badV1(detail string) error {
	return &errorV1{status: http.StatusBadRequest, detail: detail, err: cloud.ErrInvalid}
}

// reasonV1 has an answer of 403 say why: it is no secret to who knows the password.
func reasonV1(err error) error {
	if !errors.Is(err, cloud.ErrDenied) {
		return err
	}
	return &errorV1{status: http.StatusForbidden, detail: cloud.TextOf(err), err: err}
}

// goneV1 says which form takes the place of one that is switched off.
func goneV1(instead string) error {
	return &errorV1{status: http.StatusGone, detail: "this form is switched off: " + instead, err: cloud.ErrDenied}
}

func (a *api) serveV1(w http.ResponseWriter, r *http.Request, rt *route) {
	label(w, rt.path)
	a.bound(w, r)
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusOK)
		return
	default:
		notFound(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, defaultBody) // no route reads one
	q := &call{w: w, r: r, fs: a.FS}
	if err := rt.handle(q); err != nil {
		a.writeErrorV1(w, r, err)
	}
}

func (a *api) writeErrorV1(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*errorV1](err)
	if !ok {
		e = &errorV1{status: serve.StatusOf(err), detail: cloud.TextOf(err), err: err}
		if e.status == http.StatusForbidden || e.status == http.StatusNotFound {
			e.detail = ""
		}
	}
	a.logError(r, e.status, err)
	retryAfter(w, err)
	w.Header().Set("Cache-Control", "no-store")
	record := map[string]any{"error": true}
	if e.detail != "" {
		record["error_details"] = e.detail
	}
	for k, v := range e.extra {
		record[k] = v
	}
	_ = writeJSON(w, e.status, record) // texts, numbers and nil always encode
}

func answerV1(q *call, record map[string]any) error {
	record["error"] = false
	return q.answer(record)
}

func (a *api) healthV1(q *call) error {
	if err := a.admitV1(q, ""); err != nil {
		return err
	}
	if err := a.healthy(q.ctx()); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// validUserV1 tells 1 to 16 ASCII letters and digits.
func validUserV1(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 16
}

func validPasswordV1(s string) bool {
	n := utf8.RuneCountInString(s)
	return 8 <= n && n <= 256 && len(s) <= auth.MaxPassword
}

// tokenShaped tells three parts of base64url joined by dots; parts may be empty.
func tokenShaped(s string) bool {
	if strings.Count(s, ".") != 2 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

func credentialsV1(v url.Values) (name, password string, err error) {
	name, password = v.Get("username"), v.Get("password")
	if !validUserV1(name) {
		return "", "", badV1("username: 1 to 16 letters and digits")
	}
	if !validPasswordV1(password) {
		return "", "", badV1("password: 8 to 256 characters")
	}
	return name, password, nil
}

func (a *api) loginV1(q *call) error {
	if err := a.admitV1(q, ""); err != nil {
		return err
	}
	if !a.LegacyQueryAuth {
		return goneV1("POST /api/login with JSON")
	}
	name, password, err := credentialsV1(q.r.URL.Query())
	if err != nil {
		return err
	}
	t, err := a.Auth.Login(q.ctx(), name, password, a.peer(q.r))
	if errors.Is(err, cloud.ErrUnauthenticated) {
		return &errorV1{status: http.StatusForbidden, err: err}
	}
	if err != nil {
		return reasonV1(err)
	}
	return answerV1(q, map[string]any{"token": t.Text})
}

// tokenV1 is the token of a request: of the Authorization header, with or
// without its scheme, or of the query key.
func (a *api) tokenV1(q *call, key string) (string, error) {
	if h := q.r.Header.Get("Authorization"); h != "" {
		if token := bearer(q.r); token != "" {
			return token, nil
		}
		return h, nil
	}
	token := q.r.URL.Query().Get(key)
	if token != "" && !a.LegacyQueryAuth {
		return "", goneV1("show the token in the header Authorization: Bearer, or use a ticket of POST /api/tickets")
	}
	return token, nil
}

// admitV1 makes q the holder of a token. The request counts as his, or as one of
// its address if there is none.
func (a *api) admitV1(q *call, token string) (err error) {
	if token != "" {
		q.who, err = a.Auth.Verify(q.ctx(), token)
	}
	if limited := a.rates.take(a.rateKey(q)); limited != nil {
		return limited
	}
	return err
}

func (a *api) tokenStatusV1(q *call) error {
	token, err := a.tokenV1(q, "token")
	if err != nil {
		return err
	}
	if !tokenShaped(token) {
		return badV1("token: three parts of base64url, joined by dots")
	}
	err = a.admitV1(q, token)
	if errors.Is(err, cloud.ErrUnauthenticated) {
		return &errorV1{status: http.StatusUnauthorized, detail: "Unauthorized", extra: map[string]any{"user_id": nil}, err: err}
	}
	if err != nil {
		return err
	}
	return answerV1(q, map[string]any{"user_id": q.who.User})
}

func (a *api) registerV1(q *call) error {
	if err := a.admitV1(q, ""); err != nil {
		return err
	}
	if !a.LegacyQueryAuth {
		return goneV1("POST /api/users with JSON, POST /api/setup for the first user")
	}
	v := q.r.URL.Query()
	name, password, err := credentialsV1(v)
	if err != nil {
		return err
	}
	user, err := a.register(q, name, password, v.Get("adminToken"))
	if errors.Is(err, cloud.ErrExists) {
		return &errorV1{status: http.StatusBadRequest, detail: cloud.TextOf(err), err: err}
	}
	if err != nil {
		return err
	}
	return answerV1(q, map[string]any{"id": user.ID, "username": user.Name, "administrator": user.Administrator})
}

func (a *api) register(q *call, name, password, adminToken string) (cloud.User, error) {
	peer := a.peer(q.r)
	first, err := a.Auth.SetupRequired(q.ctx())
	if err != nil {
		return cloud.User{}, err
	}
	if adminToken == "" && !(first && isLocal(q.r)) {
		return cloud.User{}, badV1("adminToken: the token of an administrator; for the first user, the set-up code that the server printed")
	}
	if first {
		return a.Auth.CreateFirst(q.ctx(), adminToken, isLocal(q.r), name, password, peer)
	}
	who, err := a.Auth.Verify(q.ctx(), adminToken)
	if err == nil {
		err = policy.Check(who, policy.Register, nil)
	}
	if errors.Is(err, cloud.ErrUnauthenticated) || errors.Is(err, cloud.ErrDenied) {
		if limited := a.Auth.LimitRegister(peer); limited != nil {
			return cloud.User{}, limited
		}
		return cloud.User{}, &errorV1{status: http.StatusForbidden, err: err}
	}
	if err != nil {
		return cloud.User{}, err
	}
	return a.Auth.CreateUser(q.ctx(), who, name, password, false)
}

func (a *api) updatePasswordV1(q *call) error {
	if err := a.admitV1(q, ""); err != nil {
		return err
	}
	if !a.LegacyQueryAuth {
		return goneV1("POST /api/password with JSON")
	}
	v := q.r.URL.Query()
	name, previous, next := v.Get("username"), v.Get("previousPassword"), v.Get("newPassword")
	if name == "" || !validPasswordV1(previous) || !validPasswordV1(next) {
		return badV1("username, previousPassword and newPassword: passwords have 8 to 256 characters")
	}
	// A name that nobody has is answered like a wrong password: who guesses must
	// not learn which of them it was.
	user, err := a.Auth.ChangePassword(q.ctx(), name, previous, next, a.peer(q.r))
	if err != nil {
		return reasonV1(err)
	}
	return answerV1(q, map[string]any{"id": user.ID, "username": user.Name, "administrator": user.Administrator})
}
