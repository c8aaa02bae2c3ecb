package auth_test

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

func (w *world) appPassword(t *testing.T, who policy.Principal, p auth.AppPassword) (meta.AppPassword, string) {
	t.Helper()
	row, text, err := w.MakeAppPassword(t.Context(), who, p)
	if err != nil {
		t.Fatal(err)
	}
	return row, text
}

func TestAppPassword(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	folder, _, err := w.store.MakeFolders(t.Context(), cloud.Root, []string{"a"}, ada.User)
	if err != nil {
		t.Fatal(err)
	}
	row, text := w.appPassword(t, ada, auth.AppPassword{Name: " phone ", ReadOnly: true, Entry: folder.ID})
	if len(text) != 24 || row.Name != "phone" {
		t.Errorf("%q, %+v", text, row)
	}
	w.pass(time.Hour)
	who, err := w.VerifyAppPassword(t.Context(), "Ada", text)
	if err != nil || who.Role != policy.AppPassword || who.User != ada.User || !who.ReadOnly || who.Top() != folder.ID || who.Administrator {
		t.Fatalf("%+v, %v", who, err)
	}
	used := w.clock()
	w.pass(30 * time.Second) // too soon to note it again
	if _, err := w.VerifyAppPassword(t.Context(), "ada", text); err != nil {
		t.Error(err)
	}
	if all, err := w.AppPasswords(t.Context(), ada); err != nil || len(all) != 1 || !all[0].UsedAt.Equal(used) {
		t.Errorf("%+v, %v", all, err)
	}
	if err := w.Alive(t.Context(), who); err != nil {
		t.Error(err)
	}

	// It opens nothing of the account, and cannot breed.
	if _, err := w.Verify(t.Context(), text); !errors.Is(err, cloud.ErrUnauthenticated) {
		t.Errorf("as a token: %v", err)
	}
	if _, err := w.Login(t.Context(), "ada", text, home); !errors.Is(err, cloud.ErrUnauthenticated) {
		t.Errorf("as the account's password: %v", err)
	}
	if _, _, err := w.MakeAppPassword(t.Context(), who, auth.AppPassword{}); !errors.Is(err, cloud.ErrDenied) {
		t.Errorf("one by another: %v", err)
	}

	if err := w.RevokeAppPassword(t.Context(), ada, row.ID); err != nil {
		t.Fatal(err)
	}
	if last := w.ended[len(w.ended)-1]; len(last.IDs) != 1 || last.IDs[0] != who.Session {
		t.Errorf("ended %+v, want %q", last, who.Session)
	}
	if _, err := w.VerifyAppPassword(t.Context(), "ada", text); !errors.Is(err, cloud.ErrUnauthenticated) {
		t.Errorf("revoked: %v", err)
	}
	if err := w.Alive(t.Context(), who); !errors.Is(err, cloud.ErrUnauthenticated) {
		t.Errorf("alive after it was revoked: %v", err)
	}
	if err := w.RevokeAppPassword(t.Context(), ada, row.ID); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestAppPassword_wrong(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	if _, err := w.CreateUser(t.Context(), ada, "bob", password, false); err != nil {
		t.Fatal(err)
	}
	_, text := w.appPassword(t, ada, auth.AppPassword{})
	wrong := func(ctx context.Context, name, text string, from auth.Peer) (policy.Principal, error) {
		who, err := w.VerifyAppPassword(ctx, name, text)
		if errors.Is(err, cloud.ErrUnauthenticated) {
			err = cmp.Or(w.WrongAppPassword(from), err)
		}
		return who, err
	}
	for _, c := range [][2]string{
		{"ada", password}, {"ada", ""}, {"ada", text[:23]}, {"ada", text + "x"}, {"ada", strings.ToUpper(text)},
		{"bob", text}, {"", text}, {"nobody", text}, {"ada", strings.Repeat("x", 1<<20)},
	} {
		if _, err := wrong(t.Context(), c[0], c[1], peer("192.0.2.9")); !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Errorf("%.20q, %.30q: %v", c[0], c[1], err)
		}
	}
	for _, p := range []auth.AppPassword{{Name: strings.Repeat("x", 65)}, {Name: "a\nb"}, {Name: "\xff"}} {
		if _, _, err := w.MakeAppPassword(t.Context(), ada, p); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%q: %v", p.Name, err)
		}
	}

	// A hundred at once from one address: some are told that they are wrong, the
	// others to wait. Who has the right one is not bothered.
	var refused, limited int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			_, err := wrong(t.Context(), "ada", strings.Repeat("a", 24), home)
			mu.Lock()
			defer mu.Unlock()
			_, waits := errors.AsType[*retry.AfterError](err)
			switch {
			case errors.Is(err, cloud.ErrUnauthenticated):
				refused++
			case errors.Is(err, cloud.ErrLimited) && waits:
				limited++
			default:
				t.Errorf("wrong: %v", err)
			}
		})
	}
	all.Wait()
	if refused != 20 || limited != 80 {
		t.Errorf("%d refused, %d limited", refused, limited)
	}
	if _, err := w.VerifyAppPassword(t.Context(), "ada", text); err != nil {
		t.Errorf("the right one: %v", err)
	}
	for range 64 - 1 {
		w.appPassword(t, ada, auth.AppPassword{})
	}
	if _, _, err := w.MakeAppPassword(t.Context(), ada, auth.AppPassword{}); !errors.Is(err, cloud.ErrLimited) {
		t.Errorf("the 65th: %v", err)
	}
}
