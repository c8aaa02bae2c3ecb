package upload

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"

	"discordcloud/pkg/cloud"
)

// requestsMost is the number of parts that are read, waited with and stored at
// once. Each costs a read-ahead and a goroutine beside its buffer.
const requestsMost = 256

// requests counts the parts under way.
type requests struct{ room *semaphore.Weighted }

func newRequests() requests { return requests{semaphore.NewWeighted(requestsMost)} }

// enter waits for room, but not longer than longest: ErrUnavailable then.
func (q requests) enter(ctx context.Context, longest time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, errBusy)
	defer cancel()
	if q.room.Acquire(ctx, 1) != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (q requests) leave() { q.room.Release(1) }

var errBusy = cloud.UserErrorf(cloud.ErrUnavailable, "the service has too much to do, try again later")
