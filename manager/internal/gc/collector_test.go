package gc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"discordcloud/manager/internal/gc"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/sandbox"
)

func (w *world) state() (s gc.CollectorState) {
	w.Helper()
	j, err := w.db.Job(w.Context(), gc.JobCollector)
	w.ok(err)
	w.ok(json.Unmarshal([]byte(j.State), &s))
	return s
}

func TestCollector(t *testing.T) {
	t.Parallel()
	w := open(t)
	token, err := w.sandbox.AddBot("stranger")
	w.ok(err)
	_, err = w.store(token).Put(t.Context(), blobtest.Bytes([]byte("not ours")))
	w.ok(err)
	one, keep := w.put("one", pattern(100)), w.put("keep", pattern(200))
	// Two files in one message: what lies beside the first counts as the second.
	shared, beside := newObject(), newObject()
	c := w.post(shared, pattern(300))
	first := w.record("first", shared, c, pattern(300))
	c.Ref.Attachment += "1"
	second := w.record("second", beside, c, pattern(300))

	w.delete(one, first)
	w.collect()
	if n := w.messages(); n != 4 {
		t.Fatalf("%d messages before the grace is over, want 4", n)
	}
	w.pass(grace + time.Minute)
	p, err := gc.DryRun(t.Context(), w.db, w.now().Add(-grace))
	if err != nil || p.Messages != 1 || p.Kept != 1 || w.messages() != 4 {
		t.Errorf("DryRun = %+v, %v, want 1 message, and 1 that is kept", p, err)
	}
	w.collect()
	if n := w.messages(); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
	if s := w.state(); s.Deleted != 1 || s.Condemned != 1 || s.Kept != 1 || s.Error != "" {
		t.Errorf("state %+v", s)
	}
	w.reads(first.Object, pattern(300)) // its message is in use
	w.delete(second)
	w.pass(grace + time.Minute)
	w.collect()
	if n := w.messages(); n != 2 {
		t.Errorf("%d messages, want the stranger's and one", n)
	}
	w.reads(keep.Object, pattern(200))
	w.collect() // nothing is left to do
	if s := w.state(); s.Deleted+s.Missing+s.Skipped+s.Condemned != 0 {
		t.Errorf("state %+v", s)
	}
}

// Who reads on while a file goes gets all of it, or an error.
func TestCollector_OpenReader(t *testing.T) {
	t.Parallel()
	w := open(t)
	plain := pattern(900_000)
	e := w.put("file", plain)
	r, err := w.source.Open(t.Context(), e.Object, e.Size, 0, -1)
	w.ok(err)
	defer r.Close()
	head := make([]byte, 1000)
	_, err = io.ReadFull(r, head)
	w.ok(err)
	w.delete(e)
	w.reads(e.Object, plain) // within the grace
	w.pass(grace + time.Minute)
	w.collect()
	if n := w.messages(); n != 0 {
		t.Fatalf("%d messages are left", n)
	}
	rest, err := io.ReadAll(r)
	if got := append(head, rest...); err == nil && string(got) != string(plain) || len(got) > len(plain) || string(got) != string(plain[:len(got)]) {
		t.Errorf("read %d bytes, %v: neither whole nor an error", len(got), err)
	}
	if _, err := w.source.Open(t.Context(), e.Object, e.Size, 0, -1); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("Open of what is gone: %v, want ErrNotFound", err)
	}
}

// What may not be deleted is left alone until a person says so.
func TestCollector_Refused(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.sandbox.Faults().Add(sandbox.Rule{Name: "no", Method: "DELETE", Route: "/channels/{channel}/messages/{message}", Action: sandbox.Error, Status: 403, Code: 50013})
	w.delete(w.put("one", pattern(10)))
	w.pass(grace + time.Minute)
	for range 3 {
		w.collect()
		w.pass(48 * time.Hour)
	}
	all, err := w.db.Deletions(t.Context(), meta.DeletionSkipped, 10)
	if err != nil || len(all) != 1 || all[0].Reason == "" || all[0].Tries != 1 {
		t.Errorf("skipped: %+v, %v", all, err)
	}
	w.sandbox.Faults().Clear()
	if n, err := w.db.RetryDeletions(t.Context()); n != 1 || err != nil {
		t.Errorf("RetryDeletions = %d, %v", n, err)
	}
	w.collect()
	if n := w.messages(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

func TestCollector_Outage(t *testing.T) {
	t.Parallel()
	w := open(t)
	for i := range 3 {
		w.delete(w.put(fmt.Sprint(i), pattern(10)))
	}
	w.sandbox.Faults().Add(sandbox.Rule{Route: "/channels/{channel}/messages", Action: sandbox.Error, Status: 503})
	w.sandbox.Faults().Add(sandbox.Rule{Route: "/channels/{channel}/messages/{message}", Action: sandbox.Error, Status: 503})
	w.pass(grace + time.Minute)
	w.collect() // that Discord is away is no error of ours
	if tally, err := w.db.CountDeletions(t.Context()); err != nil || tally.Due != 3 {
		t.Errorf("tally %+v, %v, want 3 that are due", tally, err)
	}
	w.sandbox.Faults().Clear()
	w.pass(time.Hour)
	w.collect()
	if n := w.messages(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

func TestCollector_Daily(t *testing.T) {
	t.Parallel()
	w := open(t)
	for i := range 5 {
		w.delete(w.put(fmt.Sprint(i), pattern(10)))
	}
	w.pass(grace + time.Minute)
	w.c.Daily = 3
	w.collect()
	w.collect()
	if n, s := w.messages(), w.state(); n != 2 || !s.Capped {
		t.Errorf("%d messages are left on the first day, state %+v, want 2", n, s)
	}
	w.pass(25 * time.Hour)
	w.collect()
	if n, s := w.messages(), w.state(); n != 0 || s.Capped {
		t.Errorf("%d messages are left on the second day, state %+v", n, s)
	}
	w.delete(w.put("last", pattern(10)))
	w.pass(48 * time.Hour)
	w.c.Daily = 0
	w.collect()
	if n := w.messages(); n != 1 {
		t.Errorf("%d messages, want the one that may not go", n)
	}
}

// A message whose row was lost is counted, and goes if that is wanted.
func TestCollector_Orphans(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.c.Every, w.c.Sweep = time.Millisecond, time.Nanosecond
	kept := w.put("kept", pattern(10))
	id := newObject()
	late := w.post(id, pattern(20)) // whose row comes late
	w.post(newObject(), pattern(30))
	token, err := w.sandbox.AddBot("stranger")
	w.ok(err)
	_, err = w.store(token).Put(t.Context(), blobtest.Bytes([]byte("not ours")))
	w.ok(err)
	until := func(what string, done func() bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- w.c.Run(ctx) }()
		for !done() {
			if ctx.Err() != nil {
				t.Fatalf("never: %s", what)
			}
			time.Sleep(time.Millisecond)
		}
		cancel()
		<-ended
	}
	orphans := func() int64 {
		tally, err := w.db.CountDeletions(t.Context())
		w.ok(err)
		return tally.Orphans
	}
	searches := func() time.Time {
		j, err := w.db.Job(t.Context(), gc.JobOrphans)
		w.ok(err)
		var s gc.OrphanState
		if j.State != "" {
			w.ok(json.Unmarshal([]byte(j.State), &s))
		}
		return s.EndedAt
	}
	until("a search", func() bool { return !searches().IsZero() })
	if n := orphans(); n != 0 {
		t.Errorf("%d orphans within the grace", n)
	}
	w.pass(grace + time.Hour)
	until("two orphans", func() bool { return orphans() == 2 })
	file := w.record("late", id, late, pattern(20))
	w.pass(grace + time.Hour)
	before := searches()
	until("another search", func() bool { return searches().After(before) && orphans() == 1 })
	if n := w.messages(); n != 4 {
		t.Errorf("%d messages, want 4: nobody wanted the orphan to go", n)
	}
	w.c.Orphans = true
	until("the orphan's end", func() bool { return w.messages() == 3 })
	w.reads(kept.Object, pattern(10))
	w.reads(file.Object, pattern(20))
}

func TestCollector_Paused(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.delete(w.put("file", pattern(10)))
	w.pass(grace + time.Minute)
	w.ok(w.db.PauseJob(t.Context(), gc.JobCollector, true))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	w.c.Every = time.Millisecond
	go func() { ended <- w.c.Run(ctx) }()
	// That it looked for orphans tells that it has passed the paused job by.
	for deadline := time.Now().Add(30 * time.Second); ; {
		if time.Now().After(deadline) {
			t.Fatal("it never looked for orphans")
		}
		if j, err := w.db.Job(t.Context(), gc.JobOrphans); err != nil || !j.UpdatedAt.IsZero() {
			w.ok(err)
			break
		}
		time.Sleep(time.Millisecond)
	}
	if n := w.messages(); n != 1 {
		t.Errorf("%d messages while it is paused, want 1", n)
	}
	w.ok(w.db.PauseJob(t.Context(), gc.JobCollector, false))
	w.c.Wake()
	for deadline := time.Now().Add(30 * time.Second); w.messages() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it was never taken up again")
		}
	}
	cancel()
	<-ended
}

// Whatever happens in between: what people have stays readable, byte by byte.
func TestCollector_Random(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.db.SetRetention(meta.Retention{Trash: 72 * time.Hour, Versions: 2, VersionAge: 72 * time.Hour})
	x := &gc.Expiry{Store: w.db, Retention: meta.Retention{Trash: 72 * time.Hour, Versions: 2, VersionAge: 72 * time.Hour}, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	contents := map[cloud.ObjectID][]byte{}
	list := func() []cloud.Entry {
		page, err := w.db.List(t.Context(), meta.Query{Parent: cloud.Root, Viewer: meta.AnyViewer, Limit: 100})
		w.ok(err)
		return page.Entries
	}
	trash := func() []meta.Trashed {
		all, _, err := w.db.ListTrash(t.Context(), meta.AnyViewer, "", 100)
		w.ok(err)
		return all
	}
	name := func() string { return fmt.Sprint("file", rnd.IntN(5)) }
	for range 80 {
		all := list()
		switch op := rnd.IntN(8); {
		case op < 2 || len(all) == 0:
			plain := pattern(1 + rnd.IntN(2000))
			contents[w.put(name(), plain).Object] = plain
		case op == 2:
			w.delete(all[rnd.IntN(len(all))])
		case op == 3:
			_, err := w.db.Copy(t.Context(), all[rnd.IntN(len(all))].ID, cloud.Root, name(), w.user, true, meta.ConflictClear, nil)
			if err != nil && !errors.Is(err, cloud.ErrInvalid) { // onto itself
				t.Fatal(err)
			}
		case op == 4:
			if gone := trash(); len(gone) > 0 {
				_, err := w.db.Restore(t.Context(), gone[rnd.IntN(len(gone))].Entry.ID, cloud.Root, meta.ConflictRename, nil)
				w.ok(err)
			}
		case op == 5:
			e := all[rnd.IntN(len(all))]
			versions, err := w.db.ListVersions(t.Context(), e.ID)
			w.ok(err)
			if len(versions) > 0 {
				_, err := w.db.RestoreVersion(t.Context(), e.ID, versions[0].ID, nil)
				w.ok(err)
			}
		case op == 6:
			w.pass(time.Duration(rnd.IntN(30)) * time.Hour)
			w.ok(x.Expire(t.Context()))
		default:
			w.collect()
		}
	}
	w.collect()
	for _, e := range list() {
		w.reads(e.Object, contents[e.Object])
		versions, err := w.db.ListVersions(t.Context(), e.ID)
		w.ok(err)
		for _, v := range versions {
			w.reads(v.Object, contents[v.Object])
		}
	}
	for _, gone := range trash() {
		w.reads(gone.Entry.Object, contents[gone.Entry.Object])
	}
	// And what nobody has any more goes in the end, all of it.
	w.delete(list()...)
	w.pass(100 * time.Hour)
	w.ok(x.Expire(t.Context()))
	w.pass(100 * time.Hour)
	w.collect()
	if n := w.messages(); n != 0 {
		t.Errorf("seed %d: %d messages are left", seed, n)
	}
}

// pages notes how many messages are dealt with in one transaction at the most.
type pages struct {
	meta.Store
	most int
}

func (p *pages) Condemn(ctx context.Context, before time.Time, after string, most int, dry bool) (meta.Condemned, error) {
	r, err := p.Store.Condemn(ctx, before, after, most, dry)
	p.most = max(p.most, len(r.Messages))
	return r, err
}

// However much there is to go: no transaction is long, for all who write wait for it.
func TestCollector_Much(t *testing.T) {
	t.Parallel()
	w := open(t)
	p := &pages{Store: w.db}
	w.c.Store = p
	for i := range 60 {
		w.delete(w.put(fmt.Sprint(i), pattern(10)))
	}
	w.pass(grace + time.Minute)
	w.collect()
	if n, s := w.messages(), w.state(); n != 0 || s.Condemned != 60 || s.Deleted != 60 || p.most > 30 {
		t.Errorf("%d messages are left, state %+v, %d messages in one transaction", n, s, p.most)
	}
}
