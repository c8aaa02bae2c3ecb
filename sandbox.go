package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"

	"discordcloud/pkg/sandbox"
)

type sandboxCmd struct {
	Host string `help:"Address to listen on." default:"127.0.0.1"`
}

// Run is the sandbox alone, for tests and for authors of bots.
func (c sandboxCmd) Run(ctx context.Context, a *app) error {
	log := a.logger()
	dir, box := a.dataDir(), a.sandboxSettings()
	if err := a.checked(); err != nil {
		return err
	}
	server, err := openSandbox(box, filepath.Join(dir, "sandbox"), net.JoinHostPort(c.Host, strconv.Itoa(box.port)), log)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(a.stdout, "\n  A Discord-compatible sandbox is at %s\n\n  DISCORD_API_URL=%s/api/v10\n  DISCORD_BOT_TOKEN=%s\n  guild %s, channels %v\n\n",
		server.URL(), server.URL(), server.Token(), server.GuildID(), server.Channels())
	<-ctx.Done()
	return server.Close()
}

func openSandbox(box sandboxSettings, dir, address string, log *slog.Logger) (*sandbox.Server, error) {
	mode := map[string]sandbox.Mode{"off": sandbox.Off, "live": sandbox.Live, "strict": sandbox.Strict}[box.limits]
	server, err := sandbox.Open(sandbox.Config{
		Dir: dir, Token: box.token.Reveal(), Mode: mode, Channels: box.channels, Log: log.With("part", "sandbox"),
	})
	if err != nil {
		return nil, fmt.Errorf("open the sandbox: %w", err)
	}
	if _, err := server.Start(address); err != nil {
		_ = server.Close() // the error that counts is the first
		return nil, fmt.Errorf("start the sandbox: %w", err)
	}
	return server, nil
}
