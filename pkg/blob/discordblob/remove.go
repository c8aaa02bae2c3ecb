package discordblob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
)

// Fate is what became of a message that was to be removed.
type Fate string

// The fates of messages.
const (
	Removed Fate = "removed"
	Gone    Fate = "gone"    // it was not there any more
	Foreign Fate = "foreign" // none of our bots wrote it: it is left alone
	Refused Fate = "refused" // Discord does not let us
)

// Remove deletes whole messages of a channel, whatever is attached to them, in
// as few calls as Discord allows; but none that our bots did not write. It gives
// the fate of each message as far as it is known: a message that is missing in
// the answer, as others may be after an error, can be named again. ErrDenied if
// the channel is closed to us.
func (s *Store) Remove(ctx context.Context, channel string, messages ...string) (map[string]Fate, error) {
	select {
	case s.delete <- struct{}{}:
		defer func() { <-s.delete }()
	case <-ctx.Done():
		return nil, fmt.Errorf("remove: %w", context.Cause(ctx))
	}
	wanted := make(map[string][]string, len(messages))
	for _, id := range messages {
		wanted[id] = nil
	}
	fates := make(map[string]Fate, len(messages))
	var own []discord.Message
	err := s.survey(ctx, channel, wanted, func(m discord.Message) error {
		if !s.client.Wrote(m) {
			fates[m.ID] = Foreign
			return nil
		}
		for _, a := range m.Attachments {
			s.links.forget(a.ID)
		}
		own = append(own, m)
		return nil
	})
	if err != nil {
		return fates, fmt.Errorf("remove from channel %s: %w", channel, err)
	}
	for _, id := range messages {
		if fates[id] == "" && !slices.ContainsFunc(own, func(m discord.Message) bool { return m.ID == id }) {
			fates[id] = Gone
		}
	}
	if len(own) == 0 {
		return fates, nil
	}
	failed := s.client.Delete(ctx, channel, own)
	for _, m := range own {
		if failed == nil {
			fates[m.ID] = Removed
			continue
		}
		// Which of them it was about, the messages themselves tell.
		_, err := s.client.Message(ctx, channel, m.ID)
		switch {
		case errors.Is(err, cloud.ErrNotFound):
			fates[m.ID] = Removed
		case err != nil:
			return fates, fmt.Errorf("remove from channel %s: %w", channel, errors.Join(storeError(failed), err))
		case errors.Is(failed, cloud.ErrDenied):
			fates[m.ID] = Refused
		}
	}
	if errors.Is(failed, cloud.ErrDenied) {
		failed = nil // it is told message by message
	}
	return fates, failed
}

// Post is a message of ours, as a channel shows it.
type Post struct {
	ID          string
	Attachments int
	Size        int64 // of all attachments, in bytes
}

// Posts gives those of the next 100 messages of a channel, after one or from the
// beginning for "", that our bots wrote and that have attachments. last is where
// to go on, "" at the end of the channel.
func (s *Store) Posts(ctx context.Context, channel, after string) (posts []Post, last string, err error) {
	const page = 100
	if after == "" {
		after = "1" // 0 is as if it was not given
	}
	all, err := s.client.Messages(ctx, channel, discord.Page{After: after, Limit: page})
	if err != nil {
		return nil, "", fmt.Errorf("posts: %w", storeError(err))
	}
	var newest uint64
	for _, m := range all {
		if id, err := strconv.ParseUint(m.ID, 10, 64); err == nil && id > newest {
			newest, last = id, m.ID
		}
		if len(m.Attachments) == 0 || !s.client.Wrote(m) {
			continue
		}
		post := Post{ID: m.ID, Attachments: len(m.Attachments)}
		for _, a := range m.Attachments {
			post.Size += a.Size
		}
		posts = append(posts, post)
	}
	if len(all) < page {
		last = ""
	}
	return posts, last, nil
}
