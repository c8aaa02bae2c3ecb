package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/tools/internal/rig"
)

// worker is one client with a folder of its own, and what it knows to be in it.
type worker struct {
	soak   *soak
	client *rig.Client
	folder string
	random *rand.Rand
	files  map[string]rig.Content // acknowledged
	unsure map[string]bool        // names whose last change ended with an error
	next   uint64                 // seed of the next content
}

// patience is how long one operation may take under faults.
const patience = 2 * time.Minute

// filesMost is how many files a client keeps.
const filesMost = 12

// work does one thing after the other until it is told to stop. What has begun
// is ended.
func (w *worker) work(ctx context.Context, stop <-chan struct{}) {
	for ctx.Err() == nil {
		select {
		case <-stop:
			return
		default:
		}
		doing, cancel := context.WithTimeout(ctx, patience)
		w.step(doing)
		cancel()
	}
}

func (w *worker) step(ctx context.Context) {
	names := slices.Sorted(maps.Keys(w.files))
	some := func() string { return names[w.random.IntN(len(names))] }
	switch roll := w.random.IntN(100); {
	case len(names) == 0, roll < 25 && len(names) < filesMost:
		w.write(ctx, "write", fmt.Sprintf("file %d", w.random.IntN(1000)))
	case roll < 40:
		w.write(ctx, "overwrite", some())
	case roll < 45 || len(names) >= filesMost:
		w.remove(ctx, some())
	case roll < 60:
		name := some()
		w.read(ctx, "read", name, 0, w.files[name].Size)
	default:
		name := some()
		size := w.files[name].Size
		off := w.random.Int64N(size + 1)
		w.read(ctx, "range", name, off, min(size-off, 1+w.random.Int64N(1<<20)))
	}
}

// size draws from the sizes at which something changes, and from those between.
func (w *worker) size() int64 {
	part := chunk.PlainMax(attachmentLimit)
	edges := []int64{0, 1, chunk.Segment, part - 1, part, part + 1, 2 * part, 3*part + 500}
	if w.random.IntN(3) == 0 {
		return edges[w.random.IntN(len(edges))]
	}
	return w.random.Int64N(4 * part)
}

func (w *worker) write(ctx context.Context, kind, name string) {
	w.next++
	data := rig.Content{Seed: w.soak.seed<<32 ^ uint64(w.random.Uint32())<<20 ^ w.next, Size: w.size()}
	if err := w.client.Upload(ctx, w.folder, name, data); err != nil {
		// It may be stored or not: nothing is known of this name any more.
		delete(w.files, name)
		w.unsure[name] = true
		w.soak.tally.fail("%s of %d bytes: %v", kind, data.Size, err)
		return
	}
	w.files[name] = data
	delete(w.unsure, name)
	w.soak.tally.did(kind, 0)
}

func (w *worker) remove(ctx context.Context, name string) {
	e, err := w.client.Lookup(ctx, w.folder+"/"+name)
	if err == nil {
		err = w.client.Delete(ctx, e)
	}
	delete(w.files, name)
	if err != nil {
		w.unsure[name] = true
		w.soak.tally.fail("delete: %v", err)
		return
	}
	w.soak.tally.did("delete", 0)
}

// read reads a range and compares it.
func (w *worker) read(ctx context.Context, kind, name string, off, n int64) {
	data := w.files[name]
	got, err := w.compare(ctx, name, data, off, n)
	w.soak.tally.did(kind, got)
	if err != nil {
		w.soak.tally.fail("%s of %d bytes from %d of %d: %v", kind, n, off, data.Size, err)
	}
}

// compare reads n bytes of a file from off on and holds them to its content; it
// gives how many were right. A response that ends early has not ended cleanly,
// and is an error all the same: what Discord does must not show.
func (w *worker) compare(ctx context.Context, name string, data rig.Content, off, n int64) (int64, error) {
	e, err := w.client.Lookup(ctx, w.folder+"/"+name)
	if err != nil {
		return 0, fmt.Errorf("look up: %w", err)
	}
	if e.Size != data.Size {
		return 0, fmt.Errorf("it has %d bytes, not %d", e.Size, data.Size)
	}
	ranges := ""
	if off > 0 || n < data.Size {
		if n == 0 {
			return 0, nil // HTTP cannot ask for that
		}
		ranges = fmt.Sprintf("bytes=%d-%d", off, off+n-1)
	}
	answer, err := w.client.Get(ctx, e.Path(), ranges)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if ranges != "" && answer.StatusCode != http.StatusPartialContent {
		return 0, fmt.Errorf("status %d to a range", answer.StatusCode)
	}
	got, err := io.Copy(data.Check(off), answer.Body)
	if err == nil && got != n {
		err = fmt.Errorf("ends cleanly after %d bytes", got)
	}
	return got, err
}

// verify compares all that was acknowledged, and looks that nothing else is there.
func (w *worker) verify(ctx context.Context) {
	for name, data := range w.files {
		doing, cancel := context.WithTimeout(ctx, patience)
		got, err := w.compare(doing, name, data, 0, data.Size)
		cancel()
		w.soak.tally.did("final compare", got)
		if err != nil {
			w.soak.tally.fail("acknowledged and not there: %d bytes: %v", data.Size, err)
		}
	}
	folder, err := w.client.Lookup(ctx, w.folder)
	if refused, ok := errors.AsType[*rig.StatusError](err); ok && refused.Status == http.StatusNotFound && len(w.files) == 0 {
		return
	}
	var listed struct{ Entries []rig.Entry }
	if err == nil {
		err = w.client.Do(ctx, "GET", fmt.Sprintf("/api/entries/%d/children?limit=1000", folder.ID), nil, &listed)
	}
	if err != nil {
		w.soak.tally.fail("list: %v", err)
		return
	}
	for _, e := range listed.Entries {
		if _, ok := w.files[e.Name]; !ok && !w.unsure[e.Name] {
			w.soak.tally.fail("there is a file that was deleted or never acknowledged, of %d bytes", e.Size)
		}
	}
}
