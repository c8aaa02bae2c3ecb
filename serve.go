package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"discordcloud/manager"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/object"
	"discordcloud/pkg/packet"
	"discordcloud/services/thumbnail"
	"discordcloud/services/upload"
	"discordcloud/services/worker"
	"discordcloud/web"
)

type serveCmd struct{}

// Run is everything in one process: the sandbox where no bot is given, the
// manager, and upload services that dial it as separate ones would.
func (serveCmd) Run(ctx context.Context, a *app) error {
	log := a.logger()
	dir, database := a.dataDir(), a.database()
	listen, secrets, dis, box, read := a.listenSettings(), a.secretSettings(), a.discordSettings(), a.sandboxSettings(), a.readSettings()
	services := a.uploadServices()
	previews, previewCapacity, thumbs := a.thumbnailServices(), a.thumbnailCapacity(), a.thumbnailSettings()
	memory, capacity := a.uploadMemory(), a.capacity()
	retention, collect := a.retention(), a.collect()
	mail, openID := a.mail(listen.public), a.openID()
	a.needSomeSecrets(secrets)
	if err := a.checked(); err != nil {
		return err
	}
	if secrets == (secretSettings{}) {
		made, err := makeSecrets(filepath.Join(dir, envFileName), manager.DatabasePath(dir))
		if err != nil {
			return err
		}
		log.Info("made new keys: keep a copy of this file in a safe place", "path", filepath.Join(dir, envFileName))
		secrets = made
	}

	// Ends after everything that uses it.
	if dis.token == "" {
		server, err := openSandbox(box, filepath.Join(dir, "sandbox"), net.JoinHostPort("127.0.0.1", fmt.Sprint(box.port)), log)
		if err != nil {
			return err
		}
		defer func() { _ = server.Close() }() // its state is durable after each answer
		dis.useSandbox(server)
		log.Info("no bot token: files go to the embedded sandbox, not to Discord", "url", server.URL(), "limits", box.limits)
	}
	engine, err := openEngine(dis, log)
	if err != nil {
		return err
	}
	if err := engine.cacheIn(dir, read.cache); err != nil {
		return err
	}
	cfg, err := managerConfig(dir, listen, secrets, read, log)
	if err != nil {
		return err
	}
	engine.serve(&cfg)
	if err := thumbs.configure(&cfg, log.With("part", "thumbnails")); err != nil {
		return err
	}
	cfg.Retention, cfg.Collect, cfg.Mail, cfg.OpenID = retention, collect, mail, openID

	var uploads []*upload.Service
	cfg.Mounts = map[string]http.Handler{}
	for i := range services {
		path := fmt.Sprintf("/upload/%d", i+1)
		s := upload.New(upload.Config{
			Worker: worker.Config{
				ManagerURL: dialURL(cfg.Listener.Addr()), Password: packet.Secret(secrets.password.Reveal()), Address: path, Version: version(), Capacity: capacity,
				Log: log.With("part", "upload", "service", i+1),
			},
			// One engine for the whole process: its limits are shared.
			OpenStore: func(packet.Configure) (upload.Store, error) { return shared{engine.posts}, nil },
			Memory:    memory,
			Log:       log.With("part", "upload", "service", i+1),
		})
		uploads = append(uploads, s)
		cfg.Mounts[path] = s.Handler()
	}
	var makers []*thumbnail.Service
	for i := range previews {
		s, err := newThumbnailService(nil, worker.Config{
			ManagerURL: dialURL(cfg.Listener.Addr()), Password: packet.Secret(secrets.password.Reveal()), Capacity: previewCapacity,
			Name: fmt.Sprintf("/thumbnail/%d", i+1), Version: version(),
		}, log.With("part", "thumbnail", "service", i+1))
		if err != nil {
			return errors.Join(err, cfg.Listener.Close())
		}
		makers = append(makers, s)
	}
	cfg.Database, cfg.Settings = database, a.settings()
	m, err := newManager(ctx, cfg)
	if err != nil {
		return err
	}
	a.greet(m, listen)

	// Services stop after the manager has drained: running uploads need them.
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return engine.run(stopping) })
	for _, s := range uploads {
		group.Go(func() error { return s.Run(stopping) })
	}
	for _, s := range makers {
		group.Go(func() error { return s.Run(stopping) })
	}
	err = m.Run(ctx)
	stop()
	if werr := group.Wait(); werr != nil && !errors.Is(werr, context.Canceled) {
		err = errors.Join(err, werr)
	}
	return err
}

// shared hides that a store can be closed: it lives longer than the service
// that gets it.
type shared struct{ upload.Store }

// needSomeSecrets reports a set of keys that is neither complete nor empty.
func (a *app) needSomeSecrets(s secretSettings) {
	if s != (secretSettings{}) {
		a.env.Need(secretNames...)
	}
}

type managerCmd struct{}

// Run is a manager alone; every secret must be given.
func (managerCmd) Run(ctx context.Context, a *app) error {
	log := a.logger()
	dir, database := a.dataDir(), a.database()
	listen, secrets, dis, read := a.listenSettings(), a.secretSettings(), a.discordSettings(), a.readSettings()
	a.env.Need(secretNames...)
	a.env.Need("DISCORD_BOT_TOKEN")
	thumbs, retention, collect := a.thumbnailSettings(), a.retention(), a.collect()
	mail, openID := a.mail(listen.public), a.openID()
	if err := a.checked(); err != nil {
		return err
	}
	engine, err := openEngine(dis, log)
	if err != nil {
		return err
	}
	if err := engine.cacheIn(dir, read.cache); err != nil {
		return err
	}
	cfg, err := managerConfig(dir, listen, secrets, read, log)
	if err != nil {
		return err
	}
	engine.serve(&cfg)
	if err := thumbs.configure(&cfg, log.With("part", "thumbnails")); err != nil {
		return err
	}
	cfg.Retention, cfg.Collect, cfg.Mail, cfg.OpenID = retention, collect, mail, openID
	cfg.Database, cfg.Settings = database, a.settings()
	m, err := newManager(ctx, cfg)
	if err != nil {
		return err
	}
	a.greet(m, listen)
	background, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return engine.run(background) })
	err = m.Run(ctx)
	stop()
	_ = group.Wait() // it ends with its context, for that reason
	return err
}

func managerConfig(dir string, listen listenSettings, secrets secretSettings, read readSettings, log *slog.Logger) (manager.Config, error) {
	private, public, err := secrets.tokenKeys()
	if err != nil {
		return manager.Config{}, err
	}
	ring, err := crypt.ParseRing(secrets.messages.Reveal())
	if err != nil {
		return manager.Config{}, misconfigured("MESSAGE_ENCRYPTION_KEY: %v", err)
	}
	if len(secrets.password) < 16 {
		return manager.Config{}, misconfigured("SERVICE_PASSWORD is shorter than 16 characters")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return manager.Config{}, fmt.Errorf("make the data folder: %w", err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(listen.host, strconv.Itoa(listen.port)))
	if err != nil {
		return manager.Config{}, fmt.Errorf("listen: %w", err)
	}
	return manager.Config{
		DataDir: dir, Listener: listener, PublicURL: listen.public,
		PageOrigins: listen.origins, TrustedProxies: listen.proxies, LegacyQueryAuth: listen.legacy, Grace: listen.grace,
		DAVOverHTTP: listen.davHTTP, DAVRefuse: listen.davNot,
		ServicePassword: secrets.password, Private: private, Public: public, Keys: ring,
		Read: object.Limits{Parallel: read.ahead, Memory: object.NewBudget(read.memory)},
		Page: web.Page(), Version: version(), Log: log,
	}, nil
}

func newManager(ctx context.Context, cfg manager.Config) (*manager.Manager, error) {
	m, err := manager.New(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, cfg.Listener.Close())
	}
	return m, nil
}

// greet tells a person where to go.
func (a *app) greet(m *manager.Manager, listen listenSettings) {
	address := listen.public
	if address == "" {
		address = "http://" + manager.Reachable(m.Addr())
	}
	_, _ = fmt.Fprintf(a.stdout, "\n  discord-cloud is at %s\n", address)
	if code := m.SetupCode(); code != "" {
		_, _ = fmt.Fprintf(a.stdout, "  There are no users yet. Make the first administrator here:\n\n      %s/#setup=%s\n\n", address, code)
	}
}

func dialURL(addr net.Addr) string { return "ws://" + manager.Reachable(addr) + "/" }
