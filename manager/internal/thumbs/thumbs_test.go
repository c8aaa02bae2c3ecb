package thumbs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/manager/internal/vfs/vfstest"
	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// world is Thumbs on a real database, with sealed chunks in memory.
type world struct {
	*vfstest.World
	t      *testing.T
	thumbs *thumbs.Thumbs
	cache  string
	who    policy.Principal
	news   chan event.Change
}

func newWorld(t *testing.T, configure ...func(*thumbs.Options)) *world {
	t.Helper()
	w := &world{World: vfstest.New(t), t: t, cache: filepath.Join(t.TempDir(), "cache"), news: make(chan event.Change, 100)}
	o := thumbs.Options{
		Store: w.Store, Ring: w.Ring, Blobs: w.Blobs, Bus: w.Bus, Cache: w.cache,
		Poll: 20 * time.Millisecond, Answer: 5 * time.Second,
	}
	for _, f := range configure {
		f(&o)
	}
	var err error
	if w.thumbs, err = thumbs.New(o); err != nil {
		t.Fatal(err)
	}
	w.who = w.User(t, "somebody")
	t.Cleanup(w.Bus.Subscribe(func(v any) {
		if c, ok := v.(*event.Change); ok {
			w.news <- *c
		}
	}))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.thumbs.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

// file stores a file of its own content and asks for its thumbnail.
func (w *world) file(name string) cloud.Entry {
	w.t.Helper()
	e := w.Put(w.t, w.who, "/"+name, []byte("\x89PNG\r\n\x1a\n"+name), true)
	w.thumbs.Want(thumbs.PriorityListed, e)
	return e
}

// becomes waits until the thumbnail of e is in a state.
func (w *world) becomes(e cloud.Entry, want meta.ThumbnailState) meta.Thumbnail {
	w.t.Helper()
	var th meta.Thumbnail
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var err error
		if th, err = w.Store.Thumbnail(w.t.Context(), e.Object); err == nil && th.State == want {
			return th
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the thumbnail is %+v (%v), want %s", th, err, want)
		}
	}
}

// service is the far end of a connection: what it does with a job is up to the
// test.
type service struct {
	w      *world
	worker *thumbs.Worker
	jobs   chan packet.ThumbnailJob

	mu     sync.Mutex
	refuse bool
}

func (w *world) join(capacity int) *service {
	w.t.Helper()
	s := &service{w: w, jobs: make(chan packet.ThumbnailJob, 100)}
	var err error
	if s.worker, err = w.thumbs.Join(w.t.Context(), s, capacity); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.worker.Leave(context.Background()) })
	return s
}

func (s *service) Call(_ context.Context, p packet.Packet) (packet.Packet, error) {
	switch p := p.(type) {
	case packet.ThumbnailConfigure:
		return packet.Boolean{Success: true}, nil
	case packet.ThumbnailJob:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.refuse {
			return packet.Boolean{}, nil
		}
		s.jobs <- p
		return packet.Boolean{Success: true}, nil
	}
	return nil, errors.New("no such packet")
}

func (s *service) Close(string) {}

func (s *service) job() packet.ThumbnailJob {
	s.w.t.Helper()
	select {
	case j := <-s.jobs:
		return j
	case <-time.After(patience):
		s.w.t.Fatal("no job came")
	}
	panic("unreachable")
}

// picture is a JPEG of one colour.
func picture(w, h int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = []byte{200, 100, 50, 255}[i%4]
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func sent(size int64, b []byte) packet.ThumbnailImage {
	return packet.ThumbnailImage{Size: size, Data: base64.StdEncoding.EncodeToString(b)}
}

func good(job string) packet.ThumbnailDone {
	return packet.ThumbnailDone{
		Job: job, Success: true, Facts: &packet.MediaFacts{Width: 2000, Height: 1500},
		Images: []packet.ThumbnailImage{sent(256, picture(256, 192)), sent(1024, picture(1024, 768))},
	}
}

func TestThumbs(t *testing.T) {
	w := newWorld(t)
	s := w.join(1)
	e := w.file("a.png")
	job := s.job()
	if job.Size != e.Size || job.Type != e.Type || job.Source != thumbs.SourcePath(job.Job) {
		t.Errorf("the job is %+v of %+v", job, e)
	}
	ctx := t.Context()
	if _, err := w.thumbs.Open(ctx, e, 256); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("before it was made: %v", err)
	}
	// What a service appends to its image does not come through.
	done := good(job.Job)
	done.Images[0] = sent(256, append(picture(256, 192), "<script>alert(1)</script>"...))
	if err := s.worker.Done(ctx, done); err != nil {
		t.Fatal(err)
	}
	th := w.becomes(e, meta.ThumbnailReady)
	if th.Facts != `{"width":2000,"height":1500}` || th.Decoder != thumbs.Decoder {
		t.Errorf("recorded: %+v", th)
	}
	select {
	case c := <-w.news:
		if c.Action != event.Changed || c.Entry.ID != e.ID || !c.Entry.HasThumbnail || len(c.Path) != 0 {
			t.Errorf("told: %+v", c)
		}
	case <-time.After(patience):
		t.Fatal("nobody is told")
	}
	for size, width := range map[int]int{1: 256, 256: 256, 257: 1024, 9999: 1024} {
		img, err := w.thumbs.Open(ctx, e, size)
		if err != nil {
			t.Fatal(err)
		}
		back, err := jpeg.Decode(bytes.NewReader(img.Bytes))
		if err != nil || img.Width != width || back.Bounds().Dx() != width || bytes.Contains(img.Bytes, []byte("script")) {
			t.Errorf("size %d: %d pixels, %v", size, img.Width, err)
		} else if c := color.NRGBAModel.Convert(back.At(9, 9)).(color.NRGBA); c.R < 190 || c.B > 60 {
			t.Errorf("size %d: %v", size, c)
		}
	}

	// It comes out of the cache, sealed; damaged there, out of the store again.
	files, err := os.ReadDir(w.cache)
	if err != nil || len(files) != 1 {
		t.Fatalf("the cache has %d files, %v", len(files), err)
	}
	path := filepath.Join(w.cache, files[0].Name())
	kept, err := os.ReadFile(path)
	if err != nil || bytes.Contains(kept, []byte("JFIF")) || bytes.Contains(kept, []byte{0xff, 0xd8, 0xff}) {
		t.Errorf("what is kept is no noise: %v", err)
	}
	if err := os.WriteFile(path, append(kept[:len(kept)-1], 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.thumbs.Open(ctx, e, 256); err != nil {
		t.Errorf("with a damaged cache: %v", err)
	}

	// With the file it goes, from everywhere.
	if _, err := w.FS.Delete(ctx, w.who, e.ID); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		_, err := w.Store.Thumbnail(ctx, e.Object)
		r, got := w.Blobs.Get(ctx, th.Chunk.Ref, 0, -1)
		if got == nil {
			_ = r.Close()
		}
		_, here := os.Stat(path)
		if errors.Is(err, cloud.ErrNotFound) && errors.Is(got, cloud.ErrNotFound) && os.IsNotExist(here) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: row %v, blob %v, cache %v", err, got, here)
		}
	}
}

// A thumbnail whose object was collected while no manager ran goes after the next start.
func TestThumbs_collected(t *testing.T) {
	var o thumbs.Options
	w := newWorld(t, func(of *thumbs.Options) {
		of.Poll = time.Hour
		o = *of
	})
	ctx := t.Context()
	e := w.file("a.png")
	w.becomes(e, meta.ThumbnailQueued)
	if _, err := w.Store.Delete(ctx, []cloud.EntryID{e.ID}, nil); err != nil {
		t.Fatal(err)
	}
	if r, err := w.Store.Condemn(ctx, time.Now().Add(time.Hour), "", 10, false); err != nil || r.Objects != 1 {
		t.Fatalf("collected: %+v, %v", r, err)
	}
	if _, err := w.Store.Thumbnail(ctx, e.Object); err != nil {
		t.Fatalf("before the start: %v", err)
	}
	next, err := thumbs.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- next.Run(ctx) }()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err = w.Store.Thumbnail(ctx, e.Object); errors.Is(err, cloud.ErrNotFound) {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("after the start: %v", err)
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What services send that is no thumbnail becomes none, after three attempts it
// has failed, and the service goes on being one.
func TestThumbs_liars(t *testing.T) {
	w := newWorld(t)
	s := w.join(1)
	html := []byte("<html><body>not a picture</body></html>")
	huge := picture(1, 1)
	huge = append(huge, make([]byte, 400<<10)...)
	bomb := append([]byte{0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0xff, 0xff, 0xff, 0xff, 1, 1, 0x11, 0}, picture(8, 8)[2:]...)
	for name, images := range map[string][]packet.ThumbnailImage{
		"nothing":         nil,
		"one size":        {sent(256, picture(9, 9))},
		"HTML":            {sent(256, html), sent(1024, html)},
		"too many bytes":  {sent(256, huge), sent(1024, picture(9, 9))},
		"too many pixels": {sent(256, picture(300, 9)), sent(1024, picture(9, 9))},
		"a bomb":          {sent(256, bomb), sent(1024, bomb)},
		"cut off":         {sent(256, picture(99, 99)[:400]), sent(1024, picture(9, 9))},
		"other sizes":     {sent(64, picture(9, 9)), sent(128, picture(9, 9))},
	} {
		t.Run(name, func(t *testing.T) {
			e := w.file(strings.ReplaceAll(name, " ", "-") + ".png")
			for range 3 {
				err := s.worker.Done(t.Context(), packet.ThumbnailDone{Job: s.job().Job, Success: true, Images: images})
				if !errors.Is(err, cloud.ErrInvalid) {
					t.Errorf("it is answered by %v", err)
				}
			}
			if th := w.becomes(e, meta.ThumbnailFailed); th.Reason == "" || len(th.Images) != 0 {
				t.Errorf("recorded: %+v", th)
			}
		})
	}
	e := w.file("after.png")
	if err := s.worker.Done(t.Context(), good(s.job().Job)); err != nil {
		t.Fatal(err)
	}
	w.becomes(e, meta.ThumbnailReady)
}

func TestThumbs_failures(t *testing.T) {
	w := newWorld(t)
	s := w.join(1)
	e := w.file("bad.png")
	if err := s.worker.Done(t.Context(), packet.ThumbnailDone{Job: s.job().Job, Reason: "it is cut off"}); err != nil {
		t.Fatal(err)
	}
	if th := w.becomes(e, meta.ThumbnailFailed); th.Reason != "it is cut off" {
		t.Errorf("the reason is %q", th.Reason)
	}
	// Nobody tries again, whoever looks.
	w.thumbs.Want(thumbs.PriorityOpened, e)
	other := w.file("other.png")
	job := s.job()
	if p, read, err := w.thumbs.Redeem(job.Job, string(job.Ticket)); err != nil || read.ID != other.ID || p.Entry != other.ID {
		t.Errorf("the next job is about %d (%v), want %d", read.ID, err, other.ID)
	}
}

// A ticket opens the object of its job, to the service, while it has the job.
func TestThumbs_tickets(t *testing.T) {
	w := newWorld(t)
	s := w.join(2)
	e := w.file("a.png")
	job := s.job()
	p, read, err := w.thumbs.Redeem(job.Job, string(job.Ticket))
	if err != nil || read.Object != e.Object {
		t.Fatalf("redeemed: %+v, %v", read, err)
	}
	if err := policy.Check(p, policy.ReadJob, &read); err != nil {
		t.Error(err)
	}
	w.file("b.png")
	second := s.job()
	for name, c := range map[string][2]string{
		"of another job":  {second.Job, string(job.Ticket)},
		"of no job":       {packet.NewUUID(), string(job.Ticket)},
		"that is empty":   {job.Job, ""},
		"that was forged": {job.Job, strings.Repeat("A", 52)},
	} {
		if _, _, err := w.thumbs.Redeem(c[0], c[1]); !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Errorf("a ticket %s: %v", name, err)
		}
	}
	other := w.join(1)
	if err := other.worker.Done(t.Context(), good(job.Job)); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("another service ends the job: %v", err)
	}
	if err := s.worker.Done(t.Context(), good(job.Job)); err != nil {
		t.Fatal(err)
	}
	if err := s.worker.Done(t.Context(), good(job.Job)); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("a job is ended twice: %v", err)
	}
	if _, _, err := w.thumbs.Redeem(job.Job, string(job.Ticket)); !errors.Is(err, cloud.ErrUnauthenticated) {
		t.Errorf("after the job: %v", err)
	}
}

// What a service does not end, another does: one that has left, and one that
// refuses.
func TestThumbs_leases(t *testing.T) {
	w := newWorld(t)
	gone := w.join(1)
	e := w.file("a.png")
	gone.job()
	busy := w.join(1)
	busy.mu.Lock()
	busy.refuse = true
	busy.mu.Unlock()
	gone.worker.Leave(t.Context())
	silent := w.join(1)
	late := silent.job()
	silent.worker.Leave(t.Context())
	last := w.join(1)
	job := last.job()
	if err := silent.worker.Done(t.Context(), good(late.Job)); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("who has left ends a job: %v", err)
	}
	if err := last.worker.Done(t.Context(), good(job.Job)); err != nil {
		t.Fatal(err)
	}
	if th := w.becomes(e, meta.ThumbnailReady); th.Attempts != 3 {
		t.Errorf("%d attempts: those refused do not count", th.Attempts)
	}
}

// A service that never ends a job loses it.
func TestThumbs_silence(t *testing.T) {
	w := newWorld(t, func(o *thumbs.Options) { o.Lease = 50 * time.Millisecond; o.Attempts = 2 })
	s := w.join(1)
	e := w.file("a.png")
	s.job()
	s.job() // once more
	if th := w.becomes(e, meta.ThumbnailFailed); th.Reason != "no service could make it" {
		t.Errorf("the reason is %q", th.Reason)
	}
}

func TestWorth(t *testing.T) {
	file := func(name, kind string) cloud.Entry {
		return cloud.Entry{Kind: cloud.KindFile, Name: name, Type: kind, Size: 1}
	}
	for _, c := range []struct {
		e    cloud.Entry
		want bool
	}{
		{file("a", "image/png"), true}, {file("a", "video/mp4"), true}, {file("a", "text/x-go; charset=utf-8"), true},
		{file("a.HEIC", "application/octet-stream"), true}, {file("a.mkv", ""), true}, {file("a", "application/pdf"), true},
		{file("a.svg", "image/svg+xml"), true}, {file("a.svg", ""), true}, {file("a", "application/zip"), false}, {file("a", ""), false}, {file("a.bin", "application/octet-stream"), false},
		{cloud.Entry{Kind: cloud.KindFile, Type: "image/png"}, false}, {cloud.Entry{Kind: cloud.KindFolder, Name: "a.png"}, false},
	} {
		if got := thumbs.Worth(c.e); got != c.want {
			t.Errorf("%q of type %q: %t", c.e.Name, c.e.Type, got)
		}
	}
}

func TestFolder(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		f, err := thumbs.OpenFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return f
	})
}

// The cache has no more bytes than it may: the oldest go.
func TestThumbs_cacheLimit(t *testing.T) {
	const limit = 64 << 10
	w := newWorld(t, func(o *thumbs.Options) { o.CacheLimit = limit })
	s := w.join(1)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		e := w.file(name + ".png")
		done := good(s.job().Job)
		if err := s.worker.Done(t.Context(), done); err != nil {
			t.Fatal(err)
		}
		w.becomes(e, meta.ThumbnailReady)
	}
	files, err := os.ReadDir(w.cache)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > limit {
		t.Errorf("%d bytes in %d files, limit %d", total, len(files), limit)
	}
}
