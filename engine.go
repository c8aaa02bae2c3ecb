package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"

	"discordcloud/manager"
	"discordcloud/pkg/blob/cacheblob"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/config"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/sandbox"
)

// engine is this process's way to Discord: a client for each bot token, and the
// store on them. Everything in the process shares it, as it shares the limits.
type engine struct {
	settings discordSettings
	pool     *discord.Pool
	posts    *discordblob.Store
	cache    *cacheblob.Cache // nil if there is none
	log      *slog.Logger
}

func openEngine(dis discordSettings, log *slog.Logger) (*engine, error) {
	pool, err := discord.OpenPool(discord.Options{
		APIURL: dis.api, CDNURL: dis.cdnURL(), CDNHosts: dis.cdnHosts, AttachmentLimit: dis.limit, Log: log.With("part", "discord"),
	}, discord.ParseTokens(dis.token.Reveal())...)
	if err != nil {
		return nil, misconfigured("DISCORD_BOT_TOKEN: %v", err)
	}
	store, err := discordblob.New(discordblob.Options{Pool: pool, Channels: dis.channels, Log: log.With("part", "blobs")})
	if err != nil {
		return nil, fmt.Errorf("make the store in Discord: %w", err)
	}
	return &engine{settings: dis, pool: pool, posts: store, log: log}, nil
}

// cacheIn puts a cache of so many bytes, below the data folder, in front of the
// store; 0 is none.
func (e *engine) cacheIn(dir string, size int64) (err error) {
	if size == 0 {
		return nil
	}
	e.cache, err = cacheblob.Open(cacheblob.Options{
		Store: e.posts, Dir: filepath.Join(dir, "cache", "sealed"), Size: size, Log: e.log.With("part", "cache"),
	})
	return err
}

// cached is the store behind its cache.
type cached struct {
	*cacheblob.Cache
	posts *discordblob.Store
}

// Limit is the store's.
func (c cached) Limit() int64 { return c.posts.Limit() }

// serve lets a manager stand on the engine.
func (e *engine) serve(cfg *manager.Config) {
	cfg.Blobs, cfg.Messages = e.posts, e.posts
	cfg.Discord = manager.Discord{
		Token: e.settings.token, Channels: e.settings.channels, API: e.settings.api, CDNHosts: e.settings.cdnHosts,
		PerSecond: discord.DefaultPerSecond, SetPerSecond: e.pool.SetPerSecond, LimitFell: e.pool.LimitFell,
	}
	cfg.Reaches = e.reaches
	cfg.Debug = map[string]func() any{
		"discord": func() any { return e.pool.State() },
		"blobs":   func() any { return e.posts.State() },
	}
	if e.cache != nil {
		cfg.Blobs = cached{e.cache, e.posts}
		cfg.Debug["cache"] = func() any { return e.cache.State() }
	}
}

// reaches tells what is wrong with the way to Discord, "" for nothing.
func (e *engine) reaches() (problem, detail string) {
	for _, b := range e.pool.State().Bots {
		switch {
		case b.Blocked:
			return "blocked", b.Bot // its token is refused
		case b.Breaker.Open:
			return "refused", fmt.Sprintf("%d/%d", b.Breaker.Refused, b.Breaker.Limit)
		case len(b.Channels) > 0:
			return "channel-down", b.Channels[0].ID
		}
	}
	return "", ""
}

// run keeps up with what the guild allows until ctx ends.
func (e *engine) run(ctx context.Context) error {
	if e.settings.limit == 0 {
		return e.pool.Follow(ctx, e.settings.channels, mostAttachment)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// cdnURL is the base of attachment links: the API's own host where that is not
// Discord, as a sandbox serves both.
func (d discordSettings) cdnURL() string {
	if d.api == "" {
		return ""
	}
	u, err := url.Parse(d.api)
	if err != nil {
		return ""
	}
	if len(d.cdnHosts) > 0 {
		return u.Scheme + "://" + d.cdnHosts[0]
	}
	return u.Scheme + "://" + u.Host
}

func (d *discordSettings) useSandbox(s *sandbox.Server) {
	d.token = config.Secret(s.Token())
	d.channels = s.Channels()
	d.api = s.URL() + "/api/v10"
	d.cdnHosts = []string{strings.TrimPrefix(s.URL(), "http://")}
}
