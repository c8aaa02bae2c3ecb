package sandbox_test

import (
	"bytes"
	"testing"

	"discordcloud/pkg/sandbox"
)

func TestMessage_RoundTrip(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	data := [][]byte{pattern(0), pattern(1), pattern(1 << 20)}
	m := c.post(append(files(data...), part{field: "payload_json", body: []byte(`{"content":"hi","nonce":"7"}`)})...)
	if m.Content != "hi" || m.Nonce != "7" || len(m.Attachments) != 3 {
		t.Fatalf("posted %+v", m)
	}
	got := decode[message](t, c.want(200, "GET", c.messages()+"/"+m.ID, nil))
	if got.Nonce != nil {
		t.Errorf("nonce %v, want none on reading", got.Nonce)
	}
	for i, a := range got.Attachments {
		if r := c.get(a.URL); r.status != 200 || !bytes.Equal(r.body, data[i]) || a.Size != int64(len(data[i])) {
			t.Errorf("attachment %d: status %d, %d bytes, size %d, want %d", i, r.status, len(r.body), a.Size, len(data[i]))
		}
	}
	c.want(204, "DELETE", c.messages()+"/"+m.ID, nil)
	c.wantCode(404, 10008, "GET", c.messages()+"/"+m.ID, nil)
	if r := c.get(got.Attachments[2].URL); r.status != 404 {
		t.Errorf("deleted attachment: %d, want 404", r.status)
	}
}
