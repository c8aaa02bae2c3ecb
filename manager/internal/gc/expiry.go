package gc

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
)

// Expiry lets go of what trash and versions have kept long enough. Its fields
// are set before Run.
type Expiry struct {
	Store     meta.Store
	Retention meta.Retention
	Now       func() time.Time
	Every     time.Duration // an hour by default
	Lead      Lead          // has one of several managers work at a time, nil without others
	Log       *slog.Logger

	once  sync.Once
	wake  chan struct{}
	mu    sync.Mutex
	state ExpiryState
}

func (x *Expiry) woken() chan struct{} {
	x.once.Do(func() { x.wake = make(chan struct{}, 1) })
	return x.wake
}

// Wake has Run look now.
func (x *Expiry) Wake() {
	select {
	case x.woken() <- struct{}{}:
	default: // it will look anyway
	}
}

// ExpiryState is what an Expiry has done since it was started.
type ExpiryState struct {
	Trash    int64     `json:"trash"` // entries that were deleted, as they were
	Versions int64     `json:"versions"`
	RanAt    time.Time `json:"ran_at"`
	Error    string    `json:"error,omitempty"` // of the last run
}

// activityKept is how long it is told what happened in a folder.
const activityKept = 90 * 24 * time.Hour

// expiryPage is how much goes in one transaction, as condemnPage; a folder may hold
// many files.
const expiryPage = 10

// Run expires what is due until ctx ends, and gives its cause.
func (x *Expiry) Run(ctx context.Context) error {
	return x.Lead.run(ctx, "expiry", orDefault(x.Every, time.Hour), x.woken(), x.Log, x.Expire)
}

// Expire removes all that is due now. What was deleted while there was no limit,
// or a longer one, is held to the present one; without a trash or versions what
// is there stays until a person deletes it.
func (x *Expiry) Expire(ctx context.Context) error {
	now := x.Now()
	trash, err := drain(ctx, now, x.Retention.Trash, x.Store.ExpireTrash)
	var versions int64
	if err == nil && x.Retention.KeepsVersions() {
		versions, err = drain(ctx, now, x.Retention.VersionAge, x.Store.ExpireVersions)
	}
	if err == nil {
		err = x.Store.ExpireActivity(ctx, now.Add(-activityKept))
	}
	if trash > 0 || versions > 0 {
		x.Log.InfoContext(ctx, "trash and versions expired", "trash", trash, "versions", versions)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.state.Trash += trash
	x.state.Versions += versions
	x.state.RanAt, x.state.Error = now, ""
	if err != nil {
		x.state.Error = err.Error()
	}
	return err
}

func drain(ctx context.Context, now time.Time, kept time.Duration, expire func(context.Context, time.Time, int) (int, error)) (sum int64, err error) {
	for kept > 0 {
		n, err := expire(ctx, now.Add(-kept), expiryPage)
		sum += int64(n)
		if err != nil || n < expiryPage {
			return sum, err
		}
	}
	return sum, nil
}

// State is a copy of what is known now.
func (x *Expiry) State() ExpiryState {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.state
}
