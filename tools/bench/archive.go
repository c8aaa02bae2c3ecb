package main

import (
	"context"
	"fmt"

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
	places, err := w.client.Book(ctx, services*16)
	if err != nil {
		return nil, err
	}
	before, err := w.attachments(ctx)
	if err != nil {
		return nil, err
	}
	if err := uploadMany(ctx, w.client, "/many", w.files, size, places); err != nil {
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
