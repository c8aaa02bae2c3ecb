package sandbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/bits"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"discordcloud/pkg/sandbox"
)

const (
	postRoute = "/channels/{channel}/messages"
	getRoute  = "/channels/{channel}/messages/{message}"
	cdnRoute  = "/attachments/{channel}/{attachment}/{file}"
)

func TestFault_Choice(t *testing.T) {
	s := open(t, sandbox.Config{Seed: 7})
	c := dial(t, s)
	first, second := c.post(files(pattern(1))...), c.post(files(pattern(1))...)
	failing := func(rule sandbox.Rule, calls int, call func() answer) []int {
		t.Helper()
		s.Faults().Clear()
		rule.Action, rule.Status, rule.Name = sandbox.Error, 503, t.Name()
		s.Faults().Add(rule)
		var hit []int
		for i := range calls {
			if call().status == 503 {
				hit = append(hit, i+1)
			}
		}
		return hit
	}
	read := func() answer { return c.do("GET", c.messages()+"/"+first.ID, nil) }
	list := func() answer { return c.do("GET", c.messages(), nil) }
	fetch := func() answer { return c.get(first.Attachments[0].URL) }
	for _, tt := range []struct {
		name string
		rule sandbox.Rule
		call func() answer
		want []int
	}{
		{"everything", sandbox.Rule{}, read, []int{1, 2, 3, 4}},
		{"third", sandbox.Rule{From: 3, To: 3}, read, []int{3}},
		{"from second", sandbox.Rule{From: 2}, read, []int{2, 3, 4}},
		{"up to second", sandbox.Rule{To: 2}, read, []int{1, 2}},
		{"once", sandbox.Rule{Times: 1}, read, []int{1}},
		{"method", sandbox.Rule{Method: "POST"}, read, nil},
		{"route", sandbox.Rule{Route: getRoute}, read, []int{1, 2, 3, 4}},
		{"other route", sandbox.Rule{Route: getRoute}, list, nil},
		{"prefix", sandbox.Rule{Route: "/channels/*"}, list, []int{1, 2, 3, 4}},
		{"channel", sandbox.Rule{Channel: s.Channels()[0]}, list, []int{1, 2, 3, 4}},
		{"other channel", sandbox.Rule{Channel: s.Channels()[1]}, list, nil},
		{"message", sandbox.Rule{Message: first.ID}, read, []int{1, 2, 3, 4}},
		{"other message", sandbox.Rule{Message: second.ID}, read, nil},
		{"CDN by message", sandbox.Rule{Message: first.ID}, fetch, []int{1, 2, 3, 4}},
		{"CDN by other message", sandbox.Rule{Message: second.ID}, fetch, nil},
		{"CDN by attachment", sandbox.Rule{Attachment: first.Attachments[0].ID}, fetch, []int{1, 2, 3, 4}},
		{"CDN by other attachment", sandbox.Rule{Attachment: second.Attachments[0].ID}, fetch, nil},
		{"CDN by route", sandbox.Rule{Method: "GET", Route: cdnRoute}, fetch, []int{1, 2, 3, 4}},
	} {
		if got := failing(tt.rule, 4, tt.call); !slices.Equal(got, tt.want) {
			t.Errorf("%s: calls %v fail, want %v", tt.name, got, tt.want)
		}
	}
	if n := len(failing(sandbox.Rule{Probability: 0.5}, 100, read)); n < 25 || n > 75 {
		t.Errorf("probability 0.5: %d of 100 calls fail", n)
	}
	s.Faults().Clear()
	before := s.Faults().Counts()["mine"]
	s.Faults().Add(sandbox.Rule{Name: "mine", Action: sandbox.Error, Times: 2})
	for range 3 {
		read()
	}
	if n := s.Faults().Counts()["mine"]; before != 0 || n != 2 || s.Stats().Faults["mine"] != 2 {
		t.Errorf("counted %d, want 2", n)
	}
	if n := s.Faults().Remove("mine"); n != 1 || len(s.Faults().Rules()) != 0 {
		t.Errorf("removed %d rules", n)
	}
}

// TestFault_Seed has two servers of one seed fail alike.
func TestFault_Seed(t *testing.T) {
	var runs [2]string
	for i := range runs {
		s := open(t, sandbox.Config{Seed: 42})
		s.Faults().Add(sandbox.Rule{Action: sandbox.Error, Probability: 0.4})
		c := dial(t, s)
		for range 50 {
			runs[i] += string('0' + rune(c.do("GET", "/users/@me", nil).status/100))
		}
	}
	if runs[0] != runs[1] || !strings.Contains(runs[0], "5") || !strings.Contains(runs[0], "2") {
		t.Errorf("one seed, two runs:\n%s\n%s", runs[0], runs[1])
	}
}

func TestFault_Rules(t *testing.T) {
	f := open(t, sandbox.Config{}).Faults()
	for _, r := range []sandbox.Rule{
		{}, {Action: "explode"}, {Action: sandbox.Error, Status: 42}, {Action: sandbox.Error, Probability: 2}, {Action: sandbox.Drop, From: -1},
		{Action: sandbox.RateLimit, Scope: "galactic"}, {Action: sandbox.Truncate, Length: "wide"},
	} {
		if f.TryAdd(sandbox.Rule{Action: sandbox.Drop}, r) == nil {
			t.Errorf("took %+v", r)
		}
	}
	if rules := f.Rules(); len(rules) != 0 {
		t.Errorf("rules of a refused script: %+v", rules)
	}
	want := sandbox.Rule{Name: "n", Action: sandbox.Delay, Delay: 1500 * time.Millisecond, At: -3, From: 1}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got sandbox.Rule
	if err := json.Unmarshal(b, &got); err != nil || got != want {
		t.Errorf("%s became %+v, %v", b, got, err)
	}
	if err := json.Unmarshal([]byte(`{"action":"drop","chanel":"1"}`), &got); err == nil {
		t.Error("took a misspelt field")
	}
}

func TestFault_Answers(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	m := c.post(files(pattern(100))...)
	for _, tt := range []struct {
		name   string
		rule   sandbox.Rule
		status int
		header map[string]string // "" wants none
		body   string
	}{
		{"429", sandbox.Rule{Action: sandbox.RateLimit, Delay: 1500 * time.Millisecond}, 429,
			map[string]string{"Retry-After": "2", "X-RateLimit-Scope": "user", "X-RateLimit-Remaining": "0"}, `"retry_after":1.5`},
		{"429 global", sandbox.Rule{Action: sandbox.RateLimit, Scope: "global"}, 429,
			map[string]string{"Retry-After": "1", "X-RateLimit-Global": "true", "X-RateLimit-Reset-After": ""}, `"global":true`},
		{"429 shared", sandbox.Rule{Action: sandbox.RateLimit, Scope: "shared"}, 429, map[string]string{"X-RateLimit-Scope": "shared"}, `"global":false`},
		{"429 of Cloudflare", sandbox.Rule{Action: sandbox.RateLimit, Scope: "html"}, 429,
			map[string]string{"Content-Type": "text/html; charset=UTF-8", "Retry-After": "", "X-RateLimit-Scope": ""}, "1015"},
		{"500", sandbox.Rule{Action: sandbox.Error}, 500, nil, `"code":0`},
		{"502 page", sandbox.Rule{Action: sandbox.Error, Status: 502, HTML: true}, 502, map[string]string{"Content-Type": "text/html; charset=UTF-8"}, "Bad Gateway"},
		{"522", sandbox.Rule{Action: sandbox.Error, Status: 522, HTML: true}, 522, nil, "<html>"},
		{"200 page", sandbox.Rule{Action: sandbox.Error, Status: 200, HTML: true}, 200, nil, "<html>"},
		{"403", sandbox.Rule{Action: sandbox.Error, Status: 403, Code: 50001}, 403, nil, "Missing Access"},
		{"redirect", sandbox.Rule{Action: sandbox.Redirect, Text: "http://192.0.2.1/"}, 302, map[string]string{"Location": "http://192.0.2.1/"}, ""},
		{"no headers", sandbox.Rule{Action: sandbox.NoHeaders}, 200, map[string]string{"X-RateLimit-Limit": ""}, m.ID},
		{"padding", sandbox.Rule{Action: sandbox.Pad, At: 5 << 20}, 200, nil, strings.Repeat("x", 5<<20)},
		{"no attachments", sandbox.Rule{Action: sandbox.NoAttachments}, 200, nil, `"attachments":[]`},
		{"wrong size", sandbox.Rule{Action: sandbox.WrongSize}, 200, nil, `"size":101`},
		{"lost", sandbox.Rule{Action: sandbox.Lose}, 404, nil, "10008"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.SetMode(sandbox.Live)
			s.Unban()
			s.Faults().Clear()
			s.Faults().Add(tt.rule)
			a := c.do("GET", c.messages()+"/"+m.ID, nil)
			if a.status != tt.status || !strings.Contains(string(a.body), tt.body) {
				t.Errorf("%d %.300s, want %d with %.100s", a.status, a.body, tt.status, tt.body)
			}
			for name, want := range tt.header {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	if st := s.Stats(); st.Invalid != 4 || st.RateLimited != 0 { // shared ones do not count
		t.Errorf("stats: %+v", st)
	}
}

func TestFault_NewBucket(t *testing.T) {
	s := open(t, sandbox.Config{Mode: sandbox.Strict})
	s.Faults().Add(sandbox.Rule{Action: sandbox.NewBucket, From: 2})
	c := dial(t, s)
	a, b := headers(t, c.do("GET", c.messages(), nil)), headers(t, c.do("GET", c.messages(), nil))
	if a.name == b.name || len(b.name) != 32 || b.left != 3 {
		t.Errorf("buckets %+v and %+v", a, b)
	}
}

// TestFault_Commit tells apart what happens before and after the message is
// stored.
func TestFault_Commit(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	stored := func() int { return len(decode[[]message](t, c.want(200, "GET", c.messages()+"?limit=100", nil))) }
	body, kind := encode(t, append(files(pattern(50000)), field("payload_json", `{"nonce":"x","enforce_nonce":true}`))...)
	send := func() (answer, error) {
		return rawRequest(c.request("POST", c.messages(), bytes.NewReader(body), kind))
	}
	for _, tt := range []struct {
		name   string
		rule   sandbox.Rule
		status int // 0: the connection is cut
		more   int
	}{
		{"dropped before", sandbox.Rule{Action: sandbox.Drop}, 0, 0},
		{"dropped in the body", sandbox.Rule{Action: sandbox.Drop, At: 20000}, 0, 0},
		{"dropped at the body's end", sandbox.Rule{Action: sandbox.Drop, At: 1 << 30}, 0, 0},
		{"502 before", sandbox.Rule{Action: sandbox.Error, Status: 502}, 502, 0},
		{"file limit", sandbox.Rule{Action: sandbox.FileLimit, At: 40000}, 413, 0},
		{"disk full", sandbox.Rule{Action: sandbox.Full}, 507, 0},
		{"dropped after", sandbox.Rule{Action: sandbox.Drop, After: true}, 0, 1},
		{"502 after", sandbox.Rule{Action: sandbox.Error, Status: 502, After: true}, 502, 0}, // the nonce finds the one before
		{"nonce ignored", sandbox.Rule{Action: sandbox.IgnoreNonce}, 200, 1},
		{"lost", sandbox.Rule{Action: sandbox.Lose}, 200, -1},
	} {
		before := stored()
		s.Faults().Clear()
		s.Faults().Add(tt.rule)
		s.Faults().Add(sandbox.Rule{Name: "all", Action: sandbox.NoHeaders})
		a, err := send()
		s.Faults().Clear()
		if (tt.status == 0) != (err != nil) || a.status != tt.status {
			t.Errorf("%s: %d, %v, want %d", tt.name, a.status, err, tt.status)
		}
		if more := stored() - before; more != tt.more {
			t.Errorf("%s: %d more messages, want %d", tt.name, more, tt.more)
		}
	}
	if n, err := s.Attachments(); err != nil || filesOnDisk(t, s) != len(n) {
		t.Errorf("files are left behind: %v", err)
	}
}

func TestFault_Bodies(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	data := pattern(1000)
	m := c.post(files(data)...)
	other := bytes.Repeat([]byte{7}, 1000)
	c.post(files(other)...)
	fetch := func(header ...string) (answer, error) {
		req := c.request("GET", m.Attachments[0].URL, nil, "")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		return rawRequest(req)
	}
	under := func(t *testing.T, r sandbox.Rule, header ...string) (answer, error) {
		s.Faults().Clear()
		r.Route = cdnRoute
		s.Faults().Add(r)
		return fetch(header...)
	}
	t.Run("truncate full", func(t *testing.T) {
		a, err := under(t, sandbox.Rule{Action: sandbox.Truncate, At: 300})
		if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(a.body, data[:300]) || a.header.Get("Content-Length") != "1000" {
			t.Errorf("%d bytes of %s, %v", len(a.body), a.header.Get("Content-Length"), err)
		}
	})
	t.Run("truncate short", func(t *testing.T) {
		a, err := under(t, sandbox.Rule{Action: sandbox.Truncate, At: -300, Length: "short"})
		if err != nil || !bytes.Equal(a.body, data[:700]) || a.header.Get("Content-Length") != "700" {
			t.Errorf("%d bytes of %s, %v", len(a.body), a.header.Get("Content-Length"), err)
		}
	})
	t.Run("truncate chunked", func(t *testing.T) {
		a, err := under(t, sandbox.Rule{Action: sandbox.Truncate, At: 300, Length: "chunked"})
		if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(a.body, data[:300]) || a.header.Get("Content-Length") != "" {
			t.Errorf("%d bytes of %q, %v", len(a.body), a.header.Get("Content-Length"), err)
		}
	})
	t.Run("flip", func(t *testing.T) {
		for _, at := range []int64{17, -1, 0} {
			a, err := under(t, sandbox.Rule{Action: sandbox.Flip, At: at})
			if err != nil || len(a.body) != len(data) {
				t.Fatalf("%d bytes, %v", len(a.body), err)
			}
			where, n := 0, 0
			for i := range data {
				if d := a.body[i] ^ data[i]; d != 0 {
					where, n = i, n+bits.OnesCount8(d)
				}
			}
			if n != 1 || at > 0 && where != int(at) || at < 0 && where != 999 {
				t.Errorf("flip at %d: %d bits, the last in byte %d", at, n, where)
			}
		}
	})
	t.Run("gzip", func(t *testing.T) {
		a, err := under(t, sandbox.Rule{Action: sandbox.Gzip}, "Accept-Encoding", "identity")
		if err != nil || a.header.Get("Content-Encoding") != "gzip" || bytes.Equal(a.body, data) {
			t.Errorf("%v, %v", a.header, err)
		}
		if a, err = fetch(); err != nil || !bytes.Equal(a.body, data) {
			t.Errorf("unpacked: %d bytes, %v", len(a.body), err)
		}
	})
	t.Run("swap", func(t *testing.T) {
		if a, err := under(t, sandbox.Rule{Action: sandbox.Swap}); err != nil || !bytes.Equal(a.body, other) {
			t.Errorf("%d bytes, %v", len(a.body), err)
		}
	})
	t.Run("ignore range", func(t *testing.T) {
		a, err := under(t, sandbox.Rule{Action: sandbox.IgnoreRange}, "Range", "bytes=5-9")
		if err != nil || a.status != 200 || !bytes.Equal(a.body, data) {
			t.Errorf("%d, %d bytes, %v", a.status, len(a.body), err)
		}
	})
	t.Run("wrong range", func(t *testing.T) {
		a, err := under(t, sandbox.Rule{Action: sandbox.WrongRange}, "Range", "bytes=5-9")
		if err != nil || a.status != 206 || a.header.Get("Content-Range") != "bytes 6-10/1000" {
			t.Errorf("%d, %v, %v", a.status, a.header, err)
		}
	})
	t.Run("416", func(t *testing.T) {
		if a, err := under(t, sandbox.Rule{Action: sandbox.Error, Status: 416}, "Range", "bytes=5-9"); err != nil || a.status != 416 {
			t.Errorf("%d, %v", a.status, err)
		}
	})
	t.Run("429 of the CDN", func(t *testing.T) {
		a, err := under(t, sandbox.Rule{Action: sandbox.RateLimit, Delay: 2 * time.Second})
		if err != nil || a.status != 429 || a.header.Get("Retry-After") != "2" || a.header.Get("X-RateLimit-Scope") != "" {
			t.Errorf("%d, %v, %v", a.status, a.header, err)
		}
	})
	t.Run("expired", func(t *testing.T) {
		if a, err := under(t, sandbox.Rule{Action: sandbox.Expire}); err != nil || a.status != 404 {
			t.Errorf("%d, %v", a.status, err)
		}
	})
	t.Run("lost", func(t *testing.T) {
		if a, err := under(t, sandbox.Rule{Action: sandbox.Lose}); err != nil || a.status != 404 {
			t.Errorf("%d, %v", a.status, err)
		}
	})
	t.Run("slow", func(t *testing.T) {
		begin := time.Now()
		a, err := under(t, sandbox.Rule{Action: sandbox.Slow, Rate: 10000})
		if took := time.Since(begin); err != nil || !bytes.Equal(a.body, data) || took < 90*time.Millisecond {
			t.Errorf("%d bytes in %v, %v", len(a.body), took, err)
		}
	})
	t.Run("stall", func(t *testing.T) {
		begin := time.Now()
		a, err := under(t, sandbox.Rule{Action: sandbox.Stall, At: 10, Delay: 50 * time.Millisecond})
		if took := time.Since(begin); err != nil || !bytes.Equal(a.body, data) || took < 50*time.Millisecond {
			t.Errorf("%d bytes in %v, %v", len(a.body), took, err)
		}
	})
	t.Run("stall until the client leaves", func(t *testing.T) {
		s.Faults().Clear()
		s.Faults().Add(sandbox.Rule{Action: sandbox.Stall, At: 10})
		res, err := http.Get(m.Attachments[0].URL)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 10)
		if _, err := io.ReadFull(res.Body, got); err != nil || !bytes.Equal(got, data[:10]) {
			t.Errorf("before the stall: %v, %v", got, err)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("delay", func(t *testing.T) {
		begin := time.Now()
		a, err := under(t, sandbox.Rule{Action: sandbox.Delay, Delay: 50 * time.Millisecond})
		if took := time.Since(begin); err != nil || a.status != 200 || took < 50*time.Millisecond {
			t.Errorf("%d in %v, %v", a.status, took, err)
		}
	})
}

func TestFault_StallInBody(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	s.Faults().Add(sandbox.Rule{Action: sandbox.Delay, At: 3000, Delay: 50 * time.Millisecond})
	begin := time.Now()
	m := c.post(files(pattern(9000))...)
	if took := time.Since(begin); took < 50*time.Millisecond || m.Attachments[0].Size != 9000 {
		t.Errorf("%+v in %v", m, took)
	}
}

func TestFault_Messages(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now})
	c := dial(t, s)
	under := func(r sandbox.Rule) message {
		s.Faults().Clear()
		s.Faults().Add(r)
		m := c.post(files(pattern(100))...)
		s.Faults().Clear()
		return m
	}
	read := func(m message) answer { return c.do("GET", c.messages()+"/"+m.ID, nil) }

	m := under(sandbox.Rule{Action: sandbox.Lag, Delay: 2 * time.Second})
	if a := read(m); a.status != 404 {
		t.Errorf("lagging message: %d", a.status)
	}
	if a := c.get(m.Attachments[0].URL); a.status != 404 {
		t.Errorf("lagging attachment: %d", a.status)
	}
	if list := decode[[]message](t, c.do("GET", c.messages(), nil)); len(list) != 0 {
		t.Errorf("lagging message is listed: %+v", list)
	}
	clock.add(2 * time.Second)
	if a := read(m); a.status != 200 {
		t.Errorf("after the lag: %d", a.status)
	}

	m = under(sandbox.Rule{Action: sandbox.Lose})
	if a := read(m); a.status != 404 || c.get(m.Attachments[0].URL).status != 404 {
		t.Errorf("lost message: %d", a.status)
	}
	m = under(sandbox.Rule{Action: sandbox.Rename})
	if got := decode[message](t, read(m)).Attachments[0]; got.Filename != "renamed-f0.bin" || c.get(got.URL).status != 200 {
		t.Errorf("renamed: %+v", got)
	}
	m = under(sandbox.Rule{Action: sandbox.WrongID})
	if got := decode[message](t, read(m)).Attachments[0]; got.ID == m.Attachments[0].ID {
		t.Error("the id is right")
	}
	m = under(sandbox.Rule{Action: sandbox.Expire, Delay: 20 * time.Second})
	clock.add(10 * time.Second)
	if a := c.get(m.Attachments[0].URL); a.status != 200 {
		t.Errorf("10 s of 20 s: %d", a.status)
	}
	clock.add(10 * time.Second)
	if a := c.get(m.Attachments[0].URL); a.status != 404 {
		t.Errorf("20 s of 20 s: %d", a.status)
	}
	if a := c.get(decode[message](t, read(m)).Attachments[0].URL); a.status != 200 {
		t.Errorf("fresh link: %d", a.status)
	}

	whole := decode[[]message](t, c.do("GET", c.messages(), nil))
	s.Faults().Add(sandbox.Rule{Action: sandbox.MessyList})
	messy := decode[[]message](t, c.do("GET", c.messages(), nil))
	if len(messy) != len(whole) || messy[0].ID != whole[0].ID || messy[len(messy)-1].ID != whole[0].ID {
		t.Errorf("messy list of %d from %d", len(messy), len(whole))
	}
}

func TestInspect(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	m := c.post(files(pattern(100), pattern(200))...)
	list, err := s.Attachments()
	if err != nil || len(list) != 2 || list[0].MessageID != m.ID || list[1].Size != 200 || list[1].Filename != "f1.bin" {
		t.Fatalf("attachments: %+v, %v", list, err)
	}
	if err := s.CorruptAttachment(list[0].ID, -1); err != nil {
		t.Fatal(err)
	}
	got, want := c.get(m.Attachments[0].URL).body, pattern(100)
	if want[99] ^= 1; !bytes.Equal(got, want) {
		t.Error("the last byte is not the one that changed")
	}
	if err := s.RemoveAttachment(list[1].ID); err != nil || c.get(m.Attachments[1].URL).status != 404 {
		t.Errorf("removed: %v", err)
	}
	if err := s.DeleteMessage(m.ID); err != nil {
		t.Error(err)
	}
	c.wantCode(404, 10008, "GET", c.messages()+"/"+m.ID, nil)
	if err := s.DeleteChannel(s.Channels()[0]); err != nil || len(s.Channels()) != 3 {
		t.Error(err, s.Channels())
	}
	for name, err := range map[string]error{
		"message": s.DeleteMessage("1"), "channel": s.DeleteChannel("x"), "attachment": s.CorruptAttachment("", 0), "removed": s.RemoveAttachment("7"),
	} {
		if err == nil {
			t.Errorf("unknown %s: no error", name)
		}
	}
	newer, err := s.RevokeToken(s.Token())
	if err != nil || newer != s.Token() {
		t.Fatal(err)
	}
	c.wantCode(401, 0, "GET", "/users/@me", nil)
	dial(t, s).want(200, "GET", "/users/@me", nil)
}
