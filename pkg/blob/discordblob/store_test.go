package discordblob_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/retry"
	"discordcloud/pkg/sandbox"
)

// fixture is a store on a sandbox.
type fixture struct {
	*discordblob.Store
	t       testing.TB
	sandbox *sandbox.Server
	client  *discord.Client
	opt     discordblob.Options
}

// start opens a sandbox and a store on it. Limits are as documented, in time
// that runs a hundred times faster; what a repeat waits for is as short.
func start(t testing.TB, cfg sandbox.Config, change ...func(*discord.Options)) *fixture {
	t.Helper()
	cfg.Dir, cfg.NoSync, cfg.Seed = t.TempDir(), true, 1
	if cfg.Scale == 0 {
		cfg.Mode, cfg.Scale = sandbox.Strict, 100
	}
	server, err := sandbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close sandbox: %v", err)
		}
	})
	if _, err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, sandbox: server}
	fast := discord.Rate{Limit: 5, Per: 50 * time.Millisecond}
	var logs lockedBuffer
	f.client = f.newClient(append([]func(*discord.Options){func(o *discord.Options) {
		o.Log = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.PerSecond = 500
		o.Posts, o.Reads, o.Others = fast, fast, fast
		o.Unstated = 20 * time.Millisecond
		o.Retry = retry.Policy{Tries: 5, Waits: 20, First: 5 * time.Millisecond, Most: 50 * time.Millisecond, Longest: time.Minute}
	}}, change...)...)
	f.opt = discordblob.Options{
		Client: f.client, Channels: server.Channels(), Lag: time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	f.Store = f.again(nil)
	t.Cleanup(func() {
		for _, secret := range []string{server.Token(), "hm="} {
			if strings.Contains(logs.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	})
	return f
}

func (f *fixture) newClient(change ...func(*discord.Options)) *discord.Client {
	f.t.Helper()
	opt := discord.Options{Token: f.sandbox.Token(), APIURL: f.sandbox.URL() + "/api/v10", CDNURL: f.sandbox.URL()}
	for _, c := range change {
		c(&opt)
	}
	c, err := discord.New(opt)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.Close)
	return c
}

// again opens another store on the same client, which remembers nothing.
func (f *fixture) again(change func(*discordblob.Options)) *discordblob.Store {
	f.t.Helper()
	opt := f.opt
	if change != nil {
		change(&opt)
	}
	s, err := discordblob.New(opt)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.t.Errorf("close store: %v", err)
		}
	})
	return s
}

func (f *fixture) put(b []byte) cloud.Ref {
	f.t.Helper()
	ref, err := f.Put(f.t.Context(), blobtest.Bytes(b))
	if err != nil {
		f.t.Fatalf("Put: %v", err)
	}
	return ref
}

// putAll puts all at once.
func (f *fixture) putAll(blobs ...[]byte) []cloud.Ref {
	f.t.Helper()
	refs := make([]cloud.Ref, len(blobs))
	var wg sync.WaitGroup
	for i, b := range blobs {
		wg.Go(func() {
			var err error
			if refs[i], err = f.Put(f.t.Context(), blobtest.Bytes(b)); err != nil {
				f.t.Errorf("Put %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	return refs
}

func read(ctx context.Context, s blob.Store, ref cloud.Ref, off, n int64) ([]byte, error) {
	r, err := s.Get(ctx, ref, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return b, err
}

func (f *fixture) check(s blob.Store, ref cloud.Ref, want []byte) {
	f.t.Helper()
	if got, err := read(f.t.Context(), s, ref, 0, -1); err != nil || !bytes.Equal(got, want) {
		f.t.Errorf("Get of %+v = %d bytes, %v, want %d bytes", ref, len(got), err, len(want))
	}
}

// requests is how many the sandbox has had on a route.
func (f *fixture) requests(route string) int64 { return f.sandbox.Stats().Requests[route] }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func numbered(i, size int) []byte {
	b := blobtest.Pattern(size)
	copy(b, fmt.Sprintf("%d ", i))
	return b
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return start(t, sandbox.Config{}) })
}

// A store that remembers no links, as after a start, keeps the contract too.
func TestStore_Cold(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		f := start(t, sandbox.Config{})
		return f.again(func(o *discordblob.Options) { o.Links = 1 })
	})
}
