package metatest

import (
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

func (f *fixture) copy(id, parent cloud.EntryID, name string, owner cloud.UserID, on meta.Conflict) meta.CopyResult {
	f.Helper()
	return must(f.Copy(f.ctx, id, parent, name, owner, true, on, nil))(f)
}

// paths lists all below a folder, folders with a slash behind them.
func (f *fixture) paths(id cloud.EntryID) (all []string) {
	f.Helper()
	f.ok(f.Walk(f.ctx, id, meta.AnyViewer, func(names []string, e cloud.Entry) error {
		path := fmt.Sprint(names)
		if e.IsFolder() {
			path += "/"
		}
		all = append(all, path)
		return nil
	}))
	return all
}

var copies = []testcase{
	{"of a file shares its object", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		file := f.private(ann, "a/file", 250)
		r := f.copy(file.ID, cloud.Root, "copy", bob, meta.ConflictFail)
		f.same("made", []int64{r.Files, r.Folders}, []int64{1, 0})
		if r.Entry.ID == file.ID || r.Entry.Object != file.Object || r.Entry.Hash != file.Hash || r.Entry.Owner != bob || r.Entry.Public ||
			r.Entry.Size != 250 || !r.Entry.ModifiedAt.Equal(file.ModifiedAt) || r.Replaced != nil {
			f.Errorf("copy %+v of %+v", r.Entry, file)
		}
		places := must(f.Places(f.ctx, file.Object))(f)
		if len(places) != 1 || places[0].Chunks != 3 || places[0].Messages < 1 || places[0].SealedBytes <= 250 {
			f.Errorf("places %+v", places)
		}
		// The object stays while one of the two is there.
		must(f.Delete(f.ctx, []cloud.EntryID{file.ID}, nil))(f)
		f.same("chunks", len(must(f.Chunks(f.ctx, r.Entry.Object, 0, 10))(f)), 3)
		f.sound()
		must(f.Delete(f.ctx, []cloud.EntryID{r.Entry.ID}, nil))(f)
		f.sound()
	}},
	{"of a folder with all below", func(f *fixture) {
		ann := f.user("ann")
		f.file(ann, "a/one", 10)
		f.file(ann, "a/b/c/two", 20)
		f.folders(ann, "a/empty")
		hidden := f.private(f.user("bob"), "a/b/secret", 30)
		a := f.folders(ann, "a")
		f.ok(f.SetProperties(f.ctx, a.ID, []meta.PropertyChange{{Property: meta.Property{Space: "s", Name: "n", Value: []byte("<n/>")}}}))
		r := must(f.Copy(meta.ForViewer(f.ctx, ann), a.ID, cloud.Root, "z", ann, true, meta.ConflictFail, nil))(f)
		f.same("made", []int64{r.Files, r.Folders}, []int64{2, 4})
		f.same("paths", f.paths(r.Entry.ID), []string{"[b]/", "[b c]/", "[b c two]", "[empty]/", "[one]"})
		f.same("properties", len(must(f.Properties(f.ctx, r.Entry.ID))(f)), 1)
		f.same("source", len(f.paths(a.ID)), 6)
		f.sound()
		flat := must(f.Copy(f.ctx, a.ID, cloud.Root, "flat", ann, false, meta.ConflictFail, nil))(f)
		f.same("flat", f.paths(flat.Entry.ID), []string(nil))
		_ = hidden
	}},
	{"where the name is taken", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		from, to := f.file(ann, "from", 10), f.file(bob, "to", 20)
		folder := f.folders(ann, "folder")
		f.file(ann, "folder/below", 5)
		_, err := f.Copy(f.ctx, from.ID, cloud.Root, "to", ann, true, meta.ConflictFail, nil)
		f.is(err, cloud.ErrExists)
		_, err = f.Copy(f.ctx, from.ID, cloud.Root, "to", ann, true, meta.ConflictClear, veto(to.ID))
		f.is(err, errVeto)
		r := f.copy(from.ID, cloud.Root, "to", ann, meta.ConflictClear)
		if r.Entry.ID != to.ID || r.Entry.Owner != bob || r.Entry.Object != from.Object || r.Entry.Size != 10 || r.Replaced == nil {
			f.Errorf("over a file: %+v", r.Entry)
		}
		f.sound()
		below := must(f.Child(f.ctx, folder.ID, "below", meta.AnyViewer))(f)
		_, err = f.Copy(f.ctx, from.ID, cloud.Root, "folder", ann, true, meta.ConflictClear, veto(below.ID))
		f.is(err, errVeto)
		r = f.copy(from.ID, cloud.Root, "folder", ann, meta.ConflictClear)
		if r.Entry.IsFolder() || r.Replaced == nil || r.Replaced.ID != folder.ID {
			f.Errorf("over a folder: %+v", r)
		}
		f.sound()
	}},
	{"that cannot be", func(f *fixture) {
		ann := f.user("ann")
		a, b := f.folders(ann, "a"), f.folders(ann, "a/b")
		file := f.file(ann, "a/b/file", 1)
		for _, c := range []struct {
			id, parent cloud.EntryID
			name       string
			want       error
		}{
			{cloud.Root, a.ID, "x", cloud.ErrInvalid}, {a.ID, a.ID, "x", cloud.ErrInvalid}, {a.ID, b.ID, "x", cloud.ErrInvalid},
			{file.ID, cloud.Root, "a/b", cloud.ErrInvalid}, {file.ID, file.ID, "x", cloud.ErrInvalid},
			{file.ID, b.ID, "file", cloud.ErrInvalid}, {file.ID, cloud.Root, "a", cloud.ErrInvalid}, // which holds it
			{file.ID + 99, a.ID, "x", cloud.ErrNotFound}, {file.ID, 999, "x", cloud.ErrNotFound},
		} {
			_, err := f.Copy(f.ctx, c.id, c.parent, c.name, ann, true, meta.ConflictClear, nil)
			f.is(err, c.want)
		}
		_, err := f.Copy(f.ctx, file.ID, a.ID, "x", ann, true, meta.ConflictReplace, nil)
		f.is(err, cloud.ErrInvalid)
		f.same("left", len(f.paths(cloud.Root)), 3)
	}},
	{"of many, all or none", func(f *fixture) {
		ann := f.user("ann")
		a, b := f.folders(ann, "a"), f.folders(ann, "b")
		one, two := f.file(ann, "a/one.txt", 10), f.file(ann, "a/two", 20)
		f.file(ann, "b/two", 30)
		ids := []cloud.EntryID{one.ID, two.ID}
		_, err := f.CopyAll(f.ctx, ids, b.ID, ann, meta.ConflictFail, nil)
		f.is(err, cloud.ErrExists)
		_, err = f.CopyAll(f.ctx, ids, b.ID, ann, meta.ConflictRename, veto(two.ID))
		f.is(err, errVeto)
		f.same("after a refusal", f.paths(b.ID), []string{"[two]"})
		all := must(f.CopyAll(f.ctx, ids, b.ID, ann, meta.ConflictRename, nil))(f)
		f.same("names", []string{all[0].Entry.Name, all[1].Entry.Name}, []string{"one.txt", "two (1)"})
		// Beside what is copied, a folder with what is in it too.
		again := must(f.CopyAll(f.ctx, []cloud.EntryID{one.ID}, a.ID, ann, meta.ConflictRename, nil))(f)
		f.same("beside", again[0].Entry.Name, "one (1).txt")
		top := must(f.CopyAll(f.ctx, []cloud.EntryID{a.ID}, cloud.Root, ann, meta.ConflictRename, nil))(f)
		f.same("folder", f.paths(top[0].Entry.ID), []string{"[one (1).txt]", "[one.txt]", "[two]"})
		_, err = f.CopyAll(f.ctx, []cloud.EntryID{a.ID}, a.ID, ann, meta.ConflictRename, nil)
		f.is(err, cloud.ErrInvalid)
	}},
	{"too deep", func(f *fixture) {
		ann := f.user("ann")
		path := "d"
		for range meta.MaxDepth - 1 {
			path += "/d"
		}
		f.folders(ann, path)
		top := f.folders(ann, "d")
		into := f.folders(ann, "x")
		_, err := f.Copy(f.ctx, top.ID, into.ID, "d", ann, true, meta.ConflictFail, nil)
		f.is(err, cloud.ErrInvalid)
		f.copy(top.ID, cloud.Root, "d2", ann, meta.ConflictFail)
	}},
	{"moves clear the way, too", func(f *fixture) {
		ann := f.user("ann")
		file, a := f.file(ann, "file", 3), f.folders(ann, "a")
		below := f.file(ann, "a/below", 5)
		_, err := f.Move(f.ctx, file.ID, cloud.Root, "a", meta.ConflictReplace, nil)
		f.is(err, cloud.ErrExists)
		_, err = f.Move(f.ctx, below.ID, cloud.Root, "a", meta.ConflictClear, nil)
		f.is(err, cloud.ErrInvalid) // it would go with the folder
		_, err = f.Move(f.ctx, file.ID, cloud.Root, "a", meta.ConflictClear, veto(below.ID))
		f.is(err, errVeto)
		r := must(f.Move(f.ctx, file.ID, cloud.Root, "a", meta.ConflictClear, nil))(f)
		if r.After.ID != file.ID || r.Replaced == nil || r.Replaced.ID != a.ID {
			f.Errorf("moved: %+v", r)
		}
		f.same("left", f.paths(cloud.Root), []string{"[a]"})
	}},
	{"the time of the content", func(f *fixture) {
		file := f.file(f.user("ann"), "file", 3)
		f.ok(f.SetModified(f.ctx, file.ID, at(-5000)))
		f.same("time", must(f.Entry(f.ctx, file.ID, meta.AnyViewer))(f).ModifiedAt, at(-5000))
		f.is(f.SetModified(f.ctx, file.ID+9, at(0)), cloud.ErrNotFound)
	}},
}
