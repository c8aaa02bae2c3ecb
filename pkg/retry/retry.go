// Package retry tries again what failed for a while only. Whether an error is
// worth another try is a property of the error: cloud.ErrUnavailable is, and so
// is an AfterError, which says how long to wait. Everything else is returned at
// once. How a call is made repeatable is the caller's business.
package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"discordcloud/pkg/cloud"
)

// AfterError is an error whose cause said how long to wait before another try.
type AfterError struct {
	Wait time.Duration
	Err  error
}

func (e *AfterError) Error() string { return fmt.Sprintf("%v (again after %v)", e.Err, e.Wait) }

// Unwrap is the error without the wait.
func (e *AfterError) Unwrap() error { return e.Err }

// After adds a stated wait to err. A wait below zero is none.
func After(err error, wait time.Duration) error {
	return &AfterError{Wait: max(wait, 0), Err: err}
}

// Worth tells whether err is worth another try: it is cloud.ErrUnavailable or
// states a wait, and is not the end of a context.
func Worth(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	_, stated := errors.AsType[*AfterError](err)
	return stated || errors.Is(err, cloud.ErrUnavailable)
}

// Policy bounds the tries. The zero Policy tries once only; Default is a good
// start. A Policy is a value: copy and change it.
type Policy struct {
	// Tries is the number of tries that may end without a stated wait.
	Tries int
	// Waits is how many stated waits are obeyed before giving up; they do not
	// count as Tries, for an orderly "later" is no failure.
	Waits int
	// First is the longest wait before the second try; each further one is
	// twice as long, up to Most. What is waited is random, between half of that
	// and all of it, so that those who failed together do not return together.
	First, Most time.Duration
	// Longest is the longest stated wait that is obeyed; a longer one is
	// returned to the caller. 0 is no limit.
	Longest time.Duration
}

// Default is what Do uses, with other Tries.
func Default() Policy {
	return Policy{Tries: 5, Waits: 20, First: 500 * time.Millisecond, Most: 20 * time.Second, Longest: 5 * time.Minute}
}

// Do is Default().Do with the given number of tries.
func Do(ctx context.Context, tries int, f func(context.Context) error) error {
	p := Default()
	p.Tries = tries
	return p.Do(ctx, f)
}

// Do calls f until it returns nil or an error that is not Worth another try, or
// until the policy or ctx is at its end; it returns f's last error. It does not
// begin a wait that ctx's deadline would cut short. When ctx ends before another
// try, the error wraps both f's last error and ctx's cause.
func (p Policy) Do(ctx context.Context, f func(context.Context) error) error {
	tries, waits := 0, 0
	for {
		err := f(ctx)
		if err == nil || !Worth(err) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		var wait time.Duration
		if after, ok := errors.AsType[*AfterError](err); ok {
			if waits++; waits > p.Waits || p.Longest > 0 && after.Wait > p.Longest {
				return err
			}
			wait = after.Wait
		} else {
			if tries++; tries >= p.Tries {
				return err
			}
			wait = p.Backoff(tries)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: while waiting after: %w", context.Cause(ctx), err)
		}
	}
}

// Backoff is the wait after the nth failure, n counting from 1.
func (p Policy) Backoff(n int) time.Duration {
	wait := p.First
	for ; n > 1 && wait < p.Most; n-- {
		wait *= 2
	}
	if wait = min(wait, p.Most); wait <= 0 {
		return 0
	}
	return wait/2 + rand.N(wait/2+1)
}
