package sandbox_test

import (
	"testing"
	"time"

	"discordcloud/pkg/sandbox"
)

// control calls the sandbox's own controls.
func (c client) control(status int, method, path string, v any) answer {
	c.Helper()
	return c.want(status, method, c.s.URL()+"/sandbox"+path, v)
}

func TestAdmin_Faults(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	c.control(200, "POST", "/faults", []map[string]any{
		{"name": "storm", "action": "rate-limit", "route": "/channels/*", "delay": 1.5, "times": 2},
		{"action": "error", "status": 503, "route": "/users/@me"},
	})
	if f := decode[failure](t, c.want(429, "GET", c.messages(), nil)); f.RetryAfter != 1.5 {
		t.Errorf("answer: %+v", f)
	}
	got := decode[struct {
		Rules  []sandbox.Rule
		Counts map[string]int
	}](t, c.control(200, "GET", "/faults", nil))
	if len(got.Rules) != 2 || got.Rules[0].Delay != 1500*time.Millisecond || got.Rules[1].Name == "" || got.Counts["storm"] != 1 {
		t.Errorf("faults: %+v", got)
	}
	c.control(200, "DELETE", "/faults?name=storm", nil)
	c.want(200, "GET", c.messages(), nil)
	c.want(503, "GET", "/users/@me", nil)
	c.control(200, "DELETE", "/faults", nil)
	c.want(200, "GET", "/users/@me", nil)
	for _, bad := range []any{
		[]map[string]any{{"action": "explode"}}, []map[string]any{{"action": "drop", "chance": 1}}, map[string]any{"action": "drop"},
	} {
		c.control(400, "POST", "/faults", bad)
	}
}

func TestAdmin_Settings(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	type settings struct {
		Mode         string
		Scale        float64
		Limits       sandbox.Limits
		LinkLifetime float64 `json:"link_lifetime"`
		Latency      float64
		Down         int64
	}
	if got := decode[settings](t, c.control(200, "GET", "/settings", nil)); got.Mode != "off" || got.Scale != 1 || got.LinkLifetime != 86400 ||
		got.Limits.Attachments != 10 || got.Limits.Buckets[sandbox.BucketCreate].Limit != 5 {
		t.Errorf("settings: %+v", got)
	}
	got := decode[settings](t, c.control(200, "PATCH", "/settings", map[string]any{
		"mode": "strict", "scale": 4, "limits": map[string]any{"file_size": 8 << 20, "buckets": map[string]any{"message-create": map[string]any{"limit": 1, "per": 8e9}}},
		"link_lifetime": 60, "latency": 0.001, "down": 1 << 30, "boost_tier": 3,
	}))
	if got.Mode != "strict" || got.Scale != 4 || got.Limits.FileSize != 8<<20 || got.LinkLifetime != 60 || got.Latency != 0.001 || got.Down != 1<<30 {
		t.Errorf("settings: %+v", got)
	}
	if h := headers(t, c.want(200, "POST", c.messages(), text("x"))); h.limit != 1 || h.after <= 1 || h.after > 2 {
		t.Errorf("bucket: %+v", h)
	}
	token := decode[struct{ Token string }](t, c.control(200, "POST", "/bots", map[string]any{"name": "b"})).Token
	c.control(200, "PATCH", "/settings", map[string]any{"message_content": map[string]any{"token": token, "on": false}})
	for _, bad := range []map[string]any{
		{"mode": "odd"}, {"scale": 0}, {"boost_tier": 9}, {"message_content": map[string]any{"token": "x"}}, {"unknown": 1},
	} {
		c.control(400, "PATCH", "/settings", bad)
	}
}

func TestAdmin_Inspect(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	m := c.post(files(pattern(10), pattern(20))...)
	list := decode[[]sandbox.StoredAttachment](t, c.control(200, "GET", "/attachments", nil))
	if len(list) != 2 || list[1].Size != 20 || list[0].MessageID != m.ID || list[0].Created.IsZero() {
		t.Errorf("attachments: %+v", list)
	}
	c.control(200, "POST", "/corrupt", map[string]any{"attachment": list[0].ID, "at": 3})
	if got := c.get(m.Attachments[0].URL).body; got[3] != 2 {
		t.Errorf("corrupted: %v", got)
	}
	c.control(200, "DELETE", "/attachments/"+list[1].ID, nil)
	if a := c.get(m.Attachments[1].URL); a.status != 404 {
		t.Errorf("removed: %d", a.status)
	}
	c.control(200, "DELETE", "/messages/"+m.ID, nil)
	c.wantCode(404, 10008, "GET", c.messages()+"/"+m.ID, nil)
	st := decode[sandbox.Stats](t, c.control(200, "GET", "/stats", nil))
	if st.Requests["POST /channels/{channel}/messages"] != 1 || st.Statuses[404] != 2 || st.BytesIn < 30 || st.BytesOut == 0 {
		t.Errorf("stats: %+v", st)
	}
	g, _ := ready(t, s, s.Token(), 1)
	c.control(200, "POST", "/reconnect", nil)
	g.want(7, "")
	c.control(200, "POST", "/invalidate?resumable=true", nil)
	g.want(9, "")
	c.control(200, "POST", "/unban", nil)
	if a := c.control(200, "GET", "", nil); len(a.body) == 0 {
		t.Error("no overview")
	}
	c.control(404, "GET", "/nothing", nil)
	c.control(404, "DELETE", "/messages/1", nil)
	for _, token := range []string{"", "wrong"} {
		client{t, s, token}.control(401, "GET", "/stats", nil)
	}
}
