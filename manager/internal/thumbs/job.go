package thumbs

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
)

// Job is the name under which it is kept that no thumbnails are made.
const Job = "thumbnails"

// Progress is how far the queue is, and what was done since the start.
type Progress struct {
	Queued  int64 `json:"queued"` // those that are being made among them
	Running int   `json:"running"`
	Ready   int64 `json:"ready"`
	Failed  int64 `json:"failed"`
	Made    int64 `json:"made"` // since the start, as is the next
	Refused int64 `json:"refused"`
}

// Progress counts the thumbnails.
func (t *Thumbs) Progress(ctx context.Context) (Progress, error) {
	counts, err := t.Store.CountThumbnails(ctx)
	if err != nil {
		return Progress{}, fmt.Errorf("count thumbnails: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Progress{
		Queued: counts[meta.ThumbnailQueued], Ready: counts[meta.ThumbnailReady], Failed: counts[meta.ThumbnailFailed],
		Running: len(t.leases), Made: t.made, Refused: t.refused,
	}, nil
}

// Pause has nothing more made, or goes on. What is being made is finished.
func (t *Thumbs) Pause(ctx context.Context, on bool) error {
	if err := t.Store.PauseJob(ctx, Job, on); err != nil {
		return fmt.Errorf("pause thumbnails: %w", err)
	}
	t.nudge()
	return nil
}

// RetryFailed queues again what could not be made.
func (t *Thumbs) RetryFailed(ctx context.Context) error {
	if err := t.Store.RequeueFailedThumbnails(ctx); err != nil {
		return fmt.Errorf("retry thumbnails: %w", err)
	}
	t.nudge()
	return nil
}

// paused tells whether nothing may be handed out, also if it cannot be found out.
func (t *Thumbs) paused(ctx context.Context) bool {
	j, err := t.Store.Job(ctx, Job)
	if err != nil && ctx.Err() == nil {
		t.Log.WarnContext(ctx, "thumbnails not handed out", "err", err)
	}
	return err != nil || j.Paused
}
