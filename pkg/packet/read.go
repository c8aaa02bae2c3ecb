package packet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"discordcloud/pkg/cloud"
)

// read reads until the connection breaks or is closed.
func (c *Conn) read(ctx context.Context, handle func(Envelope), handlers *sync.WaitGroup) {
	limit := rate.NewLimiter(rate.Inf, c.o.Burst)
	if c.o.Rate > 0 {
		limit.SetLimit(rate.Limit(c.o.Rate))
	}
	slots := make(chan struct{}, c.o.Handlers)
	for {
		_, raw, err := c.ws.Read(ctx)
		if err != nil {
			c.readFailed(err)
			return
		}
		c.stats.received.Add(1)
		c.stats.receivedBytes.Add(int64(len(raw)))
		if !utf8.Valid(raw) {
			c.close(websocket.StatusInvalidFramePayloadData, "invalid UTF-8", fmt.Errorf("%w: a message of invalid UTF-8", cloud.ErrInvalid))
			continue // until the peer has closed its side
		}
		e, err := Decode(raw, c.o.From, c.o.Version)
		if err != nil {
			c.refuse(ctx, err)
		} else if c.dispatch(ctx, e, len(raw)) {
			c.stalled.Store(true)
			select {
			case slots <- struct{}{}:
				handlers.Go(func() {
					handle(e)
					<-slots
				})
			case <-c.closing:
				c.stats.drop(Late)
			}
		}
		if c.o.Rate > 0 {
			c.stalled.Store(true)
			_ = limit.Wait(ctx) // an error is the end of ctx, which Read reports
		}
		c.stalled.Store(false)
	}
}

// readFailed ends the connection for an error of reading, unless it is being
// closed already: then the writer finishes that.
func (c *Conn) readFailed(err error) {
	closed, isClose := errors.AsType[websocket.CloseError](err)
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		err = fmt.Errorf("%w: a message of more than %d bytes", cloud.ErrTooLarge, c.o.ReadLimit)
		c.close(websocket.StatusMessageTooBig, "message too big", err)
		c.blame(err)
		return
	case isClose:
		switch closed.Code {
		case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
			err = nil
		default:
			err = fmt.Errorf("closed by the peer: %w", closed)
		}
		c.fail(err)
		c.blame(err)
		return
	}
	select {
	case <-c.closing:
	default:
		c.fail(fmt.Errorf("%w: connection lost: %w", cloud.ErrUnavailable, err))
	}
}

// blame makes err what ended the connection, unless Close did: the peer's
// close frame tells more than the write or ping that failed because of it.
func (c *Conn) blame(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code == 0 {
		c.cause = err
	}
}

// refuse deals with a malformed packet: silence on version 1, as its peers
// expect, an Error on version 2 if there is something to answer.
func (c *Conn) refuse(ctx context.Context, err error) {
	m, ok := errors.AsType[*Malformed](err)
	if !ok {
		panic("packet: Decode returned an error of another type")
	}
	c.stats.drop(m.Reason)
	c.log.DebugContext(ctx, "packet refused", "reason", m.Reason, "packet", m.ID, "err", err)
	if c.o.Version >= V2 && m.UUID != "" && !m.reply && namespace(m.ID) != Generic {
		_ = c.send(Envelope{ReplyUUID: m.UUID, Data: ErrorOf(cloud.UserErrorf(cloud.ErrInvalid, "%v", m))}) // ends the connection itself
	}
}

// dispatch gives a reply to whom it is for and tells whether e is a packet
// for a handler.
func (c *Conn) dispatch(ctx context.Context, e Envelope, size int) bool {
	c.log.DebugContext(ctx, "packet received", "packet", e.ID, "bytes", size)
	if e.ReplyUUID != "" && c.answer(e) {
		return false
	}
	if specs[e.ID].reply {
		c.stats.drop(Unexpected)
		return false
	}
	select {
	case <-c.closing:
		c.stats.drop(Late)
		return false
	default:
		return true
	}
}
