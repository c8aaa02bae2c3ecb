package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/sandbox"
)

// open opens a server that listens, for the time of a test.
func open(t testing.TB, cfg sandbox.Config) *sandbox.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	cfg.NoSync = true
	s, err := sandbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return s
}

// pattern is n bytes of which a wrong offset shows.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// decode is the answer's body as T.
func decode[T any](t testing.TB, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("status %d, body %.200q: %v", a.status, a.body, err)
	}
	return v
}

type message struct {
	ID          string
	ChannelID   string `json:"channel_id"`
	Content     string
	Nonce       any
	Type        int
	Flags       int
	WebhookID   string  `json:"webhook_id"`
	Edited      *string `json:"edited_timestamp"`
	Author      struct{ ID, Username string }
	Attachments []attachment
	Embeds      []any
}

type attachment struct {
	ID, Filename, Title, Description, URL string
	ContentType                           string `json:"content_type"`
	Size                                  int64
	Width, Height                         int
}

type failure struct {
	Message    string
	Code       int
	Errors     map[string]any
	RetryAfter float64 `json:"retry_after"`
	Global     bool
}

// rawRequest sends a request and reads the answer; err is the transport's.
func rawRequest(req *http.Request) (answer, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, b}, err
}

// client calls the API of a server as its first bot.
type client struct {
	testing.TB
	s     *sandbox.Server
	token string
}

func (c client) request(method, path string, body io.Reader, contentType string) *http.Request {
	c.Helper()
	if strings.HasPrefix(path, "/") {
		path = c.s.URL() + "/api/v10" + path
	}
	req, err := http.NewRequestWithContext(c.Context(), method, path, body)
	if err != nil {
		c.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bot "+c.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

// do sends v as JSON, nothing if it is nil.
func (c client) do(method, path string, v any) answer {
	c.Helper()
	var body io.Reader
	kind := ""
	if v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			c.Fatal(err)
		}
		body, kind = bytes.NewReader(b), "application/json"
	}
	a, err := rawRequest(c.request(method, path, body, kind))
	if err != nil {
		c.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// want is do with a demand on the status.
func (c client) want(status int, method, path string, v any) answer {
	c.Helper()
	a := c.do(method, path, v)
	if a.status != status {
		c.Fatalf("%s %s = %d %.300s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// wantCode demands an error.
func (c client) wantCode(status, code int, method, path string, v any) failure {
	c.Helper()
	f := decode[failure](c, c.want(status, method, path, v))
	if f.Code != code {
		c.Fatalf("%s %s: code %d (%s), want %d", method, path, f.Code, f.Message, code)
	}
	return f
}

// part is one of a multipart body. Without a name it is a field.
type part struct {
	field, name string
	body        []byte
}

func files(bodies ...[]byte) []part {
	var parts []part
	for i, b := range bodies {
		parts = append(parts, part{fmt.Sprintf("files[%d]", i), fmt.Sprintf("f%d.bin", i), b})
	}
	return parts
}

func encode(t testing.TB, parts ...part) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		var (
			to  io.Writer
			err error
		)
		if p.name != "" {
			to, err = w.CreateFormFile(p.field, p.name)
		} else {
			to, err = w.CreateFormField(p.field)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(p.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

// multi sends parts.
func (c client) multi(method, path string, parts ...part) answer {
	c.Helper()
	b, kind := encode(c, parts...)
	a, err := rawRequest(c.request(method, path, bytes.NewReader(b), kind))
	if err != nil {
		c.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// post posts files to the first channel.
func (c client) post(parts ...part) message {
	c.Helper()
	a := c.multi("POST", c.messages(), parts...)
	if a.status != 200 {
		c.Fatalf("post = %d %s", a.status, a.body)
	}
	return decode[message](c, a)
}

func (c client) messages() string { return "/channels/" + c.s.Channels()[0] + "/messages" }

// get fetches from the CDN.
func (c client) get(url string, header ...string) answer {
	c.Helper()
	req := c.request("GET", url, nil, "")
	req.Header.Del("Authorization")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	a, err := rawRequest(req)
	if err != nil {
		c.Fatalf("get from CDN: %v", err)
	}
	return a
}

func dial(t testing.TB, s *sandbox.Server) client { return client{t, s, s.Token()} }

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 8, 6, 11, 31, 1, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
