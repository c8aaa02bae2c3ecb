package gc

import (
	"context"
	"errors"
	"time"

	"discordcloud/manager/internal/peers"
)

// Lead does something if no other manager does: peers.Group's.
type Lead func(ctx context.Context, name string, do func(context.Context) error) error

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
