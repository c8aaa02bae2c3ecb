package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/packet"
)

// told is the link of a service that remembers its configurations.
type told struct {
	mu    sync.Mutex
	all   []packet.Configure
	deny  bool
	check func()
}

func (l *told) Call(_ context.Context, p packet.Packet) (packet.Packet, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, p.(packet.Configure))
	if l.check != nil {
		l.check()
	}
	return packet.Boolean{Success: !l.deny}, nil
}

func (*told) Close(string) {}

// perSecond is what the service was told last, 0 for no limit, and how often it
// was told.
func (l *told) perSecond() (n int64, times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.all[len(l.all)-1]; last.RequestsPerSecond != nil {
		n = *last.RequestsPerSecond
	}
	return n, len(l.all)
}

// shared is a dispatcher with what its own process may do.
type shared struct {
	*dispatch.Dispatcher
	mu    sync.Mutex
	own   int
	limit int64
}

// silent is a store in which nothing is said about services.
type silent struct{ meta.Store }

func (silent) ServiceStandings(context.Context) ([]meta.ServiceStanding, error) { return nil, nil }

func newShared() *shared {
	s := &shared{limit: 10 << 20}
	s.Dispatcher = dispatch.New(dispatch.Options{
		Store: silent{}, Log: slog.New(slog.DiscardHandler),
		Service: dispatch.ServiceConfig{
			Token: "not-a-token", Channels: []string{"1"}, PerSecond: 50,
			AttachmentLimit: func() int64 { s.mu.Lock(); defer s.mu.Unlock(); return s.limit },
			SetPerSecond:    func(n int) { s.mu.Lock(); defer s.mu.Unlock(); s.own = n },
		},
	})
	return s
}

func (s *shared) mine() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own
}

// All that may be asked of Discord in a second is never more than it takes,
// also while services come and go.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newShared()
		links := map[*dispatch.Service]*told{}
		add := func(address string) *dispatch.Service {
			l := &told{}
			s := d.NewService(l, dispatch.ServiceOptions{Role: policy.UploadService, Address: address, Capacity: 1})
			if err := s.Configure(t.Context()); err != nil {
				t.Fatal(err)
			}
			links[s] = l
			return s
		}
		expect := func(what string, own int, each int64) {
			t.Helper()
			synctest.Wait()
			if got := d.mine(); got != own {
				t.Errorf("%s: this process may %d, want %d", what, got, own)
			}
			for s, l := range links {
				n, _ := l.perSecond()
				want := each
				if s.Address[0] == '/' {
					want = 0
				}
				if n != want {
					t.Errorf("%s: %s may %d, want %d", what, s.Address, n, want)
				}
			}
		}
		add("/upload/1")
		expect("one here", 50, 0)
		far := add("http://a.example")
		expect("one elsewhere", 30, 20)
		add("http://b.example")
		add("http://c.example")
		expect("three elsewhere", 20, 10)
		refused := &told{deny: true}
		err := d.NewService(refused, dispatch.ServiceOptions{Role: policy.UploadService, Address: "http://d.example", Capacity: 1}).Configure(t.Context())
		if err == nil {
			t.Error("a service that refused is configured")
		}
		expect("another refused", 20, 10)
		far.Lost(t.Context())
		delete(links, far)
		expect("one left", 24, 13)
		for i := range 60 { // more than there are requests
			add(fmt.Sprintf("http://%d.example", i))
		}
		expect("many", 1, 1)
	})
}

// A service is told of its lower part before the one that gets it.
func TestShares_order(t *testing.T) {
	d := newShared()
	first := &told{}
	s := d.NewService(first, dispatch.ServiceOptions{Role: policy.UploadService, Address: "http://a.example", Capacity: 1})
	if err := s.Configure(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := &told{check: func() {
		if n, _ := first.perSecond(); n != 20 || d.mine() != 10 {
			t.Errorf("the first may %d, this process %d, as the second is told", n, d.mine())
		}
	}}
	if err := d.NewService(second, dispatch.ServiceOptions{Role: policy.UploadService, Address: "http://b.example", Capacity: 1}).Configure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, _ := second.perSecond(); n != 20 {
		t.Errorf("the second may %d, want 20", n)
	}
}

// What changes of the limit of attachments reaches services that are connected.
func TestInform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newShared()
		l := &told{}
		if err := d.NewService(l, dispatch.ServiceOptions{Role: policy.UploadService, Address: "http://a.example", Capacity: 1}).Configure(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Inform(ctx) }()
		time.Sleep(10 * time.Minute)
		if _, n := l.perSecond(); n != 1 {
			t.Errorf("told %d times of nothing new", n)
		}
		d.mu.Lock()
		d.limit = 8 << 20
		d.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if _, n := l.perSecond(); n != 2 || l.all[1].AttachmentLimit != 8<<20 {
			t.Errorf("told %d times, last of %d bytes", n, l.all[n-1].AttachmentLimit)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Inform = %v", err)
		}
	})
}
