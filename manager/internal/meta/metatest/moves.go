package metatest

import (
	"fmt"
	"slices"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var moves = []testcase{
	{"all or none", func(f *fixture) {
		ann := f.user("ann")
		a, b, to := f.file(ann, "a.txt", 5), f.file(ann, "b.txt", 6), f.folders(ann, "to")
		old := f.file(ann, "to/b.txt", 7)
		_, err := f.MoveAll(f.ctx, []cloud.EntryID{a.ID, b.ID}, to.ID, meta.ConflictFail, nil)
		f.is(err, cloud.ErrExists)
		_, err = f.MoveAll(f.ctx, []cloud.EntryID{a.ID, b.ID, 999}, to.ID, meta.ConflictReplace, nil)
		f.is(err, cloud.ErrNotFound)
		f.same("nothing moved", must(f.Entry(f.ctx, a.ID, meta.AnyViewer))(f), a)
		f.same("nothing replaced", must(f.Entry(f.ctx, old.ID, meta.AnyViewer))(f), old)
		all := must(f.MoveAll(f.ctx, []cloud.EntryID{b.ID, a.ID}, to.ID, meta.ConflictReplace, nil))(f)
		if len(all) != 2 || all[0].After.ID != b.ID || all[0].Replaced == nil || all[0].Replaced.ID != old.ID || all[1].After.Parent != to.ID {
			f.Errorf("moved %+v", all)
		}
	}},
	{"rename and move", func(f *fixture) {
		ann := f.user("ann")
		file, to := f.file(ann, "a/old.txt", 5), f.folders(ann, "b")
		r := must(f.Move(f.ctx, file.ID, to.ID, "new.txt", meta.ConflictFail, nil))(f)
		f.same("before", r.Before, file)
		want := file
		want.Parent, want.Name, want.UpdatedAt = to.ID, "new.txt", r.After.UpdatedAt
		f.same("after", r.After, want)
		f.same("stored", must(f.Entry(f.ctx, file.ID, meta.AnyViewer))(f), want)
		f.same("replaced", r.Replaced, (*cloud.Entry)(nil))
		if r.After.UpdatedAt.Before(file.UpdatedAt) {
			f.Errorf("updated at %v, before that %v", r.After.UpdatedAt, file.UpdatedAt)
		}
		_, err := f.Child(f.ctx, file.Parent, "old.txt", ann)
		f.is(err, cloud.ErrNotFound)
		// Only the case of a letter: the listing's order must follow.
		f.file(ann, "b/O", 1)
		must(f.Move(f.ctx, file.ID, to.ID, "Z.txt", meta.ConflictFail, nil))(f)
		f.same("order", names(f.all(to.ID)), []string{"O", "Z.txt"})
		r = must(f.Move(f.ctx, file.ID, to.ID, "z.txt", meta.ConflictFail, nil))(f)
		f.same("name", r.After.Name, "z.txt")
	}},
	{"to where it is", func(f *fixture) {
		file := f.file(f.user("ann"), "file", 5)
		for _, on := range []meta.Conflict{meta.ConflictFail, meta.ConflictReplace, meta.ConflictRename} {
			r := must(f.Move(f.ctx, file.ID, cloud.Root, "file", on, nil))(f)
			f.same("result", r, meta.MoveResult{Before: file, After: file})
		}
	}},
	{"that cannot be", func(f *fixture) {
		ann := f.user("ann")
		a, b := f.folders(ann, "a"), f.folders(ann, "a/b")
		file := f.file(ann, "file", 1)
		for _, c := range []struct {
			id, parent cloud.EntryID
			name       string
			on         meta.Conflict
			want       error
		}{
			{a.ID, a.ID, "a", meta.ConflictFail, cloud.ErrInvalid},
			{a.ID, b.ID, "a", meta.ConflictFail, cloud.ErrInvalid},
			{a.ID, file.ID, "a", meta.ConflictFail, cloud.ErrInvalid},
			{a.ID, file.ID + 99, "a", meta.ConflictFail, cloud.ErrNotFound},
			{file.ID + 99, a.ID, "a", meta.ConflictFail, cloud.ErrNotFound},
			{a.ID, cloud.Root, "", meta.ConflictFail, cloud.ErrInvalid},
			{a.ID, cloud.Root, "x/y", meta.ConflictFail, cloud.ErrInvalid},
			{a.ID, cloud.Root, "z", "", cloud.ErrInvalid},
			{a.ID, cloud.Root, "file", meta.ConflictFail, cloud.ErrExists},
			{a.ID, cloud.Root, "file", meta.ConflictReplace, cloud.ErrExists},
			{file.ID, cloud.Root, "a", meta.ConflictReplace, cloud.ErrExists},
		} {
			_, err := f.Move(f.ctx, c.id, c.parent, c.name, c.on, nil)
			f.is(err, c.want)
		}
		f.same("top", names(f.all(cloud.Root)), []string{"a", "file"})
	}},
	{"too deep", func(f *fixture) {
		ann := f.user("ann")
		deep, _, err := f.MakeFolders(f.ctx, cloud.Root, slices.Repeat([]string{"d"}, meta.MaxDepth-2), ann)
		f.ok(err)
		tree, file := f.folders(ann, "x/y/z"), f.file(ann, "x/y/file", 1)
		x := must(f.Child(f.ctx, cloud.Root, "x", ann))(f)
		_, err = f.Move(f.ctx, x.ID, deep.ID, "x", meta.ConflictFail, nil)
		f.is(err, cloud.ErrInvalid)
		must(f.Move(f.ctx, file.Parent, deep.ID, "y", meta.ConflictFail, nil))(f)
		f.same("depth", len(must(f.Path(f.ctx, tree.ID))(f)), meta.MaxDepth)
		// At the bottom only what has nothing below it can change its place.
		_, err = f.Move(f.ctx, x.ID, tree.ID, "x", meta.ConflictFail, nil)
		f.is(err, cloud.ErrInvalid)
	}},
	{"onto a taken name", func(f *fixture) {
		ann := f.user("ann")
		there, file := f.file(ann, "a/x.txt", 10), f.file(ann, "x.txt", 20)
		_, err := f.Move(f.ctx, file.ID, there.Parent, "x.txt", meta.ConflictFail, nil)
		f.is(err, cloud.ErrExists)

		r := must(f.Move(f.ctx, file.ID, there.Parent, "x.txt", meta.ConflictReplace, nil))(f)
		f.same("replaced", r.Replaced, &there)
		f.same("after", r.After.ID, file.ID)
		_, err = f.Entry(f.ctx, there.ID, ann)
		f.is(err, cloud.ErrNotFound)
		f.same("content", must(f.Entry(f.ctx, file.ID, ann))(f).Object, file.Object)

		third := f.file(ann, "x.txt", 30)
		r = must(f.Move(f.ctx, third.ID, there.Parent, "x.txt", meta.ConflictRename, nil))(f)
		f.same("name", r.After.Name, "x (1).txt")
		// Its own name is no obstacle to it.
		r = must(f.Move(f.ctx, third.ID, there.Parent, "x.txt", meta.ConflictRename, nil))(f)
		f.same("name", r.After.Name, "x (1).txt")
		folder := f.folders(ann, "v1.2")
		f.folders(ann, "a/v1.2")
		r = must(f.Move(f.ctx, folder.ID, there.Parent, "v1.2", meta.ConflictRename, nil))(f)
		f.same("name", r.After.Name, "v1 (1).2")
	}},
	{"free names", freeNames},
	{"what allow sees", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		there, file := f.private(ann, "a/x", 1), f.file(ann, "y", 1)
		f.ok(f.share(cloud.Share{Entry: there.ID, User: bob, CanWrite: true}))
		type asked struct {
			id    cloud.EntryID
			share bool // that bob may write
		}
		var seen []asked
		look := func(e cloud.Entry) error {
			seen = append(seen, asked{e.ID, e.Share != nil && e.Share.User == bob && e.Share.CanWrite})
			return nil
		}
		last := func(want ...asked) { // what counts
			f.Helper()
			f.same("seen", seen[max(0, len(seen)-len(want)):], want)
		}
		ctx := meta.ForViewer(f.ctx, bob)
		for _, id := range []cloud.EntryID{file.ID, there.Parent, there.ID} {
			_, err := f.Move(ctx, file.ID, there.Parent, "x", meta.ConflictReplace, veto(id))
			f.is(err, errVeto)
		}
		f.same("unmoved", must(f.Entry(f.ctx, file.ID, ann))(f), file)
		f.same("unreplaced", must(f.Entry(f.ctx, there.ID, meta.AnyViewer))(f), there)
		must(f.Move(ctx, file.ID, cloud.Root, "z", meta.ConflictFail, look))(f)
		last(asked{file.ID, false}, asked{cloud.Root, false})
		seen = nil
		must(f.Move(ctx, file.ID, there.Parent, "x", meta.ConflictReplace, look))(f)
		last(asked{file.ID, false}, asked{there.Parent, false}, asked{there.ID, true})
	}},
}

func freeNames(f *fixture) {
	ann := f.user("ann")
	other := f.folders(ann, "other")
	moved := func(name string) string {
		f.Helper()
		f.folders(ann, "taken/"+name)
		to := must(f.Child(f.ctx, cloud.Root, "taken", ann))(f)
		e := f.folders(ann, "other/"+name)
		return must(f.Move(f.ctx, e.ID, to.ID, name, meta.ConflictRename, nil))(f).After.Name
	}
	for name, want := range map[string]string{
		"a.txt": "a (1).txt", "a": "a (1)", "a.tar.gz": "a.tar (1).gz", ".bashrc": " (1).bashrc", "b .txt": "b (1).txt",
		long(255):                               long(251) + " (1)",
		strings.Repeat("ä", 126) + ".x":         strings.Repeat("ä", 124) + " (1).x",
		"z" + strings.Repeat("ä", 125) + ".txt": "z" + strings.Repeat("ä", 123) + " (1).txt",
	} {
		f.same("free name for "+name, moved(name), want)
	}
	f.same("left behind", f.all(other.ID), []cloud.Entry(nil))

	// There are 99 tries, and no name longer than the longest.
	f.folders(ann, "full/x")
	full := must(f.Child(f.ctx, cloud.Root, "full", ann))(f)
	x := f.folders(ann, "other/x")
	for n := 1; n < meta.FreeNames; n++ {
		f.folders(ann, fmt.Sprintf("full/x (%d)", n))
	}
	r := must(f.Move(f.ctx, x.ID, full.ID, "x", meta.ConflictRename, nil))(f)
	f.same("last name", r.After.Name, fmt.Sprintf("x (%d)", meta.FreeNames))
	x = f.folders(ann, "other/x")
	_, err := f.Move(f.ctx, x.ID, full.ID, "x", meta.ConflictRename, nil)
	f.is(err, cloud.ErrExists)
	unsplit := "a." + long(252)
	f.folders(ann, "full/"+unsplit)
	e := f.folders(ann, "other/"+unsplit)
	_, err = f.Move(f.ctx, e.ID, full.ID, unsplit, meta.ConflictRename, nil)
	f.is(err, cloud.ErrExists)
}
