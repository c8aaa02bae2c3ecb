package packet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// dial opens a WebSocket to a server that gives its end to serve.
func dial(t *testing.T, serve func(*websocket.Conn)) *websocket.Conn {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		serve(ws)
	}))
	t.Cleanup(s.Close)
	ws, _, err := websocket.Dial(t.Context(), s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// run is a Conn under test and what Run returned.
type run struct {
	*packet.Conn
	done chan error
}

func (r run) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Run has not returned")
		return nil
	}
}

type handler = func(ctx context.Context, m packet.Message)

func ignore(context.Context, packet.Message) {}

// serve runs the manager's end of a client's connection and returns the
// client's end, which the test drives frame by frame.
func serve(t *testing.T, ctx context.Context, o packet.Options, handle handler) (run, *websocket.Conn) {
	t.Helper()
	conns := make(chan run)
	o.From = packet.C2S
	ws := dial(t, func(ws *websocket.Conn) {
		r := run{packet.NewConn(ws, o), make(chan error, 1)}
		conns <- r
		r.done <- r.Run(ctx, handle)
	})
	return <-conns, ws
}

// pair runs both ends.
func pair(t *testing.T, o packet.Options, client, manager handler) (c, m run) {
	t.Helper()
	m, ws := serve(t, t.Context(), o, manager)
	o.From = packet.S2C
	c = run{packet.NewConn(ws, o), make(chan error, 1)}
	go func() { c.done <- c.Run(t.Context(), client) }()
	t.Cleanup(func() {
		c.Close(1000, "")
		<-c.done
	})
	return c, m
}

func write(t *testing.T, ws *websocket.Conn, raw string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(raw)); err != nil {
		t.Fatal(err)
	}
}

type wire struct {
	ID        string
	UUID      string
	ReplyUUID string `json:"reply_uuid"`
	Data      map[string]any
}

func read(t *testing.T, ws *websocket.Conn) wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	typ, raw, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var w wire
	if err := json.Unmarshal(raw, &w); err != nil || typ != websocket.MessageText {
		t.Fatalf("%v in %v %s", err, typ, raw)
	}
	return w
}

// closeCode reads until the peer has closed.
func closeCode(t *testing.T, ws *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// eventually waits for something that another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain: " + what)
		}
	}
}

func TestConn_Reply(t *testing.T) {
	_, ws := serve(t, t.Context(), packet.Options{}, func(_ context.Context, m packet.Message) {
		if err := m.Reply(packet.UploadBooking{Amount: m.Data.(packet.UploadBookingRequest).DesiredAmount}); err != nil {
			t.Error(err)
		}
	})
	write(t, ws, `{"id":"c2s:upload-booking-request","data":{"desired_amount":10},"uuid":"`+uuid+`"}`)
	if got := read(t, ws); got.ID != "s2c:upload-booking" || got.ReplyUUID != uuid || got.Data["amount"] != 10.0 || !packet.ValidUUID(got.UUID) {
		t.Errorf("reply %+v", got)
	}
	// A malformed uuid does not keep a packet from being answered.
	raw := `{"id":"c2s:upload-booking-request","data":{"desired_amount":11},"uuid":"` + strings.ToUpper(uuid) + `"}`
	if err := ws.Write(t.Context(), websocket.MessageBinary, []byte(raw)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, ws); got.ReplyUUID != "" || got.Data["amount"] != 11.0 {
		t.Errorf("reply to a binary frame without usable uuid: %+v", got)
	}
}

func TestConn_Fail(t *testing.T) {
	for v, want := range map[packet.Version]string{packet.V1: "generic:boolean", packet.V2: "generic:error"} {
		_, ws := serve(t, t.Context(), packet.Options{Version: v}, func(_ context.Context, m packet.Message) {
			if err := m.Fail(cloud.UserErrorf(cloud.ErrDenied, "not yours")); err != nil {
				t.Error(err)
			}
		})
		write(t, ws, string(frame("c2s:create-folder", `{"path":"/a"}`)))
		if got := read(t, ws); got.ID != want || got.ReplyUUID != uuid || got.Data["message"] != "not yours" {
			t.Errorf("version %d: %+v", v, got)
		}
	}
}

func TestConn_Call(t *testing.T) {
	release := make(chan struct{})
	c, _ := pair(t, packet.Options{Version: packet.V2}, ignore, func(ctx context.Context, m packet.Message) {
		switch p := m.Data.(type) {
		case packet.CreateFolder:
			_ = m.Reply(packet.Boolean{Success: true, Message: p.Path})
		case packet.FolderSizeRequest:
			_ = m.Fail(cloud.UserErrorf(cloud.ErrNotFound, "no such folder"))
		case packet.SignedDownloadRequest:
			_ = m.Reply(packet.Boolean{Success: true})
		case packet.FolderStatusRequest:
			<-release // answers may overtake each other
			_ = m.Reply(packet.FolderStatus{Path: p.Path, PageSize: 1})
		}
	})
	slow := make(chan error)
	go func() {
		_, err := c.Call(t.Context(), packet.FolderStatusRequest{Path: "/slow"})
		slow <- err
	}()
	var wg sync.WaitGroup
	for i := range 20 { // all at once: each gets its own reply
		wg.Go(func() {
			path := fmt.Sprintf("/%d", i)
			got, err := c.Call(t.Context(), packet.CreateFolder{Path: path})
			if want := (packet.Boolean{Success: true, Message: path}); err != nil || got != want {
				t.Errorf("Call = %v, %v; want %v", got, err, want)
			}
		})
	}
	wg.Wait()
	close(release)
	if err := <-slow; err != nil {
		t.Error(err)
	}
	if _, err := c.Call(t.Context(), packet.FolderSizeRequest{}); !errors.Is(err, cloud.ErrNotFound) || cloud.TextOf(err) != "no such folder" {
		t.Errorf("refused call: %v", err)
	}
	if _, err := c.Call(t.Context(), packet.SignedDownloadRequest{}); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("reply of another type: %v", err)
	}
	if _, err := c.Call(t.Context(), packet.CreateFolder{Path: "no path"}); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("invalid request: %v", err)
	}
}

func TestConn_Call_unanswered(t *testing.T) {
	c, m := pair(t, packet.Options{CallTimeout: 20 * time.Millisecond}, ignore, ignore)
	if _, err := c.Call(t.Context(), packet.CreateFolder{Path: "/a"}); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("after the timeout: %v", err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := c.Call(ctx, packet.CreateFolder{Path: "/a"}); !errors.Is(err, gone) {
		t.Errorf("after the end of its context: %v", err)
	}
	m.Close(1000, "")
	_ = m.wait(t)
	if _, err := c.Call(t.Context(), packet.CreateFolder{Path: "/a"}); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("after the end: %v", err)
	}
}

// A call that waits when the connection breaks learns of it at once.
func TestConn_Call_broken(t *testing.T) {
	var ws *websocket.Conn
	arrived := make(chan struct{})
	m, ws := serve(t, t.Context(), packet.Options{CallTimeout: time.Hour}, func(_ context.Context, msg packet.Message) { close(arrived) })
	failed := make(chan error)
	go func() {
		_, err := m.Call(t.Context(), packet.UploadServiceConfiguration{DiscordBotToken: "x", DiscordChannelID: "100000000000000001"})
		failed <- err
	}()
	read(t, ws)
	write(t, ws, string(frame("c2s:ping-services", `{}`)))
	<-arrived
	_ = ws.CloseNow()
	if err := <-failed; !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Call = %v, want ErrUnavailable", err)
	}
	if err := m.wait(t); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Run = %v, want ErrUnavailable", err)
	}
}

func TestConn_malformed(t *testing.T) {
	const bad = `{"id":"c2s:create-folder","data":{"path":"/a","x":1},"uuid":"` + uuid + `"}`
	frames := []string{
		"no json", `{"id":7}`, `{"id":"c2s:nothing","data":{}}`, string(frame("s2c:upload-overwrite-cancel", "{}")), bad,
		string(frame("generic:boolean", `{"success":1}`)), // not answered: two ends must not refuse each other for ever
	}
	for _, v := range []packet.Version{packet.V1, packet.V2} {
		m, ws := serve(t, t.Context(), packet.Options{Version: v}, func(_ context.Context, m packet.Message) {
			_ = m.Reply(packet.Boolean{Success: true})
		})
		for _, raw := range frames {
			write(t, ws, raw)
		}
		if v == packet.V2 {
			for range 2 {
				got := read(t, ws)
				if got.ID != "generic:error" || got.ReplyUUID != uuid || got.Data["code"] != "invalid" {
					t.Errorf("answer to a malformed packet: %+v", got)
				}
			}
		}
		write(t, ws, string(frame("c2s:create-folder", `{"path":"/a"}`)))
		if got := read(t, ws); got.ID != "generic:boolean" {
			t.Errorf("version %d: %+v, want the answer to the good packet", v, got)
		}
		got := m.Stats()
		want := map[packet.Reason]int64{packet.NotJSON: 1, packet.NotEnvelope: 1, packet.Unknown: 1, packet.Misdirected: 1, packet.NotValid: 2}
		if fmt.Sprint(got.Dropped) != fmt.Sprint(want) || got.Received != 7 || got.ReceivedBytes == 0 {
			t.Errorf("version %d: %+v, want dropped %v of 7", v, got, want)
		}
		eventually(t, "the answers to be counted", func() bool { s := m.Stats(); return s.Sent == int64(2*v-1) && s.SentBytes > 0 })
	}
}

// Replies that nobody waits for are counted and reach no handler; a request
// that claims to be a reply is still a request.
func TestConn_unexpected(t *testing.T) {
	handled := make(chan string, 10)
	m, ws := serve(t, t.Context(), packet.Options{}, func(_ context.Context, m packet.Message) { handled <- m.ID })
	for range 5 {
		write(t, ws, `{"id":"generic:boolean","data":{"success":true},"uuid":"`+uuid+`","reply_uuid":"`+packet.NewUUID()+`"}`)
	}
	write(t, ws, `{"id":"c2s:ping-services","data":{},"uuid":"`+uuid+`","reply_uuid":"`+packet.NewUUID()+`"}`)
	if id := <-handled; id != "c2s:ping-services" {
		t.Errorf("%s was handled", id)
	}
	if n := m.Stats().Dropped[packet.Unexpected]; n != 5 {
		t.Errorf("%d replies counted, want 5", n)
	}
}

// Two replies to one call: the first counts.
func TestConn_replyTwice(t *testing.T) {
	c, _ := pair(t, packet.Options{}, ignore, func(_ context.Context, m packet.Message) {
		_ = m.Reply(packet.Boolean{Success: true})
		_ = m.Reply(packet.Boolean{Success: false})
	})
	got, err := c.Call(t.Context(), packet.CreateFolder{Path: "/a"})
	if err != nil || got != (packet.Boolean{Success: true}) {
		t.Errorf("Call = %v, %v", got, err)
	}
	eventually(t, "the second reply", func() bool { return c.Stats().Dropped[packet.Unexpected] == 1 })
}

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

func TestConn_concurrentSends(t *testing.T) {
	m, ws := serve(t, t.Context(), packet.Options{Queue: 2000}, ignore)
	for i := range 8 {
		go func() {
			for j := range 100 {
				if err := m.Send(packet.Boolean{Message: fmt.Sprint(i, j)}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	next := make(map[string]int)
	for range 800 { // whole, none lost, and each sender's in order
		var i string
		var j int
		if _, err := fmt.Sscan(read(t, ws).Data["message"].(string), &i, &j); err != nil {
			t.Fatal(err)
		}
		if next[i] != j {
			t.Fatalf("sender %s: packet %d, want %d", i, j, next[i])
		}
		next[i]++
	}
}

func TestConn_Close(t *testing.T) {
	m, ws := serve(t, t.Context(), packet.Options{}, ignore)
	for i := range 100 {
		if err := m.Send(packet.Boolean{Message: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	m.Close(4002, strings.Repeat("ü", 100))
	m.Close(1000, "too late")
	if err := m.Send(packet.Boolean{}); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Send after Close = %v", err)
	}
	for i := range 100 {
		if got := read(t, ws).Data["message"]; got != fmt.Sprint(i) {
			t.Fatalf("packet %v, want %d: not flushed", got, i)
		}
	}
	_, _, err := ws.Read(t.Context())
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok || closed.Code != 4002 || closed.Reason != strings.Repeat("ü", 61) {
		t.Errorf("closed with %v", err)
	}
	if err := m.wait(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// A peer that answers nothing holds Close up for CloseTimeout only.
func TestConn_Close_deafPeer(t *testing.T) {
	m, _ := serve(t, t.Context(), packet.Options{CloseTimeout: 50 * time.Millisecond}, ignore)
	page := packet.Boolean{Message: strings.Repeat("x", 100_000)}
	for range 40 {
		if err := m.Send(page); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	m.Close(1000, "")
	if err := m.wait(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("closing took %v", took)
	}
}

func TestConn_peerCloses(t *testing.T) {
	for code, bad := range map[websocket.StatusCode]bool{1000: false, 1001: false, 1008: true, 4005: true} {
		m, ws := serve(t, t.Context(), packet.Options{}, ignore)
		if err := ws.Close(code, "bye"); err != nil {
			t.Fatal(err)
		}
		err := m.wait(t)
		if (err != nil) != bad || bad && websocket.CloseStatus(err) != code {
			t.Errorf("%d: Run = %v", code, err)
		}
	}
}

func TestConn_contextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	entered, left := make(chan struct{}), make(chan struct{})
	m, ws := serve(t, ctx, packet.Options{}, func(ctx context.Context, _ packet.Message) {
		close(entered)
		<-ctx.Done()
		close(left)
	})
	write(t, ws, string(frame("c2s:ping-services", `{}`)))
	<-entered
	if err := m.Send(packet.UploadOverwriteCancel{}); err != nil {
		t.Fatal(err)
	}
	cancel(cloud.ErrShutdown)
	if got := read(t, ws); got.ID != "s2c:upload-overwrite-cancel" {
		t.Errorf("%+v, want the packet sent before the end", got)
	}
	if code := closeCode(t, ws); code != websocket.StatusGoingAway {
		t.Errorf("closed with %v, want 1001", code)
	}
	if err := m.wait(t); !errors.Is(err, cloud.ErrShutdown) {
		t.Errorf("Run = %v, want the cause", err)
	}
	select {
	case <-left:
	default:
		t.Error("Run returned before its handler")
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

// Logs tell of packets by id, not by content.
func TestConn_log(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m, ws := serve(t, t.Context(), packet.Options{Log: log}, ignore)
	write(t, ws, string(frame("c2s:create-folder", `{"path":"/private"}`)))
	write(t, ws, string(frame("c2s:create-folder", `{"path":"private"}`)))
	if err := ws.Close(1000, ""); err != nil {
		t.Fatal(err)
	}
	if err := m.wait(t); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.Contains(s, `"packet received","packet":"c2s:create-folder"`) || !strings.Contains(s, `"packet refused"`) || strings.Contains(s, "private") {
		t.Errorf("log:\n%s", s)
	}
}
