package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"

	"discordcloud/tools/internal/rig"
)

// zipOne is a folder with the large file as an archive, against its plain
// download.
func zipOne(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := w.client.Lookup(ctx, "/bench")
	if err != nil {
		return nil, err
	}
	if up, err := w.client.Lookup(ctx, "/bench/up"); err == nil { // its attachments are gone
		if err := w.client.Delete(ctx, up); err != nil {
			return nil, err
		}
	}
	var samples []sample
	for range w.runs {
		var s sample
		if s.base, _, err = w.timed(w.product, f.data.Size, func() (int64, error) { return w.read(ctx, f.entry.Path()) }); err != nil {
			return nil, err
		}
		if s.got, _, err = w.timed(w.product, f.data.Size, func() (int64, error) { return w.read(ctx, archivePath(folder)) }); err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	return []result{result{
		Row: "zip-one", What: "zip of one large file", Against: "its plain download", Unit: "MiB/s", Reach: 0.8,
	}.of(samples)}, nil
}

func archivePath(folder rig.Entry) string { return fmt.Sprintf("/api/entries/%d/archive", folder.ID) }

// zipMany is an archive of many small files, against a plain proxy of the same
// attachments, one request for each as well, and against one file of that size.
func zipMany(ctx context.Context, w *world) ([]result, error) {
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	const size = 16 << 10
	before, err := w.attachments(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.many(ctx, size); err != nil {
		return nil, err
	}
	after, err := w.attachments(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := w.client.Lookup(ctx, "/many")
	if err != nil {
		return nil, err
	}
	total := int64(w.files) * size
	whole, err := w.store(ctx, "/whole", "one", rig.Content{Seed: 77, Size: total})
	if err != nil {
		return nil, err
	}
	if err := w.proxied(ctx, &stored{attachments: after[len(before):]}); err != nil {
		return nil, err
	}
	var each, one []sample
	for range w.runs {
		base, _, err := w.timed(w.proxy, total, func() (int64, error) { return w.readProxy(ctx) })
		if err != nil {
			return nil, fmt.Errorf("plain: %w", err)
		}
		got, _, err := w.timed(w.product, total, func() (int64, error) { return w.read(ctx, archivePath(folder)) })
		if err != nil {
			return nil, err
		}
		single, _, err := w.timed(w.product, total, func() (int64, error) { return w.read(ctx, whole.entry.Path()) })
		if err != nil {
			return nil, err
		}
		each, one = append(each, sample{got, base}), append(one, sample{got, single})
	}
	return []result{
		result{
			Row: "zip-many", What: fmt.Sprintf("zip of %d files of 16 KiB", w.files), Against: "plain streaming proxy of the same attachments", Unit: "MiB/s", Reach: 0.5,
		}.of(each),
		result{
			Row: "zip-many-one", What: "the same, against one file of that size", Against: "plain download of one file of that size", Unit: "MiB/s",
		}.of(one),
	}, nil
}

// many uploads the many small files.
func (w *world) many(ctx context.Context, size int64) error {
	places, err := w.client.Book(ctx, services*16)
	if err != nil {
		return err
	}
	return uploadMany(ctx, w.client, "/many", w.files, size, places)
}

// copies is how often the folder of many files is in the archive of zipWalk.
const copies = 10

// zipWalk is how long it takes to go on with an archive of very many files anywhere
// in its second half, and what that costs in memory: all in front is walked over.
func zipWalk(ctx context.Context, w *world) ([]result, error) {
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	folder, err := w.client.Lookup(ctx, "/many")
	if refused, ok := errors.AsType[*rig.StatusError](err); ok && refused.Status == http.StatusNotFound {
		if err = w.many(ctx, 16<<10); err == nil {
			folder, err = w.client.Lookup(ctx, "/many")
		}
	}
	if err != nil {
		return nil, err
	}
	var made struct{ Entry rig.Entry }
	if err := w.client.Do(ctx, http.MethodPost, "/api/entries/0/folders", map[string]any{"name": "walk"}, &made); err != nil {
		return nil, err
	}
	for range copies {
		if err := w.client.Do(ctx, http.MethodPost, "/api/copy", map[string]any{
			"ids": []int64{folder.ID}, "parent": made.Entry.ID, "on_conflict": "rename",
		}, nil); err != nil {
			return nil, err
		}
	}
	if err := w.again(ctx); err != nil {
		return nil, err
	}
	if err := w.product.freshPeak(); err != nil {
		return nil, err
	}
	path := archivePath(made.Entry)
	total, err := w.client.Length(ctx, path)
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(5, 6))
	var samples []sample
	for range min(w.runs, 3) { // each takes seconds
		at := total/2 + random.Int64N(total/2-1<<20)
		_, first, _, err := fetch(ctx, func() (*http.Response, error) {
			return w.client.Get(ctx, path, fmt.Sprintf("bytes=%d-%d", at, at+1<<20-1))
		})
		if err != nil {
			return nil, err
		}
		samples = append(samples, sample{got: first.Seconds()})
	}
	peak, err := w.product.peak()
	if err != nil {
		return nil, err
	}
	files := copies * w.files
	return []result{
		result{Row: "zip-walk", What: fmt.Sprintf("archive of %d files: to go on in its second half", files), Unit: "s"}.of(samples),
		result{
			Row: "memory-zip", What: fmt.Sprintf("resident memory, that archive of %d files", files), Unit: "MiB", Reach: 300, AtMost: true,
		}.of([]sample{{got: peak}}),
	}, nil
}
