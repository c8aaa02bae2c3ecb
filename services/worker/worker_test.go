package worker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/retry"
	"discordcloud/services/worker"
)

const patience = 10 * time.Second

// recorder is a service that notes what it is told.
type recorder struct {
	handled      chan string
	disconnected chan *packet.Conn
}

func newRecorder() *recorder {
	return &recorder{handled: make(chan string, 100), disconnected: make(chan *packet.Conn, 100)}
}

func (r *recorder) Handle(_ context.Context, m packet.Message) {
	r.handled <- m.ID
	_ = m.Reply(packet.Boolean{Success: true})
}

func (r *recorder) Disconnected(conn *packet.Conn) { r.disconnected <- conn }

// logs collects log lines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

var quick = retry.Policy{First: time.Millisecond, Most: 4 * time.Millisecond}

// start runs a worker until the test ends.
func start(t *testing.T, cfg worker.Config, h worker.Handler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx, cfg, h) }()
	stop = sync.OnceValue(func() error {
		cancel(cloud.ErrShutdown)
		return get(t, done, "the end of Run")
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

func get[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// manager accepts services and hands their connections on.
func manager(t *testing.T, check func(r *http.Request)) (url string, conns <-chan *packet.Conn) {
	t.Helper()
	c := make(chan *packet.Conn, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(r)
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		conn := packet.NewConn(ws, packet.Options{From: packet.U2S, Version: packet.V2})
		c <- conn
		_ = conn.Run(context.WithoutCancel(r.Context()), func(context.Context, packet.Message) {})
	}))
	t.Cleanup(srv.Close)
	return srv.URL, c
}

func TestRun(t *testing.T) {
	const password = "correct-horse"
	url, conns := manager(t, func(r *http.Request) {
		q := r.URL.Query()
		for key, want := range map[string]string{"type": "upload", "v": "2", "address": "http://host:4/x?y=z", "capacity": "3", "kept": "1"} {
			if got := q.Get(key); got != want {
				t.Errorf("query %s = %q, want %q", key, got, want)
			}
		}
		if got := r.Header.Get("Authorization"); got != "Bearer "+password {
			t.Errorf("Authorization = %q", got)
		}
		if strings.Contains(r.URL.RawQuery, password) {
			t.Error("the password is in the query")
		}
	})
	h, l := newRecorder(), &logs{}
	stop := start(t, worker.Config{
		ManagerURL: "ws" + strings.TrimPrefix(url, "http") + "/?kept=1", Password: password,
		Type: packet.ServiceUpload, Address: "http://host:4/x?y=z", Capacity: 3, Backoff: quick, Log: l.logger(),
	}, h)

	for range 3 { // it comes back whenever the connection ends
		conn := get(t, conns, "a connection")
		answer, err := conn.Call(t.Context(), packet.UploadClose{UploadID: packet.NewUUID()})
		if err != nil || answer != (packet.Boolean{Success: true}) {
			t.Fatalf("Call = %v, %v", answer, err)
		}
		if got := get(t, h.handled, "the packet"); got != "s2u:upload-close" {
			t.Errorf("handled %s", got)
		}
		conn.Close(1000, "")
		get(t, h.disconnected, "the end of the connection")
	}
	last := get(t, conns, "the last connection")
	if _, err := last.Call(t.Context(), packet.UploadClose{UploadID: packet.NewUUID()}); err != nil {
		t.Fatalf("Call = %v", err)
	}
	if err := stop(); !errors.Is(err, cloud.ErrShutdown) {
		t.Errorf("Run = %v, want the cause of its context", err)
	}
	get(t, h.disconnected, "the end of the last connection")
	if n := l.count("level=INFO"); n != 4 {
		t.Errorf("%d lines for 4 connections", n)
	}
}

func TestRun_absent(t *testing.T) {
	attempts := make(chan struct{}, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempts <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	l := &logs{}
	stop := start(t, worker.Config{ManagerURL: srv.URL, Password: "x", Type: packet.ServiceThumbnail, Backoff: quick, Log: l.logger()}, newRecorder())
	for range 10 {
		get(t, attempts, "another attempt")
	}
	_ = stop()
	if n := l.count("level="); n != 1 {
		t.Errorf("%d lines for one state", n)
	}
}

func TestRun_refused(t *testing.T) {
	for _, tc := range []struct {
		name, body, want string
		status           int
	}{
		{"password", `{"error":"wrong service password"}`, "wrong service password", http.StatusForbidden},
		{"api", `{"error":{"code":"denied","message":"not you"}}`, "not you", http.StatusUnauthorized},
		{"version", `{"message":"too old"}`, "too old", http.StatusUpgradeRequired},
		{"no reason", `<html>`, "no reason given", http.StatusUnauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			attempts := make(chan struct{}, 1000)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				attempts <- struct{}{}
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}))
			defer srv.Close()
			l := &logs{}
			stop := start(t, worker.Config{
				ManagerURL: srv.URL, Password: "hidden", Type: packet.ServiceUpload, Refused: 2 * time.Millisecond,
				Backoff: retry.Policy{First: time.Hour, Most: time.Hour}, Log: l.logger(), // not to be used
			}, newRecorder())
			for range 3 {
				get(t, attempts, "another attempt")
			}
			_ = stop()
			if l.count("level=ERROR") != 1 || l.count(tc.want) != 1 {
				t.Errorf("want one error that says %q:\n%s", tc.want, l.buf.String())
			}
			if l.count("hidden") != 0 {
				t.Error("the password is in the log")
			}
		})
	}
}

func TestRun_invalid(t *testing.T) {
	for name, cfg := range map[string]worker.Config{
		"type":   {ManagerURL: "ws://127.0.0.1:1", Type: "client"},
		"scheme": {ManagerURL: "ftp://127.0.0.1:1", Type: packet.ServiceUpload},
		"host":   {ManagerURL: "ws:/x", Type: packet.ServiceUpload},
		"text":   {ManagerURL: "ws://[", Type: packet.ServiceUpload},
	} {
		t.Run(name, func(t *testing.T) {
			if err := worker.Run(t.Context(), cfg, newRecorder()); !errors.Is(err, cloud.ErrInvalid) {
				t.Errorf("Run = %v, want ErrInvalid", err)
			}
		})
	}
}
