package metatest

import (
	"errors"
	"slices"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var uploads = []testcase{
	{"of a size that is not known", func(f *fixture) {
		u := f.upload(f.user("ann"), "file", -1)
		f.begin(u)
		f.same("row", must(f.Upload(f.ctx, u.ID))(f).Size, int64(-1))
		whole := u
		whole.Size = 250
		f.is(f.AddPart(f.ctx, u.ID, 2, chunksOf(whole, 2)), cloud.ErrInvalid) // it is short
		for part := range int64(2) {
			f.ok(f.AddPart(f.ctx, u.ID, part, chunksOf(whole, part)))
		}
		_, err := f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail))
		f.is(err, cloud.ErrInvalid)
		f.is(f.SetUploadSize(f.ctx, u.ID, 199), cloud.ErrInvalid)
		f.ok(f.SetUploadSize(f.ctx, u.ID, 250))
		f.is(f.SetUploadSize(f.ctx, u.ID, 250), cloud.ErrInvalid)
		f.ok(f.AddPart(f.ctx, u.ID, 2, chunksOf(whole, 2)))
		done := must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail)))(f)
		f.same("size", done.Entry.Size, int64(250))
		f.is(f.SetUploadSize(f.ctx, u.ID, 250), cloud.ErrNotFound)
	}},
	{"create and find", func(f *fixture) {
		ann := f.user("ann")
		u := f.upload(ann, "a/b/file.txt", 250)
		u.Public, u.OnConflict, u.ModifiedAt, u.CreatedAt = true, "rename", at(0), at(1)
		f.begin(u)
		u.State, u.TouchedAt = meta.UploadRunning, at(1)
		f.same("upload", must(f.Upload(f.ctx, u.ID))(f), u)
		f.same("parts", u.Parts(), int64(3))
		f.same("stored", must(f.PartsStored(f.ctx, u.ID))(f), [][2]int64(nil))
		bare := f.upload(ann, "file", 1)
		before := time.Now().Add(-time.Second)
		f.begin(bare)
		got := must(f.Upload(f.ctx, bare.ID))(f)
		if got.Folder != nil || !got.ModifiedAt.IsZero() || got.CreatedAt.Before(before) || got.TouchedAt.Before(before) {
			f.Errorf("upload = %+v", got)
		}
		_, err := f.Upload(f.ctx, "unknown")
		f.is(err, cloud.ErrNotFound)
		// The tree shows nothing of it, nor can the object be read.
		f.same("children", f.all(cloud.Root), []cloud.Entry(nil))
		f.fill(u)
		_, err = f.Object(f.ctx, u.Object)
		f.is(err, cloud.ErrNotFound)
		_, err = f.Chunks(f.ctx, u.Object, 0, 1)
		f.is(err, cloud.ErrNotFound)
	}},
	{"that cannot be", func(f *fixture) {
		ann := f.user("ann")
		first := f.upload(ann, "file", 1)
		f.begin(first)
		for _, c := range []struct {
			edit func(u *meta.Upload)
			want error
		}{
			{func(u *meta.Upload) { u.ID = first.ID }, cloud.ErrExists},
			{func(u *meta.Upload) { u.Object = first.Object }, cloud.ErrExists},
			{func(u *meta.Upload) { u.ID = "" }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.Object = cloud.ObjectID{} }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.User = ann + 99 }, cloud.ErrNotFound},
			{func(u *meta.Upload) { u.Size = -2 }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.Size = 1 << 53 }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.PartSize = 0 }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.Base = -1 }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.Name = "" }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.Name = "a/b" }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.Folder = []string{"a", ".."} }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.Folder = slices.Repeat([]string{"a"}, meta.MaxDepth) }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.Type = long(256) }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.State = meta.UploadDone }, cloud.ErrInvalid},
			{func(u *meta.Upload) { u.ModifiedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, cloud.ErrInvalid},
		} {
			u := f.upload(ann, "file", 10)
			c.edit(&u)
			f.is(f.CreateUpload(f.ctx, u), c.want)
		}
		f.same("uploads", len(must(f.UploadsIn(f.ctx, meta.AnyViewer))(f)), 1)
	}},
	{"below a folder", func(f *fixture) {
		ann := f.user("ann")
		base := f.folders(ann, "hidden/base")
		start := func(path string) meta.Upload {
			u := f.upload(ann, path, 10)
			u.Base = base.ID
			f.begin(u)
			f.fill(u)
			f.same("base", must(f.Upload(f.ctx, u.ID))(f).Base, base.ID)
			return u
		}
		here, below, late := start("file"), start("a/b/file"), start("a/late")
		done := must(f.FinishUpload(f.ctx, here.ID, finish(meta.ConflictFail)))(f)
		f.same("here", []any{done.Entry.Parent, done.Folder, len(done.CreatedFolders)}, []any{base.ID, []string{"hidden", "base"}, 0})
		// It is the folder that was meant, wherever it is by now.
		must(f.Move(f.ctx, base.ID, cloud.Root, "moved", meta.ConflictFail, nil))(f)
		done = must(f.FinishUpload(f.ctx, below.ID, finish(meta.ConflictFail)))(f)
		f.same("below", []any{done.Folder, len(done.CreatedFolders)}, []any{[]string{"moved", "a", "b"}, 2})
		again := must(f.FinishUpload(f.ctx, below.ID, finish(meta.ConflictFail)))(f)
		f.same("again", again.Folder, done.Folder)
		must(f.Delete(f.ctx, []cloud.EntryID{base.ID}, nil))(f)
		_, err := f.FinishUpload(f.ctx, late.ID, finish(meta.ConflictFail))
		f.is(err, cloud.ErrNotFound)
		f.same("top", len(f.all(cloud.Root)), 1) // "hidden": nothing was made in its place
		f.same("late", must(f.Upload(f.ctx, late.ID))(f).State, meta.UploadRunning)
	}},
	{"parts in any order", func(f *fixture) {
		u := f.upload(f.user("ann"), "file", 1050)
		u.CreatedAt = at(0)
		f.begin(u)
		for i, c := range []struct {
			part int64
			want [][2]int64
		}{
			{5, [][2]int64{{5, 5}}},
			{10, [][2]int64{{5, 5}, {10, 10}}},
			{6, [][2]int64{{5, 6}, {10, 10}}},
			{0, [][2]int64{{0, 0}, {5, 6}, {10, 10}}},
			{4, [][2]int64{{0, 0}, {4, 6}, {10, 10}}},
			{9, [][2]int64{{0, 0}, {4, 6}, {9, 10}}},
		} {
			f.ok(f.AddPart(f.ctx, u.ID, c.part, chunksOf(u, c.part)))
			f.same("stored", must(f.PartsStored(f.ctx, u.ID))(f), c.want)
			if got := must(f.Upload(f.ctx, u.ID))(f).TouchedAt; i == 0 && !got.After(at(0)) {
				f.Errorf("touched at %v", got)
			}
		}
		_, err := f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail))
		f.is(err, cloud.ErrInvalid)
		f.is(f.SetUploadState(f.ctx, u.ID, meta.UploadWaiting, ""), cloud.ErrInvalid)
		for _, part := range []int64{1, 2, 3, 7, 8} {
			f.ok(f.AddPart(f.ctx, u.ID, part, chunksOf(u, part)))
		}
		f.same("stored", must(f.PartsStored(f.ctx, u.ID))(f), [][2]int64{{0, 10}})
		_, err = f.PartsStored(f.ctx, "unknown")
		f.is(err, cloud.ErrNotFound)
	}},
	{"a part twice", func(f *fixture) {
		u := f.upload(f.user("ann"), "file", 150)
		f.begin(u)
		first := chunksOf(u, 1)
		f.ok(f.AddPart(f.ctx, u.ID, 1, first))
		second := chunksOf(u, 1)
		second[0].Ref.Message, second[0].CRC32 = "other", 1
		f.is(f.AddPart(f.ctx, u.ID, 1, second), cloud.ErrExists)
		split := []meta.Stored{chunkAt(u, 1, 100, 20), chunkAt(u, 2, 120, 30)}
		f.is(f.AddPart(f.ctx, u.ID, 1, split), cloud.ErrExists)
		f.same("leaves", f.leaves(u), first)
	}},
	{"a part in several chunks", func(f *fixture) {
		u := f.upload(f.user("ann"), "file", 250)
		f.begin(u)
		want := []meta.Stored{
			chunkAt(u, 0, 0, 100), chunkAt(u, 1, 100, 40), chunkAt(u, 3, 140, 40), chunkAt(u, 4, 180, 20), chunkAt(u, 2, 200, 50),
		}
		f.ok(f.AddPart(f.ctx, u.ID, 2, want[4:]))
		f.ok(f.AddPart(f.ctx, u.ID, 1, []meta.Stored{want[3], want[1], want[2]})) // in no order
		f.ok(f.AddPart(f.ctx, u.ID, 0, want[:1]))
		f.same("leaves", f.leaves(u), want)
		e := must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail)))(f).Entry
		f.same("chunks", must(f.Chunks(f.ctx, e.Object, 0, 10))(f), plain(want))
	}},
	{"parts that do not fit", func(f *fixture) {
		u := f.upload(f.user("ann"), "file", 250)
		f.begin(u)
		stored := chunkAt(u, 0, 0, 100)
		edited := func(edit func(*meta.Stored)) []meta.Stored {
			c := stored
			edit(&c)
			return []meta.Stored{c}
		}
		for name, c := range map[string]struct {
			part   int64
			chunks []meta.Stored
		}{
			"no chunk":       {0, nil},
			"negative part":  {-1, chunksOf(u, 0)},
			"part too high":  {3, []meta.Stored{chunkAt(u, 3, 300, 100)}},
			"huge part":      {1 << 62, chunksOf(u, 0)},
			"other part":     {1, chunksOf(u, 0)},
			"short":          {0, []meta.Stored{chunkAt(u, 0, 0, 99)}},
			"long":           {0, []meta.Stored{chunkAt(u, 0, 0, 101)}},
			"late":           {0, []meta.Stored{chunkAt(u, 0, 1, 99)}},
			"gap":            {0, []meta.Stored{chunkAt(u, 0, 0, 50), chunkAt(u, 1, 51, 49)}},
			"overlap":        {0, []meta.Stored{chunkAt(u, 0, 0, 50), chunkAt(u, 1, 49, 51)}},
			"doubled":        {0, []meta.Stored{chunkAt(u, 0, 0, 100), chunkAt(u, 1, 0, 100)}},
			"empty chunk":    {0, []meta.Stored{chunkAt(u, 0, 0, 0), chunkAt(u, 1, 0, 100)}},
			"empty at end":   {0, []meta.Stored{chunkAt(u, 0, 0, 100), chunkAt(u, 1, 100, 0)}},
			"negative chunk": {0, []meta.Stored{chunkAt(u, 0, 0, 150), chunkAt(u, 1, 150, -50)}},
			"wrong last":     {2, []meta.Stored{chunkAt(u, 2, 200, 100)}},
			"nowhere":        {0, edited(func(c *meta.Stored) { c.Ref = cloud.Ref{} })},
			"negative index": {0, edited(func(c *meta.Stored) { c.Index = -1 })},
			"too small":      {0, edited(func(c *meta.Stored) { c.SealedSize = 99 })},
		} {
			if err := f.AddPart(f.ctx, u.ID, c.part, c.chunks); !errors.Is(err, cloud.ErrInvalid) {
				f.Errorf("%s: %v, want %v", name, err, cloud.ErrInvalid)
			}
		}
		f.is(f.AddPart(f.ctx, "unknown", 0, chunksOf(u, 0)), cloud.ErrNotFound)
		f.same("stored", must(f.PartsStored(f.ctx, u.ID))(f), [][2]int64(nil))
		f.fill(u) // none of it is in the way
	}},
	{"leaves", func(f *fixture) {
		u := f.upload(f.user("ann"), "file", 150) // chunks of one byte: more than a page of any sensible size
		u.PartSize = 1
		f.begin(u)
		var want []meta.Stored
		for part := range u.Parts() {
			want = append(want, chunksOf(u, part)...)
		}
		for part := u.Parts() - 1; part >= 0; part-- {
			f.ok(f.AddPart(f.ctx, u.ID, part, want[part:part+1]))
		}
		f.same("leaves", f.leaves(u), want)
		f.ok(f.SetUploadState(f.ctx, u.ID, meta.UploadWaiting, ""))
		f.same("leaves", len(f.leaves(u)), len(want))
		f.is(f.Leaves(f.ctx, u.ID, func(meta.Stored) error { return errVeto }), errVeto)
		f.is(f.Leaves(f.ctx, "unknown", func(meta.Stored) error { return nil }), cloud.ErrNotFound)
		must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail)))(f)
		f.is(f.Leaves(f.ctx, u.ID, func(meta.Stored) error { return nil }), cloud.ErrNotFound)
	}},
	{"states", func(f *fixture) {
		ann := f.user("ann")
		start := func(to ...meta.UploadState) meta.Upload {
			f.Helper()
			u := f.upload(ann, "file", 10)
			f.begin(u)
			f.fill(u)
			for _, state := range to {
				f.ok(f.SetUploadState(f.ctx, u.ID, state, "because"))
			}
			return u
		}
		for _, end := range []meta.UploadState{meta.UploadFailed, meta.UploadAborted} {
			for _, u := range []meta.Upload{start(end), start(meta.UploadWaiting, end), start(meta.UploadWaiting, meta.UploadWaiting, end, end)} {
				got := must(f.Upload(f.ctx, u.ID))(f)
				f.same("state", []any{got.State, got.Reason}, []any{end, "because"})
				for _, state := range []meta.UploadState{meta.UploadWaiting, meta.UploadFailed, meta.UploadAborted} {
					if state != end {
						f.is(f.SetUploadState(f.ctx, u.ID, state, ""), cloud.ErrNotFound)
					}
				}
				f.is(f.AddPart(f.ctx, u.ID, 0, chunksOf(u, 0)), cloud.ErrNotFound)
				_, err := f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail))
				f.is(err, cloud.ErrNotFound)
				_, err = f.Chunks(f.ctx, u.Object, 0, 1)
				f.is(err, cloud.ErrNotFound)
			}
		}
		waiting := start(meta.UploadWaiting)
		f.is(f.AddPart(f.ctx, waiting.ID, 0, chunksOf(waiting, 0)), cloud.ErrNotFound)
		for _, state := range []meta.UploadState{meta.UploadRunning, meta.UploadDone, "", "lost"} {
			f.is(f.SetUploadState(f.ctx, waiting.ID, state, ""), cloud.ErrInvalid)
		}
		f.is(f.SetUploadState(f.ctx, "unknown", meta.UploadFailed, ""), cloud.ErrNotFound)
		must(f.FinishUpload(f.ctx, waiting.ID, finish(meta.ConflictFail)))(f)
		for _, state := range []meta.UploadState{meta.UploadWaiting, meta.UploadFailed, meta.UploadAborted} {
			f.is(f.SetUploadState(f.ctx, waiting.ID, state, ""), cloud.ErrNotFound)
		}
		f.is(f.AddPart(f.ctx, waiting.ID, 0, chunksOf(waiting, 0)), cloud.ErrNotFound)
	}},
	{"lists", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		var ids []cloud.UploadID
		for i, user := range []cloud.UserID{ann, bob, ann, ann} {
			u := f.upload(user, "file", 10)
			u.CreatedAt = at(-i) // the oldest comes first, not the first made
			f.begin(u)
			ids = append(ids, u.ID)
		}
		f.ok(f.SetUploadState(f.ctx, ids[2], meta.UploadFailed, ""))
		in := func(user cloud.UserID, states ...meta.UploadState) (found []cloud.UploadID) {
			for _, u := range must(f.UploadsIn(f.ctx, user, states...))(f) {
				found = append(found, u.ID)
			}
			return found
		}
		f.same("ann's", in(ann), []cloud.UploadID{ids[3], ids[2], ids[0]})
		f.same("ann's running", in(ann, meta.UploadRunning, meta.UploadWaiting), []cloud.UploadID{ids[3], ids[0]})
		f.same("all running", in(meta.AnyViewer, meta.UploadRunning), []cloud.UploadID{ids[3], ids[1], ids[0]})
		f.same("all failed", in(meta.AnyViewer, meta.UploadFailed), []cloud.UploadID{ids[2]})
		f.same("bob's failed", in(bob, meta.UploadFailed), []cloud.UploadID(nil))
	}},
	{"expire", func(f *fixture) {
		ann := f.user("ann")
		start := func(touched time.Time) meta.Upload {
			u := f.upload(ann, "file", 10)
			u.CreatedAt, u.TouchedAt = touched, touched
			f.begin(u)
			return u
		}
		now := time.Now()
		idle, fresh, waiting, failed := start(now.Add(-3*time.Hour)), start(now), start(now.Add(-3*time.Hour)), start(now.Add(-3*time.Hour))
		f.fill(waiting) // progress: it is touched
		f.ok(f.SetUploadState(f.ctx, waiting.ID, meta.UploadWaiting, ""))
		f.ok(f.SetUploadState(f.ctx, failed.ID, meta.UploadFailed, "x"))
		aborted := must(f.ExpireUploads(f.ctx, now.Add(-time.Hour), now.Add(-24*time.Hour), ""))(f)
		if len(aborted) != 1 || aborted[0].ID != idle.ID || aborted[0].State != meta.UploadAborted {
			f.Errorf("aborted %+v, want %s", aborted, idle.ID)
		}
		got := must(f.Upload(f.ctx, idle.ID))(f)
		f.same("stored", got, aborted[0])
		f.same("fresh", must(f.Upload(f.ctx, fresh.ID))(f).State, meta.UploadRunning)
		f.same("waiting", must(f.Upload(f.ctx, waiting.ID))(f).State, meta.UploadWaiting)
		f.same("failed", must(f.Upload(f.ctx, failed.ID))(f).State, meta.UploadFailed)
		// History goes; what is aborted now is history from now on.
		aborted = must(f.ExpireUploads(f.ctx, now.Add(time.Hour), now.Add(time.Hour), ""))(f)
		f.same("aborted", len(aborted), 2)
		for _, u := range []meta.Upload{idle, failed} {
			_, err := f.Upload(f.ctx, u.ID)
			f.is(err, cloud.ErrNotFound)
		}
		f.same("waiting", must(f.Upload(f.ctx, waiting.ID))(f).State, meta.UploadAborted)
	}},
	{"expire with their manager", func(f *fixture) {
		ann := f.user("ann")
		start := func(manager string, fleeting bool) cloud.UploadID {
			u := f.upload(ann, "file", 10)
			u.Manager, u.Fleeting = manager, fleeting
			f.begin(u)
			return u.ID
		}
		mine, gone, lasting := start("me", true), start("gone", true), start("gone", false)
		aborted := must(f.ExpireUploads(f.ctx, time.Now().Add(-time.Hour), time.Now().Add(-time.Hour), "me"))(f)
		if len(aborted) != 1 || aborted[0].ID != gone || !aborted[0].Fleeting {
			f.Errorf("aborted %+v, want %s", aborted, gone)
		}
		f.same("aborted", must(f.Upload(f.ctx, gone))(f).State, meta.UploadAborted)
		for _, id := range []cloud.UploadID{mine, lasting} {
			f.same("running", must(f.Upload(f.ctx, id))(f).State, meta.UploadRunning)
		}
		q := must(f.Quota(f.ctx, ann))(f)
		f.same("reserved", [2]int64{q.ReservedFiles, q.ReservedBytes}, [2]int64{2, 20})
	}},
}

// leaves gathers what Leaves visits.
func (f *fixture) leaves(u meta.Upload) (all []meta.Stored) {
	f.Helper()
	f.ok(f.Leaves(f.ctx, u.ID, func(c meta.Stored) error {
		all = append(all, c)
		return nil
	}))
	return all
}

func plain(stored []meta.Stored) (chunks []cloud.Chunk) {
	for _, c := range stored {
		chunks = append(chunks, c.Chunk)
	}
	return chunks
}
