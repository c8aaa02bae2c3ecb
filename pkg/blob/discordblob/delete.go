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

// Delete removes the attachments that are named, and those only. A message goes
// when all of its attachments are named in one call; otherwise it is edited to
// keep the others. So name together what was stored together: it takes fewer
// calls. A missing one is no error. After an error some may be gone; naming
// them again is fine.
//
// Only one Delete works at a time: two that edit one message would each bring
// back what the other removed.
func (s *Store) Delete(ctx context.Context, refs ...cloud.Ref) error {
	if ctx.Err() != nil {
		return fmt.Errorf("delete: %w", context.Cause(ctx))
	}
	select {
	case s.delete <- struct{}{}:
		defer func() { <-s.delete }()
	case <-ctx.Done():
		return fmt.Errorf("delete: %w", context.Cause(ctx))
	}
	channels := make(map[string]map[string][]string) // channel, message, attachments
	for _, ref := range refs {
		if ref.IsZero() {
			continue
		}
		if channels[ref.Channel] == nil {
			channels[ref.Channel] = make(map[string][]string)
		}
		m := channels[ref.Channel]
		m[ref.Message] = append(m[ref.Message], ref.Attachment)
		s.links.forget(ref.Attachment)
	}
	var errs []error
	for channel, messages := range channels {
		if err := s.deleteIn(ctx, channel, messages); err != nil {
			errs = append(errs, fmt.Errorf("delete from channel %s: %w", channel, storeError(err)))
		}
	}
	return errors.Join(errs...)
}

// deleteIn removes attachments of the messages of one channel.
func (s *Store) deleteIn(ctx context.Context, channel string, messages map[string][]string) error {
	var whole []discord.Message
	err := s.survey(ctx, channel, messages, func(m discord.Message) error {
		var keep []string
		for _, a := range m.Attachments {
			if !slices.Contains(messages[m.ID], a.ID) {
				keep = append(keep, a.ID)
			}
		}
		switch {
		case s.client.Hides(m): // who knows what else it holds
			return fmt.Errorf("%w: message %s does not show its attachments", cloud.ErrUnavailable, m.ID)
		case len(keep) == 0:
			whole = append(whole, m)
		case len(keep) < len(m.Attachments):
			if _, err := s.client.Keep(ctx, channel, m, keep...); err != nil && !errors.Is(err, cloud.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if len(whole) > 0 {
		err = errors.Join(err, s.client.Delete(ctx, channel, whole))
	}
	return err
}

// survey calls f with each of the messages that exists, as few reads as
// neighbours allow. That one is missing is believed only of itself, never of a
// page. It goes on after an error of f's.
func (s *Store) survey(ctx context.Context, channel string, messages map[string][]string, f func(discord.Message) error) error {
	var left []uint64
	for id := range messages {
		if n, err := strconv.ParseUint(id, 10, 64); err == nil { // others cannot exist
			left = append(left, n)
		}
	}
	slices.Sort(left)
	var errs []error
	for len(left) > 0 && ctx.Err() == nil {
		first := strconv.FormatUint(left[0], 10)
		seen := make(map[uint64]bool)
		if len(left) > 1 {
			page, err := s.client.Messages(ctx, channel, discord.Page{After: strconv.FormatUint(left[0]-1, 10), Limit: 100})
			if channelGone(err) {
				return errors.Join(errs...)
			}
			if err != nil {
				return errors.Join(append(errs, err)...)
			}
			for _, m := range page {
				n, _ := strconv.ParseUint(m.ID, 10, 64) // Discord's own
				if _, wanted := messages[m.ID]; wanted && !seen[n] {
					seen[n] = true
					errs = append(errs, f(m))
				}
			}
		}
		if !seen[left[0]] {
			m, err := s.client.Message(ctx, channel, first)
			switch {
			case err == nil:
				errs = append(errs, f(m))
			case !errors.Is(err, cloud.ErrNotFound) && !channelGone(err):
				return errors.Join(append(errs, err)...)
			}
			seen[left[0]] = true
		}
		left = slices.DeleteFunc(left, func(n uint64) bool { return seen[n] })
	}
	if ctx.Err() != nil {
		errs = append(errs, context.Cause(ctx))
	}
	return errors.Join(errs...)
}

// channelGone tells that a channel is deleted, and all its messages with it.
func channelGone(err error) bool {
	api, ok := errors.AsType[*discord.APIError](err)
	return ok && api.Code == discord.CodeUnknownChannel
}
