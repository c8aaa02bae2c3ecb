package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/cloud"
)

// Messages is what in Discord is needed of: *discordblob.Store.
type Messages interface {
	Remove(ctx context.Context, channel string, messages ...string) (map[string]discordblob.Fate, error)
	Posts(ctx context.Context, channel, after string) (posts []discordblob.Post, last string, err error)
}

// The jobs of a Collector, as they are kept in the store.
const (
	JobCollector = "collector" // deletes messages
	JobOrphans   = "orphans"   // looks for orphans
)

// JobTrash is what an Expiry does. It keeps nothing.
const JobTrash = "trash"

// Collector deletes from Discord what nothing refers to any more. Its fields are
// set before Run.
type Collector struct {
	Store    meta.Store
	Messages Messages
	Channels []string // where orphans are looked for
	// Grace is how long something is of no use before it goes.
	Grace time.Duration
	// Daily is how many messages go in 24 hours at most, 0 for none.
	Daily int
	// Orphans deletes messages of our bots that no row names. It is for bots that
	// serve one database only: another one's messages look just like that.
	Orphans bool
	Now     func() time.Time
	Every   time.Duration // ten minutes by default
	Sweep   time.Duration // between two searches for orphans, a day by default
	// Lead has one of several managers work at a time, nil without others.
	Lead Lead
	Log  *slog.Logger

	running sync.Mutex // held by the one Collect or Look that works
	wake    chan struct{}
	once    sync.Once
}

// Run collects until ctx ends, and gives its cause.
func (c *Collector) Run(ctx context.Context) error {
	return c.Lead.run(ctx, JobCollector, orDefault(c.Every, 10*time.Minute), c.woken(), c.Log, func(ctx context.Context) error {
		return errors.Join(c.unlessPaused(ctx, JobCollector, c.Collect), c.unlessPaused(ctx, JobOrphans, c.look))
	})
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

func (c *Collector) woken() chan struct{} {
	c.once.Do(func() { c.wake = make(chan struct{}, 1) })
	return c.wake
}

// Wake has Run look now.
func (c *Collector) Wake() {
	select {
	case c.woken() <- struct{}{}:
	default: // it will look anyway
	}
}

func (c *Collector) unlessPaused(ctx context.Context, job string, do func(context.Context) error) error {
	j, err := c.Store.Job(ctx, job)
	if err != nil {
		return fmt.Errorf("job %s: %w", job, err)
	}
	if j.Paused {
		return nil
	}
	return do(ctx)
}

// CollectorState is what a Collector keeps of what it did.
type CollectorState struct {
	RanAt     time.Time `json:"ran_at"`
	Condemned int64     `json:"condemned"` // messages, of the last run, as all that follows
	Kept      int64     `json:"kept"`      // messages that hold something of use as well
	KeptBytes int64     `json:"kept_bytes"`
	Deleted   int64     `json:"deleted"`
	Missing   int64     `json:"missing"`
	Skipped   int64     `json:"skipped"`
	Capped    bool      `json:"capped"` // the rest waits for tomorrow
	Error     string    `json:"error,omitempty"`
}

const (
	// condemnPage is how many messages are looked at in one transaction: everybody
	// who writes waits for it, and over REST it costs by the square of that.
	condemnPage = 25
	// removePage is how many messages are deleted at a time: as many as fit a call.
	removePage = 100
	// remembered is how long it is kept what went.
	remembered = 90 * 24 * time.Hour
	// tries is how often a message is tried that Discord does not answer about.
	tries = 20
)

// Collect condemns what is of no use and deletes what is condemned, as far as a
// day allows. What fails is tried again later, what is refused is left alone.
func (c *Collector) Collect(ctx context.Context) error {
	c.running.Lock()
	defer c.running.Unlock()
	now := c.Now()
	s := CollectorState{RanAt: now.UTC()}
	err := c.condemn(ctx, now, &s)
	if err == nil {
		err = c.remove(ctx, now, &s)
	}
	if err == nil {
		err = c.Store.ForgetDeletions(ctx, now.Add(-remembered))
	}
	if err != nil {
		s.Error = err.Error()
	}
	if s.Condemned+s.Deleted+s.Missing+s.Skipped > 0 {
		c.Log.InfoContext(ctx, "collected", "condemned", s.Condemned, "deleted", s.Deleted, "missing", s.Missing, "skipped", s.Skipped, "kept", s.Kept)
	}
	return errors.Join(err, c.keep(ctx, JobCollector, s))
}

func (c *Collector) keep(ctx context.Context, job string, state any) error {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("state of %s: %w", job, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := c.Store.SetJobState(ctx, job, string(text)); err != nil {
		return fmt.Errorf("state of %s: %w", job, err)
	}
	return nil
}

func (c *Collector) condemn(ctx context.Context, now time.Time, s *CollectorState) error {
	if c.Daily <= 0 {
		return nil // its rows would be gone, and the messages would not
	}
	for after := ""; ; {
		r, err := c.Store.Condemn(ctx, now.Add(-c.Grace), after, condemnPage, false)
		if err != nil {
			return fmt.Errorf("condemn: %w", err)
		}
		s.Condemned, s.Kept, s.KeptBytes = s.Condemned+int64(len(r.Messages)), s.Kept+r.Kept, s.KeptBytes+r.KeptBytes
		if after = r.Next; after == "" {
			return nil
		}
	}
}

// remove deletes what is due, batch by batch, each of one channel.
func (c *Collector) remove(ctx context.Context, now time.Time, s *CollectorState) error {
	today, err := c.Store.DeletedSince(ctx, now.Add(-24*time.Hour))
	if err != nil {
		return fmt.Errorf("count deletions: %w", err)
	}
	for ctx.Err() == nil {
		left := int64(c.Daily) - today - s.Deleted
		due, err := c.Store.DueDeletions(ctx, c.Now(), int(max(0, min(left, removePage))))
		if err != nil {
			return fmt.Errorf("deletions: %w", err)
		}
		if len(due) == 0 {
			if left <= 0 {
				more, err := c.Store.DueDeletions(ctx, c.Now(), 1)
				s.Capped = err == nil && len(more) > 0
			}
			return nil
		}
		batch := due[:1]
		for len(batch) < len(due) && due[len(batch)].Channel == batch[0].Channel {
			batch = due[:len(batch)+1]
		}
		if err := c.removeBatch(ctx, now, batch, s); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// removeBatch deletes messages of one channel, and records what became of each.
func (c *Collector) removeBatch(ctx context.Context, now time.Time, batch []meta.Deletion, s *CollectorState) error {
	ids := make([]string, len(batch))
	for i, d := range batch {
		ids[i] = d.Message
	}
	fates, failed := c.Messages.Remove(ctx, batch[0].Channel, ids...)
	if failed != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i := range batch {
		d := &batch[i]
		switch fates[d.Message] {
		case discordblob.Removed:
			d.State = meta.DeletionDone
			s.Deleted++
		case discordblob.Gone:
			d.State = meta.DeletionMissing
			s.Missing++
		case discordblob.Foreign:
			d.State, d.Reason = meta.DeletionSkipped, "it is not of one of our bots"
			s.Skipped++
		case discordblob.Refused:
			d.State, d.Reason = meta.DeletionSkipped, "Discord does not let us delete it"
			s.Skipped++
		default:
			switch {
			case errors.Is(failed, cloud.ErrDenied):
				d.State, d.Reason = meta.DeletionSkipped, "the channel is closed to us"
				s.Skipped++
			case d.Tries+1 >= tries:
				d.State, d.Reason = meta.DeletionSkipped, "it could not be deleted"
				s.Skipped++
			default: // later, and later each time
				d.Reason, d.DueAt = "no answer", now.Add(min(24*time.Hour, time.Minute<<min(d.Tries, 12)))
			}
		}
	}
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := c.Store.EndDeletions(record, batch); err != nil {
		return fmt.Errorf("record deletions: %w", err) // they are tried again, and are missing then
	}
	for _, d := range batch {
		c.Log.InfoContext(ctx, "message of no use", "channel", d.Channel, "message", d.Message, "state", d.State, "attachments", d.Attachments,
			"bytes", d.Bytes, "orphan", d.Orphan)
	}
	if failed != nil {
		c.Log.WarnContext(ctx, "messages not deleted", "channel", batch[0].Channel, "err", failed)
	}
	return nil
}

// Preview is what a Collect would do now.
type Preview struct {
	Messages  int64 `json:"messages"`
	Bytes     int64 `json:"bytes"` // sealed
	Kept      int64 `json:"kept"`
	KeptBytes int64 `json:"kept_bytes"`
	Due       int64 `json:"due"` // condemned before, and not deleted so far
}

// DryRun tells what would go after a grace, and changes nothing.
func DryRun(ctx context.Context, store meta.Store, before time.Time) (p Preview, err error) {
	seen := map[string]bool{} // a message is met with each object that lies in it
	for after := ""; ; {
		r, err := store.Condemn(ctx, before, after, condemnPage, true)
		if err != nil {
			return Preview{}, fmt.Errorf("dry run: %w", err)
		}
		for _, d := range r.Messages {
			if !seen[d.Message] {
				seen[d.Message] = true
				p.Messages, p.Bytes = p.Messages+1, p.Bytes+d.Bytes
			}
		}
		p.Kept, p.KeptBytes = p.Kept+r.Kept, p.KeptBytes+r.KeptBytes
		if after = r.Next; after == "" {
			break
		}
	}
	t, err := store.CountDeletions(ctx)
	p.Due = t.Due
	return p, err
}
