package api_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/api"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/memblob"
	"discordcloud/pkg/cloud"
)

func TestPage(t *testing.T) {
	w := open(t, nil)
	for _, path := range []string{"/", "/files", "/files/", "/files/a/b%2Fc"} {
		a := want(t, w.get(t, path), 200)
		if string(a.body) != string(page["index.html"].Data) || a.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", path, a.header)
		}
		want(t, w.get(t, path, "If-None-Match", a.header.Get("ETag")), 304)
		if head := want(t, w.ask(t, "HEAD", path, "", nil), 200); len(head.body) != 0 {
			t.Errorf("HEAD %s has a body", path)
		}
		csp := a.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'; script-src 'self'; style-src 'self'; ", "frame-ancestors 'none'; require-trusted-types-for 'script'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: policy %s", path, csp)
			}
		}
	}
	a := want(t, w.get(t, "/assets/app-1234.js"), 200)
	if a.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("asset: %v", a.header)
	}
	for accept, coding := range map[string]string{"gzip, br": "gzip", "br, GZIP;q=0.5": "gzip", "gzip;q=0.0": "", "br": "", "identity": ""} {
		a := want(t, w.get(t, "/assets/big-56.js", "Accept-Encoding", accept), 200)
		if (string(a.body) == "in gzip") != (coding == "gzip") || a.header.Get("Content-Encoding") != coding ||
			a.header.Get("Vary") != "Accept-Encoding" || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("accepting %q: %q, %v", accept, a.body, a.header)
		}
	}
	if a := want(t, w.get(t, "/assets/big-56.js", "Accept-Encoding", "gzip", "Range", "bytes=0-5"), 206); string(a.body) != "export" {
		t.Errorf("a range of what is compressed: %q", a.body)
	}
	if a := want(t, w.get(t, "/favicon.svg"), 200); a.header.Get("Content-Type") != "image/svg+xml" || a.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("icon: %v", a.header)
	}
	want(t, w.ask(t, "POST", "/", "", nil), 404)
	want(t, w.get(t, "/index.html"), 301)
	unbuilt := open(t, func(o *api.Options) { o.Page = nil })
	want(t, unbuilt.get(t, "/"), 404)
	want(t, unbuilt.get(t, "/assets/x"), 404)
}

func TestHeaders(t *testing.T) {
	w := open(t, nil)
	secure := open(t, func(o *api.Options) { o.PublicURL = "https://cloud.example" })
	for _, path := range []string{"/", "/health", "/api/status", "/none", "/assets/app-1234.js", "/api/none"} {
		a := w.get(t, path)
		for k, v := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "",
		} {
			if got := a.header.Get(k); got != v {
				t.Errorf("%s: %s = %q, want %q", path, k, got, v)
			}
		}
		for _, k := range []string{"Content-Security-Policy", "Permissions-Policy", "X-Request-Id"} {
			if a.header.Get(k) == "" {
				t.Errorf("%s: no %s", path, k)
			}
		}
		if secure.get(t, path).header.Get("Strict-Transport-Security") != "max-age=31536000" {
			t.Errorf("%s: no HSTS behind TLS", path)
		}
	}
	if csp := w.get(t, "/", "Host", "evil.example;script-src *").header.Get("Content-Security-Policy"); strings.Contains(csp, "evil") {
		t.Errorf("the Host got into the policy: %s", csp)
	}
}

func TestOrigins(t *testing.T) {
	w := open(t, func(o *api.Options) { o.PageOrigins = []string{"https://page.example", "not an origin"} })
	ada := w.person(t, "ada")
	in := record{"username": "ada", "password": password}
	for origin, allowed := range map[string]bool{
		"https://page.example": true, "null": false, "https://page.example.evil": false, "https://evil-page.example": false,
		"http://page.example": false, "https://page.example:8443": false, "https://PAGE.example": false, "not an origin": false,
	} {
		pre := want(t, w.ask(t, "OPTIONS", "/api/me", "", nil, "Origin", origin, "Access-Control-Request-Method", "GET"), 204)
		got := pre.header.Get("Access-Control-Allow-Origin")
		if (got == origin) != allowed || !allowed && got != "" || pre.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight from %s: %v", origin, pre.header)
		}
		a := w.ask(t, "POST", "/api/login", "", in, "Origin", origin, "Sec-Fetch-Site", "cross-site")
		if (a.status == 200) != allowed {
			t.Errorf("login from %s: %d", origin, a.status)
		}
	}
	want(t, w.ask(t, "POST", "/api/login", "", in, "Origin", w.srv.URL), 200)
	want(t, w.ask(t, "POST", "/api/login", "", in, "Sec-Fetch-Site", "same-origin"), 200)
	want(t, w.ask(t, "POST", "/api/login", "", in, "Sec-Fetch-Site", "cross-site"), 403)
	want(t, w.ask(t, "POST", "/api/login", "", in, "Origin", "https://evil.example"), 403)
	if a := want(t, w.ask(t, "GET", "/api/me", ada.token, nil, "Origin", "https://evil.example"), 200); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page elsewhere may read it: %v", a.header)
	}
}

func TestRate(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	// As fast as they go, until one too many came within a second or so.
	exceed := func(name string, ask func() answer, status int) {
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
			switch a := ask(); {
			case a.status == 429 && a.header.Get("Retry-After") == "1":
				return
			case a.status != status:
				t.Fatalf("%s: status %d: %s", name, a.status, a.body)
			}
		}
		t.Errorf("%s: no limit", name)
	}
	exceed("a session", func() answer { return w.ask(t, "GET", "/api/me", ada.token, nil) }, 200)
	exceed("a session, version 1", func() answer { return w.get(t, "/token-status?token="+ada.token) }, 200)
	exceed("an address with wrong tokens", func() answer { return w.ask(t, "GET", "/api/me", "guess", nil) }, 401)
	exceed("an address, version 1", func() answer { return w.get(t, "/signed-download?q=guess") }, 400)
	want(t, w.ask(t, "GET", "/api/me", bob.token, nil), 200)
	want(t, w.get(t, "/token-status?token="+bob.token), 200)
}

func TestProxies(t *testing.T) {
	address := func(w *world, header ...string) string {
		t.Helper()
		in := want(t, w.ask(t, "POST", "/api/login", "", record{"username": "ada", "password": password}, header...), 200).json(t)
		list := want(t, w.ask(t, "GET", "/api/sessions", in["token"].(string), nil), 200).json(t)["sessions"].([]any)
		for _, s := range list {
			if s.(record)["current"] == true {
				return s.(record)["address"].(string)
			}
		}
		return ""
	}
	w := open(t, nil)
	w.person(t, "ada")
	if got := address(w, "X-Forwarded-For", "192.0.2.1"); got != "127.0.0.1" {
		t.Errorf("an unknown proxy is believed: %s", got)
	}
	w = open(t, func(o *api.Options) { o.TrustedProxies = []string{"127.0.0.1", "10.0.0.0/8", "nonsense"} })
	w.person(t, "ada")
	for header, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "203.0.113.5, 192.0.2.1, 10.1.2.3": "192.0.2.1", "192.0.2.1, nonsense": "127.0.0.1", "": "127.0.0.1",
		"10.1.2.3": "10.1.2.3", "::ffff:192.0.2.1": "192.0.2.1",
	} {
		if got := address(w, "X-Forwarded-For", header); got != want {
			t.Errorf("X-Forwarded-For %q: %s, want %s", header, got, want)
		}
	}
	if a := w.get(t, "/", "X-Forwarded-Proto", "https"); a.header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS behind a proxy with TLS")
	}
}

func TestDispatch(t *testing.T) {
	named := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name, " ", r.URL.Path) })
	}
	w := open(t, func(o *api.Options) {
		o.Sockets = named("socket")
		o.Mounts = map[string]http.Handler{"/upload/1": named("one"), "/upload/2": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boo") })}
	})
	upgrade := []string{"Connection", "keep-alive, Upgrade", "Upgrade", "websocket"}
	for path, want := range map[string]string{"/": "socket /", "/api/me": "socket /api/me", "/login": "socket /login", "/x/y": "socket /x/y", "/upload/1": "one /upload/1"} {
		if a := w.get(t, path, upgrade...); string(a.body) != want {
			t.Errorf("upgrade on %s goes to %q, want %q", path, a.body, want)
		}
	}
	for path, want := range map[string]string{"/upload/1": "one /upload/1", "/upload/1/": "one /upload/1/", "/upload/1/x/y": "one /upload/1/x/y"} {
		if a := w.ask(t, "POST", path, "", nil); string(a.body) != want {
			t.Errorf("POST %s goes to %q, want %q", path, a.body, want)
		}
	}
	want(t, w.ask(t, "POST", "/upload/11", "", nil), 404)

	a := want(t, w.get(t, "/upload/2"), 500)
	if a.code(t) != "internal" || strings.Contains(string(a.body), "boo") {
		t.Errorf("panic: %s", a.body)
	}
	if !strings.Contains(w.logs.String(), "boo") || !strings.Contains(w.logs.String(), a.header.Get("X-Request-Id")) {
		t.Error("the panic is not in the log")
	}
	ada := w.person(t, "ada")
	if n := w.ask(t, "GET", "/api/debug", ada.token, nil).json(t)["http"].(record)["panics"]; n != 1.0 {
		t.Errorf("%v panics counted", n)
	}
}

func TestContent(t *testing.T) {
	w := open(t, nil)
	ada := w.person(t, "ada")
	page := w.Put(t, ada.Principal, "/page.html", []byte("<html><script>alert(1)</script>"), true)
	text := w.Put(t, ada.Principal, "/text.txt", []byte("hello"), true)
	a := want(t, w.ask(t, "GET", target(page.ID, "/content"), ada.token, nil), 200)
	if a.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment;") ||
		a.header.Get("Content-Security-Policy") != "sandbox; default-src 'none'" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("page: %v", a.header)
	}
	for q, disposition := range map[string]string{"": "inline;", "?download=1": "attachment;", "?inline=1": "inline;"} {
		a := want(t, w.ask(t, "GET", target(text.ID, "/content"+q), ada.token, nil), 200)
		if !strings.HasPrefix(a.header.Get("Content-Disposition"), disposition) || a.header.Get("Content-Security-Policy") != "sandbox; default-src 'none'" {
			t.Errorf("text%s: %v", q, a.header)
		}
	}
	a = want(t, w.ask(t, "GET", target(page.ID, "/content?inline=1"), ada.token, nil), 200)
	if !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment;") {
		t.Errorf("a parameter took the attachment away: %v", a.header)
	}
}

func TestContent_Ticket(t *testing.T) {
	w := open(t, nil)
	ada := w.person(t, "ada")
	file := w.Put(t, ada.Principal, "/f/a.txt", []byte("hello"), false)
	issue := func(id cloud.EntryID) string {
		tk := want(t, w.ask(t, "POST", "/api/tickets", ada.token, record{"purpose": "download", "entry": id}), 200).json(t)
		return "?ticket=" + tk["ticket"].(string)
	}
	ticket, folder := issue(file.ID), issue(file.Parent)
	for range 2 {
		want(t, w.get(t, target(file.ID, "/content")+ticket), 200)
		want(t, w.get(t, target(file.ID, "/content")+ticket, "Range", "bytes=1-1"), 206)
	}
	a := want(t, w.get(t, target(file.Parent, "/archive")+folder), 200)
	if got := members(t, a.body); len(got) != 1 || got[0] != "a.txt" || a.header.Get("Content-Disposition") != `attachment; filename="f.zip"` {
		t.Errorf("%q %v", got, a.header)
	}
	want(t, w.get(t, target(file.ID, "/content")+folder), 404)
	want(t, w.get(t, target(file.ID, "/content")+"?ticket=guess"), 401)
	want(t, w.get(t, target(file.ID, "")+ticket), 401)
	if err := w.auth.Logout(t.Context(), ada.Principal); err != nil {
		t.Fatal(err)
	}
	want(t, w.get(t, target(file.ID, "/content")+ticket), 401)
}

// begin begins a download and reads the first bytes of it.
func (w *world) begin(t *testing.T, target, token string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", w.srv.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := w.srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	return res
}

// TestSessionEnds ends sessions while downloads run: the client reads what was on
// its way, and then that the connection is broken.
func TestSessionEnds(t *testing.T) {
	w := open(t, nil)
	ada, second := w.person(t, "ada"), w.signIn(t, "ada")
	plain := make([]byte, 64<<20) // more than sockets hold
	w.PartSize = 8 << 20
	file := w.Put(t, ada.Principal, "/big.bin", plain, false)
	tk := want(t, w.ask(t, "POST", "/api/tickets", ada.token, record{"purpose": "download", "entry": file.ID}), 200).json(t)["ticket"].(string)

	running := map[string]*http.Response{
		"by token":     w.begin(t, target(file.ID, "/content"), ada.token),
		"by ticket":    w.begin(t, target(file.ID, "/content?ticket="+tk), ""),
		"of version 1": w.begin(t, "/download"+query("path", "/", "name", "big.bin", "auth", ada.token), ""),
		"of a folder":  w.begin(t, target(0, "/archive"), ada.token),
	}
	other := w.begin(t, target(file.ID, "/content"), second.token)
	if err := w.auth.Logout(t.Context(), ada.Principal); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for name, res := range running {
		if n, err := io.Copy(io.Discard, res.Body); err == nil {
			t.Errorf("%s: went on to the end, %d bytes", name, n)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("cut after %v", took)
	}
	if n, err := io.Copy(io.Discard, other.Body); err != nil || n != int64(len(plain))-1000 {
		t.Errorf("the other session's: %d bytes, %v", n, err)
	}
	third := w.begin(t, target(file.ID, "/content"), second.token)
	if _, err := w.auth.ChangePassword(t.Context(), "ada", password, "another horse", authPeer); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, third.Body); err == nil {
		t.Error("went on with a password that was changed")
	}
}

func TestArchive_AtOnce(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	w.PartSize = 8 << 20
	w.Put(t, ada.Principal, "/big.bin", make([]byte, 64<<20), true)
	var open []*http.Response
	for range 4 {
		open = append(open, w.begin(t, target(0, "/archive"), ada.token))
	}
	if a := want(t, w.ask(t, "HEAD", target(0, "/archive"), ada.token, nil), 429); a.header.Get("Content-Disposition") != "" {
		t.Errorf("refusal with %v", a.header)
	}
	want(t, w.ask(t, "HEAD", target(0, "/archive"), bob.token, nil), 200)
	for _, res := range open {
		res.Body.Close()
	}
	deadline := time.Now().Add(10 * time.Second)
	for w.ask(t, "HEAD", target(0, "/archive"), ada.token, nil).status != 200 {
		if time.Now().After(deadline) {
			t.Fatal("clients that went keep their places")
		}
	}
}

func TestDownload_Unavailable(t *testing.T) {
	w := open(t, nil)
	ada := w.person(t, "ada")
	file := w.Put(t, ada.Principal, "/a.bin", blobtest.Pattern(1000), true)
	w.Blobs.FailNext(memblob.Get, 100, fmt.Errorf("gone for good: %w", cloud.ErrNotFound))
	a := w.ask(t, "GET", target(file.ID, "/content"), ada.token, nil)
	if a.status < 400 || a.header.Get("ETag") != "" || a.header.Get("Content-Disposition") != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// TestSecrets runs much of the port with secrets that can be recognised, and
// looks for them in the log.
func TestSecrets(t *testing.T) {
	w := open(t, func(o *api.Options) { o.Health = func(context.Context) error { return cloud.ErrUnavailable } })
	ada := w.person(t, "canaryuser")
	file := w.Put(t, ada.Principal, "/canaryfolder/canaryname.txt", []byte("x"), false)
	link, err := w.FS.SignLink(t.Context(), ada.Principal, file)
	if err != nil {
		t.Fatal(err)
	}
	tk := w.ask(t, "POST", "/api/tickets", ada.token, record{"purpose": "download", "entry": file.ID}).json(t)["ticket"].(string)
	for _, target := range []string{
		"/health", "/login" + query("username", "canaryuser", "password", password), "/login" + query("username", "canaryuser", "password", "canarywrong"),
		"/token-status?token=" + ada.token, "/token-status?token=" + ada.token + "x", "/download" + query("path", "/canaryfolder", "name", "canaryname.txt", "auth", ada.token),
		"/download" + query("path", "/canaryfolder", "name", "canarynone", "auth", ada.token), "/signed-download?q=" + link, "/signed-download?q=x" + link,
		target(file.ID, "/content?ticket="+tk), target(0, "/content?ticket="+tk), "/files/canaryfolder", "/canaryfolder", "/api/canaryname",
		"/register" + query("username", "canarynew", "password", "canarysecret", "adminToken", ada.token), "/api/lookup?path=/canaryfolder/canarynone",
		"/update-password" + query("username", "canaryuser", "previousPassword", "canarywrong", "newPassword", "canarysecret"),
	} {
		w.get(t, target)
		w.ask(t, "GET", target, ada.token, nil)
	}
	w.ask(t, "PATCH", target(file.ID, ""), ada.token, record{"name": "canaryname/2"})
	w.ask(t, "POST", target(0, "/folders"), ada.token, record{"name": "canaryfolder"})
	log := w.logs.String()
	if !strings.Contains(log, "msg=request") {
		t.Fatal("nothing is logged")
	}
	for _, secret := range []string{password, "canary", ada.token, strings.Split(ada.token, ".")[2], link, tk, ada.Session} {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("%.20q is in the log: %s", secret, log[max(0, i-200):min(len(log), i+100)])
		}
	}
}

// TestSlowBody sends a part of a body and then nothing: the sender must not hold
// the request for ever.
func TestSlowBody(t *testing.T) {
	w := open(t, func(o *api.Options) { o.BodyTime = 50 * time.Millisecond })
	for path, status := range map[string]string{"/api/login": "400", "/api/me": "404", "/api/logout": "401", "/login": "404", "/": "404"} {
		conn, err := net.Dial("tcp", w.srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"user", path)
		if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 "+status+" ") {
			t.Errorf("%s: %q, %v", path, b, err)
		}
		conn.Close()
	}
}

func TestPublicURL(t *testing.T) {
	w := open(t, func(o *api.Options) { o.PublicURL = "https://cloud.example/" })
	ada := w.person(t, "ada")
	// Behind a proxy that asks under a name of its own.
	want(t, w.ask(t, "POST", "/api/login", "", record{"username": "ada", "password": password}, "Origin", "https://cloud.example"), 200)
	want(t, w.ask(t, "POST", "/api/login", "", record{"username": "ada", "password": password}, "Origin", "https://other.example"), 403)
	if l := w.makeLink(t, ada, w.Put(t, ada.Principal, "/a.txt", []byte("a"), false).ID, record{"mode": "view"}); l.URL != "https://cloud.example"+l.Path {
		t.Errorf("a link is given to others as %q", l.URL)
	}
}

// BenchmarkDownload compares a download through all layers, opening 64 MiB of
// sealed segments, to a plain copy over the same kind of connection.
func BenchmarkDownload(b *testing.B) {
	w := open(b, nil)
	ada := w.person(b, "ada")
	plain := blobtest.Pattern(64 << 20)
	w.PartSize = 10_223_616
	file := w.Put(b, ada.Principal, "/big.bin", plain, false)
	copied := newServer(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(plain) }))
	for name, url := range map[string]string{"content": w.srv.URL + target(file.ID, "/content"), "copy": copied.URL} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), "GET", url, nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+ada.token)
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, res.Body)
				if err != nil || n != int64(len(plain)) {
					b.Fatalf("status %d, %d bytes, %v", res.StatusCode, n, err)
				}
				res.Body.Close()
			}
		})
	}
}
