package auth_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/retry"
)

var proof = auth.Proof{Password: password}

// app is what makes the codes of one secret.
type app struct {
	w      *world
	secret string
}

// code is that of the moment, or of a moment so much later.
func (a app) code(t testing.TB, later time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, a.w.clock().Add(later))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol gives who one-time codes, and moves on to the next.
func (w *world) enrol(t testing.TB, who policy.Principal) (app, []string) {
	t.Helper()
	offer, err := w.OfferTOTP(t.Context(), who, proof, "cloud.example", home)
	if err != nil {
		t.Fatal(err)
	}
	a := app{w, offer.Secret}
	codes, err := w.SetTOTP(t.Context(), who, offer.State, a.code(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	w.pass(30 * time.Second)
	return a, codes
}

// half does the first step of a sign-in.
func (w *world) half(t testing.TB, name string, peer auth.Peer) *auth.Second {
	t.Helper()
	token, second, err := w.LoginStep(t.Context(), name, password, peer)
	if err != nil || second == nil || token.Text != "" {
		t.Fatalf("first step: token %q, %+v, %v", token.Text, second, err)
	}
	return second
}

func TestTOTP(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	ctx := t.Context()

	_, err := w.OfferTOTP(ctx, ada, auth.Proof{Password: "wrong password"}, "cloud.example", home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	_, err = w.OfferTOTP(ctx, ada, auth.Proof{}, "cloud.example", home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	offer, err := w.OfferTOTP(ctx, ada, proof, "cloud.example", home)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(offer.URI)
	if err != nil || u.Scheme != "otpauth" || u.Path != "/discord-cloud:ada@cloud.example" || u.Query().Get("secret") != offer.Secret {
		t.Errorf("URI %v, %v", u, err)
	}
	phone := app{w, offer.Secret}
	if _, _, err := w.LoginStep(ctx, "ada", password, home); err != nil {
		t.Errorf("an offer alone asks for codes: %v", err)
	}
	wrong := "000000"
	if phone.code(t, 0) == wrong {
		wrong = "000001"
	}
	_, err = w.SetTOTP(ctx, ada, offer.State, wrong)
	mustBe(t, err, cloud.ErrInvalid)
	codes, err := w.SetTOTP(ctx, ada, offer.State, " "+phone.code(t, 0)[:3]+" "+phone.code(t, 0)[3:])
	if err != nil || len(codes) != 10 || len(codes[0]) != 19 {
		t.Fatalf("set: %q, %v", codes, err)
	}
	_, err = w.SetTOTP(ctx, ada, offer.State, phone.code(t, 0))
	mustBe(t, err, cloud.ErrUnauthenticated) // done already

	// The password alone is not enough at any door.
	_, err = w.Login(ctx, "ada", password, home)
	mustBe(t, err, cloud.ErrDenied)
	_, err = w.ChangePassword(ctx, "ada", password, "another horse", home)
	mustBe(t, err, cloud.ErrDenied)

	half := w.half(t, "ada", home)
	if !half.Codes || !half.Recovery || half.Passkeys != nil {
		t.Errorf("asked for %+v", half)
	}
	_, err = w.LoginCode(ctx, half.State, phone.code(t, 0), home)
	mustBe(t, err, cloud.ErrUnauthenticated) // it has confirmed the secret
	w.pass(30 * time.Second)
	token, err := w.LoginCode(ctx, half.State, phone.code(t, 0), home)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := w.Verify(ctx, token.Text); err != nil || who.Name != "ada" {
		t.Errorf("signed in as %+v, %v", who, err)
	}
	_, err = w.LoginCode(ctx, half.State, phone.code(t, 30*time.Second), home)
	mustBe(t, err, cloud.ErrUnauthenticated) // the state is used up

	half = w.half(t, "ada", home)
	for name, later := range map[string]time.Duration{"two steps ahead": time.Minute, "the step before": -30 * time.Second, "the last one again": 0} {
		if _, err = w.LoginCode(ctx, half.State, phone.code(t, later), home); !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.pass(30 * time.Second)
	if _, err = w.LoginCode(ctx, half.State, phone.code(t, 30*time.Second), home); err != nil {
		t.Errorf("a code of a clock that is ahead: %v", err)
	}

	mustBe(t, w.RemoveTOTP(ctx, ada, auth.Proof{Password: "wrong password"}, home), cloud.ErrUnauthenticated)
	w.pass(time.Minute)
	if err := w.RemoveTOTP(ctx, ada, auth.Proof{Code: phone.code(t, 0)}, home); err != nil {
		t.Error(err)
	}
	set, err := w.Factors(ctx, ada)
	if err != nil || set.Any() || set.Codes != 0 {
		t.Errorf("left %+v, %v", set, err)
	}
	w.signIn(t, "ada")
}

func TestRecoveryCodes(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	ctx := t.Context()
	_, err := w.MakeRecoveryCodes(ctx, ada, proof, home)
	mustBe(t, err, cloud.ErrInvalid)
	_, codes := w.enrol(t, ada)
	if again, err := w.OfferTOTP(ctx, ada, proof, "x", home); err != nil {
		t.Error(err)
	} else if more, err := w.SetTOTP(ctx, ada, again.State, (app{w, again.Secret}).code(t, 0)); err != nil || more != nil {
		t.Errorf("another app: %q, %v; the codes told before are good", more, err)
	}

	if _, err := w.LoginCode(ctx, w.half(t, "ada", home).State, strings.ToUpper(codes[0]), home); err != nil {
		t.Fatal(err)
	}
	half := w.half(t, "ada", home)
	_, err = w.LoginCode(ctx, half.State, codes[0], home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	// Of many at once one gets in.
	in, all := 0, sync.WaitGroup{}
	var mu sync.Mutex
	for range 4 {
		all.Go(func() {
			if _, err := w.LoginCode(ctx, half.State, codes[1], home); err == nil {
				mu.Lock()
				in++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if in != 1 {
		t.Errorf("%d got in by one code", in)
	}
	fresh, err := w.MakeRecoveryCodes(ctx, ada, auth.Proof{Code: codes[2]}, home)
	if err != nil || len(fresh) != 10 {
		t.Fatalf("%q, %v", fresh, err)
	}
	half = w.half(t, "ada", home)
	_, err = w.LoginCode(ctx, half.State, codes[3], home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	if _, err := w.LoginCode(ctx, half.State, fresh[3], home); err != nil {
		t.Error(err)
	}
}

// Who knows the password cannot guess codes for long: not by many at once, not
// by beginning again, not from many networks.
func TestGuessCodes(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	phone, _ := w.enrol(t, ada)
	w.pass(30 * time.Second)
	right := phone.code(t, 0)
	wrong := "123456"
	if right == wrong {
		wrong = "123457"
	}
	var mu sync.Mutex
	looked := map[string]int{}
	guess := func(from auth.Peer, state, code string) {
		_, err := w.LoginCode(t.Context(), state, code, from)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			looked["in"]++
		case errors.Is(err, cloud.ErrUnauthenticated):
			looked["guess"]++
		case errors.Is(err, cloud.ErrLimited):
			looked["limited"]++
			if after, ok := errors.AsType[*retry.AfterError](err); !ok || after.Wait <= 0 {
				t.Errorf("no wait: %v", err)
			}
		default:
			t.Error(err)
		}
	}
	stranger := peer("198.51.100.7")
	state := w.half(t, "ada", stranger).State
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() { guess(stranger, state, wrong) })
	}
	all.Wait()
	if looked["guess"] != 5 || looked["limited"] != 35 {
		t.Errorf("40 at once: %v", looked)
	}
	guess(stranger, state, right) // too late
	if looked["in"] != 0 {
		t.Error("the right code was looked at while the network had to wait")
	}
	if _, _, err := w.LoginStep(t.Context(), "ada", password, stranger); !errors.Is(err, cloud.ErrLimited) {
		t.Errorf("begun again: %v", err)
	}
	clear(looked)
	for i := range 60 {
		from := peer(fmt.Sprintf("203.0.113.%d", i))
		_, second, err := w.LoginStep(t.Context(), "ada", password, from)
		if err != nil {
			looked["limited"]++
			continue
		}
		guess(from, second.State, wrong)
	}
	if looked["guess"] > 6 || looked["limited"] < 54 {
		t.Errorf("from 60 networks: %v", looked)
	}
	// The owner gets in when the time is over.
	w.pass(15 * time.Minute)
	if _, err := w.LoginCode(t.Context(), w.half(t, "ada", home).State, phone.code(t, 0), home); err != nil {
		t.Error(err)
	}
}

// A right password between the guesses does not clear their count.
func TestGuessCodes_password(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	phone, _ := w.enrol(t, ada)
	guesses := 0
	for range 30 {
		_, second, err := w.LoginStep(t.Context(), "ada", password, home)
		if err != nil {
			mustBe(t, err, cloud.ErrLimited)
			break
		}
		_, err = w.LoginCode(t.Context(), second.State, phone.code(t, time.Hour), home)
		if errors.Is(err, cloud.ErrLimited) {
			break
		}
		mustBe(t, err, cloud.ErrUnauthenticated)
		guesses++
	}
	if guesses > 5 {
		t.Errorf("%d guesses, each after the password", guesses)
	}
}

func TestSecondStep_over(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	phone, _ := w.enrol(t, ada)
	ctx := t.Context()
	if _, err := w.CreateUser(ctx, ada, "bob", password, true); err != nil {
		t.Fatal(err)
	}
	_, bob := w.signIn(t, "bob")
	bobs, _ := w.enrol(t, bob)
	w.pass(30 * time.Second)
	refused := func(name, state, code string) {
		t.Helper()
		if _, err := w.LoginCode(ctx, state, code, home); !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	half := w.half(t, "ada", home)
	refused("a code of somebody else", half.State, bobs.code(t, 0))
	offer, err := w.OfferTOTP(ctx, bob, proof, "x", home)
	if err != nil {
		t.Fatal(err)
	}
	refused("an offer as a sign-in", offer.State, bobs.code(t, 0))
	_, err = w.SetTOTP(ctx, ada, offer.State, (app{w, offer.Secret}).code(t, 0))
	mustBe(t, err, cloud.ErrUnauthenticated) // it is bob's
	refused("nothing", "", phone.code(t, 0))
	refused("changed", half.State[:len(half.State)-2]+"AA", phone.code(t, 0))
	refused("too long", strings.Repeat("A", 1<<20), phone.code(t, 0))
	other := w.service(auth.Options{Hash: cheap, Ring: crypt.Ring{{2}}})
	if _, err := other.LoginCode(ctx, half.State, phone.code(t, 0), home); !errors.Is(err, cloud.ErrUnauthenticated) {
		t.Errorf("under another key: %v", err)
	}
	w.pass(10 * time.Minute)
	refused("after ten minutes", half.State, phone.code(t, 0))

	half = w.half(t, "ada", home)
	if _, err := w.ChangeOwnPassword(ctx, ada, password, "another horse", home); err != nil {
		t.Fatal(err)
	}
	refused("after a new password", half.State, phone.code(t, 0))
	half = w.half(t, "bob", home)
	if _, err := w.SetDisabled(ctx, ada, bob.User, true); err != nil {
		t.Fatal(err)
	}
	refused("disabled", half.State, bobs.code(t, 0))

	// A newer key first in the ring opens what the older one sealed.
	if _, err := w.SetDisabled(ctx, ada, bob.User, false); err != nil {
		t.Fatal(err)
	}
	turned := w.service(auth.Options{Hash: cheap, Ring: crypt.Ring{{2}, {1}}})
	_, second, err := turned.LoginStep(ctx, "bob", password, home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := turned.LoginCode(ctx, second.State, bobs.code(t, 0), home); err != nil {
		t.Errorf("after a change of keys: %v", err)
	}
}

func TestResetFactors(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	ctx := t.Context()
	bob, err := w.CreateUser(ctx, ada, "bob", password, false)
	if err != nil {
		t.Fatal(err)
	}
	_, who := w.signIn(t, "bob")
	w.enrol(t, who)
	mustBe(t, w.ResetFactors(ctx, who, bob.ID), cloud.ErrDenied)
	mustBe(t, w.ResetFactors(ctx, ada, ada.User), cloud.ErrNotFound)
	mustBe(t, w.ResetFactors(ctx, ada, 99), cloud.ErrNotFound)
	if err := w.ResetFactors(ctx, ada, bob.ID); err != nil {
		t.Fatal(err)
	}
	w.signIn(t, "bob")
}
