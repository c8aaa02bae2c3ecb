// Command soak lets clients write, overwrite, read and delete for a while on a
// sandbox that fails all the time, and holds the product to its word: what was
// acknowledged is there, no read ends cleanly with wrong bytes, nothing is posted
// twice. It runs the whole product in its own process, on real sockets.
//
//	go run ./tools/soak -for 3m -seed 42
//
// It exits with 1 if anything was wrong.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	long := flags.Duration("for", 3*time.Minute, "how long the clients work")
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano()), "of all that is random; printed")
	clients := flags.Int("clients", 8, "clients at once")
	worse := flags.Float64("worse", 1, "multiply the odds of every fault")
	if flags.Parse(args) != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "discord-cloud-soak")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }() // what is left is in the system's temporary folder
		_, _ = fmt.Fprintf(stdout, "soak: seed %d, %v, %d clients\n", *seed, *long, *clients)
		var s *soak
		if s, err = open(ctx, dir, *seed, *clients); err == nil {
			defer s.close()
			err = s.run(ctx, *long, script(*worse))
			_, _ = fmt.Fprintln(stdout, s.summary())
			for _, f := range s.tally.failures() {
				_, _ = fmt.Fprintln(stdout, "  "+f)
			}
			if err == nil && len(s.tally.failures()) > 0 {
				return 1
			}
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "soak:", err)
		return 1
	}
	return 0
}
