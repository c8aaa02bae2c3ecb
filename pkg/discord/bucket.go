package discord

import (
	"slices"
	"time"
)

// forAnswer is the wait of a bucket that knows no time yet: an answer that is
// on its way will tell.
const forAnswer = time.Duration(1<<63 - 1)

// bucket follows one of Discord's counters, which is full again as a whole when
// its window ends. What it knows is a lower bound: the least that answers of
// this window left, less the requests that have not been answered.
type bucket struct {
	key    bucketKey
	rate   Rate
	capped bool
	hash   string // Discord's name of the bucket

	seen     int       // left in this window as far as answers tell
	inflight int       // sent and not answered
	reset    time.Time // end of the window; zero while no answer told
	blocked  time.Time // end of a 429
	waiters  []*waiter // by ticket
}

// wait is how long until a request may go: 0 now, forAnswer if only an answer
// can tell. A window that has ended is closed.
func (b *bucket) wait(now time.Time) time.Duration {
	if wait := b.blocked.Sub(now); wait > 0 {
		return wait
	}
	if !b.reset.IsZero() && !now.Before(b.reset) {
		b.reset, b.seen = time.Time{}, b.rate.Limit
	}
	switch {
	case b.seen > b.inflight:
		return 0
	case b.reset.IsZero():
		return forAnswer
	default:
		return b.reset.Sub(now)
	}
}

// idle tells that nothing would be lost if the bucket were forgotten.
func (b *bucket) idle(now time.Time) bool {
	return len(b.waiters) == 0 && b.inflight == 0 && !now.Before(b.reset) && !now.Before(b.blocked)
}

// enqueue puts w behind those with lower tickets.
func (b *bucket) enqueue(w *waiter) {
	i := len(b.waiters)
	for i > 0 && b.waiters[i-1].ticket > w.ticket {
		i--
	}
	b.waiters = slices.Insert(b.waiters, i, w)
}

// leave takes w out of the line; false if it is not in it any more.
func (b *bucket) leave(w *waiter) bool {
	i := slices.Index(b.waiters, w)
	if i >= 0 {
		b.waiters = slices.Delete(b.waiters, i, i+1)
	}
	return i >= 0
}

// fail ends all waits with err.
func (b *bucket) fail(err error) {
	for _, w := range b.waiters {
		w.ready <- err
	}
	b.waiters = nil
}

// send lets the first waiter go.
func (b *bucket) send() {
	b.inflight++
	b.waiters[0].ready <- nil
	b.waiters = slices.Delete(b.waiters, 0, 1)
}

// answered learns from the end of a request; a is nil if no answer came.
func (b *bucket) answered(now time.Time, a *answer) {
	b.inflight--
	switch {
	case a != nil && a.pause > 0:
		if until := now.Add(a.pause + slack); until.After(b.blocked) {
			b.blocked = until
		}
		// The window ends with the wait, whatever was known of it.
		b.seen, b.reset = 0, b.blocked
	case a != nil && a.limit > 0 && !(b.capped && a.limit > b.rate.Limit):
		b.learn(now, a)
	default: // no word from Discord: count as if the window opened now
		b.seen--
		if b.reset.IsZero() {
			b.reset = now.Add(b.rate.Per + slack)
		}
	}
}

func (b *bucket) learn(now time.Time, a *answer) {
	reset := now.Add(a.reset + slack)
	// Answers of one window name one end of it, give or take what they spent on
	// the way. A much later end, another size or another name is another window.
	fresh := b.reset.IsZero() || reset.Sub(b.reset) > b.rate.Per/2 || a.limit != b.rate.Limit || a.hash != b.hash
	if fresh {
		b.seen, b.reset = a.remaining, reset
	} else {
		b.seen = min(b.seen, a.remaining)
		if reset.Before(b.reset) {
			b.reset = reset
		}
	}
	b.hash, b.rate.Limit = a.hash, a.limit
	if a.remaining == a.limit-1 && a.reset > 0 { // the first of its window shows its length
		b.rate.Per = a.reset
	}
	if b.reset.Before(b.blocked) {
		b.reset = b.blocked
	}
}
