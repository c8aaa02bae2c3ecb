// Command bench measures the product against what is possible without it: each
// row is a ratio to a baseline that is taken in turns with it, on the same
// machine, in the same minutes. It starts all that it needs: a sandbox, a plain
// proxy and the product, each a process of its own, and its own client.
//
// docs/performance.md says what the rows mean.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"discordcloud/tools/internal/rig"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are the sizes and numbers of a run.
type options struct {
	runs    int
	size    int64 // of the large file
	files   int   // of the many small ones
	photos  int   // of which a service makes thumbnails
	film    int64 // bytes of a long one
	entries int   // files of a database that has grown
	stable  time.Duration
	binary  string // of the product; built if empty
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		if role, ok := roles[args[0]]; ok {
			return role(args[1:], stdout, stderr)
		}
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("run", "", "measure only the rows whose name matches this regular expression")
	file := flags.String("json", "", "write the results to this file, too, as JSON")
	mib := flags.Int64("size", 1024, "MiB of the large file")
	flags.IntVar(&o.runs, "runs", 5, "measure each row that often, and give the median")
	flags.IntVar(&o.files, "files", 10_000, "number of files in the archive of many")
	flags.IntVar(&o.photos, "photos", 30, "number of photos that a thumbnail service makes small")
	film := flags.Int64("film", 2048, "MiB of the film that it takes a picture from")
	flags.IntVar(&o.entries, "entries", 50_000, "number of files in the database that has grown")
	flags.DurationVar(&o.stable, "slow", 12*time.Second, "how long the slow readers read")
	flags.StringVar(&o.binary, "binary", "", "the discord-cloud to measure; by default it is built")
	if flags.Parse(args) != nil {
		return 2
	}
	pick, err := regexp.Compile(*only)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	o.size, o.film = *mib<<20, *film<<20
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	report, err := measure(ctx, o, pick, stderr)
	report.writeMarkdown(stdout)
	if *file != "" {
		text, jerr := json.MarshalIndent(report, "", "  ")
		if jerr == nil {
			jerr = os.WriteFile(*file, append(text, '\n'), 0o644)
		}
		if err == nil {
			err = jerr
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// measure measures the rows that are picked. What was measured before an error
// is in the report.
func measure(ctx context.Context, o options, pick *regexp.Regexp, progress io.Writer) (report, error) {
	r := newReport(o)
	dir, err := os.MkdirTemp("", "discord-cloud-bench")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the system's temporary folder
	w := &world{options: o, dir: dir, memory: dir, log: progress, libraries: map[string]*library{}}
	// What lies in Discord lies in memory, where the system has room for it: the
	// speed of a disk in Discord's place is not what is measured.
	if memory, err := os.MkdirTemp("/dev/shm", "discord-cloud-bench"); err == nil {
		w.memory = memory
		defer func() { _ = os.RemoveAll(memory) }() // likewise
	}
	defer w.close()
	for _, row := range rows {
		if !pick.MatchString(row.name) {
			continue
		}
		start := time.Now()
		results, err := row.measure(ctx, w)
		if errors.Is(err, rig.ErrMissing) {
			_, _ = fmt.Fprintf(progress, "%-14s %v\n", row.name, err)
			continue
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", row.name, err)
		}
		for _, got := range results {
			r.Rows = append(r.Rows, got)
			_, _ = fmt.Fprintf(progress, "%-14s %s (%.0f s)\n", row.name, got.summary(), time.Since(start).Seconds())
		}
	}
	return r, nil
}
