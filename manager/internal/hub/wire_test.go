package hub_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/packet"
)

// wire is a client's end of a socket. Frames that arrive have to keep the rules
// of its version.
type wire struct {
	t    *testing.T
	ws   *websocket.Conn
	v    packet.Version
	came chan struct{}

	mu     sync.Mutex
	frames []packet.Envelope
	raw    []string // of frames
	end    error
	ignore map[string]bool // by next
}

func (c *wire) read() {
	for {
		typ, raw, err := c.ws.Read(context.Background())
		c.mu.Lock()
		if err != nil {
			c.end = err
		} else {
			e, bad := packet.Decode(raw, packet.S2C, c.v)
			if bad != nil || typ != websocket.MessageText {
				c.t.Errorf("the manager sent %s: %v", raw, bad)
			}
			c.frames = append(c.frames, e)
			c.raw = append(c.raw, string(raw))
		}
		c.mu.Unlock()
		select {
		case c.came <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// find waits for the first frame that fits, and takes it out.
func (c *wire) find(what string, fits func(packet.Envelope) bool) packet.Envelope {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		for i, e := range c.frames {
			if fits(e) {
				c.frames = append(c.frames[:i:i], c.frames[i+1:]...)
				c.raw = append(c.raw[:i:i], c.raw[i+1:]...)
				c.mu.Unlock()
				return e
			}
		}
		end, have := c.end, c.frames
		c.mu.Unlock()
		if end != nil {
			c.t.Fatalf("no %s: connection ended: %v; have %v", what, end, have)
		}
		select {
		case <-c.came:
		case <-deadline:
			c.t.Fatalf("no %s; have %v", what, have)
		}
	}
}

// next is the next frame that is not ignored.
func (c *wire) next() packet.Envelope {
	c.t.Helper()
	return c.find("frame", func(e packet.Envelope) bool { return !c.ignore[e.ID] })
}

// expect takes the next frame that is not ignored, which must be a T.
func expect[T packet.Packet](c *wire) T {
	c.t.Helper()
	e := c.next()
	p, ok := e.Data.(T)
	if !ok {
		c.t.Fatalf("got %+v, want a %T", e, p)
	}
	return p
}

// await takes the first T, whatever comes before it.
func await[T packet.Packet](c *wire) T {
	c.t.Helper()
	var p T
	e := c.find(p.PacketID(), func(e packet.Envelope) bool { _, ok := e.Data.(T); return ok })
	return e.Data.(T)
}

// quiet checks that nothing has come that is not ignored, once what was begun
// before has been answered.
func (c *wire) quiet() {
	c.t.Helper()
	ask[packet.UserSearch](c, packet.UserSearchRequest{Query: "x"})
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.frames {
		if !c.ignore[e.ID] {
			c.t.Errorf("unexpected %s", c.raw[i])
		}
	}
}

// send sends a frame as it is written.
func (c *wire) send(raw string) {
	c.t.Helper()
	if err := c.ws.Write(c.t.Context(), websocket.MessageText, []byte(raw)); err != nil {
		c.t.Fatal(err)
	}
}

// tell sends a packet and gives its uuid.
func (c *wire) tell(p packet.Packet) string {
	c.t.Helper()
	uuid := packet.NewUUID()
	raw, err := packet.Encode(packet.Envelope{UUID: uuid, Data: p}, c.v)
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(string(raw))
	return uuid
}

// reply waits for the answer to a packet.
func (c *wire) reply(uuid string) packet.Packet {
	c.t.Helper()
	return c.find("reply", func(e packet.Envelope) bool { return e.ReplyUUID == uuid }).Data
}

// ask sends a packet and takes its answer, which must be a T.
func ask[T packet.Packet](c *wire, p packet.Packet) T {
	c.t.Helper()
	answer := c.reply(c.tell(p))
	got, ok := answer.(T)
	if !ok {
		c.t.Fatalf("%s was answered by %T %+v, want a %T", p.PacketID(), answer, answer, got)
	}
	return got
}

func (c *wire) close() {
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
}

// ended waits for the end of the connection and gives the close code.
func (c *wire) ended() websocket.StatusCode {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		end := c.end
		c.mu.Unlock()
		if end != nil {
			return websocket.CloseStatus(end)
		}
		select {
		case <-c.came:
		case <-deadline:
			c.t.Fatal("the connection has not ended")
		}
	}
}
