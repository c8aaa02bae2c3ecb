package discord

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// slack is added to every wait, so that a request does not reach Discord
// earlier than our clock says it left.
const slack = 20 * time.Millisecond

// bucketsMost is the number of buckets above which idle ones are forgotten.
const bucketsMost = 1000

// bucketKey names a bucket: a route and its major parameter (Discord's
// reference, "Rate Limits"). Which hash Discord gives the bucket plays no role
// in the key, for two routes may report one hash and count separately.
type bucketKey struct{ route, major string }

// limiter says when a request may leave: the bucket of its route has room, and
// fewer than the global limit left within the last second. Waiters of one
// bucket are served in the order they came; between buckets the oldest waiter
// that could go goes first.
type limiter struct {
	mu      sync.Mutex
	global  window
	buckets map[bucketKey]*bucket
	longest time.Duration // that anybody waits; 0 is no limit
	seq     uint64
	timer   *time.Timer
	failed  error // if not nil, nobody goes any more
}

func newLimiter(perSecond int, longest time.Duration) *limiter {
	return &limiter{
		longest: longest,
		global:  window{sent: make([]time.Time, perSecond)},
		buckets: make(map[bucketKey]*bucket),
	}
}

// ticket is a place in the line of a bucket. Its number does not change while a
// call is tried again, so that a call that was sent away comes before those
// that came later.
type ticket uint64

func (l *limiter) ticket() ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	return ticket(l.seq)
}

// permit is the right to send one request. It must be ended by exactly one of
// done and unused.
type permit struct {
	l *limiter
	b *bucket
}

type waiter struct {
	ticket ticket
	ready  chan error // buffered: the end of the wait
}

// acquire waits until a request of r may leave. The error is ctx's cause, what
// fail was told, or cloud.ErrLimited with a wait that is too long.
func (l *limiter) acquire(ctx context.Context, r route, major string, t ticket) (*permit, error) {
	l.mu.Lock()
	if l.failed != nil {
		defer l.mu.Unlock()
		return nil, l.failed
	}
	b := l.bucket(r, major)
	w := &waiter{ticket: t, ready: make(chan error, 1)}
	b.enqueue(w)
	l.pump()
	l.mu.Unlock()

	select {
	case err := <-w.ready:
		if err != nil {
			return nil, err
		}
		return &permit{l, b}, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !b.leave(w) { // it was let go at the same moment
		if err := <-w.ready; err == nil {
			b.inflight--
		}
	}
	l.pump()
	return nil, context.Cause(ctx)
}

// wait is how long a request of r would wait now, as far as it is known: behind
// others, or for an answer that is on its way, it is at least a second. The
// error is that of a wait that is too long.
func (l *limiter) wait(r route, major string) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	wait := l.global.wait(now)
	if b, ok := l.buckets[bucketKey{r.name, major}]; ok {
		switch own := b.wait(now); {
		case own == forAnswer, own == 0 && len(b.waiters) > 0:
			wait = max(wait, time.Second)
		default:
			wait = max(wait, own)
		}
	}
	return wait, l.tooLong(wait)
}

// rate is what is known of the rate of r.
func (l *limiter) rate(r route, major string) Rate {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.buckets[bucketKey{r.name, major}]; ok {
		return b.rate
	}
	return r.rate
}

// tooLong is an error if nobody is to wait that long.
func (l *limiter) tooLong(wait time.Duration) error {
	if l.longest == 0 || wait == forAnswer || wait <= l.longest {
		return nil
	}
	return retry.After(fmt.Errorf("%w: Discord has us wait", cloud.ErrLimited), wait)
}

// done ends the request with Discord's answer; nil if none came.
func (p *permit) done(a *answer) {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	now := time.Now()
	p.b.answered(now, a)
	if a != nil && a.pauseAll > 0 {
		p.l.global.block(now.Add(a.pauseAll + slack))
	}
	p.l.pump()
}

// unused gives the permit back: no request left.
func (p *permit) unused() {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.b.inflight--
	p.l.pump()
}

// fail ends all waits, now and in the future, with err; nil lets requests go
// again.
func (l *limiter) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed = err; err == nil {
		return
	}
	for _, b := range l.buckets {
		b.fail(err)
	}
}

// bucket finds or makes the bucket. The caller holds mu.
func (l *limiter) bucket(r route, major string) *bucket {
	key := bucketKey{r.name, major}
	b, ok := l.buckets[key]
	if !ok {
		if len(l.buckets) >= bucketsMost {
			now := time.Now()
			maps.DeleteFunc(l.buckets, func(_ bucketKey, b *bucket) bool { return b.idle(now) })
		}
		b = &bucket{key: key, rate: r.rate, seen: r.rate.Limit, capped: r.capped}
		l.buckets[key] = b
	}
	return b
}

// pump lets go all that may go and sets the timer for the next that may. The
// caller holds mu.
func (l *limiter) pump() {
	now := time.Now()
	everybody := l.tooLong(l.global.wait(now))
	for {
		var next *bucket
		soonest := time.Duration(-1)
		for _, b := range l.buckets {
			if len(b.waiters) == 0 {
				continue
			}
			wait := b.wait(now)
			if err := cmp.Or(everybody, l.tooLong(wait)); err != nil {
				b.fail(err)
				continue
			}
			switch {
			case wait == 0:
				if next == nil || b.waiters[0].ticket < next.waiters[0].ticket {
					next = b
				}
			case wait != forAnswer && (soonest < 0 || wait < soonest):
				soonest = wait
			}
		}
		if next != nil {
			wait := l.global.wait(now)
			if wait == 0 {
				l.global.send(now)
				next.send()
				continue
			}
			soonest = wait
		}
		if soonest >= 0 {
			l.wake(soonest)
		}
		return
	}
}

func (l *limiter) wake(after time.Duration) {
	if l.timer == nil {
		l.timer = time.AfterFunc(after, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.pump()
		})
		return
	}
	l.timer.Reset(after)
}

// setPerSecond changes the global limit.
func (l *limiter) setPerSecond(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.global.resize(n)
	l.pump()
}

// window is the global limit: as many requests in any second as sent is long.
type window struct {
	sent    []time.Time // a ring of the last departures
	next    int
	blocked time.Time
}

func (w *window) wait(now time.Time) time.Duration {
	free := w.blocked
	if last := w.sent[w.next]; !last.IsZero() {
		if t := last.Add(time.Second + slack); t.After(free) {
			free = t
		}
	}
	return max(free.Sub(now), 0)
}

func (w *window) send(now time.Time) {
	w.sent[w.next] = now
	w.next = (w.next + 1) % len(w.sent)
}

// resize keeps the last departures: what has left counts under any limit.
func (w *window) resize(n int) {
	last := append(slices.Clone(w.sent[w.next:]), w.sent[:w.next]...) // oldest first
	if len(last) < n {
		last = append(make([]time.Time, n-len(last)), last...)
	}
	w.sent, w.next = last[len(last)-n:], 0
}

func (w *window) block(until time.Time) {
	if until.After(w.blocked) {
		w.blocked = until
	}
}
