package discordblob_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/sandbox"
)

// together puts the blobs into as few messages as they fit.
func (f *fixture) together(n int) []cloud.Ref {
	f.t.Helper()
	f.sandbox.Faults().Add(sandbox.Rule{
		Name: "hold", Method: "POST", Route: postRoute, Action: sandbox.RateLimit, Times: 1, Delay: 200 * time.Millisecond,
	})
	limited := f.client.State().Counts.Limited
	hold := make(chan cloud.Ref)
	go func() { hold <- f.put([]byte("hold")) }()
	f.until(func() bool { return f.client.State().Counts.Limited > limited })
	var blobs [][]byte
	for i := range n {
		blobs = append(blobs, numbered(i, 100))
	}
	refs := f.putAll(blobs...)
	if err := f.Delete(f.t.Context(), <-hold); err != nil {
		f.t.Fatal(err)
	}
	f.sandbox.Faults().Remove("hold")
	return refs
}

func TestDelete_SharedMessage(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	refs := f.together(10)
	if n := len(f.messages()); n != 1 {
		t.Fatalf("ten blobs lie in %d messages, want 1", n)
	}
	// Several at once edit one message; what they leave is right.
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if err := f.Delete(t.Context(), refs[2*i], refs[2*i+1]); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
	}
	wg.Wait()
	for i, ref := range refs {
		if i >= 6 {
			f.check(f.Store, ref, numbered(i, 100))
		} else if _, err := read(t.Context(), f.Store, ref, 0, -1); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("blob %d after Delete: %v, want ErrNotFound", i, err)
		}
	}
	if n := f.requests("DELETE " + messageRoute); n != 1 { // the one that held the others up
		t.Errorf("%d messages were deleted", n)
	}
	// With the last ones the message goes; the earlier ones are missing already.
	if err := f.Delete(t.Context(), refs...); err != nil {
		t.Errorf("Delete of all: %v", err)
	}
	if left := f.messages(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// Many messages take few calls.
func TestDelete_Many(t *testing.T) {
	for _, c := range []struct {
		name string
		rule *sandbox.Rule
		old  bool
	}{
		{name: "young"},
		{name: "old", old: true},
		{name: "bulk deletion refused", rule: &sandbox.Rule{Route: postRoute + "/bulk-delete", Action: sandbox.Error, Status: 403, Code: 50013}},
		{name: "messy lists", rule: &sandbox.Rule{Method: "GET", Route: postRoute, Action: sandbox.MessyList}},
		{name: "deleted in between", rule: &sandbox.Rule{Method: "POST", Route: postRoute + "/bulk-delete", Action: sandbox.Error, Status: 502, After: true, Times: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := sandbox.Config{Channels: 2}
			if c.old {
				cfg.Limits.BulkAge = time.Nanosecond
			}
			f := start(t, cfg)
			var refs []cloud.Ref
			for i := range 30 {
				refs = append(refs, f.put(numbered(i, 100)))
			}
			keep := refs[13]
			refs = append(refs[:13:13], refs[14:]...)
			if c.rule != nil {
				f.sandbox.Faults().Add(*c.rule)
			}
			if err := f.Delete(t.Context(), refs...); err != nil {
				t.Errorf("Delete: %v", err)
			}
			if c.name == "young" {
				if n := f.requests("DELETE " + messageRoute); n > 0 {
					t.Errorf("%d messages were deleted one by one", n)
				}
				if n := f.requests("GET "+messageRoute) + f.requests("GET "+postRoute); n > 4 {
					t.Errorf("%d reads to delete from two channels", n)
				}
			}
			if left := f.messages(); len(left) != 1 || left[keep.Message] != 1 {
				t.Errorf("left: %v, want one in %s", left, keep.Message)
			}
			f.check(f.Store, keep, numbered(13, 100))
		})
	}
}

func TestDelete_ChannelGone(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 2})
	var refs []cloud.Ref
	for i := range 10 {
		refs = append(refs, f.put(numbered(i, 100)))
	}
	if err := f.sandbox.DeleteChannel(refs[0].Channel); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Delete(t.Context(), refs...); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if left := f.messages(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDelete_Refused(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	ref := f.put([]byte("x"))
	f.sandbox.Faults().Add(sandbox.Rule{Method: "DELETE", Route: messageRoute, Action: sandbox.Error, Status: 403, Code: 50013})
	if err := f.Delete(t.Context(), ref); cloud.KindOf(err) != cloud.ErrUnavailable {
		t.Errorf("Delete = %v, want ErrUnavailable", err)
	}
	f.check(f.Store, ref, []byte("x"))
}

// A bot that is not shown what others' messages hold does not delete them, and
// does not say that nothing is there.
func TestDelete_Hidden(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	refs := f.together(2)
	token, err := f.sandbox.AddBot("blind")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.sandbox.SetMessageContent(token, false); err != nil {
		t.Fatal(err)
	}
	client := f.newClient(func(o *discord.Options) { o.Token = token })
	blind := f.again(func(o *discordblob.Options) { o.Client = client })
	if err := blind.Delete(t.Context(), refs[0]); cloud.KindOf(err) != cloud.ErrUnavailable {
		t.Errorf("Delete = %v, want ErrUnavailable", err)
	}
	f.check(blind, refs[0], numbered(0, 100)) // links are to be had all the same
	f.sandbox.Faults().Add(sandbox.Rule{Method: "GET", Route: cdnRoute, Action: sandbox.Expire})
	if _, err := read(t.Context(), blind, refs[0], 0, -1); cloud.KindOf(err) != cloud.ErrUnavailable {
		t.Errorf("Get = %v, want ErrUnavailable", err)
	}
	f.sandbox.Faults().Clear()
	for i, ref := range refs {
		f.check(f.Store, ref, numbered(i, 100))
	}
}
