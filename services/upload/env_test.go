package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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
