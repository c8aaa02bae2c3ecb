package discordblob_test

import (
	"errors"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/sandbox"
)

func TestRemove(t *testing.T) {
	const bulk = postRoute + "/bulk-delete"
	for _, c := range []struct {
		name string
		rule *sandbox.Rule
		old  bool
		want discordblob.Fate
		bulk bool // it took no single deletions
	}{
		{name: "young", want: discordblob.Removed, bulk: true},
		{name: "old", old: true, want: discordblob.Removed},
		{name: "bulk refused", rule: &sandbox.Rule{Route: bulk, Action: sandbox.Error, Status: 403, Code: 50013}, want: discordblob.Removed},
		{name: "one old id in bulk", rule: &sandbox.Rule{Route: bulk, Action: sandbox.Error, Status: 400, Code: 50034, Times: 1}, want: discordblob.Removed},
		{name: "lost answer", rule: &sandbox.Rule{Method: "POST", Route: bulk, Action: sandbox.Error, Status: 502, After: true, Times: 1}, want: discordblob.Removed},
		{name: "refused", old: true, rule: &sandbox.Rule{Method: "DELETE", Route: messageRoute, Action: sandbox.Error, Status: 403, Code: 50013}, want: discordblob.Refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := sandbox.Config{Channels: 1}
			if c.old {
				cfg.Limits.BulkAge = time.Nanosecond
			}
			f := start(t, cfg)
			var ids []string
			for i := range 12 {
				ids = append(ids, f.put(numbered(i, 100)).Message)
			}
			channel := f.sandbox.Channels()[0]
			token, err := f.sandbox.AddBot("stranger")
			if err != nil {
				t.Fatal(err)
			}
			stranger := f.newClient(func(o *discord.Options) { o.Token = token })
			other := f.again(func(o *discordblob.Options) { o.Client = stranger })
			foreign, err := other.Put(t.Context(), blobtest.Bytes([]byte("not ours")))
			if err != nil {
				t.Fatal(err)
			}
			keep := ids[5]
			ids = append(ids[:5:5], ids[6:]...)
			if c.rule != nil {
				f.sandbox.Faults().Add(*c.rule)
			}
			const missing = "1234567890123456"
			fates, err := f.Remove(t.Context(), channel, append(ids, foreign.Message, missing)...)
			if err != nil {
				t.Fatal(err)
			}
			if fates[foreign.Message] != discordblob.Foreign || fates[missing] != discordblob.Gone {
				t.Errorf("the foreign message is %q, the missing one %q", fates[foreign.Message], fates[missing])
			}
			for _, id := range ids {
				if fates[id] != c.want {
					t.Errorf("message %s is %q, want %q", id, fates[id], c.want)
				}
			}
			left := f.messages()
			want := 2
			if c.want == discordblob.Refused {
				want = 13
			}
			if left[keep] != 1 || left[foreign.Message] != 1 || len(left) != want {
				t.Errorf("%d messages are left, want %d: %v", len(left), want, left)
			}
			if n := f.requests("DELETE " + messageRoute); c.bulk && n > 0 {
				t.Errorf("%d messages were deleted one by one", n)
			}
			if c.want == discordblob.Removed {
				f.sandbox.Faults().Clear()
				again, err := f.Remove(t.Context(), channel, ids...)
				if err != nil || again[ids[0]] != discordblob.Gone {
					t.Errorf("again: %q, %v, want gone", again[ids[0]], err)
				}
			}
		})
	}
}

func TestRemove_ChannelClosed(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	a, b := f.put([]byte("x")), f.put([]byte("y"))
	f.sandbox.Faults().Add(sandbox.Rule{Method: "GET", Route: postRoute, Action: sandbox.Error, Status: 403, Code: 50001})
	fates, err := f.Remove(t.Context(), a.Channel, a.Message, b.Message)
	if !errors.Is(err, cloud.ErrDenied) || len(fates) != 0 {
		t.Errorf("Remove = %v, %v, want ErrDenied", fates, err)
	}
}

func TestRemove_ChannelGone(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	a, b := f.put([]byte("x")), f.put([]byte("y"))
	if err := f.sandbox.DeleteChannel(a.Channel); err != nil {
		t.Fatal(err)
	}
	fates, err := f.Remove(t.Context(), a.Channel, a.Message, b.Message)
	if err != nil || fates[a.Message] != discordblob.Gone || fates[b.Message] != discordblob.Gone {
		t.Errorf("Remove from a channel that is gone = %v, %v", fates, err)
	}
}

func TestPosts(t *testing.T) {
	f := start(t, sandbox.Config{Channels: 1})
	channel := f.sandbox.Channels()[0]
	want := map[string]int64{}
	for i := range 130 {
		want[f.put(numbered(i, 50+i)).Message] = int64(50 + i)
	}
	token, err := f.sandbox.AddBot("stranger")
	if err != nil {
		t.Fatal(err)
	}
	stranger := f.newClient(func(o *discord.Options) { o.Token = token })
	other := f.again(func(o *discordblob.Options) { o.Client = stranger })
	if _, err := other.Put(t.Context(), blobtest.Bytes([]byte("not ours"))); err != nil {
		t.Fatal(err)
	}
	pages := 0
	for after := ""; ; pages++ {
		posts, last, err := f.Posts(t.Context(), channel, after)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range posts {
			if want[p.ID] != p.Size || p.Attachments != 1 {
				t.Errorf("post %+v, want %d bytes", p, want[p.ID])
			}
			delete(want, p.ID)
		}
		if after = last; last == "" {
			break
		}
	}
	if len(want) > 0 || pages != 1 {
		t.Errorf("%d posts were not seen, on %d pages", len(want), pages+1)
	}
}
