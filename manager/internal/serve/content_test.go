package serve_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/manager/internal/serve"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
)

var modified = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

func fileOf(plain []byte) serve.File {
	return serve.File{
		Name: "x.bin", Type: "image/png", ETag: `"one"`, Modified: modified, Size: int64(len(plain)),
		Open: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(plain[off : off+n])), nil
		},
	}
}

func ask(t *testing.T, f serve.File, method string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if err := new(serve.Sender).Content(w, r, f); err != nil {
		t.Fatal(err)
	}
	return w.Result()
}

func TestContent(t *testing.T) {
	plain := blobtest.Pattern(100_000)
	f := fileOf(plain)
	before, after := modified.Add(-time.Hour).Format(http.TimeFormat), modified.Add(time.Hour).Format(http.TimeFormat)
	same := modified.Format(http.TimeFormat)
	for _, c := range []struct {
		name   string
		header []string
		status int
		off, n int // of the body
	}{
		{"whole", nil, 200, 0, 100_000},
		{"range", []string{"Range", "bytes=10-19"}, 206, 10, 10},
		{"suffix", []string{"Range", "bytes=-7"}, 206, 99_993, 7},
		{"unknown unit", []string{"Range", "lines=1-2"}, 200, 0, 100_000},
		{"outside", []string{"Range", "bytes=100000-"}, 416, 0, 0},
		{"if-range holds", []string{"Range", "bytes=0-0", "If-Range", `"one"`}, 206, 0, 1},
		{"if-range stale", []string{"Range", "bytes=0-0", "If-Range", `"two"`}, 200, 0, 100_000},
		{"if-range weak", []string{"Range", "bytes=0-0", "If-Range", `W/"one"`}, 200, 0, 100_000},
		{"if-range date", []string{"Range", "bytes=0-0", "If-Range", same}, 206, 0, 1},
		{"if-range other date", []string{"Range", "bytes=0-0", "If-Range", after}, 200, 0, 100_000},
		{"if-range stale, range outside", []string{"Range", "bytes=100000-", "If-Range", `"two"`}, 200, 0, 100_000},
		{"none-match", []string{"If-None-Match", `"zero", W/"one"`}, 304, 0, 0},
		{"none-match any", []string{"If-None-Match", `*`}, 304, 0, 0},
		{"none-match other", []string{"If-None-Match", `"two"`, "If-Modified-Since", after}, 200, 0, 100_000},
		{"none-match malformed", []string{"If-None-Match", `one`}, 200, 0, 100_000},
		{"modified since", []string{"If-Modified-Since", before}, 200, 0, 100_000},
		{"not modified since", []string{"If-Modified-Since", same}, 304, 0, 0},
		{"no date", []string{"If-Modified-Since", "yesterday"}, 200, 0, 100_000},
		{"match", []string{"If-Match", `"one"`}, 200, 0, 100_000},
		{"match weak", []string{"If-Match", `W/"one"`}, 412, 0, 0},
		{"match other", []string{"If-Match", `"two"`}, 412, 0, 0},
		{"unmodified since", []string{"If-Unmodified-Since", same}, 200, 0, 100_000},
		{"modified after", []string{"If-Unmodified-Since", before}, 412, 0, 0},
		{"match before unmodified", []string{"If-Match", `"one"`, "If-Unmodified-Since", before}, 200, 0, 100_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				res := ask(t, f, method, c.header...)
				body, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != c.status {
					t.Errorf("%s: status %d, want %d", method, res.StatusCode, c.status)
				}
				want := plain[c.off : c.off+c.n]
				if length := res.Header.Get("Content-Length"); c.status != 304 && length != strconv.Itoa(len(want)) {
					t.Errorf("%s: Content-Length %s, want %d", method, length, len(want))
				}
				if method == http.MethodHead {
					want = nil
				}
				if !bytes.Equal(body, want) {
					t.Errorf("%s: %d bytes, want %d from %d", method, len(body), len(want), c.off)
				}
				if res.Header.Get("ETag") != `"one"` || res.Header.Get("X-Content-Type-Options") != "nosniff" ||
					!strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
					t.Errorf("%s: headers %v", method, res.Header)
				}
				contentRange := map[int]string{206: "bytes " + strconv.Itoa(c.off) + "-" + strconv.Itoa(c.off+c.n-1) + "/100000", 416: "bytes */100000"}[c.status]
				if got := res.Header.Get("Content-Range"); got != contentRange {
					t.Errorf("%s: Content-Range %q, want %q", method, got, contentRange)
				}
			}
		})
	}
}

func TestContent_Empty(t *testing.T) {
	res := ask(t, fileOf(nil), http.MethodGet)
	if body, err := io.ReadAll(res.Body); res.StatusCode != 200 || res.Header.Get("Content-Length") != "0" || len(body) != 0 || err != nil {
		t.Errorf("empty file: %d %v %q %v", res.StatusCode, res.Header, body, err)
	}
}

func TestContent_Parts(t *testing.T) {
	plain := blobtest.Pattern(1000)
	res := ask(t, fileOf(plain), http.MethodGet, "Range", "bytes=900-999, 0-9,500-500")
	kind, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || res.StatusCode != 206 || kind != "multipart/byteranges" {
		t.Fatalf("%d %v %v", res.StatusCode, res.Header, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
		t.Errorf("Content-Length %s, body %d, %v", res.Header.Get("Content-Length"), len(body), err)
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for _, want := range []struct {
		contentRange string
		off, end     int
	}{{"bytes 900-999/1000", 900, 1000}, {"bytes 0-9/1000", 0, 10}, {"bytes 500-500/1000", 500, 501}} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(p)
		if err != nil || !bytes.Equal(got, plain[want.off:want.end]) || p.Header.Get("Content-Range") != want.contentRange || p.Header.Get("Content-Type") != "image/png" {
			t.Errorf("part %v: %d bytes, %v, %v", want, len(got), p.Header, err)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

func TestContent_Types(t *testing.T) {
	for stored, want := range map[string][2]string{
		"image/png":                 {"image/png", "inline"},
		"text/plain":                {"text/plain; charset=utf-8", "inline"},
		"text/plain; charset=utf-7": {"text/plain; charset=utf-8", "inline"},
		"image/svg+xml":             {"application/octet-stream", "attachment"},
		"text/html":                 {"application/octet-stream", "attachment"},
		"application/xhtml+xml":     {"application/octet-stream", "attachment"},
		"text/xml":                  {"application/octet-stream", "attachment"},
		"text/javascript":           {"application/octet-stream", "attachment"},
		"application/x-ecmascript":  {"application/octet-stream", "attachment"},
		"text/css":                  {"application/octet-stream", "attachment"},
		"multipart/x-mixed-replace": {"application/octet-stream", "attachment"},
		"message/rfc822":            {"application/octet-stream", "attachment"},
		"application/pdf":           {"application/pdf", "attachment"},
		"application/zip":           {"application/zip", "attachment"},
		"text/html\r\nX-Evil: 1":    {"application/octet-stream", "attachment"},
		"":                          {"application/octet-stream", "attachment"},
		"nonsense":                  {"application/octet-stream", "attachment"},
	} {
		f := fileOf([]byte("x"))
		f.Type, f.Inline = stored, true
		res := ask(t, f, http.MethodGet)
		if got := res.Header.Get("Content-Type"); got != want[0] {
			t.Errorf("type %q is sent as %q, want %q", stored, got, want[0])
		}
		if got := res.Header.Get("Content-Disposition"); !strings.HasPrefix(got, want[1]+";") {
			t.Errorf("type %q: disposition %q, want %s", stored, got, want[1])
		}
		f.Inline = false
		if got := ask(t, f, http.MethodGet).Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment;") {
			t.Errorf("type %q, not inline: disposition %q", stored, got)
		}
	}
}

func TestDisposition(t *testing.T) {
	for in, want := range map[string]string{
		"a b.txt":       `attachment; filename="a b.txt"`,
		"a\"b\\c.txt":   `attachment; filename="a_b_c.txt"; filename*=UTF-8''a%22b%5Cc.txt`,
		"a\r\nX: 1.txt": `attachment; filename="a__X: 1.txt"; filename*=UTF-8''a%0D%0AX%3A%201.txt`,
		"ü’.txt":        `attachment; filename="__.txt"; filename*=UTF-8''%C3%BC%E2%80%99.txt`,
		"100%.txt":      `attachment; filename="100_.txt"; filename*=UTF-8''100%25.txt`,
		"a;b=c.txt":     `attachment; filename="a;b=c.txt"`,
	} {
		if got := serve.Disposition("attachment", in); got != want {
			t.Errorf("Disposition(%q)\n got %s\nwant %s", in, got, want)
		}
	}
}

// FuzzDisposition holds the encoder against Go's own parser.
func FuzzDisposition(f *testing.F) {
	for _, s := range []string{"a.txt", "\"", "\\", "\r\n", "日本", "%41", "a;b", "'", strings.Repeat("ä", 500), "\xff", "=?utf-8?q?x?="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := serve.Disposition("attachment", name)
		for i := 0; i < len(got); i++ {
			if got[i] < ' ' || got[i] > '~' {
				t.Fatalf("Disposition(%q) = %q", name, got)
			}
		}
		kind, params, err := mime.ParseMediaType(got)
		if err != nil || kind != "attachment" || len(params) != 1 {
			t.Fatalf("Disposition(%q) = %q: %q, %v, %v", name, got, kind, params, err)
		}
		if want := strings.ToValidUTF8(name, "\uFFFD"); params["filename"] != want {
			t.Fatalf("Disposition(%q) = %q, read back %q", name, got, params["filename"])
		}
	})
}

// failing gives n bytes, then an error.
type failing struct {
	n      int
	err    error
	closed *atomic.Bool
}

func (r *failing) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, r.err
	}
	m := min(len(p), r.n)
	r.n -= m
	return m, nil
}

func (r *failing) Close() error { r.closed.Store(true); return nil }

func TestContent_Fails(t *testing.T) {
	for _, early := range []error{cloud.ErrUnavailable, io.EOF} {
		for _, n := range []int{0, 1, 100_000, 199_999} {
			var closed atomic.Bool
			returned := make(chan error, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f := fileOf(nil)
				f.Size = 200_000
				f.Open = func(context.Context, int64, int64) (io.ReadCloser, error) {
					return &failing{n, early, &closed}, nil
				}
				err := new(serve.Sender).Content(w, r, f)
				if err != nil {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				returned <- err
			}))
			res, err := srv.Client().Get(srv.URL)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if n == 0 {
				if got := <-returned; got == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable || err != nil {
					t.Errorf("%v at once: returned %v, client %v, %v", early, got, res, err)
				}
				if res.Header.Get("ETag") != "" || res.Header.Get("Content-Disposition") != "" {
					t.Errorf("the refusal has headers of the file: %v", res.Header)
				}
			} else if err == nil {
				t.Errorf("%v after %d bytes: the client took it for whole", early, n)
			}
			srv.Close()
			if !closed.Load() {
				t.Errorf("%v after %d bytes: the source was not closed", early, n)
			}
		}
	}
}

// endless gives zeros until it is closed, and says when that was.
type endless struct {
	ctx    context.Context
	closed chan struct{}
}

func (r *endless) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	clear(p)
	return len(p), nil
}

func (r *endless) Close() error { close(r.closed); return nil }

func endlessServer(t *testing.T, s *serve.Sender, cut context.Context) (srv *httptest.Server, closed chan struct{}) {
	closed = make(chan struct{})
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(cut, func() { cancel(errors.New("cut")) })()
		f := fileOf(nil)
		f.Size = 1 << 50
		f.Open = func(ctx context.Context, _, _ int64) (io.ReadCloser, error) { return &endless{ctx, closed}, nil }
		if err := s.Content(w, r.WithContext(ctx), f); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv, closed
}

func waitClosed(t *testing.T, closed chan struct{}, what string) {
	t.Helper()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Errorf("%s: the source is still open after 10 s", what)
	}
}

func TestContent_ClientGoes(t *testing.T) {
	srv, closed := endlessServer(t, &serve.Sender{}, context.Background())
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	waitClosed(t, closed, "client gone")
}

func TestContent_ClientStalls(t *testing.T) {
	srv, closed := endlessServer(t, &serve.Sender{Stall: 100 * time.Millisecond}, context.Background())
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	waitClosed(t, closed, "client that does not read")
}

func TestContent_Cut(t *testing.T) {
	cut, cancel := context.WithCancel(context.Background())
	defer cancel()
	srv, closed := endlessServer(t, &serve.Sender{Stall: time.Hour}, cut)
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	cancel() // while the sender waits for this client to read on
	waitClosed(t, closed, "cut")
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Error("the client took it for whole")
	}
}
