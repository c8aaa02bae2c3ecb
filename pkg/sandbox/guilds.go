package sandbox

import (
	"context"
	"net/http"
	"time"
)

// allPermissions is every bit that Discord has given out.
const allPermissions = "9007199254740991"

func (s *Server) getMe(c *call) error {
	return c.json(http.StatusOK, struct {
		userJSON
		Flags      int    `json:"flags"`
		MFAEnabled bool   `json:"mfa_enabled"`
		Verified   bool   `json:"verified"`
		Locale     string `json:"locale"`
	}{botUser(c.bot), 0, true, true, "en-US"})
}

func (s *Server) getUser(c *call) error {
	i, err := c.pathID("user")
	if err != nil {
		return err
	}
	b := s.botByID(i)
	if b == nil {
		return fail(http.StatusNotFound, 10013)
	}
	return c.json(http.StatusOK, botUser(b))
}

func (s *Server) getMyGuilds(c *call) error {
	g, _, err := s.loadGuildRow(c.r.Context(), s.store.read, s.guild)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, []map[string]any{{
		"id": g.id, "name": g.name, "icon": nil, "banner": nil, "owner": g.owner == c.bot.id, "permissions": allPermissions, "features": []string{},
	}})
}

// applicationFlags tell of the MESSAGE_CONTENT intent.
func applicationFlags(b *bot) int {
	if b.content {
		return 1<<18 | 1<<19
	}
	return 0
}

func (s *Server) getApplication(c *call) error {
	b := c.bot
	return c.json(http.StatusOK, map[string]any{
		"id": b.id, "name": b.name, "icon": nil, "description": "", "bot_public": false, "bot_require_code_grant": false,
		"verify_key": "", "flags": applicationFlags(b), "bot": botUser(b), "owner": botUser(b), "team": nil, "summary": "",
		"rpc_origins": []string{},
	})
}

// pathGuild checks the guild of the path.
func (c *call) pathGuild() (guild, error) {
	i, err := c.pathID("guild")
	if err != nil {
		return guild{}, err
	}
	g, ok, err := c.s.loadGuildRow(c.r.Context(), c.s.store.read, i)
	if err == nil && !ok {
		err = fail(http.StatusNotFound, 10004)
	}
	return g, err
}

func (s *Server) getGuild(c *call) error {
	g, err := c.pathGuild()
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, guildScalars(g))
}

// guildScalars are the fields of a guild that hold no lists of others, and its
// one role, @everyone.
func guildScalars(g guild) map[string]any {
	return map[string]any{
		"id": g.id, "name": g.name, "icon": nil, "splash": nil, "discovery_splash": nil, "banner": nil, "description": nil, "owner_id": g.owner,
		"region": "deprecated", "afk_channel_id": nil, "afk_timeout": 300, "verification_level": 0, "default_message_notifications": 0,
		"explicit_content_filter": 0, "mfa_level": 0, "application_id": nil, "system_channel_id": nil, "system_channel_flags": 0,
		"rules_channel_id": nil, "public_updates_channel_id": nil, "safety_alerts_channel_id": nil, "vanity_url_code": nil,
		"premium_tier": g.tier, "premium_subscription_count": 0, "preferred_locale": "en-US", "nsfw_level": 0,
		"premium_progress_bar_enabled": false, "max_members": 500000, "max_presences": nil, "widget_enabled": false, "incidents_data": nil,
		"features": []string{}, "emojis": []any{}, "stickers": []any{},
		"roles": []map[string]any{{
			"id": g.id, "name": "@everyone", "color": 0, "colors": map[string]any{"primary_color": 0, "secondary_color": nil, "tertiary_color": nil},
			"hoist": false, "icon": nil, "unicode_emoji": nil, "position": 0, "permissions": allPermissions, "managed": false,
			"mentionable": false, "flags": 0,
		}},
	}
}

// guildCreate is the guild as the gateway presents it.
func (s *Server) guildCreate(ctx context.Context) (map[string]any, error) {
	g, _, err := s.loadGuildRow(ctx, s.store.read, s.guild)
	if err != nil {
		return nil, err
	}
	channels, err := s.channelsJSON(ctx, g.id)
	if err != nil {
		return nil, err
	}
	out := guildScalars(g)
	members := []any{}
	for _, b := range s.allBots() {
		members = append(members, member(b))
	}
	for key, v := range map[string]any{
		"channels": channels, "members": members, "member_count": len(members), "joined_at": stamp(g.id.time()), "large": false,
		"unavailable": false, "voice_states": []any{}, "presences": []any{}, "threads": []any{}, "stage_instances": []any{},
		"guild_scheduled_events": []any{}, "soundboard_sounds": []any{},
	} {
		out[key] = v
	}
	return out, nil
}

func member(b *bot) map[string]any {
	m := partialMember(b.id)
	m["user"] = botUser(b)
	return m
}

// partialMember is a member without the user, as in message events.
func partialMember(i id) map[string]any {
	return map[string]any{
		"nick": nil, "avatar": nil, "banner": nil, "roles": []string{}, "joined_at": stamp(i.time()), "premium_since": nil, "deaf": false,
		"mute": false, "flags": 0, "pending": false, "communication_disabled_until": nil,
	}
}

func (s *Server) getMember(c *call) error {
	if _, err := c.pathGuild(); err != nil {
		return err
	}
	i, err := c.pathID("user")
	if err != nil {
		return err
	}
	b := s.botByID(i)
	if b == nil {
		return fail(http.StatusNotFound, 10007)
	}
	return c.json(http.StatusOK, member(b))
}

func (s *Server) getGuildChannels(c *call) error {
	g, err := c.pathGuild()
	if err != nil {
		return err
	}
	list, err := s.channelsJSON(c.r.Context(), g.id)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, list)
}

func (s *Server) getGateway(c *call) error {
	return c.json(http.StatusOK, map[string]any{"url": s.gatewayURL()})
}

func (s *Server) getGatewayBot(c *call) error {
	left, reset := s.hub.identifiesLeft(c.bot.id)
	return c.json(http.StatusOK, map[string]any{
		"url": s.gatewayURL(), "shards": 1,
		"session_start_limit": map[string]any{
			"total": identifiesPerDay, "remaining": left, "reset_after": int64(reset / time.Millisecond), "max_concurrency": 1,
		},
	})
}
