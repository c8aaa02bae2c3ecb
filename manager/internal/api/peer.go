package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"discordcloud/manager/internal/auth"
)

// peer is where a request came from. Only a trusted proxy is believed when it
// names somebody else; of the names in X-Forwarded-For the last that is not such
// a proxy itself counts.
func (a *api) peer(r *http.Request) auth.Peer {
	p := auth.Peer{Agent: r.UserAgent()}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return p
	}
	p.Address = at.Addr().Unmap()
	if !a.trusted(p.Address) {
		return p
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return p // whoever wrote that, what is before it is no better
		}
		p.Address = hop.Unmap()
		if !a.trusted(p.Address) {
			return p
		}
	}
	return p
}

func parseProxy(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	return prefix.Masked(), err
}

func (a *api) trusted(addr netip.Addr) bool {
	for _, prefix := range a.proxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// secureTransport tells whether the way to the browser is TLS, as far as we know.
func (a *api) secureTransport(r *http.Request) bool {
	if r.TLS != nil || strings.HasPrefix(a.PublicURL, "https:") {
		return true
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.trusted(at.Addr().Unmap()) && r.Header.Get("X-Forwarded-Proto") == "https"
}

// isLocal tells that somebody on this very machine asks, and nobody through him:
// no proxy, no name that only resolves to this machine (DNS rebinding), no page
// of another site in his browser.
func isLocal(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !at.Addr().Unmap().IsLoopback() || !loopbackHost(r.Host) {
		return false
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return err == nil && loopbackHost(u.Host)
	}
	return true
}

func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
