package packet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"discordcloud/pkg/cloud"
)

// Options configures a Conn. Zero values are the defaults given.
type Options struct {
	From    Namespace    // what the peer may send besides generic packets
	Version Version      // V1
	Log     *slog.Logger // of packets by id at Debug; nil for none

	ReadLimit  int64 // bytes of one incoming message: 1 MiB
	Queue      int   // outgoing packets that may wait: 256
	QueueBytes int   // and their bytes: 4 MiB
	Handlers   int   // handlers that run at once: 32

	// Rate is how many packets a second are read once Burst (64) have been read
	// in a row. A peer that sends more is slowed down. 0 for no limit.
	Rate  float64
	Burst int

	PingEvery    time.Duration // 30 s
	PingTimeout  time.Duration // for the pong: 10 s
	CallTimeout  time.Duration // for the reply: 10 s
	WriteTimeout time.Duration // for one packet: 30 s
	CloseTimeout time.Duration // for flushing and the closing handshake: 5 s
}

// Conn sends and receives packets over a WebSocket. Its methods are safe for
// concurrent use. It does nothing until Run is called, and Run must be called.
type Conn struct {
	ws  *websocket.Conn
	o   Options
	log *slog.Logger

	wake    chan struct{} // one token: the queue has packets, or closing has begun
	closing chan struct{} // closed when nothing more is taken into the queue

	mu      sync.Mutex
	queue   [][]byte
	queued  int // bytes in queue
	waiting map[string]*call
	ended   bool // no call can be answered any more
	closed  bool // closing is closed
	code    websocket.StatusCode
	reason  string
	cause   error       // of the end; the first one counts
	cancel  func()      // ends Run's reading and writing at once; nil before Run
	overdue *time.Timer // since Close: breaks the connection in CloseTimeout
	broken  bool        // cancel is due, or was called

	stalled atomic.Bool // the reader waits for a handler or for Rate
	writing atomic.Bool
	stats   stats
}

// NewConn makes a Conn of ws and owns it from now on. Compression must be off:
// a small message could become a large one.
func NewConn(ws *websocket.Conn, o Options) *Conn {
	fill(&o.Version, V1)
	fill(&o.ReadLimit, 1<<20)
	fill(&o.Queue, 256)
	fill(&o.QueueBytes, 4<<20)
	fill(&o.Handlers, 32)
	fill(&o.Burst, 64)
	fill(&o.PingEvery, 30*time.Second)
	fill(&o.PingTimeout, 10*time.Second)
	fill(&o.CallTimeout, 10*time.Second)
	fill(&o.WriteTimeout, 30*time.Second)
	fill(&o.CloseTimeout, 5*time.Second)
	fill(&o.Log, slog.New(slog.DiscardHandler))
	ws.SetReadLimit(o.ReadLimit)
	return &Conn{
		ws: ws, o: o, log: o.Log,
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		waiting: make(map[string]*call),
	}
}

func fill[T comparable](option *T, standard T) {
	var zero T
	if *option == zero {
		*option = standard
	}
}

// Version is the version that the connection speaks.
func (c *Conn) Version() Version { return c.o.Version }

// Run serves the connection until it ends, and returns after everything that
// belongs to it has ended, all handlers included. It must be called once.
//
// handle is called in a goroutine of its own for each packet that no Call
// waits for; replies that nobody waits for are dropped. At most Handlers run
// at once: while all of them do, Run reads nothing, not even the replies that
// some of them may wait for. With Handlers 1 packets are handled in the order
// of their coming, and a handler must not use Call. The context of a handler
// ends with the connection.
//
// Run returns nil if either side closed normally, else what ended the
// connection: the cause of ctx; the peer's websocket.CloseError; ErrTooLarge
// or ErrInvalid for a message that no peer may send; ErrUnavailable for a peer
// that is gone, silent or too slow.
func (c *Conn) Run(ctx context.Context, handle func(ctx context.Context, m Message)) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx)) // ctx itself ends with a closing handshake
	defer cancel()
	c.mu.Lock()
	c.cancel = cancel
	if c.broken {
		cancel()
	}
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { c.close(websocket.StatusGoingAway, "going away", context.Cause(ctx)) })
	defer stop()

	var helpers, handlers sync.WaitGroup
	helpers.Go(func() { c.write(run) })
	helpers.Go(func() { c.ping(run) })
	handling, release := context.WithCancel(ctx)
	c.read(run, func(e Envelope) { handle(handling, Message{Envelope: e, conn: c}) }, &handlers)
	c.end()
	release()
	helpers.Wait()
	_ = c.ws.CloseNow() // closed already, or broken
	handlers.Wait()

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.overdue != nil {
		c.overdue.Stop()
	}
	return c.cause
}

// Close ends the connection with a code and a reason of at most 123 bytes. It
// returns at once; packets that were sent before it are still delivered, for
// which and for the closing handshake there is CloseTimeout. Only the first
// call counts.
func (c *Conn) Close(code int, reason string) {
	c.close(websocket.StatusCode(code), reason, nil)
}

func (c *Conn) close(code websocket.StatusCode, reason string, cause error) {
	for len(reason) > 123 { // RFC 6455 §5.5: 125 bytes with the code
		_, n := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-n]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.code, c.reason, c.cause = code, reason, cause
	c.overdue = time.AfterFunc(c.o.CloseTimeout, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.breakLocked()
	})
	c.stopQueue()
}

// stopQueue takes nothing more into the queue. c.mu is held.
func (c *Conn) stopQueue() {
	if !c.closed {
		c.closed = true
		close(c.closing)
	}
}

// fail ends the connection at once.
func (c *Conn) fail(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(cause)
}

func (c *Conn) failLocked(cause error) {
	if !c.closed {
		c.cause = cause
	}
	c.stopQueue()
	c.endLocked()
	c.breakLocked()
}

func (c *Conn) breakLocked() {
	c.broken = true
	if c.cancel != nil {
		c.cancel()
	}
}

// end tells everyone who waits for a reply that none will come.
func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked()
}

func (c *Conn) endLocked() {
	c.ended = true
	for uuid, call := range c.waiting {
		close(call.reply)
		delete(c.waiting, uuid)
	}
}

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
