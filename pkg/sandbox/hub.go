package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Gateway intents that this server has events for, and the bounds of what a
// client may ask.
const (
	intentGuilds   = 1 << 0
	intentWebhooks = 1 << 5
	intentMessages = 1 << 9
	intentContent  = 1 << 15
	intentsKnown   = 1<<26 - 1
)

const (
	replaySize       = 1000 // events that a session keeps for resuming
	identifiesPerDay = 1000
)

// hub hands events to gateway sessions. Changes of the store call it one at a
// time, in the order of their commits.
type hub struct {
	s        *Server
	mu       sync.Mutex
	sessions map[string]*session
	conns    map[*gatewayConn]struct{}
	days     map[id]*window // identifies by bot
}

// session is a bot's stream of events; it outlives its connection for a while.
// It is guarded by hub.mu.
type session struct {
	id      string
	bot     id
	intents int64
	seq     int64
	replay  []event      // the newest events, which serve as the queue to send too
	conn    *gatewayConn // nil while nobody is connected
	lost    time.Time    // since when
}

type event struct {
	seq   int64
	frame []byte
}

func newHub(s *Server) *hub {
	return &hub{s: s, sessions: map[string]*session{}, conns: map[*gatewayConn]struct{}{}, days: map[id]*window{}}
}

func (h *hub) connected() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, se := range h.sessions {
		if se.conn != nil {
			n++
		}
	}
	return n
}

// identifiesLeft tells how many sessions a bot may still begin, until when.
func (h *hub) identifiesLeft(b id) (left int, reset time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.day(b)
	return max(identifiesPerDay-w.used, 0), w.ends.Sub(h.s.cfg.Now())
}

func (h *hub) day(b id) *window {
	w := h.days[b]
	if now := h.s.cfg.Now(); w == nil || !now.Before(w.ends) {
		w = &window{ends: now.Add(24 * time.Hour)}
		h.days[b] = w
	}
	return w
}

// push appends an event to a session. hub.mu is held.
func (h *hub) push(se *session, name string, data any) {
	d, err := json.Marshal(data)
	if err != nil {
		panic("sandbox: event does not encode: " + err.Error()) // our own types
	}
	se.seq++
	frame, err := json.Marshal(struct {
		Op   int             `json:"op"`
		Data json.RawMessage `json:"d"`
		Seq  int64           `json:"s"`
		Type string          `json:"t"`
	}{0, d, se.seq, name})
	if err != nil {
		panic("sandbox: event does not encode: " + err.Error())
	}
	if len(se.replay) >= replaySize {
		se.replay = slices.Delete(se.replay, 0, len(se.replay)-replaySize+1)
	}
	se.replay = append(se.replay, event{se.seq, frame})
	if se.conn != nil {
		se.conn.poke()
	}
}

// after is what a session has beyond seq; false if some of it is forgotten.
// hub.mu is held.
func (se *session) after(seq int64) ([]event, bool) {
	if seq >= se.seq {
		return nil, true
	}
	if len(se.replay) == 0 || se.replay[0].seq > seq+1 {
		return nil, false
	}
	return se.replay[seq+1-se.replay[0].seq:], true
}

// forget drops sessions that nobody came back to. hub.mu is held.
func (h *hub) forget() {
	limit := h.s.settings().limits.Resume
	for i, se := range h.sessions {
		if se.conn == nil && h.s.cfg.Now().Sub(se.lost) > limit {
			delete(h.sessions, i)
		}
	}
}

// announce sends an event to the sessions with an intent.
func (h *hub) announce(name string, intent int64, data any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget()
	for _, se := range h.sessions {
		if se.intents&intent != 0 {
			h.push(se, name, data)
		}
	}
}

// message sends an event that holds a message, as each bot may see it.
func (h *hub) message(name string, m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget()
	for _, se := range h.sessions {
		if se.intents&intentMessages == 0 {
			continue
		}
		reader := h.s.botByID(se.bot)
		if reader == nil {
			continue
		}
		if se.intents&intentContent == 0 {
			blind := *reader
			blind.content = false
			reader = &blind
		}
		v := view{s: h.s, bot: reader, base: h.s.URL(), life: h.s.settings().lifetime}
		out := v.message(m, true)
		out.GuildID, out.ChannelType = h.s.guild, new(0)
		if m.webhook == 0 {
			out.Member = partialMember(m.author)
		}
		h.push(se, name, out)
	}
}

// begin makes a session on a connection and queues what every session begins
// with. No change commits meanwhile, so that no event is missed or told twice.
func (h *hub) begin(ctx context.Context, conn *gatewayConn, b *bot, intents int64, shard json.RawMessage) error {
	h.s.store.mu.Lock()
	defer h.s.store.mu.Unlock()
	guild, err := h.s.guildCreate(ctx)
	if err != nil {
		return err
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	se := &session{id: hex.EncodeToString(raw), bot: b.id, intents: intents, conn: conn}
	ready := map[string]any{
		"v": conn.version, "user": botUser(b), "guilds": []map[string]any{{"id": h.s.guild, "unavailable": true}},
		"session_id": se.id, "resume_gateway_url": h.s.gatewayURL(), "session_type": "normal",
		"application":      map[string]any{"id": b.id, "flags": applicationFlags(b)},
		"private_channels": []any{}, "presences": []any{}, "relationships": []any{}, "user_settings": map[string]any{},
		"geo_ordered_rtc_regions": []any{}, "guild_join_requests": []any{}, "_trace": []string{"sandbox"},
	}
	if len(shard) > 0 {
		ready["shard"] = shard
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget()
	h.day(b.id).used++
	h.sessions[se.id] = se
	conn.session, conn.sent = se, 0
	h.push(se, "READY", ready)
	if intents&intentGuilds != 0 {
		h.push(se, "GUILD_CREATE", guild)
	}
	return nil
}

// resume puts a connection on a lost session. ok is false if there is none to
// go on with; ahead if the client claims events that were never sent.
func (h *hub) resume(conn *gatewayConn, b id, sid string, seq int64) (ok, ahead bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget()
	se := h.sessions[sid]
	if se == nil || se.bot != b || seq < 0 {
		return false, false
	}
	if seq > se.seq {
		return false, true
	}
	if _, kept := se.after(seq); !kept {
		delete(h.sessions, sid)
		return false, false
	}
	if old := se.conn; old != nil && old != conn {
		old.session = nil
		old.close(4000, "resumed elsewhere")
	}
	se.conn, conn.session, conn.sent = conn, se, seq
	h.push(se, "RESUMED", map[string]any{"_trace": []string{"sandbox"}})
	return true, false
}

// leave takes a connection off its session, which ends if over is set.
func (h *hub) leave(conn *gatewayConn, over bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, conn)
	se := conn.session
	if se == nil {
		return
	}
	conn.session = nil
	se.conn, se.lost = nil, h.s.cfg.Now()
	if over {
		delete(h.sessions, se.id)
	}
}

// expel ends a bot's sessions as if its token were wrong.
func (h *hub) expel(b id) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, se := range h.sessions {
		if se.bot != b {
			continue
		}
		delete(h.sessions, i)
		if se.conn != nil {
			se.conn.session = nil
			se.conn.close(4004, "Authentication failed.")
		}
	}
}

// Reconnect asks every gateway client to reconnect and resume (opcode 7).
func (s *Server) Reconnect() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for conn := range s.hub.conns {
		conn.control(map[string]any{"op": 7, "d": nil})
	}
}

// InvalidateSessions tells every gateway client that its session is invalid
// (opcode 9). Unless they are resumable, the sessions end.
func (s *Server) InvalidateSessions(resumable bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for conn := range s.hub.conns {
		if conn.session == nil {
			continue
		}
		if !resumable {
			delete(s.hub.sessions, conn.session.id)
			conn.session = nil
		}
		conn.control(map[string]any{"op": 9, "d": resumable})
	}
	if !resumable {
		clear(s.hub.sessions)
	}
}

// CloseGateway closes every gateway connection with a close code, such as 4000.
func (s *Server) CloseGateway(code int) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for conn := range s.hub.conns {
		conn.close(websocket.StatusCode(code), "closed by the sandbox")
	}
}
