package manager

import (
	"context"
	"path/filepath"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/pkg/blob/bucketblob"
	"discordcloud/pkg/cloud"
)

// ThumbnailEncoder makes images in formats that Go does not encode.
type ThumbnailEncoder = thumbs.Encoder

// wireThumbs makes the part that keeps thumbnails.
func (m *Manager) wireThumbs() error {
	cfg := m.cfg
	folder, err := thumbs.OpenFolder(filepath.Join(cfg.DataDir, "thumbnails"))
	if err != nil {
		return err
	}
	places := thumbs.Places{Folder: folder, Discord: cfg.Blobs, New: cfg.Blobs}
	if cfg.ThumbnailBucket != (bucketblob.Options{}) {
		places.Bucket = bucketblob.New(cfg.ThumbnailBucket)
	}
	cache := filepath.Join(cfg.DataDir, "cache", "thumbnails")
	switch cfg.ThumbnailStore {
	case "disk":
		places.New, cache = folder, "" // they are here anyway
	case "supabase":
		places.New = places.Bucket
	}
	m.thumbs, err = thumbs.New(thumbs.Options{
		Store: m.store, Ring: cfg.Keys, Blobs: places, Bus: m.bus, Lead: m.peers.Lead,
		Format: cfg.ThumbnailFormat, Encoder: cfg.ThumbnailEncoder,
		Cache: cache, CacheLimit: cfg.ThumbnailCache, Log: part(cfg.Log, "thumbnails"),
	})
	return err
}

// CountThumbnails gives the number of thumbnails in each state: queued, ready
// and failed.
func (a *Admin) CountThumbnails(ctx context.Context) (map[string]int64, error) {
	counts, err := a.store.CountThumbnails(ctx)
	if err != nil {
		return nil, err
	}
	named := map[string]int64{}
	for state, n := range counts {
		named[string(state)] = n
	}
	return named, nil
}

// RebuildThumbnails queues every file that may have a thumbnail, also those that
// have one and those that failed. The manager takes the queue up within a minute.
func (a *Admin) RebuildThumbnails(ctx context.Context) error {
	if _, err := a.store.RequeueThumbnails(ctx); err != nil {
		return err
	}
	var some []cloud.ObjectID
	queue := func() error {
		err := a.store.QueueThumbnails(ctx, some, thumbs.PriorityRebuild, thumbs.Decoder)
		some = some[:0]
		return err
	}
	if err := a.store.Walk(ctx, cloud.Root, meta.AnyViewer, func(_ []string, e cloud.Entry) error {
		if thumbs.Worth(e) {
			some = append(some, e.Object)
		}
		if len(some) < 500 {
			return nil
		}
		return queue()
	}); err != nil {
		return err
	}
	return queue()
}
