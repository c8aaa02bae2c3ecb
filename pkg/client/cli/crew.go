package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"discordcloud/pkg/cloud"
)

// crew works on many files, some at a time, and shows how far it is: a bar on a
// terminal, else a line for each file that is done. A file that fails does not
// keep the others from going on.
type crew struct {
	t     *Terminal
	quiet bool
	group *errgroup.Group
	ctx   context.Context // ends with the first failure that concerns all files

	began                   time.Time
	done, unchanged, failed atomic.Int64 // files
	bytes, total            atomic.Int64 // that were moved, and that are to be
	moved                   atomic.Int64 // without those that were there already

	mu  sync.Mutex // guards writing
	bar *progressbar.ProgressBar
	end chan struct{}
	off sync.WaitGroup
}

// work runs f with a crew, and tells at the end what was done.
func work(ctx context.Context, t *Terminal, quiet bool, jobs int, verb string, f func(*crew) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(jobs, 1))
	w := &crew{t: t, quiet: quiet, group: group, ctx: ctx, began: time.Now(), end: make(chan struct{})}
	if file, ok := t.Err.(*os.File); ok && !quiet && term.IsTerminal(int(file.Fd())) {
		w.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(t.Err), progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetWidth(24), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
		w.off.Go(w.show)
	}
	err := f(w)
	if err2 := group.Wait(); err == nil || errors.Is(err, context.Canceled) {
		err = err2 // why the walk was ended
	}
	close(w.end)
	w.off.Wait()
	if err != nil {
		return err
	}
	return w.sum(verb)
}

// sum is the last line, and the error of a crew of which something failed.
func (w *crew) sum(verb string) error {
	if !w.quiet {
		took := max(time.Since(w.began), time.Millisecond)
		moved := max(w.moved.Load(), 0)
		text := fmt.Sprintf("%s %s, %s in %s (%s/s)", verb, plural(w.done.Load(), "file"), humanize.IBytes(uint64(moved)),
			took.Round(100*time.Millisecond), humanize.IBytes(uint64(float64(moved)/took.Seconds())))
		if n := w.unchanged.Load(); n > 0 {
			text += ", " + plural(n, "file") + " left out"
		}
		if err := w.t.printf("%s\n", text); err != nil {
			return err
		}
	}
	if n := w.failed.Load(); n > 0 {
		return cloud.UserErrorf(cloud.ErrInvalid, "%s failed; run it again for the rest", plural(n, "file"))
	}
	return nil
}

// do works on a file when there is room: it blocks until then. f tells whether
// there was nothing to do.
func (w *crew) do(name string, f func(context.Context) (unchanged bool, err error)) error {
	if err := w.ctx.Err(); err != nil {
		return context.Cause(w.ctx)
	}
	w.group.Go(func() error {
		unchanged, err := f(w.ctx)
		switch {
		case err == nil && unchanged:
			w.unchanged.Add(1)
		case err == nil:
			w.done.Add(1)
			if w.bar == nil && !w.quiet {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.t.printf("%s\n", shown(name))
			}
		case w.ctx.Err() != nil, errors.Is(err, cloud.ErrUnauthenticated), errors.Is(err, cloud.ErrFull):
			return fmt.Errorf("%s: %w", shown(name), err)
		default:
			w.fail(name, err)
		}
		return nil
	})
	return nil
}

// fail tells that one file failed.
func (w *crew) fail(name string, err error) {
	w.failed.Add(1)
	w.say("%s: %s", shown(name), wording(err))
}

// say writes a line to the side.
func (w *crew) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bar != nil {
		_ = w.bar.Clear() // it is drawn again
	}
	_, _ = fmt.Fprintf(w.t.Err, "discord-cloud: "+format+"\n", args...) // there is nobody to tell
}

// wording is an error as its user reads it.
func wording(err error) string {
	if _, ok := errors.AsType[*cloud.UserError](err); ok {
		return cloud.TextOf(err)
	}
	return err.Error()
}

// sent counts bytes that were moved, or that have to be moved again.
func (w *crew) sent(n int64) {
	w.bytes.Add(n)
	w.moved.Add(n)
}

// had counts bytes that were there already.
func (w *crew) had(n int64) { w.bytes.Add(n) }

// show draws the bar until the end.
func (w *crew) show() {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.mu.Lock()
			now := max(w.bytes.Load(), 0)
			w.bar.ChangeMax64(max(w.total.Load(), now+1)) // a full one would be over
			w.bar.Describe(plural(w.done.Load()+w.unchanged.Load(), "file"))
			_ = w.bar.Set64(now) // what can't be drawn is not missed
			w.mu.Unlock()
		case <-w.end:
			_ = w.bar.Clear()
			_, _ = io.WriteString(w.t.Err, "\r")
			return
		}
	}
}
