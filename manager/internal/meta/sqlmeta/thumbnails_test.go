package sqlmeta

import (
	"errors"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// storedFile puts a file with an object of its own into the root.
func storedFile(t *testing.T, s *Store, name string) cloud.Entry {
	t.Helper()
	var e cloud.Entry
	err := s.update(t.Context(), func(tx querier) error {
		id := cloud.ObjectID([]byte(name + "................")[:16])
		if err := exec(t.Context(), tx, `INSERT INTO objects (id, state, size, created_at, finished_at, state_at) VALUES (?, 'stored', 3, 1, 1, 1)`, id[:]); err != nil {
			return err
		}
		var err error
		e, err = insertEntry(t.Context(), tx, cloud.Entry{Name: name, Kind: cloud.KindFile, Object: id, Size: 3, Type: "image/png", Public: true})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestThumbnails_queue(t *testing.T) {
	s, ctx := openTest(t), t.Context()
	now := time.Now().Add(time.Second)
	later := now.Add(time.Minute)
	low, high := storedFile(t, s, "low"), storedFile(t, s, "high")
	if _, err := s.LeaseThumbnail(ctx, now, later, 3); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("an empty queue gives %v", err)
	}
	for priority, objects := range [][]cloud.ObjectID{{{9}, low.Object, high.Object}, {}, {high.Object}, {}} {
		if err := s.QueueThumbnails(ctx, objects, priority, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.QueueThumbnails(ctx, []cloud.ObjectID{high.Object}, -1, 1); err != nil {
		t.Fatal(err)
	}
	if th, err := s.Thumbnail(ctx, cloud.ObjectID{9}); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("an object that is not there is queued: %+v, %v", th, err)
	}
	job, err := s.LeaseThumbnail(ctx, now, later, 3)
	if err != nil || job.Entry.ID != high.ID || job.Attempt != 1 {
		t.Fatalf("first is %+v, %v", job, err)
	}
	if job, err = s.LeaseThumbnail(ctx, now, later, 3); err != nil || job.Entry.ID != low.ID {
		t.Fatalf("second is %+v, %v", job, err)
	}
	if _, err = s.LeaseThumbnail(ctx, now, later, 3); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("what is leased is leased again: %v", err)
	}
	// A lease that ran out is another attempt, one given back uncounted is none.
	if job, err = s.LeaseThumbnail(ctx, later, later, 3); err != nil || job.Entry.ID != high.ID || job.Attempt != 2 {
		t.Errorf("after its time: %+v, %v", job, err)
	}
	if err := s.ReturnThumbnail(ctx, high.Object, now, true); err != nil {
		t.Fatal(err)
	}
	if job, err = s.LeaseThumbnail(ctx, now, now, 3); err != nil || job.Attempt != 2 {
		t.Errorf("after its return: %+v, %v", job, err)
	}
	if job, err = s.LeaseThumbnail(ctx, now, now, 3); err != nil || job.Attempt != 3 {
		t.Errorf("for the last time: %+v, %v", job, err)
	}
	if job, err = s.LeaseThumbnail(ctx, now, now, 3); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("after the last time: %+v, %v", job, err)
	}
	if th, err := s.Thumbnail(ctx, high.Object); err != nil || th.State != meta.ThumbnailFailed || th.Reason == "" {
		t.Errorf("given up: %+v, %v", th, err)
	}
	// Of many that were asked for together none is left out, and those asked for last come first.
	first, last := storedFile(t, s, "first"), storedFile(t, s, "last")
	many := []cloud.ObjectID{first.Object, last.Object}
	if err := s.update(ctx, func(tx querier) error {
		for i := range askedTogether {
			many = append(many, cloud.ObjectID{1, byte(i >> 8), byte(i)})
			if err := exec(ctx, tx, `INSERT INTO objects (id, state, size, created_at, finished_at, state_at) VALUES (?, 'stored', 3, 1, 1, 1)`, many[i+2][:]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.QueueThumbnails(ctx, many[:1], 2, 1); err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now.Add(time.Second) }
	if err := s.QueueThumbnails(ctx, many, 2, 1); err != nil {
		t.Fatal(err)
	}
	if counts, err := s.CountThumbnails(ctx); err != nil || counts[meta.ThumbnailQueued] != int64(len(many)+1) {
		t.Errorf("queued are %v, %v", counts, err)
	}
	if job, err = s.LeaseThumbnail(ctx, later, later, 3); err != nil || job.Entry.ID != last.ID {
		t.Errorf("the last is not the first: %+v, %v", job, err)
	}
}

func TestThumbnails_ends(t *testing.T) {
	s, ctx := openTest(t), t.Context()
	e := storedFile(t, s, "a")
	queue := func(decoder int, want meta.ThumbnailState) {
		t.Helper()
		if err := s.QueueThumbnails(ctx, []cloud.ObjectID{e.Object}, 0, decoder); err != nil {
			t.Fatal(err)
		}
		if th, err := s.Thumbnail(ctx, e.Object); err != nil || th.State != want {
			t.Fatalf("queued for decoder %d it is %s, %v, want %s", decoder, th.State, err, want)
		}
	}
	finish := func(th meta.Thumbnail) ([]cloud.Entry, *meta.Thumbnail) {
		t.Helper()
		th.Object = e.Object
		entries, old, err := s.FinishThumbnail(ctx, th)
		if err != nil {
			t.Fatal(err)
		}
		return entries, old
	}
	queue(1, meta.ThumbnailQueued)
	finish(meta.Thumbnail{State: meta.ThumbnailFailed, Decoder: 1, Reason: "cut off"})
	queue(1, meta.ThumbnailFailed) // no second attempt by the same decoder
	if err := s.RequeueFailedThumbnails(ctx); err != nil {
		t.Fatal(err)
	}
	queue(1, meta.ThumbnailQueued) // when a person wants it
	finish(meta.Thumbnail{State: meta.ThumbnailFailed, Decoder: 1, Reason: "cut off"})
	queue(2, meta.ThumbnailQueued)

	ready := meta.Thumbnail{
		State: meta.ThumbnailReady, Decoder: 2, Facts: `{"width":1}`, Preview: "LEHV6nWB2yk8pyo0adR*.7kCMdnj", Pack: cloud.ObjectID{1},
		Images: []meta.ThumbnailImage{{Size: 256, Width: 1, Height: 2, Offset: 3, Bytes: 4, Sum: cloud.Sum{5}}},
		Chunk:  cloud.Chunk{Size: 7, SealedSize: 300, Salt: [32]byte{6}, Header: [64]byte{7}, Ref: cloud.Ref{Channel: "1", Message: "2", Attachment: "3", Path: "/p"}},
	}
	entries, old := finish(ready)
	if len(entries) != 1 || !entries[0].HasThumbnail || entries[0].ID != e.ID || entries[0].Preview != ready.Preview || old != nil {
		t.Errorf("finished: %+v, %v", entries, old)
	}
	got, err := s.Thumbnail(ctx, e.Object)
	if err != nil || got.Chunk != ready.Chunk || len(got.Images) != 1 || got.Images[0] != ready.Images[0] || got.Facts != ready.Facts {
		t.Errorf("read back: %+v, %v", got, err)
	}
	for id, want := range map[cloud.EntryID]string{e.ID: ready.Facts, cloud.Root: "", e.ID + 1: ""} {
		if facts, err := s.Facts(ctx, id); err != nil || facts != want {
			t.Errorf("facts of %d: %q, %v", id, facts, err)
		}
	}
	queue(3, meta.ThumbnailReady)

	if n, err := s.RequeueThumbnails(ctx); n != 1 || err != nil {
		t.Fatalf("requeued %d, %v", n, err)
	}
	finish(meta.Thumbnail{State: meta.ThumbnailFailed, Decoder: 3, Reason: "no more"})
	queue(3, meta.ThumbnailReady) // the old images stay
	ready.Pack = cloud.ObjectID{2}
	if _, old := finish(ready); old == nil || old.Pack != (cloud.ObjectID{1}) {
		t.Errorf("the pack that was replaced: %+v", old)
	}

	// Copies have it at once: one alone, one in the place of another file, one with its folder.
	folder, _, err := s.MakeFolders(ctx, cloud.Root, []string{"folder"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	gone := []cloud.EntryID{e.ID, folder.ID}
	for range 2 {
		r, err := s.Copy(ctx, e.ID, folder.ID, "copy", 0, true, meta.ConflictClear, nil)
		if err != nil || !r.Entry.HasThumbnail || r.Entry.Preview != ready.Preview {
			t.Errorf("copied: %+v, %v", r.Entry, err)
		}
	}
	r, err := s.Copy(ctx, folder.ID, cloud.Root, "second", 0, true, meta.ConflictFail, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone = append(gone, r.Entry.ID)
	page, err := s.List(ctx, meta.Query{Parent: r.Entry.ID, Viewer: meta.AnyViewer, Limit: 2})
	if err != nil || len(page.Entries) != 1 || !page.Entries[0].HasThumbnail {
		t.Errorf("copied with its folder: %+v, %v", page.Entries, err)
	}

	if stale, err := s.StaleThumbnails(ctx, true, 10); len(stale) != 0 || err != nil {
		t.Errorf("stale while the file is there: %v, %v", stale, err)
	}
	if _, err := s.Delete(ctx, gone, nil); err != nil {
		t.Fatal(err)
	}
	for _, all := range []bool{false, true} {
		stale, err := s.StaleThumbnails(ctx, all, 10)
		if err != nil || len(stale) != 1 || stale[0].Chunk.Ref != ready.Chunk.Ref {
			t.Fatalf("stale after the file has gone: %+v, %v", stale, err)
		}
	}
	if _, _, err := s.FinishThumbnail(ctx, ready); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("a thumbnail of nothing is recorded: %v", err)
	}
	if _, err := s.Condemn(ctx, time.Now().Add(time.Hour), "", 10, false); err != nil {
		t.Fatal(err)
	}
	if stale, err := s.StaleThumbnails(ctx, true, 10); len(stale) != 1 || err != nil {
		t.Errorf("stale after the object was collected: %+v, %v", stale, err)
	}
	if err := s.ForgetThumbnail(ctx, e.Object); err != nil {
		t.Fatal(err)
	}
	if counts, err := s.CountThumbnails(ctx); len(counts) != 0 || err != nil {
		t.Errorf("left: %v, %v", counts, err)
	}
}
