package sandbox

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// maxFrame bounds what a gateway client may send at once, in bytes.
const maxFrame = 4096

// maxQueue bounds the answers that wait for a client to take them.
const maxQueue = 256

// gatewayConn is one connection to the gateway. Its handler reads, one
// goroutine writes.
type gatewayConn struct {
	s       *Server
	ws      *websocket.Conn
	version int
	wake    chan struct{}

	// Guarded by hub.mu.
	session *session
	sent    int64 // the session's events that are out
	queue   [][]byte
	code    websocket.StatusCode // to close with once the queue is out; 0 is not yet
	reason  string
}

func isUpgrade(r *http.Request) bool { return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") }

// gatewayURL is what clients dial.
func (s *Server) gatewayURL() string {
	return "ws" + strings.TrimPrefix(s.URL(), "http") + "/gateway"
}

func (s *Server) serveGateway(w http.ResponseWriter, r *http.Request) {
	if !isUpgrade(r) {
		http.Error(w, "the gateway speaks websocket", http.StatusUpgradeRequired)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // bots are no browsers: any origin
	if err != nil {
		s.log.Debug("gateway handshake failed", "err", err)
		return
	}
	defer func() { _ = ws.CloseNow() }() // after a proper close it does nothing
	ws.SetReadLimit(16 * maxFrame)
	// The writer ends with the server, and says so to the client; the reader
	// goes on until then, for to stop it is to cut the connection.
	wctx, wstop := context.WithCancel(r.Context())
	defer wstop()
	defer context.AfterFunc(s.ctx, wstop)()
	ctx, stop := context.WithCancel(context.WithoutCancel(r.Context()))
	defer stop()
	conn := &gatewayConn{s: s, ws: ws, version: 10, wake: make(chan struct{}, 1)}

	s.hub.mu.Lock()
	s.hub.conns[conn] = struct{}{}
	heartbeat := s.settings().limits.Heartbeat
	q := r.URL.Query()
	v, err := strconv.Atoi(q.Get("v"))
	switch {
	case q.Get("v") != "" && (err != nil || v < 6 || v > 10):
		conn.close(4012, "Invalid API version.")
	case q.Get("encoding") == "etf":
		conn.close(4000, "Only encoding=json is offered.")
	default:
		if v != 0 {
			conn.version = v
		}
		conn.control(map[string]any{"op": 10, "d": map[string]any{
			"heartbeat_interval": heartbeat.Milliseconds(), "_trace": []string{"sandbox"},
		}})
	}
	s.hub.mu.Unlock()

	var wg sync.WaitGroup
	wg.Go(func() {
		conn.write(wctx, q.Get("compress") == "zlib-stream")
		stop()
	})
	over := conn.read(ctx, heartbeat)
	s.hub.leave(conn, over)
	wstop()
	wg.Wait()
}

// poke wakes the writer.
func (g *gatewayConn) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// control queues a frame that is not an event. hub.mu is held.
func (g *gatewayConn) control(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sandbox: frame does not encode: " + err.Error()) // our own types
	}
	if len(g.queue) >= maxQueue {
		g.close(4008, "You are being rate limited.")
		return
	}
	g.queue = append(g.queue, b)
	g.poke()
}

// close has the writer close the connection after what is queued. hub.mu is
// held.
func (g *gatewayConn) close(code websocket.StatusCode, reason string) {
	if g.code == 0 {
		g.code, g.reason = code, reason
	}
	g.poke()
}

func (g *gatewayConn) locked(f func()) {
	g.s.hub.mu.Lock()
	defer g.s.hub.mu.Unlock()
	f()
}

// write sends queued frames until the connection ends. With compress they are
// one zlib stream.
func (g *gatewayConn) write(ctx context.Context, compress bool) {
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	for {
		frames, code, reason := g.take()
		for _, f := range frames {
			kind := websocket.MessageText
			if compress {
				kind = websocket.MessageBinary
				buf.Reset()
				_, _ = z.Write(f) // a bytes.Buffer takes everything
				_ = z.Flush()     // likewise
				f = buf.Bytes()
			}
			if err := g.send(ctx, kind, f); err != nil {
				return
			}
		}
		if code != 0 {
			_ = g.ws.Close(code, reason) // the client may have left already
			return
		}
		select {
		case <-g.wake:
		case <-ctx.Done():
			_ = g.ws.Close(websocket.StatusGoingAway, "shutting down") // likewise
			return
		}
	}
}

// send gives a client ten seconds to take a frame, be the server shutting down
// or not: to cut a frame short is to cut the connection.
func (g *gatewayConn) send(ctx context.Context, kind websocket.MessageType, frame []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return g.ws.Write(ctx, kind, frame)
}

// take is what there is to send.
func (g *gatewayConn) take() (frames [][]byte, code websocket.StatusCode, reason string) {
	g.s.hub.mu.Lock()
	defer g.s.hub.mu.Unlock()
	frames, g.queue = g.queue, nil
	if se := g.session; se != nil {
		events, ok := se.after(g.sent)
		if !ok { // the client is too slow for its session
			delete(g.s.hub.sessions, se.id)
			g.session = nil
			g.close(4000, "Too far behind.")
		}
		for _, e := range events {
			frames = append(frames, e.frame)
		}
		g.sent = se.seq
	}
	return frames, g.code, g.reason
}

// fatal is a reason to close a connection from the reader.
type fatal struct {
	code   websocket.StatusCode
	reason string
}

func (f *fatal) Error() string { return fmt.Sprintf("%d %s", f.code, f.reason) }

// read serves what the client sends, and tells whether it has ended its
// session by the way it left.
func (g *gatewayConn) read(ctx context.Context, heartbeat time.Duration) (over bool) {
	patience := heartbeat + heartbeat/2
	silent := time.AfterFunc(patience, func() {
		g.locked(func() { g.close(4009, "Session timed out.") })
	})
	defer silent.Stop()
	var frames window
	for {
		_, b, err := g.ws.Read(ctx)
		if err != nil {
			code := websocket.CloseStatus(err)
			return code == websocket.StatusNormalClosure || code == websocket.StatusGoingAway
		}
		if err := g.frame(ctx, b, &frames, func() { silent.Reset(patience) }); err != nil {
			g.locked(func() { g.close(err.code, err.reason) })
			<-ctx.Done() // the writer closes, then stops us
			return false
		}
	}
}

// frame serves one frame.
func (g *gatewayConn) frame(ctx context.Context, b []byte, frames *window, alive func()) *fatal {
	set := g.s.settings()
	now := g.s.cfg.Now()
	if !now.Before(frames.ends) {
		*frames = window{ends: now.Add(set.scaled(time.Minute))}
	}
	if frames.used++; frames.used > 120 && set.mode != Off {
		return &fatal{4008, "You are being rate limited."}
	}
	var f struct {
		Op   *int            `json:"op"`
		Data json.RawMessage `json:"d"`
	}
	if len(b) > maxFrame || json.Unmarshal(b, &f) != nil || f.Op == nil {
		return &fatal{4002, "Error while decoding payload."}
	}
	var session *session
	g.locked(func() { session = g.session })
	switch op := *f.Op; op {
	case 1:
		alive()
		g.locked(func() { g.control(map[string]any{"op": 11}) })
		return nil
	case 2:
		if session != nil {
			return &fatal{4005, "Already authenticated."}
		}
		return g.identify(ctx, f.Data, set)
	case 6:
		if session != nil {
			return &fatal{4005, "Already authenticated."}
		}
		return g.goOn(f.Data)
	case 3, 4, 5, 8, 31, 43:
		if session == nil {
			return &fatal{4003, "Not authenticated."}
		}
		if op == 8 {
			return g.members(f.Data)
		}
		return nil
	default:
		return &fatal{4001, "Unknown opcode."}
	}
}

func (g *gatewayConn) bot(token string) *bot {
	return g.s.botByToken(strings.TrimPrefix(token, "Bot "))
}

func (g *gatewayConn) identify(ctx context.Context, data []byte, set settings) *fatal {
	var d struct {
		Token   string          `json:"token"`
		Intents *int64          `json:"intents"`
		Shard   json.RawMessage `json:"shard"`
	}
	if json.Unmarshal(data, &d) != nil {
		return &fatal{4002, "Error while decoding payload."}
	}
	b := g.bot(d.Token)
	if b == nil {
		return &fatal{4004, "Authentication failed."}
	}
	var shard [2]int64
	if len(d.Shard) > 0 && string(d.Shard) != "null" {
		if json.Unmarshal(d.Shard, &shard) != nil || shard[0] < 0 || shard[1] < 1 || shard[0] >= shard[1] {
			return &fatal{4010, "Invalid shard."}
		}
	} else {
		d.Shard = nil
	}
	intents := int64(intentsKnown &^ intentContent)
	switch {
	case d.Intents != nil:
		intents = *d.Intents
	case g.version >= 8:
		return &fatal{4013, "Invalid intent(s)."}
	}
	if intents < 0 || intents&^intentsKnown != 0 {
		return &fatal{4013, "Invalid intent(s)."}
	}
	if intents&intentContent != 0 && !b.content {
		return &fatal{4014, "Disallowed intent(s)."}
	}
	if set.mode != Off {
		_, _, ok := g.s.limits.take(windowKey{"identify", b.id.String(), ""}, 1, set.scaled(5*time.Second))
		if left, _ := g.s.hub.identifiesLeft(b.id); !ok || left == 0 {
			g.locked(func() { g.control(map[string]any{"op": 9, "d": false}) })
			return nil
		}
	}
	if shard[1] > 1 && int64(g.s.guild)>>22%shard[1] != shard[0] {
		intents = 0 // the guild belongs to another shard
	}
	if err := g.s.hub.begin(ctx, g, b, intents, d.Shard); err != nil {
		g.s.log.Error("gateway identify", "err", err)
		return &fatal{4000, "Unknown error."}
	}
	return nil
}

// goOn is opcode 6, resume.
func (g *gatewayConn) goOn(data []byte) *fatal {
	var d struct {
		Token   string `json:"token"`
		Session string `json:"session_id"`
		Seq     int64  `json:"seq"`
	}
	if json.Unmarshal(data, &d) != nil {
		return &fatal{4002, "Error while decoding payload."}
	}
	b := g.bot(d.Token)
	if b == nil {
		return &fatal{4004, "Authentication failed."}
	}
	ok, ahead := g.s.hub.resume(g, b.id, d.Session, d.Seq)
	if ahead {
		return &fatal{4007, "Invalid seq."}
	}
	if !ok {
		g.locked(func() { g.control(map[string]any{"op": 9, "d": false}) })
	}
	return nil
}

// members is opcode 8: it answers with the guild's bots.
func (g *gatewayConn) members(data []byte) *fatal {
	var d struct {
		Guild json.RawMessage `json:"guild_id"`
		Query string          `json:"query"`
		Nonce string          `json:"nonce"`
	}
	if json.Unmarshal(data, &d) != nil {
		return &fatal{4002, "Error while decoding payload."}
	}
	list := []any{}
	for _, b := range g.s.allBots() {
		if strings.HasPrefix(strings.ToLower(b.name), strings.ToLower(d.Query)) {
			list = append(list, member(b))
		}
	}
	chunk := map[string]any{"guild_id": g.s.guild, "members": list, "chunk_index": 0, "chunk_count": 1}
	if d.Nonce != "" {
		chunk["nonce"] = d.Nonce
	}
	g.locked(func() {
		if g.session != nil {
			g.s.hub.push(g.session, "GUILD_MEMBERS_CHUNK", chunk)
		}
	})
	return nil
}
