package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the sandbox. It is safe for concurrent use.
type Server struct {
	cfg    Config
	log    *slog.Logger
	dir    string
	owned  bool // dir is temporary
	store  *store
	files  *files
	ids    *idSource
	secret []byte
	routes *router
	limits *limiter
	faults *Faults
	stats  *counters
	hub    *hub
	link   atomic.Pointer[Link]
	public atomic.Pointer[string]
	guild  id

	setMu    sync.RWMutex
	mode     Mode
	scale    float64
	set      Limits // as set, unresolved
	lifetime time.Duration

	botMu  sync.RWMutex
	bots   map[id]*bot
	tokens map[string]*bot
	first  *bot

	hideMu sync.Mutex
	hidden map[id]time.Time // messages that lag, until when

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // listeners of Start
	gate   sync.RWMutex   // held by requests, so that the store outlives them
	closed bool
}

// Open opens or makes the store of cfg.Dir. On an empty store it makes one
// guild, cfg.Channels text channels and one bot that owns them. The caller
// closes the server.
func Open(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, log: cfg.Log, dir: cfg.Dir,
		ids:    &idSource{now: cfg.Now},
		faults: newFaults(cfg.Seed),
		stats:  newCounters(),
		mode:   cfg.Mode, scale: cfg.Scale, set: cfg.Limits, lifetime: cfg.LinkLifetime,
		bots: map[id]*bot{}, tokens: map[string]*bot{}, hidden: map[id]time.Time{},
	}
	s.limits = newLimiter(cfg.Now)
	s.link.Store(&Link{})
	if cfg.PublicURL != "" {
		s.public.Store(new(strings.TrimRight(cfg.PublicURL, "/")))
	}
	routes, err := s.newRouter(cfg.Handlers)
	if err != nil {
		return nil, fmt.Errorf("open sandbox: %w", err)
	}
	s.routes = routes
	if err := s.openStore(); err != nil {
		return nil, fmt.Errorf("open sandbox: %w", err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hub = newHub(s)
	return s, nil
}

func (s *Server) openStore() (err error) {
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "discord-sandbox-"); err != nil {
			return err
		}
		s.owned = true
	}
	defer func() {
		if err != nil {
			if s.store != nil {
				_ = s.store.close() // the first error tells more
			}
			if s.owned {
				_ = os.RemoveAll(s.dir) // likewise
			}
		}
	}()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if s.store, err = openStore(s.dir, !s.cfg.NoSync); err != nil {
		return err
	}
	if s.files, err = openFiles(filepath.Join(s.dir, "attachments"), !s.cfg.NoSync); err != nil {
		return err
	}
	return s.load(context.Background())
}

// load reads what is kept in memory, and makes what an empty store lacks.
func (s *Server) load(ctx context.Context) error {
	return s.store.update(ctx, func(c *change) error {
		last, err := s.store.meta(ctx, c, "last_id")
		if err != nil {
			return err
		}
		if i, ok := parseID(last); ok {
			s.ids.seen(i)
		}
		if err := s.loadSecret(ctx, c); err != nil {
			return err
		}
		if err := s.loadBots(ctx, c); err != nil {
			return err
		}
		if err := s.loadGuild(ctx, c); err != nil {
			return err
		}
		// A run that was not closed may have left files without a row.
		dirty, err := s.store.meta(ctx, c, "open")
		if err != nil {
			return err
		}
		if dirty == "1" {
			known := func(i id) (bool, error) {
				var n int
				err := c.QueryRowContext(ctx, `SELECT count(*) FROM attachments WHERE id = ?`, i).Scan(&n)
				return n > 0, err
			}
			if err := s.files.sweep(known); err != nil {
				return err
			}
		}
		return c.setMeta(ctx, "open", "1")
	})
}

func (s *Server) loadSecret(ctx context.Context, c *change) error {
	kept, err := s.store.meta(ctx, c, "secret")
	if err != nil {
		return err
	}
	if kept != "" {
		s.secret, err = hex.DecodeString(kept)
		return err
	}
	s.secret = make([]byte, 32)
	_, _ = rand.Read(s.secret) // never fails
	return c.setMeta(ctx, "secret", hex.EncodeToString(s.secret))
}

func (s *Server) loadBots(ctx context.Context, c *change) error {
	bots, err := collect(ctx, c, scanBot, `SELECT `+botColumns+` FROM bots ORDER BY id`)
	if err != nil {
		return err
	}
	if len(bots) == 0 {
		b, err := s.makeBot(ctx, c, "sandbox", s.cfg.Token)
		if err != nil {
			return err
		}
		bots = append(bots, b)
	} else if t := s.cfg.Token; t != "" && bots[0].token != t {
		if _, err := c.ExecContext(ctx, `UPDATE bots SET token = ? WHERE id = ?`, t, bots[0].id); err != nil {
			return err
		}
		bots[0].token = t
	}
	for _, b := range bots {
		s.addBot(b)
	}
	s.first = bots[0]
	return nil
}

func (s *Server) makeBot(ctx context.Context, c *change, name, token string) (*bot, error) {
	b := &bot{id: s.ids.next(), name: name, token: token, content: true}
	if b.token == "" {
		b.token = newToken(b.id)
	} else if named, ok := botOf(b.token); ok && named < b.id {
		b.id = named // clients know by it which messages are theirs
	}
	if _, err := c.ExecContext(ctx, `INSERT INTO bots (`+botColumns+`) VALUES (?, ?, ?, ?)`, b.id, b.name, b.token, b.content); err != nil {
		return nil, err
	}
	return b, c.keepID(ctx, b.id)
}

// botOf is the id that a token of Discord's shape begins with.
func botOf(token string) (id, bool) {
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(first, "="))
	if err != nil {
		return 0, false
	}
	return parseID(string(text))
}

// newToken has the shape of Discord's: the id, a part for the time, a MAC.
func newToken(bot id) string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(bot.String())) + "." + b64(raw)[:6] + "." + b64(raw[4:])[:37]
}

func (s *Server) addBot(b *bot) {
	s.botMu.Lock()
	defer s.botMu.Unlock()
	s.bots[b.id] = b
	if b.token != "" {
		s.tokens[b.token] = b
	}
}

func (s *Server) loadGuild(ctx context.Context, c *change) error {
	g, ok, err := one(ctx, c, scanGuild, `SELECT id, name, owner, tier FROM guilds ORDER BY id LIMIT 1`)
	if err != nil || ok {
		s.guild = g.id
		return err
	}
	s.guild = s.ids.next()
	if _, err := c.ExecContext(ctx, `INSERT INTO guilds VALUES (?, 'discord-cloud sandbox', ?, 0)`, s.guild, s.first.id); err != nil {
		return err
	}
	for i := range s.cfg.Channels {
		ch := channel{id: s.ids.next(), guild: s.guild, name: fmt.Sprintf("channel-%d", i+1), position: i, overwrites: []byte("[]")}
		if err := c.putChannel(ctx, ch); err != nil {
			return err
		}
	}
	return c.keepID(ctx, s.ids.next())
}

// Handler serves everything: REST under /api, the CDN under /attachments, the
// gateway under /gateway, the sandbox's own controls under /sandbox. Settings of
// Link need Serve or Start.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Start listens on addr, such as "127.0.0.1:0", and serves until Close. It
// returns the server's address as URL does.
func (s *Server) Start(addr string) (url string, err error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("start sandbox: %w", err)
	}
	s.publish(ln)
	s.wg.Go(func() {
		if err := s.Serve(s.ctx, ln); err != nil {
			s.log.Error("listener failed", "err", err)
		}
	})
	return s.URL(), nil
}

// publish makes a listener's address the public one if there is none yet.
func (s *Server) publish(ln net.Listener) {
	s.public.CompareAndSwap(nil, new("http://"+ln.Addr().String()))
}

// Serve serves on ln until ctx ends or the server is closed, then closes
// ln and every connection.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.publish(ln)
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.ctx, stop)()
	srv.BaseContext = func(net.Listener) context.Context { return ctx } // gateway connections end with it
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		_ = srv.Close() // the listener's error is Serve's to tell
	})
	err := srv.Serve(linkListener{ln, &s.link})
	stop()
	wg.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve sandbox: %w", err)
}

// URL is the server's public address without a trailing slash, such as
// "http://127.0.0.1:4711"; the API's base is URL()+"/api/v10". It is empty until
// the server knows one.
func (s *Server) URL() string {
	if p := s.public.Load(); p != nil {
		return *p
	}
	return ""
}

// Token is the first bot's token, without "Bot ".
func (s *Server) Token() string {
	s.botMu.RLock()
	defer s.botMu.RUnlock()
	return s.first.token
}

// GuildID is the id of the guild that an empty store begins with.
func (s *Server) GuildID() string { return s.guild.String() }

// Channels are the ids of the guild's text channels, oldest first. It is nil
// after Close.
func (s *Server) Channels() []string {
	list, err := collect(s.ctx, s.store.read, scanChannel,
		`SELECT `+channelColumns+` FROM channels WHERE guild = ? AND kind = 0 ORDER BY id`, s.guild)
	if err != nil {
		s.log.Error("list of channels", "err", err)
	}
	var ids []string
	for _, c := range list {
		ids = append(ids, c.id.String())
	}
	return ids
}

// Faults is the server's fault script.
func (s *Server) Faults() *Faults { return s.faults }

// Close ends listeners, gateway connections and requests, waits for them, and
// closes the store. It removes a temporary directory. Whoever serves Handler
// closes that server first.
func (s *Server) Close() error {
	s.cancel()
	s.wg.Wait()
	s.gate.Lock()
	s.closed = true
	s.gate.Unlock()
	err := s.store.update(context.Background(), func(c *change) error {
		return c.setMeta(context.Background(), "open", "0")
	})
	err = errors.Join(err, s.store.close())
	if s.owned {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
