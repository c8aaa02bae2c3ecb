package sandbox_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"discordcloud/pkg/sandbox"
)

// bucket is what the rate limit headers say.
type bucket struct {
	limit, left int
	after       float64
	name, scope string
}

func headers(t *testing.T, a answer) bucket {
	t.Helper()
	b := bucket{limit: -1, left: -1, after: -1, name: a.header.Get("X-RateLimit-Bucket"), scope: a.header.Get("X-RateLimit-Scope")}
	number := func(name string, bits int) float64 {
		v := a.header.Get(name)
		if v == "" {
			return -1
		}
		f, err := strconv.ParseFloat(v, bits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return f
	}
	b.limit, b.left = int(number("X-RateLimit-Limit", 64)), int(number("X-RateLimit-Remaining", 64))
	b.after = number("X-RateLimit-Reset-After", 64)
	return b
}

func text(s string) map[string]any { return map[string]any{"content": s} }

func TestLimit_Create(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now, Mode: sandbox.Live})
	c := dial(t, s)
	for i := range 5 {
		got := headers(t, c.want(200, "POST", c.messages(), text("x")))
		if got.limit != 5 || got.left != 4-i || got.after != 5-float64(i)*0.5 || len(got.name) != 32 {
			t.Errorf("post %d: %+v", i, got)
		}
		clock.add(500 * time.Millisecond)
	}
	a := c.want(429, "POST", c.messages(), text("x"))
	f := decode[failure](t, a)
	if got := headers(t, a); f.RetryAfter != 2.5 || f.Global || got.scope != "user" || got.left != 0 || got.after != 2.5 ||
		a.header.Get("Retry-After") != "3" {
		t.Errorf("refused: %s %v", a.body, a.header)
	}
	if at := a.header.Get("X-RateLimit-Reset"); at != strconv.FormatFloat(float64(clock.Now().Add(2500*time.Millisecond).UnixMilli())/1000, 'f', 3, 64) {
		t.Errorf("X-RateLimit-Reset: %s", at)
	}
	c.want(200, "POST", "/channels/"+s.Channels()[1]+"/messages", text("x")) // another channel
	token, err := s.AddBot("other")
	if err != nil {
		t.Fatal(err)
	}
	client{t, s, token}.want(200, "POST", c.messages(), text("x")) // another bot
	clock.add(2500 * time.Millisecond)
	c.want(200, "POST", c.messages(), text("x"))
	if st := s.Stats(); st.RateLimited != 1 || st.Invalid != 1 || st.Requests["POST /channels/{channel}/messages"] != 9 {
		t.Errorf("stats: %+v", st)
	}
}

func TestLimit_Scale(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now, Mode: sandbox.Strict, Scale: 10})
	c := dial(t, s)
	if got := headers(t, c.want(200, "POST", c.messages(), text("x"))); got.after != 0.5 {
		t.Errorf("at scale 10: %+v", got)
	}
}

func TestLimit_Off(t *testing.T) {
	s := open(t, sandbox.Config{Now: newClock().Now})
	c := dial(t, s)
	for range 60 {
		if got := headers(t, c.want(200, "GET", c.messages(), nil)); got.limit != 1000 || got.left != 999 {
			t.Fatalf("mode off tells of %+v, want a limit that never binds", got)
		}
	}
}

func TestLimit_Read(t *testing.T) {
	for _, tt := range []struct {
		mode        sandbox.Mode
		limit, left int
	}{{sandbox.Live, 1000, 999}, {sandbox.Strict, 5, 4}} {
		t.Run(tt.mode.String(), func(t *testing.T) {
			s := open(t, sandbox.Config{Now: newClock().Now, Mode: tt.mode})
			c := dial(t, s)
			for i := range 5 {
				want := tt.left
				if tt.mode == sandbox.Strict {
					want -= i
				}
				if got := headers(t, c.want(200, "GET", c.messages(), nil)); got.limit != tt.limit || got.left != want {
					t.Errorf("read %d: %+v, want %d of %d", i, got, want, tt.limit)
				}
			}
			if got := headers(t, c.want(429, "GET", c.messages(), nil)); got.limit != 5 || got.left != 0 || got.after != 5 {
				t.Errorf("refused: %+v", got)
			}
		})
	}
}

func TestLimit_Delete(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now})
	c := dial(t, s)
	post := func() string { return c.messages() + "/" + c.post(files(pattern(1))...).ID }
	old, middle := post(), ""
	clock.add(15 * 24 * time.Hour)
	middle = post()
	clock.add(11 * time.Second)
	fresh := post()
	s.SetMode(sandbox.Live)
	names := map[string]bool{}
	for _, tt := range []struct {
		name, path    string
		status, limit int
		after         float64
	}{
		{"old", old, 204, 30, 4}, {"middle", middle, 204, 3, 0.333}, {"fresh", fresh, 204, 5, 1}, {"unknown", c.messages() + "/7", 404, 5, 1},
	} {
		got := headers(t, c.want(tt.status, "DELETE", tt.path, nil))
		if got.limit != tt.limit || got.after != tt.after {
			t.Errorf("%s: %+v, want %d per %v s", tt.name, got, tt.limit, tt.after)
		}
		names[got.name] = true
	}
	if len(names) != 3 {
		t.Errorf("%d buckets, want 3", len(names))
	}
}

func TestLimit_EditOld(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now})
	c := dial(t, s)
	path := c.messages() + "/" + c.post(files(pattern(1))...).ID
	clock.add(2 * time.Hour)
	s.SetMode(sandbox.Live)
	for range 3 {
		c.want(200, "PATCH", path, text("x"))
	}
	c.wantCode(429, 30046, "PATCH", path, text("x"))
}

func TestLimit_Global(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now, Mode: sandbox.Strict})
	c := dial(t, s)
	for range 50 {
		c.want(200, "GET", "/users/@me", nil)
	}
	a := c.want(429, "GET", c.messages(), nil)
	f := decode[failure](t, a)
	if got := headers(t, a); !f.Global || got.scope != "global" || got.after != -1 || got.name != "" || a.header.Get("Retry-After") != "1" ||
		a.header.Get("X-RateLimit-Global") != "true" {
		t.Errorf("refused: %s %v", a.body, a.header)
	}
	clock.add(time.Second)
	c.want(200, "GET", "/users/@me", nil)
}

func TestLimit_Webhook(t *testing.T) {
	for _, mode := range []sandbox.Mode{sandbox.Live, sandbox.Strict} {
		t.Run(mode.String(), func(t *testing.T) {
			clock := newClock()
			s := open(t, sandbox.Config{Now: clock.Now})
			c := dial(t, s)
			type webhook struct{ ID, Token string }
			hook := func(channel int) string {
				w := decode[webhook](t, c.want(200, "POST", "/channels/"+s.Channels()[channel]+"/webhooks", map[string]any{"name": "h"}))
				return "/webhooks/" + w.ID + "/" + w.Token
			}
			a, b, other := hook(0), hook(0), hook(1)
			s.SetMode(mode)
			nobody := client{t, s, ""}
			for i := range 30 {
				got := headers(t, nobody.want(204, "POST", a, text("x")))
				if want := 4 - i%5; mode == sandbox.Live && (got.limit != 5 || got.left != want) {
					t.Errorf("execution %d: %+v, want %d of 5", i, got, want)
				}
				if i%5 == 4 {
					clock.add(2 * time.Second)
				}
			}
			refused := nobody.want(429, "POST", b, text("x"))
			if got := headers(t, refused); got.limit != 30 || got.after < 40 {
				t.Errorf("hidden limit: %+v", got)
			}
			nobody.want(204, "POST", other, text("x"))
		})
	}
}

func TestLimit_Invalid(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now, Mode: sandbox.Live, Limits: sandbox.Limits{Invalid: 20, BanFor: time.Hour}})
	c := dial(t, s)
	link := c.post(files(pattern(1))...).Attachments[0].URL
	bad := client{t, s, "wrong"}
	for range 19 {
		bad.want(401, "GET", "/users/@me", nil)
	}
	c.want(404, "GET", "/nothing", nil) // does not count
	c.want(200, "GET", "/users/@me", nil)
	bad.want(401, "GET", "/users/@me", nil)
	a := c.want(403, "GET", "/users/@me", nil)
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("ban: %v %s", a.header, a.body)
	}
	if r := c.get(link); r.status != 200 {
		t.Errorf("the CDN refuses a banned address: %d", r.status)
	}
	if st := s.Stats(); st.Bans != 1 || st.Refused != 1 || st.Invalid != 20 {
		t.Errorf("stats: %+v", st)
	}
	clock.add(time.Hour)
	c.want(200, "GET", "/users/@me", nil)
	s.SetMode(sandbox.Off)
	for range 40 {
		bad.want(401, "GET", "/users/@me", nil)
	}
	c.want(200, "GET", "/users/@me", nil)
}

func TestLimit_Sizes(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	send := func(status int, sizes ...int) {
		t.Helper()
		var bodies [][]byte
		for _, n := range sizes {
			bodies = append(bodies, pattern(n))
		}
		if a := c.multi("POST", c.messages(), files(bodies...)...); a.status != status {
			t.Errorf("%v: %d %.100s, want %d", sizes, a.status, a.body, status)
		}
	}
	const mib = 1 << 20
	send(200, 10*mib)
	send(413, 10*mib+1)
	send(200, 10*mib, 10*mib, 6*mib)
	s.SetMode(sandbox.Strict)
	send(413, 10*mib, 10*mib, 6*mib)
	send(200, 10*mib, 10*mib, 4*mib)
	s.SetMode(sandbox.Off)
	if err := s.SetBoostTier(2); err != nil {
		t.Fatal(err)
	}
	send(200, 11*mib)
	s.SetFileLimit(8 * mib)
	send(413, 8*mib+1)
	send(200, 8*mib)
	if got := s.Limits(); got.FileSize != 8*mib || got.RequestSize != 200*mib || got.Attachments != 10 {
		t.Errorf("limits: %+v", got)
	}
}
