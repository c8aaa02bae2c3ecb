package upload_test

import (
	"strings"
	"sync"
	"testing"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/sandbox"
	"discordcloud/services/upload"
)

// newDiscord starts a service that posts to a sandbox, as the manager's
// configuration alone tells it to, and gives a store to read back from.
func newDiscord(t testing.TB, limit int64, change func(*upload.Config)) (*env, *discordblob.Store, *sandbox.Server) {
	t.Helper()
	box, err := sandbox.Open(sandbox.Config{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	url, err := box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(url, "http://")
	client, err := discord.New(discord.Options{Token: box.Token(), APIURL: url + "/api/v10", CDNURL: url, CDNHosts: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	store, err := discordblob.New(discordblob.Options{Client: client, Channels: box.Channels()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	e := &env{t: t, logs: &logs{}}
	e.start(packet.Configure{
		DiscordBotToken: packet.Secret(box.Token()), DiscordChannelIDs: box.Channels(),
		DiscordAPIURL: url + "/api/v10", DiscordCDNHosts: []string{host}, AttachmentLimit: limit,
	}, func(c *upload.Config) {
		if change != nil {
			change(c)
		}
	})
	return e, store, box
}

func TestDiscord(t *testing.T) {
	e, store, _ := newDiscord(t, 10<<20, nil)
	files := make([]*file, 4)
	var clients sync.WaitGroup
	for n := range files {
		f := newFile(t, blobtest.Pattern(3*2*leaf+n), 2*leaf)
		files[n] = f
		f.mustOpen(t, e.conn)
		for i := range f.parts() {
			clients.Go(func() {
				if r := e.sendPart(f, i); r.status != 200 {
					t.Errorf("file %d part %d: %v", n, i, r)
				}
			})
		}
	}
	clients.Wait()
	for _, f := range files {
		f.verify(t, e.m, store)
	}
}

func TestDiscord_limitFalls(t *testing.T) {
	const limit = 2 << 20
	e, store, box := newDiscord(t, limit, nil)
	f := newFile(t, blobtest.Pattern(4<<20), chunk.PlainMax(limit))
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)
	box.SetFileLimit(1 << 20)
	for i := 1; i < f.parts(); i++ {
		e.mustSend(f, i)
	}
	f.verify(t, e.m, store)
	// The manager hears of it: it knows no better, and other services neither.
	if limit := e.m.limit(); limit != 1<<20 {
		t.Errorf("the manager was told of a limit of %d bytes", limit)
	}
}
