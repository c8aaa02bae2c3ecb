package manager

import (
	"context"
	"fmt"
	"time"

	"discordcloud/manager/internal/gc"
	"discordcloud/manager/internal/meta"
)

// CollectPreview is what would be deleted from Discord now.
type CollectPreview = gc.Preview

// CollectTally counts what lies in Discord, and what is to go or has gone.
type CollectTally = meta.Tally

// PreviewCollect tells what would be deleted if that had been of no use for the
// grace. It changes nothing.
func (a *Admin) PreviewCollect(ctx context.Context, grace time.Duration) (CollectPreview, error) {
	return gc.DryRun(ctx, a.store, time.Now().Add(-grace))
}

// CollectTally counts what lies in Discord, and tells whether deleting is paused.
func (a *Admin) CollectTally(ctx context.Context) (t CollectTally, paused bool, err error) {
	if t, err = a.store.CountDeletions(ctx); err != nil {
		return t, false, err
	}
	j, err := a.store.Job(ctx, gc.JobCollector)
	return t, j.Paused, err
}

// PauseCollect pauses deleting, or takes it up again. A running manager follows
// within ten minutes, before it begins with anything else.
func (a *Admin) PauseCollect(ctx context.Context, paused bool) error {
	if err := a.store.PauseJob(ctx, gc.JobCollector, paused); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	return nil
}

// RetryCollect makes due again what was skipped, and tells how much that is.
func (a *Admin) RetryCollect(ctx context.Context) (int64, error) { return a.store.RetryDeletions(ctx) }
