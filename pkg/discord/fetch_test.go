package discord_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/retry"
)

const link = "http://cdn.test/attachments/1/2/x.bin?ex=7fffffff&is=1&hm=0123456789abcdef&"

func TestFetch_Answers(t *testing.T) {
	const size = 1000
	content := string(blobtest.Pattern(size))
	part := func(first, last int) string { return content[first : last+1] }
	type answer struct {
		status int
		body   string
		header []string
		length int64 // if not 0: what it says; -1 is nothing
	}
	for _, c := range []struct {
		name   string
		off, n int64
		answer answer
		want   string // what is read
		err    error  // and how it ends
	}{
		{"whole", 0, -1, answer{200, content, nil, 0}, content, nil},
		{"range", 10, 20, answer{206, part(10, 29), []string{"Content-Range", "bytes 10-29/1000"}, 0}, part(10, 29), nil},
		{"range of unknown total", 10, 20, answer{206, part(10, 29), []string{"Content-Range", "bytes 10-29/*"}, 0}, part(10, 29), nil},
		{"to the end", 990, -1, answer{206, part(990, 999), []string{"Content-Range", "bytes 990-999/1000"}, 0}, part(990, 999), nil},
		{"none", 10, 0, answer{206, part(9, 9), []string{"Content-Range", "bytes 9-9/1000"}, 0}, "", nil},
		{"none at the end", 1000, 0, answer{206, part(999, 999), []string{"Content-Range", "bytes 999-999/1000"}, 0}, "", nil},
		{"end from the end", 1000, -1, answer{416, "<html>", []string{"Content-Range", "bytes */1000"}, 0}, "", nil},
		{"range ignored", 10, 20, answer{200, content, nil, 0}, part(10, 29), nil},
		{"range ignored, to the end", 990, -1, answer{200, content, nil, 0}, part(990, 999), nil},
		{"identity", 0, -1, answer{200, content, []string{"Content-Encoding", "identity"}, 0}, content, nil},

		{"beyond the end in part", 990, 20, answer{206, part(990, 999), []string{"Content-Range", "bytes 990-999/1000"}, 0}, part(990, 999), discord.ErrShort},
		{"beyond the end from the end", 1000, 5, answer{416, "<html>", []string{"Content-Range", "bytes */1000"}, 0}, "", discord.ErrShort},
		{"range ignored, short", 990, 20, answer{200, content, nil, 0}, part(990, 999), discord.ErrShort},
		{"cut", 0, -1, answer{200, content[:600], nil, 1000}, content[:600], io.ErrUnexpectedEOF},
		{"cut range", 10, 20, answer{206, part(10, 19), []string{"Content-Range", "bytes 10-29/1000"}, 20}, part(10, 19), io.ErrUnexpectedEOF},

		{"beyond the end", 1001, 5, answer{416, "", []string{"Content-Range", "bytes */1000"}, 0}, "", cloud.ErrInvalid},
		{"range ignored, beyond the end", 1001, 5, answer{200, content, nil, 0}, "", cloud.ErrInvalid},
		{"refused range that is good", 10, 20, answer{416, "", []string{"Content-Range", "bytes */1000"}, 0}, "", discord.ErrOddAnswer},
		{"refused range without a word", 10, 20, answer{416, "", nil, 0}, "", discord.ErrOddAnswer},
		{"other range", 10, 20, answer{206, part(11, 30), []string{"Content-Range", "bytes 11-30/1000"}, 0}, "", discord.ErrOddAnswer},
		{"larger range", 10, 20, answer{206, part(10, 30), []string{"Content-Range", "bytes 10-30/1000"}, 0}, "", discord.ErrOddAnswer},
		{"smaller range", 10, 20, answer{206, part(10, 19), []string{"Content-Range", "bytes 10-19/1000"}, 0}, "", discord.ErrOddAnswer},
		{"not to the end", 990, -1, answer{206, part(990, 998), []string{"Content-Range", "bytes 990-998/1000"}, 0}, "", discord.ErrOddAnswer},
		{"range and length differ", 10, 20, answer{206, part(10, 19), []string{"Content-Range", "bytes 10-29/1000"}, 0}, "", discord.ErrOddAnswer},
		{"no Content-Range", 10, 20, answer{206, part(10, 29), nil, 0}, "", discord.ErrOddAnswer},
		{"broken Content-Range", 10, 20, answer{206, part(10, 29), []string{"Content-Range", "bytes 10-29"}, 0}, "", discord.ErrOddAnswer},
		{"backward Content-Range", 10, 20, answer{206, part(10, 29), []string{"Content-Range", "bytes 29-10/1000"}, 0}, "", discord.ErrOddAnswer},
		{"Content-Range beyond its total", 10, 20, answer{206, part(10, 29), []string{"Content-Range", "bytes 10-29/29"}, 0}, "", discord.ErrOddAnswer},
		{"several parts", 10, 20, answer{206, part(10, 29), []string{"Content-Type", "multipart/byteranges; boundary=x"}, 0}, "", discord.ErrOddAnswer},
		{"206 unasked", 0, -1, answer{206, content, []string{"Content-Range", "bytes 0-999/1000"}, 0}, "", discord.ErrOddAnswer},
		{"page", 0, -1, answer{200, "<html>", []string{"Content-Type", "text/html; charset=utf-8"}, 0}, "", discord.ErrOddAnswer},
		{"gzip", 0, -1, answer{200, content, []string{"Content-Encoding", "gzip"}, 0}, "", discord.ErrOddAnswer},
		{"no end", 0, -1, answer{200, content, nil, -1}, "", discord.ErrOddAnswer},
		{"204", 0, -1, answer{204, "", nil, 0}, "", discord.ErrOddAnswer},
		{"redirect", 0, -1, answer{302, "", []string{"Location", "http://cdn.test/other"}, 0}, "", discord.ErrOddAnswer},
		{"expired", 0, -1, answer{404, "This content is no longer available.", nil, 0}, "", cloud.ErrNotFound},
		{"403", 0, -1, answer{403, "", nil, 0}, "", cloud.ErrDenied},
		{"500", 0, -1, answer{500, "", nil, 0}, "", cloud.ErrUnavailable},
		{"429", 0, -1, answer{429, "", []string{"Retry-After", "2"}, 0}, "", cloud.ErrLimited},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, func(r *http.Request) (*http.Response, error) {
					if r.URL.String() != link {
						t.Errorf("request to %s", r.URL)
					}
					if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
						t.Error("the CDN was sent credentials")
					}
					if r.Header.Get("Accept-Encoding") != "identity" {
						t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
					}
					resp, _ := respond(c.answer.status, c.answer.body, c.answer.header...)
					if c.answer.length != 0 {
						resp.ContentLength = c.answer.length
						resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(c.answer.body), iotest.ErrReader(io.ErrUnexpectedEOF)))
					}
					return resp, nil
				})
				var got []byte
				body, err := client.Fetch(t.Context(), link, c.off, c.n)
				if err == nil {
					got, err = io.ReadAll(body)
					if cerr := body.Close(); cerr != nil {
						t.Errorf("Close: %v", cerr)
					}
				}
				if !errors.Is(err, c.err) || string(got) != c.want {
					t.Errorf("%d bytes, %v, want %d, %v", len(got), err, len(c.want), c.err)
				}
				if err != nil {
					keepsSecrets(t, "error", err.Error())
				}
			})
		})
	}
}

func TestFetch_Hosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := ""
		answer := func(r *http.Request) (*http.Response, error) {
			asked = r.URL.Host
			return respond(200, "x")
		}
		plain := newClient(t, answer, func(o *discord.Options) { o.CDNHosts = []string{"other.test:81"} })
		real := newClient(t, answer, func(o *discord.Options) { o.CDNURL, o.APIURL = "", "" })
		for _, c := range []struct {
			client *discord.Client
			link   string
			ok     bool
		}{
			{plain, "http://cdn.test/a", true},
			{plain, "https://cdn.test/a", true},
			{plain, "http://other.test:81/a", true},
			{plain, "http://other.test/a", false},
			{plain, "http://cdn.test:81/a", false},
			{plain, "http://cdn.test.evil.test/a", false},
			{plain, "http://cdn.test@evil.test/a", false},
			{plain, "http://user@cdn.test/a", false},
			{plain, "file:///etc/passwd", false},
			{plain, "//cdn.test/a", false},
			{plain, "http://169.254.169.254/", false},
			{plain, "http://cdn.test/%zz", false},
			{real, "https://cdn.discordapp.com/attachments/1/2/x.bin?ex=1", true},
			{real, "http://cdn.discordapp.com/attachments/1/2/x.bin?ex=1", false},
			{real, "https://media.discordapp.net/attachments/1/2/x.bin?ex=1", false},
		} {
			asked = ""
			body, err := c.client.Fetch(t.Context(), c.link, 0, -1)
			if err == nil {
				_ = body.Close()
			}
			if c.ok != (err == nil) || c.ok != (asked != "") {
				t.Errorf("%s: %v, asked %q, want %v", c.link, err, asked, c.ok)
			}
		}
	})
}

// The CDN's time counts, the reader's does not.
func TestFetch_Stall(t *testing.T) {
	for _, c := range []struct {
		name           string
		source, reader time.Duration // for each 4 KiB
		ok             bool
	}{
		{"slow reader", 0, time.Minute, true},
		{"slow source", time.Second, 0, true},
		{"source that drips", 10 * time.Second, 0, false},
		{"both slow", time.Second, time.Minute, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want := blobtest.Pattern(300_000)
				client := newClient(t, func(r *http.Request) (*http.Response, error) {
					resp, _ := respond(200, "")
					resp.ContentLength = int64(len(want))
					resp.Body = io.NopCloser(&lateReader{r: bytes.NewReader(want), every: c.source, done: r.Context().Done(), err: r.Context().Err})
					return resp, nil
				})
				body, err := client.Fetch(t.Context(), link, 0, -1)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(&lateReader{r: body, every: c.reader})
				if c.ok && (err != nil || !bytes.Equal(got, want)) {
					t.Errorf("%d bytes, %v, want all", len(got), err)
				}
				if !c.ok && (!errors.Is(err, discord.ErrStalled) || !bytes.HasPrefix(want, got)) {
					t.Errorf("%d bytes, %v, want ErrStalled", len(got), err)
				}
				if err := body.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// lateReader gives 4 KiB at a time, each after a while.
type lateReader struct {
	r     io.Reader
	every time.Duration
	done  <-chan struct{}
	err   func() error
}

func (l *lateReader) Read(p []byte) (int, error) {
	select {
	case <-time.After(l.every):
		return l.r.Read(p[:min(len(p), 4<<10)])
	case <-l.done:
		return 0, l.err()
	}
}

// While the CDN limits one fetch, the others wait too.
func TestFetch_Limited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var requests atomic.Int64
		c := newClient(t, func(*http.Request) (*http.Response, error) {
			if requests.Add(1); time.Since(start) < 30*time.Second {
				return respond(429, "", "Retry-After", "30")
			}
			return respond(200, "x")
		})
		errs := make(chan error)
		for i := range 10 {
			go func() {
				time.Sleep(time.Duration(i) * time.Second)
				body, err := c.Fetch(t.Context(), link, 0, -1)
				if err == nil {
					err = body.Close()
				}
				errs <- err
			}()
		}
		for range 10 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if requests.Load() != 11 || time.Since(start) != 30*time.Second {
			t.Errorf("%d requests in %v, want 11 in 30s", requests.Load(), time.Since(start))
		}
	})
}

func TestFetch_Arguments(t *testing.T) {
	c := newClient(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("asked") },
		func(o *discord.Options) { o.Retry = retry.Policy{Tries: 1} })
	for _, r := range [][2]int64{{-1, 5}, {1 << 62, 1 << 62}} {
		if _, err := c.Fetch(t.Context(), link, r[0], r[1]); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("Fetch(%d, %d) = %v, want ErrInvalid", r[0], r[1], err)
		}
	}
}

func TestLinks(t *testing.T) {
	c := newClient(t, nil, func(o *discord.Options) { o.CDNURL = "http://cdn.test/base/" })
	path, err := c.PathOf("http://cdn.test/base/attachments/1/2/x%20y.bin?ex=1&hm=2")
	if err != nil || path != "/attachments/1/2/x%20y.bin" {
		t.Errorf("PathOf = %q, %v", path, err)
	}
	if bare, err := c.Bare(path); err != nil || bare != "http://cdn.test/base/attachments/1/2/x%20y.bin" {
		t.Errorf("Bare = %q, %v", bare, err)
	}
	for _, p := range []string{"", "x", "//evil.test/x", "http://evil.test/x", "/a/../b", "/a?b", "/a#b", "/a\n"} {
		if bare, err := c.Bare(p); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("Bare(%q) = %q, %v, want ErrInvalid", p, bare, err)
		}
	}
	at := time.Unix(1_800_000_000, 0)
	if ex, ok := discord.Expiry(fmt.Sprintf("http://cdn.test/a?ex=%x&is=1&hm=2&", at.Unix())); !ok || !ex.Equal(at) {
		t.Errorf("Expiry = %v, %v, want %v", ex, ok, at)
	}
	for _, l := range []string{"http://cdn.test/a", "http://cdn.test/a?ex=", "http://cdn.test/a?ex=xyz", "http://cdn.test/a?ex=-1", "%"} {
		if ex, ok := discord.Expiry(l); ok {
			t.Errorf("Expiry(%q) = %v, want none", l, ex)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 10-29/1000", "bytes */1000", "bytes 0-0/*", "bytes 9-1/2", "bytes 10-29/1000, 3-4/5", "bytes -1-2/3", ""} {
		f.Add(s, int64(10), int64(20), int64(20))
	}
	f.Fuzz(func(t *testing.T, contentRange string, off, n, length int64) {
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			resp, err := respond(206, "", "Content-Range", contentRange)
			resp.ContentLength = length
			resp.Body = io.NopCloser(&lateReader{r: bytes.NewReader(blobtest.Pattern(1000))})
			return resp, err
		}, func(o *discord.Options) { o.Retry = retry.Policy{Tries: 1} })
		body, err := c.Fetch(t.Context(), link, off, n)
		if err != nil {
			if cloud.KindOf(err) == nil {
				t.Errorf("Fetch = %v, of no kind", err)
			}
			return
		}
		got, err := io.ReadAll(body)
		if n >= 0 && (int64(len(got)) > n || err == nil && int64(len(got)) != n) {
			t.Errorf("%d bytes of %d, %v", len(got), n, err)
		}
	})
}
