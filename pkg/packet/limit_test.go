package packet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

func TestConn_bigMessages(t *testing.T) {
	m, ws := serve(t, t.Context(), packet.Options{ReadLimit: 50_000}, func(_ context.Context, m packet.Message) {
		_ = m.Reply(packet.Boolean{Success: true})
	})
	pad := strings.Repeat(" ", 50_000)
	write(t, ws, (string(frame("c2s:create-folder", `{"path":"/a"}`)) + pad)[:50_000])
	if got := read(t, ws); got.Data["success"] != true {
		t.Errorf("a message of the limit: %+v", got)
	}
	go func() { _ = ws.Write(context.WithoutCancel(t.Context()), websocket.MessageText, []byte(pad+pad)) }()
	if code := closeCode(t, ws); code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v, want 1009", code)
	}
	if err := m.wait(t); !errors.Is(err, cloud.ErrTooLarge) {
		t.Errorf("Run = %v, want ErrTooLarge", err)
	}
}

// A message in endless fragments is one message.
func TestConn_fragments(t *testing.T) {
	m, ws := serve(t, t.Context(), packet.Options{ReadLimit: 50_000}, ignore)
	w, err := ws.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan int64)
	go func() {
		n, _ := io.Copy(w, forever{})
		sent <- n
	}()
	if code := closeCode(t, ws); code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v, want 1009", code)
	}
	if err := m.wait(t); !errors.Is(err, cloud.ErrTooLarge) {
		t.Errorf("Run = %v, want ErrTooLarge", err)
	}
	_ = ws.CloseNow()
	<-sent
}

type forever struct{}

func (forever) Read(p []byte) (int, error) { return copy(p, "[[[[[[[[[[[[[[[["), nil }

func TestConn_invalidUTF8(t *testing.T) {
	m, ws := serve(t, t.Context(), packet.Options{}, ignore)
	write(t, ws, "{\"id\":\"c2s:create-folder\",\"data\":{\"path\":\"/\xff\"}}")
	if code := closeCode(t, ws); code != websocket.StatusInvalidFramePayloadData {
		t.Errorf("closed with %v, want 1007", code)
	}
	if err := m.wait(t); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("Run = %v, want ErrInvalid", err)
	}
}

// A peer that does not read is cut off; those who send to it never wait.
func TestConn_slowReader(t *testing.T) {
	m, _ := serve(t, t.Context(), packet.Options{Queue: 16}, ignore)
	page := packet.Boolean{Message: strings.Repeat("x", 100_000)}
	eventually(t, "a full queue", func() bool {
		start := time.Now()
		err := m.Send(page)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("Send took %v", took)
		}
		if err != nil && !errors.Is(err, cloud.ErrUnavailable) {
			t.Fatal(err)
		}
		return err != nil
	})
	if err := m.wait(t); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Run = %v, want ErrUnavailable", err)
	}
	if err := m.Send(page); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Send after the end = %v", err)
	}
}

func TestConn_queueBytes(t *testing.T) {
	_, ws := serve(t, t.Context(), packet.Options{}, ignore)
	c := packet.NewConn(ws, packet.Options{QueueBytes: 1000}) // not running: nothing leaves the queue
	for range 3 {
		if err := c.Send(packet.Boolean{Message: strings.Repeat("x", 200)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Send(packet.Boolean{Message: strings.Repeat("x", 400)}); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Send = %v, want ErrUnavailable", err)
	}
	if err := c.Run(t.Context(), ignore); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Run = %v, want ErrUnavailable", err)
	}
}

func TestConn_Handlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		server, client := pipe(t)
		m := packet.NewConn(server, packet.Options{From: packet.C2S, Handlers: most})
		entered, leave := 0, make(chan struct{})
		var mu sync.Mutex
		var wg sync.WaitGroup
		wg.Go(func() {
			err := m.Run(t.Context(), func(context.Context, packet.Message) {
				mu.Lock()
				entered++
				mu.Unlock()
				<-leave
			})
			if err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		})
		client.CloseRead(t.Context()) // answers pings
		wg.Go(func() {
			for range 10 {
				write(t, client, string(frame("c2s:ping-services", `{}`)))
			}
		})
		time.Sleep(time.Hour) // of fake time: pings are due, but it is the manager that does not read
		synctest.Wait()
		mu.Lock()
		if got := m.Stats().Received; entered != most || got != most+1 {
			t.Errorf("%d handlers run and %d packets were read, want %d and one more", entered, got, most)
		}
		mu.Unlock()
		close(leave)
		synctest.Wait()
		if entered != 10 {
			t.Errorf("%d packets handled, want all 10", entered)
		}
		m.Close(1000, "")
		wg.Wait()
	})
}

// A peer that does not answer pings is given up.
func TestConn_silentPeer(t *testing.T) {
	m, _ := serve(t, t.Context(), packet.Options{PingEvery: time.Millisecond, PingTimeout: 20 * time.Millisecond}, ignore)
	if err := m.wait(t); !errors.Is(err, cloud.ErrUnavailable) { // the client's end is never read
		t.Errorf("Run = %v, want ErrUnavailable", err)
	}
}

// pipe makes a WebSocket of both ends of a net.Pipe, for fake time.
func pipe(t *testing.T) (server, client *websocket.Conn) {
	t.Helper()
	near, far := net.Pipe()
	accepted := make(chan *websocket.Conn)
	l := &oneConn{conn: near, used: make(chan struct{})}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		accepted <- ws
	})}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return far, nil }}
	got := make(chan *websocket.Conn)
	go func() {
		ws, _, err := websocket.Dial(t.Context(), "http://pipe/", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Error(err)
		}
		got <- ws
	}()
	return <-accepted, <-got
}

type oneConn struct {
	conn net.Conn
	once sync.Once
	used chan struct{}
	gone sync.Once
}

func (l *oneConn) Accept() (conn net.Conn, err error) {
	l.once.Do(func() { conn = l.conn })
	if conn == nil {
		<-l.used
		err = net.ErrClosed
	}
	return conn, err
}
func (l *oneConn) Close() error   { l.gone.Do(func() { close(l.used) }); return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

// By default a connection without traffic lives for ever if the peer answers
// pings, and a call gives up after 10 s.
func TestConn_idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipe(t)
		m := packet.NewConn(server, packet.Options{From: packet.C2S})
		// Only one side pings: two pongs that meet in a net.Pipe, which has no buffer, block each other.
		c := packet.NewConn(client, packet.Options{From: packet.S2C, PingEvery: 24 * time.Hour})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := m.Run(t.Context(), ignore); err != nil {
				t.Errorf("manager: %v", err)
			}
		})
		wg.Go(func() {
			if err := c.Run(t.Context(), ignore); err != nil {
				t.Errorf("client: %v", err)
			}
		})
		time.Sleep(time.Hour) // of fake time
		start := time.Now()
		_, err := c.Call(t.Context(), packet.CreateFolder{Path: "/a"})
		if took := time.Since(start); !errors.Is(err, cloud.ErrUnavailable) || took != 10*time.Second {
			t.Errorf("Call = %v after %v, want ErrUnavailable after 10s", err, took)
		}
		m.Close(1000, "")
		wg.Wait()
	})
}

// A peer that sends faster than Rate is read at Rate.
func TestConn_Rate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipe(t)
		handled := make(chan time.Time, 100)
		m := packet.NewConn(server, packet.Options{From: packet.C2S, Rate: 2, Burst: 5})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = m.Run(t.Context(), func(context.Context, packet.Message) { handled <- time.Now() })
		})
		start := time.Now()
		client.CloseRead(t.Context())
		for range 25 {
			write(t, client, string(frame("c2s:ping-services", `{}`)))
		}
		synctest.Wait()
		var last time.Time
		for range 25 {
			last = <-handled
		}
		// The 5 of the burst and the one behind it come at once, each other after half a second.
		if took := last.Sub(start); took != 19*500*time.Millisecond {
			t.Errorf("25 packets took %v, want 9.5s", took)
		}
		m.Close(1000, "")
		wg.Wait()
	})
}
