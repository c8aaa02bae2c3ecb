package packet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
