package gc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"discordcloud/manager/internal/peers"
	"discordcloud/pkg/cloud"
)

// Lead does something if no other manager does: peers.Group's.
type Lead func(ctx context.Context, name string, do func(context.Context) error) error

// run does something every so often, and when it is woken, until ctx ends, and
// gives its cause. It is no person's business that the database was away, or that
// another manager has taken the work over.
func (l Lead) run(ctx context.Context, name string, every time.Duration, woken <-chan struct{}, log *slog.Logger, f func(context.Context) error) error {
	for {
		next, err := l.do(ctx, name, every, f)
		if err != nil && ctx.Err() == nil {
			level := slog.LevelError
			if errors.Is(err, cloud.ErrUnavailable) {
				level = slog.LevelWarn
			}
			log.Log(ctx, level, "work in the background not done", "job", name, "err", err)
		}
		tick := time.NewTimer(next)
		select {
		case <-ctx.Done():
			tick.Stop()
			return context.Cause(ctx)
		case <-tick.C:
		case <-woken:
		}
		tick.Stop()
	}
}

// do gives how long it is to the next time: not long where another manager does
// it, which may go.
func (l Lead) do(ctx context.Context, name string, every time.Duration, f func(context.Context) error) (next time.Duration, err error) {
	if l == nil {
		return every, f(ctx)
	}
	err = l(ctx, name, f)
	if errors.Is(err, peers.ErrElsewhere) {
		return min(every, peers.Again), nil
	}
	return every, err
}
