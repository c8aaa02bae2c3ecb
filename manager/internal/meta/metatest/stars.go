package metatest

import (
	"slices"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var stars = []testcase{
	{"are each user's own, and go with the entry", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		file, folder := f.file(ann, "a/file", 10), f.folders(ann, "a")
		of := func(user cloud.UserID) []cloud.EntryID {
			return slices.Sorted(slices.Values(must(f.StarsOf(f.ctx, user))(f)))
		}
		for range 2 {
			f.ok(f.SetStar(f.ctx, ann, file.ID, true))
		}
		f.ok(f.SetStar(f.ctx, ann, folder.ID, true))
		f.ok(f.SetStar(f.ctx, bob, folder.ID, true))
		f.same("ann's", of(ann), slices.Sorted(slices.Values([]cloud.EntryID{file.ID, folder.ID})))
		f.same("bob's", of(bob), []cloud.EntryID{folder.ID})
		found := must(f.Search(f.ctx, meta.Find{Viewer: ann, Starred: true, Limit: 10}))(f)
		f.same("found", len(found.Entries), 2)
		for range 2 {
			f.ok(f.SetStar(f.ctx, bob, folder.ID, false))
		}
		f.same("none left", of(bob), []cloud.EntryID(nil))
		must(f.Delete(f.ctx, []cloud.EntryID{file.ID}, nil))(f)
		f.same("after deletion", of(ann), []cloud.EntryID{folder.ID})
		f.is(f.SetStar(f.ctx, ann, file.ID+99, true), cloud.ErrNotFound)
	}},
}
