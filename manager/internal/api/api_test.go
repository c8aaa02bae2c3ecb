package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"discordcloud/manager/internal/api"
	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/manager/internal/vfs/vfstest"
	"discordcloud/pkg/cloud"
)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// logs is what was logged, at all levels.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is the port over a real database, on a real socket.
type world struct {
	*vfstest.World
	tb   testing.TB
	auth *auth.Service
	srv  *httptest.Server
	logs logs

	mu    sync.Mutex
	ahead time.Duration // of the real time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

var page = fstest.MapFS{
	"index.html":         {Data: []byte("<!doctype html><title>discord-cloud</title>page")},
	"assets/app-1234.js": {Data: []byte("export {}")},
	"assets/big-56.js":   {Data: []byte("export const big = 1")},
	// The built page has its scripts in gzip beside them; a test tells the two apart.
	"assets/big-56.js.gz": {Data: []byte("in gzip")},
	"favicon.svg":         {Data: []byte("<svg/>")},
	".keep":               {},
}

func open(t testing.TB, change func(*api.Options)) *world {
	t.Helper()
	w := &world{World: vfstest.New(t), tb: t}
	log := slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.FS.Audit = &audit.Log{Store: w.Store, Log: log}
	w.auth = auth.New(auth.Options{
		Store: w.Store, Audit: w.FS.Audit, Bus: w.Bus, Private: key(), Public: &key().PublicKey, Ring: w.FS.Ring, Now: w.clock, Log: log,
		Hash: auth.HashParams{Memory: 8, Passes: 1, Threads: 1},
	})
	o := api.Options{Auth: w.auth, FS: w.FS, Bus: w.Bus, Put: w.takeSent, Page: page, LegacyQueryAuth: true, Log: log, Version: "test"}
	if change != nil {
		change(&o)
	}
	w.srv = httptest.NewUnstartedServer(api.New(o))
	w.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	w.srv.Start()
	t.Cleanup(w.srv.Close)
	return w
}

// takeSent stores what is sent by a link, as the dispatcher does.
func (w *world) takeSent(ctx context.Context, who policy.Principal, q dispatch.PutRequest) (meta.Finished, error) {
	content, err := io.ReadAll(q.Body)
	if err == nil {
		err = q.Ready(ctx)
	}
	if err != nil {
		return meta.Finished{}, err
	}
	path := vfs.JoinPath(append(q.Folder, q.Name))
	return meta.Finished{Entry: w.Put(w.tb, policy.Principal{Role: policy.User, User: who.User}, path, content, q.Public)}, nil
}

const password = "correct horse"

// person is a user who is signed in.
type person struct {
	policy.Principal
	token string
}

// person adds a user; the first is the administrator.
func (w *world) person(t testing.TB, name string) person {
	t.Helper()
	first, err := w.auth.SetupRequired(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first {
		_, err = w.auth.CreateFirst(t.Context(), "", true, name, password, auth.Peer{})
	} else {
		_, err = w.auth.CreateUser(t.Context(), policy.Principal{Role: policy.User, User: 1, Administrator: true}, name, password, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.signIn(t, name)
}

func (w *world) signIn(t testing.TB, name string) person {
	t.Helper()
	user, err := w.Store.Credentials(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.auth.SignIn(t.Context(), user.User, auth.Peer{})
	if err != nil {
		t.Fatal(err)
	}
	who, err := w.auth.Verify(t.Context(), token.Text)
	if err != nil {
		t.Fatal(err)
	}
	return person{who, token.Text}
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("status %d: %v in %.200q", a.status, err, a.body)
	}
	return m
}

// code is the code of an error of ours, or of one of version 1 its status.
func (a answer) code(t testing.TB) string {
	t.Helper()
	e, _ := a.json(t)["error"].(map[string]any)
	s, _ := e["code"].(string)
	return s
}

// ask sends a request; body is a record, or nil. Headers are pairs.
func (w *world) ask(t testing.TB, method, target, token string, body any, header ...string) answer {
	t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, w.srv.URL+target, in)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	client := *w.srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, b}
}

func (w *world) get(t testing.TB, target string, header ...string) answer {
	t.Helper()
	return w.ask(t, http.MethodGet, target, "", nil, header...)
}

func want(t testing.TB, a answer, status int) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %.300s", a.status, status, a.body)
	}
	return a
}

func target(id cloud.EntryID, rest string) string { return fmt.Sprintf("/api/entries/%d%s", id, rest) }

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}

type record = map[string]any

func TestSetup(t *testing.T) {
	w := open(t, nil)
	status := want(t, w.get(t, "/api/status"), 200).json(t)
	if status["setup_required"] != true || status["setup_needs_code"] != false || status["max_name"] != 255.0 || status["version"] != "test" {
		t.Errorf("status = %v", status)
	}
	in := record{"username": "ada", "password": password}
	for name, header := range map[string][]string{
		"through a proxy":      {"X-Forwarded-For", "127.0.0.1"},
		"another proxy":        {"Via", "1.1 proxy"},
		"by a name":            {"Host", "evil.example"},
		"from a page there":    {"Origin", "https://evil.example"},
		"from an opaque page":  {"Origin", "null"},
		"a forwarded protocol": {"X-Forwarded-Proto", "https"},
	} {
		if s := want(t, w.get(t, "/api/status", header...), 200).json(t); s["setup_needs_code"] != true {
			t.Errorf("%s: no code is needed", name)
		}
		a := w.ask(t, "POST", "/api/setup", "", in, header...)
		if a.status != 403 && a.status != 429 {
			t.Errorf("%s: status %d", name, a.status)
		}
		if a := w.get(t, "/register"+query("username", "ada", "password", password), header...); a.status != 400 {
			t.Errorf("%s: version 1 answers %d", name, a.status)
		}
	}
	a := want(t, w.ask(t, "POST", "/api/setup", "", in), 200).json(t)
	user, _ := a["user"].(record)
	if user["administrator"] != true || user["name"] != "ada" {
		t.Errorf("set up %v", a)
	}
	token, _ := a["token"].(string)
	want(t, w.ask(t, "GET", "/api/me", token, nil), 200)
	want(t, w.ask(t, "POST", "/api/setup", "", in), 403)
	if s := w.get(t, "/api/status").json(t); s["setup_required"] != false || s["setup_needs_code"] != false {
		t.Errorf("status = %v", s)
	}
}

func TestSetup_Code(t *testing.T) {
	w := open(t, nil)
	in := record{"username": "ada", "password": password, "code": w.auth.SetupCode()}
	want(t, w.ask(t, "POST", "/api/setup", "", in, "Host", "cloud.example"), 200)
}

func TestAccount(t *testing.T) {
	w := open(t, nil)
	ada := w.person(t, "ada")
	bob := w.person(t, "bob")
	bad := w.ask(t, "POST", "/api/login", "", record{"username": "ada", "password": "wrong password"})
	if want(t, bad, 401).code(t) != "unauthenticated" || bad.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", bad.header, bad.body)
	}
	in := want(t, w.ask(t, "POST", "/api/login", "a wrong token does not matter here", record{"username": "ada", "password": password}), 200).json(t)
	second, _ := in["token"].(string)

	list := want(t, w.ask(t, "GET", "/api/sessions", second, nil), 200).json(t)["sessions"].([]any)
	if len(list) != 2 {
		t.Fatalf("sessions %v", list)
	}
	current := 0
	for _, s := range list {
		if s.(record)["current"] == true {
			current++
		}
	}
	if current != 1 {
		t.Errorf("sessions %v", list)
	}
	want(t, w.ask(t, "DELETE", "/api/sessions/"+ada.Session, bob.token, nil), 404)
	want(t, w.ask(t, "DELETE", "/api/sessions/"+ada.Session, second, nil), 204)
	want(t, w.ask(t, "GET", "/api/me", ada.token, nil), 401)

	change := want(t, w.ask(t, "POST", "/api/password", second, record{"previous": password, "next": "another horse"}), 200).json(t)
	third, _ := change["token"].(string)
	want(t, w.ask(t, "GET", "/api/me", second, nil), 401)
	me := want(t, w.ask(t, "GET", "/api/me", third, nil), 200).json(t)
	if me["user"].(record)["name"] != "ada" || me["session"].(record)["id"] == "" {
		t.Errorf("me = %v", me)
	}
	want(t, w.ask(t, "POST", "/api/logout", third, nil), 204)
	want(t, w.ask(t, "GET", "/api/me", third, nil), 401)

	found := want(t, w.ask(t, "GET", "/api/users?query=o", bob.token, nil), 200).json(t)["users"].([]any)
	if len(found) != 1 || fmt.Sprint(found[0]) != fmt.Sprint(record{"id": float64(bob.User), "name": "bob"}) {
		t.Errorf("users %v", found)
	}
	want(t, w.ask(t, "POST", "/api/users", bob.token, record{"username": "carl", "password": password}), 403)
}

func TestLogin_Limited(t *testing.T) {
	w := open(t, nil)
	w.person(t, "ada")
	for range 5 {
		want(t, w.get(t, "/login"+query("username", "ada", "password", "wrong password")), 403)
	}
	a := want(t, w.ask(t, "POST", "/api/login", "", record{"username": "ada", "password": password}), 429)
	if a.header.Get("Retry-After") != "60" || a.code(t) != "limited" {
		t.Errorf("%v %s", a.header, a.body)
	}
	v1 := want(t, w.get(t, "/login"+query("username", "ada", "password", password)), 429)
	if v1.header.Get("Retry-After") != "60" {
		t.Errorf("%v %s", v1.header, v1.body)
	}
}

func TestBodies(t *testing.T) {
	w := open(t, nil)
	ada := w.person(t, "ada")
	post := func(target, kind, body string) answer {
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.srv.URL+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Authorization", "Bearer "+ada.token)
		res, err := w.srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{res.StatusCode, res.Header, b}
	}
	for _, c := range []struct {
		target, kind, body string
		status             int
	}{
		{"/api/login", "application/json", `{"username":"ada","password":"correct horse"}`, 200},
		{"/api/login", "application/json; charset=utf-8", `{"username":"ada","password":"correct horse"} `, 200},
		{"/api/login", "text/plain", `{"username":"ada","password":"correct horse"}`, 400},
		{"/api/login", "", `{"username":"ada","password":"correct horse"}`, 400},
		{"/api/login", "application/json", `{"username":"ada","password":"correct horse"}{}`, 400},
		{"/api/login", "application/json", `{"username":"ada","password":"correct horse","administrator":true}`, 400},
		{"/api/login", "application/json", `{"username":["ada"]}`, 400},
		{"/api/login", "application/json", `null x`, 400},
		{"/api/login", "application/json", ``, 400},
		{"/api/login", "application/json", strings.Repeat("[", 10_000), 400},
		{"/api/login", "application/json", `{"username":"` + strings.Repeat("a", 1<<20) + `"}`, 413},
		{"/api/delete", "application/json", `{"ids":[]}`, 400},
		{"/api/delete", "application/json", `{"ids":[1.5]}`, 400},
		{"/api/delete", "application/json", `{"ids":[` + strings.Repeat("1,", 1000) + `1]}`, 400},
		{"/api/move", "application/json", `{"ids":[1]}`, 400},
		{"/api/move", "application/json", `{"ids":[1],"parent":0,"on_conflict":"ask"}`, 400},
		{"/api/tickets", "application/json", `{"purpose":"download"}`, 400},
		{"/api/tickets", "application/json", `{"purpose":"else","entry":0}`, 400},
	} {
		a := post(c.target, c.kind, c.body)
		if a.status != c.status {
			t.Errorf("%s %.60q: status %d, want %d: %s", c.target, c.body, a.status, c.status, a.body)
		}
		if a.status >= 400 {
			if e := a.json(t)["error"].(record); e["message"] == "" || e["request"] != a.header.Get("X-Request-Id") {
				t.Errorf("%s: %s", c.target, a.body)
			}
		}
	}
}

func TestEntries(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	file := w.Put(t, ada.Principal, "/docs/a.txt", []byte("hello"), true)
	secret := w.Put(t, ada.Principal, "/docs/secret.txt", []byte("s"), false)

	root := want(t, w.ask(t, "GET", "/api/lookup?path=/", bob.token, nil), 200).json(t)
	if e := root["entry"].(record); e["id"] != 0.0 || e["kind"] != "folder" || e["name"] != "" || len(root["path"].([]any)) != 0 {
		t.Errorf("root = %v", root)
	}
	found := want(t, w.ask(t, "GET", "/api/lookup"+query("path", "/docs/a.txt"), bob.token, nil), 200).json(t)
	e := found["entry"].(record)
	if e["id"] != float64(file.ID) || e["access"] != "public" || e["can"] != "r" || e["size"] != 5.0 || e["hash"] != file.Hash.String() ||
		e["owner"].(record)["name"] != "ada" || e["type"] != "text/plain" {
		t.Errorf("entry = %v", e)
	}
	if _, err := time.Parse(time.RFC3339, e["updated_at"].(string)); err != nil {
		t.Error(err)
	}
	if p := found["path"].([]any); len(p) != 2 || p[0].(record)["name"] != "docs" {
		t.Errorf("path = %v", p)
	}
	docs := file.Parent
	for _, target := range []string{
		"/api/lookup?path=/docs/secret.txt", "/api/lookup?path=/none", target(secret.ID, ""), target(999, ""), target(secret.ID, "/content"),
	} {
		if a := want(t, w.ask(t, "GET", target, bob.token, nil), 404); a.code(t) != "not_found" {
			t.Errorf("%s: %s", target, a.body)
		}
	}
	for _, target := range []string{"/api/lookup", "/api/lookup?path=docs", "/api/entries/x", "/api/entries/-1", target(docs, "/children?limit=0"),
		target(docs, "/children?sort=colour"), target(docs, "/children?after=nonsense"), target(file.ID, "/children"), target(docs, "/content"), target(file.ID, "/archive")} {
		want(t, w.ask(t, "GET", target, bob.token, nil), 400)
	}

	list := want(t, w.ask(t, "GET", target(docs, "/children?limit=1"), ada.token, nil), 200).json(t)
	if list["files"] != 2.0 || list["folders"] != 0.0 || len(list["entries"].([]any)) != 1 || list["next"] == "" {
		t.Errorf("children = %v", list)
	}
	rest := want(t, w.ask(t, "GET", target(docs, "/children"+query("limit", "1", "after", list["next"].(string))), ada.token, nil), 200).json(t)
	if len(rest["entries"].([]any)) != 1 || rest["next"] != "" {
		t.Errorf("children = %v", rest)
	}
	if seen := want(t, w.ask(t, "GET", target(docs, "/children"), bob.token, nil), 200).json(t); seen["files"] != 1.0 || len(seen["entries"].([]any)) != 1 {
		t.Errorf("bob sees %v", seen)
	}
	if s := want(t, w.ask(t, "GET", target(0, "/sizes"), bob.token, nil), 200).json(t); s["bytes"] != 5.0 || s["files"] != 1.0 || s["folders"] != 1.0 {
		t.Errorf("sizes = %v", s)
	}

	made := want(t, w.ask(t, "POST", target(docs, "/folders"), bob.token, record{"path": "x/y"}), 200).json(t)
	if len(made["created"].([]any)) != 2 || made["entry"].(record)["name"] != "y" {
		t.Errorf("folders = %v", made)
	}
	want(t, w.ask(t, "POST", target(docs, "/folders"), bob.token, record{"name": "x"}), 409)
	want(t, w.ask(t, "POST", target(docs, "/folders"), bob.token, record{"name": "a/b"}), 400)
	want(t, w.ask(t, "POST", target(docs, "/folders"), bob.token, record{}), 400)

	want(t, w.ask(t, "PATCH", target(file.ID, ""), bob.token, record{"name": "b.txt"}), 403)
	renamed := want(t, w.ask(t, "PATCH", target(file.ID, ""), ada.token, record{"name": "b.txt", "parent": 0, "public": false}), 200).json(t)["entry"].(record)
	if renamed["name"] != "b.txt" || renamed["parent"] != 0.0 || renamed["public"] != false || renamed["access"] != "owned" {
		t.Errorf("renamed = %v", renamed)
	}
	want(t, w.ask(t, "PATCH", target(secret.ID, ""), ada.token, record{"parent": 0, "name": "b.txt"}), 409)
	want(t, w.ask(t, "PATCH", target(0, ""), ada.token, record{"name": "root"}), 403)

	moved := want(t, w.ask(t, "POST", "/api/move", ada.token, record{"ids": []cloud.EntryID{file.ID, secret.ID}, "parent": docs}), 200).json(t)
	if got := moved["entries"].([]any); len(got) != 2 || got[0].(record)["parent"] != float64(docs) {
		t.Errorf("moved = %v", moved)
	}
	want(t, w.ask(t, "POST", "/api/delete", bob.token, record{"ids": []cloud.EntryID{docs}}), 403)
	gone := want(t, w.ask(t, "POST", "/api/delete", ada.token, record{"ids": []cloud.EntryID{file.ID, secret.ID}}), 200).json(t)
	if gone["files"] != 2.0 || gone["bytes"] != 6.0 {
		t.Errorf("deleted = %v", gone)
	}
}

func TestNotFound(t *testing.T) {
	w := open(t, nil)
	ada := w.person(t, "ada")
	for _, target := range []string{"/api", "/api/", "/api/none", "/api/status/x"} {
		if a := want(t, w.ask(t, "GET", target, ada.token, nil), 404); a.code(t) != "not_found" {
			t.Errorf("%s: %s", target, a.body)
		}
	}
	want(t, w.ask(t, "PUT", "/api/status", ada.token, nil), 404)
	for _, target := range []string{"/none", "/assets/", "/assets", "/assets/none.js", "/.keep", "/..%2f..%2fetc/passwd", "/assets/..%2findex.html", "/upload/9"} {
		want(t, w.get(t, target), 404)
	}
}

func TestDebug(t *testing.T) {
	w := open(t, func(o *api.Options) {
		o.Debug = map[string]func() any{"part": func() any { return 7 }}
		o.Services = func() []api.ServiceInfo {
			return []api.ServiceInfo{{ID: "s", Type: "upload", Address: "http://u.example:1/x", Capacity: 2}}
		}
	})
	ada := w.person(t, "ada")
	d := want(t, w.ask(t, "GET", "/api/debug", ada.token, nil), 200).json(t)
	if d["part"] != 7.0 || d["http"].(record)["requests"].(float64) < 1 {
		t.Errorf("debug = %v", d)
	}
	s := want(t, w.ask(t, "GET", "/api/services", ada.token, nil), 200)
	if string(s.body) != `{"services":[{"id":"s","type":"upload","address":"http://u.example:1/x","busy":0,"capacity":2}]}` {
		t.Errorf("services = %s", s.body)
	}
	csp := w.get(t, "/").header.Get("Content-Security-Policy")
	host := strings.TrimPrefix(w.srv.URL, "http://")
	if !strings.Contains(csp, "connect-src 'self' ws://"+host+" wss://"+host+" http://u.example:1;") {
		t.Errorf("policy of the page: %s", csp)
	}
}

func TestHealth(t *testing.T) {
	healthy := error(nil)
	w := open(t, func(o *api.Options) { o.Health = func(context.Context) error { return healthy } })
	want(t, w.get(t, "/health"), 204)
	healthy = cloud.ErrUnavailable
	want(t, w.get(t, "/health"), 503)
}

var authPeer = auth.Peer{}

func newServer(t testing.TB, h http.Handler) *httptest.Server {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}
