package packet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

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
