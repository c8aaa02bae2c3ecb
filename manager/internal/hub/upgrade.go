package hub

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/coder/websocket"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// refusal is an error with the status that an upgrade is answered with.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, cloud.UserErrorf(cloud.ErrInvalid, format, args...)}
}

// statusOf is the status for an error: the refusal's own, else by its kind.
func statusOf(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	switch cloud.KindOf(err) {
	case cloud.ErrUnauthenticated:
		return http.StatusUnauthorized
	case cloud.ErrDenied, cloud.ErrNotFound:
		return http.StatusForbidden
	case cloud.ErrInvalid:
		return http.StatusBadRequest
	case cloud.ErrLimited:
		return http.StatusTooManyRequests
	case cloud.ErrUnavailable, cloud.ErrShutdown:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// ServeHTTP upgrades a request to a socket, on whatever path it came, and serves
// it to its end. Who may not in is told why as JSON.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.serve(w, r); err != nil {
		status := statusOf(err)
		switch {
		case r.Context().Err() != nil:
			h.Log.DebugContext(r.Context(), "upgrade ended by its sender")
		case status == http.StatusInternalServerError:
			h.Log.ErrorContext(r.Context(), "upgrade failed", "err", err)
		default:
			h.Log.DebugContext(r.Context(), "upgrade refused", "status", status, "err", err)
		}
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "no-store")
		if status == http.StatusUpgradeRequired {
			header.Set("Connection", "Upgrade")
			header.Set("Upgrade", "websocket")
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{ // the peer may be gone
			"error": map[string]string{"code": cloud.CodeOf(err), "message": cloud.TextOf(err)},
		})
	}
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet || !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket") {
		return refuse(http.StatusUpgradeRequired, "only WebSockets are served here")
	}
	q := r.URL.Query()
	version, err := versionOf(q.Get("v"))
	if err != nil {
		return err
	}
	switch q.Get("type") {
	case "client":
		err = h.serveClient(w, r, q, version)
	case packet.ServiceUpload:
		err = h.serveService(w, r, q, version, policy.UploadService)
	case packet.ServiceThumbnail:
		err = h.serveService(w, r, q, version, policy.ThumbnailService)
	default:
		err = refuse(http.StatusBadRequest, "type must be client, upload or thumbnail")
	}
	return err
}

func versionOf(v string) (packet.Version, error) {
	switch v {
	case "", "1":
		return packet.V1, nil
	case "2":
		return packet.V2, nil
	}
	return 0, refuse(http.StatusBadRequest, "this manager speaks the versions 1 and 2")
}

// hasToken tells whether a header has a token among its comma-separated values.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// bearer is the token of the Authorization header, "" if there is none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// signIn tells who a client is. Version 1 has the token in the query; version 2
// has a ticket there, or the token in a header, where no page can put it.
func (h *Hub) signIn(ctx context.Context, r *http.Request, q url.Values, v packet.Version) (policy.Principal, error) {
	if v == packet.V1 {
		if !h.LegacyQueryAuth {
			return policy.Principal{}, refuse(http.StatusGone, "tokens in addresses are not taken here: connect with v=2 and a ticket")
		}
		return h.Auth.Verify(ctx, q.Get("key"))
	}
	if !h.sameOrigin(r) {
		return policy.Principal{}, refuse(http.StatusForbidden, "pages of this origin may not connect")
	}
	if token := bearer(r); token != "" {
		return h.Auth.Verify(ctx, token)
	}
	return h.Auth.RedeemTicket(ctx, q.Get("ticket"), auth.Socket)
}

func (h *Hub) serveClient(w http.ResponseWriter, r *http.Request, q url.Values, v packet.Version) error {
	who, err := h.signIn(r.Context(), r, q, v)
	if err != nil {
		return err
	}
	if err := policy.Check(who, policy.Connect, nil); err != nil {
		return err
	}
	peer := h.peerOf(r)
	if peer.IsValid() {
		who.Address = peer.String()
	}
	c := &client{hub: h, who: who, version: v, peer: peer, base: h.baseOf(r)}
	if err := h.admit(c); err != nil {
		return err
	}
	defer h.dismiss(c)
	if c.conn = h.accept(w, r, packet.C2S, v); c.conn != nil {
		c.run(r.Context())
	}
	return nil
}

// serveService serves a service. It is kept apart from clients by its password:
// no token opens this door, and the password opens no other.
func (h *Hub) serveService(w http.ResponseWriter, r *http.Request, q url.Values, v packet.Version, role policy.Role) error {
	if err := h.checkPassword(r, q); err != nil {
		return err
	}
	if err := policy.Check(policy.Principal{Role: role}, policy.Serve, nil); err != nil {
		return err
	}
	if v < packet.V2 {
		return refuse(http.StatusUpgradeRequired,
			"services of version 1 are not served: they would need the key of everything. Use one that connects with v=2")
	}
	capacity, address, name := 1, q.Get("address"), q.Get("name")
	if role == policy.UploadService {
		if err := h.checkAddress(address); err != nil {
			return err
		}
		name = address
	}
	if name == "" {
		name = h.peerOf(r).String()
	}
	for _, text := range []string{name, q.Get("version")} {
		if len(text) > 2048 || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
			return refuse(http.StatusBadRequest, "name and version are text to print")
		}
	}
	if err := h.Dispatch.Admits(r.Context(), role, name); err != nil {
		return err
	}
	if s := q.Get("capacity"); s != "" {
		var err error
		if capacity, err = strconv.Atoi(s); err != nil || capacity < 1 || capacity > dispatch.MaxCapacity {
			return refuse(http.StatusBadRequest, "capacity is a number from 1 to %d", dispatch.MaxCapacity)
		}
	}
	from := packet.U2S
	if role == policy.ThumbnailService {
		from = packet.T2S
	}
	if !h.admitService() {
		return errStopping
	}
	defer h.running.Done()
	if conn := h.accept(w, r, from, v); conn != nil {
		h.runService(r.Context(), conn, dispatch.ServiceOptions{
			Role: role, Address: address, Name: name, Version: q.Get("version"), Peer: h.peerOf(r).String(), Capacity: capacity,
		})
	}
	return nil
}

// checkPassword lets those in who know the password of the services. Strangers
// have few guesses; whoever comes directly from this machine is none, and must
// not be locked out by those who come through a proxy on it.
func (h *Hub) checkPassword(r *http.Request, q url.Values) error {
	peer, direct := h.peerOf(r), isDirect(r)
	if !direct && !h.refusals.allowed(peer) {
		return cloud.UserErrorf(cloud.ErrLimited, "too many wrong passwords; wait a minute")
	}
	password := bearer(r)
	if password == "" {
		password = q.Get("key")
	}
	given := sha256.Sum256([]byte(password))
	if h.ServicePassword == "" || subtle.ConstantTimeCompare(given[:], h.password[:]) != 1 {
		if !direct {
			h.refusals.count(peer)
		}
		return fmt.Errorf("service password: %w", cloud.ErrUnauthenticated)
	}
	return nil
}

// checkAddress takes the address of a service, under which browsers reach it: an
// absolute URL, or the path of a mount on this manager.
func (h *Hub) checkAddress(address string) error {
	if slices.Contains(h.Mounts, address) && strings.HasPrefix(address, "/") {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(address) > 2048 {
		return refuse(http.StatusBadRequest, "address must be an http or https URL, or a path that this manager serves")
	}
	return nil
}

// accept completes the handshake, nil if it fails.
func (h *Hub) accept(w http.ResponseWriter, r *http.Request, from packet.Namespace, v packet.Version) *packet.Conn {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // sameOrigin decides, where it matters
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		h.Log.DebugContext(r.Context(), "handshake failed", "err", err) // Accept has answered
		return nil
	}
	o := h.Packets
	o.From, o.Version, o.Log = from, v, h.Log
	if from == packet.C2S {
		o.Handlers = 1 // the client itself spreads what need not be in order
		if o.Rate == 0 {
			o.Rate, o.Burst = 100, 200
		}
	}
	return packet.NewConn(ws, o)
}
