package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

func TestDo_ObeysStatedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		err := retry.Do(t.Context(), 5, func(context.Context) error {
			if calls++; calls == 1 {
				return fmt.Errorf("post: %w", retry.After(cloud.ErrLimited, 40*time.Second))
			}
			return nil
		})
		if got := time.Since(start); err != nil || got != 40*time.Second {
			t.Errorf("Do = %v after %v, want nil after 40s", err, got)
		}
	})
}

func TestDo_Bounds(t *testing.T) {
	odd := errors.New("odd")
	for _, c := range []struct {
		name   string
		policy retry.Policy
		err    error
		calls  int
	}{
		{"unavailable", retry.Policy{Tries: 4, First: time.Second, Most: 2 * time.Second}, cloud.ErrUnavailable, 4},
		{"not worth it", retry.Default(), odd, 1},
		{"kinds that stay", retry.Default(), cloud.ErrNotFound, 1},
		{"stated waits do not count as tries", retry.Policy{Tries: 1, Waits: 7}, retry.After(odd, time.Second), 8},
		{"stated wait too long", retry.Policy{Tries: 9, Waits: 9, Longest: time.Minute}, retry.After(odd, time.Hour), 1},
		{"zero policy", retry.Policy{}, cloud.ErrUnavailable, 1},
		{"deadline of the call itself", retry.Default(), fmt.Errorf("%w: %w", cloud.ErrUnavailable, context.DeadlineExceeded), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := c.policy.Do(t.Context(), func(context.Context) error { calls++; return c.err })
				if calls != c.calls || !errors.Is(err, c.err) {
					t.Errorf("%d calls, %v, want %d, %v", calls, err, c.calls, c.err)
				}
			})
		})
	}
}

func TestDo_Context(t *testing.T) {
	t.Run("cancelled while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(3*time.Second, func() { cancel(cloud.ErrShutdown) })
			start := time.Now()
			err := retry.Do(ctx, 5, func(context.Context) error { return retry.After(cloud.ErrLimited, time.Minute) })
			if !errors.Is(err, cloud.ErrShutdown) || !errors.Is(err, cloud.ErrLimited) || time.Since(start) != 3*time.Second {
				t.Errorf("Do = %v after %v, want both causes after 3s", err, time.Since(start))
			}
		})
	})
	t.Run("cancelled during the call", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		err := retry.Do(ctx, 5, func(context.Context) error { cancel(cloud.ErrShutdown); return cloud.ErrUnavailable })
		if !errors.Is(err, cloud.ErrShutdown) || !errors.Is(err, cloud.ErrUnavailable) {
			t.Errorf("Do = %v, want both causes", err)
		}
	})
	t.Run("no wait beyond the deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			start := time.Now()
			err := retry.Do(ctx, 5, func(context.Context) error { return retry.After(cloud.ErrLimited, time.Minute) })
			if !errors.Is(err, cloud.ErrLimited) || time.Since(start) != 0 {
				t.Errorf("Do = %v after %v, want ErrLimited at once", err, time.Since(start))
			}
		})
	})
}

func TestBackoff(t *testing.T) {
	p := retry.Policy{First: time.Second, Most: 10 * time.Second}
	for n, top := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 4: 8, 5: 10, 6: 10, 1000: 10} {
		top *= time.Second
		seen := make(map[time.Duration]bool)
		for range 50 {
			d := p.Backoff(n)
			if d < top/2 || d > top {
				t.Fatalf("Backoff(%d) = %v, want between %v and %v", n, d, top/2, top)
			}
			seen[d] = true
		}
		if len(seen) < 2 {
			t.Errorf("Backoff(%d) is not random", n)
		}
	}
	if d := (retry.Policy{}).Backoff(3); d != 0 {
		t.Errorf("Backoff of the zero Policy = %v, want 0", d)
	}
}
