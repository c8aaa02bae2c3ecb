package discord

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// DebugState is what the client knows and has done, for people and metrics. It
// holds no secrets.
type DebugState struct {
	Blocked  bool           `json:"blocked"` // Discord refused the token
	Breaker  BreakerState   `json:"breaker"`
	Global   GlobalState    `json:"global"`
	Buckets  []BucketState  `json:"buckets"`  // by route and major parameter
	Channels []ChannelState `json:"channels"` // that are down, by id
	Limits   Limits         `json:"limits"`
	Counts   Counts         `json:"counts"`
	CDNUntil time.Time      `json:"cdn_until"` // end of the CDN's last 429
}

// BreakerState is the count of refused requests that may lead to a ban.
type BreakerState struct {
	Open    bool `json:"open"`
	Refused int  `json:"refused"` // within ten minutes
	Limit   int  `json:"limit"`
}

// GlobalState is the limit over all routes.
type GlobalState struct {
	PerSecond int       `json:"per_second"`
	Until     time.Time `json:"until"` // end of the last global 429
}

// BucketState is one of the limiter's buckets.
type BucketState struct {
	Route    string        `json:"route"`
	Major    string        `json:"major"` // channel or guild
	Hash     string        `json:"hash"`  // Discord's name for it
	Limit    int           `json:"limit"`
	Per      time.Duration `json:"per"`
	Left     int           `json:"left"`
	Inflight int           `json:"inflight"`
	Waiting  int           `json:"waiting"`
	Reset    time.Time     `json:"reset"`
	Blocked  time.Time     `json:"blocked"` // end of the last 429
}

// Counts only grow.
type Counts struct {
	Requests     int64 `json:"requests"` // to the API
	Retries      int64 `json:"retries"`
	Limited      int64 `json:"limited"` // 429s
	Refused      int64 `json:"refused"` // that count towards a ban
	PostedBytes  int64 `json:"posted_bytes"`
	Fetches      int64 `json:"fetches"` // requests to the CDN
	FetchedBytes int64 `json:"fetched_bytes"`
}

type counters struct {
	requests, retries, limited, invalid, posted, fetches, fetched atomic.Int64
}

// State is a copy of what is known now.
func (c *Client) State() DebugState {
	refused, open := c.breaker.state(time.Now())
	s := DebugState{
		Blocked:  c.blocked.Load(),
		Breaker:  BreakerState{Open: open, Refused: refused, Limit: c.opt.InvalidMost},
		Channels: c.health.state(),
		Limits:   c.Limits(),
		Counts: Counts{
			Requests: c.count.requests.Load(), Retries: c.count.retries.Load(), Limited: c.count.limited.Load(),
			Refused: c.count.invalid.Load(), PostedBytes: c.count.posted.Load(),
			Fetches: c.count.fetches.Load(), FetchedBytes: c.count.fetched.Load(),
		},
	}
	c.cdnGate.mu.Lock()
	s.CDNUntil = c.cdnGate.until
	c.cdnGate.mu.Unlock()
	s.Global, s.Buckets = c.limiter.state()
	return s
}

// PostWait is how long a post to the channel would wait now, as far as it is
// known. The error is that of a post that would not be tried: ErrBlocked,
// ErrChannelDown, cloud.ErrUnavailable while too many requests were refused, or
// cloud.ErrLimited when the wait is longer than Options.Retry obeys.
func (c *Client) PostWait(channel string) (time.Duration, error) {
	if err := c.open(); err != nil {
		return 0, err
	}
	if err := c.health.unusable(channel); err != nil {
		return 0, err
	}
	return c.limiter.wait(routePost, channel)
}

// PostRate is how many posts the channel takes in what time, as far as it is
// known.
func (c *Client) PostRate(channel string) Rate {
	r := routePost
	r.rate = c.opt.Posts
	return c.limiter.rate(r, channel)
}

func (l *limiter) state() (GlobalState, []BucketState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]BucketState, 0, len(l.buckets))
	for key, b := range l.buckets {
		all = append(all, BucketState{
			Route: key.route, Major: key.major, Hash: b.hash, Limit: b.rate.Limit, Per: b.rate.Per,
			Left: max(b.seen-b.inflight, 0), Inflight: b.inflight, Waiting: len(b.waiters), Reset: b.reset, Blocked: b.blocked,
		})
	}
	slices.SortFunc(all, func(a, b BucketState) int {
		return strings.Compare(a.Route+a.Major, b.Route+b.Major)
	})
	return GlobalState{PerSecond: len(l.global.sent), Until: l.global.blocked}, all
}
