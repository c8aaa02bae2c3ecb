package discordblob_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/sandbox"
)

// bots is a store that posts with several tokens, none of which has the
// MESSAGE_CONTENT intent.
type bots struct {
	*fixture
	pool   *discord.Pool
	tokens []string
	errs   *lockedBuffer // the log's errors
}

func startBots(t testing.TB, n int, cfg sandbox.Config) *bots {
	t.Helper()
	b := &bots{errs: new(lockedBuffer)}
	var opt discord.Options
	b.fixture = start(t, cfg, func(o *discord.Options) { opt = *o })
	b.tokens = []string{b.sandbox.Token()}
	for range n - 1 {
		token, err := b.sandbox.AddBot("another")
		if err != nil {
			t.Fatal(err)
		}
		b.tokens = append(b.tokens, token)
	}
	for _, token := range b.tokens {
		if err := b.sandbox.SetMessageContent(token, false); err != nil {
			t.Fatal(err)
		}
	}
	opt.Log = slog.New(slog.NewTextHandler(b.errs, &slog.HandlerOptions{Level: slog.LevelError}))
	pool, err := discord.OpenPool(opt, b.tokens...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	b.pool = pool
	b.opt.Client, b.opt.Pool = nil, pool
	b.Store = b.again(nil)
	return b
}

// posts counts the requests of each bot so far.
func (b *bots) requests() []int64 {
	var n []int64
	for _, s := range b.pool.State().Bots {
		n = append(n, s.Counts.Requests)
	}
	return n
}

func TestPool_Store(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return startBots(t, 3, sandbox.Config{}) })
}

func TestPool_PostsSpread(t *testing.T) {
	b := startBots(t, 3, sandbox.Config{Channels: 2})
	var blobs [][]byte
	for i := range 120 {
		blobs = append(blobs, numbered(i, 1000+i))
	}
	refs := b.putAll(blobs...)
	for i, n := range b.requests() {
		if n == 0 {
			t.Errorf("bot %d did nothing: %v", i, b.requests())
		}
	}
	for i, ref := range refs {
		b.check(b.Store, ref, blobs[i])
	}
}

// What one bot wrote the others see the outside of only. All of it is read by
// whoever wrote it, by messages where links are not refreshed, and deleted by
// him, in whole messages and in parts.
func TestPool_ReadsAndDeletesWhatEachWrote(t *testing.T) {
	b := startBots(t, 3, sandbox.Config{Channels: 1})
	var blobs [][]byte
	for i := range 90 {
		blobs = append(blobs, numbered(i, 100+i))
	}
	refs := b.putAll(blobs...)
	b.sandbox.Faults().Add(sandbox.Rule{Route: refreshRoute, Action: sandbox.Error, Status: 404})
	cold := b.again(nil)
	for i, ref := range refs {
		b.check(cold, ref, blobs[i])
	}
	var odd []cloud.Ref
	for i := 1; i < len(refs); i += 2 {
		odd = append(odd, refs[i])
	}
	if err := cold.Delete(t.Context(), odd...); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	for i, ref := range refs {
		if i%2 == 0 {
			b.check(b.again(nil), ref, blobs[i])
		} else if _, err := read(t.Context(), b.again(nil), ref, 0, -1); !errors.Is(err, cloud.ErrNotFound) {
			t.Fatalf("Get of a deleted blob = %v, want ErrNotFound", err)
		}
	}
	if err := b.Delete(t.Context(), refs...); err != nil {
		t.Fatalf("Delete of all: %v", err)
	}
	if left := b.messages(); len(left) != 0 {
		t.Errorf("%d messages are left", len(left))
	}
}

// A token that Discord refuses is not used again; the others do its work, read
// what it wrote, and an operator can see it.
func TestPool_TokenRevoked(t *testing.T) {
	b := startBots(t, 3, sandbox.Config{Channels: 2})
	var blobs [][]byte
	for i := range 60 {
		blobs = append(blobs, numbered(i, 100+i))
	}
	refs := b.putAll(blobs...)
	if _, err := b.sandbox.RevokeToken(b.tokens[1]); err != nil {
		t.Fatal(err)
	}
	more := b.putAll(blobs...)
	if got := b.sandbox.Stats().Invalid; got == 0 || got > 15 { // as many as may have been on their way
		t.Errorf("Discord refused %d requests, want those of the first moment only", got)
	}
	before := b.sandbox.Stats().Invalid
	for i, ref := range slices.Concat(refs, more) {
		b.check(b.Store, ref, blobs[i%len(blobs)])
	}
	b.putAll(blobs...)
	if got := b.sandbox.Stats().Invalid; got != before {
		t.Errorf("the refused token was used again: %d refusals, then %d", before, got)
	}
	if n := strings.Count(b.errs.String(), "refuses the bot token"); n != 1 {
		t.Errorf("the log tells it %d times, want once:\n%s", n, b.errs)
	}
	blocked := 0
	for _, l := range b.State().Lanes {
		if l.Out == "blocked" {
			blocked++
		}
	}
	if blocked != 2 || !b.pool.State().Bots[1].Blocked {
		t.Errorf("the state tells of %d ways that are blocked, want 2: %+v", blocked, b.State())
	}
}

func TestPool_AllTokensRevoked(t *testing.T) {
	b := startBots(t, 2, sandbox.Config{Channels: 2})
	for _, token := range b.tokens {
		if _, err := b.sandbox.RevokeToken(token); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		if _, err := b.Put(t.Context(), blobtest.Bytes("x")); !errors.Is(err, discord.ErrBlocked) {
			t.Fatalf("Put = %v, want ErrBlocked", err)
		}
	}
	if got := b.sandbox.Stats().Invalid; got > 4 {
		t.Errorf("Discord refused %d requests, want one a token or little more", got)
	}
}

// A channel that is closed to one bot is open to the others.
func TestPool_ChannelClosedToOne(t *testing.T) {
	for name, code := range map[string]int{"no access": 50001, "no permission": 50013, "unknown": 10003} {
		t.Run(name, func(t *testing.T) {
			b := startBots(t, 2, sandbox.Config{Channels: 1})
			first := b.pool.Clients()[0].Bot()
			status := 403
			if code == 10003 {
				status = 404
			}
			refs := b.putAll(numbered(1, 100))
			b.sandbox.Faults().Add(sandbox.Rule{
				Name: "closed", Route: "/channels/*", Bot: first, Action: sandbox.Error, Status: status, Code: code,
			})
			var blobs [][]byte
			for i := range 60 {
				blobs = append(blobs, numbered(i, 100+i))
			}
			refs = append(refs, b.putAll(blobs...)...)
			b.sandbox.Faults().Add(sandbox.Rule{Route: refreshRoute, Action: sandbox.Error, Status: 404})
			cold := b.again(nil)
			for i, ref := range refs[1:] {
				b.check(cold, ref, blobs[i])
			}
			if n := b.sandbox.Faults().Counts()["closed"]; n == 0 || n > 7 {
				t.Errorf("the closed channel was asked %d times", n)
			}
		})
	}
}
