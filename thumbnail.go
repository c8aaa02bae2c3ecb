package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"discordcloud/manager"
	"discordcloud/pkg/packet"
	"discordcloud/services/thumbnail"
	"discordcloud/services/thumbnail/jail"
	"discordcloud/services/worker"
)

// decodeCommand makes this program the child that decodes one file.
const decodeCommand = "thumbnail-decode"

type thumbnailServiceCmd struct{}

// Run is one thumbnail service. Nobody calls it: it has no address.
func (thumbnailServiceCmd) Run(ctx context.Context, a *app) error {
	log := a.logger()
	own := a.serviceSettings()
	password := a.env.Secret("SERVICE_PASSWORD", "shared by the manager and its services")
	capacity := a.thumbnailCapacity()
	a.env.Need("MANAGER_ADDRESS", "SERVICE_PASSWORD")
	if err := a.checked(); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name of this machine: %w", err)
	}
	service, err := newThumbnailService(own.managers, worker.Config{
		Password: packet.Secret(password.Reveal()), Capacity: capacity, Name: host, Version: version(),
	}, log.With("part", "thumbnail"))
	if err != nil {
		return err
	}
	if err := service.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// newThumbnailService makes a service whose children are this program again.
func newThumbnailService(managers []string, w worker.Config, log *slog.Logger) (*thumbnail.Service, error) {
	j, err := newJail(log)
	if err != nil {
		return nil, err
	}
	w.Log = log
	return thumbnail.New(thumbnail.Config{Worker: w, Managers: managers, Tools: j.Tools, Log: log, Decoder: j}), nil
}

// newJail makes what starts children that decode and encode.
func newJail(log *slog.Logger) (*jail.Jail, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &jail.Jail{Command: []string{self, decodeCommand}, Tools: jail.FindTools(), Log: log}, nil
}

// configure gives a manager the settings of thumbnails, and what encodes them.
func (s thumbnailSettings) configure(cfg *manager.Config, log *slog.Logger) error {
	cfg.ThumbnailStore, cfg.ThumbnailBucket, cfg.ThumbnailCache, cfg.ThumbnailFormat = s.store, s.bucket, s.cache, s.format
	j, err := newJail(log)
	if err != nil {
		return err
	}
	if j.Tools.Vips != "" {
		cfg.ThumbnailEncoder = j
	}
	return nil
}

type thumbnailsCmd struct {
	Rebuild bool `help:"Have all thumbnails made again, those that failed too."`
}

// Run shows or refills the queue, also while the server runs.
func (c thumbnailsCmd) Run(ctx context.Context, a *app) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	if c.Rebuild {
		err = admin.RebuildThumbnails(ctx)
	}
	var counts map[string]int64
	if err == nil {
		counts, err = admin.CountThumbnails(ctx)
	}
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "thumbnails: %d queued, %d ready, %d failed\n", counts["queued"], counts["ready"], counts["failed"])
	return err
}
