package api_test

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"discordcloud/manager/internal/api"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/blob/blobtest"
)

func TestV1_Common(t *testing.T) {
	w := open(t, nil)
	for _, path := range []string{"/health", "/HEALTH", "/Health/"} {
		a := want(t, w.get(t, path), 204)
		if a.header.Get("Access-Control-Allow-Origin") != "*" || len(a.body) != 0 {
			t.Errorf("%s: %v", path, a.header)
		}
		want(t, w.ask(t, "HEAD", path, "", nil), 204)
		o := want(t, w.ask(t, "OPTIONS", path, "", nil), 200)
		if o.header.Get("Allow") != "GET, HEAD" || o.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("OPTIONS %s: %v", path, o.header)
		}
		want(t, w.ask(t, "POST", path, "", nil), 404)
		want(t, w.ask(t, "DELETE", path, "", nil), 404)
	}
	a := want(t, w.get(t, "/login"), 400)
	if a.header.Get("Content-Type") != "application/json; charset=utf-8" || a.json(t)["error"] != true ||
		a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", a.header, a.body)
	}
}

func TestV1_Account(t *testing.T) {
	w := open(t, nil)
	// The first user needs no token, since the request comes from this machine.
	first := want(t, w.get(t, "/register"+query("username", "ada", "password", password)), 200)
	if string(first.body) != `{"administrator":true,"error":false,"id":1,"username":"ada"}` {
		t.Errorf("register: %s", first.body)
	}
	in := want(t, w.get(t, "/LOGIN/"+query("username", "ada", "password", password)), 200).json(t)
	token, _ := in["token"].(string)
	if in["error"] != false || strings.Count(token, ".") != 2 {
		t.Fatalf("login: %v", in)
	}
	for _, c := range []struct {
		query  string
		status int
	}{
		{query("username", "ada"), 400}, {query("password", password), 400},
		{query("username", "ada", "password", "1234567"), 400}, {query("username", "ada", "password", strings.Repeat("x", 257)), 400},
		{query("username", "a-b", "password", password), 400}, {query("username", strings.Repeat("a", 17), "password", password), 400},
		{query("username", "ada", "password", "wrong password"), 403}, {query("username", "Ada", "password", password), 403},
		{query("username", "nobody", "password", password), 403}, {query("username", "nobody", "password", strings.Repeat("ä", 256)), 403},
	} {
		a := w.get(t, "/login"+c.query)
		if a.status != c.status || a.json(t)["error"] != true {
			t.Errorf("login%s: %d %s", c.query, a.status, a.body)
		}
		if c.status == 403 && string(a.body) != `{"error":true}` {
			t.Errorf("login%s: %s", c.query, a.body)
		}
		if strings.Contains(string(a.body), "1234567") {
			t.Errorf("the answer repeats the password: %s", a.body)
		}
	}

	if a := want(t, w.get(t, "/token-status?token="+token), 200); string(a.body) != `{"error":false,"user_id":1}` {
		t.Errorf("token-status: %s", a.body)
	}
	for _, bad := range []string{"..", "a.b.c", token + "x"} {
		a := want(t, w.get(t, "/token-status?token="+bad), 401)
		if string(a.body) != `{"error":true,"error_details":"Unauthorized","user_id":null}` {
			t.Errorf("token-status: %s", a.body)
		}
	}
	for _, bad := range []string{"", "a.b", "a.b.c.d", "a.b.%40"} {
		want(t, w.get(t, "/token-status?token="+bad), 400)
	}

	// Further users need an administrator.
	bob := func(token string) answer {
		return w.get(t, "/register"+query("username", "bob", "password", password, "adminToken", token))
	}
	want(t, w.get(t, "/register"+query("username", "bob", "password", password)), 400)
	want(t, bob("a.b.c"), 403)
	if a := want(t, bob(token), 200); string(a.body) != `{"administrator":false,"error":false,"id":2,"username":"bob"}` {
		t.Errorf("register: %s", a.body)
	}
	want(t, bob(token), 400) // taken
	bobs := w.signIn(t, "bob")
	want(t, w.get(t, "/register"+query("username", "carl", "password", password, "adminToken", bobs.token)), 403)
	want(t, bob("a.b.c"), 403)
	want(t, bob("a.b.c"), 429)
	want(t, w.get(t, "/register"+query("username", "carl", "password", password, "adminToken", token)), 200)

	update := func(name, previous, next string) answer {
		return w.get(t, "/update-password"+query("username", name, "previousPassword", previous, "newPassword", next))
	}
	want(t, update("bob", password, "short"), 400)
	want(t, update("", password, "another horse"), 400)
	want(t, update("bob", password, password), 400)
	want(t, update("bob", "wrong password", "another horse"), 401)
	want(t, update("nobody", password, "another horse"), 401)
	if a := want(t, update("bob", password, "another horse"), 200); string(a.body) != `{"administrator":false,"error":false,"id":2,"username":"bob"}` {
		t.Errorf("update-password: %s", a.body)
	}
	want(t, w.get(t, "/token-status?token="+bobs.token), 401)
}

func TestV1_RegisterWithCode(t *testing.T) {
	w := open(t, nil)
	code := w.auth.SetupCode()
	first := func(code string) answer {
		return w.get(t, "/register"+query("username", "ada", "password", password, "adminToken", code), "Host", "cloud.example")
	}
	want(t, first("a.b.c"), 403)
	want(t, first(code), 200)
}

func TestV1_Download(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	plain := blobtest.Pattern(300_000)
	file := w.Put(t, ada.Principal, "/docs/a b.txt", plain, true)
	w.Put(t, ada.Principal, "/docs/secret.txt", plain, false)
	odd := w.Put(t, ada.Principal, "/docs/日本.txt", []byte("nihon"), true)

	get := func(path, name, token string, header ...string) answer {
		return w.get(t, "/download"+query("path", path, "name", name, "auth", token), header...)
	}
	for _, c := range []struct {
		path, name, auth string
		status           int
	}{
		{"", "a b.txt", "", 400}, {"/docs", "", "", 400}, {"docs", "a b.txt", "", 400}, {"/docs/..", "a b.txt", "", 400}, {"/docs", "a/b", "", 400},
		{"/docs", "a b.txt", "", 400}, {"/docs", "a b.txt", "a.b.c", 401}, {"/docs", "none", "a.b.c", 401},
		{"/docs", "none", bob.token, 404}, {"/none", "a b.txt", bob.token, 404}, {"/", "docs", bob.token, 404},
		{"/docs", "secret.txt", bob.token, 404}, {"/docs", "a b.txt", bob.token, 200}, {"/docs/", "a b.txt", bob.token, 200},
		{"/docs", "secret.txt", ada.token, 200},
	} {
		if a := get(c.path, c.name, c.auth); a.status != c.status {
			t.Errorf("download %q %q: status %d, want %d: %.200s", c.path, c.name, a.status, c.status, a.body)
		}
	}
	a := get("/docs", "a b.txt", bob.token)
	if !bytes.Equal(a.body, plain) || a.header.Get("Content-Disposition") != `attachment; filename="a b.txt"` ||
		a.header.Get("Accept-Ranges") != "bytes" || a.header.Get("Content-Length") != "300000" || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("download: %d bytes, %v", len(a.body), a.header)
	}
	if head := want(t, w.ask(t, "HEAD", "/download"+query("path", "/docs", "name", "a b.txt", "auth", bob.token), "", nil), 200); head.header.Get("Content-Length") != "300000" {
		t.Errorf("HEAD: %v", head.header)
	}
	for header, r := range map[string][2]int{
		"bytes=0-0": {0, 1}, "bytes=262143-262144": {262_143, 262_145}, "bytes=-5": {299_995, 300_000}, "bytes=299999-": {299_999, 300_000},
	} {
		a := want(t, get("/docs", "a b.txt", bob.token, "Range", header), 206)
		if !bytes.Equal(a.body, plain[r[0]:r[1]]) || !strings.HasSuffix(a.header.Get("Content-Range"), "/300000") {
			t.Errorf("%s: %d bytes, %v", header, len(a.body), a.header)
		}
	}
	want(t, get("/docs", "a b.txt", bob.token, "Range", "bytes=300000-"), 416)
	want(t, get("/docs", "a b.txt", bob.token, "If-None-Match", a.header.Get("ETag")), 304)

	if a := want(t, get("/docs", vfs.StandIn(odd), bob.token), 200); string(a.body) != "nihon" {
		t.Errorf("by the stand-in %q: %q", vfs.StandIn(odd), a.body)
	}
	if a := want(t, get("/docs", "日本.txt", bob.token), 200); string(a.body) != "nihon" {
		t.Errorf("by the name: %q", a.body)
	}

	// A header is as good as a query.
	want(t, w.ask(t, "GET", "/download"+query("path", "/docs", "name", "a b.txt"), bob.token, nil), 200)

	crawler := want(t, get("/docs", "a b.txt", bob.token, "User-Agent", "Mozilla/5.0 (compatible; DiscordBot/2.0)"), 200)
	if body := string(crawler.body); !strings.Contains(body, `<meta property="og:title" content="a b.txt">`) || strings.Contains(body, bob.token) ||
		!strings.HasPrefix(crawler.header.Get("Content-Type"), "text/html") || crawler.header.Get("X-Robots-Tag") == "" {
		t.Errorf("crawler: %v %s", crawler.header, body)
	}
	want(t, get("/docs", "secret.txt", bob.token, "User-Agent", "Twitterbot/1.0"), 404)
	want(t, get("/docs", "a b.txt", "", "User-Agent", "Twitterbot/1.0"), 400)
	_ = file
}

func TestV1_BulkDownload(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	w.Put(t, ada.Principal, "/docs/a.txt", []byte("a"), true)
	w.Put(t, ada.Principal, "/docs/sub/b.txt", blobtest.Pattern(300_000), true)
	w.Put(t, ada.Principal, "/docs/sub/secret.txt", []byte("s"), false)
	w.Folder(t, ada.Principal, "/empty")

	want(t, w.get(t, "/bulk-download"), 400)
	want(t, w.get(t, "/bulk-download?path=docs&auth="+bob.token), 400)
	want(t, w.get(t, "/bulk-download?path=/docs"), 401)
	want(t, w.get(t, "/bulk-download?path=/docs&auth=a.b.c"), 401)
	want(t, w.get(t, "/bulk-download?path=/none&auth="+bob.token), 404)
	want(t, w.get(t, "/bulk-download?path=/docs/a.txt&auth="+bob.token), 404)
	// The header wins, with or without its scheme.
	want(t, w.get(t, "/bulk-download?path=/docs&auth="+bob.token, "Authorization", "a.b.c"), 401)
	want(t, w.get(t, "/bulk-download?path=/docs&auth=a.b.c", "Authorization", bob.token), 200)
	a := want(t, w.ask(t, "GET", "/bulk-download?path=/docs", bob.token, nil), 200)
	if a.header.Get("Content-Type") != "application/zip" || a.header.Get("Content-Disposition") != `attachment; filename="bundle.zip"` {
		t.Errorf("%v", a.header)
	}
	if got := members(t, a.body); !slices.Equal(got, []string{"a.txt", "sub/", "sub/b.txt"}) {
		t.Errorf("bob gets %q", got)
	}
	if got := members(t, w.get(t, "/bulk-download?path=/&auth="+ada.token).body); len(got) != 6 {
		t.Errorf("ada gets %q", got)
	}
	if got := members(t, w.get(t, "/bulk-download?path=/empty&auth="+ada.token).body); len(got) != 0 {
		t.Errorf("the empty folder has %q", got)
	}
}

// members reads an archive whole and gives its names, sorted.
func members(t *testing.T, b []byte) []string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		r.Close()
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

func TestV1_SignedDownload(t *testing.T) {
	w := open(t, nil)
	ada := w.person(t, "ada")
	file := w.Put(t, ada.Principal, "/döcs/<b>&.txt", []byte("hello"), false)
	link, err := w.FS.SignLink(t.Context(), ada.Principal, file)
	if err != nil {
		t.Fatal(err)
	}
	a := want(t, w.get(t, "/signed-download?q="+link), 200)
	if string(a.body) != "hello" || a.header.Get("Cross-Origin-Resource-Policy") != "cross-origin" || a.header.Get("X-Robots-Tag") == "" ||
		!strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment;") {
		t.Errorf("%q %v", a.body, a.header)
	}
	want(t, w.get(t, "/signed-download?q="+link, "Range", "bytes=1-2"), 206)
	meta := want(t, w.get(t, "/signed-download-metadata?q="+link), 200).json(t)
	if meta["name"] != vfs.StandIn(file) || meta["path"] != "/döcs" || meta["size"] != 5.0 || meta["error"] != false {
		t.Errorf("metadata = %v", meta)
	}
	crawler := want(t, w.get(t, "/signed-download?q="+link, "User-Agent", "facebookexternalhit/1.1"), 200)
	if body := string(crawler.body); strings.Contains(body, "<b>") || !strings.Contains(body, "&lt;b&gt;&amp;.txt") || strings.Contains(body, link) {
		t.Errorf("crawler: %s", body)
	}
	for _, bad := range []string{"", "!", "AAAA", link[1:], link + "A"} {
		want(t, w.get(t, "/signed-download?q="+bad), 400)
		want(t, w.get(t, "/signed-download-metadata?q="+bad), 400)
	}
	w.Put(t, ada.Principal, "/döcs/<b>&.txt", []byte("other"), false)
	want(t, w.get(t, "/signed-download?q="+link), 403)
	want(t, w.get(t, "/signed-download-metadata?q="+link), 403)
	if _, err := w.FS.Delete(t.Context(), ada.Principal, file.ID); err != nil {
		t.Fatal(err)
	}
	want(t, w.get(t, "/signed-download?q="+link), 404)
}

func TestV1_SwitchedOff(t *testing.T) {
	w := open(t, func(o *api.Options) { o.LegacyQueryAuth = false })
	ada := w.person(t, "ada")
	w.Put(t, ada.Principal, "/a.txt", []byte("a"), true)
	for target, instead := range map[string]string{
		"/login" + query("username", "ada", "password", password):                                                   "/api/login",
		"/register" + query("username", "bob", "password", password, "adminToken", ada.token):                       "/api/users",
		"/update-password" + query("username", "ada", "previousPassword", password, "newPassword", "another horse"): "/api/password",
		"/token-status?token=" + ada.token:                                                                          "Authorization",
		"/download" + query("path", "/", "name", "a.txt", "auth", ada.token):                                        "/api/tickets",
		"/bulk-download?path=/&auth=" + ada.token:                                                                   "/api/tickets",
	} {
		if a := want(t, w.get(t, target), http.StatusGone); !strings.Contains(string(a.body), instead) || a.json(t)["error"] != true {
			t.Errorf("%s: %s", target, a.body)
		}
	}
	for _, target := range []string{"/token-status", "/download?path=/&name=a.txt", "/bulk-download?path=/"} {
		want(t, w.ask(t, "GET", target, ada.token, nil), 200)
	}
	want(t, w.get(t, "/health"), 204)
	if _, err := w.auth.Login(t.Context(), "ada", password, auth.Peer{}); err != nil {
		t.Errorf("the password was changed: %v", err)
	}
}
