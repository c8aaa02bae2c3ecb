package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"discordcloud/pkg/sandbox"
)

func TestRoutes_Versions(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	for _, tt := range []struct {
		path         string
		status, code int
	}{
		{"/api/users/@me", 200, 0},
		{"/api/v6/users/@me", 200, 0},
		{"/api/v9/users/@me", 200, 0},
		{"/api/v10/users/@me", 200, 0},
		{"//api//v10//users/@me/", 200, 0},
		{"/api/v3/users/@me", 400, 50041},
		{"/api/v5/users/@me", 400, 50041},
		{"/api/v11/users/@me", 400, 50041},
		{"/api/v10/nothing", 404, 0},
		{"/nothing", 404, 0},
		{"/", 404, 0},
	} {
		a := c.do("GET", s.URL()+tt.path, nil)
		if f := decode[failure](t, a); a.status != tt.status || f.Code != tt.code {
			t.Errorf("%s: %d %s, want %d, code %d", tt.path, a.status, a.body, tt.status, tt.code)
		}
	}
	if f := c.wantCode(405, 0, "PUT", "/users/@me", nil); f.Message != "405: Method Not Allowed" {
		t.Errorf("405 says %q", f.Message)
	}
}

// TestRoutes_Authorization asks each route without a token.
func TestRoutes_Authorization(t *testing.T) {
	s := open(t, sandbox.Config{})
	open := map[string]bool{"GET /gateway": true}
	for _, route := range s.Routes() {
		method, pattern, _ := strings.Cut(route, " ")
		if open[route] || strings.Contains(pattern, "{token}") || strings.Contains(pattern, "{file}") {
			continue
		}
		path := strings.NewReplacer("{", "", "}", "").Replace(pattern)
		for _, token := range []string{"", "wrong"} {
			c := client{t, s, token}
			if f := c.wantCode(401, 0, method, path, nil); f.Message != "401: Unauthorized" {
				t.Errorf("%s: %q", route, f.Message)
			}
		}
		req := dial(t, s).request(method, path, nil, "")
		req.Header.Set("Authorization", s.Token()) // without "Bot "
		if a, err := rawRequest(req); err != nil || a.status != 401 {
			t.Errorf("%s with a bare token: %d, %v", route, a.status, err)
		}
	}
}

func TestRoutes_Unknown(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	ch := s.Channels()[0]
	for _, tt := range []struct {
		method, path string
		status, code int
	}{
		{"GET", "/channels/1", 404, 10003},
		{"GET", "/channels/x", 400, 50035},
		{"POST", "/channels/1/messages", 404, 10003},
		{"GET", "/channels/1/messages", 404, 10003},
		{"GET", "/channels/" + ch + "/messages/1", 404, 10008},
		{"GET", "/channels/" + ch + "/messages/99999999999999999999", 400, 50035},
		{"PATCH", "/channels/" + ch + "/messages/1", 404, 10008},
		{"DELETE", "/channels/" + ch + "/messages/1", 404, 10008},
		{"GET", "/guilds/1", 404, 10004},
		{"GET", "/guilds/1/channels", 404, 10004},
		{"GET", "/users/1", 404, 10013},
		{"GET", "/guilds/" + s.GuildID() + "/members/1", 404, 10007},
		{"GET", "/webhooks/1", 404, 10015},
		{"GET", "/webhooks/1/x", 404, 10015},
		{"POST", "/webhooks/1/x", 404, 10015},
		{"DELETE", "/webhooks/1/x/messages/1", 404, 10015},
	} {
		c.wantCode(tt.status, tt.code, tt.method, tt.path, map[string]any{})
	}
}

func TestRoutes_Identity(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	type thing struct {
		ID, Name, Username string
		Bot                any
		Owner              any
		Tier               int `json:"premium_tier"`
		Roles              []struct{ ID, Permissions string }
	}
	me := decode[thing](t, c.want(200, "GET", "/users/@me", nil))
	if me.ID == "" || me.Username == "" || me.Bot != true {
		t.Errorf("me: %+v", me)
	}
	if got := decode[thing](t, c.want(200, "GET", "/users/"+me.ID, nil)); got.ID != me.ID {
		t.Errorf("user: %+v", got)
	}
	for _, path := range []string{"/applications/@me", "/oauth2/applications/@me"} {
		if got := decode[thing](t, c.want(200, "GET", path, nil)); got.ID != me.ID {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if err := s.SetBoostTier(2); err != nil {
		t.Fatal(err)
	}
	g := decode[thing](t, c.want(200, "GET", "/guilds/"+s.GuildID(), nil))
	if g.Name != "discord-cloud sandbox" || g.Tier != 2 || len(g.Roles) != 1 || g.Roles[0].ID != g.ID {
		t.Errorf("guild: %+v", g)
	}
	if gs := decode[[]thing](t, c.want(200, "GET", "/users/@me/guilds", nil)); len(gs) != 1 || gs[0].ID != g.ID || gs[0].Owner != true {
		t.Errorf("guilds: %+v", gs)
	}
	gw := decode[struct {
		URL    string
		Shards int
		Limit  struct{ Total, Remaining int } `json:"session_start_limit"`
	}](t, c.want(200, "GET", "/gateway/bot", nil))
	if want := "ws" + strings.TrimPrefix(s.URL(), "http") + "/gateway"; gw.URL != want || gw.Shards != 1 || gw.Limit.Total != 1000 {
		t.Errorf("gateway: %+v, want %s", gw, want)
	}
}

func TestChannels(t *testing.T) {
	s := open(t, sandbox.Config{Channels: 2})
	c := dial(t, s)
	type channel struct {
		ID, Name      string
		GuildID       string `json:"guild_id"`
		Type          int
		Position      int
		Topic         *string
		LastMessageID *string `json:"last_message_id"`
		Overwrites    []any   `json:"permission_overwrites"`
	}
	list := func() []channel {
		return decode[[]channel](t, c.want(200, "GET", "/guilds/"+s.GuildID()+"/channels", nil))
	}
	if got := list(); len(got) != 2 || got[0].ID != s.Channels()[0] || got[0].GuildID != s.GuildID() {
		t.Fatalf("channels: %+v", got)
	}
	made := decode[channel](t, c.want(201, "POST", "/guilds/"+s.GuildID()+"/channels", map[string]any{
		"name": "Chunk Store", "topic": "t", "permission_overwrites": []any{map[string]any{"id": s.GuildID(), "type": 0, "deny": "1024"}},
	}))
	if made.Name != "chunk-store" || *made.Topic != "t" || made.Position != 2 || len(made.Overwrites) != 1 || made.LastMessageID != nil {
		t.Errorf("made: %+v", made)
	}
	if got := s.Channels(); len(got) != 3 || got[2] != made.ID {
		t.Errorf("Channels() = %v", got)
	}
	path := "/channels/" + made.ID
	edited := decode[channel](t, c.want(200, "PATCH", path, map[string]any{"name": "x", "topic": nil}))
	if edited.Name != "x" || edited.Topic != nil || edited.ID != made.ID {
		t.Errorf("edited: %+v", edited)
	}
	m := decode[message](t, c.multi("POST", path+"/messages", files(pattern(10))...))
	if got := decode[channel](t, c.want(200, "GET", path, nil)); got.LastMessageID == nil || *got.LastMessageID != m.ID {
		t.Errorf("last message: %+v, want %s", got, m.ID)
	}
	for _, body := range []map[string]any{{}, {"name": ""}, {"name": strings.Repeat("a", 101)}, {"name": "a", "type": 99}, {"name": 7}} {
		c.wantCode(400, 50035, "POST", "/guilds/"+s.GuildID()+"/channels", body)
	}
	c.want(200, "DELETE", path, nil)
	c.wantCode(404, 10003, "GET", path+"/messages/"+m.ID, nil)
	if r := c.get(m.Attachments[0].URL); r.status != 404 || len(list()) != 2 {
		t.Errorf("after delete: CDN %d, %d channels", r.status, len(list()))
	}
	if n := filesOnDisk(t, s); n != 0 {
		t.Errorf("%d files left behind", n)
	}
}

func TestWebhooks(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	nobody := client{t, s, ""}
	type webhook struct {
		ID, Name, Token, URL string
		ChannelID            string `json:"channel_id"`
		Type                 int
		User                 any
	}
	path := "/channels/" + s.Channels()[0] + "/webhooks"
	for _, name := range []string{"", "my Discord hook", "CLYDE", strings.Repeat("a", 81)} {
		c.wantCode(400, 50035, "POST", path, map[string]any{"name": name})
	}
	w := decode[webhook](t, c.want(200, "POST", path, map[string]any{"name": "hook"}))
	if w.Type != 1 || w.Token == "" || w.User == nil || !strings.HasSuffix(w.URL, "/"+w.ID+"/"+w.Token) {
		t.Fatalf("made: %+v", w)
	}
	for _, list := range []string{path, "/guilds/" + s.GuildID() + "/webhooks"} {
		if got := decode[[]webhook](t, c.want(200, "GET", list, nil)); len(got) != 1 || got[0].ID != w.ID {
			t.Errorf("%s: %+v", list, got)
		}
	}
	hook := "/webhooks/" + w.ID + "/" + w.Token
	if got := decode[webhook](t, nobody.want(200, "GET", hook, nil)); got.User != nil || got.Name != "hook" {
		t.Errorf("by token: %+v", got)
	}
	nobody.wantCode(401, 50027, "POST", "/webhooks/"+w.ID+"/wrong", map[string]any{"content": "a"})
	nobody.wantCode(401, 0, "GET", "/webhooks/"+w.ID, nil)

	nobody.want(204, "POST", hook, map[string]any{"content": "silent"})
	nobody.wantCode(400, 50006, "POST", hook, map[string]any{})
	nobody.wantCode(400, 50035, "POST", hook+"?wait=maybe", map[string]any{"content": "a"})
	a := nobody.multi("POST", hook+"?wait=true", append(files(pattern(77)), field("payload_json", `{"username":"Me"}`))...)
	m := decode[message](t, a)
	if m.WebhookID != w.ID || m.Author.ID != w.ID || m.Author.Username != "Me" || len(m.Attachments) != 1 {
		t.Fatalf("executed: %s", a.body)
	}
	if r := c.get(m.Attachments[0].URL); r.status != 200 {
		t.Errorf("attachment: %d", r.status)
	}
	own := hook + "/messages/" + m.ID
	nobody.want(200, "GET", own, nil)
	if got := decode[message](t, nobody.want(200, "PATCH", own, map[string]any{"content": "new"})); got.Content != "new" || len(got.Attachments) != 1 {
		t.Errorf("edited: %+v", got)
	}
	theirs := c.post(files(pattern(1))...)
	nobody.wantCode(404, 10008, "GET", hook+"/messages/"+theirs.ID, nil)
	nobody.wantCode(404, 10008, "DELETE", hook+"/messages/"+theirs.ID, nil)
	nobody.want(204, "DELETE", own, nil)
	c.wantCode(404, 10008, "GET", c.messages()+"/"+m.ID, nil)

	if got := decode[webhook](t, c.want(200, "PATCH", "/webhooks/"+w.ID, map[string]any{"name": "n", "channel_id": s.Channels()[1]})); got.Name != "n" ||
		got.ChannelID != s.Channels()[1] {
		t.Errorf("edited: %+v", got)
	}
	for i := range 15 {
		c.want(200, "POST", path, map[string]any{"name": fmt.Sprint("hook", i)})
	}
	c.wantCode(400, 30007, "POST", path, map[string]any{"name": "one too many"})
	nobody.want(204, "DELETE", hook, nil)
	nobody.wantCode(404, 10015, "POST", hook, map[string]any{"content": "a"})
}

func TestHandlers(t *testing.T) {
	s := open(t, sandbox.Config{Handlers: map[string]http.HandlerFunc{
		"GET /channels/{channel}/messages": func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `[{"id":%q}]`, r.PathValue("channel"))
		},
	}})
	c := dial(t, s)
	if got := decode[[]message](t, c.want(200, "GET", "/channels/17/messages", nil)); len(got) != 1 || got[0].ID != "17" {
		t.Errorf("overridden handler: %+v", got)
	}
	c.token = ""
	c.wantCode(401, 0, "GET", "/channels/17/messages", nil)
	if _, err := sandbox.Open(sandbox.Config{Handlers: map[string]http.HandlerFunc{"GET /nothing": nil}}); err == nil {
		t.Error("a handler for no route was taken")
	}
}

func TestUserAgent(t *testing.T) {
	s := open(t, sandbox.Config{Limits: sandbox.Limits{RequireUserAgent: true}})
	c := dial(t, s)
	c.wantCode(403, 40333, "GET", "/users/@me", nil)
	req := c.request("GET", "/users/@me", nil, "")
	req.Header.Set("User-Agent", "DiscordBot (https://example.com, 1)")
	if a, err := rawRequest(req); err != nil || a.status != 200 {
		t.Errorf("with a user agent: %d, %v", a.status, err)
	}
}
