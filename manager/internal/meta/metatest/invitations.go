package metatest

import (
	"fmt"
	"sync"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var invitations = []testcase{
	{"create, find, list, accept and delete", func(f *fixture) {
		group := must(f.CreateGroup(f.ctx, "club"))(f)
		i := meta.Invitation{Name: "for the club", Address: "Ann@Example.org", MadeBy: "root", MostBytes: 1000, MostFiles: 5,
			Groups: []cloud.GroupID{group.ID}, MostUses: 2, CreatedAt: at(0), ExpiresAt: at(9)}
		one := must(f.CreateInvitation(f.ctx, i, cloud.Sum{1}))(f)
		i.ID = one.ID
		f.same("made", one, i)
		two := must(f.CreateInvitation(f.ctx, meta.Invitation{MadeBy: "root", CreatedAt: at(1), ExpiresAt: at(5)}, cloud.Sum{2}))(f)
		_, err := f.CreateInvitation(f.ctx, meta.Invitation{Groups: []cloud.GroupID{999}, ExpiresAt: at(5)}, cloud.Sum{3})
		f.is(err, cloud.ErrNotFound)
		f.same("found", must(f.InvitationOf(f.ctx, cloud.Sum{1}))(f), i)
		_, err = f.InvitationOf(f.ctx, cloud.Sum{3})
		f.is(err, cloud.ErrNotFound)
		f.same("listed", must(f.Invitations(f.ctx))(f), []meta.Invitation{two, i})

		ann, got, err := f.AcceptInvitation(f.ctx, cloud.Sum{1}, at(1), "ann", "$hash")
		f.ok(err)
		i.Uses = 1
		f.same("accepted", got, i)
		f.same("no administrator", ann.Administrator, false)
		f.same("password", must(f.Credentials(f.ctx, "ann"))(f), meta.Credentials{User: ann, Password: "$hash"})
		f.same("members", must(f.Members(f.ctx, group.ID))(f), []cloud.User{ann})
		f.same("address", must(f.Address(f.ctx, ann.ID))(f), "Ann@Example.org")
		quotas := must(f.Quotas(f.ctx, "", "", 10))(f)
		f.same("quota", [2]int64{quotas[0].MostBytes, quotas[0].MostFiles}, [2]int64{1000, 5})

		_, _, err = f.AcceptInvitation(f.ctx, cloud.Sum{1}, at(1), "ANN", "$hash")
		f.is(err, cloud.ErrExists)
		f.same("uses after a taken name", must(f.InvitationOf(f.ctx, cloud.Sum{1}))(f).Uses, int64(1))
		bob, _, err := f.AcceptInvitation(f.ctx, cloud.Sum{1}, at(1), "bob", "$hash")
		f.ok(err)
		f.same("the address is ann's", must(f.Address(f.ctx, bob.ID))(f), "")
		_, _, err = f.AcceptInvitation(f.ctx, cloud.Sum{1}, at(1), "cid", "$hash")
		f.is(err, cloud.ErrNotFound) // used up
		_, _, err = f.AcceptInvitation(f.ctx, cloud.Sum{2}, at(5), "cid", "$hash")
		f.is(err, cloud.ErrNotFound) // expired
		_, _, err = f.AcceptInvitation(f.ctx, cloud.Sum{3}, at(1), "cid", "$hash")
		f.is(err, cloud.ErrNotFound)

		f.ok(f.DeleteInvitation(f.ctx, one.ID))
		f.is(f.DeleteInvitation(f.ctx, one.ID), cloud.ErrNotFound)
		f.ok(f.ExpireReach(f.ctx, at(6)))
		f.same("left", must(f.Invitations(f.ctx))(f), []meta.Invitation(nil))
		f.ok(f.DeleteGroup(f.ctx, group.ID))
	}},
	{"a group that goes leaves invitations", func(f *fixture) {
		group := must(f.CreateGroup(f.ctx, "club"))(f)
		must(f.CreateInvitation(f.ctx, meta.Invitation{Groups: []cloud.GroupID{group.ID}, ExpiresAt: at(5)}, cloud.Sum{1}))(f)
		f.ok(f.DeleteGroup(f.ctx, group.ID))
		ann, i, err := f.AcceptInvitation(f.ctx, cloud.Sum{1}, at(1), "ann", "$hash")
		f.ok(err)
		f.same("groups", i.Groups, []cloud.GroupID(nil))
		f.same("name", ann.Name, "ann")
	}},
	{"the last use is taken once", func(f *fixture) {
		must(f.CreateInvitation(f.ctx, meta.Invitation{MostUses: 1, ExpiresAt: at(5)}, cloud.Sum{1}))(f)
		f.same("accounts made", f.together(func(n int) error {
			_, _, err := f.AcceptInvitation(f.ctx, cloud.Sum{1}, at(1), fmt.Sprint("user", n), "$hash")
			return err
		}, cloud.ErrNotFound), 1)
		f.same("users", must(f.CountUsers(f.ctx))(f), 1)
	}},
}

// together calls do eight times at once and tells how often it gave nil; else its
// error must be of the kind.
func (f *fixture) together(do func(n int) error, kind error) (done int) {
	f.Helper()
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	for _, err := range errs {
		if err == nil {
			done++
		} else {
			f.is(err, kind)
		}
	}
	return done
}

var reaches = []testcase{
	{"a link sets one password", func(f *fixture) {
		ann := f.user("ann")
		f.ok(f.CreateSession(f.ctx, meta.Session{ID: "s", User: ann, CreatedAt: at(0), UsedAt: at(0), ExpiresAt: at(9)}))
		f.ok(f.CreateSingleLink(f.ctx, meta.SingleLink{User: ann, Purpose: meta.ForPassword, ExpiresAt: at(4)}, cloud.Sum{1}))
		f.ok(f.CreateSingleLink(f.ctx, meta.SingleLink{User: ann, Purpose: meta.ForPassword, ExpiresAt: at(5)}, cloud.Sum{2}))
		_, _, err := f.SingleLinkOf(f.ctx, cloud.Sum{1}, meta.ForPassword, at(1))
		f.is(err, cloud.ErrNotFound) // the second took its place
		l, u, err := f.SingleLinkOf(f.ctx, cloud.Sum{2}, meta.ForPassword, at(1))
		f.ok(err)
		f.same("found", l, meta.SingleLink{User: ann, Purpose: meta.ForPassword, ExpiresAt: at(5)})
		f.same("user", u.Name, "ann")
		_, _, err = f.SingleLinkOf(f.ctx, cloud.Sum{2}, meta.ForAddress, at(1))
		f.is(err, cloud.ErrNotFound)
		_, err = f.UsePasswordLink(f.ctx, cloud.Sum{2}, at(5), "late")
		f.is(err, cloud.ErrNotFound)
		f.same("passwords set", f.together(func(n int) error {
			_, err := f.UsePasswordLink(f.ctx, cloud.Sum{2}, at(1), fmt.Sprint("new", n))
			return err
		}, cloud.ErrNotFound), 1)
		f.same("sessions", must(f.Sessions(f.ctx, ann))(f), []meta.Session(nil))
	}},
	{"a new password, a closed account and time end links", func(f *fixture) {
		ann := f.user("ann")
		for n, end := range []func(){
			func() { must(f.SetPassword(f.ctx, ann, "$other"))(f) },
			func() { must(f.SetDisabled(f.ctx, ann, true))(f); must(f.SetDisabled(f.ctx, ann, false))(f) },
			func() { f.ok(f.ExpireReach(f.ctx, at(6))) },
		} {
			sum := cloud.Sum{byte(n + 1)}
			f.ok(f.CreateSingleLink(f.ctx, meta.SingleLink{User: ann, Purpose: meta.ForPassword, ExpiresAt: at(5)}, sum))
			if n == 1 {
				// An account that nobody else administers cannot be closed.
				must(f.CreateUser(f.ctx, "root", "$", true, false))(f)
			}
			end()
			_, err := f.UsePasswordLink(f.ctx, sum, at(1), "new")
			f.is(err, cloud.ErrNotFound)
		}
	}},
	{"addresses are confirmed, and one user's", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		for n, user := range []cloud.UserID{ann, bob} {
			f.ok(f.CreateSingleLink(f.ctx, meta.SingleLink{User: user, Purpose: meta.ForAddress, Address: "A@example.org", ExpiresAt: at(5)}, cloud.Sum{byte(n + 1)}))
		}
		f.same("before", must(f.Address(f.ctx, ann))(f), "")
		f.ok(f.CreateSingleLink(f.ctx, meta.SingleLink{User: ann, Purpose: meta.ForPassword, ExpiresAt: at(5)}, cloud.Sum{3}))
		u, err := f.UseAddressLink(f.ctx, cloud.Sum{1}, at(1))
		f.ok(err)
		f.same("user", u.ID, ann)
		_, err = f.UsePasswordLink(f.ctx, cloud.Sum{3}, at(1), "new")
		f.is(err, cloud.ErrNotFound) // it may have gone to the address before
		_, err = f.UseAddressLink(f.ctx, cloud.Sum{1}, at(1))
		f.is(err, cloud.ErrNotFound)
		_, err = f.UseAddressLink(f.ctx, cloud.Sum{2}, at(1))
		f.is(err, cloud.ErrExists)
		for text, want := range map[string]string{"ann": "A@example.org", "ANN": "A@example.org", "a@EXAMPLE.org": "A@example.org", "bob": ""} {
			_, address, err := f.UserOf(f.ctx, text)
			f.ok(err)
			f.same("address of "+text, address, want)
		}
		for _, text := range []string{"", "b@example.org", "cid"} {
			_, _, err := f.UserOf(f.ctx, text)
			f.is(err, cloud.ErrNotFound)
		}
		f.ok(f.RemoveAddress(f.ctx, ann))
		f.same("removed", must(f.Address(f.ctx, ann))(f), "")
		must(f.UseAddressLink(f.ctx, cloud.Sum{2}, at(1)))(f)
		f.same("bob's now", must(f.Address(f.ctx, bob))(f), "A@example.org")
	}},
	{"identities belong to one user", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		i := meta.Identity{Issuer: "https://id.example", Subject: "1", User: ann, Name: "ann@example.org", CreatedAt: at(0)}
		f.ok(f.AddIdentity(f.ctx, i))
		again := i
		again.User = bob
		f.is(f.AddIdentity(f.ctx, again), cloud.ErrExists)
		f.same("listed", must(f.Identities(f.ctx, ann))(f), []meta.Identity{i})
		f.same("user", must(f.UserOfIdentity(f.ctx, i.Issuer, i.Subject))(f).ID, ann)
		_, err := f.UserOfIdentity(f.ctx, "https://other.example", i.Subject)
		f.is(err, cloud.ErrNotFound)

		other := meta.Identity{Issuer: i.Issuer, Subject: "2", Name: "cid"}
		cid := must(f.CreateUserOf(f.ctx, "cid", "$", "cid@example.org", other))(f)
		f.same("user of the new account", must(f.UserOfIdentity(f.ctx, i.Issuer, "2"))(f), cid)
		f.same("address", must(f.Address(f.ctx, cid.ID))(f), "cid@example.org")
		_, err = f.CreateUserOf(f.ctx, "CID", "$", "", meta.Identity{Issuer: i.Issuer, Subject: "3"})
		f.is(err, cloud.ErrExists)
		_, err = f.CreateUserOf(f.ctx, "dan", "$", "", meta.Identity{Issuer: i.Issuer, Subject: "2"})
		f.is(err, cloud.ErrExists)
		f.same("users", must(f.CountUsers(f.ctx))(f), 3)

		f.is(f.RemoveIdentity(f.ctx, bob, i.Issuer, i.Subject), cloud.ErrNotFound)
		f.ok(f.RemoveIdentity(f.ctx, ann, i.Issuer, i.Subject))
		_, err = f.UserOfIdentity(f.ctx, i.Issuer, i.Subject)
		f.is(err, cloud.ErrNotFound)
		must(f.CreateUser(f.ctx, "root", "$", true, false))(f)
		must(f.DeleteUser(f.ctx, cid.ID, ann, false))(f)
		_, err = f.UserOfIdentity(f.ctx, i.Issuer, "2")
		f.is(err, cloud.ErrNotFound)
	}},
}
