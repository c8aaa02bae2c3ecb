package packet

import (
	"context"
	"fmt"

	"discordcloud/pkg/cloud"
)

// Message is a packet that has come, and the way back to who sent it.
type Message struct {
	Envelope
	conn *Conn
}

// Reply answers the message. If its sender gave no usable UUID, the answer
// carries no reply_uuid. An Error to a peer of version 1 goes as a Boolean.
// Errors are those of Conn.Send.
func (m Message) Reply(p Packet) error {
	if e, ok := p.(Error); ok && m.conn.o.Version == V1 {
		p = Boolean{Message: e.Message}
	}
	return m.conn.send(Envelope{ReplyUUID: m.UUID, Data: p})
}

// Fail answers the message with what may be told of err.
func (m Message) Fail(err error) error { return m.Reply(ErrorOf(err)) }

// Conn is the connection that the message came by.
func (m Message) Conn() *Conn { return m.conn }

// call is a request that waits for its reply.
type call struct {
	spec  *spec
	reply chan Envelope // of one; closed when none will come
}

// Call sends a request and waits for its reply, at most CallTimeout. An Error
// that comes back is returned as an error of its kind. ErrUnavailable if no
// reply came in time or the connection ended, ErrInvalid for a request that
// Send refuses or a reply of a type that does not answer it.
func (c *Conn) Call(ctx context.Context, p Packet) (Packet, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.CallTimeout,
		fmt.Errorf("%w: no reply in %v", cloud.ErrUnavailable, c.o.CallTimeout))
	defer cancel()
	id := p.PacketID()
	uuid := NewUUID()
	w := &call{spec: specs[id], reply: make(chan Envelope, 1)}
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return nil, fmt.Errorf("call %s: %w: connection closed", id, cloud.ErrUnavailable)
	}
	c.waiting[uuid] = w
	c.mu.Unlock()
	defer c.forget(uuid)
	if err := c.send(Envelope{UUID: uuid, Data: p}); err != nil {
		return nil, err
	}
	var e Envelope
	var ok bool
	select {
	case e, ok = <-w.reply:
	case <-ctx.Done():
		// A reply that has come counts, also when the caller leaves at that moment.
		select {
		case e, ok = <-w.reply:
		default:
			return nil, fmt.Errorf("call %s: %w", id, context.Cause(ctx))
		}
	}
	if !ok {
		return nil, fmt.Errorf("call %s: %w: connection closed", id, cloud.ErrUnavailable)
	}
	if refusal, ok := e.Data.(Error); ok {
		return nil, fmt.Errorf("call %s: %w", id, refusal.Err())
	}
	if !w.spec.answeredBy(e.Data) {
		return nil, fmt.Errorf("call %s: %w: answered by %s", id, cloud.ErrInvalid, e.ID)
	}
	return e.Data, nil
}

func (c *Conn) forget(uuid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, uuid)
}

// answer hands a reply to the call that waits for it; false if none does.
func (c *Conn) answer(e Envelope) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.waiting[e.ReplyUUID]
	if ok {
		delete(c.waiting, e.ReplyUUID) // a second reply is one that nobody waits for
		w.reply <- e
	}
	return ok
}
