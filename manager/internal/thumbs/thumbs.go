// Package thumbs keeps the previews of files: it knows which are to be made, has
// thumbnail services make them, checks what comes back, stores it sealed, and
// gives it to those who may read the file. Whether somebody may is decided before
// it is asked; decoding the files themselves happens in the services alone.
//
// A thumbnail is of an object, so that it is made once for all copies of a file.
// Its sizes are sealed together as one chunk of a kind of its own, which lies in
// Discord like those of files, or in a folder. A row refers to it only when it
// is stored, and it is deleted after no file has the object any more.
//
// # Why
//
// A service is not trusted with more than the bytes it is given: what it sends
// is decoded and encoded anew, so that a browser never sees a byte of a
// service's making, nor more of them than we would make ourselves.
package thumbs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/peers"
	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

// Decoder is the version of what services make. Raised, everything that had
// failed is tried again when somebody looks at it.
const Decoder = 2

// Sizes are what is made: for grids and for previews, in pixels of the longer
// side.
var sizes = []int64{256, 1024}

// Priorities in the queue.
const (
	PriorityRebuild = -1
	PriorityUpload  = 0
	PriorityListed  = 5
	PriorityOpened  = 10
)

// Store is what package meta keeps for thumbnails, and what is needed to tell
// of a change.
type Store interface {
	meta.Thumbnails
	Path(ctx context.Context, id cloud.EntryID) ([]cloud.Entry, error)
	Grants(ctx context.Context, entry cloud.EntryID) ([]cloud.Share, error)
	Job(ctx context.Context, name string) (meta.Job, error)
	PauseJob(ctx context.Context, name string, paused bool) error
}

// Options are what Thumbs stands on. Zero durations and numbers have the
// defaults given.
type Options struct {
	Store Store
	Ring  crypt.Ring
	Blobs blob.Store // that sealed thumbnails are put into
	Bus   *event.Bus
	// Cache is a folder for sealed thumbnails that were looked at; "" for none.
	Cache      string
	CacheLimit int64 // bytes of it: 256 MiB
	// Format is what new thumbnails are kept in: JPEG by default, which is also
	// what comes of one that Encoder cannot make.
	Format  string
	Encoder Encoder // nil for none
	Log     *slog.Logger
	Now     func() time.Time // time.Now
	// Lead does something if no other manager does, nil without others.
	Lead func(ctx context.Context, name string, do func(context.Context) error) error

	Lease    time.Duration // of a job: 1 min
	Poll     time.Duration // between two looks at the queue and at what is stale: 30 s
	Attempts int           // of services at one thumbnail: 3
	Answer   time.Duration // a service has time to answer: 10 s
}

// Thumbs keeps the previews. Make it with New; its methods are safe for
// concurrent use.
type Thumbs struct {
	Options
	cache  *cache
	cancel func() // of the subscription
	wake   chan struct{}
	swept  bool // Run's own: what was stale before it began is gone
	// removed tells that something may be stale.
	removed atomic.Bool
	work    sync.WaitGroup
	stores  chan struct{} // of as many as are stored at once

	shrinking chan struct{} // of as many as Small makes at once

	mu      sync.Mutex
	wanted  []want
	asked   map[cloud.ObjectID]time.Time // lately
	small   map[cloud.Sum][]byte         // what Small has made of images
	workers []*Worker
	leases  map[string]*lease
	made    int64
	failed  int64
	refused int64 // answers of services that were no thumbnails
}

// want is a thumbnail that somebody asked for.
type want struct {
	object   cloud.ObjectID
	priority int
}

// maxWanted bounds what waits to be written into the queue. What comes on top
// is asked for again when somebody looks.
const maxWanted = 1 << 14

// New makes Thumbs, which hears from now on of files that come. Run has to run
// beside it.
func New(o Options) (*Thumbs, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&o.Lease, time.Minute}, {&o.Poll, 30 * time.Second}, {&o.Answer, 10 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if o.Attempts == 0 {
		o.Attempts = 3
	}
	if o.CacheLimit == 0 {
		o.CacheLimit = 256 << 20
	}
	t := &Thumbs{
		Options: o, wake: make(chan struct{}, 1), stores: make(chan struct{}, 4),
		asked: map[cloud.ObjectID]time.Time{}, leases: map[string]*lease{},
		small: map[cloud.Sum][]byte{}, shrinking: make(chan struct{}, 2),
	}
	t.chooseFormat()
	if o.Cache != "" {
		var err error
		if t.cache, err = openCache(o.Cache, o.CacheLimit); err != nil {
			return nil, fmt.Errorf("open the cache of thumbnails: %w", err)
		}
	}
	t.cancel = o.Bus.Subscribe(t.hear)
	return t, nil
}

// hear takes what the bus tells. It does not block.
func (t *Thumbs) hear(v any) {
	change, ok := v.(*event.Change)
	if !ok {
		return
	}
	switch change.Action {
	case event.Added, event.Changed:
		t.Want(PriorityUpload, change.Entry)
	case event.Removed:
		t.removed.Store(true)
		t.nudge()
	case event.Moved:
	}
}

// Want asks for the thumbnails of those entries that may have one and have none.
// It does not wait.
func (t *Thumbs) Want(priority int, entries ...cloud.Entry) {
	now := t.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range entries {
		if e.HasThumbnail || !Worth(e) || len(t.wanted) >= maxWanted {
			continue
		}
		if at, ok := t.asked[e.Object]; ok && now.Sub(at) < time.Minute && priority < PriorityOpened {
			continue
		}
		if len(t.asked) >= maxWanted {
			clear(t.asked)
		}
		t.asked[e.Object] = now
		t.wanted = append(t.wanted, want{e.Object, priority})
	}
	if len(t.wanted) > 0 {
		t.nudge()
	}
}

func (t *Thumbs) nudge() {
	select {
	case t.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Worth tells whether a file may have a thumbnail, by its type and its name. What
// it really is shows when it is decoded.
func Worth(e cloud.Entry) bool {
	if e.IsFolder() || e.Size == 0 {
		return false
	}
	kind, _, err := mime.ParseMediaType(e.Type)
	if err != nil || kind == "application/octet-stream" {
		return extensions[strings.ToLower(path.Ext(e.Name))]
	}
	group, _, _ := strings.Cut(kind, "/")
	switch {
	case group == "image", group == "video", group == "audio", group == "text":
		return true
	}
	return kinds[kind] || extensions[strings.ToLower(path.Ext(e.Name))]
}

// kinds are types outside the groups of images, videos, audio and text.
var kinds = map[string]bool{
	"application/pdf": true, "application/json": true, "application/xml": true, "application/javascript": true,
	"application/x-sh": true, "application/toml": true, "application/yaml": true, "application/ogg": true, "application/sql": true,
}

// extensions tell the kind of files of which nobody has said it.
var extensions = map[string]bool{
	".heic": true, ".heif": true, ".avif": true, ".tif": true, ".tiff": true, ".bmp": true, ".webp": true, ".jpg": true, ".jpeg": true, ".png": true, ".gif": true, ".svg": true,
	".mkv": true, ".mp4": true, ".mov": true, ".avi": true, ".webm": true, ".flv": true, ".ts": true, ".mpg": true, ".m4v": true, ".wmv": true,
	".mp3": true, ".flac": true, ".m4a": true, ".ogg": true, ".opus": true, ".wav": true, ".aac": true, ".pdf": true,
	".md": true, ".txt": true, ".go": true, ".rs": true, ".py": true, ".c": true, ".h": true, ".toml": true, ".yaml": true, ".yml": true, ".log": true, ".csv": true,
}

// Run hands out work until ctx ends, and returns when all that goes on has
// ended. Services must have left by then, or leave soon.
func (t *Thumbs) Run(ctx context.Context) error {
	defer t.work.Wait()
	defer t.cancel()
	tick := time.NewTicker(t.Poll)
	defer tick.Stop()
	t.removed.Store(true)
	for {
		t.queueWanted(ctx)
		t.expire(ctx)
		if !t.paused(ctx) {
			t.handOut(ctx)
		}
		if t.removed.Swap(false) {
			if err := t.sweepAlone(ctx); err != nil && ctx.Err() == nil {
				t.Log.WarnContext(ctx, "stale thumbnails not removed", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		case <-tick.C:
			t.removed.Store(true) // by others
		}
	}
}

// queueWanted writes what is wanted into the queue.
func (t *Thumbs) queueWanted(ctx context.Context) {
	t.mu.Lock()
	wanted := t.wanted
	t.wanted = nil
	t.mu.Unlock()
	objects := map[int][]cloud.ObjectID{} // by priority
	for _, w := range wanted {
		objects[w.priority] = append(objects[w.priority], w.object)
	}
	for priority, some := range objects {
		if err := t.Store.QueueThumbnails(ctx, some, priority, Decoder); err != nil && ctx.Err() == nil {
			t.Log.WarnContext(ctx, "thumbnails not queued", "err", err)
		}
	}
}

// sweepAlone is sweep, unless another manager does it.
func (t *Thumbs) sweepAlone(ctx context.Context) error {
	if t.Lead == nil {
		return t.sweep(ctx)
	}
	if err := t.Lead(ctx, "thumbnails", t.sweep); !errors.Is(err, peers.ErrElsewhere) {
		return err
	}
	return nil
}

// sweep deletes the thumbnails of objects that no file has any more: first what
// lies somewhere, then the row that says so. The first time it looks at all of them:
// objects are garbage for so long that afterwards none goes unseen.
func (t *Thumbs) sweep(ctx context.Context) error {
	for {
		stale, err := t.Store.StaleThumbnails(ctx, !t.swept, 50)
		if err != nil {
			return err
		}
		if len(stale) == 0 {
			t.swept = true
			return nil
		}
		for _, th := range stale {
			if err := t.discard(ctx, th); err != nil {
				return err
			}
			if err := t.Store.ForgetThumbnail(ctx, th.Object); err != nil {
				return err
			}
		}
	}
}

// discard deletes the images of a thumbnail.
func (t *Thumbs) discard(ctx context.Context, th meta.Thumbnail) error {
	if th.Pack.IsZero() {
		return nil
	}
	t.cache.remove(th.Pack)
	return t.Blobs.Delete(ctx, th.Chunk.Ref)
}

// Debug is the state for administrators.
func (t *Thumbs) Debug() any {
	counts, err := t.Store.CountThumbnails(context.Background())
	if err != nil {
		counts = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	lacks := map[string]int{} // how many services
	for _, w := range t.workers {
		if w.lacks != "" {
			lacks[w.lacks]++
		}
	}
	return map[string]any{
		"services": len(t.workers), "running": len(t.leases), "stored": counts,
		"format": t.Format, "made": t.made, "failed": t.failed, "refused": t.refused, "not_installed": lacks,
	}
}
