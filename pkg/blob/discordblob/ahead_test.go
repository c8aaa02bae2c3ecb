package discordblob_test

import (
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/sandbox"
)

// Those who put one blob after the other, several at a time, fill the messages
// that a channel takes.
func TestPut_AwaitsCompany(t *testing.T) {
	const putters, each = 4, 8
	f := start(t, sandbox.Config{Mode: sandbox.Strict, Scale: 10, Channels: 1}, func(o *discord.Options) {
		o.Posts, o.AttachmentsMost = discord.Rate{Limit: 5, Per: 500 * time.Millisecond}, putters
	})
	var group sync.WaitGroup
	for p := range putters {
		group.Go(func() {
			for i := range each {
				if _, err := f.Put(t.Context(), blobtest.Bytes(numbered(p*each+i, 2000))); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	group.Wait()
	// Each full one takes four; the first of all goes alone, and a late one may.
	if n := len(f.messages()); n > each+4 {
		t.Errorf("%d blobs travelled in %d messages of four, want about %d", putters*each, n, each+1)
	}
}

// Who puts one blob at a time waits for no company.
func TestPut_LoneDoesNotWait(t *testing.T) {
	f := start(t, sandbox.Config{Mode: sandbox.Strict, Scale: 1, Channels: 1}, func(o *discord.Options) {
		o.Posts = discord.Rate{Limit: 5, Per: 5 * time.Second}
	})
	start := time.Now()
	for i := range 5 {
		if _, err := f.Put(t.Context(), blobtest.Bytes(numbered(i, 2000))); err != nil {
			t.Fatal(err)
		}
	}
	// Each could be held for a tenth of a second.
	if took := time.Since(start); took > 400*time.Millisecond {
		t.Errorf("five blobs took %v", took)
	}
}

// cold is a store that knows no link, and the refs of n blobs.
func cold(t *testing.T, n int, change ...func(*discord.Options)) (*fixture, *discordblob.Store, []cloud.Ref) {
	t.Helper()
	f := start(t, sandbox.Config{Channels: 2}, change...)
	var blobs [][]byte
	for i := range n {
		blobs = append(blobs, numbered(i, 1000))
	}
	refs := f.putAll(blobs...)
	return f, f.again(nil), refs
}

func TestPrefetch(t *testing.T) {
	const n = 120
	f, s, refs := cold(t, n)
	s.Prefetch(refs...)
	s.Prefetch(refs...)
	f.until(func() bool { return f.requests("POST "+refreshRoute) == 3 })
	for i, ref := range refs {
		f.check(s, ref, numbered(i, 1000))
	}
	s.Prefetch(refs...)
	f.check(s, refs[0], numbered(0, 1000))
	if got := f.requests("POST " + refreshRoute); got != 3 {
		t.Errorf("%d calls refreshed %d links, want 3", got, n)
	}
	if got := f.requests("GET " + messageRoute); got != 0 {
		t.Errorf("%d messages were read", got)
	}
}

// What somebody waits for goes before what will be wanted.
func TestPrefetch_WaitersFirst(t *testing.T) {
	slow := discord.Rate{Limit: 1, Per: 200 * time.Millisecond}
	f, s, refs := cold(t, 300, func(o *discord.Options) { o.Others = slow })
	f.sandbox.Faults().Add(sandbox.Rule{Route: refreshRoute, Action: sandbox.NoHeaders})
	s.Prefetch(refs...)
	f.check(s, refs[299], numbered(299, 1000))
	if got := f.requests("POST " + refreshRoute); got > 2 {
		t.Errorf("a reader waited for %d calls, want 2 at most", got)
	}
}

// Where links cannot be refreshed, messages are read for readers only.
func TestPrefetch_WithoutRefresh(t *testing.T) {
	f, s, refs := cold(t, 20)
	f.sandbox.Faults().Add(sandbox.Rule{Route: refreshRoute, Action: sandbox.Error, Status: 404})
	s.Prefetch(refs...)
	f.until(func() bool { return f.requests("POST "+refreshRoute) > 0 })
	for i, ref := range refs[:3] {
		f.check(s, ref, numbered(i, 1000))
	}
	if got := f.requests("GET "+messageRoute) + f.requests("GET "+postRoute); got == 0 || got > 3 {
		t.Errorf("%d messages were read for three readers", got)
	}
}
