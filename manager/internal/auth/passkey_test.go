package auth_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/auth/authtest"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

var site = auth.Site{Name: "cloud.example", Origin: "https://cloud.example"}

// addKey gives who a passkey.
func (w *world) addKey(t testing.TB, who policy.Principal, name string) (*authtest.Key, int64, []string) {
	t.Helper()
	k := authtest.NewKey(t, site.Origin)
	c, err := w.OfferPasskey(t.Context(), who, proof, site, home)
	if err != nil {
		t.Fatal(err)
	}
	p, codes, err := w.AddPasskey(t.Context(), who, c.State, name, k.Create(c.Options))
	if err != nil {
		t.Fatal(err)
	}
	return k, p.ID, codes
}

func (w *world) asked(t testing.TB, state string) auth.Ceremony {
	t.Helper()
	c, err := w.AskPasskey(t.Context(), site, state)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPasskey(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	ctx := t.Context()
	_, err := w.OfferPasskey(ctx, ada, auth.Proof{Password: "wrong password"}, site, home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	_, err = w.OfferPasskey(ctx, ada, proof, auth.Site{}, home)
	mustBe(t, err, cloud.ErrInvalid)
	k, id, codes := w.addKey(t, ada, " phone ")
	if len(codes) != 10 {
		t.Errorf("recovery codes: %q", codes)
	}
	if second, _, more := w.addKey(t, ada, ""); more != nil || string(second.Handle) != string(k.Handle) {
		t.Errorf("second passkey: codes %q, handles %x and %x", more, k.Handle, second.Handle)
	}

	// Instead of the password.
	c := w.asked(t, "")
	token, err := w.LoginPasskey(ctx, c.State, k.Get(c.Options), home)
	if err != nil || token.User.Name != "ada" {
		t.Fatalf("%+v, %v", token, err)
	}
	_, err = w.LoginPasskey(ctx, c.State, k.Get(c.Options), home)
	mustBe(t, err, cloud.ErrUnauthenticated) // answered already

	// After the password.
	half := w.half(t, "ada", home)
	if half.Codes || !half.Recovery || len(half.Passkeys) != 1 || half.Passkeys[0] != "cloud.example" {
		t.Errorf("asked for %+v", half)
	}
	k.Verified = false // to hold it is enough
	one, two := w.asked(t, half.State), w.asked(t, half.State)
	if _, err := w.LoginPasskey(ctx, one.State, k.Get(one.Options), home); err != nil {
		t.Fatal(err)
	}
	_, err = w.LoginPasskey(ctx, two.State, k.Get(two.Options), home)
	mustBe(t, err, cloud.ErrUnauthenticated) // that sign-in is finished
	_, err = w.LoginCode(ctx, half.State, codes[0], home)
	mustBe(t, err, cloud.ErrUnauthenticated)

	set, err := w.Factors(ctx, ada)
	if err != nil || len(set.Passkeys) != 2 || set.Passkeys[0].Name != "phone" || set.Passkeys[1].Name != "Passkey" || set.Passkeys[0].UsedAt.IsZero() {
		t.Errorf("%+v, %v", set, err)
	}
	if _, err := w.RenamePasskey(ctx, ada, id, "key ring"); err != nil {
		t.Error(err)
	}
	_, err = w.RenamePasskey(ctx, ada, id, strings.Repeat("x", 65))
	mustBe(t, err, cloud.ErrInvalid)
	_, err = w.RenamePasskey(ctx, ada, id+9, "x")
	mustBe(t, err, cloud.ErrNotFound)
	mustBe(t, w.RemovePasskey(ctx, ada, id, auth.Proof{}, home), cloud.ErrUnauthenticated)
	if err := w.RemovePasskey(ctx, ada, id, proof, home); err != nil {
		t.Fatal(err)
	}
	k.Verified = true
	c = w.asked(t, "")
	_, err = w.LoginPasskey(ctx, c.State, k.Get(c.Options), home)
	mustBe(t, err, cloud.ErrUnauthenticated)
}

// What is not the answer of the user's authenticator, at our page, to our question.
func TestPasskey_refused(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	ctx := t.Context()
	if _, err := w.CreateUser(ctx, ada, "bob", password, false); err != nil {
		t.Fatal(err)
	}
	_, bob := w.signIn(t, "bob")
	k, _, _ := w.addKey(t, ada, "")
	bobs, _, _ := w.addKey(t, bob, "")
	elsewhere := auth.Site{Name: "evil.example", Origin: "https://evil.example"}

	for name, answer := range map[string]func() (state string, credential json.RawMessage){
		"of another page": func() (string, json.RawMessage) {
			c := w.asked(t, "")
			k.Origin = "https://evil.example"
			defer func() { k.Origin = site.Origin }()
			return c.State, k.Get(c.Options)
		},
		"of a page below": func() (string, json.RawMessage) {
			c := w.asked(t, "")
			k.Origin = "https://files.cloud.example"
			defer func() { k.Origin = site.Origin }()
			return c.State, k.Get(c.Options)
		},
		"to a question at another server": func() (string, json.RawMessage) {
			c, err := w.AskPasskey(ctx, elsewhere, "")
			if err != nil {
				t.Fatal(err)
			}
			k.Origin = elsewhere.Origin
			defer func() { k.Origin = site.Origin }()
			return c.State, k.Get(c.Options)
		},
		"to another question": func() (string, json.RawMessage) { return w.asked(t, "").State, k.Get(w.asked(t, "").Options) },
		"without the user shown": func() (string, json.RawMessage) {
			c := w.asked(t, "")
			k.Verified = false
			defer func() { k.Verified = true }()
			return c.State, k.Get(c.Options)
		},
		"for another user": func() (string, json.RawMessage) {
			c := w.asked(t, "")
			mine := k.Handle
			k.Handle = bobs.Handle
			defer func() { k.Handle = mine }()
			return c.State, k.Get(c.Options)
		},
		"of nobody": func() (string, json.RawMessage) {
			c := w.asked(t, "")
			lost := authtest.NewKey(t, site.Origin)
			lost.Handle = k.Handle
			return c.State, lost.Get(c.Options)
		},
		"by a second user": func() (string, json.RawMessage) {
			c := w.asked(t, w.half(t, "ada", home).State)
			return c.State, bobs.Get(c.Options)
		},
		"in a state for something else": func() (string, json.RawMessage) {
			return w.half(t, "ada", home).State, k.Get(w.asked(t, "").Options)
		},
	} {
		state, credential := answer()
		if _, err := w.LoginPasskey(ctx, state, credential, peer("198.51.100.1")); !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "null", "{}", `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`, strings.Repeat("[", 5000)} {
		if _, err := w.LoginPasskey(ctx, w.asked(t, "").State, []byte(text), home); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	late := w.asked(t, "")
	w.pass(10 * time.Minute)
	_, err := w.LoginPasskey(ctx, late.State, k.Get(late.Options), home)
	mustBe(t, err, cloud.ErrUnauthenticated)

	// New ones: of another page, for another user, known already.
	offer := func() auth.Ceremony {
		c, err := w.OfferPasskey(ctx, ada, proof, site, home)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := offer()
	_, _, err = w.AddPasskey(ctx, ada, c.State, "", authtest.NewKey(t, "https://evil.example").Create(c.Options))
	mustBe(t, err, cloud.ErrInvalid)
	_, _, err = w.AddPasskey(ctx, bob, c.State, "", authtest.NewKey(t, site.Origin).Create(c.Options))
	mustBe(t, err, cloud.ErrUnauthenticated)
	_, _, err = w.AddPasskey(ctx, ada, c.State, "", authtest.NewKey(t, site.Origin).Create(offer().Options))
	mustBe(t, err, cloud.ErrInvalid)
	_, _, err = w.AddPasskey(ctx, ada, c.State, "", bobs.Create(c.Options))
	mustBe(t, err, cloud.ErrExists)
}

// An authenticator that counts is refused once its count stands still: then there
// is a copy of it. Of the same answer many times at once one is taken.
func TestPasskey_copied(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	k, _, _ := w.addKey(t, ada, "")
	enter := func(count uint32) error {
		k.Count = count
		c := w.asked(t, "")
		_, err := w.LoginPasskey(t.Context(), c.State, k.Get(c.Options), home)
		return err
	}
	for _, count := range []uint32{0, 0, 5, 6} {
		if err := enter(count); err != nil {
			t.Errorf("count %d: %v", count, err)
		}
	}
	for _, count := range []uint32{6, 5, 0} {
		mustBe(t, enter(count), cloud.ErrUnauthenticated)
	}
	k.Count = 7
	c := w.asked(t, "")
	answer := k.Get(c.Options)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { _, errs[i] = w.LoginPasskey(t.Context(), c.State, answer, home) })
	}
	all.Wait()
	in := 0
	for _, err := range errs {
		if err == nil {
			in++
		} else if !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Error(err)
		}
	}
	if in != 1 {
		t.Errorf("%d got in by one answer", in)
	}
}
