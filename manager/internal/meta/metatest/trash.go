package metatest

import (
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// keeping is a Retention that keeps everything for the time of a test.
var keeping = meta.Retention{Trash: time.Hour, Versions: 3, VersionAge: time.Hour}

// stored tells whether an object is in use.
func (f *fixture) stored(id cloud.ObjectID) bool {
	f.Helper()
	thumbnails := f.Store.(meta.Thumbnails)
	f.ok(thumbnails.QueueThumbnails(f.ctx, []cloud.ObjectID{id}, 0, 0)) // which wants stored ones
	_, err := thumbnails.Thumbnail(f.ctx, id)
	f.ok(thumbnails.ForgetThumbnail(f.ctx, id))
	return err == nil
}

func (f *fixture) trash(user cloud.UserID) []meta.Trashed {
	f.Helper()
	all, next, err := f.ListTrash(f.ctx, user, "", 100)
	f.ok(err)
	f.same("next", next, "")
	return all
}

var trashes = []testcase{
	{"deleted and restored", func(f *fixture) {
		f.SetRetention(keeping)
		ann, bob := f.user("ann"), f.user("bob")
		one := f.file(ann, "a/one", 10)
		two := f.file(ann, "a/b/two", 20)
		three := f.file(bob, "c/three", 30)
		a, b := f.folders(ann, "a"), f.folders(ann, "a/b")
		f.ok(f.share(cloud.Share{Entry: two.ID, User: bob}))
		// b goes with a.
		d := must(f.Delete(meta.ForViewer(f.ctx, ann), []cloud.EntryID{b.ID, a.ID, three.ID}, nil))(f)
		f.same("deleted", []any{d.Files, d.Folders, d.Bytes, d.Trash}, []any{int64(3), int64(2), int64(60), []cloud.EntryID{a.ID, three.ID}})
		f.same("left", names(f.all(cloud.Root)), []string{"c"})
		for _, id := range []cloud.EntryID{a.ID, b.ID, one.ID, two.ID, three.ID, meta.TrashRoot} {
			_, err := f.Entry(f.ctx, id, meta.AnyViewer)
			f.is(err, cloud.ErrNotFound)
			_, err = f.Path(f.ctx, id)
			f.is(err, cloud.ErrNotFound)
			_, err = f.List(f.ctx, meta.Query{Parent: id, Viewer: meta.AnyViewer, Limit: 10})
			f.is(err, cloud.ErrNotFound)
			_, err = f.Move(f.ctx, id, cloud.Root, "x", meta.ConflictFail, nil)
			f.is(err, cloud.ErrNotFound)
			_, err = f.Copy(f.ctx, id, cloud.Root, "x", ann, true, meta.ConflictFail, nil)
			f.is(err, cloud.ErrNotFound)
			_, err = f.Delete(f.ctx, []cloud.EntryID{id}, nil)
			f.is(err, cloud.ErrNotFound)
			_, err = f.Move(f.ctx, f.folders(ann, "c").ID, id, "x", meta.ConflictFail, nil)
			f.is(err, cloud.ErrNotFound)
			_, err = f.Sizes(f.ctx, id, meta.AnyViewer)
			f.is(err, cloud.ErrNotFound)
		}
		_, err := f.Child(f.ctx, a.ID, "one", ann)
		f.is(err, cloud.ErrNotFound)
		found := must(f.Search(f.ctx, meta.Find{Viewer: meta.AnyViewer, Text: "o", Limit: 10}))(f)
		f.same("found", names(found.Entries), []string(nil))
		f.same("stored", f.stored(two.Object), true)

		// It is in the trash of who deleted it and of whose it was.
		of := func(user cloud.UserID) (ids []cloud.EntryID) {
			for _, t := range f.trash(user) {
				ids = append(ids, t.Entry.ID)
			}
			return ids
		}
		f.same("trash of ann", of(ann), []cloud.EntryID{three.ID, a.ID})
		f.same("trash of bob", of(bob), []cloud.EntryID{three.ID})
		t := must(f.Trashed(f.ctx, ann, a.ID))(f)
		f.same("trashed", []any{t.Entry.Name, t.Entry.Parent, t.Folder, t.DeletedBy, t.Files, t.Folders, t.Bytes},
			[]any{"a", cloud.Root, []string(nil), ann, int64(2), int64(2), int64(30)})
		f.same("folder", must(f.Trashed(f.ctx, bob, three.ID))(f).Folder, []string{"c"})
		_, err = f.Trashed(f.ctx, bob, a.ID)
		f.is(err, cloud.ErrNotFound)
		_, err = f.Trashed(f.ctx, meta.AnyViewer, b.ID) // which has no place of its own there
		f.is(err, cloud.ErrNotFound)
		f.reopen()
		f.SetRetention(keeping)

		_, err = f.Restore(f.ctx, a.ID, cloud.Root, meta.ConflictFail, veto(a.ID))
		f.is(err, errVeto)
		f.same("left", names(f.all(cloud.Root)), []string{"c"})
		r := must(f.Restore(f.ctx, a.ID, cloud.Root, meta.ConflictFail, nil))(f)
		f.same("restored", []any{r.After.ID, r.After.Name, r.After.Parent, r.Before.Name}, []any{a.ID, "a", cloud.Root, "a"})
		f.same("back", names(f.all(a.ID)), []string{"b", "one"})
		f.same("two", must(f.Entry(f.ctx, two.ID, bob))(f).Share != nil, true)
		f.same("trash of ann", of(ann), []cloud.EntryID{three.ID})
		_, err = f.Restore(f.ctx, a.ID, cloud.Root, meta.ConflictFail, nil)
		f.is(err, cloud.ErrNotFound)
	}},
	{"restored onto a taken name, and where it cannot be", func(f *fixture) {
		f.SetRetention(keeping)
		ann, bob := f.user("ann"), f.user("bob")
		old := f.file(ann, "file", 10)
		must(f.Delete(f.ctx, []cloud.EntryID{old.ID}, nil))(f)
		taken := f.file(bob, "file", 20)
		_, err := f.Restore(f.ctx, old.ID, cloud.Root, meta.ConflictFail, nil)
		f.is(err, cloud.ErrExists)
		_, err = f.Restore(f.ctx, old.ID, taken.ID, meta.ConflictFail, nil)
		f.is(err, cloud.ErrInvalid)
		f.same("renamed", must(f.Restore(f.ctx, old.ID, cloud.Root, meta.ConflictRename, nil))(f).After.Name, "file (1)")
		must(f.Delete(f.ctx, []cloud.EntryID{old.ID}, nil))(f)
		// That which is replaced is another's: it goes to the trash.
		must(f.Move(f.ctx, taken.ID, cloud.Root, "file (1)", meta.ConflictFail, nil))(f)
		must(f.Restore(f.ctx, old.ID, cloud.Root, meta.ConflictReplace, nil))(f)
		f.same("names", names(f.all(cloud.Root)), []string{"file (1)"})
		f.same("trash", f.trash(bob)[0].Entry.ID, taken.ID)
		// A tree that would be too deep stays where it is.
		deep := f.folders(ann, long(1)+"/y")
		must(f.Delete(f.ctx, []cloud.EntryID{deep.Parent}, nil))(f)
		path := "z"
		for range meta.MaxDepth - 2 {
			path += "/z"
		}
		_, err = f.Restore(f.ctx, deep.Parent, f.folders(ann, path).ID, meta.ConflictRename, nil)
		f.is(err, cloud.ErrInvalid)
		f.same("trash", f.trash(ann)[0].Entry.ID, deep.Parent)
	}},
	{"purged and expired", func(f *fixture) {
		f.SetRetention(keeping)
		ann := f.user("ann")
		one, two := f.file(ann, "a/one", 10), f.file(ann, "two", 20)
		copied := must(f.Copy(f.ctx, two.ID, cloud.Root, "copy", ann, false, meta.ConflictFail, nil))(f).Entry
		a := f.folders(ann, "a")
		must(f.Delete(f.ctx, []cloud.EntryID{a.ID, two.ID, copied.ID}, nil))(f)
		_, err := f.Purge(f.ctx, []cloud.EntryID{a.ID, one.ID})
		f.is(err, cloud.ErrNotFound)
		f.same("trash", len(f.trash(ann)), 3)
		d := must(f.Purge(f.ctx, []cloud.EntryID{a.ID, a.ID, two.ID}))(f)
		f.same("purged", []any{d.Files, d.Folders, d.Bytes}, []any{int64(2), int64(1), int64(30)})
		f.same("one is stored", f.stored(one.Object), false)
		f.same("two is stored", f.stored(two.Object), true) // in the copy
		f.same("expired", must(f.ExpireTrash(f.ctx, time.Now().Add(-time.Minute), 10))(f), 0)
		f.same("expired", must(f.ExpireTrash(f.ctx, time.Now().Add(time.Minute), 10))(f), 1)
		f.same("two is stored", f.stored(two.Object), false)
		f.same("trash", len(f.trash(ann)), 0)
	}},
	{"page by page", func(f *fixture) {
		f.SetRetention(keeping)
		ann := f.user("ann")
		var want []cloud.EntryID
		for i := range 7 {
			want = append([]cloud.EntryID{f.file(ann, fmt.Sprint(i), 1).ID}, want...)
		}
		must(f.Delete(f.ctx, want, nil))(f) // all at one time
		var got []cloud.EntryID
		for after := ""; ; {
			page, next, err := f.ListTrash(f.ctx, ann, after, 3)
			f.ok(err)
			for _, t := range page {
				got = append(got, t.Entry.ID)
			}
			if after = next; next == "" {
				break
			}
		}
		f.same("trash", got, want)
		for _, after := range []string{"x", "1", "1.x", "."} {
			_, _, err := f.ListTrash(f.ctx, ann, after, 3)
			f.is(err, cloud.ErrInvalid)
		}
	}},
	{"its space", func(f *fixture) {
		f.SetRetention(keeping)
		ann, bob := f.user("ann"), f.user("bob")
		f.file(ann, "here", 1)
		f.overwrite(bob, f.file(ann, "file", 20), 40)
		must(f.Delete(f.ctx, []cloud.EntryID{f.file(ann, "gone", 300).ID}, nil))(f)
		s := must(f.Space(f.ctx, ann))(f)
		f.same("space", []any{s.Files, s.FileBytes, s.Trashed, s.TrashBytes, s.Versions, s.VersionBytes},
			[]any{int64(2), int64(41), int64(1), int64(300), int64(1), int64(20)})
		var freed int64
		for _, day := range s.Freed {
			freed += day.Bytes
		}
		f.same("freed", freed, int64(320))
	}},
}

// overwrite uploads a new content of a file on behalf of a user.
func (f *fixture) overwrite(user cloud.UserID, e cloud.Entry, size int64) cloud.Entry {
	f.Helper()
	u := f.upload(user, e.Name, size)
	f.begin(u)
	f.fill(u)
	return must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictReplace)))(f).Entry
}

var versions = []testcase{
	{"of overwritten files", func(f *fixture) {
		f.SetRetention(keeping)
		ann := f.user("ann")
		e := f.file(ann, "file", 10)
		contents := []cloud.Entry{e}
		for i := range 5 { // each by another user, or they would collapse
			contents = append(contents, f.overwrite(f.user(fmt.Sprint("u", i)), e, int64(20+i)))
		}
		all := must(f.ListVersions(f.ctx, e.ID))(f)
		f.same("versions", len(all), 3)
		for i, v := range all {
			was := contents[4-i]
			f.same("version", []any{v.Object, v.Size, v.Type, v.Hash, v.Entry}, []any{was.Object, was.Size, was.Type, was.Hash, e.ID})
			f.same("stored", f.stored(v.Object), true)
			f.same("one", must(f.Version(f.ctx, e.ID, v.ID))(f), v)
		}
		f.same("the oldest is stored", f.stored(contents[0].Object), false)

		_, err := f.RestoreVersion(f.ctx, e.ID, all[1].ID, veto(e.ID))
		f.is(err, errVeto)
		back := must(f.RestoreVersion(f.ctx, e.ID, all[1].ID, nil))(f)
		f.same("restored", []any{back.ID, back.Object, back.Size, back.ModifiedAt}, []any{e.ID, all[1].Object, all[1].Size, all[1].ModifiedAt})
		now := must(f.ListVersions(f.ctx, e.ID))(f)
		f.same("versions", []any{len(now), now[0].Object, now[1].ID, now[2].ID}, []any{3, contents[5].Object, all[0].ID, all[2].ID})
		_, err = f.RestoreVersion(f.ctx, e.ID, all[1].ID, nil)
		f.is(err, cloud.ErrNotFound)

		f.is(f.DeleteVersion(f.ctx, e.ID, all[0].ID, veto(e.ID)), errVeto)
		f.ok(f.DeleteVersion(f.ctx, e.ID, all[0].ID, nil))
		f.is(f.DeleteVersion(f.ctx, e.ID, all[0].ID, nil), cloud.ErrNotFound)
		f.same("deleted is stored", f.stored(all[0].Object), false)
		f.same("expired", must(f.ExpireVersions(f.ctx, time.Now().Add(-time.Minute), 10))(f), 0)
		f.same("expired", must(f.ExpireVersions(f.ctx, time.Now().Add(time.Minute), 10))(f), 2)
		f.same("versions", must(f.ListVersions(f.ctx, e.ID))(f), []meta.Version(nil))
		f.same("present", must(f.Entry(f.ctx, e.ID, meta.AnyViewer))(f).Object, back.Object)
	}},
	{"of the same user collapse", func(f *fixture) {
		f.SetRetention(keeping)
		ann := f.user("ann")
		e := f.file(ann, "file", 10)
		second := f.overwrite(ann, e, 20)
		f.overwrite(ann, e, 30)
		all := must(f.ListVersions(f.ctx, e.ID))(f)
		f.same("versions", []any{len(all), all[0].Object}, []any{1, e.Object})
		f.same("second is stored", f.stored(second.Object), false)
		f.overwrite(f.user("bob"), e, 40)
		f.same("versions", len(must(f.ListVersions(f.ctx, e.ID))(f)), 2)
	}},
	{"of what is copied or moved onto a file", func(f *fixture) {
		f.SetRetention(keeping)
		ann, bob := f.user("ann"), f.user("bob")
		e, other := f.file(ann, "file", 10), f.file(ann, "other", 20)
		f.overwrite(bob, e, 15)
		must(f.Copy(meta.ForViewer(f.ctx, ann), other.ID, cloud.Root, "file", ann, false, meta.ConflictClear, nil))(f)
		f.same("versions", len(must(f.ListVersions(f.ctx, e.ID))(f)), 2)
		// The same content again is no version.
		must(f.Copy(meta.ForViewer(f.ctx, f.user("eve")), other.ID, cloud.Root, "file", ann, false, meta.ConflictClear, nil))(f)
		f.same("versions", len(must(f.ListVersions(f.ctx, e.ID))(f)), 2)
		// So do programs save that write beside the file: its versions go along.
		fresh := f.file(ann, "file.tmp", 30)
		m := must(f.Move(meta.ForViewer(f.ctx, f.user("joe")), fresh.ID, cloud.Root, "file", meta.ConflictReplace, nil))(f)
		f.same("replaced", m.Replaced.ID, e.ID)
		all := must(f.ListVersions(f.ctx, fresh.ID))(f)
		f.same("versions", []any{len(all), all[0].Object}, []any{3, other.Object})
		f.same("trash", len(f.trash(ann)), 0)
		// Another's file keeps to itself what it was.
		theirs := f.file(bob, "theirs", 50)
		must(f.Move(f.ctx, theirs.ID, cloud.Root, "file", meta.ConflictReplace, nil))(f)
		f.same("versions", must(f.ListVersions(f.ctx, theirs.ID))(f), []meta.Version(nil))
		f.same("trash", []any{len(f.trash(ann)), f.trash(ann)[0].Entry.ID}, []any{1, fresh.ID})
		// With its versions it comes back, and with them it goes.
		must(f.Restore(f.ctx, fresh.ID, cloud.Root, meta.ConflictRename, nil))(f)
		f.same("versions", len(must(f.ListVersions(f.ctx, fresh.ID))(f)), 3)
		must(f.Delete(f.ctx, []cloud.EntryID{fresh.ID}, nil))(f)
		_, err := f.ListVersions(f.ctx, fresh.ID)
		f.is(err, cloud.ErrNotFound)
		_, err = f.Version(f.ctx, fresh.ID, all[0].ID)
		f.is(err, cloud.ErrNotFound)
		must(f.Purge(f.ctx, []cloud.EntryID{fresh.ID}))(f)
		for _, v := range all {
			f.same("stored", f.stored(v.Object), v.Object == other.Object) // which has a file of its own
		}
	}},
	{"not of empty files, and not without a Retention", func(f *fixture) {
		ann := f.user("ann")
		for _, keep := range []meta.Retention{{}, {Versions: 3}, {VersionAge: time.Hour}} {
			f.SetRetention(keep)
			e := f.file(ann, fmt.Sprint(keep.Versions, keep.VersionAge), 10)
			f.overwrite(ann, e, 20)
			f.same("versions", must(f.ListVersions(f.ctx, e.ID))(f), []meta.Version(nil))
			f.same("stored", f.stored(e.Object), false)
		}
		f.SetRetention(keeping)
		e := f.file(ann, "empty", 0)
		f.overwrite(ann, e, 20)
		f.same("versions", must(f.ListVersions(f.ctx, e.ID))(f), []meta.Version(nil))
	}},
}
