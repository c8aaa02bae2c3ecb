// Package api is what the manager's port answers over HTTP: our JSON interface
// below /api, the routes of version 1 at the root, the page, and the way to what
// others serve on the same port (sockets, upload handlers). It turns requests
// into calls of auth, vfs and serve, and errors into answers; it decides nothing
// itself: each route names an action of package policy, and New panics over one
// that does not.
package api

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/gc"
	"discordcloud/manager/internal/mail"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/serve"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/manager/internal/vfs"
)

// Options are what the port stands on. Auth, FS and Bus are needed.
type Options struct {
	Auth *auth.Service
	FS   *vfs.FS
	Bus  *event.Bus // tells when sessions end, and with them what they carry
	// Thumbs gives previews, and the services that make them what they need; nil
	// is without.
	Thumbs *thumbs.Thumbs
	// Sockets gets each websocket upgrade, whatever its path, except below a
	// mount.
	Sockets http.Handler
	// Mounts are handlers by their path ("/upload/1"), which they get whole.
	Mounts map[string]http.Handler
	// Put stores a file that comes by a link: dispatch's. nil takes none.
	Put func(context.Context, policy.Principal, dispatch.PutRequest) (meta.Finished, error)
	// DAV answers below /dav on behalf of the holders of app passwords, unless admit,
	// which it may call several times, fails: dav.Handler's Serve. nil is nothing there.
	DAV func(w http.ResponseWriter, r *http.Request, admit func(context.Context) (policy.Principal, error)) error
	// DAVOverHTTP takes app passwords over plain HTTP from other machines too.
	DAVOverHTTP bool
	// Page holds the built page: index.html and assets/. Without an index.html
	// there is none.
	Page fs.FS
	// Health tells whether the manager works; nil is always.
	Health func(context.Context) error
	// Services lists what is connected; nil is nothing.
	Services func() []ServiceInfo
	// Mail is how the mail goes; nil is without.
	Mail *mail.Mailer
	// Dispatch knows more of services, and what they may do; nil knows none.
	Dispatch *dispatch.Dispatcher
	// System tells what the manager stands on; nil is nothing.
	System func() System
	// Reaches tells what is wrong with the way to Discord, in a word and for
	// people; "" for nothing. nil is nothing, too.
	Reaches func() (problem, detail string)
	// Retention is what the store keeps, as the answers tell of it.
	Retention meta.Retention
	// Expiry and Collector work in the background; nil is without.
	Expiry    *gc.Expiry
	Collector *gc.Collector
	// Debug gives the state of parts by their name, for administrators.
	Debug map[string]func() any
	// LegacyQueryAuth lets clients of version 1 sign in by GET, and show tokens
	// in queries.
	LegacyQueryAuth bool
	// PublicURL is under which address people reach us, "" if it is not known.
	PublicURL string
	// PageOrigins may use /api from pages of their own: exact origins.
	PageOrigins []string
	// TrustedProxies, as addresses or prefixes ("10.0.0.0/8"), may say on whose
	// behalf they ask (X-Forwarded-*).
	TrustedProxies []string
	// BodyTime is how long the body of a request below /api may take; 0 is 30 s.
	BodyTime time.Duration
	Log      *slog.Logger // nil is silent
	Version  string
}

// ServiceInfo is a connected service as its users may see it.
type ServiceInfo struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Address  string `json:"address"` // absolute, or a path on this port; "" if clients do not call it
	Busy     int    `json:"busy"`
	Capacity int    `json:"capacity"`
	// Quarantined is a service that has lied about what it stored: it is given
	// nothing any more.
	Quarantined bool `json:"quarantined,omitempty"`
	// Lacks names programs that a thumbnail service has not found.
	Lacks string `json:"lacks,omitempty"`
}

type api struct {
	Options
	log     *slog.Logger
	sender  serve.Sender
	mux     *http.ServeMux    // below /api
	v1      map[string]*route // by lower-case path
	page    *page
	guard   *http.CrossOriginProtection
	origins []string // of pages
	proxies []netip.Prefix
	rates   *rates
	zips    counts

	requests, panics atomic.Int64
}

// New makes the handler of the port. It panics over a route that names no action
// of the policy. An origin or a proxy that is none is logged, and not trusted.
func New(o Options) http.Handler {
	a := &api{Options: o, log: o.Log, rates: newRates(), guard: http.NewCrossOriginProtection()}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.sender.Log = a.log
	if a.BodyTime <= 0 {
		a.BodyTime = 30 * time.Second
	}
	if u, err := url.Parse(o.PublicURL); err == nil && u.Host != "" {
		if err := a.guard.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			a.log.Error("the public address is no origin", "err", err)
		}
	}
	for _, origin := range o.PageOrigins {
		if err := a.guard.AddTrustedOrigin(origin); err != nil {
			a.log.Error("not an origin of pages", "origin", origin, "err", err)
			continue
		}
		a.origins = append(a.origins, origin)
	}
	for _, text := range o.TrustedProxies {
		prefix, err := parseProxy(text)
		if err != nil {
			a.log.Error("not a proxy's address", "proxy", text, "err", err)
			continue
		}
		a.proxies = append(a.proxies, prefix)
	}
	a.page = newPage(o.Page)
	a.mux = http.NewServeMux()
	a.v1 = map[string]*route{}
	for _, rt := range a.routes() {
		rt.mustBeKnown()
		a.mux.Handle(rt.method+" "+rt.path, a.serveRoute(&rt))
	}
	for _, rt := range a.routesV1() {
		rt.mustBeKnown()
		a.v1[rt.path] = &rt
	}
	return a.wrap(http.HandlerFunc(a.dispatch))
}

// dispatch finds who answers. Paths are taken as they come, decoded once.
func (a *api) dispatch(w http.ResponseWriter, r *http.Request) {
	mount := a.mount(r.URL.Path)
	switch {
	case mount == nil && isUpgrade(r) && a.Sockets != nil:
		label(w, "socket")
		a.Sockets.ServeHTTP(w, r)
	case isDAV(r):
		a.serveDAV(w, r)
	case r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/"):
		a.serveAPI(w, r)
	case isLinkAsset(r.URL.Path):
		a.serveAPI(w, r)
	case a.v1[pathV1(r.URL.Path)] != nil:
		a.serveV1(w, r, a.v1[pathV1(r.URL.Path)])
	case mount != nil:
		label(w, "mount")
		mount.ServeHTTP(w, r)
	default:
		label(w, "page")
		a.servePage(w, r)
	}
}

func (a *api) mount(path string) http.Handler {
	for at := path; at != "" && at != "/"; at = at[:strings.LastIndexByte(at, '/')] {
		if h := a.Mounts[at]; h != nil {
			return h
		}
		if !strings.Contains(at, "/") {
			break
		}
	}
	return nil
}

// isUpgrade tells a websocket's opening handshake (RFC 6455 §4.1).
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && hasToken(r.Header.Values("Connection"), "upgrade") &&
		hasToken(r.Header.Values("Upgrade"), "websocket")
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
