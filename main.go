// Command discord-cloud stores files of any size, sealed, in Discord
// attachments. One binary holds all its parts: `serve` runs them together, the
// other commands run one each.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"discordcloud/pkg/client/cli"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
	"discordcloud/services/thumbnail/decode"
)

// Exit codes: 1 something failed, 2 the configuration or the command line is
// wrong, 130 a signal ended what a user began; a server that it ends has done well.
const (
	exitFailed      = 1
	exitConfig      = 2
	exitInterrupted = 130
)

type commands struct {
	EnvFile string `help:"File of NAME=value settings; the environment goes before it." placeholder:"FILE" env:"ENV_FILE"`

	Serve         serveCmd         `cmd:"" default:"withargs" help:"Run everything in one process (the default)."`
	Manager       managerCmd       `cmd:"" help:"Run the manager alone; services connect to it."`
	UploadService uploadServiceCmd `cmd:"" help:"Run one upload service that connects to a manager."`

	ThumbnailService thumbnailServiceCmd `cmd:"" help:"Run one thumbnail service that connects to a manager."`

	Sandbox sandboxCmd `cmd:"" help:"Run the Discord-compatible sandbox alone."`
	Admin   adminCmd   `cmd:"" help:"Look after a server: users, configuration, database."`
	Version versionCmd `cmd:"" help:"Print the version."`

	cli.Commands `embed:""`
}

// app is what every command gets.
type app struct {
	env    *config.Env
	file   string // the settings file in use, "" if there is none
	stdout io.Writer
	stderr io.Writer

	project  *project // once it was read
	terminal *cli.Terminal
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == decodeCommand {
		// A child of a thumbnail service: no settings, no signals, nothing but that.
		os.Exit(decode.Main(os.Args, os.Stdin, os.Stdout))
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var cmd commands
	code := -1
	parser, err := kong.New(&cmd,
		kong.Name("discord-cloud"),
		kong.Description("An encrypted file cloud in Discord attachments."),
		kong.Writers(stdout, stderr),
		kong.ExplicitGroups([]kong.Group{{Key: cli.Group, Title: "Your files on a server:"}}),
		kong.Exit(func(c int) { code = c }),
		kong.UsageOnError(),
	)
	if err != nil {
		panic("main: the command line is declared wrongly: " + err.Error())
	}
	command, err := parser.Parse(args)
	if n := len(args); err != nil && n > 0 && args[n-1] == "help" {
		command, err = parser.Parse(append(slices.Clone(args[:n-1]), "--help"))
	}
	if code >= 0 { // --help has been printed
		return code
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "discord-cloud:", err)
		return exitConfig
	}
	a := &app{stdout: stdout, stderr: stderr, terminal: &cli.Terminal{In: stdin, Out: stdout, Err: stderr}}
	group := command.Selected().Group
	ofUser := group != nil && group.Key == cli.Group
	if !ofUser {
		if err := a.load(cmd.EnvFile); err != nil {
			_, _ = fmt.Fprintln(stderr, "discord-cloud:", err)
			return exitConfig
		}
	}

	// The first signal drains, the second kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run(a, a.terminal)
	switch {
	case ofUser && err != nil && ctx.Err() != nil:
		_, _ = fmt.Fprintln(stderr, "discord-cloud: interrupted; run it again to go on")
		return exitInterrupted
	case err == nil, errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 0
	case errors.As(err, new(*configError)):
		_, _ = fmt.Fprintln(stderr, err)
		return exitConfig
	}
	_, _ = fmt.Fprintln(stderr, "discord-cloud:", textOf(err))
	return exitFailed
}

// textOf is an error as the operator reads it: whole, and where it carries a
// text for people, with that.
func textOf(err error) string {
	if _, ok := errors.AsType[*cloud.UserError](err); ok {
		return cloud.TextOf(err)
	}
	return err.Error()
}

// configError is a problem that the operator mends by changing settings.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

func misconfigured(format string, args ...any) error {
	return &configError{fmt.Errorf("%w configuration: %s", cloud.ErrInvalid, fmt.Sprintf(format, args...))}
}

// checked turns the problems of the declarations so far into an error.
func (a *app) checked() error {
	if err := a.env.Err(); err != nil {
		return &configError{err}
	}
	return nil
}

// logger is made from the settings that all commands share.
func (a *app) logger() *slog.Logger {
	level := a.env.Level("LOG_LEVEL", slog.LevelInfo, "debug, info, warn or error")
	format := a.env.String("LOG_FORMAT", "text", "text or json")
	if a.env.Bool("DEBUG_LOGGING", false, "log each packet and request, as LOG_LEVEL=debug") {
		level = slog.LevelDebug
	}
	overwrite := a.env.Bool("OVERWRITE_LOGGING_FUNCTIONS", false, "send Go's standard log package through the structured logger")
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch format {
	case "json":
		h = slog.NewJSONHandler(a.stderr, options)
	default:
		if format != "text" {
			a.env.Problemf("LOG_FORMAT", "%q is neither text nor json", format)
		}
		h = slog.NewTextHandler(a.stderr, options)
	}
	if overwrite {
		log.SetFlags(0)
		log.SetOutput(slog.NewLogLogger(h, slog.LevelInfo).Writer())
	}
	return slog.New(h)
}

type versionCmd struct{}

// Run prints what was built.
func (versionCmd) Run(a *app) error {
	_, err := fmt.Fprintln(a.stdout, "discord-cloud", version())
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	if len(revision) > 12 {
		revision = revision[:12]
	}
	if revision == "" {
		return "development"
	}
	return revision + dirty
}
