//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"discordcloud/pkg/packet"
)

// letters is a mail server that keeps whom mail came for, and what it said.
type letters chan [2]string

type letter struct {
	box letters
	to  string
}

func (l letters) NewSession(*smtp.Conn) (smtp.Session, error) { return &letter{box: l}, nil }

func (l *letter) Mail(string, *smtp.MailOptions) error { return nil }
func (l *letter) Reset()                               {}
func (l *letter) Logout() error                        { return nil }

func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	l.to = to
	return nil
}

func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	l.box <- [2]string{l.to, string(text)}
	return err
}

// startLetters gives a mail server, and its address.
func startLetters(t *testing.T) (letters, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := make(letters, 10)
	server := smtp.NewServer(box)
	server.Domain, server.ReadTimeout, server.WriteTimeout = "localhost", 10*time.Second, 10*time.Second
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close() // it ends Serve
		<-done
	})
	return box, l.Addr().String()
}

// The command line invites people, lets them back in and tries the mail, beside a
// running server.
func TestEndToEnd_invite(t *testing.T) {
	s := startServe(t, nil)
	ada := setUp(t, s.base)
	ctx := withTimeout(t, time.Minute)
	env := maps.Clone(s.env)
	refuse := func(text string, args ...string) {
		t.Helper()
		if out, code := command(t, env, "", append([]string{"admin"}, args...)...); code != exitFailed || !strings.Contains(out, text) {
			t.Errorf("%v: exit code %d, want %d with %q in:\n%s", args, code, exitFailed, text, out)
		}
	}
	secret := regexp.MustCompile(`(?m)^(\S+)/#(\w+)=(\S+)$`)
	printed := func(base, kind string, args ...string) string {
		t.Helper()
		out, code := command(t, env, "", append([]string{"admin"}, args...)...)
		found := secret.FindStringSubmatch(out)
		if code != 0 || found == nil || found[1] != base || found[2] != kind {
			t.Fatalf("%v: exit code %d:\n%s", args, code, out)
		}
		return found[3]
	}

	// An invitation brings its bounds and groups, as often as it may.
	refuse("no group named choir", "invite", "--group=choir")
	var made struct{ Group struct{ ID int64 } }
	ada.must(ada.do(ctx, "POST", "/api/groups", map[string]any{"name": "Choir"}, &made))
	token := printed(s.base, "invite", "invite", "--name=the choir", "--uses=1", "--lasts=1h", "--bytes=5000", "--files=7", "--group=choir")
	var listed struct {
		Invitations []struct {
			Name    string
			Groups  []int64
			MostOne int64 `json:"most_uses"`
		}
	}
	ada.must(ada.do(ctx, "GET", "/api/invitations", nil, &listed))
	if l := listed.Invitations; len(l) != 1 || l[0].Name != "the choir" || l[0].MostOne != 1 || len(l[0].Groups) != 1 || l[0].Groups[0] != made.Group.ID {
		t.Errorf("listed %+v", listed)
	}
	guest := &client{t: t, base: s.base}
	accept := func(name string) error {
		var signed struct{ Token string }
		err := guest.do(ctx, "POST", "/api/invitation/accept", map[string]any{"token": token, "username": name, "password": "a good password"}, &signed)
		guest.token = signed.Token
		return err
	}
	guest.must(accept("bob"))
	var space struct {
		Quota struct {
			Most struct{ Files, Bytes int64 }
		}
	}
	guest.must(guest.do(ctx, "GET", "/api/space", nil, &space))
	if most := space.Quota.Most; most.Bytes != 5000 || most.Files != 7 {
		t.Errorf("the bounds are %+v", most)
	}
	if out, code := command(t, env, "", "admin", "users"); code != 0 || !strings.Contains(out, "bob") {
		t.Errorf("users: exit code %d:\n%s", code, out)
	}
	bob := &client{t: t, base: s.base, token: guest.token}
	if refusal, ok := errors.AsType[*httpError](accept("cid")); !ok || refusal.status != 404 {
		t.Errorf("a second account by one invitation: %v", refusal)
	}

	// A link sets a new password, once, and ends what was signed in.
	refuse("not found", "user", "reset", "nobody")
	env["PUBLIC_URL"] = "https://cloud.example"
	reset := map[string]any{"token": printed("https://cloud.example", "reset", "user", "reset", "bob"), "password": "another good password"}
	guest.token = ""
	guest.must(guest.do(ctx, "POST", "/api/reset/password", reset, nil))
	if err := bob.do(ctx, "GET", "/api/me", nil, nil); err == nil {
		t.Error("a session goes on after its password was set anew")
	}
	signIn(t, s.base, "bob", "another good password")
	guest.refused(404, "POST", "/api/reset/password", reset)

	// Mail is tried before anybody waits for it.
	refuse("SMTP_URL is not set", "mail", "--test=ann@example.org")
	box, addr := startLetters(t)
	env["SMTP_URL"], env["MAIL_FROM"] = "smtp://"+addr, "cloud@example.org"
	refuse("not an address", "mail", "--test=ann")
	if out, code := command(t, env, "", "admin", "mail", "--test=ann@example.org"); code != 0 || !strings.Contains(out, "taken a mail to ann@example.org") {
		t.Errorf("mail: exit code %d:\n%s", code, out)
	}
	if got := <-box; got[0] != "ann@example.org" || !strings.Contains(got[1], "From: <cloud@example.org>") || !strings.Contains(got[1], "discord-cloud can send mail") {
		t.Errorf("mail to %s:\n%s", got[0], got[1])
	}
	env["SMTP_URL"] = "smtp://cloud:very-secret@127.0.0.1:1"
	out, code := command(t, env, "", "admin", "mail", "--test=ann@example.org")
	if code != exitFailed || strings.Contains(out, "very-secret") {
		t.Errorf("mail to nobody who listens: exit code %d:\n%s", code, out)
	}
}

// Who reads while the file is renamed, replaced or deleted for good gets all of it
// as it was or sees that it breaks, and goes on with nothing else; nothing goes from
// Discord before the grace is over.
func TestEndToEnd_changedWhileRead(t *testing.T) {
	s := startServe(t, map[string]string{"TRASH_DAYS": "0"})
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 2*time.Minute)
	c.book(ctx, 2)
	first := content{seed: 5, size: partSize + 3<<20 + 345}
	second := content{seed: 6, size: first.size}
	if _, err := c.upload(ctx, "/", "film.bin", first, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	film, err := c.lookup(ctx, "/film.bin")
	c.must(err)
	get := func(header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/api/entries/%d/content", s.base, film.ID), nil)
		c.must(err)
		r.Header.Set("Authorization", "Bearer "+c.token)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := http.DefaultClient.Do(r)
		c.must(err)
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer
	}
	// reads begins to read, and gives what reads on.
	reads := func(want content) (tag string, ends func(what string)) {
		t.Helper()
		r := get()
		got := make([]byte, 1000)
		_, err := io.ReadFull(r.Body, got)
		c.must(err)
		return r.Header.Get("ETag"), func(what string) {
			t.Helper()
			rest, err := io.ReadAll(r.Body)
			got = append(got, rest...)
			whole, _ := io.ReadAll(want.reader())
			if len(got) > len(whole) || !bytes.Equal(got, whole[:len(got)]) {
				t.Errorf("%s: read %d bytes, and not those of the file", what, len(got))
			}
			if err == nil && len(got) != len(whole) {
				t.Errorf("%s: ended without an error after %d bytes of %d", what, len(got), len(whole))
			}
		}
	}

	tag, ends := reads(first)
	c.must(c.do(ctx, "PATCH", fmt.Sprintf("/api/entries/%d", film.ID), map[string]any{"name": "movie.bin"}, nil))
	if _, err := c.upload(ctx, "/", "movie.bin", second, packet.ConflictOverwrite); err != nil {
		t.Fatal(err)
	}
	if r := get("If-Match", tag); r.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("what is not there any more was sent with status %d", r.StatusCode)
	}
	if r := get("Range", "bytes=1000-", "If-Range", tag); r.StatusCode != http.StatusOK || r.ContentLength != second.size {
		t.Errorf("a broken download went on in another content: status %d, %d bytes", r.StatusCode, r.ContentLength)
	}
	ends("replaced")
	c.verify(ctx, "/movie.bin", second)

	stored := len(s.messages(t))
	_, ends = reads(second)
	c.must(c.do(ctx, "POST", "/api/delete", map[string]any{"ids": []int64{film.ID}}, nil))
	c.refused(404, "GET", fmt.Sprintf("/api/entries/%d/content", film.ID), nil)
	ends("deleted")

	// It is of no use to anybody, and stays for the grace: for readers, and for who
	// goes back to a copy of the database.
	c.must(c.do(ctx, "POST", "/api/admin/jobs/collector", map[string]any{"run": true}, nil))
	var storage struct {
		Garbage struct{ Bytes int64 }
		Due     struct{ Messages int64 }
		Deleted struct{ Messages int64 }
	}
	c.must(c.do(ctx, "GET", "/api/admin/storage", nil, &storage))
	if storage.Garbage.Bytes < first.size+second.size || storage.Due.Messages != 0 || storage.Deleted.Messages != 0 {
		t.Errorf("storage: %+v", storage)
	}
	if n := len(s.messages(t)); n < stored {
		t.Errorf("%d messages of %d are left", n, stored)
	}
	if out, code := command(t, s.env, "", "admin", "collect", "--dry-run"); code != 0 || !strings.Contains(out, "0 messages of 0 bytes would go") {
		t.Errorf("dry run: exit code %d:\n%s", code, out)
	}
}
