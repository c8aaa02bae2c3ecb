package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"discordcloud/manager/internal/gc"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/pkg/cloud"
)

// jobRecord is work in the background.
type jobRecord struct {
	Name      string     `json:"name"`
	Paused    bool       `json:"paused"`
	UpdatedAt *time.Time `json:"updated_at"` // null before it has ever done anything
	State     any        `json:"state"`      // its own, null before
}

// collector is the part that these routes are about.
func (a *api) collector() (*gc.Collector, error) {
	if a.Collector == nil {
		return nil, cloud.UserErrorf(cloud.ErrUnavailable, "nothing is collected here")
	}
	return a.Collector, nil
}

func (a *api) jobs(q *call) error {
	c, err := a.collector()
	if err != nil {
		return err
	}
	var list []jobRecord
	if a.Expiry != nil {
		s := a.Expiry.State()
		r := jobRecord{Name: gc.JobTrash, State: s}
		if !s.RanAt.IsZero() {
			r.UpdatedAt = &s.RanAt
		}
		list = append(list, r)
	}
	names := []string{gc.JobCollector, gc.JobOrphans}
	if a.Thumbs != nil {
		names = append(names, thumbs.Job)
	}
	for _, name := range names {
		j, err := c.Store.Job(q.ctx(), name)
		if err != nil {
			return fmt.Errorf("job %s: %w", name, err)
		}
		r := jobRecord{Name: name, Paused: j.Paused}
		if j.State != "" {
			r.State = json.RawMessage(j.State)
		}
		if !j.UpdatedAt.IsZero() {
			r.UpdatedAt = &j.UpdatedAt
		}
		if name == thumbs.Job {
			if r.State, err = a.Thumbs.Progress(q.ctx()); err != nil {
				return fmt.Errorf("job %s: %w", name, err)
			}
			r.UpdatedAt = nil // it goes on all the time
		}
		list = append(list, r)
	}
	return q.answer(map[string]any{"jobs": list})
}

func (a *api) setJob(q *call) error {
	var in struct {
		Paused *bool `json:"paused"`
		Run    bool  `json:"run"`
		Retry  bool  `json:"retry"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	c, err := a.collector()
	if err != nil {
		return err
	}
	name := q.r.PathValue("job")
	switch {
	case name == gc.JobTrash && a.Expiry != nil:
		if in.Paused != nil || in.Retry {
			return cloud.UserErrorf(cloud.ErrInvalid, "what has expired goes; this job can only be run")
		}
		if in.Run {
			a.Expiry.Wake()
		}
		return a.jobs(q)
	case name == thumbs.Job && a.Thumbs != nil:
		if err := a.setThumbnails(q, in.Paused, in.Retry); err != nil {
			return err
		}
		return a.jobs(q)
	case name != gc.JobCollector && name != gc.JobOrphans:
		return cloud.UserErrorf(cloud.ErrNotFound, "there is no such job")
	}
	if in.Paused != nil {
		if err := c.Store.PauseJob(q.ctx(), name, *in.Paused); err != nil {
			return fmt.Errorf("pause: %w", err)
		}
	}
	if in.Retry {
		if _, err := c.Store.RetryDeletions(q.ctx()); err != nil {
			return fmt.Errorf("retry: %w", err)
		}
	}
	if in.Run || in.Retry || in.Paused != nil && !*in.Paused {
		c.Wake()
	}
	return a.jobs(q)
}

// setThumbnails pauses the making of thumbnails, or has those tried again that
// failed.
func (a *api) setThumbnails(q *call, paused *bool, retry bool) error {
	if paused != nil {
		if err := a.Thumbs.Pause(q.ctx(), *paused); err != nil {
			return err
		}
	}
	if retry {
		return a.Thumbs.RetryFailed(q.ctx())
	}
	return nil
}

func (a *api) previewCollect(q *call) error {
	c, err := a.collector()
	if err != nil {
		return err
	}
	p, err := gc.DryRun(q.ctx(), c.Store, c.Now().Add(-c.Grace))
	if err != nil {
		return err
	}
	return q.answer(p)
}

func (a *api) adminStorage(q *call) error {
	t, err := a.FS.Store.CountDeletions(q.ctx())
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	type channel struct {
		Channel      string `json:"channel"`
		Messages     int64  `json:"messages"`
		Attachments  int64  `json:"attachments"`
		Bytes        int64  `json:"bytes"`
		GarbageBytes int64  `json:"garbage_bytes"`
	}
	type sum struct {
		Messages int64 `json:"messages"`
		Bytes    int64 `json:"bytes"`
	}
	channels := make([]channel, 0, len(t.Channels))
	for _, c := range t.Channels {
		channels = append(channels, channel(c))
	}
	return q.answer(map[string]any{
		"channels": channels, "messages": t.Messages, "bytes": t.MessagesBytes,
		"garbage": map[string]int64{"objects": t.Garbage, "bytes": t.GarbageBytes},
		"due":     sum{t.Due, t.DueBytes}, "deleted": sum{t.Deleted, t.DeletedBytes}, "orphans": sum{t.Orphans, t.OrphanBytes},
		"missing": t.Missing, "skipped": t.Skipped,
	})
}

func (a *api) deletions(q *call) error {
	query := q.r.URL.Query()
	state := meta.DeletionState(query.Get("state"))
	if state == "" {
		state = meta.DeletionSkipped
	}
	if !slices.Contains([]meta.DeletionState{meta.DeletionDue, meta.DeletionDone, meta.DeletionMissing, meta.DeletionSkipped}, state) {
		return cloud.UserErrorf(cloud.ErrInvalid, "state is due, deleted, missing or skipped")
	}
	limit, err := pageLimit(query)
	if err != nil {
		return err
	}
	all, err := a.FS.Store.Deletions(q.ctx(), state, limit)
	if err != nil {
		return fmt.Errorf("deletions: %w", err)
	}
	type record struct {
		Channel     string             `json:"channel"`
		Message     string             `json:"message"`
		State       meta.DeletionState `json:"state"`
		Reason      string             `json:"reason"`
		Orphan      bool               `json:"orphan"`
		Attachments int64              `json:"attachments"`
		Bytes       int64              `json:"bytes"`
		Tries       int                `json:"tries"`
		DueAt       time.Time          `json:"due_at"`
		EndedAt     *time.Time         `json:"ended_at"`
	}
	list := make([]record, 0, len(all))
	for _, d := range all {
		r := record{d.Channel, d.Message, d.State, d.Reason, d.Orphan, d.Attachments, d.Bytes, d.Tries, d.DueAt, nil}
		if !d.EndedAt.IsZero() {
			r.EndedAt = &d.EndedAt
		}
		list = append(list, r)
	}
	return q.answer(map[string]any{"deletions": list})
}
