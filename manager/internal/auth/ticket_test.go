package auth_test

import (
	"testing"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

func TestTicket_Download(t *testing.T) {
	w := open(t)
	u := w.first(t)
	_, ada := w.signIn(t, "ada")
	ticket, err := w.IssueTicket(t.Context(), ada, auth.Download, 7)
	if err != nil || len(ticket.Text) < 32 || ticket.ExpiresAt.Sub(w.clock()) != time.Minute {
		t.Fatalf("IssueTicket = %+v, %v", ticket, err)
	}
	redeem := func() error {
		who, err := w.RedeemTicket(t.Context(), ticket.Text, auth.Download)
		want := policy.Principal{Role: policy.TicketHolder, User: u.ID, Name: "ada", Session: ada.Session, Entry: 7}
		if err == nil && who != want {
			t.Errorf("RedeemTicket = %+v, want %+v", who, want)
		}
		return err
	}
	_, err = w.RedeemTicket(t.Context(), ticket.Text, auth.Socket)
	mustBe(t, err, cloud.ErrUnauthenticated)
	_, err = w.RedeemTicket(t.Context(), ticket.Text+"a", auth.Download)
	mustBe(t, err, cloud.ErrUnauthenticated)
	w.pass(59 * time.Second)
	for range 3 {
		if err := redeem(); err != nil {
			t.Fatal(err)
		}
		w.Service = w.service(auth.Options{Hash: cheap, Ring: crypt.Ring{{1}}}) // a restart
		w.pass(3 * time.Hour)
	}
	w.pass(3 * time.Hour)
	mustBe(t, redeem(), cloud.ErrUnauthenticated)

	late, err := w.IssueTicket(t.Context(), ada, auth.Download, 7)
	if err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	_, err = w.RedeemTicket(t.Context(), late.Text, auth.Download)
	mustBe(t, err, cloud.ErrUnauthenticated)

	ticket, err = w.IssueTicket(t.Context(), ada, auth.Download, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := redeem(); err != nil {
		t.Fatal(err)
	}
	if err := w.Logout(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	mustBe(t, redeem(), cloud.ErrUnauthenticated)
}

func TestTicket_Socket(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	ticket, err := w.IssueTicket(t.Context(), ada, auth.Socket, 0)
	if err != nil {
		t.Fatal(err)
	}
	who, err := w.RedeemTicket(t.Context(), ticket.Text, auth.Socket)
	if err != nil || who != ada {
		t.Errorf("RedeemTicket = %+v, %v, want %+v", who, err, ada)
	}
	_, err = w.RedeemTicket(t.Context(), ticket.Text, auth.Socket)
	mustBe(t, err, cloud.ErrUnauthenticated)
}

func TestTicket_Refused(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	for _, who := range []policy.Principal{{}, {Role: policy.TicketHolder, User: ada.User, Session: ada.Session}, {Role: policy.UploadService}, {Role: policy.User, User: ada.User}} {
		_, err := w.IssueTicket(t.Context(), who, auth.Download, 1)
		mustBe(t, err, cloud.ErrDenied)
	}
	_, err := w.IssueTicket(t.Context(), ada, "other", 1)
	mustBe(t, err, cloud.ErrInvalid)
	for range 256 {
		if _, err := w.IssueTicket(t.Context(), ada, auth.Download, 1); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.IssueTicket(t.Context(), ada, auth.Download, 1)
	mustBe(t, err, cloud.ErrLimited)
	w.pass(2 * time.Minute)
	if _, err := w.IssueTicket(t.Context(), ada, auth.Download, 1); err != nil {
		t.Errorf("after the others expired: %v", err)
	}
}
