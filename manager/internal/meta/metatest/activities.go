package metatest

import (
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var activities = []testcase{
	{"told in order", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		told := func(viewer cloud.UserID, folder cloud.EntryID, deep bool) string {
			f.Helper()
			var all []string
			for _, a := range must(f.ActivityIn(f.ctx, meta.ActivityQuery{Folder: folder, Viewer: viewer, Deep: deep, Limit: 100}))(f) {
				line := a.Action + " " + a.Name
				if a.OldName != "" {
					line += " from " + a.OldName
				}
				all = append(all, line)
			}
			return strings.Join(all, ", ")
		}
		asAnn := meta.ForViewer(f.ctx, ann)
		f.SetRetention(meta.Retention{Trash: time.Hour})
		x := f.file(ann, "docs/x", 1)
		docs := x.Parent
		secret := f.private(ann, "docs/secret", 1)
		f.replaceFile(ann, "docs/x", 2)
		must(f.Move(asAnn, x.ID, docs, "y", meta.ConflictFail, nil))(f)
		other := f.folders(ann, "other")
		must(f.Move(asAnn, x.ID, other.ID, "z", meta.ConflictFail, nil))(f)
		must(f.Delete(asAnn, []cloud.EntryID{x.ID}, nil))(f)
		must(f.Restore(asAnn, x.ID, other.ID, meta.ConflictFail, nil))(f)
		must(f.Delete(asAnn, []cloud.EntryID{secret.ID}, nil))(f)
		must(f.Copy(asAnn, x.ID, docs, "copy", ann, true, meta.ConflictFail, nil))(f)
		f.same("all", told(ann, docs, false),
			"added copy, deleted secret, moved-out y, renamed y from x, changed x, added secret, added x")
		f.same("what is private stays it", told(bob, docs, false), "added copy, moved-out y, renamed y from x, changed x, added x")
		f.same("elsewhere", told(bob, other.ID, false), "restored z, deleted z, moved-in z")
		f.same("top", told(bob, cloud.Root, false), "added other, added docs")
		f.same("below", strings.Count(told(bob, cloud.Root, true), ",")+1, 10)

		// A folder that is hidden hides what happened in it, and a share shows it.
		must(f.SetPublic(f.ctx, docs, false, nil))(f)
		f.same("hidden", told(bob, cloud.Root, true), "restored z, deleted z, moved-in z, added other")
		f.ok(f.share(cloud.Share{Entry: docs, User: bob}))
		f.same("shared", strings.HasPrefix(told(bob, cloud.Root, true), "added copy, deleted secret, restored z"), true)

		page := must(f.ActivityIn(f.ctx, meta.ActivityQuery{Folder: docs, Viewer: ann, Limit: 2}))(f)
		f.same("who", page[0].User, ann)
		next := must(f.ActivityIn(f.ctx, meta.ActivityQuery{Folder: docs, Viewer: ann, Limit: 1, Before: page[1].ID}))(f)
		f.same("next", next[0].Name, "y")
		f.ok(f.ExpireActivity(f.ctx, time.Now().Add(time.Hour)))
		f.same("expired", told(ann, cloud.Root, true), "")
	}},
}
