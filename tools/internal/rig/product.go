package rig

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/manager"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/config"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/object"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/sandbox"
	"discordcloud/services/upload"
	"discordcloud/services/worker"
)

// Config is what a Product is made of. Zero values are what `serve` has.
type Config struct {
	Dir     string         // of everything it keeps; demanded
	Sandbox sandbox.Config // its Dir is below Dir
	Discord discord.Options
	Store   discordblob.Options
	Read    object.Limits
	// Retention and Collect are a manager's; it keeps nothing and deletes nothing by
	// default.
	Retention manager.Retention
	Collect   manager.Collect
	Services  int // 3
	Capacity  int // uploads at once of each service: 1
	Log       *slog.Logger
}

// Product is the whole product in this process, wired as `serve` does it, on a
// sandbox of its own.
type Product struct {
	Sandbox *sandbox.Server
	Discord *discord.Client
	URL     string

	blobs   *discordblob.Store
	stop    context.CancelFunc
	running errgroup.Group
}

// shared hides that a store can be closed: it outlives the services.
type shared struct{ upload.Store }

// Start starts a product. Close ends it.
func Start(ctx context.Context, cfg Config) (_ *Product, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Services == 0 {
		cfg.Services = 3
	}
	p := &Product{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	cfg.Sandbox.Dir = filepath.Join(cfg.Dir, "sandbox")
	if p.Sandbox, err = sandbox.Open(cfg.Sandbox); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if _, err = p.Sandbox.Start("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	host := strings.TrimPrefix(p.Sandbox.URL(), "http://")
	cfg.Discord.Token, cfg.Discord.APIURL, cfg.Discord.CDNURL = p.Sandbox.Token(), p.Sandbox.URL()+"/api/v10", p.Sandbox.URL()
	cfg.Discord.Log = cfg.Log.With("part", "discord")
	if p.Discord, err = discord.New(cfg.Discord); err != nil {
		return nil, err
	}
	cfg.Store.Client, cfg.Store.Channels, cfg.Store.Log = p.Discord, p.Sandbox.Channels(), cfg.Log.With("part", "blobs")
	if p.blobs, err = discordblob.New(cfg.Store); err != nil {
		return nil, err
	}

	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.URL = "http://" + listener.Addr().String()
	servicePassword := hex.EncodeToString(secret[:])
	mounts := map[string]http.Handler{}
	var services []*upload.Service
	for i := range cfg.Services {
		path := fmt.Sprintf("/upload/%d", i+1)
		s := upload.New(upload.Config{
			Worker: worker.Config{
				ManagerURL: "ws://" + listener.Addr().String() + "/", Password: packet.Secret(servicePassword), Address: path, Capacity: cfg.Capacity,
			},
			OpenStore: func(packet.Configure) (upload.Store, error) { return shared{p.blobs}, nil },
			Log:       cfg.Log.With("part", "upload", "service", i+1),
		})
		services = append(services, s)
		mounts[path] = s.Handler()
	}
	m, err := manager.New(ctx, manager.Config{
		DataDir: cfg.Dir, Listener: listener, Grace: 5 * time.Second,
		ServicePassword: config.Secret(servicePassword), Private: key, Public: &key.PublicKey, Keys: crypt.Ring{crypt.MasterKey(secret)},
		Discord: manager.Discord{
			Token: config.Secret(p.Sandbox.Token()), Channels: p.Sandbox.Channels(), API: cfg.Discord.APIURL, CDNHosts: []string{host},
		},
		Blobs: p.blobs, Messages: p.blobs, Read: cfg.Read, Retention: cfg.Retention, Collect: cfg.Collect, Mounts: mounts, Version: "rig", Log: cfg.Log,
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}

	managing, stopManager := context.WithCancel(context.WithoutCancel(ctx))
	serving, stopServices := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stopManager
	for _, s := range services {
		p.running.Go(func() error { return ended(s.Run(serving)) })
	}
	p.running.Go(func() error {
		defer stopServices()
		return ended(m.Run(managing))
	})
	return p, nil
}

// ended leaves out the error of an end that was asked for.
func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Close ends the product. What it kept stays in its Dir.
func (p *Product) Close() error {
	var errs []error
	if p.stop != nil {
		p.stop()
		errs = append(errs, p.running.Wait())
	}
	if p.blobs != nil {
		errs = append(errs, p.blobs.Close())
	}
	if p.Discord != nil {
		p.Discord.Close()
	}
	if p.Sandbox != nil {
		errs = append(errs, p.Sandbox.Close())
	}
	return errors.Join(errs...)
}
