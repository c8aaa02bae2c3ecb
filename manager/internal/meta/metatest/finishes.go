package metatest

import (
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var finishes = []testcase{
	{"a new file", func(f *fixture) {
		ann := f.user("ann")
		a := f.folders(0, "a")
		u := f.upload(ann, "a/b/file.bin", 250)
		u.Public, u.ModifiedAt = true, at(0)
		f.begin(u)
		f.fill(u)
		before := time.Now().Add(-time.Second)
		fin := finish(meta.ConflictFail)
		fin.Type = "image/png"
		r := must(f.FinishUpload(f.ctx, u.ID, fin))(f)
		b := must(f.Child(f.ctx, a.ID, "b", meta.AnyViewer))(f)
		e := r.Entry
		f.same("result", r, meta.Finished{Entry: e, Folder: []string{"a", "b"}, CreatedFolders: []cloud.Entry{b}})
		f.same("owner of the folder", b.Owner, ann)
		f.same("entry", e, cloud.Entry{
			ID: e.ID, Parent: b.ID, Name: "file.bin", Kind: cloud.KindFile, Owner: ann, Public: true,
			CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, ModifiedAt: at(0),
			Object: u.Object, Size: 250, Type: "image/png", Hash: fin.Hash, SHA256: fin.SHA256, CRC32: fin.CRC32,
		})
		if e.CreatedAt.Before(before) || !e.UpdatedAt.Equal(e.CreatedAt) {
			f.Errorf("created at %v, updated at %v", e.CreatedAt, e.UpdatedAt)
		}
		f.same("stored", must(f.Entry(f.ctx, e.ID, meta.AnyViewer))(f), e)
		o := must(f.Object(f.ctx, u.Object))(f)
		f.same("object", o, meta.Object{
			ID: u.Object, Size: 250, Hash: fin.Hash, SHA256: fin.SHA256, CRC32: fin.CRC32, Type: "image/png", CreatedAt: o.CreatedAt,
		})
		done := must(f.Upload(f.ctx, u.ID))(f)
		f.same("upload", []any{done.State, done.Entry}, []any{meta.UploadDone, e.ID})
	}},
	{"what the upload does not say", func(f *fixture) {
		e := f.private(f.user("ann"), "file", 10)
		f.same("type", e.Type, "text/plain")
		f.same("modified", e.ModifiedAt, e.CreatedAt)
		f.same("public", e.Public, false)
	}},
	{"an empty file", func(f *fixture) {
		ann := f.user("ann")
		u := f.upload(ann, "empty", 0)
		f.begin(u)
		f.same("parts", u.Parts(), int64(0))
		_, err := f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail))
		f.is(err, cloud.ErrInvalid)
		f.is(f.AddPart(f.ctx, u.ID, 0, nil), cloud.ErrInvalid)
		f.is(f.AddPart(f.ctx, u.ID, 1, chunksOf(u, 0)), cloud.ErrInvalid)
		f.is(f.AddPart(f.ctx, u.ID, 0, []meta.Stored{chunkAt(u, 0, 0, 1)}), cloud.ErrInvalid)
		f.fill(u)
		f.is(f.AddPart(f.ctx, u.ID, 0, chunksOf(u, 0)), cloud.ErrExists)
		f.same("stored", must(f.PartsStored(f.ctx, u.ID))(f), [][2]int64{{0, 0}})
		e := must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail)))(f).Entry
		f.same("size", e.Size, int64(0))
		f.same("chunks", must(f.Chunks(f.ctx, e.Object, 0, 5))(f), plain(chunksOf(u, 0)))
	}},
	{"chunks by offset", func(f *fixture) {
		u := f.upload(f.user("ann"), "file", 1050)
		f.begin(u)
		f.fill(u)
		must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail)))(f)
		var all []cloud.Chunk
		for part := range u.Parts() {
			all = append(all, plain(chunksOf(u, part))...)
		}
		for _, c := range []struct {
			off         int64
			max         int
			first, last int // of all; last exclusive
		}{
			{0, 100, 0, 11}, {0, 1, 0, 1}, {99, 2, 0, 2}, {100, 2, 1, 3}, {101, 2, 1, 3},
			{999, 5, 9, 11}, {1000, 5, 10, 11}, {1049, 5, 10, 11},
		} {
			f.same(fmt.Sprintf("%d from %d", c.max, c.off), must(f.Chunks(f.ctx, u.Object, c.off, c.max))(f), all[c.first:c.last])
		}
		f.same("at the end", len(must(f.Chunks(f.ctx, u.Object, 1050, 1))(f)), 0)
		f.same("behind the end", len(must(f.Chunks(f.ctx, u.Object, 1<<60, 1))(f)), 0)
		_, err := f.Chunks(f.ctx, u.Object, -1, 1)
		f.is(err, cloud.ErrInvalid)
		_, err = f.Chunks(f.ctx, u.Object, 0, 0)
		f.is(err, cloud.ErrInvalid)
		_, err = f.Chunks(f.ctx, cloud.ObjectID{1}, 0, 1)
		f.is(err, cloud.ErrNotFound)
		_, err = f.Object(f.ctx, cloud.ObjectID{1})
		f.is(err, cloud.ErrNotFound)
	}},
	{"onto a taken name", conflicts},
	{"replaced for others", replaced},
	{"where a file is a folder", func(f *fixture) {
		ann := f.user("ann")
		f.file(ann, "a", 1)
		u := f.upload(ann, "a/b/file", 10)
		f.begin(u)
		f.fill(u)
		for _, on := range []meta.Conflict{meta.ConflictFail, meta.ConflictReplace, meta.ConflictRename} {
			_, err := f.FinishUpload(f.ctx, u.ID, finish(on))
			f.is(err, cloud.ErrExists)
		}
		_, err := f.FinishUpload(f.ctx, u.ID, meta.Finish{Conflict: "ask"})
		f.is(err, cloud.ErrInvalid)
		f.same("state", must(f.Upload(f.ctx, u.ID))(f).State, meta.UploadRunning)
		f.same("children", names(f.all(cloud.Root)), []string{"a"})
		_, err = f.FinishUpload(f.ctx, "unknown", finish(meta.ConflictFail))
		f.is(err, cloud.ErrNotFound)
	}},
	{"twice", func(f *fixture) {
		ann := f.user("ann")
		f.file(ann, "a/file", 5)
		u := f.upload(ann, "a/file", 10)
		f.begin(u)
		f.fill(u)
		first := must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictRename)))(f)
		f.same("first", []any{first.Entry.Name, first.Renamed, first.Again}, []any{"file (1)", true, false})
		want := first
		want.Again, want.CreatedFolders = true, nil
		for _, on := range []meta.Conflict{meta.ConflictRename, meta.ConflictReplace, meta.ConflictFail} {
			f.same("again", must(f.FinishUpload(f.ctx, u.ID, finish(on)))(f), want)
		}
		f.same("files", len(f.all(first.Entry.Parent)), 2)
		f.reopen()
		f.same("again", must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail)))(f), want)
		must(f.Delete(f.ctx, []cloud.EntryID{first.Entry.ID}, nil))(f)
		_, err := f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail))
		f.is(err, cloud.ErrNotFound)
	}},
}

func conflicts(f *fixture) {
	ann := f.user("ann")
	start := func(path string) meta.Upload {
		u := f.upload(ann, path, 20)
		f.begin(u)
		f.fill(u)
		f.ok(f.SetUploadState(f.ctx, u.ID, meta.UploadWaiting, ""))
		return u
	}
	old := f.file(ann, "a/x.txt", 10)
	folder := f.folders(ann, "a/folder.d")

	u := start("a/x.txt")
	_, err := f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail))
	f.is(err, cloud.ErrExists)
	f.same("state", must(f.Upload(f.ctx, u.ID))(f).State, meta.UploadWaiting)
	f.same("old file", must(f.Entry(f.ctx, old.ID, meta.AnyViewer))(f), old)

	fin := finish(meta.ConflictReplace)
	fin.Allow = veto(old.ID)
	_, err = f.FinishUpload(f.ctx, u.ID, fin)
	f.is(err, errVeto)
	f.same("old file", must(f.Entry(f.ctx, old.ID, meta.AnyViewer))(f), old)
	_, err = f.Object(f.ctx, u.Object)
	f.is(err, cloud.ErrNotFound)

	fin.Allow = nil
	r := must(f.FinishUpload(f.ctx, u.ID, fin))(f)
	f.same("flags", []any{r.Replaced, r.Renamed, r.Again, len(r.CreatedFolders)}, []any{true, false, false, 0})
	want := old
	want.Object, want.Size, want.UpdatedAt, want.ModifiedAt = u.Object, 20, r.Entry.UpdatedAt, r.Entry.ModifiedAt
	want.Public = false // as its owner's upload says
	f.same("replaced file", r.Entry, want)
	f.same("children", names(f.all(old.Parent)), []string{"folder.d", "x.txt"})
	// Who reads the old content reads on.
	f.same("old chunks", len(must(f.Chunks(f.ctx, old.Object, 0, 10))(f)), 1)

	fin = finish(meta.ConflictRename)
	fin.Allow = veto(old.ID) // is not asked: nothing is replaced
	for n := 1; n <= 2; n++ {
		r = must(f.FinishUpload(f.ctx, start("a/x.txt").ID, fin))(f)
		f.same("name", []any{r.Entry.Name, r.Renamed, r.Replaced}, []any{fmt.Sprintf("x (%d).txt", n), true, false})
	}
	r = must(f.FinishUpload(f.ctx, start("a/new.txt").ID, fin))(f)
	f.same("free name", []any{r.Entry.Name, r.Renamed}, []any{"new.txt", false})

	u = start("a/folder.d")
	for _, on := range []meta.Conflict{meta.ConflictFail, meta.ConflictReplace} {
		_, err = f.FinishUpload(f.ctx, u.ID, finish(on))
		f.is(err, cloud.ErrExists)
	}
	r = must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictRename)))(f)
	f.same("name", r.Entry.Name, "folder (1).d")
	f.same("folder", must(f.Entry(f.ctx, folder.ID, meta.AnyViewer))(f), folder)
}

func replaced(f *fixture) {
	ann, bob := f.user("ann"), f.user("bob")
	replace := func(path string, public bool) cloud.Entry {
		u := f.upload(bob, path, 20)
		u.Public = public
		f.begin(u)
		f.fill(u)
		fin := finish(meta.ConflictReplace)
		fin.Allow = func(e cloud.Entry) error {
			if (e.Share != nil) != (e.Owner == ann) {
				f.Errorf("allow sees %s with share %v", e.Name, e.Share)
			}
			return nil
		}
		r := must(f.FinishUpload(meta.ForViewer(f.ctx, bob), u.ID, fin))(f)
		f.same("replaced", r.Replaced, true)
		return r.Entry
	}
	// Ann's private file stays hers and private, whatever bob's upload says.
	private := f.private(ann, "private", 1)
	f.ok(f.share(cloud.Share{Entry: private.ID, User: bob, CanWrite: true}))
	e := replace("private", true)
	f.same("private", []any{e.ID, e.Owner, e.Public, e.CreatedAt}, []any{private.ID, ann, false, private.CreatedAt})
	f.same("shares", len(must(f.Shares(f.ctx, private.ID))(f)), 1)
	// One without owner becomes bob's, on his terms.
	orphan := f.private(ann, "orphan", 1)
	must(f.SetOwner(f.ctx, orphan.ID, 0, meta.Transfer{}, nil))(f)
	e = replace("orphan", true)
	f.same("orphan", []any{e.ID, e.Owner, e.Public}, []any{orphan.ID, bob, true})
}
