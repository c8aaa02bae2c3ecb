package metatest

import (
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var deletes = []testcase{
	{"with all below", func(f *fixture) {
		ann := f.user("ann")
		keep := f.file(ann, "keep", 7)
		f.file(ann, "a/one", 10)
		two := f.file(ann, "a/b/two", 20)
		three := f.file(ann, "c/three", 30)
		a, b := f.folders(ann, "a"), f.folders(ann, "a/b")
		f.ok(f.share(cloud.Share{Entry: two.ID, User: f.user("bob")}))
		// b goes with a, and is counted once.
		d := must(f.Delete(f.ctx, []cloud.EntryID{b.ID, a.ID, three.ID, a.ID}, nil))(f)
		f.same("deleted", d, meta.Deleted{
			Top: []cloud.Entry{b, a, three}, Paths: [][]string{{"a"}, nil, {"c"}}, Files: 3, Folders: 2, Bytes: 60,
		})
		f.same("left", names(f.all(cloud.Root)), []string{"c", "keep"})
		f.same("kept", must(f.Entry(f.ctx, keep.ID, meta.AnyViewer))(f), keep)
		for _, id := range []cloud.EntryID{a.ID, b.ID, two.ID, three.ID} {
			_, err := f.Entry(f.ctx, id, ann)
			f.is(err, cloud.ErrNotFound)
		}
		// Who reads one of them reads on.
		f.same("chunks", len(must(f.Chunks(f.ctx, two.Object, 0, 10))(f)), 1)
		f.same("nothing", must(f.Delete(f.ctx, nil, nil))(f), meta.Deleted{})
	}},
	{"unknown", func(f *fixture) {
		file := f.file(f.user("ann"), "file", 1)
		_, err := f.Delete(f.ctx, []cloud.EntryID{file.ID, file.ID + 99}, nil)
		f.is(err, cloud.ErrNotFound)
		f.same("left", names(f.all(cloud.Root)), []string{"file"})
	}},
	{"ids are not used again", func(f *fixture) {
		ann := f.user("ann")
		file := f.file(ann, "file", 1)
		must(f.Delete(f.ctx, []cloud.EntryID{file.ID}, nil))(f)
		if again := f.file(ann, "file", 1); again.ID == file.ID {
			f.Errorf("the new file has the old one's id %d", file.ID)
		}
	}},
	{"a veto keeps everything", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		for i := range 5 {
			f.file(ann, fmt.Sprintf("a/b/%d", i), 1)
		}
		last := f.file(ann, "a/b/c/last", 1)
		f.ok(f.share(cloud.Share{Entry: last.ID, User: bob}))
		a := f.folders(ann, "a")
		sizes := must(f.Sizes(f.ctx, cloud.Root, meta.AnyViewer))(f)
		for _, id := range []cloud.EntryID{a.ID, last.ID} {
			_, err := f.Delete(f.ctx, []cloud.EntryID{a.ID}, veto(id))
			f.is(err, errVeto)
		}
		f.same("sizes", must(f.Sizes(f.ctx, cloud.Root, meta.AnyViewer))(f), sizes)
		f.same("shares", len(must(f.Shares(f.ctx, last.ID))(f)), 1)
		seen := map[cloud.EntryID]int{}
		must(f.Delete(meta.ForViewer(f.ctx, bob), []cloud.EntryID{a.ID, last.ID}, func(e cloud.Entry) error {
			if e.ID == a.ID { // it begins, or begins anew
				clear(seen)
			}
			seen[e.ID]++
			if (e.Share != nil) != (e.ID == last.ID) {
				f.Errorf("entry %d has share %v for bob", e.ID, e.Share)
			}
			return nil
		}))(f)
		for id, n := range seen {
			f.same(fmt.Sprintf("times that entry %d was seen", id), n, 1)
		}
		f.same("seen", len(seen), int(sizes.Files+sizes.Folders))
		f.same("left", f.all(cloud.Root), []cloud.Entry(nil))
	}},
}

var sharing = []testcase{
	{"set and remove", func(f *fixture) {
		ann, bob, eve := f.user("ann"), f.user("bob"), f.user("eve")
		file := f.private(ann, "file", 1)
		share := cloud.Share{Entry: file.ID, User: eve, SharedAt: at(0)}
		f.ok(f.share(share))
		f.ok(f.share(cloud.Share{Entry: file.ID, User: bob, CanWrite: true, SharedAt: at(1)}))
		share.CanWrite, share.SharedAt = true, at(2)
		changed := must(f.SetShare(f.ctx, share))(f)
		share.SharedAt = at(0) // changed, not made anew
		f.same("changed", changed, share)
		f.same("shares", must(f.Shares(f.ctx, file.ID))(f),
			[]cloud.Share{{Entry: file.ID, User: bob, CanWrite: true, SharedAt: at(1)}, share})
		f.same("removed", must(f.RemoveShare(f.ctx, file.ID, bob, 0))(f), true)
		f.same("removed", must(f.RemoveShare(f.ctx, file.ID, bob, 0))(f), false)
		f.same("shares", must(f.Shares(f.ctx, file.ID))(f), []cloud.Share{share})
		f.is(f.share(cloud.Share{Entry: file.ID, User: eve + 99}), cloud.ErrNotFound)
		f.is(f.share(cloud.Share{Entry: file.ID + 99, User: eve}), cloud.ErrNotFound)
		_, err := f.Shares(f.ctx, file.ID+99)
		f.is(err, cloud.ErrNotFound)
	}},
	{"transfer", func(f *fixture) {
		ann, bob, eve := f.user("ann"), f.user("bob"), f.user("eve")
		for _, c := range []struct {
			drop, keep bool
			want       map[cloud.UserID]bool // who has a share then, and whether it can write
		}{
			{false, false, map[cloud.UserID]bool{eve: false}},
			{false, true, map[cloud.UserID]bool{eve: false, ann: true}},
			{true, false, map[cloud.UserID]bool{}},
			{true, true, map[cloud.UserID]bool{ann: true}},
		} {
			file := f.private(ann, fmt.Sprintf("%t %t", c.drop, c.keep), 1)
			f.ok(f.share(cloud.Share{Entry: file.ID, User: bob}))
			f.ok(f.share(cloud.Share{Entry: file.ID, User: eve}))
			_, err := f.SetOwner(f.ctx, file.ID, bob, meta.Transfer{DropShares: c.drop, Keep: c.keep}, veto(file.ID))
			f.is(err, errVeto)
			f.same("shares", len(must(f.Shares(f.ctx, file.ID))(f)), 2)
			e := must(f.SetOwner(f.ctx, file.ID, bob, meta.Transfer{DropShares: c.drop, Keep: c.keep}, nil))(f)
			want := file
			want.Owner = bob
			f.same("entry", e, want)
			got := map[cloud.UserID]bool{}
			for _, share := range must(f.Shares(f.ctx, file.ID))(f) {
				got[share.User] = share.CanWrite
			}
			f.same("shares", got, c.want)
			_, err = f.SetOwner(f.ctx, file.ID, eve+99, meta.Transfer{Keep: true}, nil)
			f.is(err, cloud.ErrNotFound)
		}
		_, err := f.SetOwner(f.ctx, 9999, ann, meta.Transfer{}, nil)
		f.is(err, cloud.ErrNotFound)
	}},
	{"to the owner himself", func(f *fixture) {
		ann := f.user("ann")
		file := f.private(ann, "file", 1)
		must(f.SetOwner(f.ctx, file.ID, ann, meta.Transfer{Keep: true}, nil))(f)
		f.same("shares", must(f.Shares(f.ctx, file.ID))(f), []cloud.Share(nil))
	}},
	{"public", func(f *fixture) {
		file := f.private(f.user("ann"), "file", 1)
		_, err := f.SetPublic(f.ctx, file.ID, true, veto(file.ID))
		f.is(err, errVeto)
		f.same("public", must(f.Entry(f.ctx, file.ID, 0))(f).Public, false)
		file.Public = true
		f.same("entry", must(f.SetPublic(f.ctx, file.ID, true, nil))(f), file)
		f.same("stored", must(f.Entry(f.ctx, file.ID, meta.AnyViewer))(f), file)
	}},
}
