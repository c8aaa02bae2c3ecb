package hub

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// peerOf is the address that a request came from: the peer's, or what a trusted
// proxy says.
func (h *Hub) peerOf(r *http.Request) netip.Addr {
	addr := remote(r)
	if !h.trusted(addr) {
		return addr
	}
	// From the right: what stands left of the first untrusted hop was said by it.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = next.Unmap()
		if !h.trusted(addr) {
			break
		}
	}
	return addr
}

func remote(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// isDirect tells that a request came from this machine, and through nobody as far
// as it says.
func isDirect(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return remote(r).IsLoopback()
}

func (h *Hub) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(h.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseProxy reads an address or a prefix.
func parseProxy(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// baseOf is scheme and host under which the client reaches the manager.
func (h *Hub) baseOf(r *http.Request) string {
	if h.PublicURL != "" {
		return strings.TrimRight(h.PublicURL, "/")
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if h.trusted(remote(r)) {
		if s := first(r.Header.Get("X-Forwarded-Proto")); s == "http" || s == "https" {
			scheme = s
		}
		if s := first(r.Header.Get("X-Forwarded-Host")); s != "" {
			host = s
		}
	}
	return scheme + "://" + host
}

func first(list string) string {
	s, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(s)
}

// sameOrigin tells whether a page may connect: one of the manager's own, or of a
// configured origin. Who is no page sends no Origin.
func (h *Hub) sameOrigin(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	origin := values[0]
	if slices.Contains(h.PageOrigins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	base, err := url.Parse(h.baseOf(r))
	return err == nil && strings.EqualFold(u.Host, base.Host) && u.Scheme == base.Scheme
}

// refusals counts wrong passwords, so that they are not guessed.
type refusals struct {
	max int
	mu  sync.Mutex
	by  map[netip.Addr]int
}

// maxRefused bounds the addresses that are counted.
const maxRefused = 1 << 16

func (f *refusals) allowed(a netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.by[a] < f.max
}

func (f *refusals) count(a netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.by) < maxRefused {
		f.by[a]++
	}
}

// forget begins a new minute.
func (f *refusals) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.by)
}
