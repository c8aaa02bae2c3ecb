package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"discordcloud/pkg/cloud"
)

const requestHeader = "X-Request-Id"

type requestKey struct{}

// requestID is the id under which a request is logged.
func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestKey{}).(string)
	return id
}

// tracked knows of a response what the log says.
type tracked struct {
	http.ResponseWriter
	status int
	route  string
}

func (t *tracked) WriteHeader(status int) {
	if t.status == 0 && status >= 200 || status == http.StatusSwitchingProtocols {
		t.status = status
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(p []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	return t.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// label says by which name of ours a request is logged: its path may hold names
// of files.
func label(w http.ResponseWriter, route string) {
	if t, ok := w.(*tracked); ok {
		t.route = route
	}
}

// wrap gives each request an id, each answer its headers, and meets panics.
func (a *api) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.requests.Add(1)
		var raw [8]byte
		_, _ = rand.Read(raw[:]) // never fails
		id := hex.EncodeToString(raw[:])
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, id))
		w.Header().Set(requestHeader, id)
		a.secure(w.Header(), r)
		t := &tracked{ResponseWriter: w}
		start := time.Now()
		defer func() {
			v := recover()
			a.log.DebugContext(r.Context(), "request", "req", id, "method", r.Method, "route", t.route,
				"status", t.status, "took", time.Since(start))
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v) // the way to break a connection
			}
			a.panics.Add(1)
			a.log.ErrorContext(r.Context(), "request panicked", "req", id, "route", t.route, "panic", v, "stack", string(debug.Stack()))
			if t.status != 0 {
				panic(http.ErrAbortHandler)
			}
			_ = writeJSON(t, http.StatusInternalServerError, errorAnswer{errorRecord{ // texts always encode
				Code: "internal", Message: "internal error", Request: id,
			}})
		}()
		next.ServeHTTP(t, r)
	})
}

// secure sets what every answer has. Handlers may replace it.
func (a *api) secure(h http.Header, r *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
	if a.secureTransport(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

const permissions = "accelerometer=(), autoplay=(self), camera=(), display-capture=(), fullscreen=(self), geolocation=(), " +
	"gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-create=(self), " +
	"publickey-credentials-get=(self), usb=()"

// allowOrigin lets pages of the configured origins use the API. Credentials are
// not among it: tokens travel in a header that the page sets.
func (a *api) allowOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !slices.Contains(a.origins, origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Disposition, Content-Range, ETag, Retry-After, "+requestHeader)
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range, If-Range, If-None-Match")
		h.Set("Access-Control-Max-Age", "7200")
	}
}

// contentSecurity is the policy of the page: its own code, and connections to us
// and to the services that are connected now.
func (a *api) contentSecurity(r *http.Request) string {
	connect := []string{"'self'"}
	if host := r.Host; plainHost(host) {
		connect = append(connect, "ws://"+host, "wss://"+host) // not all browsers count them as 'self'
	}
	if a.Services != nil {
		for _, s := range a.Services() {
			u, err := url.Parse(s.Address)
			if err != nil || (u.Scheme != "http" && u.Scheme != "https") || !plainHost(u.Host) {
				continue
			}
			if origin := u.Scheme + "://" + u.Host; !slices.Contains(connect, origin) {
				connect = append(connect, origin)
			}
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; " +
		"connect-src " + strings.Join(connect, " ") + "; font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; " +
		"frame-ancestors 'none'; require-trusted-types-for 'script'"
}

// plainHost tells a host that can stand in a header as it is.
func plainHost(s string) bool {
	if s == "" || len(s) > 260 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(".-:[]_", c) >= 0) {
			return false
		}
	}
	return true
}

// healthy answers whether the manager works.
func (a *api) healthy(ctx context.Context) error {
	if a.Health == nil {
		return nil
	}
	if err := a.Health(ctx); err != nil {
		return cloud.UserErrorf(cloud.ErrUnavailable, "not healthy")
	}
	return nil
}
