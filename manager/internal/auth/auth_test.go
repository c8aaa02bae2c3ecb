package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/retry"
)

var (
	cheap = auth.HashParams{Memory: 8, Passes: 1, Threads: 1}
	key   = sync.OnceValue(func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	})
)

// world is a Service on a real database, at a time of its own.
type world struct {
	*auth.Service
	store *sqlmeta.Store
	bus   *event.Bus
	mu    sync.Mutex
	now   time.Time
	ended []event.Session
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func open(t testing.TB) *world {
	t.Helper()
	w := &world{bus: &event.Bus{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var err error
	w.store, err = sqlmeta.Open(t.Context(), sqlmeta.Options{Path: filepath.Join(t.TempDir(), "auth.db"), Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.bus.Subscribe(func(v any) {
		if s, ok := v.(*event.Session); ok {
			w.ended = append(w.ended, *s)
		}
	}))
	w.Service = w.service(auth.Options{Hash: cheap, Ring: crypt.Ring{{1}}})
	return w
}

// service is another Service on the same database.
func (w *world) service(o auth.Options) *auth.Service {
	o.Store, o.Bus, o.Now = w.store, w.bus, w.clock
	o.Private, o.Public = key(), &key().PublicKey
	return auth.New(o)
}

func peer(address string) auth.Peer {
	return auth.Peer{Address: netip.MustParseAddr(address), Agent: "test"}
}

var home = peer("192.0.2.1")

const password = "correct horse"

// first makes the administrator "ada".
func (w *world) first(t testing.TB) cloud.User {
	t.Helper()
	u, err := w.CreateFirst(t.Context(), "", true, "ada", password, home)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (w *world) signIn(t testing.TB, name string) (auth.Token, policy.Principal) {
	t.Helper()
	token, err := w.Login(t.Context(), name, password, home)
	if err != nil {
		t.Fatal(err)
	}
	who, err := w.Verify(t.Context(), token.Text)
	if err != nil {
		t.Fatal(err)
	}
	return token, who
}

func mustBe(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error = %v, want %v", err, kind)
	}
}

func TestCreateFirst(t *testing.T) {
	w := open(t)
	code := w.SetupCode()
	if strings.Count(code, ".") != 2 || len(code) < 28 {
		t.Fatalf("set-up code %q", code)
	}
	_, err := w.CreateFirst(t.Context(), "", false, "eve", password, home)
	mustBe(t, err, cloud.ErrDenied)
	_, err = w.CreateFirst(t.Context(), code+"x", false, "eve", password, home)
	mustBe(t, err, cloud.ErrDenied)
	_, err = w.CreateFirst(t.Context(), code, false, "", password, home)
	mustBe(t, err, cloud.ErrInvalid)
	_, err = w.CreateFirst(t.Context(), "guess", false, "eve", password, home)
	mustBe(t, err, cloud.ErrDenied)
	_, err = w.CreateFirst(t.Context(), code, false, "ada", password, home)
	mustBe(t, err, cloud.ErrLimited)

	u, err := w.CreateFirst(t.Context(), code, false, "ada", password, peer("192.0.2.2"))
	if err != nil || !u.Administrator {
		t.Fatalf("CreateFirst = %+v, %v", u, err)
	}
	if got := w.SetupCode(); got != "" {
		t.Errorf("set-up code with users: %q", got)
	}
	_, err = w.CreateFirst(t.Context(), code, true, "eve", password, home)
	mustBe(t, err, cloud.ErrDenied)
}

func TestCreateFirst_Race(t *testing.T) {
	w := open(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = w.CreateFirst(t.Context(), "", true, "user"+string(rune('a'+i)), password, home)
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			mustBe(t, err, cloud.ErrDenied)
		}
	}
	if n, err := w.store.CountUsers(t.Context()); won != 1 || n != 1 || err != nil {
		t.Errorf("%d won, %d users, %v", won, n, err)
	}
}

func TestCreateUser(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	bob, err := w.CreateUser(t.Context(), ada, "bob", password, false)
	if err != nil || bob.Administrator {
		t.Fatalf("CreateUser = %+v, %v", bob, err)
	}
	for _, name := range []string{"bob", "BOB"} {
		_, err := w.CreateUser(t.Context(), ada, name, password, false)
		mustBe(t, err, cloud.ErrExists)
	}
	for _, name := range []string{"", "a b", "ä", "a/b", "a\x00", strings.Repeat("x", 65)} {
		_, err := w.CreateUser(t.Context(), ada, name, password, false)
		mustBe(t, err, cloud.ErrInvalid)
	}
	for _, bad := range []string{"", "1234567", "mylongname", strings.Repeat("x", 1025)} {
		_, err := w.CreateUser(t.Context(), ada, "mylongname", bad, false)
		mustBe(t, err, cloud.ErrInvalid)
	}
	_, who := w.signIn(t, "bob")
	_, err = w.CreateUser(t.Context(), who, "carl", password, true)
	mustBe(t, err, cloud.ErrDenied)
	_, err = w.CreateUser(t.Context(), policy.Principal{}, "carl", password, true)
	mustBe(t, err, cloud.ErrUnauthenticated)
}

func TestLogin(t *testing.T) {
	w := open(t)
	u := w.first(t)
	token, who := w.signIn(t, "ada")
	want := policy.Principal{Role: policy.User, User: u.ID, Name: "ada", Administrator: true, Session: token.Session}
	if who != want {
		t.Errorf("Verify = %+v, want %+v", who, want)
	}
	if got := token.ExpiresAt.Sub(w.clock()); got != 90*24*time.Hour {
		t.Errorf("the token lasts %v", got)
	}
	texts := map[string]bool{}
	for _, c := range [][2]string{
		{"ada", "wrong password"}, {"nobody", password}, {"ADA", password}, {"a b", password}, {"ada", ""},
		{"ada", strings.Repeat("x", 1<<20)}, {"", ""}, {strings.Repeat("a", 1<<20), password},
	} {
		_, err := w.Login(t.Context(), c[0], c[1], home)
		mustBe(t, err, cloud.ErrUnauthenticated)
		texts[err.Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("the refusals differ: %v", texts)
	}
}

// TestLogin_Time tells whether a name that nobody has is refused sooner than a
// wrong password. The hash takes most of the time, and is made in both cases.
func TestLogin_Time(t *testing.T) {
	w := open(t)
	slow := w.service(auth.Options{Hash: auth.HashParams{Memory: 8 << 10, Passes: 2, Threads: 1}})
	if _, err := slow.CreateFirst(t.Context(), "", true, "ada", password, home); err != nil {
		t.Fatal(err)
	}
	took := func(name string) time.Duration {
		w.pass(time.Hour) // beyond all limits
		start := time.Now()
		_, err := slow.Login(t.Context(), name, "wrong password", home)
		mustBe(t, err, cloud.ErrUnauthenticated)
		return time.Since(start)
	}
	// The fastest of many, in turns, until they are alike: on a busy machine that
	// takes a while, and without the hash it would never come to be.
	known, unknown := time.Hour, time.Hour
	for deadline := time.Now().Add(20 * time.Second); ; {
		for range 10 {
			known, unknown = min(known, took("ada")), min(unknown, took("nobody"))
		}
		if unknown > known*3/4 && known > unknown*3/4 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a known name takes %v, an unknown one %v", known, unknown)
		}
	}
}

func waitOf(err error) time.Duration {
	if after, ok := errors.AsType[*retry.AfterError](err); ok {
		return after.Wait
	}
	return 0
}

func TestLogin_Limits(t *testing.T) {
	w := open(t)
	w.first(t)
	w.signIn(t, "ada") // makes home a known network
	guess := func(name string, from auth.Peer) error {
		_, err := w.Login(t.Context(), name, "wrong password", from)
		return err
	}
	attacker := peer("198.51.100.1")
	for range 5 {
		mustBe(t, guess("ada", attacker), cloud.ErrUnauthenticated)
	}
	wait := time.Minute
	for range 4 { // each further failure doubles the wait
		err := guess("Ada", attacker) // also in other case
		mustBe(t, err, cloud.ErrLimited)
		if waitOf(err) != wait {
			t.Errorf("wait %v, want %v", waitOf(err), wait)
		}
		w.pass(wait)
		mustBe(t, guess("ada", attacker), cloud.ErrUnauthenticated)
		wait *= 2
	}
	// The owner is not locked out, neither at home nor elsewhere.
	w.signIn(t, "ada")
	if _, err := w.Login(t.Context(), "ada", password, peer("203.0.113.9")); err != nil {
		t.Errorf("from a new network: %v", err)
	}

	// Many networks at once are held by the soft limit, but home is not.
	for i := range 60 {
		if err := guess("ada", peer(netip.AddrFrom4([4]byte{10, 0, byte(i), 1}).String())); i >= 50 {
			mustBe(t, err, cloud.ErrLimited)
		}
	}
	w.signIn(t, "ada")
	w.pass(time.Minute)
	if _, err := w.Login(t.Context(), "ada", password, peer("203.0.113.77")); err != nil {
		t.Errorf("from a new network, a minute later: %v", err)
	}
}

func TestLogin_LimitPerNetwork(t *testing.T) {
	w := open(t)
	w.first(t)
	for i := range 20 {
		// One subscriber has all of a /64.
		from := peer("2001:db8:0:1::" + string(rune('1'+i%9)))
		_, err := w.Login(t.Context(), "user"+string(rune('a'+i)), "wrong password", from)
		mustBe(t, err, cloud.ErrUnauthenticated)
	}
	_, err := w.Login(t.Context(), "someone", "wrong password", peer("2001:db8:0:1::ffff"))
	mustBe(t, err, cloud.ErrLimited)
	_, err = w.Login(t.Context(), "someone", "wrong password", peer("2001:db8:0:2::1"))
	mustBe(t, err, cloud.ErrUnauthenticated)
}

// TestLogin_Parallel: many at once are no way around the limit.
func TestLogin_Parallel(t *testing.T) {
	w := open(t)
	w.first(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	looked := 0
	for range 100 {
		wg.Go(func() {
			_, err := w.Login(t.Context(), "ada", "wrong password", home)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, cloud.ErrUnauthenticated) {
				looked++
			} else {
				mustBe(t, err, cloud.ErrLimited)
			}
		})
	}
	wg.Wait()
	if looked != 5 {
		t.Errorf("%d passwords were looked at, want 5", looked)
	}
}

func TestLogin_SuccessIsFree(t *testing.T) {
	w := open(t)
	w.first(t)
	for range 40 {
		w.signIn(t, "ada")
	}
}

func TestRehash(t *testing.T) {
	w := open(t)
	w.first(t)
	stored := func() string {
		c, err := w.store.Credentials(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		return c.Password
	}
	token, _ := w.signIn(t, "ada")
	before := stored()
	if !strings.HasPrefix(before, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatalf("stored %q", before)
	}
	dearer := w.service(auth.Options{Hash: auth.HashParams{Memory: 16, Passes: 2, Threads: 1}, Pepper: []byte("pepper")})
	if _, err := dearer.Login(t.Context(), "ada", "wrong password", home); err == nil || stored() != before {
		t.Errorf("a wrong password: %v, stored %q", err, stored())
	}
	if _, err := dearer.Login(t.Context(), "ada", password, home); err != nil {
		t.Fatal(err)
	}
	if got := stored(); !strings.HasPrefix(got, "$argon2id$v=19$m=16,t=2,p=1,keyid=") {
		t.Errorf("stored %q", got)
	}
	if _, err := w.Verify(t.Context(), token.Text); err != nil {
		t.Errorf("the session ended with the rehash: %v", err)
	}
	if _, err := dearer.Login(t.Context(), "ada", password, home); err != nil {
		t.Errorf("after the rehash: %v", err)
	}
	other := w.service(auth.Options{Hash: cheap, Pepper: []byte("another")})
	_, err := other.Login(t.Context(), "ada", password, home)
	mustBe(t, err, cloud.ErrUnauthenticated)
}

func TestStoredPassword_Damaged(t *testing.T) {
	w := open(t)
	u := w.first(t)
	for _, bad := range []string{
		"", "plain", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$", "$argon2id$v=19$m=8,t=1,p=1$!$aGFzaGhhc2hoYXNoaGFzaA",
	} {
		if _, err := w.store.SetPassword(t.Context(), u.ID, bad); err != nil {
			t.Fatal(err)
		}
		_, err := w.Login(t.Context(), "ada", password, home)
		mustBe(t, err, cloud.ErrCorrupt)
	}
}

func TestChangePassword(t *testing.T) {
	w := open(t)
	u := w.first(t)
	token, _ := w.signIn(t, "ada")
	const next = "another horse"
	_, err := w.ChangePassword(t.Context(), "ada", "wrong password", next, home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	_, err = w.ChangePassword(t.Context(), "nobody", password, next, home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	_, err = w.ChangePassword(t.Context(), "ada", password, password, home)
	mustBe(t, err, cloud.ErrInvalid)
	_, err = w.ChangePassword(t.Context(), "ada", password, "short", home)
	mustBe(t, err, cloud.ErrInvalid)
	if len(w.ended) != 0 {
		t.Errorf("refused changes ended %v", w.ended)
	}
	if _, err = w.ChangePassword(t.Context(), "ada", password, next, home); err != nil {
		t.Fatal(err)
	}
	if len(w.ended) != 1 || w.ended[0].User != u.ID || len(w.ended[0].IDs) != 0 {
		t.Errorf("told %+v, want the end of all", w.ended)
	}
	_, err = w.Verify(t.Context(), token.Text)
	mustBe(t, err, cloud.ErrUnauthenticated)
	_, err = w.Login(t.Context(), "ada", password, home)
	mustBe(t, err, cloud.ErrUnauthenticated)
	if err := w.SetPassword(t.Context(), policy.Principal{}, u.ID, password); err != nil {
		t.Fatal(err)
	}
	w.signIn(t, "ada")
}

func TestSessions(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	other, _ := w.signIn(t, "ada")
	if _, err := w.CreateUser(t.Context(), ada, "bob", password, false); err != nil {
		t.Fatal(err)
	}
	_, bob := w.signIn(t, "bob")
	list, err := w.Sessions(t.Context(), ada)
	if err != nil || len(list) != 2 || list[0].Agent != "test" || list[0].Address != "192.0.2.1" {
		t.Fatalf("Sessions = %+v, %v", list, err)
	}
	mustBe(t, w.Revoke(t.Context(), bob, other.Session), cloud.ErrNotFound)
	if err := w.Revoke(t.Context(), ada, other.Session); err != nil {
		t.Fatal(err)
	}
	_, err = w.Verify(t.Context(), other.Text)
	mustBe(t, err, cloud.ErrUnauthenticated)
	if err := w.Logout(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	mustBe(t, w.Alive(t.Context(), ada), cloud.ErrUnauthenticated)
	if err := w.Alive(t.Context(), bob); err != nil {
		t.Error(err)
	}
	if len(w.ended) != 2 || w.ended[1].IDs[0] != ada.Session {
		t.Errorf("told %+v", w.ended)
	}
}

func TestSession_Ends(t *testing.T) {
	w := open(t)
	u := w.first(t)
	idle, _ := w.signIn(t, "ada")
	used, who := w.signIn(t, "ada")
	row := func() meta.Session {
		s, _, err := w.store.Session(t.Context(), who.Session, w.clock())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	began := w.clock()
	w.pass(59 * time.Second)
	if _, err := w.Verify(t.Context(), used.Text); err != nil || !row().UsedAt.Equal(began) {
		t.Errorf("within a minute: used at %v, %v", row().UsedAt, err)
	}
	w.pass(time.Second)
	if _, err := w.Verify(t.Context(), used.Text); err != nil || !row().UsedAt.Equal(w.clock()) {
		t.Errorf("after a minute: used at %v, %v", row().UsedAt, err)
	}
	for range 6 {
		w.pass(13 * 24 * time.Hour)
		if _, err := w.Verify(t.Context(), used.Text); err != nil {
			t.Fatalf("used every 13 days, after %v: %v", w.clock().Sub(began), err)
		}
	}
	if end := row().ExpiresAt; !end.Equal(began.Add(90 * 24 * time.Hour)) {
		t.Errorf("ends at %v, want 90 days after %v", end, began)
	}
	_, err := w.Verify(t.Context(), idle.Text)
	mustBe(t, err, cloud.ErrUnauthenticated)
	w.pass(13 * 24 * time.Hour)
	_, err = w.Verify(t.Context(), used.Text)
	mustBe(t, err, cloud.ErrUnauthenticated)
	if list, err := w.Sessions(t.Context(), policy.Principal{Role: policy.User, User: u.ID}); err != nil || len(list) != 0 {
		t.Errorf("Sessions = %v, %v", list, err)
	}
}

// BenchmarkLogin is a sign-in at the default cost, and what a request pays for
// its token after that.
func BenchmarkLogin(b *testing.B) {
	w := open(b)
	s := w.service(auth.Options{})
	if _, err := s.CreateFirst(b.Context(), "", true, "ada", password, home); err != nil {
		b.Fatal(err)
	}
	token, err := s.Login(b.Context(), "ada", password, home)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("password", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Login(b.Context(), "ada", password, home); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("token", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Verify(b.Context(), token.Text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
