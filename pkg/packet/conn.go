package packet

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
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
