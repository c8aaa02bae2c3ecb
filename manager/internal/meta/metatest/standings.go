package metatest

import (
	"errors"
	"sync"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var standings = []testcase{
	{"disabled", func(f *fixture) {
		root := must(f.CreateUser(f.ctx, "root", "phc", true, true))(f).ID
		ann := f.user("ann")
		f.ok(f.CreateSession(f.ctx, session(ann, 0)))
		must(f.CreateAppPassword(f.ctx, meta.AppPassword{User: ann, Name: "dav"}, cloud.Sum{1}))(f)
		f.same("disabled", must(f.SetDisabled(f.ctx, ann, true))(f).Disabled, true)
		must(f.SetDisabled(f.ctx, ann, true))(f) // again
		f.same("sessions", len(must(f.Sessions(f.ctx, ann))(f)), 0)
		f.same("app passwords", len(must(f.AppPasswords(f.ctx, ann))(f)), 0)
		f.same("enabled", must(f.SetDisabled(f.ctx, ann, false))(f).Disabled, false)
		f.same("sessions that came back", len(must(f.Sessions(f.ctx, ann))(f)), 0)
		_, err := f.SetDisabled(f.ctx, ann+99, false)
		f.is(err, cloud.ErrNotFound)
		_, err = f.SetDisabled(f.ctx, root, true)
		f.is(err, cloud.ErrDenied)
	}},
	{"role", func(f *fixture) {
		root := must(f.CreateUser(f.ctx, "root", "phc", true, true))(f).ID
		ann := f.user("ann")
		_, err := f.SetAdministrator(f.ctx, root, false)
		f.is(err, cloud.ErrDenied)
		_, err = f.DeleteUser(f.ctx, root, ann, false)
		f.is(err, cloud.ErrDenied)
		f.ok(f.CreateSession(f.ctx, session(ann, 0)))
		f.same("administrator", must(f.SetAdministrator(f.ctx, ann, true))(f).Administrator, true)
		f.same("sessions kept", len(must(f.Sessions(f.ctx, ann))(f)), 1)
		must(f.SetDisabled(f.ctx, ann, true))(f)
		_, err = f.SetAdministrator(f.ctx, root, false) // ann cannot administer
		f.is(err, cloud.ErrDenied)
		must(f.SetDisabled(f.ctx, ann, false))(f)
		f.ok(f.CreateSession(f.ctx, session(ann, 0)))
		f.same("user", must(f.SetAdministrator(f.ctx, ann, false))(f).Administrator, false)
		f.same("sessions ended", len(must(f.Sessions(f.ctx, ann))(f)), 0)
	}},
	{"of two last administrators one stays", func(f *fixture) {
		ids := [2]cloud.UserID{must(f.CreateUser(f.ctx, "ann", "phc", true, true))(f).ID, must(f.CreateUser(f.ctx, "bob", "phc", true, false))(f).ID}
		var errs [2]error
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() { _, errs[i] = f.SetAdministrator(f.ctx, ids[i], false) })
		}
		all.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[0], errs[1]), cloud.ErrDenied) {
			f.Errorf("both at once: %v, %v", errs[0], errs[1])
		}
	}},
	{"deleted, files handed over", func(f *fixture) {
		must(f.CreateUser(f.ctx, "root", "phc", true, true))(f)
		ann, bob := f.user("ann"), f.user("bob")
		f.SetRetention(keeping)
		one := f.file(ann, "docs/one", 300)
		gone := f.file(ann, "gone", 7)
		f.replaceFile(ann, "docs/one", 50)
		must(f.Delete(meta.ForViewer(f.ctx, ann), []cloud.EntryID{gone.ID}, nil))(f)
		f.ok(f.share(cloud.Share{Entry: one.ID, User: bob, CanWrite: true, SharedAt: at(0)}))
		theirs := f.file(bob, "theirs", 20)
		f.ok(f.share(cloud.Share{Entry: theirs.ID, User: ann, SharedAt: at(0)}))
		f.begin(f.upload(ann, "running", 300))
		f.ok(f.CreateSession(f.ctx, session(ann, 0)))

		f.ok(f.SetQuota(f.ctx, bob, 100, 0))
		_, err := f.DeleteUser(f.ctx, ann, bob, false)
		f.is(err, cloud.ErrFull)
		f.used(ann, 357, 2)
		f.ok(f.SetQuota(f.ctx, bob, 1000, 0))
		_, err = f.DeleteUser(f.ctx, ann, ann, false)
		f.is(err, cloud.ErrInvalid)
		_, err = f.DeleteUser(f.ctx, ann, bob+99, false)
		f.is(err, cloud.ErrNotFound)

		must(f.DeleteUser(f.ctx, ann, bob, false))(f)
		_, err = f.User(f.ctx, ann)
		f.is(err, cloud.ErrNotFound)
		e := must(f.Entry(f.ctx, one.ID, bob))(f)
		f.same("owner", e.Owner, bob)
		f.same("the heir's share", e.Share, (*cloud.Share)(nil))
		f.same("shares", len(must(f.Shares(f.ctx, theirs.ID))(f)), 0)
		f.used(bob, 377, 3)
		f.used(meta.Everybody, 377, 3)
		f.same("bound", must(f.Quota(f.ctx, bob))(f).MostBytes, int64(1000))
		f.same("trash", len(f.trash(bob)), 1)
		f.same("uploads", len(must(f.UploadsIn(f.ctx, meta.AnyViewer, meta.UploadRunning))(f)), 0)
		f.sound()
	}},
	{"deleted, files to the trash", func(f *fixture) {
		must(f.CreateUser(f.ctx, "root", "phc", true, true))(f)
		ann, bob := f.user("ann"), f.user("bob")
		f.SetRetention(keeping)
		f.file(ann, "own/deep/file", 10)
		f.file(ann, "mixed/deep/of ann", 20)
		theirs := f.file(bob, "mixed/deep/of bob", 30)
		f.file(ann, "single", 5)
		f.file(ann, "mixed/more/file", 1)
		d := must(f.DeleteUser(f.ctx, ann, bob, true))(f)
		f.same("tops", len(d.Top), 4) // own, mixed/deep/of ann, single, mixed/more
		f.same("trash", len(f.trash(bob)), 4)
		for _, gone := range f.trash(bob) {
			f.same("owner", gone.Entry.Owner, bob)
		}
		f.same("kept", f.paths(cloud.Root), []string{"[mixed]/", "[mixed deep]/", "[mixed deep of bob]"})
		f.same("folder of the kept", must(f.Path(f.ctx, theirs.ID))(f)[0].Owner, bob)
		f.used(bob, 66, 5)
		f.sound()
	}},
}
