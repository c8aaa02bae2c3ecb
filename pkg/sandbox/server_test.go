package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/sandbox"
)

// start opens a server whose end the test decides.
func start(t *testing.T, cfg sandbox.Config) *sandbox.Server {
	t.Helper()
	s, err := sandbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServer_Restart(t *testing.T) {
	dir, clock := t.TempDir(), newClock()
	cfg := sandbox.Config{Dir: dir, Now: clock.Now, Channels: 3}
	s := start(t, cfg)
	c := dial(t, s)
	token, guild, channels := s.Token(), s.GuildID(), s.Channels()
	second, err := s.AddBot("second")
	if err != nil {
		t.Fatal(err)
	}
	data := pattern(5000)
	m := c.post(append(files(data), field("content", "kept"))...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	clock.add(-time.Hour) // ids grow even so

	s = start(t, cfg)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	c = dial(t, s)
	if s.Token() != token || s.GuildID() != guild || strings.Join(s.Channels(), " ") != strings.Join(channels, " ") {
		t.Error("token, guild or channels have changed")
	}
	client{t, s, second}.want(200, "GET", "/users/@me", nil)
	got := decode[message](t, c.want(200, "GET", c.messages()+"/"+m.ID, nil))
	if got.Content != "kept" || !bytes.Equal(c.get(got.Attachments[0].URL).body, data) {
		t.Errorf("after the restart: %+v", got)
	}
	bare, _, _ := strings.Cut(m.Attachments[0].URL, "?")
	type refreshed struct {
		URLs []struct{ Refreshed string } `json:"refreshed_urls"`
	}
	fresh := decode[refreshed](t, c.want(200, "POST", "/attachments/refresh-urls", map[string]any{"attachment_urls": []string{bare}}))
	if !bytes.Equal(c.get(fresh.URLs[0].Refreshed).body, data) {
		t.Error("the old link cannot be refreshed")
	}
	next := c.post(files(data)...)
	old, _ := strconv.ParseInt(m.ID, 10, 64)
	if n, _ := strconv.ParseInt(next.ID, 10, 64); n <= old {
		t.Errorf("message %d after %d", n, old)
	}
}

// TestServer_Crash opens a store that was not closed.
func TestServer_Crash(t *testing.T) {
	dir := t.TempDir()
	s := start(t, sandbox.Config{Dir: dir})
	c := dial(t, s)
	m := c.post(files(pattern(100))...)
	list, err := s.Attachments()
	if err != nil {
		t.Fatal(err)
	}
	// A copy of the folder is what a crash leaves: the log is not yet merged.
	crashed := t.TempDir()
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Rel(dir, list[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(crashed, filepath.Dir(kept), "12345")
	if err := os.WriteFile(orphan, pattern(10), 0o600); err != nil {
		t.Fatal(err)
	}
	s = start(t, sandbox.Config{Dir: crashed})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := os.Stat(orphan); !os.IsNotExist(err) {
		t.Errorf("a file of no attachment is still there: %v", err)
	}
	c = dial(t, s)
	got := decode[message](t, c.want(200, "GET", c.messages()+"/"+m.ID, nil))
	if !bytes.Equal(c.get(got.Attachments[0].URL).body, pattern(100)) {
		t.Error("the acknowledged attachment is lost")
	}
}

func TestServer_TemporaryDir(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := start(t, sandbox.Config{Token: "NDI.abcdef.ghi"})
	if s.Token() != "NDI.abcdef.ghi" {
		t.Errorf("token %q", s.Token())
	}
	dial(t, s).post(files(pattern(10))...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestServer_Dir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c%20#d")
	s := start(t, sandbox.Config{Dir: dir})
	if again, err := sandbox.Open(sandbox.Config{Dir: dir}); err == nil {
		t.Error("two servers share a directory")
		_ = again.Close()
	}
	dial(t, s).post(files(pattern(10))...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := sandbox.Open(sandbox.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := s.Attachments(); err != nil || len(list) != 1 {
			t.Errorf("attachments: %v, %v", list, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestServer_Token(t *testing.T) {
	dir := t.TempDir()
	s := start(t, sandbox.Config{Dir: dir})
	if parts := strings.Split(s.Token(), "."); len(parts) != 3 || len(parts[1]) != 6 || len(parts[2]) < 27 {
		t.Errorf("token %q does not look like Discord's", s.Token())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start(t, sandbox.Config{Dir: dir, Token: "mine"})
	defer func() { _ = s.Close() }()
	if s.Token() != "mine" {
		t.Errorf("token %q, want the given one", s.Token())
	}
	// One that names its bot, as Discord's do: clients take messages of others for
	// none of their business.
	named := open(t, sandbox.Config{Token: "MTAwMDAwMDAwMDAwMDAwMDAx.sandbx.any-text-of-some-length-0001"})
	if me := decode[struct{ ID string }](t, dial(t, named).want(200, "GET", "/users/@me", nil)); me.ID != "100000000000000001" {
		t.Errorf("the bot has the id %s, its token names another", me.ID)
	}
}

// TestServer_Handler serves through somebody else's listener.
func TestServer_Handler(t *testing.T) {
	s, err := sandbox.Open(sandbox.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	c := dial(t, s)
	a := c.want(200, "GET", srv.URL+"/api/v10/users/@me", nil)
	if s.URL() != srv.URL {
		t.Errorf("URL() = %q, want %q: %s", s.URL(), srv.URL, a.body)
	}
	srv.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestServer_Serve(t *testing.T) {
	s, err := sandbox.Open(sandbox.Config{Dir: t.TempDir(), PublicURL: "http://discord.test/"})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	c := dial(t, s)
	c.want(200, "GET", "http://"+ln.Addr().String()+"/api/v10/users/@me", nil)
	if s.URL() != "http://discord.test" {
		t.Errorf("URL() = %q", s.URL())
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestServer_Parallel(t *testing.T) {
	s := open(t, sandbox.Config{})
	s.Faults().Add(sandbox.Rule{Action: sandbox.Error, Route: "/nothing"})
	c := dial(t, s)
	var wg sync.WaitGroup
	channels := s.Channels()
	for i := range 8 {
		wg.Go(func() {
			for j := range 6 {
				path := "/channels/" + channels[(i+j)%len(channels)] + "/messages"
				data := pattern(1000*i + j)
				body, kind := encode(t, files(data)...)
				a, err := rawRequest(c.request("POST", path, bytes.NewReader(body), kind))
				if err != nil || a.status != 200 {
					t.Errorf("post: %d, %v", a.status, err)
					return
				}
				var m message
				if err := json.Unmarshal(a.body, &m); err != nil {
					t.Error(err)
					return
				}
				if got, err := rawRequest(c.request("GET", m.Attachments[0].URL, nil, "")); err != nil || !bytes.Equal(got.body, data) {
					t.Errorf("get: %d, %v", got.status, err)
				}
				if j%2 == 0 {
					if a, err := rawRequest(c.request("DELETE", path+"/"+m.ID, nil, "")); err != nil || a.status != 204 {
						t.Errorf("delete: %d, %v", a.status, err)
					}
				}
				if a, err := rawRequest(c.request("GET", path, nil, "")); err != nil || a.status != 200 {
					t.Errorf("list: %d, %v", a.status, err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := s.Attachments(); err != nil || len(list) != 24 {
		t.Errorf("%d attachments, %v; want 24", len(list), err)
	}
}

// TestServer_Memory posts a body that is far larger than what the server, and
// this client in the same process, may allocate for it.
func TestServer_Memory(t *testing.T) {
	s := open(t, sandbox.Config{Limits: sandbox.Limits{FileSize: 200 << 20, RequestSize: 200 << 20}})
	c := dial(t, s)
	body := zeros{n: 100 << 20}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := rawRequest(c.request("POST", c.messages(), &body, "multipart/form-data; boundary=b"))
	runtime.ReadMemStats(&after)
	if err != nil || a.status != 400 { // the body ends without a boundary
		t.Errorf("%d, %v", a.status, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("100 MiB of body allocate %d bytes", grown)
	}
}

// zeros is one file's part of n bytes that is cut.
type zeros struct {
	n     int
	begun bool
}

func (z *zeros) Read(p []byte) (int, error) {
	if !z.begun {
		z.begun = true
		return copy(p, "--b\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"z\"\r\n\r\n"), nil
	}
	n := min(len(p), z.n)
	clear(p[:n])
	if z.n -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestLink(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	took := func(f func()) time.Duration {
		begin := time.Now()
		f()
		return time.Since(begin)
	}
	link := ""
	s.SetLink(sandbox.Link{Up: 1 << 20})
	if d := took(func() { link = c.post(files(pattern(100 << 10))...).Attachments[0].URL }); d < 90*time.Millisecond {
		t.Errorf("100 KiB up at 1 MiB/s took %v", d)
	}
	s.SetLink(sandbox.Link{Down: 1 << 20})
	if d := took(func() { c.get(link) }); d < 90*time.Millisecond {
		t.Errorf("100 KiB down at 1 MiB/s took %v", d)
	}
	s.SetLink(sandbox.Link{Latency: 40 * time.Millisecond})
	if d := took(func() { c.want(200, "GET", "/users/@me", nil); c.want(200, "GET", "/users/@me", nil) }); d < 80*time.Millisecond {
		t.Errorf("two requests at 40 ms took %v", d)
	}
	s.SetLink(sandbox.Link{})
	if got := c.get(link); !bytes.Equal(got.body, pattern(100<<10)) {
		t.Error("other bytes")
	}
}
