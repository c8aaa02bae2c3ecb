package discord

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"discordcloud/pkg/cloud"
)

// use is what a call does to its channel.
type use int

const (
	useOther use = iota // deleting and editing: refusals say little of the channel
	useRead
	useWrite
	useProbe // asks even if the channel is down
)

// A channel that is down is tried again by one call after downFirst, then after
// twice that, up to downMost: people give permissions back.
const (
	downFirst = time.Minute
	downMost  = 30 * time.Minute
)

// health remembers the channels that refuse the bot, so that it does not hammer
// on them: refusals count towards a ban of the address.
type health struct {
	log *slog.Logger

	mu   sync.Mutex
	down map[string]*outage
}

type outage struct {
	since  time.Time
	until  time.Time // no call before
	wait   time.Duration
	probed bool // a call has been let pass to see whether it is over
	writes bool // only posting is refused
	cause  *APIError
}

// downError is a call that was not made, as its channel is down. What Discord
// said is found with errors.AsType.
type downError struct {
	channel string
	since   time.Time
	cause   *APIError
}

func (e *downError) Error() string {
	return fmt.Sprintf("%v: %s since %s: %v", ErrChannelDown, e.channel, e.since.UTC().Format(time.RFC3339), e.cause)
}

func (e *downError) Is(target error) bool {
	return target == ErrChannelDown || target == cloud.ErrUnavailable
}

func (e *downError) As(target any) bool { return errors.As(e.cause, target) }

// check says whether the channel may be used. When its time has come it lets
// one call pass, and the next only after another wait.
func (h *health) check(channel string, u use) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.down[channel]
	if !ok || u == useProbe || o.writes && u != useWrite {
		return nil
	}
	if now := time.Now(); !now.Before(o.until) {
		o.probed, o.until = true, now.Add(o.wait)
		return nil
	}
	return &downError{channel, o.since, o.cause}
}

// note learns from the end of a call, and adds to its error that the channel
// is down.
func (h *health) note(channel string, u use, err error) error {
	if channel == "" {
		return err
	}
	api, refused := errors.AsType[*APIError](err)
	h.mu.Lock()
	defer h.mu.Unlock()
	o, known := h.down[channel]
	if err == nil {
		if known && (!o.writes || u == useWrite) && u != useOther {
			delete(h.down, channel)
			h.log.Info("channel is up again", "channel", channel)
		}
		return nil
	}
	if !refused {
		return err
	}
	var writes bool
	switch {
	case api.Code == CodeUnknownChannel, api.Code == codeUnknownGuild, api.Code == codeMissingAccess:
	case api.Code == codeMissingPermission && u == useWrite:
		writes = true
	case api.Code == codeMissingPermission && u == useRead:
	default:
		return err
	}
	now := time.Now()
	if !known {
		if h.down == nil {
			h.down = make(map[string]*outage)
		}
		o = &outage{since: now, wait: downFirst, writes: writes}
		h.down[channel] = o
		h.log.Error("channel is down: it is deleted, or the bot lacks a permission in it",
			"channel", channel, "status", api.Status, "code", api.Code, "writes_only", writes)
	}
	if o.probed {
		o.probed, o.wait = false, min(2*o.wait, downMost)
	}
	o.cause, o.until, o.writes = api, now.Add(o.wait), o.writes && writes
	return fmt.Errorf("%w: %w", ErrChannelDown, err)
}

// ChannelState is a channel that is down.
type ChannelState struct {
	ID     string    `json:"id"`
	Since  time.Time `json:"since"`
	Again  time.Time `json:"again"` // when it will be tried
	Code   int       `json:"code"`  // Discord's reason
	Writes bool      `json:"writes_only"`
}

func (h *health) state() []ChannelState {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]ChannelState, 0, len(h.down))
	for id, o := range h.down {
		all = append(all, ChannelState{ID: id, Since: o.since, Again: o.until, Code: o.cause.Code, Writes: o.writes})
	}
	slices.SortFunc(all, func(a, b ChannelState) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// unusable is an error if posting to the channel would not be tried now. Unlike
// check it changes nothing.
func (h *health) unusable(channel string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, ok := h.down[channel]; ok && time.Now().Before(o.until) {
		return &downError{channel, o.since, o.cause}
	}
	return nil
}

// breaker counts the answers that count towards a ban, over ten minutes, and
// opens long before Discord's 10,000. It closes when half of them are past.
type breaker struct {
	most int
	log  *slog.Logger

	mu     sync.Mutex
	counts [breakerParts]int
	at     time.Time // start of the part that is counted into
	part   int
	open   bool
}

const (
	breakerParts = 120
	breakerPart  = 10 * time.Minute / breakerParts
)

func (b *breaker) turn(now time.Time) {
	if b.at.IsZero() || now.Sub(b.at) >= breakerParts*breakerPart {
		clear(b.counts[:])
		b.at = now
		return
	}
	for now.Sub(b.at) >= breakerPart {
		b.at = b.at.Add(breakerPart)
		b.part = (b.part + 1) % breakerParts
		b.counts[b.part] = 0
	}
}

func (b *breaker) sum() int {
	var n int
	for _, c := range b.counts {
		n += c
	}
	return n
}

// count counts one invalid request, and reports whether the breaker opened.
func (b *breaker) count(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	b.counts[b.part]++
	if n := b.sum(); !b.open && n >= b.most {
		b.open = true
		b.log.Error("too many refused requests: all calls stop until they are past, lest Discord bans this address",
			"refused", n, "limit", b.most)
	}
}

// check is an error while the breaker is open, with the time until the next
// part of its memory is past.
func (b *breaker) check(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	if !b.open {
		return nil
	}
	n := b.sum()
	if n <= b.most/2 {
		b.open = false
		b.log.Warn("calls to Discord go on", "refused", n)
		return nil
	}
	return fmt.Errorf("%w: %d refused requests within ten minutes, waiting lest Discord bans this address",
		cloud.ErrUnavailable, n)
}

func (b *breaker) state(now time.Time) (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	return b.sum(), b.open
}
