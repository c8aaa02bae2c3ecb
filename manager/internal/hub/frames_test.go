package hub_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/hub"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Frames that are no packets change nothing and harm nobody.
func TestFrames_Malformed(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	for _, v := range []packet.Version{packet.V1, packet.V2} {
		c := w.v1(u)
		if v == packet.V2 {
			c = w.v2(u)
		}
		uuid := packet.NewUUID()
		for _, raw := range []string{
			`hello`, `[]`, `{}`, `{"id":"c2s:list-request"}`,
			`{"id":"c2s:create-folder","data":[],"uuid":"` + uuid + `"}`,
			`{"id":"c2s:create-folder","data":{"path":"/bad","x":null},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:create-folder","data":{"path":1},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:create-folder","data":{},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:create-folder","data":{"path":"/bad","__proto__":{}},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:folder-size-request","data":{"folder_id":NaN},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:folder-size-request","data":{"folder_id":1.5},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:upload-request","data":{"name":"a","path":"/","size":-1,"is_public":true},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:upload-request","data":{"name":"a","path":"/","size":9223372036854775808,"is_public":true},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:upload-request","data":{"name":"a","path":"/","is_public":true},"uuid":"` + uuid + `"}`,
			`{"id":"c2s:no-such-packet","data":{},"uuid":"` + uuid + `"}`,
			// Wrong directions: of the manager, and of services.
			`{"id":"s2c:upload-booking","data":{"amount":99},"uuid":"` + uuid + `"}`,
			`{"id":"s2u:upload-close","data":{"upload_id":"` + uuid + `"},"uuid":"` + uuid + `"}`,
			`{"id":"u2s:upload-failed","data":{"upload_id":"` + uuid + `","reason":"x"},"uuid":"` + uuid + `"}`,
			strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200),
		} {
			c.send(raw)
		}
		// Answers to nothing, also by the uuid of something.
		c.send(`{"id":"generic:boolean","data":{"success":true},"uuid":"` + packet.NewUUID() + `","reply_uuid":"` + uuid + `"}`)
		for range 50 {
			c.send(`{"id":"generic:boolean","data":{"success":true},"uuid":"` + uuid + `","reply_uuid":"` + packet.NewUUID() + `"}`)
		}
		if v == packet.V2 {
			c.ignore["generic:error"] = true // each is answered
		}
		c.quiet()
		if status := ask[packet.FolderStatus](c, packet.FolderStatusRequest{Path: "/bad"}); status.Exists {
			t.Errorf("version %d: a malformed packet made a folder", v)
		}
		// A malformed uuid spoils the reply only.
		c.send(`{"id":"c2s:create-folder","data":{"path":"/` + fmt.Sprint("ok", v) + `"},"uuid":"X"}`)
		if e := c.find("answer", func(e packet.Envelope) bool { return e.ID == "generic:boolean" }); e.ReplyUUID != "" {
			t.Errorf("got %+v", e)
		}
	}
}

func TestFrames_TooLarge(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	c, other := w.v1(u), w.v1(u)
	_ = c.ws.Write(t.Context(), websocket.MessageText, make([]byte, 2<<20)) // may be cut off in the middle
	if got := c.ended(); got != websocket.StatusMessageTooBig && got != -1 {
		t.Errorf("ended with %d", got)
	}
	other.quiet()
}

func TestFrames_NotUTF8(t *testing.T) {
	w := newWorld(t)
	c := w.v2(w.user("ada"))
	if err := c.ws.Write(t.Context(), websocket.MessageBinary, []byte{'{', 0xff, '}'}); err != nil {
		t.Fatal(err)
	}
	if got := c.ended(); got != websocket.StatusInvalidFramePayloadData {
		t.Errorf("ended with %d", got)
	}
}

// A client that does not read loses its connection; nobody else waits for it.
func TestFrames_SlowReader(t *testing.T) {
	w := newWorld(t, func(_ *dispatch.Options, h *hub.Options) { h.Packets.Queue = 16 })
	u := w.user("ada")
	// Small buffers on the way, or megabytes fit in between.
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return conn, err
	}
	slow, _, err := websocket.Dial(t.Context(), w.url("type=client&key="+u.token), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.CloseNow() }()
	c := w.v1(u)
	connected := func() int { return w.hub.Debug().(map[string]any)["clients_v1"].(int) }
	w.eventually("both are there", func() bool { return connected() == 2 })
	for i := int64(1); connected() == 2; i++ {
		if i > 100000 {
			t.Fatal("still connected")
		}
		// One after the other: the one that reads keeps up.
		folder := cloud.Entry{ID: cloud.EntryID(i), Kind: cloud.KindFolder, Name: strings.Repeat("x", 120), Public: true}
		w.bus.Publish(&event.Change{Action: event.Added, Entry: folder})
		if p := await[packet.FolderModify](c); p.Handle.ID != i {
			t.Fatalf("got %+v", p)
		}
	}
	c.quiet()
}

// A client that floods is slowed down, and still answered.
func TestFrames_Flood(t *testing.T) {
	w := newWorld(t, func(_ *dispatch.Options, h *hub.Options) { h.Packets.Rate, h.Packets.Burst = 1000, 10 })
	c := w.v1(w.user("ada"))
	var uuids []string
	for range 200 {
		uuids = append(uuids, c.tell(packet.FolderStatusRequest{Path: "/"}))
	}
	for _, uuid := range uuids {
		c.reply(uuid)
	}
}
