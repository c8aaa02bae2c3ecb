// Package manager is the process that owns the database. It wires its parts
// together and runs them; what they do is theirs. Clients and services reach
// it on one port.
package manager

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/manager/internal/api"
	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dav"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/gc"
	"discordcloud/manager/internal/hub"
	"discordcloud/manager/internal/mail"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/manager/internal/peers"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/bucketblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/object"
	"discordcloud/pkg/packet"
)

// Blobs is the store of sealed chunks as the manager needs it: with the limit
// of one attachment that is in force, in bytes.
type Blobs interface {
	blob.Store
	Limit() int64
}

// Discord says where services post to. Blobs must read what they post.
type Discord struct {
	Token    config.Secret
	Channels []string
	API      string // "" for Discord's own
	CDN      string
	CDNHosts []string
	// PerSecond is how many requests a second a token may make, SetPerSecond is
	// told how many of them Blobs may: see dispatch.ServiceConfig.
	PerSecond    int
	SetPerSecond func(int)
	// LimitFell makes Blobs follow a lower limit of attachments that a service
	// elsewhere has found.
	LimitFell func(int64)
}

// Config is everything that a manager is made of. Zero values are defaults
// where that is said.
type Config struct {
	DataDir         string
	Database        Database     // SQLite in DataDir if it is zero
	Listener        net.Listener // closed when the manager ends
	PublicURL       string       // "" to derive it from requests
	PageOrigins     []string
	TrustedProxies  []string
	LegacyQueryAuth bool
	DAVOverHTTP     bool          // app passwords over plain HTTP from other machines
	DAVRefuse       []string      // patterns of names that WebDAV clients may not make
	Grace           time.Duration // for running transfers when stopping

	ServicePassword config.Secret
	Private         *rsa.PrivateKey
	Public          *rsa.PublicKey
	Keys            crypt.Ring

	Discord Discord
	Blobs   Blobs
	Read    object.Limits

	// Mail says by which server mail is sent; without a URL there is none.
	Mail Mail
	// OpenID is another provider of sign-ins; without an Issuer there is none.
	OpenID OpenID

	// Retention says what is kept of what people delete and replace.
	Retention Retention
	// Collect says how messages are deleted that nothing refers to; Messages does
	// it, in Discord. Without it nothing is.
	Collect  Collect
	Messages gc.Messages

	// ThumbnailStore is where new thumbnails go: "discord" for Blobs, "disk" for
	// DataDir, "supabase" for ThumbnailBucket, which is none if it is zero.
	ThumbnailStore  string
	ThumbnailBucket bucketblob.Options
	ThumbnailCache  int64 // bytes of them that are kept below DataDir in any case
	// ThumbnailFormat is "jpeg", "webp" or "avif"; ThumbnailEncoder makes the
	// latter two, nil for none.
	ThumbnailFormat  string
	ThumbnailEncoder ThumbnailEncoder

	Page   fs.FS
	Mounts map[string]http.Handler // upload handlers of services in this process, by path
	Debug  map[string]func() any   // further facts for administrators
	// Settings are those in force, for administrators; a secret has no value.
	Settings []Setting
	// Reaches tells what is wrong with the way to Discord, in a word and for
	// people; "" for nothing. nil is nothing, too.
	Reaches func() (problem, detail string)
	Version string
	Log     *slog.Logger
}

// Retention says how long what people delete and replace is kept. The zero value
// keeps nothing.
type Retention = meta.Retention

// Collect bounds the deletion of messages: see gc.Collector.
type Collect struct {
	Grace   time.Duration
	Daily   int
	Orphans bool
}

// Manager is an open database with everything around it.
type Manager struct {
	cfg      Config
	started  time.Time
	store    *sqlmeta.Store
	peers    *peers.Group
	bus      *event.Bus
	bridge   *peers.Bridge // nil where there are never other managers
	auth     *auth.Service
	dispatch *dispatch.Dispatcher
	hub      *hub.Hub
	mail     *mail.Mailer // nil without
	thumbs   *thumbs.Thumbs
	dav      *dav.Handler
	expiry   *gc.Expiry
	collect  *gc.Collector
	server   *http.Server
}

// Database says which one a manager uses. The zero value is SQLite in its data folder.
type Database struct {
	URL config.Secret // of a PostgreSQL, or of a Supabase project: https://…
	Key config.Secret // of a Supabase project's service role
}

// overREST tells whether it is reached by calls over HTTP alone.
func (d Database) overREST() bool { return d.Key != "" }

// DatabasePath is where a manager keeps SQLite below its data folder.
func DatabasePath(dataDir string) string { return filepath.Join(dataDir, "discord-cloud.db") }

// IsDatabaseURL tells a URL of a database from the path of a file.
func IsDatabaseURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// database says which one to open: SQLite without a URL.
func database(dataDir string, d Database, log *slog.Logger) sqlmeta.Options {
	return sqlmeta.Options{URL: d.URL.Reveal(), Key: d.Key, Path: DatabasePath(dataDir), Log: part(log, "database")}
}

// New opens the database and checks that the keys are the store's. The caller
// runs it, which closes it, or closes it.
func New(ctx context.Context, cfg Config) (*Manager, error) {
	m := &Manager{cfg: cfg, started: time.Now(), bus: &event.Bus{}}
	store, err := sqlmeta.Open(ctx, database(cfg.DataDir, cfg.Database, cfg.Log))
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	m.store = store
	if err := m.joinPeers(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if err := m.wire(ctx); err != nil {
		return nil, errors.Join(err, m.leave())
	}
	return m, nil
}

// joinPeers makes the manager one of those on the database.
func (m *Manager) joinPeers(ctx context.Context) error {
	var err error
	o := peers.Options{Store: m.store, Keys: m.cfg.secretsSum(), Log: part(m.cfg.Log, "peers")}
	if m.cfg.Database.overREST() { // where each sign of life is a request
		o.Beat, o.Dead = 3*time.Second, 20*time.Second
	}
	m.peers, err = peers.Join(ctx, o)
	if err != nil || m.store.Sole() {
		return err
	}
	m.bridge, err = peers.NewBridge(ctx, peers.BridgeOptions{Bus: m.bus, Store: m.store, Manager: m.peers.ID(), Managers: m.peers.Managers, Log: part(m.cfg.Log, "news")})
	if err != nil {
		return errors.Join(err, m.peers.Leave(context.WithoutCancel(ctx)))
	}
	return nil
}

// leave ends what joinPeers and New have begun.
func (m *Manager) leave() error {
	return errors.Join(m.peers.Leave(context.Background()), m.store.Close())
}

// secretsSum is a digest of what all managers on a database must have the same.
func (c *Config) secretsSum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", c.Keys.IDs()) // a hash takes everything
	if c.Public != nil {
		h.Write(x509.MarshalPKCS1PublicKey(c.Public))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func part(log *slog.Logger, name string) *slog.Logger { return log.With("part", name) }

func (m *Manager) wire(ctx context.Context) error {
	cfg := m.cfg
	if err := checkKeys(ctx, m.store, cfg.Keys); err != nil {
		return err
	}
	m.store.SetRetention(cfg.Retention)
	m.expiry = &gc.Expiry{Lead: m.peers.Lead, Store: m.store, Retention: cfg.Retention, Now: time.Now, Log: part(cfg.Log, "gc")}
	m.collect = &gc.Collector{
		Lead:  m.peers.Lead,
		Store: m.store, Messages: cfg.Messages, Channels: cfg.Discord.Channels, Now: time.Now, Log: part(cfg.Log, "gc"),
		Grace: cfg.Collect.Grace, Daily: cfg.Collect.Daily, Orphans: cfg.Collect.Orphans,
	}
	log := &audit.Log{Store: m.store, Log: part(cfg.Log, "audit")}
	people := auth.Options{
		Store: m.store, Audit: log, Private: cfg.Private, Public: cfg.Public, Bus: m.bus, Ring: cfg.Keys, Log: part(cfg.Log, "auth"),
		PublicURL: cfg.PublicURL, OpenID: cfg.OpenID.provider(), SignUp: cfg.OpenID.SignUp,
	}
	var err error
	if m.mail, err = cfg.Mail.mailer(part(cfg.Log, "mail")); err != nil {
		return err
	}
	if m.mail != nil {
		people.Mail = m.mail
	}
	if !m.store.Sole() {
		people.Shared = m.store
	}
	m.auth = auth.New(people)
	source := &object.Source{Blobs: cfg.Blobs, Chunks: m.store, Key: object.RingKeys(cfg.Keys), ReadAhead: cfg.Read}
	files := &vfs.FS{Store: m.store, Bus: m.bus, Source: source, Ring: cfg.Keys, Audit: log, Log: part(cfg.Log, "vfs")}
	m.dispatch = dispatch.New(dispatch.Options{
		Store: m.store, Ring: cfg.Keys, Blobs: cfg.Blobs, Bus: m.bus, Audit: log,
		Service: dispatch.ServiceConfig{
			Token: packet.Secret(cfg.Discord.Token.Reveal()), Channels: cfg.Discord.Channels,
			APIURL: cfg.Discord.API, CDNHosts: cfg.Discord.CDNHosts, AttachmentLimit: cfg.Blobs.Limit, LimitFell: cfg.Discord.LimitFell,
			PerSecond: cfg.Discord.PerSecond, SetPerSecond: cfg.Discord.SetPerSecond,
		},
		SelfURL: "http://" + Reachable(cfg.Listener.Addr()),
		Peers:   m.otherManagers(),
		Log:     part(cfg.Log, "dispatch"),
	})
	m.dav = dav.New(dav.Options{
		FS: files, Put: m.dispatch.Put, Bus: m.bus, Alive: m.auth.Alive, PublicURL: cfg.PublicURL, Refuse: cfg.DAVRefuse,
		Log: part(cfg.Log, "dav"),
	})
	if err := m.wireThumbs(); err != nil {
		return err
	}
	files.Listed = func(entries []cloud.Entry) { m.thumbs.Want(thumbs.PriorityListed, entries...) }
	mounts := make([]string, 0, len(cfg.Mounts))
	for path := range cfg.Mounts {
		mounts = append(mounts, path)
	}
	slices.Sort(mounts)
	m.hub = hub.New(hub.Options{
		Auth: m.auth, FS: files, Dispatch: m.dispatch, Bus: m.bus, Thumbs: m.thumbs, Audit: log,
		PageOrigins: cfg.PageOrigins, PublicURL: cfg.PublicURL, TrustedProxies: cfg.TrustedProxies, Mounts: mounts,
		ServicePassword: cfg.ServicePassword.Reveal(), LegacyQueryAuth: cfg.LegacyQueryAuth, Log: part(cfg.Log, "hub"),
	})
	debug := map[string]func() any{"dispatch": m.dispatch.Debug, "hub": m.hub.Debug, "thumbnails": m.thumbs.Debug}
	debug["managers"] = m.peers.Debug
	if m.bridge != nil {
		debug["news"] = m.bridge.Debug
	}
	maps.Copy(debug, cfg.Debug)
	m.server = &http.Server{
		Handler: api.New(api.Options{
			Auth: m.auth, FS: files, Sockets: m.hub, Mounts: cfg.Mounts, Page: cfg.Page, Bus: m.bus, Thumbs: m.thumbs,
			Mail: m.mail, Put: m.dispatch.Put, DAV: m.dav.Serve, DAVOverHTTP: cfg.DAVOverHTTP,
			Health: m.store.Ping, Services: m.services, Dispatch: m.dispatch, System: m.system, Reaches: cfg.Reaches, Debug: debug, Retention: cfg.Retention, Expiry: m.expiry, Collector: m.collect,
			LegacyQueryAuth: cfg.LegacyQueryAuth, PublicURL: cfg.PublicURL, PageOrigins: cfg.PageOrigins, TrustedProxies: cfg.TrustedProxies,
			Log: part(cfg.Log, "http"), Version: cfg.Version,
		}),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(part(cfg.Log, "http").Handler(), slog.LevelDebug),
	}
	return nil
}

// otherManagers is nil where there are never any.
func (m *Manager) otherManagers() dispatch.Peers {
	if m.store.Sole() {
		return nil
	}
	return m.peers
}

// checkKeys refuses a store whose objects the ring could not open, and
// remembers new keys before anything is sealed under them.
func checkKeys(ctx context.Context, store meta.Store, ring crypt.Ring) error {
	known, err := store.KeyIDs(ctx)
	if err != nil {
		return fmt.Errorf("read the ids of the store's keys: %w", err)
	}
	have := ring.IDs()
	var missing []string
	for _, id := range known {
		if !slices.Contains(have, id) {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		return cloud.UserErrorf(cloud.ErrInvalid,
			"MESSAGE_ENCRYPTION_KEY does not hold the key that this store was written with (key id %s; given: %s). Nothing that is stored could be read; set the right key, older ones behind it",
			strings.Join(missing, ", "), strings.Join(have, ", "))
	}
	if err := store.AddKeyIDs(ctx, have); err != nil {
		return fmt.Errorf("remember the ids of the keys: %w", err)
	}
	return nil
}

// Addr is where the manager listens.
func (m *Manager) Addr() net.Addr { return m.cfg.Listener.Addr() }

// Reachable is an address for what listens on addr that works on this machine.
func Reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// SetupCode makes the first administrator; "" once there are users.
func (m *Manager) SetupCode() string { return m.auth.SetupCode() }

// services are the connected services, as the port tells of them.
func (m *Manager) services() []api.ServiceInfo {
	connected := m.dispatch.Services()
	infos := make([]api.ServiceInfo, len(connected))
	for i, s := range connected {
		infos[i] = api.ServiceInfo{ID: s.ID, Type: s.Type, Address: s.Address, Busy: s.Busy, Capacity: s.Capacity, Quarantined: s.Quarantined, Lacks: s.Lacks}
	}
	return infos
}

// Run serves until ctx ends, then stops in order: no new connections, running
// requests drain for the grace (packet connections stay meanwhile, for what
// running uploads still have to say), packet connections are closed with a
// reason, background work ends, the database is closed.
func (m *Manager) Run(ctx context.Context) error {
	background, stopBackground := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopBackground(nil)
	var work errgroup.Group
	work.Go(func() error { return m.dispatch.Run(background) })
	work.Go(func() error { return m.dispatch.Inform(background) })
	thumbsContext, stopThumbs := context.WithCancel(context.WithoutCancel(ctx))
	defer stopThumbs()
	work.Go(func() error {
		defer stopThumbs() // when its services have left
		return m.hub.Run(background)
	})
	work.Go(func() error { return m.thumbs.Run(thumbsContext) })
	work.Go(func() error { return m.auth.Run(background) })
	if m.mail != nil {
		work.Go(func() error { return m.mail.Run(background) })
	}
	work.Go(func() error { return m.dav.Run(background) })
	work.Go(func() error { return m.expiry.Run(background) })
	last, stopLast := context.WithCancel(context.WithoutCancel(ctx)) // of what others do to the end
	defer stopLast()
	var lasting errgroup.Group
	lasting.Go(func() error { return m.peers.Run(last) })
	if m.bridge != nil {
		lasting.Go(func() error { return m.bridge.Run(last) })
	}
	if m.cfg.Messages != nil {
		work.Go(func() error { return m.collect.Run(background) })
	}

	served := make(chan error, 1)
	go func() { served <- m.server.Serve(m.cfg.Listener) }()

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-served:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.cfg.Grace)
	defer cancel()
	if err := m.server.Shutdown(drain); err != nil {
		// The grace is over: what still runs is cut.
		_ = m.server.Close()
	}
	stopBackground(cloud.ErrShutdown)
	err := work.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, cloud.ErrShutdown) {
		err = nil
	}
	stopLast()
	return errors.Join(failure, err, lasting.Wait(), m.leave())
}

// Close gives up a manager that is not going to run.
func (m *Manager) Close() error {
	return errors.Join(m.cfg.Listener.Close(), m.leave())
}
