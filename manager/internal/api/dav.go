package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/serve"
	"discordcloud/pkg/cloud"
)

// davRealm is what programs show when they ask for the password.
const davRealm = `Basic realm="discord-cloud: app password", charset="UTF-8"`

// isDAV tells what belongs to WebDAV: all below /dav, and the questions that
// Windows and others ask of the top first.
func isDAV(r *http.Request) bool {
	return r.URL.Path == "/dav" || strings.HasPrefix(r.URL.Path, "/dav/") ||
		r.Method == http.MethodOptions && (r.URL.Path == "/" || r.URL.Path == "*")
}

// serveDAV finds out on whose behalf a WebDAV client asks.
func (a *api) serveDAV(w http.ResponseWriter, r *http.Request) {
	label(w, "dav")
	if a.DAV == nil {
		notFound(w)
		return
	}
	if r.URL.Path == "/" || r.URL.Path == "*" {
		h := w.Header()
		h.Set("DAV", "1, 2")
		h.Set("MS-Author-Via", "DAV")
		h.Set("Allow", "GET, HEAD, OPTIONS")
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return
	}
	answer := func(w http.ResponseWriter, r *http.Request) error {
		return a.DAV(w, r, func(ctx context.Context) (policy.Principal, error) { return a.admitDAV(r.WithContext(ctx)) })
	}
	var err error
	if davTogether(r.Method) {
		err = a.together(w, r, "dav "+r.Method, answer)
	} else {
		err = answer(w, r)
	}
	if err != nil {
		a.refuseDAV(w, r, err)
	}
}

// refuseDAV answers who is not admitted.
func (a *api) refuseDAV(w http.ResponseWriter, r *http.Request, err error) {
	if _, _, ok := r.BasicAuth(); ok && errors.Is(err, cloud.ErrUnauthenticated) { // guessing counts
		err = cmp.Or(a.Auth.WrongAppPassword(a.peer(r)), err)
	}
	a.bound(w, r)
	if serve.StatusOf(err) != http.StatusUnauthorized {
		a.writeError(w, r, err)
		return
	}
	a.logError(r, http.StatusUnauthorized, err)
	w.Header().Set("WWW-Authenticate", davRealm)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "Sign in with your name and an app password, not the password of your account.", http.StatusUnauthorized)
}

// davTogether tells whether all that a method asks of the store is to be one
// transaction, where the store likes that: it is of those whose answers are short, and
// that take no longer than one change.
func davTogether(method string) bool {
	switch method {
	case http.MethodDelete, "MKCOL", "MOVE", "LOCK", "UNLOCK", "PROPPATCH":
		return true
	}
	return false
}

func (a *api) admitDAV(r *http.Request) (policy.Principal, error) {
	refuse := func(err error) (policy.Principal, error) { return policy.Principal{}, err }
	// Browsers keep names and passwords and send them for other sites, too.
	if err := a.guard.Check(r); err != nil {
		return refuse(cloud.UserErrorf(cloud.ErrDenied, "requests from other sites are not taken"))
	}
	if !a.DAVOverHTTP && !a.secureTransport(r) && !isLocal(r) {
		return refuse(cloud.UserErrorf(cloud.ErrDenied,
			"app passwords are taken over HTTPS only (behind a proxy: PUBLIC_URL and TRUSTED_PROXIES; DAV_ALLOW_HTTP=1 allows plain HTTP)"))
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return refuse(cloud.ErrUnauthenticated)
	}
	who, err := a.Auth.VerifyAppPassword(r.Context(), name, password)
	if err != nil {
		return refuse(err)
	}
	if peer := a.peer(r).Address; peer.IsValid() {
		who.Address = peer.String()
	}
	return who, policy.Check(who, policy.UseDAV, nil)
}
