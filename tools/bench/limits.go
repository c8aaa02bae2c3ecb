package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/sandbox"
	"discordcloud/tools/internal/rig"
)

const (
	// scale is how much faster than Discord's the windows of the limits pass: the
	// theory is scaled with it.
	scale  = 2
	window = 5 * time.Second / scale
	posts  = 5 // in a window, in one channel
)

// limitedProduct is the product in this process, on a sandbox with the limits of
// the live service, scaled down to attachments of 1 MiB and requests of 2.5 MiB.
func limitedProduct(ctx context.Context, w *world, channels, capacity int) (*rig.Product, *rig.Client, error) {
	dir, err := os.MkdirTemp(w.dir, "limits")
	if err != nil {
		return nil, nil, err
	}
	const attachment, request = 1 << 20, 5 << 19
	p, err := rig.Start(ctx, rig.Config{
		Dir: dir, Capacity: capacity,
		Sandbox: sandbox.Config{
			Mode: sandbox.Live, Scale: scale, Channels: channels, NoSync: true,
			Limits: sandbox.Limits{FileSize: attachment, RequestSize: request},
		},
		Discord: discord.Options{AttachmentLimit: attachment, RequestLimit: request - 16<<10},
	})
	if err != nil {
		return nil, nil, err
	}
	c, err := rig.SetUp(ctx, p.URL)
	if err == nil {
		err = c.Connect(ctx)
	}
	if err == nil {
		err = c.Ready(ctx, 3)
	}
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return p, c, nil
}

// underLimits is a large file to one channel and one to four, and many small ones
// to four others, at the same time: what they do nearly all of it is wait.
func underLimits(ctx context.Context, w *world) ([]result, error) {
	rows := []func(context.Context, *world) ([]result, error){
		func(ctx context.Context, w *world) ([]result, error) { return limited(ctx, w, 1, 0.95) },
		func(ctx context.Context, w *world) ([]result, error) { return limited(ctx, w, 4, 0.90) },
		smallFiles,
	}
	results := make([][]result, len(rows))
	group, ctx := errgroup.WithContext(ctx)
	for i, row := range rows {
		group.Go(func() (err error) { results[i], err = row(ctx, w); return err })
	}
	err := group.Wait()
	return slices.Concat(results...), err
}

// limited is an upload under the limits, against what they allow: in each window
// five messages in each channel, each with as many chunks as fit a request.
func limited(ctx context.Context, w *world, channels int, reach float64) (_ []result, err error) {
	p, c, err := limitedProduct(ctx, w, channels, 1)
	if err != nil {
		return nil, err
	}
	defer func() {
		c.Close()
		err = errors.Join(err, p.Close())
	}()
	// The last window has room for some messages more. Whoever spends one of them, as
	// on the first chunk, which goes alone, would otherwise pay with a whole window.
	const windows = 6
	messages := (posts*windows - 2) * int64(channels)
	part := chunk.PlainMax(1 << 20)
	perMessage := p.Discord.Limits().Request / (chunk.SealedSize(part, 0) + discord.FileOverhead)
	size := part * perMessage * messages
	theory := float64(size) / (1 << 20) / ((windows - 1) * window).Seconds()
	var samples []sample
	for i := range w.runs {
		if err := quiet(ctx); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := c.Upload(ctx, "/", "limited", rig.Content{Seed: uint64(i), Size: size}); err != nil {
			return nil, err
		}
		samples = append(samples, sample{mibps(size, time.Since(start)), theory})
		w.logPosts(p)
	}
	return []result{result{
		Row: fmt.Sprintf("limits-%d", channels), What: fmt.Sprintf("upload under live limits, channels: %d", channels),
		Against: "what the limits allow", Unit: "MiB/s", Reach: reach,
	}.of(samples)}, nil
}

// logPosts tells how many messages it took so far, which explains the figures.
func (w *world) logPosts(p *rig.Product) {
	st := p.Sandbox.Stats()
	_, _ = fmt.Fprintf(w.log, "  %d messages so far, %d requests limited\n", st.Requests["POST /channels/{channel}/messages"], st.RateLimited)
}

// quiet waits until all windows of the limits have ended.
func quiet(ctx context.Context) error {
	select {
	case <-time.After(window + 100*time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// smallFiles is a thousand files under the limits, against a message for each.
func smallFiles(ctx context.Context, w *world) (_ []result, err error) {
	const channels, capacity, files = 4, 16, 1000
	p, c, err := limitedProduct(ctx, w, channels, capacity)
	if err != nil {
		return nil, err
	}
	defer func() {
		c.Close()
		err = errors.Join(err, p.Close())
	}()
	places, err := c.Book(ctx, 3*capacity)
	if err != nil {
		return nil, err
	}
	single := (time.Duration((files+posts*channels-1)/(posts*channels)) - 1) * window
	var samples []sample
	for i := range w.runs {
		if err := quiet(ctx); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := uploadMany(ctx, c, fmt.Sprintf("/small %d", i), files, 4<<10, places); err != nil {
			return nil, err
		}
		samples = append(samples, sample{time.Since(start).Seconds(), single.Seconds()})
		w.logPosts(p)
	}
	return []result{result{
		Row: "small", What: "1,000 files of 4 KiB under live limits, 4 channels", Against: "one message per file", Unit: "s", Reach: 0.1667, AtMost: true,
	}.of(samples)}, nil
}

// uploadMany uploads files of one size into a folder, so many at a time.
func uploadMany(ctx context.Context, c *rig.Client, folder string, files int, size int64, atOnce int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, atOnce))
	for i := range files {
		group.Go(func() error {
			if err := c.Upload(ctx, folder, fmt.Sprintf("%05d", i), rig.Content{Seed: uint64(i), Size: size}); err != nil {
				return fmt.Errorf("file %d: %w", i, err)
			}
			return nil
		})
	}
	return group.Wait()
}
