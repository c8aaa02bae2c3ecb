package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/packet"
)

// v1 is a client of version 1 that knows nothing of our code: it sends frames
// as text and reads them as maps.
type v1 struct {
	t    *testing.T
	ctx  context.Context
	base string
	key  string
	ws   *websocket.Conn
	kept []frame // events that came while a reply was awaited
	n    int
}

type frame struct {
	ID    string         `json:"id"`
	Data  map[string]any `json:"data"`
	UUID  string         `json:"uuid"`
	Reply string         `json:"reply_uuid"`
}

func (c *v1) get(path string, query url.Values, want int) []byte {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.ctx, "GET", c.base+path+"?"+query.Encode(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != want {
		c.t.Fatalf("%s: status %d, %v: %s", path, answer.StatusCode, err, body)
	}
	if answer.Header.Get("Access-Control-Allow-Origin") != "*" {
		c.t.Errorf("%s: no Access-Control-Allow-Origin", path)
	}
	return body
}

func (c *v1) read() frame {
	c.t.Helper()
	kind, text, err := c.ws.Read(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(text, &f); err != nil || kind != websocket.MessageText || !packet.ValidUUID(f.UUID) {
		c.t.Fatalf("frame %s: %v", text, err)
	}
	return f
}

// ask sends a packet and gives its reply.
func (c *v1) ask(id, data string) frame {
	c.t.Helper()
	c.n++
	uuid := fmt.Sprintf("aaaaaaaa-bbbb-cccc-dddd-%012d", c.n)
	if err := c.ws.Write(c.ctx, websocket.MessageText, []byte(`{"id":"`+id+`","data":`+data+`,"uuid":"`+uuid+`"}`)); err != nil {
		c.t.Fatal(err)
	}
	for {
		f := c.read()
		if f.Reply == uuid {
			return f
		}
		c.kept = append(c.kept, f)
	}
}

// event gives the next event of one of the ids, in the order they came.
func (c *v1) event(ids ...string) frame {
	c.t.Helper()
	for {
		for i, f := range c.kept {
			for _, id := range ids {
				if f.ID == id {
					c.kept = append(c.kept[:i:i], c.kept[i+1:]...)
					return f
				}
			}
		}
		c.kept = append(c.kept, c.read())
	}
}

// An unmodified client of version 1: it signs in by query, lists, books,
// uploads a file of three chunks, meets a conflict, and downloads.
func TestEndToEnd_version1(t *testing.T) { version1(t, nil) }

func version1(t *testing.T, extra map[string]string) {
	s := startServe(t, extra)
	ctx := withTimeout(t, time.Minute)
	c := &v1{t: t, ctx: ctx, base: s.base}

	// On an empty server the first user needs nobody's leave.
	c.get("/register", url.Values{"username": {"admin"}, "password": {"passphrase1"}}, 200)
	c.get("/register", url.Values{"username": {"eve"}, "password": {"passphrase1"}}, 400)
	var login struct{ Token string }
	if err := json.Unmarshal(c.get("/login", url.Values{"username": {"admin"}, "password": {"passphrase1"}}, 200), &login); err != nil {
		t.Fatal(err)
	}
	c.get("/login", url.Values{"username": {"admin"}, "password": {"password2"}}, 403)
	if body := c.get("/token-status", url.Values{"token": {login.Token}}, 200); string(body) != `{"error":false,"user_id":1}` {
		t.Errorf("token-status: %s", body)
	}
	c.get("/token-status", url.Values{"token": {"a.b.c"}}, 401)
	c.key = login.Token
	watch := signIn(t, s.base, "admin", "passphrase1")
	watch.servicesReady(3)

	ws, _, err := websocket.Dial(ctx, strings.Replace(s.base, "http", "ws", 1)+"/any/path?type=client&key="+login.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.ws = ws
	ws.SetReadLimit(16 << 20)
	defer func() { _ = ws.CloseNow() }()

	status := c.ask("c2s:folder-status-request", `{"path":"/docs"}`)
	if status.ID != "s2c:folder-status" || status.Data["exists"] != false || status.Data["folder_id"] != nil || status.Data["page_size"] != 100.0 {
		t.Errorf("status of a folder that is not there: %+v", status)
	}
	if f := c.ask("c2s:list-request", `{"path":"/docs","page":0,"type":"files"}`); f.ID != "s2c:list-files" || f.Data["success"] != false {
		t.Errorf("listing of a folder that is not there: %+v", f)
	}
	if f := c.ask("c2s:folder-size-request", `{"folder_id":null}`); f.ID != "s2c:folder-size" || f.Data["total_size"] != 0.0 {
		t.Errorf("size of the empty root: %+v", f)
	}
	registry, own := 0, s.base+"/upload/"
	if onBackend() { // where services may be processes of their own
		own = "http://127.0.0.1:"
	}
	for range 4 { // a thumbnail service is among them, which has no address
		f := c.event("s2c:service-registry")
		if f.Data["action"] == "list" && f.Data["service_type"] == "upload" && strings.HasPrefix(f.Data["address"].(string), own) {
			registry++
		}
	}
	if registry != 3 {
		t.Errorf("%d of 3 services were listed with an address of this host", registry)
	}
	if f := c.ask("c2s:upload-booking-request", `{"desired_amount":10}`); f.ID != "s2c:upload-booking" || f.Data["amount"].(float64) < 3 {
		t.Errorf("booking: %+v", f)
	}

	send := func(name string, data content) (id string) {
		t.Helper()
		f := c.ask("c2s:upload-request", fmt.Sprintf(`{"name":%q,"path":"/docs","is_public":true,"size":%d}`, name, data.size))
		if f.ID != "s2c:upload-response" || f.Data["accepted"] != true {
			t.Fatalf("upload-response: %+v", f)
		}
		r := packet.UploadResponse{UploadID: f.Data["upload_id"].(string), UploadAddress: f.Data["upload_address"].(string), ChunkSize: int64(f.Data["chunk_size"].(float64))}
		if err := sendParts(ctx, r, data); err != nil {
			t.Fatal(err)
		}
		if f := c.event("s2c:upload-stage-finish", "s2c:upload-finish-info", "s2c:upload-overwrite-request"); f.ID != "s2c:upload-stage-finish" || f.Data["upload_id"] != r.UploadID {
			t.Errorf("first comes %+v, want upload-stage-finish", f)
		}
		return r.UploadID
	}
	big := content{seed: 3, size: 2*partSize + 5000}
	id := send("up1.bin", big)
	if f := c.event("s2c:upload-finish-info"); f.Data["success"] != true || f.Data["upload_id"] != id || f.Data["rename_target"] != nil {
		t.Errorf("finish-info: %+v", f)
	}
	if f := c.event("s2c:folder-modify"); f.Data["action"] != "add" || f.Data["path"] != "/docs" {
		t.Errorf("folder-modify: %+v", f)
	}
	f := c.event("s2c:file-modify")
	handle := f.Data["handle"].(map[string]any)
	if own := handle["ownership"].(map[string]any); f.Data["action"] != "add" || handle["name"] != "up1.bin" || own["status"] != "owned" || len(own) != 1 {
		t.Errorf("file-modify: %+v", f)
	}

	// The same name again: asked, answered, renamed.
	small := content{seed: 4, size: 77}
	id = send("up1.bin", small)
	if f := c.event("s2c:upload-overwrite-request"); f.Data["upload_id"] != id || f.Data["file_name"] != "up1.bin" || f.Data["file_path"] != "/docs" {
		t.Errorf("overwrite-request: %+v", f)
	}
	if f := c.ask("c2s:upload-booking-clear", `{}`); f.ID != "generic:boolean" || f.Data["success"] != true {
		t.Errorf("booking-clear: %+v", f)
	}
	answer := fmt.Sprintf(`{"id":"c2s:upload-overwrite-response","data":{"upload_id":%q,"action":"rename","use_on_all_uploads":false},"uuid":"e5ff44ba-f683-404e-b4b8-832d65535237"}`, id)
	if err := ws.Write(ctx, websocket.MessageText, []byte(answer)); err != nil {
		t.Fatal(err)
	}
	if f := c.event("s2c:upload-finish-info"); f.Data["success"] != true || f.Data["rename_target"] != "up1 (1).bin" {
		t.Errorf("finish-info after a rename: %+v", f)
	}

	// What this client could not bear is shown under another name, which works.
	watch.connect()
	watch.book(ctx, 1)
	foreign := content{seed: 5, size: 1234}
	if _, err := watch.upload(ctx, "/docs", "日本語.txt", foreign, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	listing := c.ask("c2s:list-request", `{"path":"/docs","page":0,"type":"files","sort_by":"name","ascending_sort":true}`)
	var stand string
	for _, x := range listing.Data["files"].([]any) {
		name := x.(map[string]any)["name"].(string)
		if !packet.ValidNameV1(name) {
			t.Errorf("the listing has a name that drops it whole: %q", name)
		}
		if !strings.HasPrefix(name, "up1") {
			stand = name
		}
	}
	for name, data := range map[string]content{"up1.bin": big, "up1 (1).bin": small, stand: foreign} {
		body := c.get("/download", url.Values{"path": {"/docs"}, "name": {name}, "auth": {c.key}}, 200)
		if sha256.Sum256(body) != data.sum(t) {
			t.Errorf("%q comes back wrong", name)
		}
	}
	if f := c.ask("c2s:rename-file", fmt.Sprintf(`{"path":"/docs","name":%q,"target_name":"plain.txt"}`, stand)); f.Data["success"] != true {
		t.Errorf("rename of a stand-in: %+v", f)
	}
	watch.verify(ctx, "/docs/plain.txt", foreign)

	// A changed password ends every socket of the user.
	c.get("/update-password", url.Values{"username": {"admin"}, "previousPassword": {"passphrase1"}, "newPassword": {"passphrase3"}}, 200)
	began := time.Now()
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			if code := websocket.CloseStatus(err); code != websocket.StatusNormalClosure {
				t.Errorf("closed with %d (%v), want 1000", code, err)
			}
			break
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the socket ended after %s", took)
	}
	c.get("/token-status", url.Values{"token": {c.key}}, 401)
}
