package sandbox

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limiter counts requests in fixed windows.
type limiter struct {
	now     func() time.Time
	mu      sync.Mutex
	windows map[windowKey]*window
	sweepAt int
	bans    map[string]time.Time
}

// windowKey tells windows apart: the bucket, who is counted, and where.
type windowKey struct {
	bucket, who, where string
}

type window struct {
	ends time.Time
	used int
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, windows: map[windowKey]*window{}, sweepAt: 1024, bans: map[string]time.Time{}}
}

// take counts a request against limit per period. It is refused, and not
// counted, if the window is full.
func (l *limiter) take(key windowKey, limit int, per time.Duration) (left int, ends time.Time, ok bool) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[key]
	if w == nil {
		l.sweep(now)
		w = &window{}
		l.windows[key] = w
	}
	if !now.Before(w.ends) {
		w.ends, w.used = now.Add(per), 0
	}
	if w.used >= limit {
		return 0, w.ends, false
	}
	w.used++
	return limit - w.used, w.ends, true
}

// sweep forgets windows that are over, each time their number has doubled.
func (l *limiter) sweep(now time.Time) {
	if len(l.windows) < l.sweepAt {
		return
	}
	for key, w := range l.windows {
		if !now.Before(w.ends) {
			delete(l.windows, key)
		}
	}
	l.sweepAt = max(1024, 2*len(l.windows))
}

func (l *limiter) banned(address string) (until time.Time, banned bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until = l.bans[address]
	return until, l.now().Before(until)
}

func (l *limiter) ban(address string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bans[address] = l.now().Add(d)
}

// unban forgives all addresses.
func (l *limiter) unban() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.bans)
	clear(l.windows)
}

// countInvalid counts an answer that may lead to a ban.
func (s *Server) countInvalid(address string) {
	s.stats.invalid()
	set := s.settings()
	if set.mode == Off {
		return
	}
	left, _, ok := s.limits.take(windowKey{"invalid", address, ""}, set.limits.Invalid, set.scaled(10*time.Minute))
	if !ok || left == 0 {
		s.stats.ban()
		s.limits.ban(address, set.scaled(set.limits.BanFor))
		s.log.Warn("address banned", "address", address)
	}
}

// offLimit is what the headers tell where there are no limits.
const offLimit = 1000

// limit counts the call against its windows and sets the headers that tell of
// them. The error is a 429.
func (c *call) limit(set settings) error {
	if set.mode == Off {
		// Said, for a client that hears nothing keeps to what it knows of Discord.
		c.bucketHeaders(cmp.Or(c.route.bucket, "off"), offLimit, offLimit-1, c.s.cfg.Now().Add(time.Second))
		return nil
	}
	who := c.address()
	if c.bot != nil {
		who = c.bot.id.String()
	}
	if c.route.bucket != BucketWebhook { // executions are not counted globally
		if _, ends, ok := c.s.limits.take(windowKey{"global", who, ""}, set.limits.Global, set.scaled(time.Second)); !ok {
			return c.limited(ends, "global", 0)
		}
	}
	if c.route.bucket == "" {
		return nil
	}
	channel, err := c.where()
	if err != nil {
		return err
	}
	bucket, where := c.route.bucket, channel
	code := 0
	switch bucket {
	case BucketWebhook:
		who, where = "", c.r.PathValue("webhook")
	case BucketDelete:
		if bucket, err = c.deleteBucket(); err != nil {
			return err
		}
	case BucketEdit:
		if i, ok := parseID(c.r.PathValue("message")); ok && c.s.cfg.Now().Sub(i.time()) > time.Hour {
			bucket, code = BucketEditOld, 30046
		}
	}
	if err := c.takeBucket(set, bucket, who, where, set.mode == Live && bucket == BucketRead, code); err != nil {
		return err
	}
	if c.route.bucket == BucketWebhook {
		return c.takeHidden(set, BucketWebhookChannel, channel)
	}
	return nil
}

// where is the channel or the webhook by which the call's bucket counts; of
// an execution, the webhook's channel.
func (c *call) where() (string, error) {
	if c.route.bucket != BucketWebhook {
		return c.r.PathValue("channel") + c.r.PathValue("webhook"), nil // a path has one of them
	}
	hook, err := c.webhook()
	return hook.channel.String(), err
}

// deleteBucket follows the age of the message.
func (c *call) deleteBucket() (string, error) {
	i, ok := parseID(c.r.PathValue("message"))
	if !ok {
		return BucketDeleteNew, nil
	}
	var n int
	err := c.s.store.read.QueryRowContext(c.r.Context(), `SELECT count(*) FROM messages WHERE id = ?`, i).Scan(&n)
	age := c.s.cfg.Now().Sub(i.time())
	switch {
	case err != nil:
		return "", err
	case n == 0 || age < 10*time.Second:
		return BucketDeleteNew, nil
	case age > 14*24*time.Hour:
		return BucketDeleteOld, nil
	}
	return BucketDelete, nil
}

// takeBucket counts in a bucket and tells of it in the headers. The headers of
// a hidden bucket tell of a large one until it is full.
func (c *call) takeBucket(set settings, bucket, who, where string, hidden bool, code int) error {
	w := set.limits.Buckets[bucket]
	per := set.scaled(w.Per)
	left, ends, ok := c.s.limits.take(windowKey{bucket, who, where}, w.Limit, per)
	if hidden && ok {
		c.bucketHeaders(bucket, 1000, 999, c.s.cfg.Now().Add(per))
		return nil
	}
	c.bucketHeaders(bucket, w.Limit, left, ends)
	if !ok {
		return c.limited(ends, "user", code)
	}
	return nil
}

// takeHidden counts in a second bucket, which shows only once it is full; in
// mode Strict it shows when it is the scarcer of the two.
func (c *call) takeHidden(set settings, bucket, where string) error {
	w := set.limits.Buckets[bucket]
	left, ends, ok := c.s.limits.take(windowKey{bucket, "", where}, w.Limit, set.scaled(w.Per))
	shown, _ := strconv.Atoi(c.w.Header().Get("X-RateLimit-Remaining")) // written by takeBucket
	if !ok || set.mode == Strict && left < shown {
		c.bucketHeaders(bucket, w.Limit, left, ends)
	}
	if !ok {
		return c.limited(ends, "user", 0)
	}
	return nil
}

func (c *call) bucketHeaders(bucket string, limit, left int, ends time.Time) {
	if c.fx.noHeaders {
		return
	}
	if c.fx.newBucket != 0 {
		bucket += strconv.FormatUint(c.fx.newBucket, 16)
	}
	name := md5.Sum([]byte(bucket))
	h := c.w.Header()
	h.Set("X-RateLimit-Bucket", hex.EncodeToString(name[:]))
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Reset", fmt.Sprintf("%.3f", float64(ends.UnixMilli())/1000))
	h.Set("X-RateLimit-Reset-After", fmt.Sprintf("%.3f", c.until(ends)))
}

// until is a wait in seconds, rounded up to milliseconds.
func (c *call) until(t time.Time) float64 {
	return math.Ceil(max(t.Sub(c.s.cfg.Now()).Seconds(), 0)*1000) / 1000
}

// limited answers 429 for a window that is full, and returns errAnswered.
func (c *call) limited(ends time.Time, scope string, code int) error {
	c.s.stats.limited()
	return c.tooMany(ends, scope, code)
}

func (c *call) tooMany(ends time.Time, scope string, code int) error {
	c.drain()
	wait := c.until(ends)
	h := c.w.Header()
	if !c.fx.noHeaders {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait))))
		h.Set("X-RateLimit-Scope", scope)
	}
	text := "You are being rate limited."
	if scope == "global" {
		h.Set("X-RateLimit-Global", "true")
		for _, name := range []string{"Bucket", "Limit", "Remaining", "Reset", "Reset-After"} {
			h.Del("X-RateLimit-" + name)
		}
	}
	c.shared = scope == "shared"
	body := map[string]any{"message": text, "retry_after": wait, "global": scope == "global"}
	if code != 0 {
		body["message"], body["code"] = codeText(http.StatusTooManyRequests, code), code
	}
	if err := c.json(http.StatusTooManyRequests, body); err != nil {
		return err
	}
	return errAnswered
}
