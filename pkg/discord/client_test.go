package discord_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/retry"
)

const token = "MTIzNDU2Nzg5MA.canary.secretsecretsecretsecretsecret"

// transport answers requests in place of the network, so that time may be
// virtual.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f(r)
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return resp, err
}

func respond(status int, body string, header ...string) (*http.Response, error) {
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// newClient makes a client of a transport, and holds its errors and logs to
// keep secrets.
func newClient(t *testing.T, f transport, change ...func(*discord.Options)) *discord.Client {
	t.Helper()
	var logs lockedBuffer
	opt := discord.Options{
		Token: token, Transport: f, CDNURL: "http://cdn.test", APIURL: "http://api.test/api/v10",
		Log: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&opt)
	}
	c, err := discord.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		keepsSecrets(t, "log", logs.String())
	})
	return c
}

func keepsSecrets(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{token, "canary", "hm="} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds %q: %s", what, secret, text)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// posted is what a post request holds.
type posted struct {
	Nonce        string `json:"nonce"`
	EnforceNonce bool   `json:"enforce_nonce"`
	Content      string `json:"content"`
	Attachments  []struct {
		ID       int    `json:"id"`
		Filename string `json:"filename"`
	} `json:"attachments"`
	files [][]byte
}

func readPost(r *http.Request) (posted, error) {
	var p posted
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return p, err
	}
	counted := &countReader{r: r.Body}
	parts := multipart.NewReader(counted, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return p, err
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return p, err
		}
		if part.FormName() == "payload_json" {
			if err := json.Unmarshal(b, &p); err != nil {
				return p, err
			}
			continue
		}
		if want := fmt.Sprintf("files[%d]", len(p.files)); part.FormName() != want || part.FileName() != p.Attachments[len(p.files)].Filename {
			return p, fmt.Errorf("part %q with file %q", part.FormName(), part.FileName())
		}
		p.files = append(p.files, b)
	}
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return p, err
	}
	if counted.n != r.ContentLength {
		return p, fmt.Errorf("Content-Length %d for %d bytes", r.ContentLength, counted.n)
	}
	return p, nil
}

type countReader struct {
	r io.Reader
	n int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// message is Discord's answer to p.
func (p posted) message(channel, id string) map[string]any {
	var all []map[string]any
	for i, f := range p.files {
		name := p.Attachments[i].Filename
		all = append(all, map[string]any{
			"id": fmt.Sprint(900 + i), "filename": name, "size": len(f), "novel": true,
			"url": fmt.Sprintf("http://cdn.test/attachments/%s/%d/%s?ex=7fffffff&is=1&hm=%064x&", channel, 900+i, name, i),
		})
	}
	return map[string]any{"id": id, "channel_id": channel, "attachments": all, "novel": map[string]any{"a": 1}}
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func bodies(all ...[]byte) []blob.Body {
	var out []blob.Body
	for _, b := range all {
		out = append(out, blobtest.Bytes(b))
	}
	return out
}

func TestNew_Options(t *testing.T) {
	for name, opt := range map[string]discord.Options{
		"no token":          {},
		"token with prefix": {Token: "Bot " + token},
		"token with blank":  {Token: "a b"},
		"odd address":       {Token: token, APIURL: "ftp://x"},
		"address with user": {Token: token, CDNURL: "http://u:p@x"},
		"negative":          {Token: token, PerSecond: -1},
	} {
		_, err := discord.New(opt)
		if !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%s: New = %v, want ErrInvalid", name, err)
		}
		keepsSecrets(t, name, fmt.Sprint(err))
	}
}

func TestPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got posted
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			if r.URL.String() != "http://api.test/api/v10/channels/7/messages" || r.Method != http.MethodPost {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			if a := r.Header.Get("Authorization"); a != "Bot "+token {
				t.Errorf("Authorization %q", a)
			}
			if ua := r.Header.Get("User-Agent"); !strings.HasPrefix(ua, "DiscordBot (") {
				t.Errorf("User-Agent %q", ua)
			}
			var err error
			if got, err = readPost(r); err != nil {
				t.Error(err)
			}
			return respond(200, encode(got.message("7", "55")))
		})
		want := [][]byte{blobtest.Pattern(100_000), blobtest.Pattern(1), blobtest.Pattern(70_000)}
		m, err := c.Post(t.Context(), "7", bodies(want...))
		if err != nil {
			t.Fatal(err)
		}
		if m.ID != "55" || m.Channel != "7" || len(m.Attachments) != 3 {
			t.Errorf("message %+v", m)
		}
		for i, f := range got.files {
			if !bytes.Equal(f, want[i]) || m.Attachments[i].Size != int64(len(want[i])) {
				t.Errorf("file %d: %d bytes arrived, the answer says %d, want %d", i, len(f), m.Attachments[i].Size, len(want[i]))
			}
		}
		if len(got.Nonce) == 0 || len(got.Nonce) > 25 || !got.EnforceNonce || got.Content != "" {
			t.Errorf("payload %+v", got)
		}
		for i, a := range got.Attachments {
			name, ok := strings.CutSuffix(a.Filename, ".bin")
			if !ok || len(name) != 32 || strings.Trim(name, "0123456789abcdef") != "" || a.ID != i {
				t.Errorf("attachment %+v", a)
			}
		}
		if s := c.State(); s.Counts.PostedBytes != 170_001 || s.Counts.Requests != 1 {
			t.Errorf("counts %+v", s.Counts)
		}
	})
}

// After a lost answer the same bytes go again under the same nonce.
func TestPost_LostAnswer(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func() (*http.Response, error)
	}{
		{"reset", func() (*http.Response, error) { return nil, errors.New("connection reset by peer") }},
		{"502", func() (*http.Response, error) { return respond(502, "<html>") }},
		{"520", func() (*http.Response, error) { return respond(520, "") }},
		{"cut answer", func() (*http.Response, error) { return respond(200, `{"id": "55", "att`) }},
		{"429", func() (*http.Response, error) {
			return respond(429, `{"retry_after": 1.5}`, "X-RateLimit-Scope", "user")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var first posted
				tries := 0
				client := newClient(t, func(r *http.Request) (*http.Response, error) {
					p, err := readPost(r)
					if err != nil {
						t.Error(err)
					}
					if tries++; tries <= 3 {
						if tries == 1 {
							first = p
						}
						return c.lose()
					}
					if p.Nonce != first.Nonce || p.Attachments[0] != first.Attachments[0] || !bytes.Equal(p.files[0], first.files[0]) {
						t.Error("the repeat differs from the first")
					}
					return respond(200, encode(p.message("7", "55")))
				})
				m, err := client.Post(t.Context(), "7", bodies(blobtest.Pattern(50_000)))
				if err != nil || m.ID != "55" || tries != 4 {
					t.Errorf("Post = %+v, %v after %d tries, want message 55 after 4", m, err, tries)
				}
				if s := client.State(); s.Counts.Retries != 3 {
					t.Errorf("retries %d, want 3", s.Counts.Retries)
				}
			})
		})
	}
}

// A failing Discord is left alone after a bounded number of tries, in bounded
// time.
func TestPost_GivesUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func() (*http.Response, error)
		kind   error
		tries  int
	}{
		{"503", func() (*http.Response, error) { return respond(503, "") }, cloud.ErrUnavailable, 5},
		{"no connection", func() (*http.Response, error) { return nil, errors.New("no such host") }, cloud.ErrUnavailable, 5},
		{"429", func() (*http.Response, error) { return respond(429, `{"retry_after": 2}`) }, cloud.ErrLimited, 21},
		{"429 for hours", func() (*http.Response, error) { return respond(429, `{"retry_after": 7200}`) }, cloud.ErrLimited, 1},
		{"400", func() (*http.Response, error) { return respond(400, `{"code": 50035, "message": "Invalid Form Body"}`) }, cloud.ErrInvalid, 1},
		{"403", func() (*http.Response, error) { return respond(403, `{"code": 50003}`) }, cloud.ErrDenied, 1},
		{"404", func() (*http.Response, error) { return respond(404, `{"code": 0}`) }, cloud.ErrNotFound, 1},
		{"redirect", func() (*http.Response, error) { return respond(302, "", "Location", "http://evil.test/") }, cloud.ErrUnavailable, 1},
		{"answer too large", func() (*http.Response, error) { return respond(200, strings.Repeat(" ", 5<<20)+"{}") }, cloud.ErrUnavailable, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				client := newClient(t, func(r *http.Request) (*http.Response, error) {
					if r.URL.Host != "api.test" {
						t.Errorf("request to %s", r.URL.Host)
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						t.Error(err)
					}
					tries++
					return c.answer()
				})
				_, err := client.Post(t.Context(), "7", bodies(blobtest.Pattern(500)))
				if !errors.Is(err, c.kind) || tries != c.tries {
					t.Errorf("Post = %v after %d tries, want %v after %d", err, tries, c.kind, c.tries)
				}
				keepsSecrets(t, "error", err.Error())
				if c.kind == cloud.ErrLimited {
					if after, ok := errors.AsType[*retry.AfterError](err); !ok || after.Wait < 2*time.Second {
						t.Errorf("the error states no wait: %v", err)
					}
				}
			})
		})
	}
}

func TestPost_ChecksAnswer(t *testing.T) {
	type answer = map[string]any
	attachments := func(m answer) []map[string]any { return m["attachments"].([]map[string]any) }
	for _, c := range []struct {
		name   string
		spoil  func(answer)
		always bool // reading the message again shows the same
		ok     bool
	}{
		{"as sent", func(answer) {}, true, true},
		{"other order", func(m answer) { a := attachments(m); a[0], a[1] = a[1], a[0] }, true, true},
		{"renamed", func(m answer) {
			for i, a := range attachments(m) {
				a["filename"] = fmt.Sprintf("file_%d.dat", i)
			}
		}, true, true},
		{"left out of the answer only", func(m answer) { delete(m, "attachments") }, false, true},
		{"left out", func(m answer) { delete(m, "attachments") }, true, false},
		{"one left out", func(m answer) { m["attachments"] = attachments(m)[:1] }, true, false},
		{"other size", func(m answer) { attachments(m)[1]["size"] = 12 }, true, false},
		{"one renamed", func(m answer) { attachments(m)[1]["filename"] = "x" }, true, false},
		{"no link", func(m answer) { attachments(m)[1]["url"] = "" }, true, false},
		{"other channel", func(m answer) { m["channel_id"] = "8" }, true, false},
		{"no id", func(m answer) { delete(m, "id") }, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stored answer
				deleted := false
				client := newClient(t, func(r *http.Request) (*http.Response, error) {
					switch r.Method {
					case http.MethodPost:
						p, err := readPost(r)
						if err != nil {
							t.Error(err)
						}
						stored = p.message("7", "55")
						told := p.message("7", "55")
						c.spoil(told)
						if c.always {
							stored = told
						}
						return respond(200, encode(told))
					case http.MethodGet:
						return respond(200, encode(stored))
					default:
						deleted = true
						return respond(204, "")
					}
				})
				m, err := client.Post(t.Context(), "7", bodies(blobtest.Pattern(500), blobtest.Pattern(600)))
				if !c.ok {
					if !errors.Is(err, cloud.ErrUnavailable) {
						t.Errorf("Post = %+v, %v, want ErrUnavailable", m, err)
					}
					if wantDeleted := c.name != "other channel" && c.name != "no id"; deleted != wantDeleted {
						t.Errorf("deleted: %v, want %v", deleted, wantDeleted)
					}
					return
				}
				if err != nil || m.Attachments[0].ID != "900" || m.Attachments[1].ID != "901" || deleted {
					t.Errorf("Post = %+v, %v, deleted %v", m, err, deleted)
				}
			})
		})
	}
}

func TestPost_Sizes(t *testing.T) {
	limit := int64(8 << 20)
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		client := newClient(t, func(r *http.Request) (*http.Response, error) {
			requests++
			p, err := readPost(r)
			if err != nil {
				t.Error(err)
			}
			for _, f := range p.files {
				if int64(len(f)) > limit {
					return respond(413, `{"code": 40005, "message": "Request entity too large"}`)
				}
			}
			return respond(200, encode(p.message("7", "55")))
		})
		post := func(sizes ...int) error {
			var files [][]byte
			for _, n := range sizes {
				files = append(files, make([]byte, n))
			}
			_, err := client.Post(t.Context(), "7", bodies(files...))
			return err
		}
		for _, c := range []struct {
			name     string
			sizes    []int
			ok       bool
			requests int
			limits   discord.Limits
		}{
			{"none", nil, false, 0, discord.Limits{Attachment: 10 << 20, Request: 25 << 20, Attachments: 10}},
			{"eleven", make([]int, 11), false, 0, discord.Limits{Attachment: 10 << 20, Request: 25 << 20, Attachments: 10}},
			{"above the known limit", []int{10<<20 + 1}, false, 0, discord.Limits{Attachment: 10 << 20, Request: 25 << 20, Attachments: 10}},
			{"above the request's", []int{9 << 20, 9 << 20, 9 << 20}, false, 0, discord.Limits{Attachment: 10 << 20, Request: 25 << 20, Attachments: 10}},
			{"two, one refused", []int{9 << 20, 2 << 20}, false, 1, discord.Limits{Attachment: 10 << 20, Request: 9<<20 + 1<<10, Attachments: 10}},
			{"refused", []int{9 << 20}, false, 1, discord.Limits{Attachment: 8 << 20, Request: 25 << 20, Attachments: 10}},
			{"above what was learned", []int{9 << 20}, false, 0, discord.Limits{Attachment: 8 << 20, Request: 25 << 20, Attachments: 10}},
			{"fits", []int{8 << 20}, true, 1, discord.Limits{Attachment: 8 << 20, Request: 25 << 20, Attachments: 10}},
		} {
			requests = 0
			err := post(c.sizes...)
			if c.ok != (err == nil) || requests != c.requests || client.Limits() != c.limits {
				t.Errorf("%s: %v, %d requests, limits %+v, want %v, %d, %+v", c.name, err, requests, client.Limits(), c.ok, c.requests, c.limits)
			}
			if err != nil && c.name != "none" && !errors.Is(err, cloud.ErrTooLarge) {
				t.Errorf("%s: %v, want ErrTooLarge", c.name, err)
			}
		}
	})
}

// shortBody promises more than it gives.
type shortBody struct{ blobtest.Bytes }

func (b shortBody) Size() int64 { return b.Bytes.Size() + 1 }

func TestPost_BodyThatLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			tries++
			_, err := readPost(r)
			return nil, err
		})
		_, err := c.Post(t.Context(), "7", []blob.Body{shortBody{blobtest.Pattern(10)}})
		if !errors.Is(err, cloud.ErrInvalid) || tries != 1 {
			t.Errorf("Post = %v after %d tries, want ErrInvalid after one", err, tries)
		}
	})
}

// A transport may read on when the answer came early. The body is the caller's
// again all the same.
func TestPost_LeavesBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late io.Reader
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			late = r.Body
			return respond(400, `{}`)
		})
		body := blobtest.Pattern(1 << 20)
		if _, err := c.Post(t.Context(), "7", bodies(body)); !errors.Is(err, cloud.ErrInvalid) {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, late); n != 0 || err == nil {
			t.Errorf("read %d bytes after the end, %v, want an error", n, err)
		}
	})
}

func TestPost_Stalls(t *testing.T) {
	for _, c := range []struct {
		name string
		read int64 // of the body, before nothing happens any more
		want time.Duration
	}{
		{"at once", 0, 30 * time.Second},
		{"in the body", 300_000, 30 * time.Second},
		{"waiting for the answer", 1 << 40, 90 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, func(r *http.Request) (*http.Response, error) {
					if _, err := io.CopyN(io.Discard, r.Body, c.read); err != nil && err != io.EOF {
						t.Error(err)
					}
					<-r.Context().Done()
					return nil, r.Context().Err()
				}, func(o *discord.Options) { o.Retry = retry.Policy{Tries: 1} })
				start := time.Now()
				_, err := client.Post(t.Context(), "7", bodies(blobtest.Pattern(1<<20)))
				if !errors.Is(err, discord.ErrStalled) || time.Since(start) != c.want {
					t.Errorf("Post = %v after %v, want ErrStalled after %v", err, time.Since(start), c.want)
				}
			})
		})
	}
}

// A slow line that goes on is no stall, however long it takes in all.
func TestPost_SlowIsFine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			slow := &slowReader{r: r.Body}
			r.Body = io.NopCloser(slow)
			p, err := readPost(r)
			if err != nil {
				return nil, err
			}
			return respond(200, encode(p.message("7", "55")))
		})
		start := time.Now()
		if _, err := c.Post(t.Context(), "7", bodies(blobtest.Pattern(2<<20))); err != nil || time.Since(start) < 5*time.Minute {
			t.Errorf("Post = %v after %v, want nil after minutes", err, time.Since(start))
		}
	})
}

// slowReader gives 4 KiB a second.
type slowReader struct{ r io.Reader }

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.r.Read(p[:min(len(p), 4<<10)])
}

func TestClient_TokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			requests++
			return respond(401, `{"message": "401: Unauthorized", "code": 0}`)
		})
		if _, err := c.Me(t.Context()); !errors.Is(err, discord.ErrBlocked) {
			t.Errorf("Me = %v, want ErrBlocked", err)
		}
		_, perr := c.Post(t.Context(), "7", bodies([]byte("x")))
		_, rerr := c.Refresh(t.Context(), []string{"http://cdn.test/attachments/1/2/x"})
		for _, err := range []error{perr, rerr, c.Delete(t.Context(), "7", "1")} {
			if !errors.Is(err, discord.ErrBlocked) || !errors.Is(err, cloud.ErrUnavailable) {
				t.Errorf("later call = %v, want ErrBlocked", err)
			}
		}
		if s := c.State(); requests != 1 || !s.Blocked {
			t.Errorf("%d requests, blocked %v, want 1, true", requests, s.Blocked)
		}
	})
}

func TestClient_ChannelDown(t *testing.T) {
	for _, c := range []struct {
		status, code    int
		writes, reading bool // afterwards refused without asking
	}{
		{404, 10003, true, true},
		{403, 50001, true, true},
		{403, 50013, true, false},
		{403, 10008, false, false},
	} {
		t.Run(fmt.Sprint(c.code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				down, requests := true, 0
				client := newClient(t, func(r *http.Request) (*http.Response, error) {
					requests++
					if strings.Contains(r.URL.Path, "/channels/8/") || !down {
						if r.Method == http.MethodGet {
							return respond(200, `{"id": "1"}`)
						}
						p, err := readPost(r)
						if err != nil {
							t.Error(err)
						}
						return respond(200, encode(p.message(strings.Split(r.URL.Path, "/")[4], "55")))
					}
					return respond(c.status, fmt.Sprintf(`{"code": %d, "message": "no"}`, c.code))
				})
				ask := func(f func() error) (bool, error) {
					requests = 0
					err := f()
					return requests > 0, err
				}
				post := func() error { _, err := client.Post(t.Context(), "7", bodies([]byte("x"))); return err }
				read := func() error { _, err := client.Message(t.Context(), "7", "1"); return err }

				_, err := ask(post)
				if got := errors.Is(err, discord.ErrChannelDown); got != c.writes {
					t.Errorf("Post = %v, down %v, want %v", err, got, c.writes)
				}
				asked, err := ask(post)
				if asked == c.writes || errors.Is(err, discord.ErrChannelDown) != c.writes {
					t.Errorf("second Post asked: %v, %v, want %v", asked, err, !c.writes)
				}
				if api, ok := errors.AsType[*discord.APIError](err); !ok || api.Code != c.code {
					t.Errorf("second Post = %v, want one with the code %d", err, c.code)
				}
				if asked, err := ask(read); asked == c.reading {
					t.Errorf("Message asked: %v, %v, want %v", asked, err, !c.reading)
				}
				if _, err := client.Post(t.Context(), "8", bodies([]byte("x"))); err != nil {
					t.Errorf("another channel: %v", err)
				}
				if got := len(client.State().Channels) > 0; got != c.writes {
					t.Errorf("state %+v", client.State().Channels)
				}
				if !c.writes {
					return
				}
				// One call may try again when a minute has passed.
				time.Sleep(61 * time.Second)
				if asked, err := ask(post); !asked || !errors.Is(err, discord.ErrChannelDown) {
					t.Errorf("Post after a minute asked: %v, %v", asked, err)
				}
				if asked, _ := ask(post); asked {
					t.Error("a second call asked again")
				}
				down = false
				time.Sleep(3 * time.Minute)
				if asked, err := ask(post); !asked || err != nil || len(client.State().Channels) != 0 {
					t.Errorf("Post when it is up: %v, %v, %+v", asked, err, client.State().Channels)
				}
			})
		})
	}
}

// A bot that is refused everything stops long before Discord bans the address,
// and goes on when that is past.
func TestClient_Breaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse, refused := true, 0
		c := newClient(t, func(*http.Request) (*http.Response, error) {
			if refuse {
				refused++
				return respond(403, `{"code": 0}`)
			}
			return respond(200, `{}`)
		}, func(o *discord.Options) { o.Others = discord.Rate{Limit: 100, Per: time.Second} })
		for range 5000 {
			if _, err := c.Me(t.Context()); err == nil {
				t.Fatal("Me = nil")
			}
		}
		if s := c.State(); refused != 2000 || !s.Breaker.Open || s.Breaker.Refused != 2000 {
			t.Errorf("%d requests, %+v, want 2000, open", refused, s.Breaker)
		}
		refuse = false
		time.Sleep(11 * time.Minute)
		if _, err := c.Me(t.Context()); err != nil {
			t.Errorf("Me after ten minutes = %v, want nil", err)
		}
	})
}

// A Discord that is down for an hour costs few requests, and works when it is
// back.
func TestClient_DownForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, requests := time.Now(), 0
		c := newClient(t, func(*http.Request) (*http.Response, error) {
			requests++
			if time.Since(start) < time.Hour {
				return respond(503, "<html>")
			}
			return respond(200, `{"id": "1"}`)
		})
		policy := retry.Policy{Tries: 1000, First: time.Second, Most: time.Minute}
		err := policy.Do(t.Context(), func(ctx context.Context) error { _, err := c.Me(ctx); return err })
		if err != nil || time.Since(start) > 2*time.Hour || requests > 1000 {
			t.Errorf("%v after %v and %d requests", err, time.Since(start), requests)
		}
	})
}

func TestClient_CancelledWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		c := newClient(t, func(*http.Request) (*http.Response, error) {
			requests++
			return respond(429, `{"retry_after": 100}`)
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(7*time.Second, func() { cancel(cloud.ErrShutdown) })
		start := time.Now()
		if _, err := c.Me(ctx); !errors.Is(err, cloud.ErrShutdown) || time.Since(start) != 7*time.Second || requests != 1 {
			t.Errorf("Me = %v after %v and %d requests, want ErrShutdown after 7s and one", err, time.Since(start), requests)
		}
	})
}

func TestBulkDelete(t *testing.T) {
	id := func(age time.Duration, n int) string {
		return fmt.Sprint(mustInt(discord.Snowflake(time.Now().Add(-age))) + int64(n))
	}
	for _, c := range []struct {
		name    string
		young   int
		old     int
		refuse  string // the answer to bulk deletion
		bulks   []int
		singles int
	}{
		{"none", 0, 0, "", nil, 0},
		{"one", 1, 0, "", nil, 1},
		{"two", 2, 0, "", []int{2}, 0},
		{"201", 201, 0, "", []int{100, 100}, 1},
		{"old ones", 3, 4, "", []int{3}, 4},
		{"too old after all", 3, 0, `{"code": 50034}`, []int{3}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(20 * 365 * 24 * time.Hour) // the clock of the bubble begins in 2000
				var bulks []int
				singles := 0
				client := newClient(t, func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodDelete {
						if singles++; singles%2 == 0 {
							return respond(404, `{"code": 10008}`)
						}
						return respond(204, "")
					}
					var body struct{ Messages []string }
					if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
						t.Error(err)
					}
					bulks = append(bulks, len(body.Messages))
					if c.refuse != "" {
						return respond(400, c.refuse)
					}
					return respond(204, "")
				})
				var ids []string
				for i := range c.young {
					ids = append(ids, id(time.Hour, i))
				}
				for i := range c.old {
					ids = append(ids, id(15*24*time.Hour, i))
				}
				ids = append(ids, ids...) // named twice is named once
				if err := client.BulkDelete(t.Context(), "7", ids); err != nil {
					t.Error(err)
				}
				if fmt.Sprint(bulks) != fmt.Sprint(c.bulks) || singles != c.singles {
					t.Errorf("bulks %v, singles %d, want %v, %d", bulks, singles, c.bulks, c.singles)
				}
			})
		})
	}
}

func mustInt(s string) int64 {
	var n int64
	if _, err := fmt.Sscan(s, &n); err != nil {
		panic(err)
	}
	return n
}

func TestMessages_Page(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var query string
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			query = r.URL.RawQuery
			return respond(200, `[{"id": "2", "extra": 1}, {"id": "1"}]`)
		})
		for _, p := range []struct {
			page  discord.Page
			query string
			ok    bool
		}{
			{discord.Page{}, "", true},
			{discord.Page{Limit: 100}, "limit=100", true},
			{discord.Page{Around: "5", Limit: 7}, "around=5&limit=7", true},
			{discord.Page{Before: "5"}, "before=5", true},
			{discord.Page{Before: "5", After: "6"}, "", false},
			{discord.Page{Before: "5", After: "6", Limit: 1}, "", false},
			{discord.Page{Limit: 101}, "", false},
		} {
			query = "none"
			all, err := c.Messages(t.Context(), "7", p.page)
			if p.ok && (err != nil || query != p.query || len(all) != 2) {
				t.Errorf("%+v: query %q, %d messages, %v, want %q", p.page, query, len(all), err, p.query)
			}
			if !p.ok && (!errors.Is(err, cloud.ErrInvalid) || query != "none") {
				t.Errorf("%+v: query %q, %v, want ErrInvalid", p.page, query, err)
			}
		}
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []int
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			var body struct {
				URLs []string `json:"attachment_urls"`
			}
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			calls = append(calls, len(body.URLs))
			var all []map[string]string
			for i, u := range body.URLs {
				if i != 3 { // one is not answered for, one is not asked for
					all = append(all, map[string]string{"original": u, "refreshed": u + "?hm=1"})
				}
			}
			all = append(all, map[string]string{"original": "http://evil.test/", "refreshed": "http://evil.test/"})
			return respond(200, encode(map[string]any{"refreshed_urls": all}))
		})
		var links []string
		for i := range 120 {
			links = append(links, fmt.Sprintf("http://cdn.test/attachments/1/%d/x", i))
		}
		got, err := c.Refresh(t.Context(), links)
		if err != nil || fmt.Sprint(calls) != "[50 50 20]" || len(got) != 117 || got[links[5]] != links[5]+"?hm=1" {
			t.Errorf("Refresh = %d links, %v, in calls of %v", len(got), err, calls)
		}
	})
}

func TestSnowflake(t *testing.T) {
	// The example of Discord's reference, "Snowflakes".
	if got := discord.SnowflakeTime("175928847299117063").UTC().Format(time.RFC3339Nano); got != "2016-04-30T11:18:25.796Z" {
		t.Errorf("SnowflakeTime = %s", got)
	}
	at := time.UnixMilli(1_700_000_000_123)
	if got := discord.SnowflakeTime(discord.Snowflake(at)); !got.Equal(at) {
		t.Errorf("SnowflakeTime(Snowflake(%v)) = %v", at, got)
	}
	if got := discord.SnowflakeTime("x"); !got.IsZero() {
		t.Errorf("SnowflakeTime of no number = %v", got)
	}
}
