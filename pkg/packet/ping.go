package packet

import (
	"context"
	"fmt"
	"time"

	"discordcloud/pkg/cloud"
)

// ping looks after the peer until the connection is closing.
func (c *Conn) ping(ctx context.Context) {
	tick := time.NewTicker(c.o.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.closing:
			return
		case <-tick.C:
		}
		if c.stalled.Load() {
			continue // nobody reads the pong; the peer is not to blame
		}
		before := c.stats.received.Load()
		timed, cancel := context.WithTimeout(ctx, c.o.PingTimeout)
		err := c.ws.Ping(timed)
		cancel()
		// A long packet in either direction delays ping or pong; writing has its
		// own timeout, and a packet that came is as good as a pong.
		if err == nil || c.stalled.Load() || c.writing.Load() || c.stats.received.Load() != before {
			continue
		}
		select {
		case <-c.closing: // a ping behind the close frame fails; the handshake goes on
		default:
			c.fail(fmt.Errorf("%w: no pong from the peer: %w", cloud.ErrUnavailable, err))
		}
	}
}
