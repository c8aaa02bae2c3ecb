package sandbox_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"

	"discordcloud/pkg/sandbox"
)

// rewrite sends what is meant for Discord to a server.
type rewrite struct{ to *url.URL }

func (rt rewrite) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host, req.Host = rt.to.Scheme, rt.to.Host, rt.to.Host
	return http.DefaultTransport.RoundTrip(req)
}

func session(t *testing.T, s *sandbox.Server) *discordgo.Session {
	t.Helper()
	to, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	dg, err := discordgo.New("Bot " + s.Token())
	if err != nil {
		t.Fatal(err)
	}
	dg.Client = &http.Client{Transport: rewrite{to}}
	return dg
}

func TestDiscordgo_REST(t *testing.T) {
	s := open(t, sandbox.Config{Mode: sandbox.Live, Scale: 100})
	dg := session(t, s)
	me, err := dg.User("@me")
	if err != nil || !me.Bot {
		t.Fatalf("User = %+v, %v", me, err)
	}
	channel := s.Channels()[0]
	if p, err := dg.UserChannelPermissions(me.ID, channel); err != nil || p&discordgo.PermissionAttachFiles == 0 {
		t.Errorf("UserChannelPermissions = %b, %v", p, err)
	}
	var ids []string
	for i := range 7 {
		data := pattern(10000 + i)
		m, err := dg.ChannelMessageSendComplex(channel, &discordgo.MessageSend{
			Content: "chunk",
			Files: []*discordgo.File{
				{Name: "a.bin", Reader: bytes.NewReader(data)}, {Name: "b.bin", ContentType: "text/plain", Reader: bytes.NewReader(data[1:])},
			},
		})
		if err != nil || len(m.Attachments) != 2 || m.Attachments[0].Size != len(data) || m.Timestamp.IsZero() {
			t.Fatalf("send %d: %+v, %v", i, m, err)
		}
		res, err := http.Get(m.Attachments[1].URL)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(res.Body); err != nil || !bytes.Equal(got.Bytes(), data[1:]) {
			t.Errorf("attachment of %d: %d bytes, %v", i, got.Len(), err)
		}
		_ = res.Body.Close()
		ids = append(ids, m.ID)
	}
	list, err := dg.ChannelMessages(channel, 5, ids[6], "", "")
	if err != nil || len(list) != 5 || list[0].ID != ids[5] || list[4].ID != ids[1] {
		t.Errorf("ChannelMessages: %d messages, %v", len(list), err)
	}
	if m, err := dg.ChannelMessageEdit(channel, ids[0], "edited"); err != nil || m.Content != "edited" || m.EditedTimestamp == nil {
		t.Errorf("ChannelMessageEdit = %+v, %v", m, err)
	}
	if err := dg.ChannelMessageDelete(channel, ids[0]); err != nil {
		t.Error(err)
	}
	if err := dg.ChannelMessagesBulkDelete(channel, ids[1:]); err != nil {
		t.Error(err)
	}
	_, err = dg.ChannelMessage(channel, ids[1])
	if rest, ok := errors.AsType[*discordgo.RESTError](err); !ok || rest.Message.Code != discordgo.ErrCodeUnknownMessage {
		t.Errorf("ChannelMessage of a deleted one: %v", err)
	}
	ch, err := dg.GuildChannelCreateComplex(s.GuildID(), discordgo.GuildChannelCreateData{Name: "new"})
	if err != nil || ch.Name != "new" {
		t.Errorf("GuildChannelCreateComplex = %+v, %v", ch, err)
	}
	hook, err := dg.WebhookCreate(channel, "hook", "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := dg.WebhookExecute(hook.ID, hook.Token, true, &discordgo.WebhookParams{
		Files: []*discordgo.File{{Name: "w.bin", Reader: bytes.NewReader(pattern(10))}},
	})
	if err != nil || len(m.Attachments) != 1 {
		t.Errorf("WebhookExecute = %+v, %v", m, err)
	}
	if g, err := dg.Guild(s.GuildID()); err != nil || g.OwnerID != me.ID {
		t.Errorf("Guild = %+v, %v", g, err)
	}
}

func TestDiscordgo_RateLimit(t *testing.T) {
	s := open(t, sandbox.Config{})
	s.Faults().Add(sandbox.Rule{Action: sandbox.RateLimit, Delay: 30 * time.Millisecond, To: 2})
	dg := session(t, s)
	dg.ShouldRetryOnRateLimit = false
	_, err := dg.User("@me")
	if limit, ok := errors.AsType[*discordgo.RateLimitError](err); !ok || limit.RetryAfter != 30*time.Millisecond {
		t.Errorf("User = %v, want a rate limit of 30ms", err)
	}
	dg.ShouldRetryOnRateLimit = true
	if _, err := dg.User("@me"); err != nil {
		t.Errorf("User after the limit: %v", err)
	}
}

func TestDiscordgo_Gateway(t *testing.T) {
	s := open(t, sandbox.Config{})
	dg := session(t, s)
	dg.Identify.Intents = discordgo.IntentsGuilds | discordgo.IntentsGuildMessages | discordgo.IntentMessageContent
	guilds, messages, resumed := make(chan *discordgo.GuildCreate, 9), make(chan *discordgo.MessageCreate, 9), make(chan struct{}, 9)
	dg.AddHandler(func(_ *discordgo.Session, g *discordgo.GuildCreate) { guilds <- g })
	dg.AddHandler(func(_ *discordgo.Session, m *discordgo.MessageCreate) { messages <- m })
	dg.AddHandler(func(*discordgo.Session, *discordgo.Resumed) { resumed <- struct{}{} })
	if err := dg.Open(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := dg.Close(); err != nil {
			t.Error(err)
		}
	}()
	if g := within(t, guilds); g.ID != s.GuildID() || len(g.Channels) != 4 || len(g.Members) != 1 {
		t.Errorf("GuildCreate: %+v", g.Guild)
	}
	channel := s.Channels()[0]
	exchange := func(content string) {
		t.Helper()
		sent, err := dg.ChannelMessageSendComplex(channel, &discordgo.MessageSend{
			Content: content, Files: []*discordgo.File{{Name: "a.bin", Reader: bytes.NewReader(pattern(10))}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if m := within(t, messages); m.ID != sent.ID || m.Content != content || len(m.Attachments) != 1 || m.GuildID != s.GuildID() {
			t.Errorf("MessageCreate: %+v", m.Message)
		}
	}
	exchange("one")
	if c, err := dg.State.Channel(channel); err != nil || c.GuildID != s.GuildID() {
		t.Errorf("State.Channel = %+v, %v", c, err)
	}
	s.Reconnect()
	within(t, resumed)
	exchange("two")
}

func within[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
