package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
)

// OrphanState is how far the search for orphans is. It reads the channels from
// their beginnings, a page after the other.
type OrphanState struct {
	Channel   string    `json:"channel"` // that is being read, "" between two searches
	After     string    `json:"after"`   // message that it has come to
	Pages     int64     `json:"pages"`   // of this search
	Found     int64     `json:"found"`
	EndedAt   time.Time `json:"ended_at"` // of the last search that came to the end
	Condemned int64     `json:"condemned"`
	Error     string    `json:"error,omitempty"`
}

// orphanPages is how many pages of a channel are read in one go: uploads and
// downloads have the same budget of requests.
const orphanPages = 50

// look goes on with the search, or begins one if it is time.
func (c *Collector) look(ctx context.Context) error {
	c.running.Lock()
	defer c.running.Unlock()
	j, err := c.Store.Job(ctx, JobOrphans)
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	var s OrphanState
	if j.State != "" {
		if err := json.Unmarshal([]byte(j.State), &s); err != nil {
			s = OrphanState{} // it begins again
		}
	}
	now := c.Now()
	if s.Channel == "" {
		if now.Sub(s.EndedAt) < orDefault(c.Sweep, 24*time.Hour) || len(c.Channels) == 0 {
			return nil
		}
		s = OrphanState{Channel: c.channelAfter(""), EndedAt: s.EndedAt}
	}
	err = c.read(ctx, now, &s)
	if err == nil && c.Orphans && c.Daily > 0 {
		var n int64
		for err == nil {
			n, err = c.Store.CondemnOrphans(ctx, now.Add(-c.Grace), condemnPage)
			if s.Condemned += n; n < condemnPage {
				break
			}
		}
	}
	if s.Error = ""; err != nil {
		s.Error = err.Error()
	}
	return errors.Join(err, c.keep(ctx, JobOrphans, s))
}

// read goes through some pages. Messages younger than the grace may have rows
// on their way: they end the search of their channel.
func (c *Collector) read(ctx context.Context, now time.Time, s *OrphanState) error {
	for range orphanPages {
		posts, last, err := c.Messages.Posts(ctx, s.Channel, s.After)
		if err != nil && !errors.Is(err, cloud.ErrNotFound) {
			return err
		}
		var old []meta.Posted
		for _, p := range posts {
			if discord.SnowflakeTime(p.ID).After(now.Add(-c.Grace)) {
				last = ""
				continue
			}
			old = append(old, meta.Posted{Channel: s.Channel, Message: p.ID, Attachments: int64(p.Attachments), Bytes: p.Size})
		}
		for some := range slices.Chunk(old, condemnPage) {
			n, err := c.Store.NoteOrphans(ctx, some)
			if err != nil {
				return err
			}
			s.Found += n
		}
		s.Pages++
		if s.After = last; last != "" {
			continue
		}
		if s.Channel = c.channelAfter(s.Channel); s.Channel == "" {
			s.EndedAt = now.UTC()
			c.Log.InfoContext(ctx, "looked for orphans", "pages", s.Pages, "found", s.Found)
			return nil
		}
	}
	return nil
}

// channelAfter is the channel that is read next, "" after the last.
func (c *Collector) channelAfter(channel string) string {
	next := ""
	for _, id := range c.Channels {
		if above(id, channel) && (next == "" || above(next, id)) {
			next = id
		}
	}
	return next
}

// above tells which of two snowflakes is the greater.
func above(a, b string) bool {
	x, _ := strconv.ParseUint(a, 10, 64) // configuration has checked that they are numbers
	y, _ := strconv.ParseUint(b, 10, 64)
	return x > y
}
