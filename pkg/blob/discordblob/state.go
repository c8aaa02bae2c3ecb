package discordblob

import (
	"errors"
	"time"

	"discordcloud/pkg/discord"
)

// State is what the store is doing, for people. It holds no secrets.
type State struct {
	Waiting int         `json:"waiting"` // blobs that no message has taken yet
	Lanes   []LaneState `json:"lanes"`
}

// LaneState is one way to post: a channel, as one bot uses it.
type LaneState struct {
	Bot      string        `json:"bot"`
	Channel  string        `json:"channel"`
	Messages int           `json:"messages"`      // under way
	Wait     time.Duration `json:"wait"`          // of the next one
	Out      string        `json:"out,omitempty"` // why nothing is posted this way: blocked, channel down or limited
}

// State is a copy of what is known now.
func (s *Store) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{Waiting: len(s.queue)}
	for _, l := range s.lanes {
		wait, err := l.client.PostWait(l.channel)
		state.Lanes = append(state.Lanes, LaneState{
			Bot: l.client.Bot(), Channel: l.channel, Messages: l.busy, Wait: wait, Out: out(err),
		})
	}
	return state
}

func out(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, discord.ErrBlocked):
		return "blocked"
	case errors.Is(err, discord.ErrChannelDown):
		return "channel down"
	default:
		return "limited"
	}
}
