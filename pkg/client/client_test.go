package client_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/client"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

func TestServerAddress(t *testing.T) {
	for text, want := range map[string]string{
		"cloud.example.org":             "https://cloud.example.org",
		"HTTPS://Cloud.example.org/":    "https://Cloud.example.org",
		"https://example.org/cloud/":    "https://example.org/cloud",
		"http://127.0.0.1:8080":         "http://127.0.0.1:8080",
		"http://[::1]:8080":             "http://[::1]:8080",
		"http://localhost":              "http://localhost",
		"http://cloud.example.org":      "",
		"http://127.0.0.1.example.org":  "",
		"https://a:b@cloud.example.org": "",
		"https://cloud.example.org?x=1": "",
		"https://cloud.example.org#x":   "",
		"ftp://cloud.example.org":       "",
		"https://":                      "",
		"":                              "",
	} {
		got, err := client.ServerAddress(text, false)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	if got, err := client.ServerAddress("http://cloud.example.org", true); got != "http://cloud.example.org" || err != nil {
		t.Errorf("plain: %q, %v", got, err)
	}
}

// hasty does not wait between its tries.
var hasty = client.Options{Patience: retry.Policy{Tries: 4}}

// serve starts a server, and a client that is signed in to it.
func serve(t *testing.T, f http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c := client.New(client.Session{Server: s.URL, Token: "secret"}, hasty)
	t.Cleanup(c.Close)
	return c
}

func pattern(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	return data
}

func entryOf(data []byte) client.Entry {
	return client.Entry{ID: 7, Size: int64(len(data)), Hash: chunk.Root(chunk.Leaves(data)).String()}
}

// A download is cut again and again, and goes on each time with the byte that is
// missing, of the content that it has begun with.
func TestDownload_cut(t *testing.T) {
	t.Parallel()
	data := pattern(3*chunk.Leaf + 17)
	var asked atomic.Int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		w.Header().Set("ETag", `"one"`)
		if n > 1 && r.Header.Get("If-Match") != `"one"` || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("request %d: %v", n, r.Header)
		}
		http.ServeContent(&cut{ResponseWriter: w, left: 100_000}, r, "", time.Time{}, bytes.NewReader(data))
	})
	var got bytes.Buffer
	moved := int64(0)
	if err := c.Download(t.Context(), entryOf(data), bytes.NewReader(data[:5000]), &got, func(n int64) { moved += n }); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), data[5000:]) || moved != int64(len(data)) || asked.Load() < 8 {
		t.Errorf("%d bytes in %d requests, %d told of", got.Len(), asked.Load(), moved)
	}
}

// cut is an answer whose connection breaks.
type cut struct {
	http.ResponseWriter
	left int
}

func (w *cut) Write(p []byte) (int, error) {
	if len(p) >= w.left {
		_, _ = w.ResponseWriter.Write(p[:w.left])
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	w.left -= len(p)
	return w.ResponseWriter.Write(p)
}

func TestDownload_fails(t *testing.T) {
	t.Parallel()
	data := pattern(200_000)
	other := bytes.Clone(data)
	other[150_000] ^= 1
	serveBytes := func(data []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}
	}
	for name, test := range map[string]struct {
		f    http.HandlerFunc
		have []byte
		want error
	}{
		"other bytes":             {serveBytes(other), nil, cloud.ErrCorrupt},
		"other bytes before":      {serveBytes(data), other[:160_000], cloud.ErrCorrupt},
		"more bytes before":       {serveBytes(data), append(bytes.Clone(data), 1), cloud.ErrCorrupt},
		"too many bytes":          {serveBytes(append(bytes.Clone(data), 1)), nil, cloud.ErrCorrupt},
		"too few bytes":           {serveBytes(data[:1000]), nil, cloud.ErrInvalid},
		"not from the middle":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }, data[:10], cloud.ErrInvalid},
		"an error":                {answer(403, `{"error":{"code":"denied","message":"no"}}`), nil, cloud.ErrDenied},
		"gone for good":           {answer(502, "<html>"), nil, cloud.ErrUnavailable},
		"nothing, and no success": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, cloud.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, test.f)
			if err := c.Download(t.Context(), entryOf(data), bytes.NewReader(test.have), io.Discard, func(int64) {}); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	t.Run("nowhere to write", func(t *testing.T) {
		full := errors.New("disk full")
		if err := serve(t, serveBytes(data)).Download(t.Context(), entryOf(data), nil, writer(func([]byte) (int, error) { return 0, full }), func(int64) {}); !errors.Is(err, full) {
			t.Error(err)
		}
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func answer(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// A token is for one server: where it sends on to gets nothing.
func TestClient_redirected(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server was asked, with %v", r.Header)
	}))
	defer other.Close()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/x?secret", http.StatusMovedPermanently)
	})
	_, err := c.Lookup(t.Context(), "/a")
	if !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(cloud.TextOf(err), other.URL) || strings.Contains(cloud.TextOf(err), "secret") {
		t.Error(cloud.TextOf(err))
	}
}

// What had no effect is asked again, what may have had one is not.
func TestClient_again(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first func(w http.ResponseWriter)
		get   bool
		want  int64
	}{
		"too many requests":      {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) }, false, 2},
		"lost, of a question":    {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, true, 2},
		"lost, of a change":      {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, false, 1},
		"refused, of a question": {func(w http.ResponseWriter) { answer(404, "")(w, nil) }, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) == 1 {
					test.first(w)
					return
				}
				_, _ = io.WriteString(w, `{"entry":{"id":7}}`)
			})
			var err error
			if test.get {
				_, err = c.Lookup(t.Context(), "/a")
			} else {
				_, _, err = c.MakeFolder(t.Context(), "/a", false)
			}
			if asked.Load() != test.want || (err == nil) != (test.want == 2) {
				t.Errorf("asked %d times, want %d: %v", asked.Load(), test.want, err)
			}
		})
	}
}
