package upload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/retry"
	"discordcloud/services/upload"
	"discordcloud/services/worker"
)

func crcOf(p []byte) int64 { return int64(crc32.ChecksumIEEE(p)) }

const (
	leaf     = chunk.Leaf
	password = "shared-password"
	token    = "bot-token-of-the-test"
)

// env is a running service with its manager, its store and its endpoint.
type env struct {
	t       testing.TB
	m       *manager
	store   *shelf
	service *upload.Service
	url     string
	conn    *packet.Conn // the manager's end
	stop    func() error
	logs    *logs
}

type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func configuration() packet.Configure {
	return packet.Configure{DiscordBotToken: token, DiscordChannelIDs: []string{"100000000000000001"}, AttachmentLimit: 10 << 20}
}

// newEnv starts a service on a store in memory; change may alter its Config.
func newEnv(t testing.TB, change func(*upload.Config)) *env {
	t.Helper()
	e := &env{t: t, store: newShelf(), logs: &logs{}}
	e.start(configuration(), func(c *upload.Config) {
		c.OpenStore = func(packet.Configure) (upload.Store, error) { return e.store, nil }
		if change != nil {
			change(c)
		}
	})
	return e
}

func (e *env) start(config packet.Configure, change func(*upload.Config)) {
	t := e.t
	t.Helper()
	e.m = newManager(t, config)
	cfg := upload.Config{
		Worker: worker.Config{
			ManagerURL: "ws://" + e.m.addr, Password: password, Address: "http://127.0.0.1/upload", Capacity: 4,
			Backoff: retry.Policy{First: time.Millisecond, Most: 5 * time.Millisecond},
		},
		Log: slog.New(slog.NewTextHandler(e.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	change(&cfg)
	e.service = upload.New(cfg)
	srv := httptest.NewServer(e.service.Handler())
	e.url = srv.URL
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.service.Run(ctx) }()
	e.stop = sync.OnceValue(func() error {
		cancel(cloud.ErrShutdown)
		return get(t, done, "the end of Run")
	})
	t.Cleanup(func() {
		srv.CloseClientConnections()
		_ = e.stop()
		srv.Close()
		e.checkLogs()
	})
	e.conn = get(t, e.m.conns, "the service")
}

// checkLogs holds the whole log against what must not be in it.
func (e *env) checkLogs() {
	if e.t.Failed() {
		e.t.Log(e.logs)
	}
	text := e.logs.String()
	for _, secret := range []string{secretName, password, token, secretOwner} {
		if strings.Contains(text, secret) {
			e.t.Errorf("the log has %q in it", secret)
		}
	}
}

// field is one part of a form.
type field struct {
	name, file string // file is the file name, "" for a plain field
	value      []byte
}

func form(fields ...field) (contentType string, body []byte) {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, f := range fields {
		var p io.Writer
		if f.file == "" {
			p, _ = w.CreateFormField(f.name) // bytes.Buffer takes everything
		} else {
			p, _ = w.CreateFormFile(f.name, f.file)
		}
		_, _ = p.Write(f.value)
	}
	_ = w.Close()
	return w.FormDataContentType(), buf.Bytes()
}

func idField(f *file) field { return field{name: "id", value: []byte(f.UploadID)} }
func chunkField(i int) field {
	return field{name: "chunk", value: strconv.AppendInt(nil, int64(i), 10)}
}
func fileField(p []byte) field { return field{name: "file", file: "blob", value: p} }

type result struct {
	status int
	body   string
	header http.Header
	err    error
}

func (r result) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("%d %s", r.status, strings.TrimSpace(r.body))
}

// post sends a form.
func (e *env) post(fields ...field) result {
	contentType, body := form(fields...)
	return e.send(contentType, bytes.NewReader(body))
}

func (e *env) send(contentType string, body io.Reader) result {
	resp, err := http.Post(e.url, contentType, body)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return result{resp.StatusCode, string(text), resp.Header, err}
}

// sendPart sends part i of f as a browser does.
func (e *env) sendPart(f *file, i int) result {
	return e.post(idField(f), chunkField(i), fileField(f.part(i)))
}

func (e *env) mustSend(f *file, i int) {
	e.t.Helper()
	if r := e.sendPart(f, i); r.status != http.StatusOK || r.body != strconv.Itoa(i) {
		e.t.Fatalf("part %d: %v", i, r)
	}
}

// later runs f in the background and gives its result.
func later[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

func TestUpload_sizes(t *testing.T) {
	const c = 2 * leaf
	e := newEnv(t, nil)
	for _, size := range []int{1, leaf, c - 1, c, c + 1, 2 * c, 2*c + 500} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			f := newFile(t, blobtest.Pattern(size), c)
			f.mustOpen(t, e.conn)
			for i := f.parts() - 1; i >= 0; i-- { // backwards, as any order will do
				r := e.sendPart(f, i)
				if r.status != http.StatusOK || r.body != strconv.Itoa(i) || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
					t.Fatalf("part %d: %v, %v", i, r, r.header)
				}
				if e.m.partsOf(f.UploadID) != f.parts()-i {
					t.Fatal("answered before the manager has recorded the part")
				}
			}
			f.verify(t, e.m, e.store)
			closeUpload(t, e.conn, f)
		})
	}
}

func closeUpload(t testing.TB, conn *packet.Conn, f *file) {
	t.Helper()
	answer, err := conn.Call(t.Context(), packet.UploadClose{UploadID: f.UploadID})
	if err != nil || answer != (packet.Boolean{Success: true}) {
		t.Fatalf("close = %v, %v", answer, err)
	}
}

func TestUpload_fieldOrder(t *testing.T) {
	e := newEnv(t, nil)
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			f := newFile(t, blobtest.Pattern(3*leaf+7), 2*leaf)
			f.mustOpen(t, e.conn)
			for i := range f.parts() {
				all := []field{idField(f), chunkField(i), fileField(f.part(i))}
				r := e.post(all[order[0]], all[order[1]], all[order[2]], field{name: "extra", value: []byte("ignored")})
				if r.status != http.StatusOK {
					t.Fatalf("part %d: %v", i, r)
				}
			}
			f.verify(t, e.m, e.store)
			closeUpload(t, e.conn, f)
		})
	}
}

func TestUpload_statuses(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(2*leaf+10), leaf)
	f.mustOpen(t, e.conn)
	other := newFile(t, blobtest.Pattern(1), leaf)
	contentType, whole := form(idField(f), chunkField(0), fileField(f.part(0)))
	for _, tc := range []struct {
		name   string
		fields []field
		kind   string // Content-Type, where it is not that of fields
		body   string
		want   int
	}{
		{name: "unknown upload", fields: []field{idField(other), chunkField(0), fileField(f.part(0))}, want: 400},
		{name: "unknown upload, file first", fields: []field{fileField(f.part(0)), idField(other), chunkField(0)}, want: 400},
		{name: "no id", fields: []field{chunkField(0), fileField(f.part(0))}, want: 400},
		{name: "two ids", fields: []field{idField(f), idField(f), chunkField(0), fileField(f.part(0))}, want: 400},
		{name: "no chunk", fields: []field{idField(f), fileField(f.part(0))}, want: 400},
		{name: "two chunks", fields: []field{idField(f), chunkField(0), chunkField(0), fileField(f.part(0))}, want: 400},
		{name: "chunk -1", fields: []field{idField(f), chunkField(-1), fileField(f.part(0))}, want: 400},
		{name: "chunk 3 of 3", fields: []field{idField(f), chunkField(3), fileField(f.part(0))}, want: 400},
		{name: "chunk 3 of 3, file first", fields: []field{fileField(f.part(0)), chunkField(3), idField(f)}, want: 400},
		{name: "chunk x", fields: []field{idField(f), {name: "chunk", value: []byte("x")}, fileField(f.part(0))}, want: 400},
		{name: "chunk +1", fields: []field{idField(f), {name: "chunk", value: []byte("+1")}, fileField(f.part(0))}, want: 400},
		{name: "chunk empty", fields: []field{idField(f), {name: "chunk"}, fileField(f.part(0))}, want: 400},
		{name: "chunk huge", fields: []field{idField(f), {name: "chunk", value: bytes.Repeat([]byte("9"), 5000)}, fileField(f.part(0))}, want: 400},
		{name: "no file", fields: []field{idField(f), chunkField(0)}, want: 400},
		{name: "empty file", fields: []field{idField(f), chunkField(0), fileField(nil)}, want: 400},
		{name: "one byte short", fields: []field{idField(f), chunkField(0), fileField(f.part(0)[1:])}, want: 400},
		{name: "one byte more", fields: []field{idField(f), chunkField(2), fileField(make([]byte, 11))}, want: 400},
		{name: "a chunk more", fields: []field{idField(f), chunkField(2), fileField(f.part(0))}, want: 400},
		{name: "one byte more, file first", fields: []field{fileField(make([]byte, 11)), idField(f), chunkField(2)}, want: 400},
		{name: "longer than any chunk, file first", fields: []field{fileField(make([]byte, leaf+1)), idField(f), chunkField(0)}, want: 400},
		{name: "longer than any chunk", fields: []field{idField(f), chunkField(0), fileField(make([]byte, 3*leaf))}, want: 400},
		{name: "two files", fields: []field{idField(f), chunkField(0), fileField(f.part(0)), fileField(f.part(0))}, want: 500},
		{name: "another file", fields: []field{idField(f), {name: "x", file: "x", value: []byte("x")}}, want: 500},
		{name: "endless field", fields: []field{idField(f), {name: "x", value: make([]byte, 200<<10)}, chunkField(0), fileField(f.part(0))}, want: 500},
		{name: "not a form", kind: "application/json", body: "{}", want: 400},
		{name: "no type", kind: "", body: "x", want: 400},
		{name: "no boundary", kind: "multipart/form-data", body: "x", want: 400},
		{name: "boundary too long", kind: "multipart/form-data; boundary=" + strings.Repeat("b", 71), body: "x", want: 400},
		{name: "another multipart", kind: "multipart/mixed; boundary=b", body: "--b--\r\n", want: 400},
		{name: "empty body", kind: contentType, body: "", want: 500},
		{name: "no end", kind: contentType, body: string(whole[:len(whole)-40]), want: 500},
		{name: "cut in the file", kind: contentType, body: string(whole[:len(whole)/2]), want: 500},
		{name: "junk", kind: contentType, body: strings.Repeat("junk", 1000), want: 500},
		{name: "junk header", kind: "multipart/form-data; boundary=b", body: "--b\r\n:::\x00\r\n\r\n\r\n--b--\r\n", want: 500},
		{name: "endless header", kind: "multipart/form-data; boundary=b", body: "--b\r\nA: " + strings.Repeat("a", 300<<10) + "\r\n\r\n\r\n--b--\r\n", want: 500},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r result
			if tc.fields != nil {
				kind, body := form(tc.fields...)
				r = e.send(kind, struct{ io.Reader }{bytes.NewReader(body)}) // without saying how long it is
			} else {
				r = e.send(tc.kind, strings.NewReader(tc.body))
			}
			if r.status != tc.want || !strings.Contains(r.body, `{"error":"`) || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
				t.Errorf("got %v, want %d and JSON", r, tc.want)
			}
			checkCORS(t, r.header)
		})
	}
	if r := e.post(idField(f), chunkField(0), fileField(make([]byte, 3*leaf))); r.status != 400 {
		t.Errorf("a body that says that it is too long: %v, want 400", r)
	}
	for i := range f.parts() { // none of that was in the way
		e.mustSend(f, i)
	}
	f.verify(t, e.m, e.store)
}

func checkCORS(t *testing.T, h http.Header) {
	t.Helper()
	for _, key := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"} {
		if h.Get(key) != "*" {
			t.Errorf("%s = %q", key, h.Get(key))
		}
	}
}

func TestUpload_methods(t *testing.T) {
	e := newEnv(t, nil)
	for method, want := range map[string]int{"OPTIONS": 200, "GET": 404, "HEAD": 404, "PUT": 404, "DELETE": 404} {
		req, err := http.NewRequestWithContext(t.Context(), method, e.url+"/any/path?q", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", method, resp.StatusCode, want)
		}
		checkCORS(t, resp.Header)
	}
}

func TestUpload_noneOpen(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	for _, fields := range [][]field{
		{idField(f), chunkField(0), fileField(f.part(0))},
		{fileField(f.part(0)), idField(f), chunkField(0)},
	} {
		if r := e.post(fields...); r.status != 400 || !strings.Contains(r.body, "error") {
			t.Errorf("got %v, want 400", r)
		}
	}
}

func TestUpload_repeats(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)
	e.mustSend(f, 0)
	if n := e.store.Len(); n != 1 {
		t.Errorf("%d blobs for a part sent twice", n)
	}
	other := bytes.Clone(f.part(0))
	other[leaf-1] ^= 1
	if r := e.post(idField(f), chunkField(0), fileField(other)); r.status != http.StatusConflict {
		t.Errorf("other bytes: %v, want 409", r)
	}
	e.mustSend(f, 1)
	closeUpload(t, e.conn, f)
	f.verify(t, e.m, e.store)
	// The answer to the last part may have been lost.
	e.mustSend(f, 1)
	if r := e.post(idField(f), chunkField(1), fileField(other)); r.status != http.StatusConflict {
		t.Errorf("other bytes after the end: %v, want 409", r)
	}
}

func TestUpload_closed(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)

	release := e.store.hold()
	defer release()
	<-e.store.came // of part 0
	posted := later(func() result { return e.sendPart(f, 1) })
	get(t, e.store.came, "Put")
	closeUpload(t, e.conn, f)
	if r := get(t, posted, "the answer"); r.status != 400 {
		t.Errorf("part of a closed upload: %v, want 400", r)
	}
	if r := e.sendPart(f, 1); r.status != 400 {
		t.Errorf("part after the end: %v, want 400", r)
	}
	closeUpload(t, e.conn, f) // again does no harm
	if e.m.partsOf(f.UploadID) != 1 {
		t.Error("a part was reported after the end")
	}
}

func TestUpload_inFlightTwice(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	other := bytes.Clone(f.content)
	other[0]++

	release := e.store.hold()
	first := later(func() result { return e.sendPart(f, 0) })
	get(t, e.store.came, "Put")
	same := later(func() result { return e.sendPart(f, 0) })
	differs := later(func() result { return e.post(idField(f), chunkField(0), fileField(other)) })
	release()
	if r := get(t, first, "the first answer"); r.status != 200 {
		t.Errorf("first: %v", r)
	}
	if r := get(t, same, "the second answer"); r.status != 200 {
		t.Errorf("same bytes: %v", r)
	}
	if r := get(t, differs, "the third answer"); r.status != 409 {
		t.Errorf("other bytes: %v", r)
	}
	if n := e.store.Len(); n != 1 {
		t.Errorf("%d blobs for one part", n)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_secondTakesOver(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	e.store.FailNext(memblobPut, 1, fmt.Errorf("%w: Discord is ill", cloud.ErrUnavailable))
	release := e.store.hold()
	first := later(func() result { return e.sendPart(f, 0) })
	get(t, e.store.came, "Put")
	second := later(func() result { return e.sendPart(f, 0) })
	release()
	if r := get(t, first, "the first answer"); r.status != 500 || strings.Contains(r.body, "Discord is ill") {
		t.Errorf("first: %v, want 500 without particulars", r)
	}
	if r := get(t, second, "the second answer"); r.status != 200 {
		t.Errorf("second: %v", r)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_managerSaysNo(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	e.m.respond(func(*packet.Conn, packet.PartStored) packet.Packet {
		return packet.Boolean{Message: "sizes do not match"}
	})
	if r := e.sendPart(f, 0); r.status != 500 || !strings.Contains(r.body, "sizes do not match") {
		t.Errorf("refused: %v, want 500", r)
	}
	e.m.respond(func(*packet.Conn, packet.PartStored) packet.Packet {
		return packet.Error{Code: "internal", Message: "disk"}
	})
	if r := e.sendPart(f, 0); r.status != 500 {
		t.Errorf("failed: %v, want 500", r)
	}
	e.m.respond(func(*packet.Conn, packet.PartStored) packet.Packet {
		return packet.Error{Code: "exists", Message: "another service was faster"}
	})
	if r := e.sendPart(f, 0); r.status != 409 || !strings.Contains(r.body, "another service was faster") {
		t.Errorf("stored elsewhere: %v, want 409", r)
	}
	var calls atomic.Int64
	e.m.respond(func(*packet.Conn, packet.PartStored) packet.Packet {
		if calls.Add(1) == 1 {
			return packet.Error{Code: "unavailable", Message: "the database is busy"}
		}
		return packet.Boolean{Success: true}
	})
	e.mustSend(f, 0) // reported again, not stored again
	f.verify(t, e.m, e.store)
	if n := e.store.Len(); n != 4 {
		t.Errorf("%d blobs for 4 tries", n)
	}
}

func TestUpload_managerRestarts(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(3*leaf), leaf)
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)
	<-e.store.came

	release := e.store.hold()
	posted := later(func() result { return e.sendPart(f, 1) })
	get(t, e.store.came, "Put")
	addr := e.m.addr
	e.m.stop()
	release()
	e.m.start(addr)
	conn := get(t, e.m.conns, "the service to come back")
	f.confirm(0)
	f.mustOpen(t, conn)
	if r := get(t, posted, "the answer"); r.status != 200 {
		t.Errorf("part under way: %v", r)
	}
	e.mustSend(f, 2)
	e.mustSend(f, 0) // still known
	f.verify(t, e.m, e.store)
	if n := e.store.Len(); n != 3 {
		t.Errorf("%d blobs for 3 parts", n)
	}
}

func TestUpload_reportLost(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	var once sync.Once
	e.m.respond(func(conn *packet.Conn, p packet.PartStored) packet.Packet {
		var answer packet.Packet = packet.Boolean{Success: true}
		once.Do(func() { // recorded, but the answer never goes out
			e.m.keep(p)
			conn.Close(1012, "restart")
			answer = nil
		})
		return answer
	})
	posted := later(func() result { return e.sendPart(f, 0) })
	conn := get(t, e.m.conns, "the service to come back")
	f.confirm(0)
	f.mustOpen(t, conn)
	if r := get(t, posted, "the answer"); r.status != 200 {
		t.Errorf("got %v", r)
	}
	f.verify(t, e.m, e.store) // and keep complains of a second report
}

func TestUpload_managerGone(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Reconnect = 300 * time.Millisecond; c.Grace = time.Hour })
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	addr := e.m.addr
	e.m.stop()
	for i := range 2 {
		r := e.sendPart(f, i)
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
			t.Fatalf("got %v, want 503", r)
		}
	}
	e.m.start(addr)
	conn := get(t, e.m.conns, "the service to come back")
	f.mustOpen(t, conn)
	for i := range 2 {
		e.mustSend(f, i)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_managerStaysAway(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) {
		c.Reconnect, c.Grace, c.Linger = time.Hour, 50*time.Millisecond, 10*time.Millisecond
	})
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	e.m.stop()
	if r := e.sendPart(f, 0); r.status != 400 {
		t.Errorf("got %v, want 400: the upload is dropped", r)
	}
}

func TestUpload_confirmed(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(3*leaf), leaf)
	f.Confirmed = []packet.Range{{0, 1}}
	f.mustOpen(t, e.conn)
	e.mustSend(f, 1) // stored by another service: taken at its word
	if n := e.store.Len(); n != 0 {
		t.Errorf("%d blobs stored for a confirmed part", n)
	}
	e.mustSend(f, 2)
	if e.m.partsOf(f.UploadID) != 1 {
		t.Error("a confirmed part was reported")
	}
}

func TestUpload_split(t *testing.T) {
	for name, silent := range map[string]bool{"limit is told": false, "limit is found out": true} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, nil)
			f := newFile(t, blobtest.Pattern(16*leaf+99), 8*leaf)
			f.mustOpen(t, e.conn)
			e.mustSend(f, 0)
			e.store.silent.Store(silent)
			e.store.limit.Store(3*leaf + chunk.Reserve)
			e.mustSend(f, 1)
			e.mustSend(f, 2)
			e.m.mu.Lock()
			pieces := len(e.m.parts[f.UploadID][1])
			e.m.mu.Unlock()
			if pieces < 3 {
				t.Errorf("part 1 is in %d chunks", pieces)
			}
			f.verify(t, e.m, e.store)

			e.store.limit.Store(1000) // not even a leaf
			g := newFile(t, blobtest.Pattern(2*leaf), 2*leaf)
			g.mustOpen(t, e.conn)
			if r := e.sendPart(g, 0); r.status != 500 {
				t.Errorf("got %v, want 500", r)
			}
		})
	}
}

func TestUpload_capacity(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Worker.Capacity = 2 })
	files := make([]*file, 3)
	for i := range files {
		files[i] = newFile(t, blobtest.Pattern(leaf), leaf)
	}
	files[0].mustOpen(t, e.conn)
	files[1].mustOpen(t, e.conn)
	files[1].mustOpen(t, e.conn) // the same again takes no room
	if a := files[2].open(t, e.conn); a.Success || a.Message == "" {
		t.Errorf("a third of two: %+v", a)
	}
	closeUpload(t, e.conn, files[0])
	files[2].mustOpen(t, e.conn)
}

func TestUpload_openRefused(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Memory = 1 << 20 })
	for name, size := range map[string][2]int64{
		"more than the memory": {10 << 20, 2 << 20},
		"no whole leaves":      {10 * leaf, leaf + 1},
		"beyond a header":      {1 << 40, 1 << 33},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t, []byte("x"), leaf)
			f.Size, f.ChunkSize = size[0], size[1]
			if a := f.open(t, e.conn); a.Success || a.Message == "" {
				t.Errorf("%+v", a)
			}
		})
	}
	f := newFile(t, []byte("x"), 1<<40) // one part: its size does not matter
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)
}

func TestUpload_stall(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Stall = 50 * time.Millisecond; c.Linger = time.Hour })
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	failed := get(t, e.m.failed, "the end of a stalled upload")
	if failed.UploadID != f.UploadID || failed.Reason == "" {
		t.Errorf("got %+v", failed)
	}
	if r := e.sendPart(f, 0); r.status != 400 {
		t.Errorf("part of it: %v, want 400", r)
	}
	f.mustOpen(t, e.conn) // it can be resumed
	e.mustSend(f, 0)
}

func TestUpload_stallNotInTransit(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Stall = 50 * time.Millisecond })
	busy := newFile(t, blobtest.Pattern(leaf), leaf)
	busy.mustOpen(t, e.conn)
	body, sender := io.Pipe()
	contentType, raw := form(idField(busy), chunkField(0), fileField(busy.part(0)))
	posted := later(func() result { return e.send(contentType, body) })
	if _, err := sender.Write(raw[:len(raw)/2]); err != nil {
		t.Fatal(err)
	}
	idle := newFile(t, blobtest.Pattern(leaf), leaf)
	for range 2 { // two of its stalls are longer than one of ours
		idle.mustOpen(t, e.conn)
		if failed := get(t, e.m.failed, "the idle one to stall"); failed.UploadID != idle.UploadID {
			t.Fatal("an upload with bytes in transit was given up")
		}
	}
	if _, err := sender.Write(raw[len(raw)/2:]); err != nil {
		t.Fatal(err)
	}
	_ = sender.Close()
	if r := get(t, posted, "the answer"); r.status != 200 {
		t.Errorf("got %v", r)
	}
}

func TestUpload_stallFromManager(t *testing.T) {
	config := configuration()
	second := int64(1)
	config.StallSeconds = &second
	e := &env{t: t, store: newShelf(), logs: &logs{}}
	e.start(config, func(c *upload.Config) {
		c.OpenStore = func(packet.Configure) (upload.Store, error) { return e.store, nil }
		c.Stall = time.Hour
	})
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	get(t, e.m.failed, "the stall that the manager has set")
}

func TestUpload_parallel(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Memory = 3 * leaf })
	var clients sync.WaitGroup
	files := make([]*file, 4)
	for n := range files {
		f := newFile(t, blobtest.Pattern(9*leaf+n), leaf)
		f.mustOpen(t, e.conn)
		files[n] = f
		for i := range f.parts() {
			clients.Go(func() {
				if r := e.sendPart(f, i); r.status != 200 {
					t.Errorf("file %d part %d: %v", n, i, r)
				}
			})
		}
	}
	clients.Wait()
	for _, f := range files {
		f.verify(t, e.m, e.store)
	}
	if most := e.store.most.Load(); most > 3 {
		t.Errorf("%d parts at once within the memory of 3", most)
	}
}

func TestUpload_shutdown(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	release := e.store.hold()
	defer release()
	posted := later(func() result { return e.sendPart(f, 0) })
	get(t, e.store.came, "Put")
	if err := e.stop(); !errors.Is(err, cloud.ErrShutdown) {
		t.Errorf("Run = %v", err)
	}
	if r := get(t, posted, "the answer"); r.status != http.StatusServiceUnavailable {
		t.Errorf("under way: %v, want 503", r)
	}
	if r := e.sendPart(f, 1); r.status != http.StatusServiceUnavailable {
		t.Errorf("afterwards: %v, want 503", r)
	}
	if !e.store.closed.Load() {
		t.Error("the store is still open")
	}
}

func TestUpload_type(t *testing.T) {
	e := newEnv(t, nil)
	for content, want := range map[string]string{
		"\x89PNG\r\n\x1a\n and so on": "image/png",
		"plain words":                 "text/plain",
		"\x00\x01\x02\x03":            "application/octet-stream",
	} {
		f := newFile(t, []byte(content), leaf)
		f.mustOpen(t, e.conn)
		e.mustSend(f, 0)
		e.m.mu.Lock()
		got := e.m.types[f.UploadID]
		e.m.mu.Unlock()
		if got != want {
			t.Errorf("%q: type %q, want %q", content, got, want)
		}
		closeUpload(t, e.conn, f)
	}
}

func TestConfigure(t *testing.T) {
	var stores []*shelf
	e := &env{t: t, logs: &logs{}}
	e.start(configuration(), func(c *upload.Config) {
		c.OpenStore = func(p packet.Configure) (upload.Store, error) { // calls come one after the other
			if slices.Contains(p.DiscordChannelIDs, "999999999999999999") {
				return nil, cloud.UserErrorf(cloud.ErrInvalid, "no such channel")
			}
			stores = append(stores, newShelf())
			return stores[len(stores)-1], nil
		}
	})
	configure := func(change func(*packet.Configure)) packet.Boolean {
		t.Helper()
		p := configuration()
		change(&p)
		answer, err := e.conn.Call(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return answer.(packet.Boolean)
	}
	seconds := int64(7)
	if a := configure(func(p *packet.Configure) { p.StallSeconds = &seconds }); !a.Success || len(stores) != 1 {
		t.Errorf("same again: %+v, %d stores", a, len(stores))
	}
	if a := configure(func(p *packet.Configure) { p.DiscordChannelIDs[0] = "999999999999999999" }); a.Success || a.Message != "no such channel" {
		t.Errorf("wrong: %+v", a)
	}
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	release := stores[0].hold()
	posted := later(func() result { return e.sendPart(f, 0) })
	get(t, stores[0].came, "Put")
	if a := configure(func(p *packet.Configure) { p.DiscordChannelIDs[0] = "100000000000000002" }); !a.Success || len(stores) != 2 {
		t.Fatalf("another: %+v, %d stores", a, len(stores))
	}
	if stores[0].closed.Load() {
		t.Error("the store was closed under a part")
	}
	release()
	if r := get(t, posted, "the answer"); r.status != 200 {
		t.Errorf("part on the old store: %v", r)
	}
	e.mustSend(f, 1)
	if stores[0].Len() != 1 || stores[1].Len() != 1 || !stores[0].closed.Load() || stores[1].closed.Load() {
		t.Error("parts went to the wrong store, or the wrong one is closed")
	}
}

func TestConfigure_discord(t *testing.T) {
	e := &env{t: t, logs: &logs{}}
	e.start(configuration(), func(*upload.Config) {}) // the default makes a client, and touches no network
	for name, change := range map[string]func(*packet.Configure){
		"token":   func(p *packet.Configure) { p.DiscordBotToken = "has space" },
		"address": func(p *packet.Configure) { p.DiscordAPIURL = "ftp://x" },
	} {
		p := configuration()
		change(&p)
		answer, err := e.conn.Call(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if a := answer.(packet.Boolean); a.Success || a.Message == "" || strings.Contains(a.Message, "has space") {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestUpload_headers(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, []byte("x"), leaf)
	f.mustOpen(t, e.conn)
	r := e.sendPart(f, 0)
	want := map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got := r.header.Get(key); got != want[key] {
			t.Errorf("%s = %q, want %q", key, got, want[key])
		}
	}
	checkCORS(t, r.header)
}
