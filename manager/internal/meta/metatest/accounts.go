package metatest

import (
	"errors"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var accounts = []testcase{
	{"create and find", func(f *fixture) {
		before := time.Now().Add(-time.Second)
		ann := must(f.CreateUser(f.ctx, "Ann", "phc", true, false))(f)
		if ann.ID <= 0 || ann.Name != "Ann" || !ann.Administrator || ann.Disabled || ann.CreatedAt.Before(before) {
			f.Errorf("CreateUser = %+v", ann)
		}
		f.same("User", must(f.User(f.ctx, ann.ID))(f), ann)
		f.same("Credentials", must(f.Credentials(f.ctx, "Ann"))(f), meta.Credentials{User: ann, Password: "phc"})
		_, err := f.Credentials(f.ctx, "ann")
		f.is(err, cloud.ErrNotFound)
		_, err = f.User(f.ctx, ann.ID+1)
		f.is(err, cloud.ErrNotFound)
	}},
	{"names that differ in case are one", func(f *fixture) {
		f.user("Groß")
		for _, name := range []string{"Groß", "GROSS", "groß"} {
			_, err := f.CreateUser(f.ctx, name, "", false, false)
			f.is(err, cloud.ErrExists)
		}
		for _, name := range []string{"", long(256), "a/b", "a\x00"} {
			_, err := f.CreateUser(f.ctx, name, "", false, false)
			f.is(err, cloud.ErrInvalid)
		}
		f.same("count", must(f.CountUsers(f.ctx))(f), 1)
	}},
	{"one first user of many at once", func(f *fixture) {
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { _, errs[i] = f.CreateUser(f.ctx, "user"+string(rune('a'+i)), "", true, true) })
		}
		all.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				f.is(err, cloud.ErrDenied)
			}
		}
		f.same("first users", won, 1)
		f.same("count", must(f.CountUsers(f.ctx))(f), 1)
	}},
	{"search", func(f *fixture) {
		for _, name := range []string{"bob", "Anna", "Hannah", "anton", "50%"} {
			f.user(name)
		}
		search := func(query string, limit int) (found []string) {
			for _, u := range must(f.Users(f.ctx, query, limit))(f) {
				found = append(found, u.Name)
			}
			return found
		}
		f.same("all", search("", 10), []string{"50%", "Anna", "anton", "bob", "Hannah"})
		f.same("AN", search("AN", 10), []string{"Anna", "anton", "Hannah"})
		f.same("limit", search("an", 2), []string{"Anna", "anton"})
		f.same("no pattern", search("%", 10), []string{"50%"})
		f.same("none", search("zz", 10), []string(nil))
	}},
	{"password", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		for i, user := range []cloud.UserID{ann, ann, bob} {
			f.ok(f.CreateSession(f.ctx, session(user, i)))
		}
		ended := must(f.SetPassword(f.ctx, ann, "new"))(f)
		if len(ended) != 2 {
			f.Errorf("SetPassword ended %v, want two", ended)
		}
		f.same("ann's sessions", must(f.Sessions(f.ctx, ann))(f), []meta.Session(nil))
		f.same("bob's sessions", len(must(f.Sessions(f.ctx, bob))(f)), 1)
		f.same("password", must(f.Credentials(f.ctx, "ann"))(f).Password, "new")
		_, err := f.SetPassword(f.ctx, bob+1, "x")
		f.is(err, cloud.ErrNotFound)

		f.ok(f.CreateSession(f.ctx, session(ann, 7)))
		f.ok(f.Rehash(f.ctx, ann, "old", "stale")) // has been changed meanwhile
		f.same("password", must(f.Credentials(f.ctx, "ann"))(f).Password, "new")
		f.ok(f.Rehash(f.ctx, ann, "new", "again"))
		f.same("password", must(f.Credentials(f.ctx, "ann"))(f).Password, "again")
		f.same("ann's sessions", len(must(f.Sessions(f.ctx, ann))(f)), 1)
	}},
	{"sessions", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		first, second := session(ann, 0), session(ann, 1)
		f.ok(f.CreateSession(f.ctx, first))
		f.ok(f.CreateSession(f.ctx, second))
		f.is(f.CreateSession(f.ctx, first), cloud.ErrExists)
		f.is(f.CreateSession(f.ctx, session(bob+1, 2)), cloud.ErrNotFound)
		got, user, err := f.Session(f.ctx, first.ID, first.ExpiresAt.Add(-time.Second))
		f.ok(err)
		f.same("session", got, first)
		f.same("its user", user.ID, ann)
		f.same("sessions", must(f.Sessions(f.ctx, ann))(f), []meta.Session{first, second})

		_, _, err = f.Session(f.ctx, first.ID, first.ExpiresAt)
		f.is(err, cloud.ErrNotFound)
		f.ok(f.TouchSession(f.ctx, first.ID, at(1), at(100)))
		got, _, err = f.Session(f.ctx, first.ID, first.ExpiresAt)
		f.ok(err)
		f.same("used", got.UsedAt, at(1))
		f.same("expires", got.ExpiresAt, at(100))

		f.is(f.DeleteSession(f.ctx, bob, first.ID), cloud.ErrNotFound)
		f.is(f.TouchSession(f.ctx, "unknown", at(1), at(2)), cloud.ErrNotFound)
		f.ok(f.ExpireSessions(f.ctx, at(50)))
		f.same("left", len(must(f.Sessions(f.ctx, ann))(f)), 1)
		f.ok(f.DeleteSession(f.ctx, ann, first.ID))
		f.is(f.DeleteSession(f.ctx, ann, first.ID), cloud.ErrNotFound)
		_, _, err = f.Session(f.ctx, first.ID, at(0))
		if !errors.Is(err, cloud.ErrNotFound) {
			f.Errorf("a deleted session is %v, want %v", err, cloud.ErrNotFound)
		}
	}},
}

func session(user cloud.UserID, i int) meta.Session {
	return meta.Session{
		ID: "session-" + string(rune('a'+i)), User: user, CreatedAt: at(i), UsedAt: at(i), ExpiresAt: at(i + 24),
		Agent: "Mozilla/5.0", Address: "192.0.2.1",
	}
}
