package sandbox

import (
	"context"
	"fmt"
	"time"
)

// settings is a consistent view of what can be set while the server runs.
type settings struct {
	mode     Mode
	scale    float64
	limits   Limits // resolved
	lifetime time.Duration
}

func (s *Server) settings() settings {
	s.setMu.RLock()
	defer s.setMu.RUnlock()
	return settings{s.mode, s.scale, s.set.resolve(s.mode), s.lifetime}
}

// scaled is how long a rate limit's period lasts here.
func (set settings) scaled(d time.Duration) time.Duration {
	return max(time.Duration(float64(d)/set.scale), time.Nanosecond)
}

// SetMode changes the mode. Windows that are open stay so.
func (s *Server) SetMode(m Mode) {
	s.setMu.Lock()
	defer s.setMu.Unlock()
	s.mode = m
}

// SetScale changes how much faster than on Discord rate limit windows pass.
// It panics if f is not positive.
func (s *Server) SetScale(f float64) {
	if !(f > 0) {
		panic("sandbox: scale is not positive")
	}
	s.setMu.Lock()
	defer s.setMu.Unlock()
	s.scale = f
}

// SetLimits replaces the limits; a zero in l is the default.
func (s *Server) SetLimits(l Limits) {
	s.setMu.Lock()
	defer s.setMu.Unlock()
	s.set = l
}

// Limits are those in force, with defaults filled in.
func (s *Server) Limits() Limits { return s.settings().limits }

// SetFileLimit bounds the size of one attachment, in bytes; 0 leaves it to the
// boost tier again.
func (s *Server) SetFileLimit(bytes int64) {
	s.setMu.Lock()
	defer s.setMu.Unlock()
	s.set.FileSize = bytes
}

// SetLinkLifetime changes how long links live that are issued from now on; 0
// stands for 24 hours.
func (s *Server) SetLinkLifetime(d time.Duration) {
	s.setMu.Lock()
	defer s.setMu.Unlock()
	s.lifetime = Config{LinkLifetime: d}.withDefaults().LinkLifetime
}

// SetLink changes the quality of the connections of Start and Serve, those
// that are open included.
func (s *Server) SetLink(l Link) { s.link.Store(&l) }

// SetBoostTier sets the guild's tier, 0 to 3.
func (s *Server) SetBoostTier(tier int) error {
	if tier < 0 || tier > 3 {
		return fmt.Errorf("boost tier %d is not in [0, 3]", tier)
	}
	return s.store.update(s.ctx, func(c *change) error {
		_, err := c.ExecContext(s.ctx, `UPDATE guilds SET tier = ? WHERE id = ?`, tier, s.guild)
		return err
	})
}

// AddBot makes another bot in the guild and returns its token, without "Bot ".
func (s *Server) AddBot(name string) (token string, err error) {
	var b *bot
	if err := s.store.update(s.ctx, func(c *change) error {
		var err error
		b, err = s.makeBot(s.ctx, c, name, "")
		return err
	}); err != nil {
		return "", fmt.Errorf("add bot: %w", err)
	}
	s.addBot(b)
	return b.token, nil
}

// SetMessageContent switches the MESSAGE_CONTENT intent of a token's bot,
// which is on for new bots. Without it the bot gets others' messages without
// text and attachments.
func (s *Server) SetMessageContent(token string, on bool) error {
	b := s.botByToken(token)
	if b == nil {
		return fmt.Errorf("set message content: no bot has this token")
	}
	if err := s.store.update(s.ctx, func(c *change) error {
		_, err := c.ExecContext(s.ctx, `UPDATE bots SET content = ? WHERE id = ?`, on, b.id)
		return err
	}); err != nil {
		return fmt.Errorf("set message content: %w", err)
	}
	changed := *b
	changed.content = on
	s.replaceBot(&changed)
	return nil
}

// RevokeToken makes a bot's token invalid and returns the bot's new one. Its
// gateway sessions end with 4004.
func (s *Server) RevokeToken(token string) (newer string, err error) {
	b := s.botByToken(token)
	if b == nil {
		return "", fmt.Errorf("revoke token: no bot has it")
	}
	changed := *b
	changed.token = newToken(b.id)
	if err := s.store.update(s.ctx, func(c *change) error {
		_, err := c.ExecContext(s.ctx, `UPDATE bots SET token = ? WHERE id = ?`, changed.token, b.id)
		return err
	}); err != nil {
		return "", fmt.Errorf("revoke token: %w", err)
	}
	s.replaceBot(&changed)
	s.hub.expel(b.id)
	return changed.token, nil
}

// replaceBot puts a changed copy in a bot's place. Bots in the maps are never
// written to, so that calls may keep them.
func (s *Server) replaceBot(b *bot) {
	s.botMu.Lock()
	defer s.botMu.Unlock()
	delete(s.tokens, s.bots[b.id].token)
	s.bots[b.id], s.tokens[b.token] = b, b
	if s.first.id == b.id {
		s.first = b
	}
}

func (s *Server) botByToken(token string) *bot {
	s.botMu.RLock()
	defer s.botMu.RUnlock()
	return s.tokens[token]
}

func (s *Server) botByID(i id) *bot {
	s.botMu.RLock()
	defer s.botMu.RUnlock()
	return s.bots[i]
}

func (s *Server) allBots() []*bot {
	s.botMu.RLock()
	defer s.botMu.RUnlock()
	list := make([]*bot, 0, len(s.bots))
	for _, b := range s.bots {
		list = append(list, b)
	}
	return list
}

func (s *Server) loadGuildRow(ctx context.Context, q querier, i id) (guild, bool, error) {
	return one(ctx, q, scanGuild, `SELECT id, name, owner, tier FROM guilds WHERE id = ?`, i)
}
