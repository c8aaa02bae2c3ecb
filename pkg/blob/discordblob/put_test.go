package discordblob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/sandbox"
)

const (
	postRoute    = "/channels/{channel}/messages"
	messageRoute = "/channels/{channel}/messages/{message}"
	refreshRoute = "/attachments/refresh-urls"
	cdnRoute     = "/attachments/{channel}/{attachment}/{file}"
)

func TestNew_Options(t *testing.T) {
	c, err := discord.New(discord.Options{Token: "a.b.c"})
	if err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]discordblob.Options{
		"no client":     {Channels: []string{"1"}},
		"no channel":    {Client: c},
		"empty channel": {Client: c, Channels: []string{"1", ""}},
	} {
		if _, err := discordblob.New(opt); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%s: New = %v, want ErrInvalid", name, err)
		}
	}
}

// messages counts the stored attachments of each message.
func (f *fixture) messages() map[string]int {
	f.t.Helper()
	all, err := f.sandbox.Attachments()
	if err != nil {
		f.t.Fatal(err)
	}
	n := make(map[string]int)
	for _, a := range all {
		n[a.MessageID]++
	}
	return n
}

// Chunks that wait for a channel share messages, and Discord never has to say
// that it is too much.
func TestPut_TravelTogether(t *testing.T) {
	f := start(t, sandbox.Config{Mode: sandbox.Strict, Scale: 8, Channels: 1}, func(o *discord.Options) {
		// As the sandbox's windows are: else answers that a busy machine delays
		// look like those of another window.
		o.Posts = discord.Rate{Limit: 5, Per: 625 * time.Millisecond}
	})
	var blobs [][]byte
	for i := range 65 {
		blobs = append(blobs, numbered(i, 1000+i))
	}
	refs := f.putAll(blobs...)
	messages := f.messages()
	// At most five go at once with what has come by then; 60 need six messages.
	if n := len(messages); n < 7 || n > 11 {
		t.Errorf("65 chunks travelled in %d messages, want about 11", n)
	}
	for id, n := range messages {
		if n > 10 {
			t.Errorf("message %s has %d attachments", id, n)
		}
	}
	if s := f.sandbox.Stats(); s.RateLimited != 0 {
		t.Errorf("%d requests were refused by rate limits", s.RateLimited)
	}
	for i, ref := range refs {
		f.check(f.Store, ref, blobs[i])
	}
}

// The size of a request bounds what travels together.
func TestPut_RequestSize(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1, Limits: sandbox.Limits{RequestSize: 100_000}}, func(o *discord.Options) { o.RequestLimit = 100_000 })
	var blobs [][]byte
	for i := range 20 {
		blobs = append(blobs, numbered(i, 30_000))
	}
	refs := f.putAll(blobs...)
	shared := 0
	for id, n := range f.messages() {
		if n > 3 {
			t.Errorf("message %s has %d attachments of 30 KB, want at most 3", id, n)
		}
		if n > 1 {
			shared++
		}
	}
	if shared == 0 {
		t.Error("no message was shared")
	}
	if n := f.sandbox.Stats().Statuses[413]; n != 0 {
		t.Errorf("%d requests were too large", n)
	}
	for i, ref := range refs {
		f.check(f.Store, ref, blobs[i])
	}
}

// While one channel is at work, another takes what comes.
func TestPut_Spreads(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 4})
	f.sandbox.SetLink(sandbox.Link{Latency: 200 * time.Millisecond})
	used := make(chan string, 4)
	for i := range cap(used) {
		go func() {
			ref, err := f.Put(t.Context(), blobtest.Bytes(numbered(i, 500)))
			if err != nil {
				t.Errorf("Put: %v", err)
			}
			used <- ref.Channel
		}()
		f.until(func() bool { return f.client.State().Counts.Requests == int64(i+1) })
	}
	channels := make(map[string]bool)
	for range cap(used) {
		channels[<-used] = true
	}
	if len(channels) != 4 {
		t.Errorf("four blobs lie in %d channels, want in 4", len(channels))
	}
}

func TestPut_Faults(t *testing.T) {
	post := func(r sandbox.Rule) sandbox.Rule {
		r.Method, r.Route = "POST", postRoute
		return r
	}
	for _, c := range []struct {
		name  string
		rules []sandbox.Rule
		twice bool // the fault may leave a message that nobody refers to
	}{
		{"429", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.RateLimit, Times: 3, Delay: 30 * time.Millisecond})}, false},
		{"429 shared", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.RateLimit, Times: 3, Scope: "shared", Delay: 30 * time.Millisecond})}, false},
		{"429 global", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.RateLimit, Times: 2, Scope: "global", Delay: 30 * time.Millisecond})}, false},
		{"429 page", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.RateLimit, Times: 2, Scope: "html"})}, false},
		{"429 without headers", []sandbox.Rule{
			post(sandbox.Rule{Action: sandbox.NoHeaders}),
			post(sandbox.Rule{Action: sandbox.RateLimit, Times: 2, Delay: 30 * time.Millisecond}),
		}, false},
		{"429 after the message", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.RateLimit, Times: 2, After: true, Delay: 30 * time.Millisecond})}, false},
		{"429 half of the time", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.RateLimit, Probability: 0.5, Delay: 10 * time.Millisecond})}, false},
		{"500", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Error, Times: 3})}, false},
		{"503 page", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Error, Status: 503, HTML: true, Times: 3})}, false},
		{"502 after the message", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Error, Status: 502, After: true, Times: 3})}, false},
		{"reset", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Drop, Times: 3})}, false},
		{"reset in the body", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Drop, At: 20_000, Times: 3})}, false},
		{"reset after the message", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Drop, After: true, Times: 3})}, false},
		{"answer cut", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Truncate, At: 100, Times: 3})}, false},
		{"answer cut, chunked", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Truncate, At: 100, Length: "chunked", Times: 3})}, false},
		{"answer short", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Truncate, At: 100, Length: "short", Times: 3})}, false},
		{"answer without attachments", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.NoAttachments, Times: 3})}, false},
		{"answer with wrong sizes", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.WrongSize, Times: 3})}, false},
		{"renamed", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Rename})}, false},
		{"answer with 1 MB of the unknown", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.Pad, At: 1 << 20})}, false},
		{"other bucket each time", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.NewBucket})}, false},
		{"no headers", []sandbox.Rule{post(sandbox.Rule{Action: sandbox.NoHeaders})}, false},
		{"nonce ignored", []sandbox.Rule{
			post(sandbox.Rule{Action: sandbox.IgnoreNonce}),
			post(sandbox.Rule{Action: sandbox.Drop, After: true, Times: 2}),
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, sandbox.Config{Channels: 2})
			f.sandbox.Faults().Add(c.rules...)
			var blobs [][]byte
			for i := range 12 {
				blobs = append(blobs, numbered(i, 30_000+i))
			}
			refs := f.putAll(blobs...)
			for name, n := range f.sandbox.Faults().Counts() {
				if n == 0 {
					t.Errorf("fault %s never happened", name)
				}
			}
			f.sandbox.Faults().Clear()
			for i, ref := range refs {
				f.check(f.Store, ref, blobs[i])
			}
			stored := 0
			for _, n := range f.messages() {
				stored += n
			}
			if stored != len(blobs) && !c.twice {
				t.Errorf("%d attachments are stored for %d blobs", stored, len(blobs))
			}
			if bans := f.sandbox.Stats().Bans; bans != 0 {
				t.Errorf("banned")
			}
		})
	}
}

// What does not go away ends in an error of the right kind.
func TestPut_LastingFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		rule sandbox.Rule
		want error
	}{
		{"500", sandbox.Rule{Action: sandbox.Error}, cloud.ErrUnavailable},
		{"resets", sandbox.Rule{Action: sandbox.Drop}, cloud.ErrUnavailable},
		{"redirect", sandbox.Rule{Action: sandbox.Redirect, Text: "http://127.0.0.1:1/"}, cloud.ErrUnavailable},
		{"429", sandbox.Rule{Action: sandbox.RateLimit, Delay: time.Millisecond}, cloud.ErrUnavailable},
		{"429 for an hour", sandbox.Rule{Action: sandbox.RateLimit, Delay: time.Hour}, cloud.ErrUnavailable},
		{"403", sandbox.Rule{Action: sandbox.Error, Status: 403, Code: 50013}, cloud.ErrUnavailable},
		{"400", sandbox.Rule{Action: sandbox.Error, Status: 400, Code: 50035}, cloud.ErrInvalid},
		{"5 MB of JSON", sandbox.Rule{Action: sandbox.Pad, At: 5 << 20}, cloud.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, sandbox.Config{Channels: 2})
			c.rule.Method, c.rule.Route = "POST", postRoute
			f.sandbox.Faults().Add(c.rule)
			_, err := f.Put(t.Context(), blobtest.Bytes("x"))
			if cloud.KindOf(err) != c.want {
				t.Errorf("Put = %v, want %v", err, c.want)
			}
		})
	}
}

func TestPut_ChannelsDown(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 3})
	channels := f.sandbox.Channels()
	if err := f.sandbox.DeleteChannel(channels[0]); err != nil {
		t.Fatal(err)
	}
	f.sandbox.Faults().Add(sandbox.Rule{
		Method: "POST", Route: postRoute, Channel: channels[1], Action: sandbox.Error, Status: 403, Code: 50013,
	})
	var blobs [][]byte
	for i := range 30 {
		blobs = append(blobs, numbered(i, 100))
	}
	for i, ref := range f.putAll(blobs...) {
		if ref.Channel != channels[2] {
			t.Errorf("blob %d lies in channel %s, which is down", i, ref.Channel)
		}
	}
	if s := f.client.State(); len(s.Channels) != 2 || s.Counts.Refused > 10 {
		t.Errorf("channels down %+v, %d requests refused", s.Channels, s.Counts.Refused)
	}

	if err := f.sandbox.DeleteChannel(channels[2]); err != nil {
		t.Fatal(err)
	}
	before := f.sandbox.Stats().Statuses[404]
	for range 3 {
		_, err := f.Put(t.Context(), blobtest.Bytes("x"))
		if cloud.KindOf(err) != cloud.ErrUnavailable || !errors.Is(err, discord.ErrChannelDown) {
			t.Errorf("Put = %v, want ErrUnavailable and ErrChannelDown", err)
		}
	}
	if n := f.sandbox.Stats().Statuses[404] - before; n > 1 {
		t.Errorf("a deleted channel was asked %d times", n)
	}
}

func TestPut_TokenRevoked(t *testing.T) {
	f := start(t, sandbox.Config{})
	ref := f.put([]byte("before"))
	if _, err := f.sandbox.RevokeToken(f.sandbox.Token()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := f.Put(t.Context(), blobtest.Bytes("x")); !errors.Is(err, discord.ErrBlocked) || cloud.KindOf(err) != cloud.ErrUnavailable {
			t.Errorf("Put = %v, want ErrBlocked", err)
		}
	}
	if n := f.sandbox.Stats().Statuses[401]; n != 1 {
		t.Errorf("%d requests with the refused token, want 1", n)
	}
	f.check(f.Store, ref, []byte("before")) // its link is still good
}

func TestPut_LimitLowered(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	if got := f.Limit(); got != 10<<20 {
		t.Errorf("Limit = %d, want 10 MiB", got)
	}
	if _, err := f.Put(t.Context(), blobtest.Bytes(make([]byte, 10<<20+1))); !errors.Is(err, cloud.ErrTooLarge) {
		t.Errorf("Put of 10 MiB and 1 byte = %v, want ErrTooLarge", err)
	}
	if n := f.requests("POST " + postRoute); n != 0 {
		t.Errorf("%d requests for what is known to be too large", n)
	}
	full := blobtest.Pattern(10 << 20)
	ref := f.put(full)
	f.sandbox.SetFileLimit(8 << 20)

	// Many at once, some too large: those that fit arrive all the same.
	var wg sync.WaitGroup
	for i := range 20 {
		size := 50_000
		if i%4 == 0 {
			size = 8<<20 + 1
		}
		wg.Go(func() {
			b := numbered(i, size)
			ref, err := f.Put(t.Context(), blobtest.Bytes(b))
			if size > 8<<20 {
				if !errors.Is(err, cloud.ErrTooLarge) {
					t.Errorf("Put of %d bytes = %v, want ErrTooLarge", size, err)
				}
				return
			}
			if err != nil {
				t.Errorf("Put of %d bytes: %v", size, err)
				return
			}
			f.check(f.Store, ref, b)
		})
	}
	wg.Wait()
	if got := f.Limit(); got != 8<<20 {
		t.Errorf("Limit = %d, want 8 MiB", got)
	}
	if got := f.client.Limits().Request; got != 25<<20 {
		t.Errorf("the limit of a request is %d, want 25 MiB still", got)
	}
	f.put(blobtest.Pattern(8 << 20))
	f.check(f.Store, ref, full) // what is stored stays readable
}

// tripBody tells whether it is read after its Put has returned.
type tripBody struct {
	blobtest.Bytes
	over  atomic.Bool
	t     *testing.T
	first chan struct{} // closed at the first read
	once  *sync.Once
}

func (b *tripBody) Open() io.Reader { return &tripReader{b, b.Bytes.Open()} }

type tripReader struct {
	b *tripBody
	r io.Reader
}

func (r *tripReader) Read(p []byte) (int, error) {
	if r.b.over.Load() {
		r.b.t.Error("body read after Put returned")
	}
	r.b.once.Do(func() { close(r.b.first) })
	return r.r.Read(p[:min(len(p), 4096)])
}

// One of several Puts that travel together is cancelled: the message goes on as it
// is, with its bytes, so that it is not sent a second time in another shape.
func TestPut_CancelOne(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	// The channel is held up until all wait, and then reads slowly.
	f.sandbox.Faults().Add(sandbox.Rule{Method: "POST", Route: postRoute, Action: sandbox.RateLimit, Times: 1, Delay: 300 * time.Millisecond})
	hold := make(chan error, 1)
	go func() {
		_, err := f.Put(t.Context(), blobtest.Bytes("hold"))
		hold <- err
	}()
	f.until(func() bool { return f.client.State().Counts.Limited == 1 })
	f.sandbox.SetLink(sandbox.Link{Up: 4 << 20})

	body := &tripBody{Bytes: blobtest.Pattern(1 << 20), t: t, first: make(chan struct{}), once: new(sync.Once)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan cloud.Ref, 1)
	go func() {
		ref, err := f.Put(ctx, body)
		body.over.Store(true)
		if err != nil {
			t.Errorf("Put = %v", err)
		}
		done <- ref
	}()
	var blobs [][]byte
	for i := range 5 {
		blobs = append(blobs, numbered(i, 100_000))
	}
	refs := make(chan []cloud.Ref)
	go func() { refs <- f.putAll(blobs...) }()
	<-body.first
	cancel()
	left := <-done
	f.check(f.Store, left, body.Bytes)
	for i, ref := range <-refs {
		f.check(f.Store, ref, blobs[i])
		if ref.Message != left.Message {
			t.Errorf("blob %d is in the message %s, what was cancelled in %s", i, ref.Message, left.Message)
		}
	}
	if err := <-hold; err != nil {
		t.Errorf("the first Put: %v", err)
	}
}

// until waits for a condition that another goroutine brings about.
func (f *fixture) until(cond func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatal("the condition never came true")
		}
	}
}

// A limit that Discord had lowered for a while is the old one again.
func TestPut_LimitRisesAgain(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1}, func(o *discord.Options) {
		o.AttachmentLimit, o.LimitRetry = 1<<20, 100*time.Millisecond
	})
	f.sandbox.Faults().Add(sandbox.Rule{Name: "small", Method: "POST", Route: postRoute, Action: sandbox.FileLimit, At: 512 << 10})
	large := blobtest.Bytes(blobtest.Pattern(1 << 20))
	for f.sandbox.Faults().Counts()["small"] < 3 { // refused by Discord, not only by what is known
		if _, err := f.Put(t.Context(), large); !errors.Is(err, cloud.ErrTooLarge) {
			t.Fatalf("Put = %v, want ErrTooLarge", err)
		}
	}
	f.sandbox.Faults().Clear()
	f.until(func() bool { return f.Limit() == 1<<20 })
	f.check(f.Store, f.put(large), large)
}

// Cancelling all Puts of a channel that is held up leaves nothing behind, and
// the next one is not theirs.
func TestPut_CancelAll(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	f.sandbox.Faults().Add(sandbox.Rule{Method: "POST", Route: postRoute, Action: sandbox.RateLimit, Delay: 300 * time.Millisecond})
	ctx, cancel := context.WithCancelCause(t.Context())
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := f.Put(ctx, blobtest.Bytes(numbered(i, 1000))); !errors.Is(err, cloud.ErrShutdown) {
				t.Errorf("Put = %v, want the cause", err)
			}
		})
	}
	f.until(func() bool { return f.client.State().Counts.Limited > 0 })
	cancel(cloud.ErrShutdown)
	wg.Wait()
	f.sandbox.Faults().Clear()
	f.check(f.Store, f.put([]byte("next")), []byte("next"))
}

func TestStore_Close(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	f.sandbox.Faults().Add(sandbox.Rule{Method: "POST", Route: postRoute, Action: sandbox.RateLimit, Delay: 10 * time.Second})
	var wg sync.WaitGroup
	for i := range 15 {
		wg.Go(func() {
			if _, err := f.Put(t.Context(), blobtest.Bytes(numbered(i, 1000))); !errors.Is(err, cloud.ErrShutdown) {
				t.Errorf("Put = %v, want ErrShutdown", err)
			}
		})
	}
	f.until(func() bool { return f.client.State().Counts.Limited > 0 })
	if err := f.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	wg.Wait()
	if _, err := f.Put(t.Context(), blobtest.Bytes("x")); !errors.Is(err, cloud.ErrShutdown) {
		t.Errorf("Put after Close = %v, want ErrShutdown", err)
	}
}

// Text, names and order give nothing away.
func TestPut_Anonymous(t *testing.T) {
	f := start(t, sandbox.Config{})
	f.put([]byte("x"))
	f.put([]byte("x"))
	all, err := f.sandbox.Attachments()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d attachments, %v", len(all), err)
	}
	var names []string
	for _, a := range all {
		name, ok := strings.CutSuffix(a.Filename, ".bin")
		if !ok || strings.Trim(name, "0123456789abcdef") != "" {
			t.Errorf("name %q", a.Filename)
		}
		names = append(names, name)
	}
	if names[0] == names[1] {
		t.Error("names repeat")
	}
}

func TestStore_Parallel(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 4})
	f.Store = f.again(func(o *discordblob.Options) { o.Resumes = 10 }) // short reads, often cut
	f.sandbox.Faults().Add(
		sandbox.Rule{Action: sandbox.RateLimit, Probability: 0.05, Delay: 5 * time.Millisecond},
		sandbox.Rule{Action: sandbox.Drop, Probability: 0.05, After: true},
		sandbox.Rule{Action: sandbox.Error, Probability: 0.05, Status: 503},
		sandbox.Rule{Method: "GET", Route: cdnRoute, Action: sandbox.Truncate, Probability: 0.1},
		sandbox.Rule{Method: "GET", Route: cdnRoute, Action: sandbox.Expire, Probability: 0.02},
	)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var refs []cloud.Ref
			for j := range 6 {
				want := numbered(100*i+j, 20_000+1000*j)
				ref, err := f.Put(t.Context(), blobtest.Bytes(want))
				if err != nil {
					t.Errorf("Put: %v", err)
					continue
				}
				got, err := read(t.Context(), f.Store, ref, 5000, 10_000)
				if err != nil || !bytes.Equal(got, want[5000:15_000]) {
					t.Errorf("Get = %d bytes, %v", len(got), err)
				}
				refs = append(refs, ref)
			}
			if err := f.Delete(t.Context(), refs...); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
	}
	wg.Wait()
	if left := f.messages(); len(left) > 0 {
		t.Errorf("%d messages are left: %v", len(left), fmt.Sprint(left))
	}
}
