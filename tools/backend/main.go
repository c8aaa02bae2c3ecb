//go:build linux

// Command backend runs a command, such as the tests of the page, with the product
// on another backend than SQLite:
//
//	go run ./tools/backend -on managers -- npm --prefix web run e2e -- tests/page.e2e.ts
//
// The command is given DISCORD_CLOUD_ON, the backend, and DISCORD_CLOUD_BIN, a program that takes the arguments and
// settings of discord-cloud and keeps what belongs to a DATA_DIR in a database of
// its own: of a PostgreSQL, behind pgbouncer, or of a stand-in for Supabase. On
// "managers" what would serve in one process is two managers on one PostgreSQL, with
// services beside, and every request goes to the one that did not have the last.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"discordcloud/tools/internal/rig"
)

// The backends.
const (
	onPostgres = "postgres"
	onBouncer  = "bouncer"
	onSupabase = "supabase"
	onManagers = "managers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); errors.Is(err, rig.ErrMissing) {
		fmt.Println("LEFT OUT:", err) // with CI=true it is another error
	} else if err != nil {
		if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() > 0 {
			os.Exit(ended.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("backend", flag.ExitOnError)
	on := flags.String("on", onPostgres, "postgres, bouncer, supabase or managers")
	host := flags.String("host", "", "of what stands in for discord-cloud: where databases are given out")
	binary := flags.String("binary", "", "likewise: the program itself")
	root := flags.String("root", "", "likewise: where its sources are")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() == 0 && *host == "":
		return errors.New("no command")
	case !slices.Contains([]string{onPostgres, onBouncer, onSupabase, onManagers}, *on):
		return fmt.Errorf("there is no backend %q", *on)
	case *host != "":
		return standIn(ctx, *host, *on, *binary, *root, flags.Args())
	}
	return hosted(ctx, *on, flags.Args())
}

// hosted runs a command while databases are given out.
func hosted(ctx context.Context, on string, command []string) (err error) {
	dir, err := os.MkdirTemp("", "backend")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	h := &host{Host: rig.NewHost(ctx, dir), on: on, given: map[string]map[string]string{}}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.begin(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }() // until it is closed
	defer func() { err = errors.Join(err, server.Close()) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	real, program := filepath.Join(dir, "real"), filepath.Join(dir, "discord-cloud")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", real, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' -host http://%s -on %s -binary '%s' -root '%s' -- \"$@\"\n", self, l.Addr(), on, real, root)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env = append(os.Environ(), "DISCORD_CLOUD_BIN="+program, "DISCORD_CLOUD_ON="+on)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	return c.Run()
}

// standIn is discord-cloud with the settings of its backend.
func standIn(ctx context.Context, host, on, binary, root string, args []string) error {
	dir := setting("DATA_DIR")
	settings, err := ask(ctx, host, dir)
	if err != nil {
		return err
	}
	env := os.Environ()
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	if on == onManagers && len(args) > 0 && args[0] == "serve" {
		return serveTwice(ctx, binary, root, dir, env)
	}
	return syscall.Exec(binary, append([]string{binary}, args...), env)
}

// setting is a variable of the process, "" for none.
func setting(name string) string {
	for _, line := range slices.Backward(os.Environ()) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}
