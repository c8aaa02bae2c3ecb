package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/packet"
	"discordcloud/services/upload"
	"discordcloud/services/worker"
)

type uploadServiceCmd struct{}

// Run is one upload service: an endpoint for parts, and a connection to the
// manager that tells it everything else.
func (uploadServiceCmd) Run(ctx context.Context, a *app) error {
	log := a.logger()
	own := a.serviceSettings()
	password := a.env.Secret("SERVICE_PASSWORD", "shared by the manager and its services")
	grace := a.grace()
	memory := a.uploadMemory()
	capacity := a.capacity()
	a.env.Need("MANAGER_ADDRESS", "OWN_ADDRESS", "PORT", "SERVICE_PASSWORD")
	if err := a.checked(); err != nil {
		return err
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		// The buffers are there for good, so garbage would otherwise be let grow
		// to as much again before it is collected.
		debug.SetMemoryLimit(memory + 24<<20)
	}
	service := upload.New(upload.Config{
		Worker:   worker.Config{Address: own.address, Version: version(), Password: packet.Secret(password.Reveal()), Capacity: capacity, Log: log.With("part", "worker")},
		Managers: own.managers,
		Memory:   memory, Log: log.With("part", "upload"),
	})
	listener, err := net.Listen("tcp", net.JoinHostPort(own.host, strconv.Itoa(own.port)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: service.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 120 * time.Second, MaxHeaderBytes: 16 << 10}
	log.Info("upload service listens", "address", listener.Addr().String())

	// The connection to the manager outlives the endpoint: parts that are under
	// way are still reported.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return service.Run(background) })
	group.Go(func() error {
		defer stop()
		return serveHTTP(ctx, server, listener, grace)
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// serveHTTP serves until ctx ends, then lets running requests end within the
// grace.
func serveHTTP(ctx context.Context, server *http.Server, listener net.Listener, grace time.Duration) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return server.Close()
	}
	return nil
}
