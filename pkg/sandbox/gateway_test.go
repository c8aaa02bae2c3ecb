package sandbox_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/sandbox"
)

type frame struct {
	Op   int             `json:"op"`
	Data json.RawMessage `json:"d"`
	Seq  *int64          `json:"s"`
	Type string          `json:"t"`
}

// socket is a gateway client.
type socket struct {
	testing.TB
	ws *websocket.Conn
}

func connect(t testing.TB, s *sandbox.Server, query string) socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL(), "http")+"/gateway"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	ws.SetReadLimit(1 << 20)
	return socket{t, ws}
}

func (c socket) read() (frame, error) {
	ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
	defer cancel()
	var f frame
	_, b, err := c.ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	return f, err
}

// want reads a frame of an opcode, and for 0 of an event.
func (c socket) want(op int, event string) frame {
	c.Helper()
	f, err := c.read()
	if err != nil || f.Op != op || f.Type != event {
		c.Fatalf("got op %d %s %s, %v; want op %d %s", f.Op, f.Type, f.Data, err, op, event)
	}
	return f
}

func (c socket) wantClose(code int) {
	c.Helper()
	for {
		f, err := c.read()
		if err == nil && f.Op == 10 {
			continue
		}
		if got := websocket.CloseStatus(err); int(got) != code {
			c.Errorf("got %+v, close %d (%v), want close %d", f, got, err, code)
		}
		return
	}
}

func (c socket) send(op int, d any) {
	c.Helper()
	b, err := json.Marshal(map[string]any{"op": op, "d": d})
	if err != nil {
		c.Fatal(err)
	}
	c.sendText(string(b))
}

func (c socket) sendText(text string) {
	c.Helper()
	if err := c.ws.Write(c.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.Fatal(err)
	}
}

const allIntents = 1<<0 | 1<<5 | 1<<9 | 1<<15

func identity(token string, intents int) map[string]any {
	return map[string]any{"token": token, "intents": intents, "properties": map[string]any{"os": "linux"}}
}

// ready connects and identifies, up to the guild.
func ready(t testing.TB, s *sandbox.Server, token string, intents int) (c socket, session string) {
	t.Helper()
	c = connect(t, s, "?v=10&encoding=json")
	c.want(10, "")
	c.send(2, identity(token, intents))
	f := c.want(0, "READY")
	var d struct {
		V           int
		SessionID   string `json:"session_id"`
		Resume      string `json:"resume_gateway_url"`
		User        struct{ ID string }
		Guilds      []struct{ ID string }
		Application struct{ ID string }
	}
	if err := json.Unmarshal(f.Data, &d); err != nil {
		t.Fatal(err)
	}
	if d.V != 10 || d.SessionID == "" || d.Resume == "" || d.User.ID == "" || len(d.Guilds) != 1 || d.Application.ID == "" || *f.Seq != 1 {
		t.Fatalf("READY: %s", f.Data)
	}
	if intents&1 != 0 {
		c.want(0, "GUILD_CREATE")
	}
	return c, d.SessionID
}

func TestGateway_Events(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	g, _ := ready(t, s, "Bot "+s.Token(), allIntents)
	g.send(1, 2)
	g.want(11, "")

	m := c.post(append(files(pattern(100)), field("payload_json", `{"content":"hi","nonce":"n"}`))...)
	var got struct {
		message
		GuildID string `json:"guild_id"`
		Member  any
	}
	f := g.want(0, "MESSAGE_CREATE")
	if err := json.Unmarshal(f.Data, &got); err != nil || got.ID != m.ID || got.Content != "hi" || got.Nonce != "n" || got.GuildID != s.GuildID() ||
		got.Member == nil || len(got.Attachments) != 1 || *f.Seq != 3 {
		t.Errorf("MESSAGE_CREATE: %s, %v", f.Data, err)
	}
	if r := c.get(got.Attachments[0].URL); r.status != 200 {
		t.Errorf("link of the event: %d", r.status)
	}
	path := c.messages() + "/" + m.ID
	c.want(200, "PATCH", path, text("edited"))
	g.want(0, "MESSAGE_UPDATE")
	c.want(204, "DELETE", path, nil)
	var gone struct {
		ID        string
		IDs       []string
		ChannelID string `json:"channel_id"`
	}
	if err := json.Unmarshal(g.want(0, "MESSAGE_DELETE").Data, &gone); err != nil || gone.ID != m.ID || gone.ChannelID != m.ChannelID {
		t.Errorf("MESSAGE_DELETE: %+v, %v", gone, err)
	}
	a, b := c.post(files(pattern(1))...), c.post(files(pattern(1))...)
	g.want(0, "MESSAGE_CREATE")
	g.want(0, "MESSAGE_CREATE")
	c.want(204, "POST", c.messages()+"/bulk-delete", map[string]any{"messages": []string{a.ID, b.ID}})
	if err := json.Unmarshal(g.want(0, "MESSAGE_DELETE_BULK").Data, &gone); err != nil || len(gone.IDs) != 2 {
		t.Errorf("MESSAGE_DELETE_BULK: %+v, %v", gone, err)
	}
	made := decode[message](t, c.want(201, "POST", "/guilds/"+s.GuildID()+"/channels", map[string]any{"name": "x"}))
	g.want(0, "CHANNEL_CREATE")
	c.want(200, "PATCH", "/channels/"+made.ID, map[string]any{"name": "y"})
	g.want(0, "CHANNEL_UPDATE")
	c.want(200, "POST", "/channels/"+made.ID+"/webhooks", map[string]any{"name": "h"})
	g.want(0, "WEBHOOKS_UPDATE")
	c.want(200, "DELETE", "/channels/"+made.ID, nil)
	g.want(0, "CHANNEL_DELETE")
	g.send(8, map[string]any{"guild_id": s.GuildID(), "query": "", "limit": 0, "nonce": "q"})
	if f := g.want(0, "GUILD_MEMBERS_CHUNK"); !strings.Contains(string(f.Data), `"nonce":"q"`) {
		t.Errorf("GUILD_MEMBERS_CHUNK: %s", f.Data)
	}
	if n := s.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestGateway_Intents(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	other, err := s.AddBot("other")
	if err != nil {
		t.Fatal(err)
	}
	channels, _ := ready(t, s, s.Token(), 1)
	blind, _ := ready(t, s, other, 1<<9)
	m := c.post(append(files(pattern(1)), field("content", "secret"))...)
	var got message
	if err := json.Unmarshal(blind.want(0, "MESSAGE_CREATE").Data, &got); err != nil || got.ID != m.ID || got.Content != "" || len(got.Attachments) != 0 {
		t.Errorf("without MESSAGE_CONTENT: %+v, %v", got, err)
	}
	c.want(201, "POST", "/guilds/"+s.GuildID()+"/channels", map[string]any{"name": "x"})
	channels.want(0, "CHANNEL_CREATE") // and nothing of the message before it
	if err := s.SetMessageContent(other, false); err != nil {
		t.Fatal(err)
	}
	g := connect(t, s, "?v=10")
	g.send(2, identity(other, allIntents))
	g.wantClose(4014)
}

func TestGateway_Closes(t *testing.T) {
	s := open(t, sandbox.Config{})
	id := identity(s.Token(), 1)
	shard := func(v ...int) map[string]any {
		d := identity(s.Token(), 1)
		d["shard"] = v
		return d
	}
	for name, tt := range map[string]struct {
		query string
		send  func(g socket)
		code  int
	}{
		"version":          {"?v=5", func(socket) {}, 4012},
		"version no digit": {"?v=x", func(socket) {}, 4012},
		"token":            {"", func(g socket) { g.send(2, identity("wrong", 1)) }, 4004},
		"intents":          {"", func(g socket) { g.send(2, identity(s.Token(), 1<<40)) }, 4013},
		"no intents":       {"", func(g socket) { g.send(2, map[string]any{"token": s.Token()}) }, 4013},
		"shard":            {"", func(g socket) { g.send(2, shard(1, 1)) }, 4010},
		"short shard":      {"", func(g socket) { g.send(2, shard(0, 0)) }, 4010},
		"not JSON":         {"", func(g socket) { g.sendText("hello") }, 4002},
		"no opcode":        {"", func(g socket) { g.sendText("{}") }, 4002},
		"oversize":         {"", func(g socket) { g.sendText(`{"op":1,"d":null,"x":"` + strings.Repeat("x", 4096) + `"}`) }, 4002},
		"opcode":           {"", func(g socket) { g.send(99, nil) }, 4001},
		"too early":        {"", func(g socket) { g.send(3, nil) }, 4003},
		"etf":              {"?encoding=etf", func(socket) {}, 4000},
		"twice": {"", func(g socket) {
			g.want(10, "")
			g.send(2, id)
			g.want(0, "READY")
			g.want(0, "GUILD_CREATE")
			g.send(2, id)
		}, 4005},
	} {
		t.Run(name, func(t *testing.T) {
			g := connect(t, s, tt.query)
			tt.send(g)
			g.wantClose(tt.code)
		})
	}
}

func TestGateway_Silence(t *testing.T) {
	s := open(t, sandbox.Config{Limits: sandbox.Limits{Heartbeat: 30 * time.Millisecond}})
	g := connect(t, s, "?v=10")
	if f := g.want(10, ""); !strings.Contains(string(f.Data), `"heartbeat_interval":30`) {
		t.Errorf("hello: %s", f.Data)
	}
	g.wantClose(4009)
}

func TestGateway_Limits(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Mode: sandbox.Strict, Now: clock.Now})
	g := connect(t, s, "?v=10")
	g.want(10, "")
	for range 120 {
		g.send(1, nil)
		g.want(11, "")
	}
	g.send(1, nil)
	g.wantClose(4008)

	ready(t, s, s.Token(), 1)
	second := connect(t, s, "?v=10")
	second.want(10, "")
	second.send(2, identity(s.Token(), 1))
	if f := second.want(9, ""); string(f.Data) != "false" {
		t.Errorf("second identify: %s", f.Data)
	}
	clock.add(5 * time.Second)
	second.send(2, identity(s.Token(), 1))
	second.want(0, "READY")
	limit := decode[struct {
		Limit struct{ Remaining int } `json:"session_start_limit"`
	}](t, dial(t, s).want(200, "GET", "/gateway/bot", nil)).Limit
	if limit.Remaining != 998 {
		t.Errorf("%d sessions remain of 1000 after two", limit.Remaining)
	}
}

func TestGateway_Resume(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now})
	c := dial(t, s)
	g, session := ready(t, s, s.Token(), allIntents)
	if err := g.ws.Close(4999, "lost"); err != nil {
		t.Log("close:", err)
	}
	first, second := c.post(files(pattern(1))...), c.post(files(pattern(2))...)
	resume := func(seq int) socket {
		g := connect(t, s, "?v=10")
		g.want(10, "")
		g.send(6, map[string]any{"token": s.Token(), "session_id": session, "seq": seq})
		return g
	}
	g = resume(2)
	for _, want := range []message{first, second} {
		var got message
		if err := json.Unmarshal(g.want(0, "MESSAGE_CREATE").Data, &got); err != nil || got.ID != want.ID {
			t.Errorf("replayed %+v, %v, want %s", got, err, want.ID)
		}
	}
	if f := g.want(0, "RESUMED"); *f.Seq != 5 {
		t.Errorf("RESUMED is event %d, want 5", *f.Seq)
	}
	third := c.post(files(pattern(3))...)
	if f := g.want(0, "MESSAGE_CREATE"); !strings.Contains(string(f.Data), third.ID) {
		t.Errorf("after resuming: %s", f.Data)
	}
	takeover := resume(5)
	takeover.want(0, "MESSAGE_CREATE")
	takeover.want(0, "RESUMED")
	g.wantClose(4000)

	ahead := resume(99)
	ahead.wantClose(4007)

	// A client that says goodbye ends its session.
	if err := takeover.ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Log("close:", err)
	}
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Sessions > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the session goes on")
		}
		c.want(200, "GET", "/users/@me", nil)
	}
	if f := resume(5).want(9, ""); string(f.Data) != "false" {
		t.Errorf("ended session: %s", f.Data)
	}

	// And so does time.
	g, session = ready(t, s, s.Token(), allIntents)
	if err := g.ws.Close(4999, "lost"); err != nil {
		t.Log("close:", err)
	}
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Sessions > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the connection goes on")
		}
		c.want(200, "GET", "/users/@me", nil)
	}
	clock.add(181 * time.Second)
	resume(2).want(9, "")
}

func TestGateway_Forgets(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	g, session := ready(t, s, s.Token(), 1)
	if err := g.ws.Close(4999, "lost"); err != nil {
		t.Log("close:", err)
	}
	for range 1000 {
		c.want(200, "PATCH", "/channels/"+s.Channels()[0], map[string]any{"topic": "x"})
	}
	g = connect(t, s, "?v=10")
	g.want(10, "")
	g.send(6, map[string]any{"token": s.Token(), "session_id": session, "seq": 1})
	g.want(9, "")
}

func TestGateway_Commands(t *testing.T) {
	s := open(t, sandbox.Config{})
	g, _ := ready(t, s, s.Token(), 1)
	s.Reconnect()
	g.want(7, "")
	s.InvalidateSessions(true)
	if f := g.want(9, ""); string(f.Data) != "true" {
		t.Errorf("resumable: %s", f.Data)
	}
	s.InvalidateSessions(false)
	g.want(9, "")
	g.send(2, identity(s.Token(), 1)) // on the same socket, as discordgo does
	g.want(0, "READY")
	g.want(0, "GUILD_CREATE")
	s.CloseGateway(4000)
	g.wantClose(4000)
	g, _ = ready(t, s, s.Token(), 1)
	if _, err := s.RevokeToken(s.Token()); err != nil {
		t.Fatal(err)
	}
	g.wantClose(4004)
}

func TestGateway_Shards(t *testing.T) {
	s := open(t, sandbox.Config{})
	guilds := 0
	for i := range 2 {
		g := connect(t, s, "?v=10")
		g.want(10, "")
		d := identity(s.Token(), 1)
		d["shard"] = []int{i, 2}
		g.send(2, d)
		g.want(0, "READY")
		g.send(1, 1)
		f, err := g.read()
		if err != nil {
			t.Fatal(err)
		}
		if f.Type == "GUILD_CREATE" {
			guilds++
		}
	}
	if guilds != 1 {
		t.Errorf("%d shards have the guild, want 1", guilds)
	}
}

// TestGateway_ZlibStream reads frames as clients do: one stream, of which each
// message ends in an empty stored block.
func TestGateway_ZlibStream(t *testing.T) {
	s := open(t, sandbox.Config{})
	g := connect(t, s, "?v=10&encoding=json&compress=zlib-stream")
	var stream bytes.Buffer
	var z io.ReadCloser
	for i, want := range []string{`"op":10`, `"t":"READY"`, `"t":"GUILD_CREATE"`} {
		kind, b, err := g.ws.Read(t.Context())
		if err != nil || kind != websocket.MessageBinary || !bytes.HasSuffix(b, []byte{0, 0, 0xff, 0xff}) {
			t.Fatalf("frame %d: %v, %x, %v", i, kind, b, err)
		}
		stream.Write(b)
		if z == nil {
			if z, err = zlib.NewReader(&stream); err != nil {
				t.Fatal(err)
			}
		}
		var text json.RawMessage
		if err := json.NewDecoder(z).Decode(&text); err != nil || !strings.Contains(string(text), want) {
			t.Fatalf("frame %d: %.200s, %v, want %s", i, text, err, want)
		}
		if i == 0 {
			g.send(2, identity(s.Token(), 1))
		}
	}
}

// TestGateway_Root dials as clients do that never ask for the address.
func TestGateway_Root(t *testing.T) {
	s := open(t, sandbox.Config{})
	ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL(), "http")+"/?v=9&encoding=json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	socket{t, ws}.want(10, "")
	if a := dial(t, s).get(s.URL() + "/gateway"); a.status != 426 {
		t.Errorf("without upgrade: %d", a.status)
	}
}

func TestGateway_Shutdown(t *testing.T) {
	s := start(t, sandbox.Config{Dir: t.TempDir(), NoSync: true})
	g, _ := ready(t, s, s.Token(), 1)
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	g.wantClose(1001)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
