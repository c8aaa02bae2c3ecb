package discord

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// SetAttachmentLimit is as of Client, for all tokens.
func (p *Pool) SetAttachmentLimit(bytes int64) { p.clients[0].SetAttachmentLimit(bytes) }

// LimitFell is as of Client, for all tokens.
func (p *Pool) LimitFell(bytes int64) { p.clients[0].LimitFell(bytes) }

// GuildLimit asks what the guilds of the channels allow for one attachment, by
// their boosts: the least of them, in bytes. It fails if one of them does not
// tell.
func (p *Pool) GuildLimit(ctx context.Context, channels []string) (int64, error) {
	least := int64(0)
	known := make(map[string]bool) // guilds
	for _, id := range channels {
		var ch Channel
		err := p.each(nil, func(c *Client) (err error) { ch, err = c.Channel(ctx, id); return err })
		if err != nil {
			return 0, fmt.Errorf("limit of attachments: %w", err)
		}
		if known[ch.Guild] {
			continue
		}
		known[ch.Guild] = true
		var g Guild
		err = p.each(nil, func(c *Client) (err error) { g, err = c.Guild(ctx, ch.Guild); return err })
		if err != nil {
			return 0, fmt.Errorf("limit of attachments: %w", err)
		}
		if limit := max(g.AttachmentLimit(), DefaultAttachmentLimit); least == 0 || limit < least {
			least = limit
		}
	}
	if least == 0 {
		return 0, errors.New("limit of attachments: no channel")
	}
	return least, nil
}

// followEvery is how often Follow looks: guilds gain and lose boosts.
const followEvery = time.Hour

// Follow keeps the attachment limit at what the guilds of the channels allow,
// and at most at most, until ctx ends; it returns its cause. As long as they do
// not tell, the limit stays what it is.
func (p *Pool) Follow(ctx context.Context, channels []string, most int64) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	log := p.clients[0].log
	last := p.Limits().Attachment
	for {
		limit, err := p.GuildLimit(ctx, channels)
		if limit = min(limit, most); err != nil {
			log.DebugContext(ctx, "guilds do not tell their limit", "err", err)
		} else if limit != last {
			log.InfoContext(ctx, "limit of attachments", "bytes", limit)
			p.SetAttachmentLimit(limit)
			last = limit
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
