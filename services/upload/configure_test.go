package upload_test

import (
	"slices"
	"strings"
	"testing"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/services/upload"
)

func TestConfigure(t *testing.T) {
	var stores []*shelf
	e := &env{t: t, logs: &logs{}}
	e.start(configuration(), func(c *upload.Config) {
		c.OpenStore = func(p packet.Configure) (upload.Store, error) { // calls come one after the other
			if slices.Contains(p.DiscordChannelIDs, "999999999999999999") {
				return nil, cloud.UserErrorf(cloud.ErrInvalid, "no such channel")
			}
			stores = append(stores, newShelf())
			return stores[len(stores)-1], nil
		}
	})
	configure := func(change func(*packet.Configure)) packet.Boolean {
		t.Helper()
		p := configuration()
		change(&p)
		answer, err := e.conn.Call(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return answer.(packet.Boolean)
	}
	seconds := int64(7)
	if a := configure(func(p *packet.Configure) { p.StallSeconds = &seconds }); !a.Success || len(stores) != 1 {
		t.Errorf("same again: %+v, %d stores", a, len(stores))
	}
	if a := configure(func(p *packet.Configure) { p.DiscordChannelIDs[0] = "999999999999999999" }); a.Success || a.Message != "no such channel" {
		t.Errorf("wrong: %+v", a)
	}
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	release := stores[0].hold()
	posted := later(func() result { return e.sendPart(f, 0) })
	get(t, stores[0].came, "Put")
	if a := configure(func(p *packet.Configure) { p.DiscordChannelIDs[0] = "100000000000000002" }); !a.Success || len(stores) != 2 {
		t.Fatalf("another: %+v, %d stores", a, len(stores))
	}
	if stores[0].closed.Load() {
		t.Error("the store was closed under a part")
	}
	release()
	if r := get(t, posted, "the answer"); r.status != 200 {
		t.Errorf("part on the old store: %v", r)
	}
	e.mustSend(f, 1)
	if stores[0].Len() != 1 || stores[1].Len() != 1 || !stores[0].closed.Load() || stores[1].closed.Load() {
		t.Error("parts went to the wrong store, or the wrong one is closed")
	}
}

// pliable is a store that takes other limits while it is open.
type pliable struct {
	*shelf
	got chan packet.Configure
}

func (p pliable) Adjust(c packet.Configure) { p.got <- c }

// Other limits reach the store that is open; it goes on with what it is doing.
func TestConfigure_limits(t *testing.T) {
	opened, got := 0, make(chan packet.Configure, 1)
	e := &env{t: t, logs: &logs{}}
	e.start(configuration(), func(c *upload.Config) {
		c.OpenStore = func(packet.Configure) (upload.Store, error) {
			opened++ // calls come one after the other
			return pliable{newShelf(), got}, nil
		}
	})
	for i, limit := range []int64{4 << 20, 20 << 20} {
		p, n := configuration(), int64(10+i)
		p.AttachmentLimit, p.RequestsPerSecond = limit, &n
		answer, err := e.conn.Call(t.Context(), p)
		if err != nil || !answer.(packet.Boolean).Success {
			t.Fatalf("configure: %+v, %v", answer, err)
		}
		if c := get(t, got, "the limits"); c.AttachmentLimit != limit || *c.RequestsPerSecond != n || opened != 1 {
			t.Errorf("adjusted to %d bytes and %d requests, %d stores", c.AttachmentLimit, *c.RequestsPerSecond, opened)
		}
	}
}

func TestConfigure_discord(t *testing.T) {
	e := &env{t: t, logs: &logs{}}
	e.start(configuration(), func(*upload.Config) {}) // the default makes a client, and touches no network
	for name, change := range map[string]func(*packet.Configure){
		"token":   func(p *packet.Configure) { p.DiscordBotToken = "has space" },
		"address": func(p *packet.Configure) { p.DiscordAPIURL = "ftp://x" },
	} {
		p := configuration()
		change(&p)
		answer, err := e.conn.Call(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if a := answer.(packet.Boolean); a.Success || a.Message == "" || strings.Contains(a.Message, "has space") {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
