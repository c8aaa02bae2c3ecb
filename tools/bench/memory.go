package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/tools/internal/rig"
)

// memoryDown is the resident size of the product while 64 readers read the large
// file slowly, each from another place.
func memoryDown(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.again(ctx); err != nil {
		return nil, err
	}
	if err := w.product.freshPeak(); err != nil {
		return nil, err
	}
	const readers = 64
	reading, stop := context.WithTimeout(ctx, w.stable)
	defer stop()
	group, reading := errgroup.WithContext(reading)
	for range readers {
		group.Go(func() error { return slowly(reading, w.client, f.entry) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	peak, err := w.product.peak()
	if err != nil {
		return nil, err
	}
	return []result{result{
		Row: "memory-down", What: fmt.Sprintf("resident memory, %d slow downloads of the large file", readers), Unit: "MiB", Reach: 300, AtMost: true,
	}.of([]sample{{got: peak}})}, nil
}

// slowly reads about 1 MiB/s until ctx ends.
func slowly(ctx context.Context, c *rig.Client, e rig.Entry) error {
	answer, err := c.Get(ctx, e.Path(), "")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := io.CopyN(io.Discard, answer.Body, 100<<10); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// memoryUp is the resident size of the product while it takes eight large files.
func memoryUp(ctx context.Context, w *world) ([]result, error) {
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	if err := w.again(ctx); err != nil {
		return nil, err
	}
	if err := w.product.freshPeak(); err != nil {
		return nil, err
	}
	const uploads = 8
	before, err := w.attachments(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := w.client.Book(ctx, uploads); err != nil {
		return nil, err
	}
	if err := uploadMany(ctx, w.client, "/at once", uploads, w.size/4, uploads); err != nil {
		return nil, err
	}
	peak, err := w.product.peak()
	if err != nil {
		return nil, err
	}
	return []result{result{
		Row: "memory-up", What: fmt.Sprintf("resident memory, %d uploads at once", uploads), Unit: "MiB", Reach: 300, AtMost: true,
	}.of([]sample{{got: peak}})}, w.forgetSince(ctx, before)
}
