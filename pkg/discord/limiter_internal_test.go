package discord

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// counter is Discord's side of one bucket: a fixed window that the first
// request opens. It runs in virtual time.
type counter struct {
	rate    Rate
	hash    string
	silent  bool // no headers
	mu      sync.Mutex
	ends    time.Time
	used    int
	limited int
}

func (c *counter) take() (int, http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !now.Before(c.ends) {
		c.ends, c.used = now.Add(c.rate.Per), 0
	}
	h := make(http.Header)
	status := http.StatusOK
	if c.used >= c.rate.Limit {
		c.limited++
		status = http.StatusTooManyRequests
		h.Set("Retry-After", strconv.Itoa(int(c.ends.Sub(now).Seconds())+1))
		h.Set("X-RateLimit-Scope", "user")
	} else {
		c.used++
	}
	if !c.silent {
		h.Set("X-RateLimit-Bucket", c.hash)
		h.Set("X-RateLimit-Limit", strconv.Itoa(c.rate.Limit))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(c.rate.Limit-c.used))
		h.Set("X-RateLimit-Reset-After", fmt.Sprintf("%.3f", c.ends.Sub(now).Seconds()))
	}
	return status, h
}

// drive sends n requests through the limiter, as parallel as it allows, each on
// its way for up to latency there and back.
func drive(t *testing.T, l *limiter, r route, c *counter, n int, latency time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	var wg sync.WaitGroup
	for range n {
		there, back := rand.N(latency+1), rand.N(latency+1)
		wg.Go(func() {
			p, err := l.acquire(t.Context(), r, "1", l.ticket())
			if err != nil {
				t.Errorf("acquire: %v", err)
				return
			}
			time.Sleep(there)
			status, h := c.take()
			time.Sleep(back)
			a := readAnswer(status, h, []byte("{}"), time.Second)
			p.done(&a)
		})
	}
	wg.Wait()
	return time.Since(start)
}

func TestLimiter_KeepsBuckets(t *testing.T) {
	known := route{name: "x", rate: Rate{5, 5 * time.Second}}
	for _, c := range []struct {
		name    string
		route   route
		counter *counter
		n       int
		latency time.Duration
		most    time.Duration
		limited int // 429s that learning may cost
	}{
		{"as documented", known, &counter{rate: Rate{5, 5 * time.Second}, hash: "a"}, 50, 0, 47 * time.Second, 0},
		{"as documented, slow", known, &counter{rate: Rate{5, 5 * time.Second}, hash: "a"}, 50, 400 * time.Millisecond, 60 * time.Second, 0},
		{"more than known", known, &counter{rate: Rate{10, 2 * time.Second}, hash: "a"}, 100, 50 * time.Millisecond, 25 * time.Second, 0},
		{"less than known", known, &counter{rate: Rate{2, 5 * time.Second}, hash: "a"}, 20, 50 * time.Millisecond, 60 * time.Second, 3},
		{"no headers", known, &counter{rate: Rate{5, 5 * time.Second}, silent: true}, 30, 100 * time.Millisecond, 30 * time.Second, 0},
		{"short windows", route{name: "x", rate: Rate{3, 333 * time.Millisecond}}, &counter{rate: Rate{3, 333 * time.Millisecond}, hash: "a"}, 60, 30 * time.Millisecond, 12 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took := drive(t, newLimiter(1000, 0), c.route, c.counter, c.n, c.latency)
				t.Logf("%d requests took %v, %d 429s", c.n, took, c.counter.limited)
				if took > c.most || c.counter.limited > c.limited {
					t.Errorf("%d requests took %v and met %d 429s, want at most %v and %d", c.n, took, c.counter.limited, c.most, c.limited)
				}
			})
		})
	}
}

func TestLimiter_Global(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(50, 0)
		var mu sync.Mutex
		var sent []time.Time
		var wg sync.WaitGroup
		for i := range 300 { // each in a bucket of its own
			wg.Go(func() {
				p, err := l.acquire(t.Context(), routePost, strconv.Itoa(i), l.ticket())
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				mu.Lock()
				sent = append(sent, time.Now())
				mu.Unlock()
				p.done(nil)
			})
		}
		wg.Wait()
		for i := 50; i < len(sent); i++ {
			if d := sent[i].Sub(sent[i-50]); d < time.Second {
				t.Fatalf("51 requests within %v", d)
			}
		}
		if d := sent[299].Sub(sent[0]); d > 5200*time.Millisecond {
			t.Errorf("300 requests took %v, want little more than 5s", d)
		}
	})
}

func TestLimiter_Pauses(t *testing.T) {
	type want struct{ same, other time.Duration }
	header := func(pairs ...string) http.Header {
		h := make(http.Header)
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		want   want
	}{
		{"user", header("Retry-After", "3", "X-RateLimit-Scope", "user"), `{"retry_after": 2.5, "global": false}`, want{2500 * time.Millisecond, 0}},
		{"shared", header("Retry-After", "4", "X-RateLimit-Scope", "shared"), `{"retry_after": 4.0}`, want{4 * time.Second, 0}},
		{"global by header", header("Retry-After", "3", "X-RateLimit-Global", "true"), `{}`, want{3 * time.Second, 3 * time.Second}},
		{"global by body", header(), `{"retry_after": 1.25, "global": true}`, want{1250 * time.Millisecond, 1250 * time.Millisecond}},
		{"page of HTML", header("Retry-After", "7"), `<html>error code: 1015</html>`, want{7 * time.Second, 7 * time.Second}},
		{"page without a word", header(), `<html>`, want{30 * time.Second, 30 * time.Second}},
		{"nonsense", header("Retry-After", "NaN"), `{"retry_after": -1}`, want{30 * time.Second, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(50, 0)
				p, _ := l.acquire(t.Context(), routePost, "1", l.ticket())
				a := readAnswer(http.StatusTooManyRequests, c.header, []byte(c.body), 30*time.Second)
				p.done(&a)
				start := time.Now()
				for i, want := range []time.Duration{c.want.other, c.want.same} {
					major := []string{"2", "1"}[i]
					p, err := l.acquire(t.Context(), routePost, major, l.ticket())
					if err != nil {
						t.Fatal(err)
					}
					if got := time.Since(start); got < want || got > want+slack {
						t.Errorf("channel %s went after %v, want %v", major, got, want)
					}
					p.unused()
				}
				if wantInvalid := c.name != "shared"; a.invalid != wantInvalid {
					t.Errorf("invalid = %v, want %v", a.invalid, wantInvalid)
				}
			})
		})
	}
}

// Those who wait are served as they came, also if some leave, and a call that
// was sent away keeps its place.
func TestLimiter_Order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1000, 0)
		r := route{name: "x", rate: Rate{1, time.Second}}
		first := l.ticket()
		p, _ := l.acquire(t.Context(), r, "1", first)

		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		wait := func(i int, tk ticket, ctx context.Context) {
			wg.Go(func() {
				p, err := l.acquire(ctx, r, "1", tk)
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("acquire: %v", err)
					}
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				p.done(nil)
			})
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		for i := 1; i <= 6; i++ {
			c := t.Context()
			if i == 2 || i == 5 {
				c = ctx
			}
			wait(i, l.ticket(), c)
		}
		cancel()
		synctest.Wait()
		p.done(nil)
		wait(0, first, t.Context())
		wg.Wait()
		if got, want := fmt.Sprint(order), "[0 1 3 4 6]"; got != want {
			t.Errorf("order %s, want %s", got, want)
		}
		if _, buckets := l.state(); buckets[0].Inflight != 0 || buckets[0].Waiting != 0 {
			t.Errorf("left behind: %+v", buckets[0])
		}
	})
}

// Places of those who leave at the moment they are let go are not lost.
func TestLimiter_CancelRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1000, 0)
		r := route{name: "x", rate: Rate{1, time.Second}}
		for range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second+slack)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if p, err := l.acquire(ctx, r, "1", l.ticket()); err == nil {
						p.done(nil)
					}
				})
			}
			wg.Wait()
			cancel()
		}
		_, buckets := l.state()
		if buckets[0].Inflight != 0 || buckets[0].Waiting != 0 {
			t.Errorf("left behind: %+v", buckets[0])
		}
	})
}

func TestLimiter_Fail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1000, 0)
		r := route{name: "x", rate: Rate{1, time.Hour}}
		p, _ := l.acquire(t.Context(), r, "1", l.ticket())
		errs := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := l.acquire(t.Context(), r, "1", l.ticket())
				errs <- err
			}()
		}
		synctest.Wait()
		l.fail(ErrBlocked)
		for range 3 {
			if err := <-errs; !errors.Is(err, ErrBlocked) {
				t.Errorf("acquire = %v, want ErrBlocked", err)
			}
		}
		p.done(nil)
		if _, err := l.acquire(t.Context(), r, "2", l.ticket()); !errors.Is(err, ErrBlocked) {
			t.Errorf("acquire later = %v, want ErrBlocked", err)
		}
	})
}

// Nobody waits longer than is obeyed, neither who comes later nor who waits
// already.
func TestLimiter_TooLong(t *testing.T) {
	for name, a := range map[string]answer{"bucket": {pause: time.Hour}, "all": {pauseAll: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(1000, time.Minute)
				r := route{name: "x", rate: Rate{1, time.Second}}
				p, _ := l.acquire(t.Context(), r, "1", l.ticket())
				errs := make(chan error)
				go func() {
					_, err := l.acquire(t.Context(), r, "1", l.ticket())
					errs <- err
				}()
				synctest.Wait()
				p.done(&a)
				_, later := l.acquire(t.Context(), r, "1", l.ticket())
				_, asked := l.wait(r, "1")
				for _, err := range []error{<-errs, later, asked} {
					if after, ok := errors.AsType[*retry.AfterError](err); !ok || after.Wait < time.Hour || !errors.Is(err, cloud.ErrLimited) {
						t.Errorf("%v, want ErrLimited and the wait", err)
					}
				}
				_, other := l.wait(r, "2")
				if (other != nil) != (name == "all") {
					t.Errorf("another channel: %v", other)
				}
			})
		})
	}
}

// The headers of reading routes promise 1000; what is used is what is known.
func TestLimiter_LyingHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1000, 0)
		start := time.Now()
		for range 11 {
			p, err := l.acquire(t.Context(), routeMessages, "1", l.ticket())
			if err != nil {
				t.Fatal(err)
			}
			p.done(&answer{limit: 1000, remaining: 999, reset: 5 * time.Second, hash: "a"})
		}
		if got := time.Since(start); got < 10*time.Second {
			t.Errorf("11 reads took %v, want 10s at 5 in 5s", got)
		}
	})
}

func TestLimiter_ForgetsIdleBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1_000_000, 0)
		for i := range 5 * bucketsMost {
			p, err := l.acquire(t.Context(), routePost, strconv.Itoa(i), l.ticket())
			if err != nil {
				t.Fatal(err)
			}
			p.done(nil)
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(l.buckets); n > bucketsMost {
			t.Errorf("%d buckets are remembered, want at most %d", n, bucketsMost)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker{most: 100, log: slog.New(slog.DiscardHandler)}
		for range 99 {
			b.count(time.Now())
			time.Sleep(time.Second)
		}
		if err := b.check(time.Now()); err != nil {
			t.Fatalf("check after 99 = %v, want nil", err)
		}
		b.count(time.Now())
		if err := b.check(time.Now()); err == nil {
			t.Fatal("check after 100 = nil, want an error")
		}
		time.Sleep(10*time.Minute - 60*time.Second)
		if err := b.check(time.Now()); err == nil {
			t.Fatal("check while most are remembered = nil, want an error")
		}
		time.Sleep(time.Minute)
		if err := b.check(time.Now()); err != nil {
			t.Fatalf("check when they are past = %v, want nil", err)
		}
	})
}

// A lower limit counts what has left before it, a higher one lets go at once.
func TestWindow_Resize(t *testing.T) {
	now := time.Now()
	w := window{sent: make([]time.Time, 4)}
	for i := range 6 { // 2, 3, 4 and 5 are kept
		w.send(now.Add(time.Duration(i) * 100 * time.Millisecond))
	}
	at := now.Add(500 * time.Millisecond)
	if got, want := w.wait(at), 700*time.Millisecond+slack; got != want {
		t.Errorf("wait = %v, want %v", got, want)
	}
	w.resize(2)
	if got, want := w.wait(at), 900*time.Millisecond+slack; got != want {
		t.Errorf("of 2 a second: wait = %v, want %v", got, want)
	}
	w.resize(5)
	for range 3 {
		if got := w.wait(at); got != 0 {
			t.Errorf("of 5 a second: wait = %v, want none", got)
		}
		w.send(at)
	}
	if got := w.wait(at); got == 0 {
		t.Error("a sixth may leave within the second")
	}
}
