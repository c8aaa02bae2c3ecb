package packet

import (
	"context"
	"fmt"

	"github.com/coder/websocket"

	"discordcloud/pkg/cloud"
)

// Send queues a packet. It never blocks. ErrInvalid if the packet does not
// keep its rules or is not one of this version; ErrUnavailable if the
// connection is closing, or if the queue is full, which ends the connection:
// the peer does not read.
func (c *Conn) Send(p Packet) error { return c.send(Envelope{Data: p}) }

func (c *Conn) send(e Envelope) error {
	raw, err := Encode(e, c.o.Version)
	if err != nil {
		return err
	}
	id := e.Data.PacketID()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("send %s: %w: connection closed", id, cloud.ErrUnavailable)
	}
	if len(c.queue) >= c.o.Queue || c.queued+len(raw) > c.o.QueueBytes {
		err := fmt.Errorf("%w: the peer reads too slowly", cloud.ErrUnavailable)
		c.failLocked(err)
		return fmt.Errorf("send %s: %w", id, err)
	}
	c.queue = append(c.queue, raw)
	c.queued += len(raw)
	select {
	case c.wake <- struct{}{}:
	default: // there is a token already
	}
	return nil
}

// take removes the first packet of the queue.
func (c *Conn) take() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.queue = nil // an idle connection keeps no memory for it
		return nil
	}
	raw := c.queue[0]
	c.queue[0] = nil
	c.queue = c.queue[1:]
	c.queued -= len(raw)
	return raw
}

// write sends what is queued until the connection is closing, then the rest
// and the close frame.
func (c *Conn) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			if err := c.flush(ctx); err != nil {
				c.fail(fmt.Errorf("%w: write: %w", cloud.ErrUnavailable, err))
			}
		case <-c.closing:
			c.shake(ctx)
			return
		}
	}
}

func (c *Conn) flush(ctx context.Context) error {
	for raw := c.take(); raw != nil; raw = c.take() {
		c.writing.Store(true)
		timed, cancel := context.WithTimeout(ctx, c.o.WriteTimeout)
		err := c.ws.Write(timed, websocket.MessageText, raw)
		cancel()
		c.writing.Store(false)
		if err != nil {
			return err
		}
		c.stats.sent.Add(1)
		c.stats.sentBytes.Add(int64(len(raw)))
	}
	return nil
}

// shake flushes and closes. Close has seen to it that this ends in time.
func (c *Conn) shake(ctx context.Context) {
	c.mu.Lock()
	code, reason := c.code, c.reason
	c.mu.Unlock()
	if code == 0 {
		return // failed: there is nobody to shake hands with
	}
	_ = c.flush(ctx)             // the peer may have stopped reading
	_ = c.ws.Close(code, reason) // or may never answer
}
