package discordblob_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/retry"
	"discordcloud/pkg/sandbox"
)

// impatient is another store, cold, whose client waits for downloads only so
// long.
func (f *fixture) impatient(stall time.Duration, change ...func(*discord.Options)) *discordblob.Store {
	client := f.newClient(append([]func(*discord.Options){func(o *discord.Options) {
		o.Stall, o.Unstated = stall, 20*time.Millisecond
		o.Retry = retry.Policy{Tries: 5, Waits: 20, First: 5 * time.Millisecond, Most: 50 * time.Millisecond, Longest: time.Minute}
	}}, change...)...)
	return f.again(func(o *discordblob.Options) { o.Client = client })
}

// What the CDN does wrong once or twice is not seen by the reader.
func TestGet_Faults(t *testing.T) {
	cdn := func(r sandbox.Rule) sandbox.Rule {
		r.Method, r.Route = "GET", cdnRoute
		return r
	}
	const size = 300_000
	want := blobtest.Pattern(size)
	for _, c := range []struct {
		name  string
		rules []sandbox.Rule
	}{
		{"cut", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Truncate, At: 100_000, Times: 2})}},
		{"cut at the first byte", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Truncate, At: 1, Times: 3})}},
		{"cut, chunked", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Truncate, At: 50_000, Length: "chunked", Times: 3})}},
		{"reset", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Drop, Times: 3})}},
		{"500", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Error, Times: 3})}},
		{"page with 200", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Error, Status: 200, HTML: true, Times: 1})}},
		{"429", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Error, Status: 429, Times: 3})}},
		{"range ignored", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.IgnoreRange})}},
		{"wrong range", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.WrongRange, Times: 1})}},
		{"gzip", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Gzip, Times: 1})}},
		{"redirect", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Redirect, Text: "http://127.0.0.1:1/", Times: 1})}},
		{"416", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Error, Status: 416, Times: 1})}},
		{"link expired early", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Expire, Times: 1})}},
		{"403", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Error, Status: 403, Times: 1})}},
		{"cut, then expired", []sandbox.Rule{
			cdn(sandbox.Rule{Action: sandbox.Truncate, At: 1000, Times: 1}),
			cdn(sandbox.Rule{Action: sandbox.Expire, From: 2, To: 2}),
		}},
		{"stalls", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Stall, At: 100_000, Times: 2})}},
		{"drips", []sandbox.Rule{cdn(sandbox.Rule{Action: sandbox.Slow, Rate: 1, Times: 2})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, sandbox.Config{})
			ref := f.put(want)
			s := f.impatient(150 * time.Millisecond)
			f.sandbox.Faults().Add(c.rules...)
			got, err := read(t.Context(), s, ref, 10, size-20)
			if err != nil || !bytes.Equal(got, want[10:size-10]) {
				t.Errorf("Get = %d bytes, %v, want %d", len(got), err, size-20)
			}
			for name, n := range f.sandbox.Faults().Counts() {
				if n == 0 {
					t.Errorf("fault %s never happened", name)
				}
			}
		})
	}
}

// What stays wrong is an error, and what was read before it is right.
func TestGet_LastingFaults(t *testing.T) {
	want := blobtest.Pattern(300_000)
	for _, c := range []struct {
		name string
		rule sandbox.Rule
		kind error
	}{
		{"cut at nothing", sandbox.Rule{Action: sandbox.Drop}, cloud.ErrUnavailable},
		{"short", sandbox.Rule{Action: sandbox.Truncate, At: 1000, Length: "short"}, cloud.ErrUnavailable},
		{"503", sandbox.Rule{Action: sandbox.Error, Status: 503}, cloud.ErrUnavailable},
		{"page", sandbox.Rule{Action: sandbox.Error, Status: 200, HTML: true}, cloud.ErrUnavailable},
		{"gzip", sandbox.Rule{Action: sandbox.Gzip}, cloud.ErrUnavailable},
		{"wrong range", sandbox.Rule{Action: sandbox.WrongRange}, cloud.ErrUnavailable},
		{"redirect", sandbox.Rule{Action: sandbox.Redirect, Text: "http://127.0.0.1:1/"}, cloud.ErrUnavailable},
		{"expired, says the CDN", sandbox.Rule{Action: sandbox.Expire}, cloud.ErrUnavailable},
		{"stall", sandbox.Rule{Action: sandbox.Stall, At: 1}, cloud.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, sandbox.Config{})
			ref := f.put(want)
			s := f.impatient(100*time.Millisecond, func(o *discord.Options) { o.Retry.Tries = 2 })
			c.rule.Method, c.rule.Route = "GET", cdnRoute
			f.sandbox.Faults().Add(c.rule)
			got, err := read(t.Context(), s, ref, 10, 200_000)
			if !errors.Is(err, c.kind) && !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(want[10:], got) {
				t.Errorf("Get = %d bytes, %v, want %v", len(got), err, c.kind)
			}
			if err != nil && strings.Contains(err.Error(), "hm=") {
				t.Errorf("the error holds a signature: %v", err)
			}
			if n := f.requests("GET " + cdnRoute); n > 30 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A cold store asks for links fifty at a time, and once for all readers.
func TestGet_SharesRefreshes(t *testing.T) {
	f := start(t, sandbox.Config{})
	var blobs [][]byte
	for i := range 120 {
		blobs = append(blobs, numbered(i, 200))
	}
	refs := f.putAll(blobs...)
	cold := f.again(func(o *discordblob.Options) { o.Gather = 50 * time.Millisecond })
	var wg sync.WaitGroup
	for i, ref := range refs {
		for range 3 {
			wg.Go(func() { f.check(cold, ref, blobs[i]) })
		}
	}
	wg.Wait()
	if n := f.requests("POST " + refreshRoute); n < 3 || n > 5 {
		t.Errorf("360 reads of 120 blobs took %d calls for links, want about 3", n)
	}
	if n := f.requests("GET " + messageRoute); n != 0 {
		t.Errorf("%d messages were read", n)
	}
	before := f.requests("POST " + refreshRoute)
	for i, ref := range refs {
		f.check(cold, ref, blobs[i])
	}
	if n := f.requests("POST " + refreshRoute); n != before {
		t.Errorf("%d more calls for links that are known", n-before)
	}
}

// When a link that looked good is not, all its readers get one fresh one.
func TestGet_SharesForcedRefresh(t *testing.T) {
	f := start(t, sandbox.Config{})
	want := blobtest.Pattern(100_000)
	ref := f.put(want)
	f.sandbox.Faults().Add(sandbox.Rule{Method: "GET", Route: cdnRoute, Action: sandbox.Expire, Times: 10})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { f.check(f.Store, ref, want) })
	}
	wg.Wait()
	// A reader that comes late may have tried the fresh link under the fault.
	if n := f.requests("POST " + refreshRoute); n < 1 || n > 5 {
		t.Errorf("10 readers of one link made %d calls, want few", n)
	}
}

func TestGet_Expiry(t *testing.T) {
	for _, c := range []struct {
		name     string
		lifetime time.Duration
		calls    int64 // for links, for two reads
	}{
		{"long", time.Hour, 0},
		{"in the past", -time.Hour, 2}, // as it looks to a clock that is ahead
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := sandbox.Config{}
			if c.lifetime < 0 {
				cfg.Now = func() time.Time { return time.Now().Add(-48 * time.Hour) }
			}
			f := start(t, cfg)
			want := blobtest.Pattern(1000)
			ref := f.put(want)
			f.check(f.Store, ref, want)
			f.check(f.Store, ref, want)
			if n := f.requests("POST " + refreshRoute); n != c.calls {
				t.Errorf("two reads made %d calls for links, want %d", n, c.calls)
			}
		})
	}
}

// Where refreshing fails, messages tell the links, neighbours with one call.
func TestGet_WithoutRefresh(t *testing.T) {
	for _, c := range []struct {
		name string
		rule sandbox.Rule
	}{
		{"gone", sandbox.Rule{Action: sandbox.Error, Status: 404}},
		{"refused", sandbox.Rule{Action: sandbox.Error, Status: 403}},
		{"empty answer", sandbox.Rule{Action: sandbox.Error, Status: 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, sandbox.Config{Channels: 1})
			var blobs [][]byte
			for i := range 60 {
				blobs = append(blobs, numbered(i, 200))
			}
			refs := f.putAll(blobs...)
			c.rule.Route = refreshRoute
			f.sandbox.Faults().Add(c.rule)
			cold := f.again(func(o *discordblob.Options) { o.Gather = 50 * time.Millisecond })
			var wg sync.WaitGroup
			for i, ref := range refs {
				wg.Go(func() { f.check(cold, ref, blobs[i]) })
			}
			wg.Wait()
			if n := f.requests("GET "+messageRoute) + f.requests("GET "+postRoute); n < 1 || n > 5 {
				t.Errorf("60 links took %d reads of messages, want about 2", n)
			}
			f.check(cold, refs[7], blobs[7]) // remembered
		})
	}
}

func TestGet_Gone(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	deleted, removed := f.put(blobtest.Pattern(300)), f.put([]byte("x"))
	if err := f.sandbox.DeleteMessage(deleted.Message); err != nil {
		t.Fatal(err)
	}
	if err := f.sandbox.RemoveAttachment(removed.Attachment); err != nil {
		t.Fatal(err)
	}
	for name, ref := range map[string]cloud.Ref{
		"deleted":    deleted,
		"removed":    removed,
		"unknown":    {Channel: deleted.Channel, Message: "1", Attachment: "2", Path: "/attachments/1/2/x.bin"},
		"no channel": {Channel: "12345", Message: "1", Attachment: "2", Path: "/attachments/12345/2/x.bin"},
		"empty":      {},
		"odd path":   {Channel: deleted.Channel, Message: "1", Attachment: "2", Path: "//evil.test/x"},
		"other path": {Channel: deleted.Channel, Message: "1", Attachment: "2", Path: "http://evil.test/x"},
	} {
		if _, err := read(t.Context(), f.Store, ref, 0, -1); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("%s: Get = %v, want ErrNotFound", name, err)
		}
	}
}

// Links lead only where they may, whatever Discord's answer says.
func TestGet_ForeignLink(t *testing.T) {
	f := start(t, sandbox.Config{})
	ref := f.put([]byte("x"))
	client := f.newClient(func(o *discord.Options) { o.CDNURL = "http://127.0.0.1:1" })
	s := f.again(func(o *discordblob.Options) { o.Client = client })
	if _, err := read(t.Context(), s, ref, 0, -1); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Get = %v, want ErrUnavailable", err)
	}
	if n := f.requests("GET " + cdnRoute); n != 0 {
		t.Errorf("%d requests to a host that is not allowed", n)
	}
}

// A message that does not show yet is waited for, and one that never does is
// missing in the end.
func TestGet_MessageShowsLate(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	f.opt.Lag = 2 * time.Second
	f.Store = f.again(nil)
	f.sandbox.Faults().Add(sandbox.Rule{Method: "POST", Route: postRoute, Action: sandbox.Lag, Delay: 700 * time.Millisecond})
	want := numbered(1, 1000)
	began := time.Now()
	ref := f.put(want)
	f.check(f.again(nil), ref, want)
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("the message was there after %v: the test is none", took)
	}
	f.sandbox.Faults().Clear()
	if err := f.sandbox.DeleteMessage(ref.Message); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t.Context(), f.again(nil), ref, 0, -1); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}
