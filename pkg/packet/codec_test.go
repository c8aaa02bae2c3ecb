package packet_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

const uuid = "6ee7df54-28f1-4e3d-a904-0d9dd14e1b57"

// namespaceOf is the namespace of the id in a frame.
func namespaceOf(t *testing.T, raw []byte) packet.Namespace {
	t.Helper()
	var e struct{ ID string }
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	before, _, _ := strings.Cut(e.ID, ":")
	return packet.Namespace(before)
}

func frame(id, data string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"data":%s,"uuid":%q}`, id, data, uuid)
}

// decode decodes the data of a packet that comes from the right side.
func decode(t *testing.T, v packet.Version, id, data string) (packet.Packet, error) {
	t.Helper()
	raw := frame(id, data)
	e, err := packet.Decode(raw, namespaceOf(t, raw), v)
	return e.Data, err
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatalf("%v in %s", err, want)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("encoded\n%s, want\n%s", got, want)
	}
}

// The captured packets of version 1 are accepted, and come back as they were.
func TestDecode_captured(t *testing.T) {
	f, err := os.Open("testdata/v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := make(map[string]bool)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		raw := lines.Bytes()
		e, err := packet.Decode(raw, namespaceOf(t, raw), packet.V1)
		if err != nil {
			t.Errorf("%v: %s", err, raw)
			continue
		}
		seen[e.ID] = true
		if got := e.Data.PacketID(); got != e.ID {
			t.Errorf("data of %s says it is %s", e.ID, got)
		}
		back, err := packet.Encode(e, packet.V1)
		if err != nil {
			t.Errorf("encode %s: %v", e.ID, err)
			continue
		}
		// What is optional and false or null may be left out on the way back.
		want := bytes.ReplaceAll(raw, []byte(`,"use_on_all_uploads":false`), nil)
		same(t, back, want)
	}
	if len(seen) != 47 {
		t.Errorf("%d packets, want all 47 of version 1", len(seen))
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	return b.String()
}

func TestDecode_envelope(t *testing.T) {
	const other = "1aaf2980-4f78-446d-92e6-835b6c29207d"
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	tests := []struct {
		name, raw string
		v         packet.Version
		want      packet.Reason // "" for none
		uuid      string
		reply     string
	}{
		{"plain", `{"id":"generic:boolean","data":{"success":true},"uuid":"` + uuid + `"}`, 1, "", uuid, ""},
		{"reply", `{"id":"generic:boolean","data":{"success":true},"uuid":"` + uuid + `","reply_uuid":"` + other + `"}`, 1, "", uuid, other},
		{"reply to itself", `{"id":"generic:boolean","data":{"success":true},"uuid":"` + uuid + `","reply_uuid":"` + uuid + `"}`, 1, "", uuid, ""},
		{"upper-case uuid", `{"id":"generic:boolean","data":{"success":true},"uuid":"` + strings.ToUpper(uuid) + `"}`, 1, "", "", ""},
		{"no uuid", `{"id":"generic:boolean","data":{"success":true}}`, 1, "", "", ""},
		{"numeric uuid", `{"id":"generic:boolean","data":{"success":true},"uuid":1,"reply_uuid":null}`, 1, "", "", ""},
		{"further fields", `{"id":"generic:boolean","x":[{}],"data":{"success":true}}`, 1, "", "", ""},
		{"white space", " {\t\"id\" :\r\n\"generic:boolean\" , \"data\": { \"success\" : true } } ", 2, "", "", ""},
		{"escaped key", `{"\u0069d":"generic:boolean","data":{"success":true}}`, 2, "", "", ""},
		{"duplicate key, version 1", `{"id":"generic:boolean","data":{"success":"x","success":true}}`, 1, "", "", ""},
		{"duplicate key, version 2", `{"id":"generic:boolean","data":{"success":"x","success":true}}`, 2, packet.NotJSON, "", ""},
		{"empty", ``, 1, packet.NotJSON, "", ""},
		{"no record", `[]`, 1, packet.NotJSON, "", ""},
		{"two records", `{}{}`, 1, packet.NotJSON, "", ""},
		{"cut", `{"id":"generic:boolean","data":{"success":true}`, 1, packet.NotJSON, "", ""},
		{"no UTF-8", "{\"id\":\"generic:boolean\",\"data\":{\"success\":true,\"message\":\"\xe7\"}}", 1, packet.NotJSON, "", ""},
		{"NaN", `{"id":"generic:primitives","data":{"float_value":NaN}}`, 1, packet.NotJSON, "", ""},
		{"deep", `{"id":"generic:boolean","data":{"success":true},"x":` + deep + `}`, 2, packet.NotJSON, "", ""},
		{"very deep", strings.Repeat(`{"a":`, 100000), 1, packet.NotJSON, "", ""},
		{"many values", `{"id":"generic:boolean","data":{"success":true},"x":[` + strings.Repeat("0,", 65530) + `0]}`, 2, "", "", ""},
		{"too many values", `{"id":"generic:boolean","data":{"success":true},"x":[` + strings.Repeat("0,", 65531) + `0]}`, 2, packet.NotJSON, "", ""},
		{"many keys", `{"id":"generic:boolean","data":{"success":true}` + manyKeys(60000) + `}`, 2, "", "", ""},
		{"many keys, one twice", `{"id":"generic:boolean","data":{"success":true}` + manyKeys(60000) + `,"k7":1}`, 2, packet.NotJSON, "", ""},
		{"prototype", `{"id":"generic:boolean","data":{"success":true},"x":{"__proto__":1}}`, 1, packet.NotJSON, "", ""},
		{"escaped prototype", `{"id":"generic:boolean","data":{"success":true},"x":{"__pro\u0074o__":1}}`, 1, packet.NotJSON, "", ""},
		{"constructor", `{"id":"generic:boolean","data":{"constructor":1}}`, 2, packet.NotJSON, "", ""},
		{"half a pair", `{"id":"generic:boolean","data":{"success":true,"message":"\ud83d"}}`, 2, packet.NotJSON, "", ""},
		{"two first halves", `{"id":"generic:boolean","data":{"success":true,"message":"\ud83d\ud83d"}}`, 2, packet.NotJSON, "", ""},
		{"a pair", `{"id":"generic:boolean","data":{"success":true,"message":"\ud83d\ude00\\u\ud83d\ude00"}}`, 2, "", "", ""},
		{"no id", `{"data":{}}`, 1, packet.NotEnvelope, "", ""},
		{"numeric id", `{"id":1,"data":{}}`, 1, packet.NotEnvelope, "", ""},
		{"no data", `{"id":"c2s:ping-services"}`, 1, packet.NotEnvelope, "", ""},
		{"array as data", `{"id":"c2s:ping-services","data":[]}`, 1, packet.NotEnvelope, "", ""},
		{"unknown packet", `{"id":"c2s:nothing","data":{}}`, 1, packet.Unknown, "", ""},
		{"empty id", `{"id":"","data":{}}`, 1, packet.Unknown, "", ""},
		{"of version 2", `{"id":"c2s:uploads-request","data":{}}`, 1, packet.Unknown, "", ""},
		{"of version 1", `{"id":"s2u:upload-abort","data":{}}`, 2, packet.Unknown, "", ""},
		{"wrong way", `{"id":"s2c:upload-overwrite-cancel","data":{}}`, 1, packet.Misdirected, "", ""},
		{"unknown field", `{"id":"c2s:ping-services","data":{"x":null}}`, 1, packet.NotValid, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := packet.Decode([]byte(tt.raw), packet.C2S, tt.v)
			if tt.want == "" {
				if err != nil || e.UUID != tt.uuid || e.ReplyUUID != tt.reply {
					t.Errorf("Decode = %q, %q, %v; want %q, %q", e.UUID, e.ReplyUUID, err, tt.uuid, tt.reply)
				}
				return
			}
			m, ok := errors.AsType[*packet.Malformed](err)
			if !ok || m.Reason != tt.want || !errors.Is(err, cloud.ErrInvalid) {
				t.Errorf("Decode = %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDecode_rules(t *testing.T) {
	const (
		id     = `"upload_id":"191fe977-e5b8-4862-bee3-10bf67d721dd"`
		handle = `"id":4,"name":"z.txt","type":"a/b","has_thumbnail":false,"created_at":null,"updated_at":null,"size":3`
	)
	modify := func(rest string) string { return `{"action":"modify","path":"/","handle":{` + handle + rest + `}}` }
	tests := []struct {
		id, data string
		v1, v2   bool // accepted
	}{
		// Strict file handles.
		{"s2c:file-modify", modify(`,"ownership":{"status":"owned"}`), true, true},
		{"s2c:file-modify", modify(`,"ownership":{"status":"shared","share":{"can_write":true,"file":1,"shared_at":"x","user":2}}`), true, true},
		{"s2c:file-modify", modify(`,"ownership":{"status":"owned"},"thumbnail_url":null`), true, true},
		{"s2c:file-modify", modify(`,"ownership":{"status":"owned","can":"rw"}`), false, false},
		{"s2c:file-modify", modify(`,"ownership":{"status":"owned","share":null}`), false, false},
		{"s2c:file-modify", modify(`,"ownership":{"status":"shared"}`), false, false},
		{"s2c:file-modify", modify(`,"ownership":{"status":"shared","can":"r","share":{"can_write":true,"file":1,"shared_at":"x","user":2}}`), false, false},
		{"s2c:file-modify", modify(`,"ownership":{"status":"owned"},"x":1`), false, false},
		{"s2c:file-modify", strings.Replace(modify(`,"ownership":{"status":"owned"}`), `"created_at":null,`, "", 1), false, false},
		// Replies.
		{"s2c:upload-response", `{` + id + `,"accepted":true,"chunk_size":1,"name":"a","path":"/","upload_address":null,"rejection_reason":null}`, true, true},
		{"s2c:upload-response", `{` + id + `,"accepted":true,"name":"a","path":"/"}`, false, false},
		{"s2c:upload-response", `{"upload_id":"","accepted":true,"chunk_size":1,"name":"a","path":"/"}`, false, false},
		{"s2c:upload-response", `{` + id + `,"accepted":true,"chunk_size":1,"name":"a","path":"/","confirmed":[[0,2],[5,5]],"size":7}`, false, true},
		{"s2c:upload-response", `{` + id + `,"accepted":true,"chunk_size":1,"name":"a","path":"/","confirmed":[[2,0]]}`, false, false},
		{"s2c:upload-response", `{` + id + `,"accepted":true,"chunk_size":1,"name":"a","path":"/","confirmed":[[2]]}`, false, false},
		{"s2c:signed-download", `{"payload":""}`, false, false},
		{"s2c:folder-status", `{"path":"/","exists":true,"file_count":0,"subfolder_count":0,"page_size":1,"folder_id":null}`, true, true},
		{"s2c:folder-status", `{"path":"/","exists":true,"file_count":0,"subfolder_count":0,"page_size":1}`, false, false},
		{"s2c:folder-status", `{"path":"/","exists":true,"file_count":0,"subfolder_count":0,"page_size":0,"folder_id":null}`, false, false},
		{"s2c:list-files", `{"success":true,"path":"/","page":0,"files":[{` + handle + `,"ownership":{"status":"owned","can":"rw"}}]}`, true, true},
		{"s2c:list-files", `{"success":true,"path":"/","page":0,"files":[{` + handle + `,"more":1,"ownership":{"status":"owned","can":"rw","more":1}}]}`, true, true},
		{"s2c:list-files", strings.Replace(`{"success":true,"path":"/","page":0,"files":[{`+handle+`,"ownership":{"status":"owned","can":"rw"}}]}`, "z.txt", "a@b", 1), false, true},
		{"s2c:list-files", strings.Replace(`{"success":true,"path":"/","page":0,"files":[{`+handle+`,"ownership":{"status":"owned","can":"rw"}}]}`, `"size":3`, `"size":1.5`, 1), false, false},
		{"s2c:folder-modify", `{"action":"rename","path":"/b","handle":{"id":1,"name":"b","parent_folder":null},"rename_origin":null}`, true, true},
		{"s2c:folder-modify", `{"action":"rename","path":"/b","handle":{"id":1,"name":"b","parent_folder":null,"x":1}}`, false, false},
		{"s2c:folder-size", `{"total_size":1,"folder_id":1,"types":{"a/b":1,"":0}}`, true, true},
		{"s2c:folder-size", `{"total_size":1,"folder_id":1,"types":{"a/b":"1"}}`, false, false},
		{"s2c:upload-stage-finish", `{` + id + `,"service_disconnect":false}`, false, false},
		{"s2c:user-search", `{"success":true,"results":[{"id":1,"name":""}]}`, false, false},
		// Numbers.
		{"c2s:thumbnail-request", `{"id":1.0}`, true, true},
		{"c2s:thumbnail-request", `{"id":1e3}`, true, true},
		{"c2s:thumbnail-request", `{"id":-0}`, true, true},
		{"c2s:thumbnail-request", `{"id":-1}`, false, false},
		{"c2s:thumbnail-request", `{"id":1.5}`, false, false},
		{"c2s:thumbnail-request", `{"id":9007199254740991}`, true, true},
		{"c2s:thumbnail-request", `{"id":9007199254740992}`, false, false},
		{"c2s:thumbnail-request", `{"id":1e999}`, false, false},
		{"c2s:thumbnail-request", `{"id":"1"}`, false, false},
		{"c2s:thumbnail-request", `{"id":null}`, false, false},
		{"generic:primitives", `{"float_value":1e-3,"integer_value":-3,"boolean_value":null}`, true, true},
		{"generic:primitives", `{"integer_value":0.5}`, false, false},
		// Booleans are no strings and no numbers.
		{"generic:boolean", `{"success":"true"}`, false, false},
		{"generic:boolean", `{"success":1}`, false, false},
		{"generic:boolean", `{}`, false, false},
		// Requests.
		{"c2s:list-request", `{"path":"/","page":0,"type":"files","sort_by":null}`, true, true},
		{"c2s:list-request", `{"path":"/","page":0,"type":"files","sort_by":"type"}`, false, false},
		{"c2s:delete-file", `{"folder_id":null,"name":"a"}`, false, true},
		{"c2s:delete-file", `{"name":"a"}`, false, false},
		{"c2s:move-files", `{"source_id":null,"files":["a"]}`, true, true},
		{"c2s:move-files", `{"files":[]}`, false, false},
		{"c2s:move-files", `{"files":["a",7,"a@b"]}`, true, false},
		{"c2s:user-search-request", `{"query":"seventeenletters1"}`, false, true},
		{"c2s:upload-request", `{"name":"a","path":"/","size":1,"is_public":true,"do_overwrite":null}`, true, true},
		{"c2s:upload-request", `{"name":"a","path":"/","size":0,"is_public":true}`, false, true},
		{"c2s:upload-request", `{"name":"a","path":"/","size":1,"is_public":true,"conflict":"ask"}`, false, true},
		{"c2s:upload-request", `{"name":"a","path":"/","size":1,"is_public":true,"conflict":null}`, false, true},
		{"c2s:upload-request", `{"name":"a","path":"/","size":1,"is_public":true,"conflict":"maybe"}`, false, false},
		{"c2s:upload-request", `{"name":"日本\u200b.txt","path":"/日本","size":1,"is_public":true,"modified_at":-1}`, false, true},
		{"c2s:upload-booking-request", `{"desired_amount":0}`, false, false},
		// Services.
		{"s2u:upload-service-configuration", `{"crypto":{"enabled":true},"discord_bot_token":"x","discord_channel_id":"100000000000000001"}`, false, false},
		{"s2u:upload-service-configuration", `{"crypto":{"enabled":false},"discord_bot_token":"x","discord_channel_id":"1"}`, false, false},
		{"s2u:upload-service-configuration", `{"crypto":{"enabled":false},"discord_bot_token":"","discord_channel_id":"100000000000000001"}`, false, false},
		{"u2s:upload-finish", `{"success":true,"messages":[1]}`, true, false},
		{"s2u:configure", `{"discord_bot_token":"x","discord_channel_ids":[],"attachment_limit":1}`, false, false},
		{"s2u:configure", `{"discord_bot_token":"x","discord_channel_ids":["100000000000000001"],"attachment_limit":1}`, false, true},
		{"s2u:upload-open", `{` + id + `,"object":"00112233445566778899aabbccddeeff","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","size":1,"chunk_size":1}`, false, true},
		{"s2u:upload-open", `{` + id + `,"object":"00112233445566778899aabbccddeeff","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==","size":1,"chunk_size":1}`, false, false},
	}
	for _, tt := range tests {
		for v, want := range map[packet.Version]bool{packet.V1: tt.v1, packet.V2: tt.v2} {
			if _, err := decode(t, v, tt.id, tt.data); (err == nil) != want {
				t.Errorf("version %d: %s %s: %v, want accepted: %v", v, tt.id, tt.data, err, want)
			}
		}
	}
}

func TestDecode_values(t *testing.T) {
	one, yes := int64(1), true
	tests := []struct {
		id, data string
		want     packet.Packet
	}{
		{"c2s:move-files", `{"source_id":1.0,"target_id":null,"files":["x",7,null,{"a":[]}]}`, packet.MoveFiles{SourceID: &one, Files: []string{"x", "", "", ""}}},
		{"c2s:list-request", `{"path":"/ü","page":2,"type":"files","ascending_sort":true}`, packet.ListRequest{Path: "/ü", Page: 2, Type: "files", AscendingSort: &yes}},
		{"c2s:folder-size-request", `{"folder_id":null}`, packet.FolderSizeRequest{}},
		{"c2s:ping-services", `{}`, packet.PingServices{}},
		{"generic:boolean", `{"success":false,"success":true,"message":"a\u0000\"\\\/\n"}`, packet.Boolean{Success: true, Message: "a\x00\"\\/\n"}},
		{"s2c:folder-size", `{"total_size":1e1,"folder_id":1,"types":{"a/b":10}}`, packet.FolderSize{TotalSize: 10, FolderID: &one, Types: map[string]int64{"a/b": 10}}},
	}
	for _, tt := range tests {
		got, err := decode(t, packet.V1, tt.id, tt.data)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s %s = %#v, %v; want %#v", tt.id, tt.data, got, err, tt.want)
		}
	}
}

func TestEncode(t *testing.T) {
	size := int64(3)
	tests := []struct {
		name string
		v    packet.Version
		data packet.Packet
		want string // the data; "" for ErrInvalid
	}{
		{"nil list", 1, packet.ListFiles{Path: "/", Success: true}, `{"path":"/","page":0,"files":[],"success":true}`},
		{"nil map", 1, packet.FolderSize{}, `{"folder_id":null,"total_size":0,"types":{}}`},
		{"no results", 1, packet.UserSearch{}, `{"success":false}`},
		{"empty results", 1, packet.UserSearch{Success: true, Results: []packet.UserResult{}}, `{"success":true,"results":[]}`},
		{"confirmed on version 1", 1, packet.UploadResponse{UploadID: uuid, ChunkSize: 1, Confirmed: []packet.Range{{0, 1}}, Size: &size},
			`{"name":"","path":"","accepted":false,"upload_id":"` + uuid + `","chunk_size":1}`},
		{"confirmed on version 2", 2, packet.UploadResponse{UploadID: uuid, ChunkSize: 1, Confirmed: []packet.Range{{0, 1}}, Size: &size},
			`{"name":"","path":"","accepted":false,"upload_id":"` + uuid + `","chunk_size":1,"confirmed":[[0,1]],"size":3}`},
		{"secret", 2, packet.SignedDownload{Payload: "abc"}, `{"payload":"abc"}`},
		{"markup", 1, packet.Boolean{Message: "<a&b>\u2028\x1f\""}, `{"success":false,"message":"<a&b>\u2028\u001f\""}`},
		{"broken text", 1, packet.Boolean{Message: "a\xffb"}, `{"success":false,"message":"a\ufffdb"}`},
		{"no packet", 1, nil, ""},
		{"pointer", 1, &packet.Boolean{}, ""},
		{"not of the version", 1, packet.Error{Code: "invalid"}, ""},
		{"no longer of the version", 2, packet.UploadAbort{}, ""},
		{"empty where nothing may be", 1, packet.UploadResponse{ChunkSize: 1}, ""},
		{"name that version 1 cannot bear", 1, packet.FolderModify{Path: "/", Action: "add", Handle: packet.FolderHandle{Name: "a:b"}}, ""},
		{"name that version 2 can bear", 2, packet.FolderModify{Path: "/", Action: "add", Handle: packet.FolderHandle{Name: "a:b"}},
			`{"path":"/","action":"add","handle":{"id":0,"name":"a:b","parent_folder":null}}`},
		{"can in a strict handle", 1, packet.FileModify{Path: "/", Action: "add", Handle: packet.FileHandle{Name: "a", Ownership: packet.Ownership{Status: "owned", Can: "rw"}}}, ""},
		{"integer too large", 1, packet.ThumbnailRequest{ID: 1 << 53}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := packet.Encode(packet.Envelope{UUID: uuid, Data: tt.data}, tt.v)
			if tt.want == "" {
				if !errors.Is(err, cloud.ErrInvalid) {
					t.Errorf("Encode = %s, %v; want ErrInvalid", raw, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			same(t, raw, frame(tt.data.PacketID(), tt.want))
		})
	}
	for name, e := range map[string]packet.Envelope{
		"uuid":       {UUID: "x", Data: packet.Boolean{}},
		"reply uuid": {UUID: uuid, ReplyUUID: "x", Data: packet.Boolean{}},
		"itself":     {UUID: uuid, ReplyUUID: uuid, Data: packet.Boolean{}},
	} {
		if _, err := packet.Encode(e, packet.V1); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// Keys and tokens show in none of the ways in which values get into logs.
func TestSecret(t *testing.T) {
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	p := packet.UploadOpen{Key: key, Extension: key}
	var b strings.Builder
	fmt.Fprintf(&b, "%v %+v %#v %s %q %x %d", p, p, p, p.Key, p.Key, p.Key, p.Key)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "packet", p, "key", p.Key)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "packet", p, "key", p.Key)
	if s := b.String(); strings.Contains(s, key[:8]) || strings.Contains(s, fmt.Sprintf("%x", key[:8])) || !strings.Contains(s, "[secret]") {
		t.Errorf("a key shows in %s", s)
	}
	raw, err := packet.Encode(packet.Envelope{Data: packet.UploadOpen{
		UploadID: uuid, Object: strings.Repeat("0", 32), Key: key, Size: 1, ChunkSize: 1,
	}}, packet.V2)
	if err != nil || !bytes.Contains(raw, []byte(`"`+key+`"`)) {
		t.Errorf("Encode = %s, %v; want the key on the wire", raw, err)
	}
}

func TestError(t *testing.T) {
	for _, kind := range []error{cloud.ErrNotFound, cloud.ErrDenied, cloud.ErrUnavailable} {
		err := packet.ErrorOf(cloud.UserErrorf(kind, "told")).Err()
		if !errors.Is(err, kind) || cloud.TextOf(err) != "told" {
			t.Errorf("%v came back as %v", kind, err)
		}
	}
	hidden := packet.ErrorOf(errors.New("the password is x"))
	if hidden.Code != "internal" || strings.Contains(hidden.Message, "password") || cloud.KindOf(hidden.Err()) != nil {
		t.Errorf("unclassified error told as %+v", hidden)
	}
}

func TestNewUUID(t *testing.T) {
	a, b := packet.NewUUID(), packet.NewUUID()
	if !packet.ValidUUID(a) || a == b {
		t.Errorf("NewUUID = %s, then %s", a, b)
	}
	for s, want := range map[string]bool{
		"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee": true, "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE": false,
		"": false, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeeg": false, "aaaaaaaabbbb-cccc-dddd-eeeeeeeeeeee-": false,
	} {
		if packet.ValidUUID(s) != want {
			t.Errorf("ValidUUID(%q) = %v", s, !want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	lines, err := os.ReadFile("testdata/v1.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(lines) {
		f.Add(line, byte(0))
	}
	f.Add([]byte(`{"id":"c2s:upload-request","data":{"name":"a","path":"/","size":1e1,"is_public":true,"type":"\ud83d\ude00"}}`), byte(1))
	f.Add([]byte(`{"id":"generic:primitives","data":{"float_value":-1.5e-7}}`), byte(3))
	namespaces := []packet.Namespace{packet.C2S, packet.S2C, packet.S2U, packet.U2S, packet.S2T, packet.T2S}
	f.Fuzz(func(t *testing.T, raw []byte, pick byte) {
		v := packet.V1 + packet.Version(pick&1)
		for _, from := range namespaces {
			e, err := packet.Decode(raw, from, v)
			if err != nil {
				if _, ok := errors.AsType[*packet.Malformed](err); !ok {
					t.Fatalf("%T: %v", err, err)
				}
				continue
			}
			// Items that version 1 leaves unchecked need not be sendable again;
			// everything else that comes in can go out, and means the same.
			back, err := packet.Encode(e, v)
			if err != nil {
				t.Fatalf("%s decoded but not encoded: %v", raw, err)
			}
			again, err := packet.Decode(back, from, v)
			if err != nil {
				t.Fatalf("%s encoded but not decoded: %v", back, err)
			}
			if e.UUID == "" {
				again.UUID = "" // drawn
			}
			if !reflect.DeepEqual(e, again) {
				t.Fatalf("%+v came back as %+v", e, again)
			}
		}
	})
}

func listing() packet.ListFiles {
	at := "2026-11-20T20:58:02.325000+00:00"
	p := packet.ListFiles{Path: "/docs", Success: true}
	for i := range int64(100) {
		p.Files = append(p.Files, packet.ListedFile{
			ID: i, Name: fmt.Sprintf("holiday %d.jpg", i), Type: "image/jpeg", CreatedAt: &at, UpdatedAt: &at, Size: 1 << 22,
			Ownership: packet.Ownership{Status: packet.StatusOwned, Can: packet.CanReadWrite},
		})
	}
	return p
}

func BenchmarkEncode(b *testing.B) {
	for name, p := range map[string]packet.Packet{"boolean": packet.Boolean{Success: true}, "100 files": listing()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				raw, err := packet.Encode(packet.Envelope{UUID: uuid, Data: p}, packet.V1)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(raw)))
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, p := range map[string]packet.Packet{"boolean": packet.Boolean{Success: true}, "100 files": listing()} {
		raw, err := packet.Encode(packet.Envelope{UUID: uuid, Data: p}, packet.V1)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, err := packet.Decode(raw, packet.S2C, packet.V1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
