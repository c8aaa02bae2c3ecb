package auth

import (
	"fmt"
	"sync"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// limit counts attempts by key. Burst of them are free; each further one has to
// wait, first for Base, then twice as long each time, up to Most. A success
// clears the key; a key is forgotten once nothing was tried for its whole wait
// and Base more.
type limit struct {
	Burst      int
	Base, Most time.Duration
	// MaxKeys bounds the memory. Beyond it some key is forgotten.
	MaxKeys int

	shared *sharing // with other managers, nil without
	name   string   // of the limit there

	mu   sync.Mutex
	keys map[string]*attempts
}

type attempts struct {
	n     int
	last  time.Time
	until time.Time // no attempt before
}

// take counts an attempt, or says how long to wait instead.
func (l *limit) take(key string, now time.Time) (wait time.Duration, ok bool) {
	if l.shared != nil {
		if wait, ok, err := l.shared.take(l, key, now); err == nil {
			return wait, ok
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.keys[key]
	if a != nil && l.stale(a, now) {
		delete(l.keys, key)
		a = nil
	}
	if a == nil {
		l.makeRoom(now)
		a = &attempts{}
		l.keys[key] = a
	}
	if wait := a.until.Sub(now); wait > 0 {
		return wait, false
	}
	a.n++
	a.last = now
	if over := a.n - l.Burst; over >= 0 {
		a.until = now.Add(min(l.Base<<min(over, 20), l.Most))
	}
	return 0, true
}

// clear forgets the attempts of a key.
func (l *limit) clear(key string) {
	if l.shared != nil {
		l.shared.clear(l, key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, key)
}

// giveBack takes one attempt back that turned out to be none.
func (l *limit) giveBack(key string) {
	if l.shared != nil {
		l.shared.giveBack(l, key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.keys[key]
	if a == nil {
		return
	}
	if a.n--; a.n <= 0 {
		delete(l.keys, key)
	} else if a.n < l.Burst {
		a.until = time.Time{}
	}
}

func (l *limit) stale(a *attempts, now time.Time) bool {
	end := a.last
	if a.until.After(end) {
		end = a.until
	}
	return now.Sub(end) >= l.Base
}

func (l *limit) makeRoom(now time.Time) {
	if len(l.keys) < l.MaxKeys {
		return
	}
	for k, a := range l.keys {
		if l.stale(a, now) {
			delete(l.keys, k)
		}
	}
	for k := range l.keys { // in no order
		if len(l.keys) < l.MaxKeys {
			return
		}
		delete(l.keys, k)
	}
}

// limits are what guessing is held to. A stranger who fails again and again
// must not lock an account's owner out: the hard count is per account and
// network; the one per account alone is soft, and does not touch networks from
// which the account's password was given rightly not long ago.
type limits struct {
	pair     *limit // account and network
	account  *limit
	network  *limit
	register *limit // network
	app      *limit // network, of wrong app passwords
	code     *limit // account, of codes: only who knows its password comes so far
	redeem   *limit // network, of invitations and single links
	ask      *limit // network, of requests for mail
	asked    *limit // account, of mails that were asked for
	signOn   *limit // network, of sign-ins by another provider

	shared *sharing // with other managers, nil without

	mu    sync.Mutex
	known map[string]time.Time // account and network, to when it was right
}

const (
	maxKnown  = 1 << 14
	keepKnown = 30 * 24 * time.Hour
)

func newLimits() limits {
	return limits{
		pair:     &limit{Burst: 5, Base: time.Minute, Most: 15 * time.Minute, MaxKeys: 1 << 16, keys: map[string]*attempts{}},
		account:  &limit{Burst: 50, Base: 10 * time.Second, Most: time.Minute, MaxKeys: 1 << 16, keys: map[string]*attempts{}},
		network:  &limit{Burst: 20, Base: time.Minute, Most: 15 * time.Minute, MaxKeys: 1 << 16, keys: map[string]*attempts{}},
		register: &limit{Burst: 3, Base: time.Hour, Most: time.Hour, MaxKeys: 1 << 14, keys: map[string]*attempts{}},
		app:      &limit{Burst: 20, Base: time.Minute, Most: 15 * time.Minute, MaxKeys: 1 << 16, keys: map[string]*attempts{}},
		code:     &limit{Burst: 10, Base: 30 * time.Second, Most: 15 * time.Minute, MaxKeys: 1 << 16, keys: map[string]*attempts{}},
		redeem:   &limit{Burst: 20, Base: time.Minute, Most: 15 * time.Minute, MaxKeys: 1 << 14, keys: map[string]*attempts{}},
		ask:      &limit{Burst: 5, Base: 5 * time.Minute, Most: time.Hour, MaxKeys: 1 << 14, keys: map[string]*attempts{}},
		asked:    &limit{Burst: 1, Base: askedAgain, Most: askedAgain, MaxKeys: 1 << 14, keys: map[string]*attempts{}},
		signOn:   &limit{Burst: 30, Base: 10 * time.Second, Most: time.Minute, MaxKeys: 1 << 14, keys: map[string]*attempts{}},
		known:    map[string]time.Time{},
	}
}

// attempt is one counted try of a password, or of a code.
type attempt struct {
	l                      *limits
	pair, account, network string
	code                   bool
}

// login counts a try of an account's password before it is looked at: of many
// at once, no more than the limits allow are.
func (l *limits) login(name string, peer Peer, now time.Time) (attempt, error) {
	a := attempt{l: l, account: sameName(name), network: peer.network()}
	a.pair = a.account + "\n" + a.network
	if wait, ok := l.pair.take(a.pair, now); !ok {
		return attempt{}, tooMany("sign-ins", wait)
	}
	if wait, ok := l.network.take(a.network, now); !ok {
		l.pair.giveBack(a.pair)
		return attempt{}, tooMany("sign-ins", wait)
	}
	if l.isKnown(a.pair, now) {
		return a, nil
	}
	if wait, ok := l.account.take(a.account, now); !ok {
		l.pair.giveBack(a.pair)
		l.network.giveBack(a.network)
		return attempt{}, tooMany("sign-ins", wait)
	}
	return a, nil
}

// guess counts a try of a code, which is a try to sign in, and a guess of few
// digits besides: from however many networks.
func (l *limits) guess(name string, peer Peer, now time.Time) (attempt, error) {
	a, err := l.login(name, peer, now)
	if err != nil {
		return attempt{}, err
	}
	if wait, ok := l.code.take(a.account, now); !ok {
		a.undo()
		return attempt{}, tooMany("codes", wait)
	}
	a.code = true
	return a, nil
}

// right says that it was the right one.
func (a attempt) right(now time.Time) {
	a.l.pair.clear(a.pair)
	a.undo()
	if a.code {
		a.l.code.clear(a.account)
	}
	if a.l.shared != nil {
		a.l.shared.mark(a.pair, now.Add(keepKnown))
	}
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	if len(a.l.known) >= maxKnown {
		for k := range a.l.known {
			delete(a.l.known, k)
			break
		}
	}
	a.l.known[a.pair] = now
}

// undo says that nothing was looked at after all.
func (a attempt) undo() {
	a.l.pair.giveBack(a.pair)
	a.l.network.giveBack(a.network)
	a.l.account.giveBack(a.account)
	if a.code {
		a.l.code.giveBack(a.account)
	}
}

func (l *limits) isKnown(pair string, now time.Time) bool {
	if l.shared != nil {
		return l.shared.marked(pair, now)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.known[pair]
	return ok && now.Sub(at) < keepKnown
}

// tooMany is ErrLimited with the wait, for a person and for a header.
func tooMany(what string, wait time.Duration) error {
	wait = max(wait.Round(time.Second), time.Second)
	return fmt.Errorf("limit: %w", retry.After(
		cloud.UserErrorf(cloud.ErrLimited, "too many %s; try again in %v", what, wait), wait))
}
