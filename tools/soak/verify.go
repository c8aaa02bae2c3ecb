package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"time"

	"discordcloud/tools/internal/rig"
)

// settle finds out how each change ended that nobody said the end of. Uploads that
// were interrupted go on, or are given up; nothing else may be under way.
func (w *worker) settle(ctx context.Context) {
	all := w.doubts
	w.doubts = nil
	if err := w.connected(ctx); err != nil {
		w.soak.tally.fail("no socket when all is well: %v", err)
		return
	}
	pending, err := w.client.Pending(ctx)
	if err != nil {
		w.soak.tally.fail("uploads under way: %v", err)
		return
	}
	for _, id := range pending {
		at := slices.IndexFunc(all, func(d *doubt) bool { return d.upload == id })
		if at >= 0 && w.random.IntN(3) > 0 {
			if err := w.resume(ctx, all[at]); err != nil {
				w.soak.tally.fail("an upload does not go on when all is well: %v", err)
			}
			all[at].before = all[at].after // it has ended
			w.soak.tally.did("go on later", 0)
			continue
		}
		if err := w.client.Abort(ctx, id); err != nil {
			w.soak.tally.fail("an upload cannot be given up: %v", err)
		}
		w.soak.tally.did("give up", 0)
	}
	for _, d := range all {
		if len(d.roots) == 0 {
			continue // it changes nothing that anybody would miss
		}
		select {
		case <-time.After(time.Until(d.until)):
		case <-ctx.Done():
		}
		is := tree{}
		for _, root := range d.roots {
			if err := w.list(ctx, root, is); err != nil {
				w.soak.tally.fail("settle %s: %v", d.kind, err)
			}
		}
		done, still := w.holds(ctx, d.after, is), w.holds(ctx, d.before, is)
		if !done && !still {
			w.soak.tally.fail("after a %s of which nothing was heard there is neither what was before nor what should be: %v; was %v, should be %v", d.kind, describe(is), describe(d.before), describe(d.after))
		}
		w.soak.tally.did(map[bool]string{true: "found done", false: "found not done"}[done], 0)
		w.end(d, done)
	}
}

func describe(t tree) string {
	text := ""
	for p, c := range t {
		size := "folder"
		if c != nil {
			size = fmt.Sprint(c.Size)
		}
		text += fmt.Sprintf(" %s (%s)", p, size)
	}
	return text
}

// holds tells whether a tree that was listed is another one, with what is in its
// files.
func (w *worker) holds(ctx context.Context, want, is tree) bool {
	if !want.same(is) {
		return false
	}
	for p, c := range want {
		if c == nil {
			continue
		}
		n, err := w.compare(ctx, p, *c, 0, c.Size)
		w.soak.tally.did("settle", n)
		if err != nil {
			if _, differs := errors.AsType[*rig.ErrDiffers](err); !differs {
				w.soak.tally.fail("read what is in doubt: %v", err)
			}
			return false
		}
	}
	return true
}

// list adds what is at a path, and below it, to a tree.
func (w *worker) list(ctx context.Context, p string, into tree) error {
	e, err := w.client.Lookup(ctx, p)
	if refusedWith(err, http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.listEntry(ctx, p, e, into)
}

func (w *worker) listEntry(ctx context.Context, p string, e rig.Entry, into tree) error {
	if e.Kind == "file" {
		into[p] = &rig.Content{Size: e.Size}
		return nil
	}
	into[p] = nil
	var listed struct{ Entries []rig.Entry }
	if err := w.client.Do(ctx, "GET", fmt.Sprintf("/api/entries/%d/children?limit=1000", e.ID), nil, &listed); err != nil {
		return err
	}
	for _, e := range listed.Entries {
		if err := w.listEntry(ctx, path.Join(p, e.Name), e, into); err != nil {
			return err
		}
	}
	return nil
}

// verify compares all that was acknowledged, and looks that nothing else is there.
// What the worker has elsewhere is counted.
func (w *worker) verify(ctx context.Context, elsewhere amount) {
	is := tree{}
	if err := w.list(ctx, w.folder, is); err != nil {
		w.soak.tally.fail("list: %v", err)
		return
	}
	if !w.files.same(is) {
		w.soak.tally.fail("listed are %s, acknowledged are %s", describe(is), describe(w.files))
	}
	for p, data := range w.files {
		if data == nil {
			continue
		}
		doing, cancel := context.WithTimeout(ctx, patience)
		got, err := w.compare(doing, p, *data, 0, data.Size)
		cancel()
		w.soak.tally.did("compare", got)
		if err != nil {
			w.soak.tally.fail("acknowledged and not there: %d bytes: %v", data.Size, err)
		}
		w.verifyVersions(ctx, p)
	}
	w.verifySpace(ctx, elsewhere, w.verifyTrash(ctx))
}

func (w *worker) verifyVersions(ctx context.Context, p string) {
	e, err := w.client.Lookup(ctx, p)
	var all []formerly
	if err == nil {
		all, err = w.versions(ctx, e)
	}
	for _, v := range all {
		if err == nil {
			_, err = w.tells(ctx, fmt.Sprintf("/api/entries/%d/versions/%d/content", e.ID, v.ID), v.Size)
		}
	}
	if err != nil {
		w.soak.tally.fail("a former content: %v", err)
	}
}

// amount is a number of files and of their bytes.
type amount struct{ Files, Bytes int64 }

// verifyTrash gives what is in the trash.
func (w *worker) verifyTrash(ctx context.Context) (all amount) {
	found := map[int64]amount{}
	for after := ""; ; {
		var page struct {
			Items []struct {
				Entry rig.Entry
				amount
			}
			Next string
		}
		if err := w.client.Do(ctx, "GET", "/api/trash?limit=1000&after="+after, nil, &page); err != nil {
			w.soak.tally.fail("trash: %v", err)
			return all
		}
		for _, item := range page.Items {
			found[item.Entry.ID] = item.amount
			all.Files += item.Files
			all.Bytes += item.Bytes
			if w.purged[item.Entry.ID] {
				w.soak.tally.fail("what was deleted for good is in the trash")
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for id, t := range w.trash {
		if found[id] != (amount{t.items.files(), t.items.bytes()}) {
			w.soak.tally.fail("the trash has %v of what had %d files and %d bytes", found[id], t.items.files(), t.items.bytes())
		}
	}
	return all
}

// space is what counts to a user.
type space struct {
	Files, Trash, Versions amount
	Quota                  struct{ Used, Reserved amount }
}

func (w *worker) space(ctx context.Context) (s space, err error) {
	err = w.client.Do(ctx, "GET", "/api/space", nil, &s)
	return s, err
}

// verifySpace holds what the product has counted to what is there.
func (w *worker) verifySpace(ctx context.Context, elsewhere, trash amount) {
	space, err := w.space(ctx)
	if err != nil {
		w.soak.tally.fail("space: %v", err)
		return
	}
	files := amount{w.files.files(), w.files.bytes()}
	all := amount{files.Files + elsewhere.Files, files.Bytes + elsewhere.Bytes}
	used := amount{all.Files + trash.Files, all.Bytes + trash.Bytes + space.Versions.Bytes}
	// What a manager was at work on that was killed is reserved until another one has
	// found out.
	reserved := space.Quota.Reserved != (amount{}) && w.soak.trouble == nil
	if space.Files != all || space.Trash != trash || space.Quota.Used != used || reserved {
		w.soak.tally.fail("%s has %v in files and %v in the trash, is told %+v", w.account, all, trash, space)
	}
	if w.most > 0 && used.Bytes > w.most {
		w.soak.tally.fail("%s has %d bytes, and may have %d", w.account, used.Bytes, w.most)
	}
	e, err := w.client.Lookup(ctx, w.folder)
	var sizes amount
	if err == nil {
		err = w.client.Do(ctx, "GET", fmt.Sprintf("/api/entries/%d/sizes", e.ID), nil, &sizes)
	}
	if err != nil || sizes != files {
		w.soak.tally.fail("the folder's size is told as %v, want %v (%v)", sizes, files, err)
	}
}

// leave deletes all that the worker has, for good.
func (w *worker) leave(ctx context.Context) {
	e, err := w.client.Lookup(ctx, w.folder)
	if err == nil {
		err = w.client.Delete(ctx, e)
	}
	if err == nil {
		err = w.client.Do(ctx, "POST", "/api/trash/empty", nil, nil)
	}
	if err != nil {
		w.soak.tally.fail("leave: %v", err)
	}
}
