package discord

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// User is a person or a bot on Discord.
type User struct {
	ID   string `json:"id"`
	Name string `json:"username"`
	Bot  bool   `json:"bot"`
}

// Channel is what this package reads of a channel.
type Channel struct {
	ID    string `json:"id"`
	Guild string `json:"guild_id"`
	Name  string `json:"name"`
	Type  int    `json:"type"` // 0 is a text channel of a guild
}

// Guild is what this package reads of a guild.
type Guild struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	PremiumTier int    `json:"premium_tier"` // 0 to 3
}

// AttachmentLimit is what the guild's boosts allow for one attachment, in
// bytes; 0 if they add nothing to the default.
func (g Guild) AttachmentLimit() int64 {
	switch g.PremiumTier {
	case 2:
		return 50 << 20
	case 3:
		return 100 << 20
	default:
		return 0
	}
}

// Me is the bot itself: the way to try a token.
func (c *Client) Me(ctx context.Context) (User, error) {
	var u User
	if err := c.call(ctx, request{method: http.MethodGet, route: routeMe, path: "users/@me"}, &u); err != nil {
		return User{}, fmt.Errorf("read the bot's user: %w", err)
	}
	return u, nil
}

// Channel reads a channel. It asks Discord even if the channel is down, and a
// channel that answers is up again.
func (c *Client) Channel(ctx context.Context, id string) (Channel, error) {
	var ch Channel
	err := c.call(ctx, request{
		method: http.MethodGet, route: routeChannel, channel: id, path: "channels/" + url.PathEscape(id), use: useProbe,
	}, &ch)
	if err != nil {
		return Channel{}, fmt.Errorf("read channel %s: %w", id, err)
	}
	return ch, nil
}

// Guild reads a guild.
func (c *Client) Guild(ctx context.Context, id string) (Guild, error) {
	var g Guild
	err := c.call(ctx, request{
		method: http.MethodGet, route: routeGuild, guild: id, path: "guilds/" + url.PathEscape(id),
	}, &g)
	if err != nil {
		return Guild{}, fmt.Errorf("read guild %s: %w", id, err)
	}
	return g, nil
}
