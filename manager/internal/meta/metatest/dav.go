package metatest

import (
	"fmt"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var appPasswords = []testcase{
	{"create, find, touch and delete", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		folder := f.folders(ann, "a")
		one := must(f.CreateAppPassword(f.ctx, meta.AppPassword{User: ann, Name: "laptop", CreatedAt: at(0)}, cloud.Sum{1}))(f)
		two := must(f.CreateAppPassword(f.ctx, meta.AppPassword{User: ann, Name: "phone", ReadOnly: true, Entry: folder.ID, CreatedAt: at(1)}, cloud.Sum{2}))(f)
		f.same("all", must(f.AppPasswords(f.ctx, ann))(f), []meta.AppPassword{one, two})
		f.same("of another", len(must(f.AppPasswords(f.ctx, bob))(f)), 0)
		got, user, err := f.AppPassword(f.ctx, cloud.Sum{2})
		f.ok(err)
		f.same("found", got, meta.AppPassword{ID: two.ID, User: ann, Name: "phone", ReadOnly: true, Entry: folder.ID, CreatedAt: at(1)})
		f.same("user", user.Name, "ann")
		f.ok(f.TouchAppPassword(f.ctx, two.ID, at(2)))
		got, _, err = f.AppPassword(f.ctx, cloud.Sum{2})
		f.ok(err)
		f.same("used", got.UsedAt, at(2))
		_, _, err = f.AppPassword(f.ctx, cloud.Sum{3})
		f.is(err, cloud.ErrNotFound)
		_, err = f.CreateAppPassword(f.ctx, meta.AppPassword{User: ann}, cloud.Sum{1})
		f.is(err, cloud.ErrExists)
		_, err = f.CreateAppPassword(f.ctx, meta.AppPassword{User: ann, Entry: 999}, cloud.Sum{4})
		f.is(err, cloud.ErrNotFound)
		_, err = f.CreateAppPassword(f.ctx, meta.AppPassword{User: 999}, cloud.Sum{4})
		f.is(err, cloud.ErrNotFound)
		f.is(f.DeleteAppPassword(f.ctx, bob, one.ID), cloud.ErrNotFound)
		f.ok(f.DeleteAppPassword(f.ctx, ann, one.ID))
		f.is(f.DeleteAppPassword(f.ctx, ann, one.ID), cloud.ErrNotFound)
		f.is(f.TouchAppPassword(f.ctx, one.ID, at(0)), cloud.ErrNotFound)
	}},
	{"end with their folder and with the password", func(f *fixture) {
		ann := f.user("ann")
		folder := f.folders(ann, "a/b")
		must(f.CreateAppPassword(f.ctx, meta.AppPassword{User: ann, Entry: folder.ID}, cloud.Sum{1}))(f)
		must(f.CreateAppPassword(f.ctx, meta.AppPassword{User: ann}, cloud.Sum{2}))(f)
		must(f.Delete(f.ctx, []cloud.EntryID{f.folders(ann, "a").ID}, nil))(f)
		_, _, err := f.AppPassword(f.ctx, cloud.Sum{1})
		f.is(err, cloud.ErrNotFound)
		must(f.SetPassword(f.ctx, ann, "another"))(f)
		_, _, err = f.AppPassword(f.ctx, cloud.Sum{2})
		f.is(err, cloud.ErrNotFound)
	}},
}

func property(name, value string) meta.PropertyChange {
	return meta.PropertyChange{Property: meta.Property{Space: "urn:x", Name: name, Value: []byte(value)}}
}

var properties = []testcase{
	{"set, change, remove", func(f *fixture) {
		ann := f.user("ann")
		a := f.folders(ann, "a")
		one, two := f.file(ann, "a/one", 1), f.file(ann, "a/two", 1)
		f.ok(f.SetProperties(f.ctx, one.ID, []meta.PropertyChange{property("b", "1"), property("a", "2"), property("b", "3")}))
		f.same("set", must(f.Properties(f.ctx, one.ID))(f), []meta.Property{
			{Space: "urn:x", Name: "a", Value: []byte("2")}, {Space: "urn:x", Name: "b", Value: []byte("3")},
		})
		gone := property("a", "")
		gone.Remove = true
		f.ok(f.SetProperties(f.ctx, one.ID, []meta.PropertyChange{gone, gone}))
		f.ok(f.SetProperties(f.ctx, two.ID, []meta.PropertyChange{property("c", "4")}))
		in := must(f.PropertiesIn(f.ctx, a.ID, one.ID, two.ID))(f)
		f.same("in the folder", in, map[cloud.EntryID][]meta.Property{
			one.ID: {{Space: "urn:x", Name: "b", Value: []byte("3")}}, two.ID: {{Space: "urn:x", Name: "c", Value: []byte("4")}},
		})
		f.same("in another", len(must(f.PropertiesIn(f.ctx, cloud.Root, one.ID, two.ID))(f)), 0)
		f.is(f.SetProperties(f.ctx, 999, []meta.PropertyChange{property("c", "4")}), cloud.ErrNotFound)
		must(f.Delete(f.ctx, []cloud.EntryID{one.ID}, nil))(f)
		f.same("gone", len(must(f.Properties(f.ctx, one.ID))(f)), 0)
	}},
	{"limits", func(f *fixture) {
		file := f.file(f.user("ann"), "file", 1)
		var many []meta.PropertyChange
		for i := range meta.MaxProperties {
			many = append(many, property(fmt.Sprint(i), "x"))
		}
		f.ok(f.SetProperties(f.ctx, file.ID, many))
		f.is(f.SetProperties(f.ctx, file.ID, []meta.PropertyChange{property("more", "x")}), cloud.ErrFull)
		f.is(f.SetProperties(f.ctx, file.ID, []meta.PropertyChange{property("0", long(meta.MaxPropertyBytes))}), cloud.ErrFull)
		f.same("count", len(must(f.Properties(f.ctx, file.ID))(f)), meta.MaxProperties)
	}},
}

func (f *fixture) lock(user cloud.UserID, on cloud.EntryID, shared, deep bool) (meta.Lock, []meta.Lock, error) {
	l := meta.Lock{
		Token: fmt.Sprintf("urn:uuid:%d", f.number()), Entry: on, User: user, Shared: shared, Deep: deep,
		Owner: []byte("<o/>"), Timeout: time.Hour, ExpiresAt: at(1),
	}
	others, err := f.CreateLock(f.ctx, l, at(0))
	return l, others, err
}

var locks = []testcase{
	{"in each other's way", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		a, b := f.folders(ann, "a"), f.folders(ann, "a/b")
		file := f.file(ann, "a/b/file", 1)
		first, _, err := f.lock(ann, file.ID, false, false)
		f.ok(err)
		for _, c := range []struct {
			on           cloud.EntryID
			shared, deep bool
			free         bool
		}{
			{file.ID, false, false, false}, {file.ID, true, false, false}, {b.ID, false, false, true},
			{a.ID, false, true, false}, {cloud.Root, true, true, false},
		} {
			l, others, err := f.lock(bob, c.on, c.shared, c.deep)
			if c.free {
				f.ok(err)
				f.ok(f.DeleteLock(f.ctx, l.Token))
				continue
			}
			f.is(err, cloud.ErrExists)
			f.same("others", others, []meta.Lock{first})
		}
		f.ok(f.DeleteLock(f.ctx, first.Token))
		f.is(f.DeleteLock(f.ctx, first.Token), cloud.ErrNotFound)

		deep, _, err := f.lock(ann, a.ID, true, true)
		f.ok(err)
		_, _, err = f.lock(bob, file.ID, false, false)
		f.is(err, cloud.ErrExists)
		own, _, err := f.lock(bob, file.ID, true, false)
		f.ok(err)
		f.same("over", len(must(f.LocksOver(f.ctx, file.ID, at(0)))(f)), 2)
		f.same("over its folder", must(f.LocksOver(f.ctx, b.ID, at(0)))(f), []meta.Lock{deep})
		f.same("over the root", len(must(f.LocksOver(f.ctx, cloud.Root, at(0)))(f)), 0)
		f.same("below", len(must(f.LocksBelow(f.ctx, cloud.Root, false, at(0)))(f)), 2)
		f.same("below a", must(f.LocksBelow(f.ctx, a.ID, false, at(0)))(f), []meta.Lock{own})
		f.same("in a", len(must(f.LocksBelow(f.ctx, a.ID, true, at(0)))(f)), 0)
		f.same("in b", must(f.LocksBelow(f.ctx, b.ID, true, at(0)))(f), []meta.Lock{own})
	}},
	{"expire and are refreshed", func(f *fixture) {
		ann := f.user("ann")
		file := f.file(ann, "file", 1)
		l, _, err := f.lock(ann, file.ID, false, false)
		f.ok(err)
		_, err = f.RefreshLock(f.ctx, l.Token, 3*time.Hour, at(0))
		f.ok(err)
		f.same("held", len(must(f.LocksOver(f.ctx, file.ID, at(2)))(f)), 1)
		f.same("expired", len(must(f.LocksOver(f.ctx, file.ID, at(3)))(f)), 0)
		_, err = f.RefreshLock(f.ctx, l.Token, time.Hour, at(3))
		f.is(err, cloud.ErrNotFound)
		f.ok(f.ExpireLocks(f.ctx, at(2)))
		f.same("kept", len(must(f.LocksOver(f.ctx, file.ID, at(2)))(f)), 1)
		f.ok(f.ExpireLocks(f.ctx, at(3)))
		f.same("gone", len(must(f.LocksOver(f.ctx, file.ID, at(0)))(f)), 0)
	}},
	{"go with their entry, and stay when it moves", func(f *fixture) {
		ann := f.user("ann")
		a, to := f.folders(ann, "a"), f.file(ann, "to", 1)
		file := f.file(ann, "a/file", 1)
		_, _, err := f.lock(ann, file.ID, false, false)
		f.ok(err)
		held, _, err := f.lock(ann, to.ID, false, false)
		f.ok(err)
		f.ok(f.MoveLocks(f.ctx, a.ID, a.ID))
		f.same("left", must(f.LocksBelow(f.ctx, cloud.Root, false, at(0)))(f), []meta.Lock{held})
		f.ok(f.MoveLocks(f.ctx, to.ID, file.ID))
		f.same("moved", len(must(f.LocksOver(f.ctx, file.ID, at(0)))(f)), 1)
		must(f.Delete(f.ctx, []cloud.EntryID{a.ID}, nil))(f)
		f.same("gone", len(must(f.LocksBelow(f.ctx, cloud.Root, false, at(0)))(f)), 0)
		_, _, err = f.lock(ann, file.ID, false, false)
		f.is(err, cloud.ErrNotFound)
	}},
	{"one of many at once", func(f *fixture) {
		ann := f.user("ann")
		file := f.file(ann, "file", 1)
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				_, errs[i] = f.CreateLock(f.ctx, meta.Lock{Token: fmt.Sprint(i), Entry: file.ID, User: ann, ExpiresAt: at(1)}, at(0))
			})
		}
		all.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				f.is(err, cloud.ErrExists)
			}
		}
		f.same("won", won, 1)
	}},
}
