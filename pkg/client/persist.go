package client

import (
	"context"
	"errors"
	"time"

	"discordcloud/pkg/retry"
)

// stall is how long nothing may move on a connection that carries bytes. A
// server waits for Discord's limits for less.
const stall = 2 * time.Minute

// persist calls try until it succeeds, or fails in a way that another try can't
// mend, or was cut too often in a row without getting any further.
func (c *Client) persist(ctx context.Context, try func() (further bool, err error)) error {
	for cut := 0; ; {
		further, err := try()
		if ctx.Err() != nil && err != nil {
			return context.Cause(ctx)
		}
		if err == nil || !retry.Worth(err) {
			return err
		}
		if further {
			cut = 0
		}
		var wait time.Duration
		if after, ok := errors.AsType[*retry.AfterError](err); ok {
			wait = after.Wait
		} else {
			if cut++; cut >= c.o.Patience.Tries {
				return err
			}
			wait = c.o.Patience.Backoff(cut)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// errStalled ends a request that does not move.
var errStalled = errors.New("nothing has moved for two minutes")

// watched gives a context that ends when moved has not been called for long.
func watched(ctx context.Context) (_ context.Context, moved func(), stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	return ctx, func() { timer.Reset(stall) }, func() { timer.Stop(); cancel(nil) }
}
