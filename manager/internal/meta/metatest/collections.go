package metatest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// message stores a file of one chunk of 10 bytes in a message.
func (f *fixture) message(owner cloud.UserID, name, message string) cloud.Entry {
	f.Helper()
	u := f.upload(owner, name, 10)
	f.begin(u)
	c := chunksOf(u, 0)
	c[0].Ref.Message = message
	f.ok(f.AddPart(f.ctx, u.ID, 0, c))
	return must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictReplace)))(f).Entry
}

// condemn sweeps once, page by page, and gives the messages that are due since.
func (f *fixture) condemn(before time.Time, most int, dry bool) (messages []string, kept, objects int64) {
	f.Helper()
	for after := ""; ; {
		r := must(f.Condemn(f.ctx, before, after, most, dry))(f)
		for _, d := range r.Messages {
			messages = append(messages, d.Message)
		}
		kept, objects = kept+r.Kept, objects+r.Objects
		if after = r.Next; after == "" {
			slices.Sort(messages)
			return messages, kept, objects
		}
	}
}

var collections = []testcase{
	{"what nothing refers to", func(f *fixture) {
		ann := f.user("ann")
		one, two := f.message(ann, "one", "100"), f.message(ann, "two", "100")
		three := f.message(ann, "three", "200")
		must(f.Delete(f.ctx, []cloud.EntryID{one.ID, three.ID}, nil))(f)
		later := time.Now().Add(time.Minute)
		got, kept, _ := f.condemn(time.Now().Add(-time.Minute), 10, false)
		f.same("too early", []any{got, kept}, []any{[]string(nil), int64(0)})
		got, kept, objects := f.condemn(later, 10, true)
		f.same("dry", []any{got, kept, objects}, []any{[]string{"200"}, int64(1), int64(0)})
		got, kept, objects = f.condemn(later, 10, false)
		f.same("condemned", []any{got, kept, objects}, []any{[]string{"200"}, int64(1), int64(1)})
		_, err := f.Chunks(f.ctx, three.Object, 0, 1)
		f.is(err, cloud.ErrNotFound) // who reads it still is told so
		f.same("one", len(must(f.Chunks(f.ctx, one.Object, 0, 1))(f)), 1)
		tally := must(f.CountDeletions(f.ctx))(f)
		f.same("tally", []any{tally.Due, tally.Garbage, tally.Messages, len(tally.Channels)}, []any{int64(1), int64(1), int64(1), 1})
		if tally.GarbageBytes == 0 || tally.GarbageBytes*2 != tally.MessagesBytes {
			f.Errorf("%d of %d bytes are garbage, want half", tally.GarbageBytes, tally.MessagesBytes)
		}
		must(f.Delete(f.ctx, []cloud.EntryID{two.ID}, nil))(f)
		got, _, objects = f.condemn(later, 10, false)
		f.same("condemned", []any{got, objects}, []any{[]string{"100"}, int64(2)})
		// No row may name such a message again.
		u := f.upload(ann, "late", 10)
		f.begin(u)
		c := chunksOf(u, 0)
		c[0].Ref.Message = "200"
		f.is(f.AddPart(f.ctx, u.ID, 0, c), cloud.ErrNotFound)
		_, err = f.Condemn(f.ctx, later, "nonsense", 1, false)
		f.is(err, cloud.ErrInvalid)
	}},
	{"not what is in use elsewhere", func(f *fixture) {
		f.SetRetention(keeping)
		ann := f.user("ann")
		later := time.Now().Add(time.Minute)
		trashed, old := f.message(ann, "trashed", "1"), f.message(ann, "old", "2")
		must(f.Delete(f.ctx, []cloud.EntryID{trashed.ID}, nil))(f)
		f.message(ann, "old", "3") // a new content
		copied := f.message(ann, "copied", "4")
		must(f.Copy(f.ctx, copied.ID, cloud.Root, "copy", ann, false, meta.ConflictFail, nil))(f)
		must(f.Delete(f.ctx, []cloud.EntryID{copied.ID}, nil))(f)
		must(f.Purge(f.ctx, []cloud.EntryID{copied.ID}))(f)
		running := f.upload(ann, "running", 20)
		running.PartSize = 10
		f.begin(running)
		f.ok(f.AddPart(f.ctx, running.ID, 0, chunksOf(running, 0)))
		seen := f.message(ann, "seen", "5")
		preview := meta.Thumbnail{Object: seen.Object, State: meta.ThumbnailReady, Pack: cloud.ObjectID{9}, Chunk: chunkAt(running, 5, 0, 5).Chunk}
		preview.Chunk.Ref.Message = "6"
		shows := f.Store.(meta.Thumbnails)
		f.ok(shows.QueueThumbnails(f.ctx, []cloud.ObjectID{seen.Object}, 0, 0))
		_, _, err := shows.FinishThumbnail(f.ctx, preview)
		f.ok(err)
		besides := f.message(ann, "besides", "6")
		must(f.Delete(f.ctx, []cloud.EntryID{besides.ID}, nil))(f)
		must(f.Purge(f.ctx, []cloud.EntryID{besides.ID}))(f)
		got, _, _ := f.condemn(later, 10, false)
		f.same("condemned", got, []string(nil))
		// All that goes in the end.
		f.ok(f.DeleteVersion(f.ctx, old.ID, must(f.ListVersions(f.ctx, old.ID))(f)[0].ID, nil))
		must(f.Purge(f.ctx, []cloud.EntryID{trashed.ID}))(f)
		f.ok(f.SetUploadState(f.ctx, running.ID, meta.UploadAborted, "test"))
		f.ok(shows.ForgetThumbnail(f.ctx, seen.Object))
		got, _, objects := f.condemn(later, 2, false)
		f.same("condemned", []any{len(got), objects}, []any{4, int64(4)})
		f.same("two of them", got[:2], []string{"1", "2"})
	}},
	{"what became of them", func(f *fixture) {
		ann := f.user("ann")
		var ids []cloud.EntryID
		for i := range 4 {
			ids = append(ids, f.message(ann, fmt.Sprint(i), fmt.Sprint(i)).ID)
		}
		must(f.Delete(f.ctx, ids, nil))(f)
		f.condemn(time.Now().Add(time.Minute), 1, false)
		now := time.Now().Add(time.Minute)
		due := must(f.DueDeletions(f.ctx, now, 10))(f)
		f.same("due", len(due), 4)
		due[0].State, due[1].State = meta.DeletionDone, meta.DeletionMissing
		due[2].State, due[2].Reason = meta.DeletionSkipped, "not ours"
		due[3].Reason, due[3].DueAt = "no answer", now.Add(time.Hour)
		f.ok(f.EndDeletions(f.ctx, due))
		f.same("due", len(must(f.DueDeletions(f.ctx, now, 10))(f)), 0)
		again := must(f.DueDeletions(f.ctx, now.Add(2*time.Hour), 10))(f)
		f.same("later", []any{len(again), again[0].Message, again[0].Tries, again[0].Reason}, []any{1, due[3].Message, 1, "no answer"})
		skipped := must(f.Deletions(f.ctx, meta.DeletionSkipped, 10))(f)
		f.same("skipped", []any{len(skipped), skipped[0].Reason, skipped[0].EndedAt.IsZero()}, []any{1, "not ours", false})
		t := must(f.CountDeletions(f.ctx))(f)
		f.same("tally", []any{t.Due, t.Deleted, t.Missing, t.Skipped}, []any{int64(1), int64(1), int64(1), int64(1)})
		f.same("since", must(f.DeletedSince(f.ctx, time.Now().Add(-time.Hour)))(f), int64(1))
		f.same("since", must(f.DeletedSince(f.ctx, now))(f), int64(0))
		f.same("retried", must(f.RetryDeletions(f.ctx))(f), int64(1))
		f.ok(f.ForgetDeletions(f.ctx, now))
		t = must(f.CountDeletions(f.ctx))(f)
		f.same("tally", []any{t.Due, t.Deleted, t.Missing, t.Skipped}, []any{int64(2), int64(0), int64(0), int64(0)})
	}},
	{"orphans", func(f *fixture) {
		f.message(f.user("ann"), "file", "1")
		all := []meta.Posted{{Channel: "7", Message: "1"}, {Channel: "7", Message: "2", Attachments: 3, Bytes: 30}, {Channel: "7", Message: "3", Bytes: 5}}
		f.same("orphans", must(f.NoteOrphans(f.ctx, all))(f), int64(2))
		f.same("orphans", must(f.NoteOrphans(f.ctx, all))(f), int64(2))
		t := must(f.CountDeletions(f.ctx))(f)
		f.same("tally", []any{t.Orphans, t.OrphanBytes}, []any{int64(2), int64(35)})
		f.message(f.user("bob"), "late", "3") // its row came after all
		f.same("too early", must(f.CondemnOrphans(f.ctx, time.Now().Add(-time.Minute), 10))(f), int64(0))
		f.same("condemned", must(f.CondemnOrphans(f.ctx, time.Now().Add(time.Minute), 10))(f), int64(1))
		due := must(f.DueDeletions(f.ctx, time.Now().Add(time.Minute), 10))(f)
		f.same("due", []any{len(due), due[0].Message, due[0].Orphan, due[0].Bytes}, []any{1, "2", true, int64(30)})
		f.same("orphans", must(f.NoteOrphans(f.ctx, all))(f), int64(0))
	}},
	{"jobs", func(f *fixture) {
		f.same("unknown", must(f.Job(f.ctx, "x"))(f), meta.Job{Name: "x"})
		f.ok(f.PauseJob(f.ctx, "x", true))
		f.ok(f.SetJobState(f.ctx, "x", "far"))
		j := must(f.Job(f.ctx, "x"))(f)
		f.same("job", []any{j.Paused, j.State, j.UpdatedAt.IsZero()}, []any{true, "far", false})
		f.ok(f.PauseJob(f.ctx, "x", false))
		f.same("paused", must(f.Job(f.ctx, "x"))(f).Paused, false)
	}},
	{"at random", collectAtRandom},
}

// collectAtRandom does at random what takes references away and makes new ones.
// Whatever the order, no message that a row names is condemned, and no file, version
// or trashed file loses a chunk: that is what Check looks for.
func collectAtRandom(f *fixture) {
	seed := rand.Uint64()
	f.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	f.SetRetention(keeping)
	users := []cloud.UserID{f.user("ann"), f.user("bob"), f.user("eve")}
	posts := 0
	place := func() string { posts++; return fmt.Sprint(1000 + posts/3) } // three to a message
	name := func() string { return fmt.Sprint("f", rnd.IntN(6)) }
	pick := func() (cloud.Entry, bool) {
		all := f.all(cloud.Root)
		if len(all) == 0 {
			return cloud.Entry{}, false
		}
		return all[rnd.IntN(len(all))], true
	}
	fine := func(err error) { // taken names and things that went are part of the game
		f.Helper()
		if err != nil && !errors.Is(err, cloud.ErrExists) && !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrInvalid) {
			f.Errorf("seed %d: %v", seed, err)
		}
	}
	condemned := map[string]bool{}
	for step := range 150 {
		e, there := pick()
		ctx := meta.ForViewer(f.ctx, users[rnd.IntN(3)])
		switch op := rnd.IntN(11); {
		case op < 3 || !there:
			u := f.upload(users[rnd.IntN(3)], name(), 10)
			f.begin(u)
			c := chunksOf(u, 0)
			c[0].Ref.Message = place()
			if err := f.AddPart(f.ctx, u.ID, 0, c); err != nil {
				fine(err)
				break
			}
			if rnd.IntN(4) == 0 {
				f.ok(f.SetUploadState(f.ctx, u.ID, meta.UploadAborted, "test"))
				break
			}
			must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictReplace)))(f)
		case op == 3:
			must(f.Delete(ctx, []cloud.EntryID{e.ID}, nil))(f)
		case op == 4:
			_, err := f.Copy(ctx, e.ID, cloud.Root, name(), users[0], true, meta.ConflictClear, nil)
			fine(err)
		case op == 5:
			_, err := f.Move(ctx, e.ID, cloud.Root, name(), meta.ConflictReplace, nil)
			fine(err)
		case op == 6 || op == 7:
			trash, _, err := f.ListTrash(f.ctx, meta.AnyViewer, "", 10)
			f.ok(err)
			if len(trash) == 0 {
				break
			}
			if id := trash[rnd.IntN(len(trash))].Entry.ID; op == 6 {
				must(f.Restore(ctx, id, cloud.Root, meta.ConflictRename, nil))(f)
			} else {
				must(f.Purge(f.ctx, []cloud.EntryID{id}))(f)
			}
		case op == 8:
			if all := must(f.ListVersions(f.ctx, e.ID))(f); len(all) > 0 {
				if v := all[rnd.IntN(len(all))].ID; rnd.IntN(2) == 0 {
					must(f.RestoreVersion(ctx, e.ID, v, nil))(f)
				} else {
					f.ok(f.DeleteVersion(ctx, e.ID, v, nil))
				}
			}
		default:
			got, _, _ := f.condemn(time.Now().Add(time.Minute), 1+rnd.IntN(5), false)
			for _, m := range got {
				if condemned[m] {
					f.Errorf("seed %d: message %s was condemned twice", seed, m)
				}
				condemned[m] = true
			}
		}
		if step%10 == 0 {
			f.sound()
		}
	}
	if len(condemned) == 0 {
		f.Errorf("seed %d: nothing was ever condemned", seed)
	}
}
