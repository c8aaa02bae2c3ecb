package upload

import (
	"io"
	"log/slog"
	"net/url"
	"sync"

	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/packet"
)

// lent is a store with the number of those who use it. When the manager has
// configured another one, the last of them closes it.
type lent struct {
	Store
	log *slog.Logger

	mu      sync.Mutex
	users   int
	retired bool
}

// use must be followed by done. It is not called on a retired store: the
// Service hands out the one in force under its lock.
func (l *lent) use() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
}

func (l *lent) done() {
	l.mu.Lock()
	l.users--
	last := l.retired && l.users == 0
	l.mu.Unlock()
	if last {
		l.close()
	}
}

// retire lets the store be closed once nobody uses it. nil has nothing to close.
func (l *lent) retire() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.retired = true
	idle := l.users == 0
	l.mu.Unlock()
	if idle {
		l.close()
	}
}

func (l *lent) close() {
	if c, ok := l.Store.(io.Closer); ok {
		if err := c.Close(); err != nil {
			l.log.Warn("store not closed properly", "err", err)
		}
	}
}

// borrow gives the store in force, nil if there is none. It must be given back
// by done.
func (s *Service) borrow() *lent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		s.store.use()
	}
	return s.store
}

// lowered is the limit of attachments, in bytes, where the store has found it to be
// less than the manager said; otherwise 0.
func (s *Service) lowered() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return 0
	}
	if limit := s.store.Limit(); limit < s.configured.AttachmentLimit {
		return limit
	}
	return 0
}

// openDiscord makes the store that a configuration of the manager describes.
func openDiscord(log *slog.Logger) func(packet.Configure) (Store, error) {
	return func(p packet.Configure) (Store, error) {
		pool, err := discord.OpenPool(discord.Options{
			APIURL:          p.DiscordAPIURL,
			CDNURL:          cdnURL(p),
			CDNHosts:        p.DiscordCDNHosts,
			AttachmentLimit: p.AttachmentLimit,
			PerSecond:       perSecond(p),
			Log:             log,
		}, discord.ParseTokens(string(p.DiscordBotToken))...)
		if err != nil {
			return nil, cloud.UserErrorf(cloud.ErrInvalid, "%v", err)
		}
		store, err := discordblob.New(discordblob.Options{Pool: pool, Channels: p.DiscordChannelIDs, Log: log})
		if err != nil {
			pool.Close()
			return nil, cloud.UserErrorf(cloud.ErrInvalid, "%v", err)
		}
		return &discordStore{Store: store, pool: pool}, nil
	}
}

// Adjuster is a Store that takes other limits while it is open: those of a
// configuration that differs in nothing else.
type Adjuster interface{ Adjust(packet.Configure) }

// perSecond is the share of the tokens' requests.
func perSecond(p packet.Configure) int {
	if p.RequestsPerSecond == nil {
		return discord.DefaultPerSecond
	}
	return int(*p.RequestsPerSecond)
}

// cdnURL is where attachments are, for an API that is not Discord's own: on the
// first of the configured hosts, reached as the API is. "" is Discord's.
func cdnURL(p packet.Configure) string {
	api, err := url.Parse(p.DiscordAPIURL)
	if err != nil || p.DiscordAPIURL == "" {
		return "" // a wrong address is refused with the other options
	}
	host := api.Host
	if len(p.DiscordCDNHosts) > 0 {
		host = p.DiscordCDNHosts[0]
	}
	return api.Scheme + "://" + host
}

// discordStore is a store with the clients that belong to it.
type discordStore struct {
	*discordblob.Store
	pool *discord.Pool
}

var (
	_ Store     = (*discordStore)(nil)
	_ io.Closer = (*discordStore)(nil)
	_ Adjuster  = (*discordStore)(nil)
)

// Adjust takes the limits of a configuration.
func (s *discordStore) Adjust(p packet.Configure) {
	s.pool.SetAttachmentLimit(p.AttachmentLimit)
	s.pool.SetPerSecond(perSecond(p))
}

// Close ends what is under way.
func (s *discordStore) Close() error {
	err := s.Store.Close()
	s.pool.Close()
	return err
}
