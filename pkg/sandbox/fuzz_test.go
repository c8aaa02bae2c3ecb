package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"discordcloud/pkg/sandbox"
)

// handler is a server without a listener, for bytes that no client would send.
func handler(f *testing.F) (*sandbox.Server, http.Handler) {
	s, err := sandbox.Open(sandbox.Config{
		Dir: f.TempDir(), NoSync: true, PublicURL: "http://sandbox.test", Limits: sandbox.Limits{FileSize: 1000, RequestSize: 1 << 20},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	return s, s.Handler()
}

// check demands what holds of every answer of the API.
func check(t *testing.T, res *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode >= 500 {
		t.Errorf("%d: %s", res.StatusCode, b)
	}
	if kind := res.Header.Get("Content-Type"); strings.HasPrefix(kind, "application/json") && !json.Valid(b) {
		t.Errorf("%d with broken JSON: %q", res.StatusCode, b)
	}
	return b
}

func FuzzCreate(f *testing.F) {
	const multi = "multipart/form-data; boundary=b"
	head := "--b\r\nContent-Disposition: form-data; "
	for _, seed := range [][2]string{
		{"application/json", `{"content":"a","nonce":1,"enforce_nonce":true}`},
		{"application/json", `{"attachments":[{"id":"0","filename":"x"}],"embeds":[{}],"message_reference":{"message_id":1}}`},
		{"application/x-www-form-urlencoded", "content=a&tts=1"},
		{multi, head + "name=\"files[0]\"; filename=\"../a b\"\r\nContent-Type: text/plain\r\n\r\ndata\r\n--b--\r\n"},
		{multi, head + "name=\"payload_json\"\r\n\r\n{\"attachments\":[{\"id\":0}]}\r\n" + head + "name=\"files[0]\"; filename=\"x\"\r\n\r\n\r\n--b--"},
		{multi, head + "name=\"file\"; filename*=utf-8''%e6%97%a5.bin\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n--b--"},
		{multi, head + "name=\"files[99999999999]\"; filename=\"\"\r\n\r\n\r\n--b\r\n\r\n--b--"},
		{"multipart/mixed; boundary=\"\"", "--"},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	s, h := handler(f)
	path := "/api/v10/channels/" + s.Channels()[0] + "/messages"
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		req := httptest.NewRequest("POST", path, bytes.NewReader(body))
		req.Header.Set("Authorization", "Bot "+s.Token())
		req.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		b := check(t, w.Result())
		if w.Code != 200 {
			return
		}
		var m message
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for _, a := range m.Attachments {
			got := httptest.NewRecorder()
			h.ServeHTTP(got, httptest.NewRequest("GET", a.URL, nil))
			if got.Code != 200 || int64(got.Body.Len()) != a.Size {
				t.Errorf("%q: %d with %d bytes, want %d", a.Filename, got.Code, got.Body.Len(), a.Size)
			}
			if strings.ContainsAny(a.Filename, "/\\ \"%?#") {
				t.Errorf("file name %q", a.Filename)
			}
		}
	})
}

func FuzzPath(f *testing.F) {
	s, h := handler(f)
	c := s.Channels()[0]
	for _, path := range []string{
		"/api/v10/channels/" + c, "//api/v9//channels/" + c + "/messages?limit=3&before=1", "/attachments/1/2/x?ex=1&is=1&hm=0&", "/api/v99/x", "/",
		"/api/webhooks/1/%2e%2e/messages/%00", "/sandbox/faults", "/gateway", "/attachments/../../x", "/api/v10/guilds/" + s.GuildID() + "/channels",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			f.Add(method, path, "")
		}
	}
	f.Add("GET", "/attachments/1/1/a", "bytes=0-,5-")
	f.Fuzz(func(t *testing.T, method, path, rng string) {
		req, err := http.NewRequest(method, "http://sandbox.test"+path, nil)
		if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/sandbox") || method == "DELETE" && strings.HasSuffix(path, c) {
			t.Skip()
		}
		req.Header.Set("Authorization", "Bot "+s.Token())
		req.Header.Set("Range", rng)
		req.RemoteAddr = "192.0.2.1:1"
		req.Body = http.NoBody
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		check(t, w.Result())
	})
}
