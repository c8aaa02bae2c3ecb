// Command soak lets clients change and read all that they can on a sandbox that
// fails all the time, and holds the product to its word: what was acknowledged is
// there, what was taken back is not, no read ends cleanly with wrong bytes, nothing
// is posted twice, and what nobody needs goes.
//
//	go run ./tools/soak -for 3m -seed 42
//
// runs the whole product in its own process, on real sockets. With
//
//	go run ./tools/soak -on managers -for 30m
//
// it runs as processes, on the backend that is named, and these are killed, stopped
// and cut off from each other all the time. Every minute all of it rests, and
// everything is compared.
//
// It exits with 1 if anything was wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"discordcloud/tools/internal/rig"
)

// What the product runs on.
const (
	onHere     = "here"
	onSQLite   = "sqlite"
	onPostgres = "postgres"
	onBouncer  = "bouncer"
	onSupabase = "supabase"
	onManagers = "managers"
)

var backends = []string{onHere, onSQLite, onPostgres, onBouncer, onSupabase, onManagers}

type options struct {
	on       string
	long     time.Duration // that the clients work
	rest     time.Duration // from one comparison to the next
	every    time.Duration // that something is killed or cut off, on the average; 0 for never
	seed     uint64
	number   int // of clients
	managers int // at once
	worse    float64
	tell     bool
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.StringVar(&o.on, "on", onHere, "what the product runs on: "+strings.Join(backends, ", "))
	flags.DurationVar(&o.long, "for", 3*time.Minute, "how long the clients work")
	flags.DurationVar(&o.rest, "rest", 0, "how long until all rests and is compared; 0 for a minute, in this process for once at the end")
	flags.DurationVar(&o.every, "every", 3*time.Second, "how often a process is killed, stopped or cut off, on the average; 0 for never")
	flags.IntVar(&o.managers, "managers", 0, "managers at once, 0 for two on managers and one elsewhere")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of all that is random; printed")
	flags.IntVar(&o.number, "clients", 8, "clients at once")
	flags.Float64Var(&o.worse, "worse", 1, "multiply the odds of every fault of Discord")
	flags.BoolVar(&o.tell, "v", false, "tell what happens as it does")
	if flags.Parse(args) != nil {
		return 2
	}
	if !slices.Contains(backends, o.on) || o.number < 1 {
		_, _ = fmt.Fprintf(stderr, "soak: there is no backend %q\n", o.on)
		return 2
	}
	if o.managers == 0 {
		o.managers = 1
		if o.on == onManagers {
			o.managers = 2
		}
	}
	if o.rest == 0 {
		o.rest = time.Minute
		if o.on == onHere {
			o.rest = o.long
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := o.run(ctx, stdout)
	if errors.Is(err, rig.ErrMissing) {
		_, _ = fmt.Fprintln(stdout, "soak:", err) // with CI=true it is another error
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "soak:", err)
		return 1
	}
	return 0
}

var errWrong = errors.New("something was wrong")

func (o options) run(ctx context.Context, stdout io.Writer) error {
	dir, err := os.MkdirTemp("", "discord-cloud-soak")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the system's temporary folder
	_, _ = fmt.Fprintf(stdout, "soak: on %s, seed %d, %v, %d clients\n", o.on, o.seed, o.long, o.number)
	s, err := open(ctx, dir, o)
	if err != nil {
		return err
	}
	if o.tell {
		began := time.Now()
		s.tally.tell = func(format string, args ...any) {
			_, _ = fmt.Fprintf(stdout, "%7.1fs "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
		}
	}
	err = s.run(ctx)
	s.close()
	_, _ = fmt.Fprintln(stdout, s.summary())
	failures := s.tally.failures()
	for _, f := range failures {
		_, _ = fmt.Fprintln(stdout, "  "+f)
	}
	if err == nil && len(failures) > 0 {
		return errWrong
	}
	return err
}
