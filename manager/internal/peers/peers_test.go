package peers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/peers"
	"discordcloud/pkg/cloud"
)

// table is what managers share, in memory: the contract of meta.Peers without
// transactions, of which package metatest tries the real ones.
type table struct {
	mu       sync.Mutex
	away     bool // the database does not answer
	deaf     bool // nobody can listen
	beats    map[string]int64
	leases   map[string]meta.Lease
	news     []meta.News
	first    int64 // news before it are forgotten
	heard    map[int]func()
	listened int
}

var errAway = fmt.Errorf("%w: away", cloud.ErrUnavailable)

func newTable() *table {
	return &table{beats: map[string]int64{}, leases: map[string]meta.Lease{}, heard: map[int]func(){}}
}

func (s *table) do(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	return f()
}

func (s *table) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *table) Sole() bool { return false }

func (s *table) JoinManagers(_ context.Context, id, _ string) error {
	return s.do(func() error { s.beats[id]++; return nil })
}

func (s *table) Managers(context.Context) (all map[string]int64, err error) {
	err = s.do(func() error { all = maps.Clone(s.beats); return nil })
	return all, err
}

func (s *table) Beat(_ context.Context, id string) (all map[string]int64, err error) {
	err = s.do(func() error {
		if _, ok := s.beats[id]; !ok {
			return cloud.ErrNotFound
		}
		s.beats[id]++
		all = maps.Clone(s.beats)
		return nil
	})
	return all, err
}

func (s *table) RemoveManager(_ context.Context, id string, beat int64) (removed bool, err error) {
	err = s.do(func() error {
		if b, ok := s.beats[id]; ok && (beat < 0 || b == beat) {
			delete(s.beats, id)
			removed = true
		}
		return nil
	})
	return removed, err
}

func (s *table) TakeLease(_ context.Context, name, manager string) (l meta.Lease, err error) {
	err = s.do(func() error {
		l = s.leases[name]
		if _, alive := s.beats[l.Manager]; l.Manager != manager && alive {
			return cloud.ErrExists
		}
		if l.Manager != manager {
			l = meta.Lease{Name: name, Manager: manager, Epoch: l.Epoch + 1}
			s.leases[name] = l
		}
		return nil
	})
	return l, err
}

func (s *table) AddNews(_ context.Context, manager string, payloads []string) error {
	return s.do(func() error {
		for _, p := range payloads {
			s.news = append(s.news, meta.News{ID: int64(len(s.news) + 1), Manager: manager, Payload: p})
		}
		for _, heard := range s.heard {
			heard()
		}
		return nil
	})
}

func (s *table) NewsAfter(_ context.Context, id int64, most int) (all []meta.News, err error) {
	err = s.do(func() error {
		for _, n := range s.news {
			if n.ID > id && n.ID >= s.first && len(all) < most {
				all = append(all, n)
			}
		}
		return nil
	})
	return all, err
}

func (s *table) LastNews(context.Context) (last int64, err error) {
	err = s.do(func() error { last = int64(len(s.news)); return nil })
	return last, err
}

func (s *table) ForgetNews(context.Context, time.Time) error { return nil }

func (s *table) Listen(ctx context.Context, heard func()) error {
	id := 0
	if err := s.do(func() error {
		if s.deaf {
			return errors.ErrUnsupported
		}
		s.listened++
		id = s.listened
		s.heard[id] = heard
		return nil
	}); err != nil {
		return err
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.heard, id)
	}()
	heard()
	<-ctx.Done()
	return ctx.Err()
}

func join(t *testing.T, s *table) (g *peers.Group, leave func()) {
	t.Helper()
	g, err := peers.Join(t.Context(), peers.Options{Store: s, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Run(ctx) }()
	return g, func() { stop(); <-done }
}

// A manager falls silent: its peers take it for dead after ten seconds, and one of
// them goes on with its work. An outage of the database takes nobody's life.
func TestGroup_dead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable()
		a, silence := join(t, s)
		b, stop := join(t, s)
		defer stop()
		time.Sleep(3 * time.Second)
		if a.Managers() != 2 || !a.Alive(b.ID()) || !b.Alive(a.ID()) {
			t.Fatalf("%d managers", a.Managers())
		}
		lead := func(g *peers.Group) (l meta.Lease, err error) {
			err = g.Lead(t.Context(), "job", func(ctx context.Context) error { l, _ = meta.LeaseOf(ctx); return nil })
			return l, err
		}
		first, err := lead(a)
		if err != nil || first.Manager != a.ID() {
			t.Fatalf("Lead = %+v, %v", first, err)
		}
		if _, err := lead(b); !errors.Is(err, peers.ErrElsewhere) {
			t.Errorf("Lead beside another = %v", err)
		}
		s.set(true)
		time.Sleep(time.Minute)
		s.set(false)
		time.Sleep(5 * time.Second)
		if b.Managers() != 2 || !b.Alive(a.ID()) {
			t.Error("an outage took a manager's life")
		}

		silence()
		time.Sleep(9 * time.Second)
		if !b.Alive(a.ID()) {
			t.Error("dead after nine seconds")
		}
		time.Sleep(3 * time.Second)
		if b.Alive(a.ID()) || b.Managers() != 1 {
			t.Error("alive after twelve seconds of silence")
		}
		if second, err := lead(b); err != nil || second.Epoch != first.Epoch+1 {
			t.Errorf("Lead after a death = %+v, %v", second, err)
		}
	})
}

// What a manager does under a lease ends when it was taken for dead, or shows no
// sign of life any more.
func TestGroup_ends(t *testing.T) {
	for name, disturb := range map[string]func(s *table, g *peers.Group){
		"taken for dead": func(s *table, g *peers.Group) { _, _ = s.RemoveManager(context.Background(), g.ID(), -1) },
		"database away":  func(s *table, _ *peers.Group) { s.set(true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTable()
				g, stop := join(t, s)
				defer stop()
				began := time.Now()
				err := g.Lead(t.Context(), "job", func(ctx context.Context) error {
					disturb(s, g)
					<-ctx.Done()
					return context.Cause(ctx)
				})
				if took := time.Since(began); !errors.Is(err, cloud.ErrUnavailable) || took >= 10*time.Second {
					t.Errorf("it ended with %v after %v", err, took)
				}
				s.set(false)
				time.Sleep(2 * time.Second)
				if err := g.Lead(t.Context(), "job", func(context.Context) error { return nil }); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// bridged is a bus with its bridge, and what a subscriber of it was told.
type bridged struct {
	event.Bus
	bridge *peers.Bridge
	mu     sync.Mutex
	told   []any
}

func (b *bridged) all() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}

func bridge(t *testing.T, s *table, name string) *bridged {
	t.Helper()
	b := &bridged{}
	var err error
	if b.bridge, err = peers.NewBridge(t.Context(), peers.BridgeOptions{Bus: &b.Bus, Store: s, Manager: name, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	b.Subscribe(func(v any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told = append(b.told, v)
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.bridge.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return b
}

// Everything comes to the other side as it was, in order, once, and to this side
// only directly: with notifications, without, and over an outage.
func TestBridge(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89000, time.UTC)
	entry := cloud.Entry{ID: 7, Parent: 3, Name: "ä\u2028\"x", Kind: cloud.KindFile, Owner: 2, Public: true, CreatedAt: at, UpdatedAt: at, ModifiedAt: at,
		Object: cloud.ObjectID{1, 2, 250}, Size: 1 << 52, Type: "image/png", Hash: cloud.Sum{9}, SHA256: cloud.Sum{8, 255}, CRC32: 1 << 31, HasThumbnail: true, Preview: "L"}
	news := []any{
		&event.Change{Action: event.Moved, Entry: entry, Path: []string{"a", "b/"}, SharedWith: []cloud.Share{{Entry: 3, User: 4, CanWrite: true, SharedAt: at}},
			Before: &entry, SharedBefore: []cloud.Share{{Entry: 3, Group: 5, SharedAt: at}}},
		&event.Session{User: 3, IDs: []string{"x", "y"}, Reason: "signed out"},
		&event.Session{User: 3, Reason: "this account was disabled"},
		&event.Upload{ID: "u", Manager: "m"},
	}
	for range 300 {
		news = append(news, &event.Session{User: cloud.UserID(len(news)), Reason: "many"})
	}
	for _, c := range []struct {
		name       string
		deaf, away bool
		within     time.Duration
	}{
		{"woken", false, false, 0},
		{"asking", true, false, time.Second},
		{"after an outage", false, true, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTable()
				s.deaf = c.deaf
				a, b := bridge(t, s, "a"), bridge(t, s, "b")
				synctest.Wait()
				if c.away {
					s.set(true)
				}
				for _, v := range news {
					a.Publish(v)
				}
				if c.away {
					time.Sleep(time.Minute)
					s.set(false)
				}
				time.Sleep(c.within)
				synctest.Wait()
				if got := b.all(); !reflect.DeepEqual(got, news) {
					t.Fatalf("told of %d, want %d as they were", len(got), len(news))
				}
				time.Sleep(10 * time.Second)
				if got := a.all(); len(got) != len(news) {
					t.Errorf("its own side is told %d times of %d", len(got), len(news))
				}
				b.Publish(news[1]) // and the other way
				time.Sleep(c.within + time.Second)
				if got := a.all(); len(got) != len(news)+1 {
					t.Errorf("the first side is told of %d, want %d", len(got), len(news)+1)
				}
			})
		})
	}
}

// What was forgotten before it was read is counted, and the rest is told.
func TestBridge_gap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable()
		s.deaf = true
		b := bridge(t, s, "b")
		synctest.Wait()
		s.set(true)
		time.Sleep(time.Second)
		s.mu.Lock()
		s.first = 3
		for i := range int64(4) {
			s.news = append(s.news, meta.News{ID: i + 1, Manager: "a", Payload: fmt.Sprintf(`{"session":{"User":%d}}`, i+1)})
		}
		s.mu.Unlock()
		s.set(false)
		time.Sleep(time.Second)
		got := b.all()
		if len(got) != 2 || got[0].(*event.Session).User != 3 {
			t.Errorf("told of %v", got)
		}
		if lost := b.bridge.Debug().(map[string]any)["lost"]; lost != int64(2) {
			t.Errorf("%v lost, want 2", lost)
		}
	})
}
