package mail_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/mail"
	"discordcloud/manager/internal/mail/mailtest"
	"discordcloud/pkg/config"
)

func open(t *testing.T, url string) *mail.Mailer {
	t.Helper()
	m, err := mail.New(mail.Options{URL: config.Secret(url), From: "Cloud <cloud@example.org>", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- m.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m
}

// until waits for a state of the mailer.
func until(t *testing.T, m *mail.Mailer, what string, ok func(mail.State) bool) mail.State {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s := m.State()
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time: %+v", what, s)
		}
	}
}

func TestMailer(t *testing.T) {
	server := mailtest.Start(t)
	m := open(t, server.URL())
	for i := range 3 {
		if err := m.Send(mail.Message{To: fmt.Sprintf("ann%d@example.org", i), Subject: "Grüße", Text: "Hällo\n\nhttps://cloud.example/#reset=abc\n"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		got := server.Next(t)
		if got.To != fmt.Sprintf("ann%d@example.org", i) || got.From != "cloud@example.org" || got.Subject != "Grüße" || got.Text != "Hällo\n\nhttps://cloud.example/#reset=abc\n" {
			t.Errorf("mail %d: %+v", i, got)
		}
		if got.Header.Get("Auto-Submitted") != "auto-generated" || got.Header.Get("Message-Id") == "" || got.Header.Get("Date") == "" {
			t.Errorf("mail %d: header %v", i, got.Header)
		}
	}
	if s := until(t, m, "sent", func(s mail.State) bool { return s.Sent == 3 }); s.Failed != 0 || s.Queued != 0 || strings.Contains(s.Server, "word") {
		t.Errorf("state %+v", s)
	}
}

// What a server refuses for good is given up, what it may yet take waits, and
// what comes behind is not held up.
func TestMailer_refused(t *testing.T) {
	server := mailtest.Start(t)
	m := open(t, server.URL())
	for _, to := range []string{"nobody-550@example.org", "later-451@example.org", "ann@example.org"} {
		if err := m.Send(mail.Message{To: to, Subject: "x", Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.Next(t); got.To != "ann@example.org" {
		t.Errorf("delivered to %s", got.To)
	}
	s := until(t, m, "sent", func(s mail.State) bool { return s.Sent == 1 })
	if s.Failed != 1 || s.Queued != 1 || s.LastError == "" || s.LastAt.IsZero() {
		t.Errorf("state %+v, want one given up and one waiting", s)
	}
}

func TestMailer_full(t *testing.T) {
	m, err := mail.New(mail.Options{URL: "smtp://127.0.0.1:1", From: "cloud@example.org", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; n < 10_000 && m.Send(mail.Message{To: "ann@example.org"}) == nil; n++ {
	}
	if n < 10 || n == 10_000 || m.State().Queued != n {
		t.Errorf("%d mails were taken, %d are queued", n, m.State().Queued)
	}
}

func TestMailer_password(t *testing.T) {
	server := mailtest.Start(t)
	wrong := strings.Replace(server.URL(), mailtest.Password, "wrong-secret", 1)
	m := open(t, wrong)
	if err := m.Send(mail.Message{To: "ann@example.org", Subject: "x", Text: "x"}); err != nil {
		t.Fatal(err)
	}
	s := until(t, m, "error", func(s mail.State) bool { return s.LastError != "" })
	if s.Queued != 1 || strings.Contains(fmt.Sprintf("%+v", s), "wrong-secret") {
		t.Errorf("state %+v", s)
	}
}

func TestNew(t *testing.T) {
	for _, bad := range []struct{ url, from string }{
		{"", "a@example.org"}, {"http://host", "a@example.org"}, {"smtp://", "a@example.org"}, {"smtp://host:x", "a@example.org"},
		{"smtp://host:0", "a@example.org"}, {"smtp://host/path", "a@example.org"}, {"smtp://host", ""}, {"smtp://host", "nobody"},
	} {
		_, err := mail.New(mail.Options{URL: config.Secret(bad.url), From: bad.from})
		if err == nil {
			t.Errorf("New(%q, %q) takes it", bad.url, bad.from)
		}
	}
	for _, bad := range []string{"", "ann", "ann@", "@b", "Ann <ann@example.org>", "a@b, c@d", "a@b\r\nBcc: c@d", strings.Repeat("a", 250) + "@example.org"} {
		if mail.CheckAddress(bad) == nil {
			t.Errorf("CheckAddress(%q) takes it", bad)
		}
	}
	if err := mail.CheckAddress("ann+cloud@mail.example.org"); err != nil {
		t.Error(err)
	}
}
