package auth_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/mail"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/openid"
	"discordcloud/manager/internal/openid/openidtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
)

// letterbox keeps what is sent.
type letterbox chan mail.Message

func (l letterbox) Send(m mail.Message) error { l <- m; return nil }

var secretIn = regexp.MustCompile(`https://cloud\.example/#(\w+)=([a-z2-7]{32})\n`)

// take gives the next mail and the secret in it.
func (l letterbox) take(t *testing.T, to, kind string) string {
	t.Helper()
	select {
	case m := <-l:
		found := secretIn.FindStringSubmatch(m.Text)
		if m.To != to || found == nil || found[1] != kind {
			t.Fatalf("mail to %s: %s", m.To, m.Text)
		}
		return found[2]
	case <-time.After(10 * time.Second):
		t.Fatal("no mail")
	}
	return ""
}

// withMail is a Service that sends mail, with its Run.
func (w *world) withMail(t *testing.T, o auth.Options) letterbox {
	t.Helper()
	box := make(letterbox, 100)
	o.Hash, o.Mail, o.PublicURL, o.Audit = cheap, box, "https://cloud.example/", &audit.Log{Store: w.store}
	w.Service = w.service(o)
	done := make(chan error)
	go func() { done <- w.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
	return box
}

func TestInvitation(t *testing.T) {
	w := open(t)
	box := w.withMail(t, auth.Options{})
	w.first(t)
	_, ada := w.signIn(t, "ada")
	club, err := w.CreateGroup(t.Context(), ada, "club")
	mustBe(t, err, nil)
	i, text, sent, err := w.Invite(t.Context(), ada, auth.InvitationWish{
		Name: "the club", Address: "bob@example.org", MostBytes: 5000, Groups: []cloud.GroupID{club.ID}, MostUses: 2, Language: "de-AT",
	})
	if err != nil || !sent || i.ExpiresAt != w.clock().Add(7*24*time.Hour) {
		t.Fatalf("Invite = %+v, %t, %v", i, sent, err)
	}
	if got := box.take(t, "bob@example.org", "invite"); got != text {
		t.Errorf("the mail has %s, want %s", got, text)
	}
	_, bad := w.Invitation(t.Context(), text+"x", home)
	mustBe(t, bad, cloud.ErrNotFound)
	for _, c := range []struct {
		name, password string
		want           error
	}{{"ada", password, cloud.ErrExists}, {"ADA", password, cloud.ErrExists}, {"a/da", password, cloud.ErrInvalid}, {"b b", password, cloud.ErrInvalid}, {"bob", "short", cloud.ErrInvalid}, {"bob", "password", cloud.ErrInvalid}} {
		_, err := w.AcceptInvitation(t.Context(), text, c.name, c.password, home)
		mustBe(t, err, c.want)
	}
	token, err := w.AcceptInvitation(t.Context(), text, "bob", password, home)
	mustBe(t, err, nil)
	bob, err := w.Verify(t.Context(), token.Text)
	if err != nil || bob.Name != "bob" || bob.Administrator {
		t.Errorf("signed in as %+v, %v", bob, err)
	}
	if members, err := w.Members(t.Context(), ada, club.ID); err != nil || len(members) != 1 || members[0].Name != "bob" {
		t.Errorf("members %v, %v", members, err)
	}
	if address, err := w.Address(t.Context(), bob); err != nil || address != "bob@example.org" {
		t.Errorf("address %q, %v", address, err)
	}
	_, _, _, err = w.Invite(t.Context(), bob, auth.InvitationWish{})
	mustBe(t, err, cloud.ErrDenied)
	_, err = w.Invitations(t.Context(), bob)
	mustBe(t, err, cloud.ErrDenied)
	mustBe(t, w.RevokeInvitation(t.Context(), bob, i.ID), cloud.ErrDenied)
	mustBe(t, w.RevokeInvitation(t.Context(), ada, i.ID), nil)
	_, err = w.AcceptInvitation(t.Context(), text, "cid", password, home)
	mustBe(t, err, cloud.ErrNotFound)

	for _, wish := range []auth.InvitationWish{
		{Name: strings.Repeat("x", 200)}, {MostUses: -1}, {MostBytes: -1}, {ExpiresAt: w.clock()}, {ExpiresAt: w.clock().AddDate(2, 0, 0)}, {Address: "nobody"},
	} {
		_, _, _, err := w.Invite(t.Context(), ada, wish)
		mustBe(t, err, cloud.ErrInvalid)
	}
}

// Of many with the last use, one gets an account.
func TestInvitation_lastUse(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	_, text, _, err := w.Invite(t.Context(), ada, auth.InvitationWish{MostUses: 1})
	mustBe(t, err, nil)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() {
			_, errs[n] = w.AcceptInvitation(t.Context(), text, fmt.Sprint("user", n), password, peer(fmt.Sprint("192.0.2.", n+1)))
		})
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		mustBe(t, err, cloud.ErrNotFound)
	}
	if n, err := w.store.CountUsers(t.Context()); won != 1 || n != 2 || err != nil {
		t.Errorf("%d were told that they have an account, there are %d users, %v", won, n, err)
	}
	_, text, _, err = w.Invite(t.Context(), ada, auth.InvitationWish{})
	mustBe(t, err, nil)
	w.pass(8 * 24 * time.Hour)
	_, err = w.AcceptInvitation(t.Context(), text, "late", password, home)
	mustBe(t, err, cloud.ErrNotFound)
}

// Guessing texts, and names by an invitation, is held up.
func TestInvitation_limits(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	_, text, _, err := w.Invite(t.Context(), ada, auth.InvitationWish{})
	mustBe(t, err, nil)
	eve := peer("198.51.100.7")
	limited := func(what string, try func() error) {
		t.Helper()
		for n := range 30 {
			if cloud.CodeOf(try()) == "limited" {
				if n < 5 {
					t.Errorf("%s: limited after %d", what, n)
				}
				return
			}
		}
		t.Errorf("%s: never limited", what)
	}
	limited("texts", func() error { _, err := w.Invitation(t.Context(), "x", eve); return err })
	w.pass(time.Hour)
	limited("names", func() error { _, err := w.AcceptInvitation(t.Context(), text, "ada", password, eve); return err })
	w.pass(time.Hour)
	limited("links", func() error { _, err := w.Reset(t.Context(), "x", password, eve); return err })
	_, err = w.AcceptInvitation(t.Context(), text, "bob", password, home)
	mustBe(t, err, nil) // from elsewhere it goes on
}

func TestReset(t *testing.T) {
	w := open(t)
	ada := w.first(t)
	token, who := w.signIn(t, "ada")
	first, _, err := w.MakeResetLink(t.Context(), who, ada.ID)
	mustBe(t, err, nil)
	text, expires, err := w.MakeResetLink(t.Context(), who, ada.ID)
	if err != nil || expires != w.clock().Add(24*time.Hour) {
		t.Fatalf("MakeResetLink = %v, %v", expires, err)
	}
	_, err = w.Reset(t.Context(), first, "another horse", home)
	mustBe(t, err, cloud.ErrNotFound)
	if u, err := w.ResetOf(t.Context(), text, home); err != nil || u.Name != "ada" {
		t.Errorf("ResetOf = %v, %v", u, err)
	}
	for _, bad := range []string{"short", "ada", "password"} {
		_, err = w.Reset(t.Context(), text, bad, home)
		mustBe(t, err, cloud.ErrInvalid)
	}
	_, err = w.Reset(t.Context(), text, "another horse", home)
	mustBe(t, err, nil)
	_, err = w.Verify(t.Context(), token.Text)
	mustBe(t, err, cloud.ErrUnauthenticated)
	if len(w.ended) != 1 || w.ended[0].User != ada.ID {
		t.Errorf("sessions that were told to have ended: %+v", w.ended)
	}
	_, err = w.Reset(t.Context(), text, "third horse", home)
	mustBe(t, err, cloud.ErrNotFound)
	_, err = w.Login(t.Context(), "ada", "another horse", home)
	mustBe(t, err, nil)

	late, _, err := w.MakeResetLink(t.Context(), who, ada.ID)
	mustBe(t, err, nil)
	w.pass(25 * time.Hour)
	_, err = w.Reset(t.Context(), late, "third horse", home)
	mustBe(t, err, cloud.ErrNotFound)
	who.Administrator = false
	_, _, err = w.MakeResetLink(t.Context(), who, ada.ID)
	mustBe(t, err, cloud.ErrDenied)
	mustBe(t, w.RequestReset("ada", "", home), cloud.ErrNotFound) // there is no mail
}

func TestReset_byMail(t *testing.T) {
	w := open(t)
	box := w.withMail(t, auth.Options{})
	w.first(t)
	_, who := w.signIn(t, "ada")
	mustBe(t, w.ChangeAddress(t.Context(), who, "ada@example.org", "wrong password", "", home), cloud.ErrUnauthenticated)
	mustBe(t, w.ChangeAddress(t.Context(), who, "no address", password, "", home), cloud.ErrInvalid)
	mustBe(t, w.ChangeAddress(t.Context(), who, "ada@example.org", password, "", home), nil)
	confirm := box.take(t, "ada@example.org", "address")
	if address, _ := w.Address(t.Context(), who); address != "" {
		t.Errorf("the address is %s before it is confirmed", address)
	}
	_, err := w.Reset(t.Context(), confirm, "another horse", home)
	mustBe(t, err, cloud.ErrNotFound) // it is for something else
	mustBe(t, w.ConfirmAddress(t.Context(), confirm, home), nil)
	mustBe(t, w.ConfirmAddress(t.Context(), confirm, home), cloud.ErrNotFound)

	// The answer is the same whoever is asked for; mail goes to those who have an address.
	for n, of := range []string{"nobody", "nobody@example.org", strings.Repeat("x", 5000), "ADA@example.org"} {
		mustBe(t, w.RequestReset(of, "de", peer(fmt.Sprint("192.0.2.", 10+n))), nil)
	}
	text := box.take(t, "ada@example.org", "reset")
	mustBe(t, w.RequestReset("ada", "", peer("192.0.2.20")), nil) // too soon for another mail
	mustBe(t, w.ChangeAddress(t.Context(), who, "second@example.org", password, "", home), nil)
	second := box.take(t, "second@example.org", "address")
	_, err = w.Reset(t.Context(), text, "another horse", home)
	mustBe(t, err, nil)
	mustBe(t, w.ConfirmAddress(t.Context(), second, home), cloud.ErrNotFound) // it was asked for under the password before
	if len(box) != 0 {
		t.Errorf("%d more mails", len(box))
	}

	limited := false
	for range 10 {
		limited = limited || cloud.CodeOf(w.RequestReset("nobody", "", home)) == "limited"
	}
	if !limited {
		t.Error("mail may be asked for without end")
	}
	records, err := w.store.AuditRecords(t.Context(), meta.AuditQuery{Limit: 100})
	mustBe(t, err, nil)
	told := map[string]int{}
	for _, r := range records {
		told[r.Action]++
	}
	for action, n := range map[string]int{audit.ResetLinkMade: 1, audit.AddressChanged: 1, audit.PasswordChanged: 1} {
		if told[action] != n {
			t.Errorf("%s: written down %d times, want %d", action, told[action], n)
		}
	}
}

const back = "https://cloud.example/api/openid/return"

// come is a sign-in at the provider, up to the return.
func come(t *testing.T, p *openidtest.Provider, d auth.Departure) auth.Return {
	t.Helper()
	q := p.SignIn(t.Context(), t, d.URL, openidtest.Ann)
	return auth.Return{State: q.Get("state"), Code: q.Get("code"), Key: d.Key}
}

func (w *world) withProvider(t *testing.T, signUp bool) *openidtest.Provider {
	t.Helper()
	p := openidtest.Start(t, back)
	w.Service = w.service(auth.Options{Hash: cheap, SignUp: signUp, OpenID: openid.New(openid.Options{
		Issuer: p.Issuer, ClientID: openidtest.ClientID, ClientSecret: config.Secret(openidtest.Secret), Name: "Club", Now: time.Now,
	})})
	return p
}

func TestOpenID_link(t *testing.T) {
	w := open(t)
	p := w.withProvider(t, false)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	depart := func() auth.Departure {
		t.Helper()
		d, err := w.Depart(t.Context(), back, home)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	_, err := w.Arrive(t.Context(), come(t, p, depart()), home)
	mustBe(t, err, cloud.ErrDenied) // nobody is linked

	_, err = w.DepartToLink(t.Context(), ada, "wrong password", back, home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	toLink := func() auth.Departure {
		t.Helper()
		d, err := w.DepartToLink(t.Context(), ada, password, back, home)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	r := come(t, p, toLink())
	_, other := w.signIn(t, "ada")
	mustBe(t, w.LinkIdentity(t.Context(), other, r), cloud.ErrDenied) // who is another session
	mustBe(t, w.LinkIdentity(t.Context(), ada, r), cloud.ErrDenied)   // and that was the only try
	_, err = w.Arrive(t.Context(), come(t, p, toLink()), home)
	mustBe(t, err, cloud.ErrDenied) // it is no sign-in
	mustBe(t, w.LinkIdentity(t.Context(), ada, come(t, p, depart())), cloud.ErrDenied)
	mustBe(t, w.LinkIdentity(t.Context(), ada, come(t, p, toLink())), nil)
	mustBe(t, w.LinkIdentity(t.Context(), ada, come(t, p, toLink())), cloud.ErrExists)

	d := depart()
	r = come(t, p, d)
	token, err := w.Arrive(t.Context(), r, home)
	if err != nil || token.User.Name != "ada" {
		t.Fatalf("Arrive = %v, %v", token.User, err)
	}
	_, err = w.Arrive(t.Context(), r, home)
	mustBe(t, err, cloud.ErrDenied) // once
	for what, spoil := range map[string]func(r *auth.Return){
		"state":         func(r *auth.Return) { r.State += "x" },
		"code":          func(r *auth.Return) { r.Code = "made up" },
		"key":           func(r *auth.Return) { r.Key = "of another browser" },
		"code of yore":  func(now *auth.Return) { now.Code = r.Code },
		"state of yore": func(now *auth.Return) { now.State = r.State },
	} {
		bad := come(t, p, depart())
		spoil(&bad)
		if _, err := w.Arrive(t.Context(), bad, home); cloud.CodeOf(err) != "denied" {
			t.Errorf("another %s: %v", what, err)
		}
	}
	r = come(t, p, depart())
	w.pass(11 * time.Minute)
	_, err = w.Arrive(t.Context(), r, home)
	mustBe(t, err, cloud.ErrDenied)

	all, err := w.Identities(t.Context(), ada)
	if err != nil || len(all) != 1 || all[0].Name != "test-user2@zitadel.ch" {
		t.Fatalf("Identities = %+v, %v", all, err)
	}
	mustBe(t, w.UnlinkIdentity(t.Context(), ada, "none"), cloud.ErrNotFound)
	mustBe(t, w.UnlinkIdentity(t.Context(), ada, auth.IdentityID(all[0])), nil)
	_, err = w.Arrive(t.Context(), come(t, p, depart()), home)
	mustBe(t, err, cloud.ErrDenied)
}

func TestOpenID_signUp(t *testing.T) {
	w := open(t)
	p := w.withProvider(t, true)
	arrive := func() (auth.Token, error) {
		t.Helper()
		d, err := w.Depart(t.Context(), back, home)
		if err != nil {
			t.Fatal(err)
		}
		return w.Arrive(t.Context(), come(t, p, d), home)
	}
	_, err := arrive()
	mustBe(t, err, cloud.ErrDenied) // the first user is made otherwise
	w.first(t)
	_, ada := w.signIn(t, "ada")
	_, err = w.CreateUser(t.Context(), ada, openidtest.Ann, password, false)
	mustBe(t, err, nil) // the name is another's already: he is not him
	token, err := arrive()
	if err != nil || token.User.Name != openidtest.Ann+"2" || token.User.Administrator {
		t.Fatalf("Arrive = %+v, %v", token.User, err)
	}
	who, err := w.Verify(t.Context(), token.Text)
	mustBe(t, err, nil)
	if address, err := w.Address(t.Context(), who); err != nil || address != "test-user2@zitadel.ch" {
		t.Errorf("address %q, %v", address, err)
	}
	again, err := arrive()
	if err != nil || again.User.ID != token.User.ID {
		t.Errorf("second sign-in: %+v, %v", again.User, err)
	}
	_, err = w.SetDisabled(t.Context(), ada, token.User.ID, true)
	mustBe(t, err, nil)
	_, err = arrive()
	mustBe(t, err, cloud.ErrDenied)
}
