package hub_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/hub"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/packet"
)

// refused dials and gives the status of the refusal.
func (w *world) refused(query string, header http.Header) (status int, code string) {
	w.t.Helper()
	ws, resp, err := websocket.Dial(w.t.Context(), w.url(query), &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		_ = ws.CloseNow()
		return http.StatusSwitchingProtocols, ""
	}
	if resp == nil {
		w.t.Fatal(err)
	}
	var body struct {
		Error struct{ Code, Message string }
	}
	raw, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(raw, &body); err != nil || body.Error.Message == "" {
		w.t.Errorf("%s: refused with %s", query, raw)
	}
	for _, secret := range []string{password, "key=", "ticket="} {
		if strings.Contains(string(raw), secret) {
			w.t.Errorf("the refusal repeats %q", secret)
		}
	}
	return resp.StatusCode, body.Error.Code
}

func TestUpgrade(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	ended := w.signIn(u.User)
	if err := w.auth.Logout(t.Context(), ended.Principal); err != nil {
		t.Fatal(err)
	}
	ticket := func(purpose auth.Purpose) string {
		k, err := w.auth.IssueTicket(t.Context(), u.Principal, purpose, 0)
		if err != nil {
			t.Fatal(err)
		}
		return k.Text
	}
	used := ticket(auth.Socket)
	w.dial(packet.V2, "type=client&v=2&ticket="+used, nil)
	parts := strings.Split(u.token, ".")
	bearer := func(s string) http.Header { return http.Header{"Authorization": {"Bearer " + s}} }
	pw := "key=" + url.QueryEscape(password)
	const addr = "&address=http%3A%2F%2Fx.example"

	for _, x := range []struct {
		name   string
		query  string
		header http.Header
		want   int
	}{
		{"v1", "type=client&key=" + u.token, nil, 101},
		{"the first of two keys counts", "type=client&other=1&key=" + u.token + "&key=x", nil, 101},
		{"nothing", "", nil, 400},
		{"another type", "type=admin&key=" + u.token, nil, 400},
		{"another version", "type=client&v=3&key=" + u.token, nil, 400},
		{"no key", "type=client", nil, 401},
		{"a forged token", "type=client&key=" + parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), nil, 401},
		{"a token of a session that has ended", "type=client&key=" + ended.token, nil, 401},
		{"the services' password as a user", "type=client&" + pw, nil, 401},
		{"a token in the query of version 2", "type=client&v=2&key=" + u.token, nil, 401},
		{"a ticket", "type=client&v=2&ticket=" + ticket(auth.Socket), nil, 101},
		{"a ticket that was used", "type=client&v=2&ticket=" + used, nil, 401},
		{"a ticket for a download", "type=client&v=2&ticket=" + ticket(auth.Download), nil, 401},
		{"a ticket as a key", "type=client&key=" + ticket(auth.Socket), nil, 401},
		{"a token in a header", "type=client&v=2", bearer(u.token), 101},
		{"an upload service", "type=upload&v=2" + addr, bearer(password), 101},
		{"its password in the query", "type=upload&v=2&" + pw + addr, nil, 101},
		{"a thumbnail service", "type=thumbnail&v=2&" + pw, nil, 101},
		{"a service of version 1", "type=upload&" + pw + addr, nil, 426},
		{"a thumbnail service of version 1", "type=thumbnail&" + pw, nil, 426},
		{"a wrong password", "type=upload&v=2&key=x" + addr, nil, 401},
		{"no password", "type=upload&v=2" + addr, nil, 401},
		{"a user's token as a service", "type=upload&v=2" + addr, bearer(u.token), 401},
		{"no address", "type=upload&v=2&" + pw, nil, 400},
		{"an address that is none", "type=upload&v=2&address=javascript%3Aalert(1)&" + pw, nil, 400},
		{"an address with a password", "type=upload&v=2&address=http%3A%2F%2Fa%3Ab%40x.example&" + pw, nil, 400},
		{"the path of a mount", "type=upload&v=2&address=/upload/1&" + pw, nil, 101},
		{"a path that is no mount", "type=upload&v=2&address=/upload/2&" + pw, nil, 400},
		{"capacity 0", "type=upload&v=2&capacity=0&" + pw + addr, nil, 400},
		{"capacity x", "type=upload&v=2&capacity=x&" + pw + addr, nil, 400},
	} {
		if got, _ := w.refused(x.query, x.header); got != x.want {
			t.Errorf("%s: %d, want %d", x.name, got, x.want)
		}
	}
}

func TestUpgrade_NoSocket(t *testing.T) {
	w := newWorld(t)
	resp, err := http.Get(w.server.URL + "/?type=client")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusUpgradeRequired || resp.Header.Get("Upgrade") != "websocket" {
		t.Errorf("got %d, %v", resp.StatusCode, resp.Header)
	}
}

// A page of another origin cannot connect by what its visitor has; version 1 has
// its key in the query, which no page of another origin knows.
func TestUpgrade_Origin(t *testing.T) {
	w := newWorld(t, func(_ *dispatch.Options, h *hub.Options) {
		h.PageOrigins = []string{"https://cloud.example"}
		h.PublicURL = "https://files.example/"
	})
	u := w.user("ada")
	for origin, want := range map[string]int{
		w.server.URL:                 101,
		"https://cloud.example":      101,
		"https://files.example":      101,
		"http://files.example":       403,
		"https://cloud.example.evil": 403,
		"https://evilcloud.example":  403,
		"https://evil":               403,
		"null":                       403,
		"":                           403,
	} {
		header := http.Header{"Authorization": {"Bearer " + u.token}, "Origin": {origin}}
		if got, _ := w.refused("type=client&v=2", header); got != want {
			t.Errorf("version 2 from %q: %d, want %d", origin, got, want)
		}
		if got, _ := w.refused("type=client&key="+u.token, http.Header{"Origin": {origin}}); got != 101 {
			t.Errorf("version 1 from %q: %d", origin, got)
		}
	}
}

func TestUpgrade_Limits(t *testing.T) {
	w := newWorld(t, func(_ *dispatch.Options, h *hub.Options) {
		h.MaxSocketsPerUser, h.MaxSocketsPerAddress, h.MaxRefusals = 2, 2, 2
		h.TrustedProxies = []string{"127.0.0.0/8"}
	})
	ada, bob, eve := w.user("ada"), w.user("bob"), w.user("eve")
	first := w.v1(ada)
	w.v2(ada)
	if got, code := w.refused("type=client&key="+ada.token, nil); got != 429 || code != "limited" {
		t.Errorf("a third socket of a user: %d %s", got, code)
	}
	first.close()
	w.eventually("there is room again", func() bool {
		got, _ := w.refused("type=client&key="+ada.token, nil)
		return got == 101
	})

	from := func(address string) http.Header { return http.Header{"X-Forwarded-For": {"9.9.9.9, " + address}} }
	w.dial(packet.V1, "type=client&key="+bob.token, from("1.2.3.4"))
	w.dial(packet.V1, "type=client&key="+bob.token, from("1.2.3.4, 127.0.0.5"))
	if got, _ := w.refused("type=client&key="+eve.token, from("1.2.3.4")); got != 429 {
		t.Errorf("a third of an address: %d", got)
	}
	if got, _ := w.refused("type=client&key="+eve.token, from("1.2.3.5")); got != 101 {
		t.Errorf("of another address: %d", got)
	}

	for range 2 {
		if got, _ := w.refused("type=upload&v=2&address=/upload/1&key=x", from("6.6.6.6")); got != 401 {
			t.Errorf("a wrong password: %d", got)
		}
	}
	right := "type=upload&v=2&address=/upload/1&key=" + url.QueryEscape(password)
	if got, _ := w.refused(right, from("6.6.6.6")); got != 429 {
		t.Errorf("one that keeps guessing: %d", got)
	}
	for range 3 {
		w.refused("type=upload&v=2&address=/upload/1&key=x", nil)
	}
	if got, _ := w.refused(right, nil); got != 101 {
		t.Errorf("a service on this machine: %d", got)
	}
}

// A message that is small on the wire cannot become a large one.
func TestUpgrade_NoCompression(t *testing.T) {
	w := newWorld(t)
	ws, resp, err := websocket.Dial(t.Context(), w.url("type=client&key="+w.user("ada").token),
		&websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	_ = ws.CloseNow()
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("agreed on %q", got)
	}
}

func TestUpgrade_LegacyOff(t *testing.T) {
	w := newWorld(t, func(_ *dispatch.Options, h *hub.Options) { h.LegacyQueryAuth = false })
	u := w.user("ada")
	if got, _ := w.refused("type=client&key="+u.token, nil); got != http.StatusGone {
		t.Errorf("got %d", got)
	}
	w.v2(u).quiet()
}

// A service in this process is reached under the address by which its client
// reached the manager.
func TestAddress(t *testing.T) {
	for _, x := range []struct {
		public, host, proto string
		trusted             []string
		want                string
	}{
		{"", "", "", nil, "http://HOST/upload/1"},
		{"", "cloud.lan:8080", "", nil, "http://cloud.lan:8080/upload/1"},
		{"https://c.example/", "cloud.lan", "", nil, "https://c.example/upload/1"},
		{"", "cloud.lan", "https", nil, "http://cloud.lan/upload/1"},
		{"", "cloud.lan", "https", []string{"10.0.0.0/8", "nonsense"}, "http://cloud.lan/upload/1"},
		{"", "cloud.lan", "https", []string{"127.0.0.1"}, "https://proxied.example/upload/1"},
	} {
		w := newWorld(t, func(_ *dispatch.Options, h *hub.Options) { h.PublicURL, h.TrustedProxies = x.public, x.trusted })
		header := http.Header{}
		if x.proto != "" {
			header = http.Header{"X-Forwarded-Proto": {x.proto}, "X-Forwarded-Host": {"proxied.example"}, "X-Forwarded-For": {"1.2.3.4"}}
		}
		w.service(1, func(s *service) { s.addr = "/upload/1" })
		u := w.user("ada")
		ws, _, err := websocket.Dial(t.Context(), w.url("type=client&key="+u.token), &websocket.DialOptions{HTTPHeader: header, Host: x.host})
		if err != nil {
			t.Fatal(err)
		}
		_, raw, err := ws.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = ws.CloseNow()
		e, err := packet.Decode(raw, packet.S2C, packet.V1)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(x.want, "HOST", strings.TrimPrefix(w.server.URL, "http://"))
		if p := e.Data.(packet.ServiceRegistry); p.Address != want || p.Action != packet.RegistryList {
			t.Errorf("%+v: got %+v, want %s", x, p, want)
		}
	}
}

// Sockets end with their session, at once: version 2 is told why.
func TestSignOut(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	second := w.signIn(u.User)
	bob := w.user("bob")
	old, c, stays, other := w.v1(u), w.v2(u), w.v1(second), w.v2(bob)

	if err := w.auth.Logout(t.Context(), u.Principal); err != nil {
		t.Fatal(err)
	}
	if p := expect[packet.SignedOut](c); p.Reason == "" {
		t.Errorf("got %+v", p)
	}
	if got := c.ended(); got != websocket.StatusNormalClosure {
		t.Errorf("version 2 ended with %d", got)
	}
	if got := old.ended(); got != websocket.StatusNormalClosure {
		t.Errorf("version 1 ended with %d", got)
	}
	stays.quiet()

	if err := w.auth.SetPassword(t.Context(), policy.Principal{}, u.ID, "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	if got := stays.ended(); got != websocket.StatusNormalClosure {
		t.Errorf("after a new password: %d", got)
	}
	other.quiet()
}

// A session that ends without a word is found out.
func TestSignOut_Silent(t *testing.T) {
	w := newWorld(t, func(_ *dispatch.Options, h *hub.Options) { h.CheckSessions = 1e6 })
	u := w.user("ada")
	c := w.v2(u)
	if err := w.store.DeleteSession(t.Context(), u.ID, u.Session); err != nil {
		t.Fatal(err)
	}
	expect[packet.SignedOut](c)
	if got := c.ended(); got != websocket.StatusNormalClosure {
		t.Errorf("ended with %d", got)
	}
}

func TestStop(t *testing.T) {
	w := newWorld(t)
	s := w.service(1)
	c := w.v1(w.user("ada"))
	w.stop()
	if got := c.ended(); got != websocket.StatusGoingAway {
		t.Errorf("the client's connection ended with %d", got)
	}
	err := <-s.done
	s.done <- err
	if err != nil {
		t.Errorf("the service's connection ended with %v", err)
	}
}

// Who has gone before he was let in is no error.
func TestUpgrade_gone(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", w.url("type=client&key="+w.user("ada").token), nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	w.hub.ServeHTTP(httptest.NewRecorder(), r)
	if log := w.log.String(); strings.Contains(log, "level=ERROR") || !strings.Contains(log, "upgrade ended by its sender") {
		t.Errorf("the log says\n%s", log)
	}
}
