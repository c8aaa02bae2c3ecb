package sandbox_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"image"
	"image/png"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"discordcloud/pkg/sandbox"
)

func TestCDN_Link(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now})
	c := dial(t, s)
	m := c.post(files(pattern(1000))...)
	link := m.Attachments[0].URL
	want := regexp.MustCompile(fmt.Sprintf(`^%s/attachments/%s/%s/f0\.bin\?ex=[0-9a-f]{8}&is=[0-9a-f]{8}&hm=[0-9a-f]{64}&$`,
		regexp.QuoteMeta(s.URL()), m.ChannelID, m.Attachments[0].ID))
	if !want.MatchString(link) {
		t.Fatalf("link %s, want %s", link, want)
	}
	again := func() string {
		return decode[message](t, c.want(200, "GET", c.messages()+"/"+m.ID, nil)).Attachments[0].URL
	}
	clock.add(30 * time.Second)
	if got := again(); got != link {
		t.Errorf("within a minute the link changed to %s", got)
	}
	clock.add(time.Minute)
	if got := again(); got == link {
		t.Error("the link is the same after a minute")
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(f func(q url.Values)) string {
		q := u.Query()
		f(q)
		v := *u
		v.RawQuery = q.Encode()
		return v.String()
	}
	bare, _, _ := strings.Cut(link, "?")
	for name, bad := range map[string]string{
		"no signature":   bare,
		"longer life":    forge(func(q url.Values) { q.Set("ex", "ffffffff") }),
		"wrong MAC":      forge(func(q url.Values) { q.Set("hm", strings.Repeat("0", 64)) }),
		"no number":      forge(func(q url.Values) { q.Set("ex", "zz") }),
		"other name":     strings.Replace(link, "f0.bin", "f1.bin", 1),
		"other channel":  strings.Replace(link, m.ChannelID, s.Channels()[1], 1),
		"other id":       strings.Replace(link, m.Attachments[0].ID, "1", 1),
		"id is no id":    strings.Replace(link, m.Attachments[0].ID, "x", 1),
		"unknown prefix": strings.Replace(link, "/attachments/", "/attachment/", 1),
	} {
		if r := c.get(bad); r.status != 404 {
			t.Errorf("%s: %d, want 404", name, r.status)
		}
	}
	clock.add(22 * time.Hour)
	if r := c.get(link); r.status != 200 {
		t.Errorf("within a day: %d", r.status)
	}
	clock.add(2 * time.Hour)
	r := c.get(link)
	if r.status != 404 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") || len(r.body) == 0 {
		t.Errorf("expired: %d %v %q", r.status, r.header, r.body)
	}
	if r := c.get(again()); r.status != 200 {
		t.Errorf("fresh link: %d", r.status)
	}
}

func TestCDN_ShortLife(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now, LinkLifetime: 8 * time.Second})
	c := dial(t, s)
	clock.add(1500 * time.Millisecond)
	link := c.post(files(pattern(1))...).Attachments[0].URL
	clock.add(6 * time.Second)
	if r := c.get(link); r.status != 200 {
		t.Errorf("6 s of 8 s: %d", r.status)
	}
	clock.add(2 * time.Second)
	if r := c.get(link); r.status != 404 {
		t.Errorf("8 s of 8 s: %d", r.status)
	}
}

func TestCDN_Ranges(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	data := pattern(1000)
	link := c.post(files(data)...).Attachments[0].URL
	for _, tt := range []struct {
		header   string
		status   int
		from, to int
	}{
		{"", 200, 0, 1000},
		{"bytes=0-0", 206, 0, 1},
		{"bytes=10-19", 206, 10, 20},
		{"bytes=990-2000", 206, 990, 1000},
		{"bytes=990-", 206, 990, 1000},
		{"bytes=-10", 206, 990, 1000},
		{"bytes=1000-", 416, 0, 0},
	} {
		r := c.get(link, "Range", tt.header)
		if tt.header == "" {
			r = c.get(link)
		}
		if r.status != tt.status {
			t.Errorf("%s: %d, want %d", tt.header, r.status, tt.status)
			continue
		}
		if tt.status == 416 {
			if got := r.header.Get("Content-Range"); got != "bytes */1000" {
				t.Errorf("%s: Content-Range %q", tt.header, got)
			}
			continue
		}
		if !bytes.Equal(r.body, data[tt.from:tt.to]) {
			t.Errorf("%s: other bytes", tt.header)
		}
		want := fmt.Sprintf("bytes %d-%d/1000", tt.from, tt.to-1)
		if got := r.header.Get("Content-Range"); tt.status == 206 && got != want {
			t.Errorf("%s: Content-Range %q, want %q", tt.header, got, want)
		}
	}
}

func TestCDN_Headers(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	data := pattern(1000)
	link := c.post(files(data)...).Attachments[0].URL
	sum := md5.Sum(data)
	head, err := rawRequest(c.request("HEAD", link, nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Content-Length":      "1000",
		"Content-Type":        "application/octet-stream",
		"Accept-Ranges":       "bytes",
		"Cache-Control":       "public, max-age=31536000",
		"Etag":                `"` + hex.EncodeToString(sum[:]) + `"`,
		"Content-Disposition": `attachment; filename="f0.bin"`,
		// Of the pattern, computed elsewhere.
		"X-Goog-Hash": "crc32c=EfZiIA==,md5=ok8ePvZpUOEyfyEOOZe6LA==",
	} {
		if got := head.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if head.status != 200 || len(head.body) != 0 || head.header.Get("Last-Modified") == "" {
		t.Errorf("HEAD: %d, %d bytes, %v", head.status, len(head.body), head.header)
	}
	for name := range head.header {
		if strings.HasPrefix(name, "X-Ratelimit") {
			t.Errorf("the CDN sends %s", name)
		}
	}
	if r := c.get(link, "If-None-Match", head.header.Get("Etag")); r.status != 304 {
		t.Errorf("known ETag: %d, want 304", r.status)
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	if a := c.post(part{"files[0]", "a.png", picture.Bytes()}).Attachments[0]; a.Width != 30 || a.Height != 20 || a.ContentType != "image/png" {
		t.Errorf("picture: %+v", a)
	}
}

func TestRefreshURLs(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now})
	c := dial(t, s)
	link := c.post(files(pattern(100))...).Attachments[0].URL
	bare, _, _ := strings.Cut(link, "?")
	elsewhere := strings.Replace(bare, s.URL(), "https://cdn.discordapp.com", 1)
	clock.add(48 * time.Hour)
	ask := []string{link, bare, elsewhere, bare + "?format=webp&ex=1"}
	type pair struct{ Original, Refreshed string }
	got := decode[struct {
		Refreshed []pair `json:"refreshed_urls"`
	}](t, c.want(200, "POST", "/attachments/refresh-urls", map[string]any{"attachment_urls": ask})).Refreshed
	for i, p := range got {
		if r := c.get(p.Refreshed); p.Original != ask[i] || r.status != 200 {
			t.Errorf("%s -> %s: %d", p.Original, p.Refreshed, r.status)
		}
	}
	if len(got) != len(ask) || !strings.Contains(got[3].Refreshed, "&format=webp&") {
		t.Errorf("got %v", got)
	}
	c.wantCode(400, 50035, "POST", "/attachments/refresh-urls", map[string]any{"attachment_urls": []string{}})
	c.wantCode(400, 50035, "POST", "/attachments/refresh-urls", map[string]any{"attachment_urls": make([]string, 51)})
	c.wantCode(400, 50035, "POST", "/attachments/refresh-urls", map[string]any{"attachment_urls": []string{"https://example.com/x"}})
	c.token = ""
	c.wantCode(401, 0, "POST", "/attachments/refresh-urls", map[string]any{"attachment_urls": ask})
}
