package api

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// The requests that one session may make: 50 a second, and twice that at once.
// Somebody without a session counts by address.
const (
	rateLimit = 50
	rateBurst = 2 * rateLimit
	maxRates  = 1 << 14
)

// rates limits requests by key.
type rates struct {
	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

func newRates() *rates { return &rates{keys: map[string]*rate.Limiter{}} }

// take counts a request: ErrLimited if it is one too many.
func (l *rates) take(key string) error {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	lim := l.keys[key]
	if lim == nil {
		l.makeRoom(now)
		lim = rate.NewLimiter(rateLimit, rateBurst)
		l.keys[key] = lim
	}
	if !lim.AllowN(now, 1) {
		return fmt.Errorf("limit: %w", retry.After(
			cloud.UserErrorf(cloud.ErrLimited, "too many requests; try again in a second"), time.Second))
	}
	return nil
}

// makeRoom forgets who has asked for nothing lately, and if need be some others.
func (l *rates) makeRoom(now time.Time) {
	if len(l.keys) < maxRates {
		return
	}
	for k, lim := range l.keys {
		if lim.TokensAt(now) >= rateBurst {
			delete(l.keys, k)
		}
	}
	for k := range l.keys { // in no order
		if len(l.keys) < maxRates {
			return
		}
		delete(l.keys, k)
	}
}

func (a *api) rateKey(q *call) string {
	if q.who.Session != "" && q.who.Within == nil { // those who came by one link are many
		return "session " + q.who.Session
	}
	return "address " + a.peer(q.r).Address.String()
}

// counts is how many of something run at once, by key. The zero counts is ready.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

// begin counts one more, if there are fewer than most; end takes it back.
func (c *counts) begin(key string, most int) (end func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[key] >= most {
		return nil, false
	}
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[key]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.n[key]--; c.n[key] == 0 {
			delete(c.n, key)
		}
	}, true
}
