package peers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
)

// Bridge carries what a Bus is told to those of other managers on the same
// database, and what they are told to it. It is durable once Publish's caller
// could be told so, a few milliseconds later; being woken is a matter of speed
// alone, since news are read by their numbers, which have no gaps.
//
// Why a table and not the payload of a notification: one that is sent while a
// listener connects again is lost, and it holds 8000 bytes.
type Bridge struct {
	BridgeOptions
	last   int64         // of the news that were read
	cancel func()        // of the subscription
	full   chan struct{} // of one: there is something to send
	wake   chan struct{} // of one: there may be something to read

	mu     sync.Mutex
	out    []string
	lost   int64
	hears  bool
	read   int64
	behind int64 // news that had gone before they were read
}

// BridgeOptions are what a Bridge stands on. Zero durations have the defaults given.
type BridgeOptions struct {
	Bus     *event.Bus
	Store   meta.Peers
	Manager string // that it is of
	// Managers is how many there are, with this one; nil if that is not known.
	Managers func() int
	Log      *slog.Logger
	// Poll is how often it looks without being woken: 3 s. Without anything to be
	// woken by it looks every Quick while there are other managers: 300 ms.
	Poll, Quick time.Duration
}

const (
	// maxOut is how much may wait for a database that is away.
	maxOut = 1 << 16
	// sendMost and readMost are how many news go at once.
	sendMost, readMost = 100, 500
	// Kept is how long news are kept, for managers that were cut off.
	Kept = time.Hour
)

// NewBridge makes a bridge over which go, from now on, all that the bus is told
// and all that others tell. Run has to be called.
func NewBridge(ctx context.Context, o BridgeOptions) (*Bridge, error) {
	o.Poll, o.Quick = cmp.Or(o.Poll, 3*time.Second), cmp.Or(o.Quick, 300*time.Millisecond)
	b := &Bridge{BridgeOptions: o, full: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	var err error
	if b.last, err = o.Store.LastNews(ctx); err != nil {
		return nil, fmt.Errorf("number of the last news: %w", err)
	}
	b.cancel = o.Bus.Forward(b.take)
	return b, nil
}

// Run carries news until ctx ends. What was published before is written still.
func (b *Bridge) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() { b.send(ctx) })
	work.Go(func() { b.listen(ctx) })
	b.receive(ctx)
	work.Wait()
	return nil
}

// letter is what goes into the table: one of the fields is set.
type letter struct {
	Change  *event.Change  `json:"change,omitempty"`
	Session *event.Session `json:"session,omitempty"`
	Upload  *event.Upload  `json:"upload,omitempty"`
}

// take queues what the bus was told. It does not block.
func (b *Bridge) take(v any) {
	var l letter
	switch v := v.(type) {
	case *event.Change:
		l.Change = v
	case *event.Session:
		l.Session = v
	case *event.Upload:
		l.Upload = v
	default:
		return
	}
	text, err := json.Marshal(l)
	if err != nil {
		b.Log.Error("news that cannot be written", "err", err)
		return
	}
	b.mu.Lock()
	if len(b.out) < maxOut {
		b.out = append(b.out, string(text))
	} else {
		b.lost++
	}
	b.mu.Unlock()
	nudge(b.full)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look anyway
	}
}

// send writes what is queued, in order.
func (b *Bridge) send(ctx context.Context) {
	defer b.cancel()
	for {
		select {
		case <-b.full:
			b.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			b.flush(last)
			cancel()
			return
		}
	}
}

// flush writes all that is queued, again until it is written.
func (b *Bridge) flush(ctx context.Context) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		b.mu.Lock()
		batch := b.out[:min(len(b.out), sendMost)]
		b.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := b.Store.AddNews(ctx, b.Manager, batch)
		if err == nil {
			b.mu.Lock()
			if b.out = b.out[len(batch):]; len(b.out) == 0 {
				b.out = nil
			}
			b.mu.Unlock()
			wait = 25 * time.Millisecond
			continue
		}
		b.Log.WarnContext(ctx, "news for other managers wait", "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// listen has receive woken, for as long as anything can be listened to.
func (b *Bridge) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.Store.Listen(ctx, func() {
			b.hear(true)
			nudge(b.wake)
		})
		b.hear(false)
		nudge(b.wake) // what came meanwhile
		if errors.Is(err, errors.ErrUnsupported) {
			b.Log.InfoContext(ctx, "news of other managers are asked for: nothing wakes this one", "every", b.Quick)
			return
		}
		if ctx.Err() != nil {
			return
		}
		b.Log.WarnContext(ctx, "not woken by other managers at the moment", "err", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

func (b *Bridge) hear(does bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hears = does
}

// every is how long to wait for being woken.
func (b *Bridge) every() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hears || b.Managers != nil && b.Managers() == 1 { // who comes is noticed
		return b.Poll
	}
	return b.Quick
}

// receive hands on what other managers tell.
func (b *Bridge) receive(ctx context.Context) {
	failing := false
	for {
		timer := time.NewTimer(b.every())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-b.wake:
		case <-timer.C:
		}
		timer.Stop()
		err := b.drain(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			b.Log.WarnContext(ctx, "news of other managers not read", "err", err)
		}
		failing = err != nil
	}
}

// drain reads all there is.
func (b *Bridge) drain(ctx context.Context) error {
	for {
		all, err := b.Store.NewsAfter(ctx, b.last, readMost)
		if err != nil {
			return err
		}
		for _, n := range all {
			if gap := n.ID - b.last - 1; gap > 0 {
				b.count(0, gap)
				b.Log.WarnContext(ctx, "news of other managers were forgotten before they were read", "count", gap)
			}
			b.last = n.ID
			if n.Manager != b.Manager {
				b.deliver(ctx, n)
			}
		}
		b.count(int64(len(all)), 0)
		if len(all) < readMost {
			return nil
		}
	}
}

func (b *Bridge) count(read, behind int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read += read
	b.behind += behind
}

func (b *Bridge) deliver(ctx context.Context, n meta.News) {
	var l letter
	if err := json.Unmarshal([]byte(n.Payload), &l); err != nil {
		b.Log.WarnContext(ctx, "news of another manager not understood", "number", n.ID, "err", err)
		return
	}
	switch {
	case l.Change != nil:
		b.Bus.Deliver(l.Change)
	case l.Session != nil:
		b.Bus.Deliver(l.Session)
	case l.Upload != nil:
		b.Bus.Deliver(l.Upload)
	}
}

// Debug is the state for administrators.
func (b *Bridge) Debug() any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return map[string]any{"woken": b.hears, "read": b.read, "waiting": len(b.out), "lost": b.lost + b.behind}
}
