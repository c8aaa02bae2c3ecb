package thumbnail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/retry"
	"discordcloud/services/thumbnail"
	"discordcloud/services/thumbnail/decode"
	"discordcloud/services/thumbnail/jail"
	"discordcloud/services/worker"
)

// decoder is a Decoder that does what a test wants.
type decoder func(ctx context.Context, job decode.Job, object io.ReaderAt) (decode.Result, error)

func (f decoder) Run(ctx context.Context, job decode.Job, object io.ReaderAt) (decode.Result, error) {
	return f(ctx, job, object)
}

// manager is the far end: a socket, and an object to read.
type manager struct {
	*httptest.Server
	object  []byte
	conns   chan *packet.Conn
	done    chan packet.ThumbnailDone
	failing atomic.Int64 // requests for the object to refuse with 503
	read    atomic.Int64 // bytes of it
}

const ticket = "the ticket"

func newManager(t *testing.T, object []byte) *manager {
	m := &manager{object: object, conns: make(chan *packet.Conn, 10), done: make(chan packet.ThumbnailDone, 10)}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+ticket:
			w.WriteHeader(http.StatusUnauthorized)
		case m.failing.Add(-1) >= 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			var from, to int64
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err == nil {
				m.read.Add(to - from + 1)
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(m.object))
		}
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	conn := packet.NewConn(ws, packet.Options{From: packet.T2S, Version: packet.V2})
	m.conns <- conn
	_ = conn.Run(r.Context(), func(_ context.Context, msg packet.Message) {
		if p, ok := msg.Data.(packet.ThumbnailDone); ok {
			m.done <- p
			_ = msg.Reply(packet.Boolean{Success: true})
		}
	})
}

// serve runs a service against the manager and configures it.
func (m *manager) serve(t *testing.T, d thumbnail.Decoder) *packet.Conn {
	t.Helper()
	s := thumbnail.New(thumbnail.Config{
		Worker:  worker.Config{ManagerURL: strings.Replace(m.URL, "http", "ws", 1), Password: "x", Backoff: retry.Policy{First: time.Millisecond, Most: time.Millisecond}},
		Decoder: d,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ends with %v", err)
		}
	})
	return m.configured(t)
}

func (m *manager) configured(t *testing.T) *packet.Conn {
	t.Helper()
	conn := <-m.conns
	answer, err := conn.Call(t.Context(), packet.ThumbnailConfigure{Sizes: []int64{256, 1024}, Quality: 90, ImageLimit: 1 << 16, Seconds: 20})
	if err != nil {
		t.Fatal(err)
	}
	if yes := answer.(packet.Boolean); !yes.Success || !strings.Contains(yes.Message, "ffmpeg") {
		t.Errorf("configured without any tools, it answers %+v", yes)
	}
	return conn
}

func (m *manager) give(t *testing.T, conn *packet.Conn, secret packet.Secret) (string, bool) {
	t.Helper()
	id := packet.NewUUID()
	answer, err := conn.Call(t.Context(), packet.ThumbnailJob{
		Job: id, Size: int64(len(m.object)), Type: "image/png", Source: "/api/thumbnail-jobs/" + id + "/source", Ticket: secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	return id, answer.(packet.Boolean).Success
}

func TestService(t *testing.T) {
	object := make([]byte, 3<<20)
	for i := range object {
		object[i] = byte(i % 251)
	}
	for name, c := range map[string]struct {
		ticket    packet.Secret
		failing   int64
		decode    decoder
		success   bool
		reason    string
		transient bool
		most      int64 // bytes read
	}{
		"read whole": {ticket: ticket, decode: func(_ context.Context, job decode.Job, o io.ReaderAt) (decode.Result, error) {
			b, err := io.ReadAll(io.NewSectionReader(o, 0, job.Size))
			if err != nil || !bytes.Equal(b, object) {
				return decode.Result{}, fmt.Errorf("read %d bytes: %w", len(b), err)
			}
			return decode.Result{Images: []decode.Image{{Size: 256, Data: []byte("x")}}, Facts: decode.Facts{Width: 7}}, nil
		}, success: true, most: 3 << 20},
		"looked into": {ticket: ticket, decode: func(_ context.Context, job decode.Job, o io.ReaderAt) (decode.Result, error) {
			for _, off := range []int64{0, job.Size - 100, 1000, 1 << 20, 50} {
				b := make([]byte, 100)
				if _, err := o.ReadAt(b, off); err != nil || !bytes.Equal(b, object[off:off+100]) {
					return decode.Result{}, fmt.Errorf("read at %d: %w", off, err)
				}
			}
			return decode.Result{Images: []decode.Image{{Size: 256, Data: []byte("x")}}}, nil
		}, success: true, most: 400 << 10},
		"a manager in trouble": {ticket: ticket, failing: 2, decode: func(_ context.Context, _ decode.Job, o io.ReaderAt) (decode.Result, error) {
			_, err := o.ReadAt(make([]byte, 10), 0)
			return decode.Result{Images: []decode.Image{{Size: 256, Data: []byte("x")}}}, err
		}, success: true, most: 1 << 20},
		"a wrong ticket": {ticket: "another", decode: func(_ context.Context, _ decode.Job, o io.ReaderAt) (decode.Result, error) {
			_, err := o.ReadAt(make([]byte, 10), 0)
			return decode.Result{}, fmt.Errorf("%w: %w", jail.ErrSource, err)
		}, reason: "could not be read", transient: true},
		"not decodable": {ticket: ticket, decode: func(context.Context, decode.Job, io.ReaderAt) (decode.Result, error) {
			return decode.Result{Reason: "it is cut off"}, nil
		}, reason: "it is cut off"},
		"a crash": {ticket: ticket, decode: func(context.Context, decode.Job, io.ReaderAt) (decode.Result, error) {
			return decode.Result{}, jail.Failure("the decoder crashed on it")
		}, reason: "crashed"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, object)
			m.failing.Store(c.failing)
			conn := m.serve(t, c.decode)
			id, taken := m.give(t, conn, c.ticket)
			if !taken {
				t.Fatal("the job is not taken")
			}
			done := <-m.done
			if done.Job != id || done.Success != c.success || !strings.Contains(done.Reason, c.reason) || done.Transient != c.transient || c.success != (len(done.Images) == 1) {
				t.Errorf("it ends with %+v", done)
			}
			if n := m.read.Load(); n > c.most {
				t.Errorf("%d bytes were read, at most %d are needed", n, c.most)
			}
		})
	}
}

// A service takes as many jobs as it has room for; with the connection the jobs
// end, and the next connection has all the room again.
func TestService_room(t *testing.T) {
	began, ended := make(chan struct{}, 10), make(chan struct{}, 10)
	m := newManager(t, []byte("x"))
	conn := m.serve(t, decoder(func(ctx context.Context, _ decode.Job, _ io.ReaderAt) (decode.Result, error) {
		began <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return decode.Result{}, context.Cause(ctx)
	}))
	for i, want := range []bool{true, true, false} {
		if _, taken := m.give(t, conn, ticket); taken != want {
			t.Errorf("job %d is taken: %v", i, taken)
		}
	}
	<-began
	<-began
	conn.Close(1000, "")
	<-ended
	<-ended
	next := m.configured(t)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, taken := m.give(t, next, ticket); taken {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the next connection has no room")
		}
	}
}
