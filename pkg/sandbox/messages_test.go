package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"mime/multipart"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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

func field(name, value string) part { return part{field: name, body: []byte(value)} }

func TestCreate_Bodies(t *testing.T) {
	s := open(t, sandbox.Config{})
	one, two := pattern(300), pattern(70000)
	f := files(one, two)
	tests := map[string]struct {
		parts   []part
		content string
		names   []string
		sizes   []int64
	}{
		"payload first":    {append([]part{field("payload_json", `{"content":"a"}`)}, f...), "a", []string{"f0.bin", "f1.bin"}, []int64{300, 70000}},
		"payload last":     {append(f[:2:2], field("payload_json", `{"content":"a"}`)), "a", []string{"f0.bin", "f1.bin"}, []int64{300, 70000}},
		"payload between":  {[]part{f[0], field("payload_json", `{"content":"a"}`), f[1]}, "a", []string{"f0.bin", "f1.bin"}, []int64{300, 70000}},
		"files backwards":  {[]part{f[1], f[0]}, "", []string{"f0.bin", "f1.bin"}, []int64{300, 70000}},
		"form fields":      {append(f[:1:1], field("content", "a"), field("tts", "true")), "a", []string{"f0.bin"}, []int64{300}},
		"old name file":    {[]part{{"file", "x.bin", one}}, "", []string{"x.bin"}, []int64{300}},
		"sparse numbers":   {[]part{{"files[7]", "x.bin", one}, {"files[3]", "y.bin", two}}, "", []string{"y.bin", "x.bin"}, []int64{70000, 300}},
		"list picks":       {append(f[:2:2], field("payload_json", `{"attachments":[{"id":1,"description":"d"}]}`)), "", []string{"f1.bin"}, []int64{70000}},
		"list orders":      {append(f[:2:2], field("payload_json", `{"attachments":[{"id":"1"},{"id":0}]}`)), "", []string{"f1.bin", "f0.bin"}, []int64{70000, 300}},
		"list renames":     {append(f[:1:1], field("payload_json", `{"attachments":[{"id":0,"filename":"z.dat"}]}`)), "", []string{"z.dat"}, []int64{300}},
		"nulls are absent": {append(f[:1:1], field("payload_json", `{"content":null,"embeds":null,"components":null,"sticker_ids":null,"attachments":null,"nonce":null}`)), "", []string{"f0.bin"}, []int64{300}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s)
			m := c.post(tt.parts...)
			var names []string
			var sizes []int64
			for _, a := range m.Attachments {
				names, sizes = append(names, a.Filename), append(sizes, a.Size)
				if r := c.get(a.URL); !bytes.Equal(r.body, pattern(int(a.Size))) {
					t.Errorf("%s comes back as other bytes", a.Filename)
				}
			}
			if m.Content != tt.content || !slices.Equal(names, tt.names) || !slices.Equal(sizes, tt.sizes) {
				t.Errorf("got %q %v %v, want %q %v %v", m.Content, names, sizes, tt.content, tt.names, tt.sizes)
			}
		})
	}
	stored, err := s.Attachments()
	if err != nil {
		t.Fatal(err)
	}
	if got := filesOnDisk(t, s); got != len(stored) {
		t.Errorf("%d files on disk for %d attachments", got, len(stored))
	}
}

// filesOnDisk counts the files behind all attachments, kept or not.
func filesOnDisk(t *testing.T, s *sandbox.Server) int {
	t.Helper()
	c := dial(t, s)
	probe := c.post(files([]byte("probe"))...)
	list, err := s.Attachments()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(filepath.Dir(list[len(list)-1].Path))
	c.want(204, "DELETE", c.messages()+"/"+probe.ID, nil)
	n := 0
	if err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCreate_Chunked sends a body without Content-Length, files first, as eris
// does, and more of it than the server may hold in memory.
func TestCreate_Chunked(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	const size = 10 << 20
	pr, pw := io.Pipe()
	mw := multipart.NewWriter(pw)
	go func() {
		pw.CloseWithError(func() error {
			for i := range 4 {
				w, err := mw.CreateFormFile("files["+strconv.Itoa(i)+"]", "c.bin")
				if err != nil {
					return err
				}
				if _, err := w.Write(pattern(size)); err != nil {
					return err
				}
			}
			if err := mw.WriteField("payload_json", `{"content":"late"}`); err != nil {
				return err
			}
			return mw.Close()
		}())
	}()
	a, err := rawRequest(c.request("POST", c.messages(), pr, mw.FormDataContentType()))
	if err != nil {
		t.Fatal(err)
	}
	m := decode[message](t, a)
	if m.Content != "late" || len(m.Attachments) != 4 || m.Attachments[3].Size != size {
		t.Fatalf("got %+v", m)
	}
	if got := s.Stats().BytesIn; got < 4*size {
		t.Errorf("counted %d bytes in, want at least %d", got, 4*size)
	}
}

func TestCreate_Errors(t *testing.T) {
	s := open(t, sandbox.Config{Limits: sandbox.Limits{FileSize: 1000, RequestSize: 20000}})
	eleven := make([][]byte, 11)
	tests := map[string]struct {
		parts        []part
		status, code int
		at           string // path in the tree of errors
	}{
		"empty":             {[]part{field("payload_json", `{}`)}, 400, 50006, ""},
		"blank":             {[]part{field("content", "  ")}, 400, 50006, ""},
		"not JSON":          {[]part{field("payload_json", `{`)}, 400, 50109, ""},
		"not an object":     {[]part{field("payload_json", `[]`)}, 400, 50035, ""},
		"long content":      {[]part{field("content", strings.Repeat("ü", 2001))}, 400, 50035, "content"},
		"content no text":   {[]part{field("payload_json", `{"content":1}`)}, 400, 50035, "content"},
		"long nonce":        {[]part{field("payload_json", `{"content":"a","nonce":"12345678901234567890123456"}`)}, 400, 50035, "nonce"},
		"eleven files":      {files(eleven...), 400, 30015, ""},
		"file too large":    {files(pattern(1001)), 413, 40005, ""},
		"request too large": {files(pattern(900), pattern(900), pattern(19000)), 413, 40005, ""},
		"listed, not sent":  {append(files(pattern(1)), field("payload_json", `{"attachments":[{"id":0},{"id":1}]}`)), 400, 50035, "attachments.1"},
		"listed twice":      {append(files(pattern(1)), field("payload_json", `{"attachments":[{"id":0},{"id":0}]}`)), 400, 50035, "attachments.1"},
		"entry without id":  {append(files(pattern(1)), field("payload_json", `{"attachments":[{}]}`)), 400, 50035, "attachments.0.id"},
		"entry no object":   {append(files(pattern(1)), field("payload_json", `{"attachments":[3]}`)), 400, 50035, "attachments.0"},
		"same number twice": {[]part{{"files[0]", "a", pattern(1)}, {"files[0]", "b", pattern(1)}}, 400, 50035, "files.0"},
		"long file name":    {[]part{{"files[0]", strings.Repeat("a", 1025), pattern(1)}}, 400, 50035, "files.0.filename"},
		"unknown upload":    {[]part{field("payload_json", `{"attachments":[{"id":0,"uploaded_filename":"x/y"}]}`)}, 400, 50146, ""},
		"description too long": {append(files(pattern(1)),
			field("payload_json", `{"attachments":[{"id":0,"description":"`+strings.Repeat("d", 1025)+`"}]}`)), 400, 50035, "attachments.0.description"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s)
			a := c.multi("POST", c.messages(), tt.parts...)
			f := decode[failure](t, a)
			if a.status != tt.status || f.Code != tt.code {
				t.Fatalf("got %d, %s; want %d, code %d", a.status, a.body, tt.status, tt.code)
			}
			var node any = f.Errors
			for step := range strings.SplitSeq(tt.at, ".") {
				if tt.at != "" {
					node = node.(map[string]any)[step]
				}
			}
			if leaf, ok := node.(map[string]any); tt.at != "" && (!ok || leaf["_errors"] == nil) {
				t.Errorf("no error at %s: %s", tt.at, a.body)
			}
		})
	}
	if n := filesOnDisk(t, s); n != 0 {
		t.Errorf("%d files left behind", n)
	}
}

func TestCreate_ContentTypes(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	for _, tt := range []struct {
		kind, body   string
		status, code int
	}{
		{"application/json", `{"content":"a"}`, 200, 0},
		{"application/json; charset=utf-8", `{"content":"a"}`, 200, 0},
		{"application/json", `{"content":"a"`, 400, 50109},
		{"application/json", ``, 400, 50109},
		{"application/x-www-form-urlencoded", "content=a+b", 200, 0},
		{"text/plain", "a", 400, 50035},
		{"", "a", 400, 50035},
		{"multipart/form-data", "a", 400, 50035},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"a\"\r\n\r\ncut", 400, 50035},
	} {
		a, err := rawRequest(c.request("POST", c.messages(), strings.NewReader(tt.body), tt.kind))
		if err != nil {
			t.Fatal(err)
		}
		if f := decode[failure](t, a); a.status != tt.status || f.Code != tt.code {
			t.Errorf("%q %q: got %d %s, want %d, code %d", tt.kind, tt.body, a.status, a.body, tt.status, tt.code)
		}
	}
	if n := filesOnDisk(t, s); n != 0 {
		t.Errorf("%d files left behind", n)
	}
}

func TestFilenames(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	random := regexp.MustCompile(`^[0-9a-f]{16}(\.bin)?$`)
	for _, tt := range []struct{ sent, name, title string }{
		{"00ff.bin", "00ff.bin", ""},
		{"my file.txt", "my_file.txt", "my file"},
		{"a/b\\c.txt", "a_b_c.txt", "a/b\\c"},
		{"..hidden.txt", "hidden.txt", "..hidden"},
		{"größe.png", "gre.png", "größe"},
		{"日本.bin", "*", "日本"},
		{"日本", "*", "日本"},
		{"<script>.html", "script.html", "<script>"},
	} {
		a := c.post(part{"files[0]", tt.sent, pattern(3)}).Attachments[0]
		if ok := a.Filename == tt.name || tt.name == "*" && random.MatchString(a.Filename); !ok || a.Title != tt.title {
			t.Errorf("%q became %q, title %q; want %q, %q", tt.sent, a.Filename, a.Title, tt.name, tt.title)
		}
		if r := c.get(a.URL); r.status != 200 {
			t.Errorf("%q: link answers %d", tt.sent, r.status)
		}
	}
}

func TestList(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	var ids []string
	for range 7 {
		ids = append(ids, decode[message](t, c.want(200, "POST", c.messages(), map[string]any{"content": "x"})).ID)
	}
	if !slices.IsSorted(ids) {
		t.Fatalf("ids are not increasing: %v", ids)
	}
	for _, tt := range []struct {
		query string
		want  []int
	}{
		{"", []int{6, 5, 4, 3, 2, 1, 0}},
		{"?limit=2", []int{6, 5}},
		{"?before=" + ids[3], []int{2, 1, 0}},
		{"?before=0&limit=1", []int{6}},
		{"?before=" + ids[3] + "&limit=2", []int{2, 1}},
		{"?after=" + ids[3] + "&limit=2", []int{5, 4}},
		{"?after=" + ids[6], nil},
		{"?around=" + ids[3] + "&limit=3", []int{4, 3, 2}},
		{"?around=" + ids[3] + "&before=" + ids[1] + "&limit=1", []int{3}},
	} {
		var got []int
		for _, m := range decode[[]message](t, c.want(200, "GET", c.messages()+tt.query, nil)) {
			got = append(got, slices.Index(ids, m.ID))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.query, got, tt.want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?before=x"} {
		c.wantCode(400, 50035, "GET", c.messages()+query, nil)
	}
}

func TestNonce(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now})
	c := dial(t, s)
	post := func(content string, nonce any, enforce bool) message {
		t.Helper()
		return decode[message](t, c.want(200, "POST", c.messages(), map[string]any{"content": content, "nonce": nonce, "enforce_nonce": enforce}))
	}
	a := post("a", "n1", true)
	if b := post("b", "n1", true); b.ID != a.ID || b.Content != "a" {
		t.Errorf("same nonce: got %+v, want message %s", b, a.ID)
	}
	if b := post("b", "n1", false); b.ID == a.ID {
		t.Error("the nonce was enforced unasked")
	}
	if b := post("b", "n2", true); b.ID == a.ID {
		t.Error("another nonce found the message")
	}
	n := post("n", 17, true)
	if b := post("m", 17, true); b.ID != n.ID || b.Nonce != 17.0 {
		t.Errorf("numeric nonce: got %+v, want message %s", b, n.ID)
	}
	clock.add(6 * time.Minute)
	if b := post("b", "n2", true); b.Content != "b" || b.ID == a.ID {
		t.Errorf("the nonce outlived its window: %+v", b)
	}
	token, err := s.AddBot("other")
	if err != nil {
		t.Fatal(err)
	}
	before := post("mine", "n3", true)
	c.token = token
	if b := post("theirs", "n3", true); b.ID == before.ID {
		t.Error("another bot's nonce found the message")
	}
}

// TestNonce_Race sends one nonce many times at once: one message, one file.
func TestNonce_Race(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	body, kind := encode(t, append(files(pattern(5000)), field("payload_json", `{"nonce":"r","enforce_nonce":true}`))...)
	var wg sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		wg.Go(func() {
			a, err := rawRequest(c.request("POST", c.messages(), bytes.NewReader(body), kind))
			if err != nil {
				t.Error(err)
				return
			}
			var m message
			if err := json.Unmarshal(a.body, &m); err != nil {
				t.Error(err)
			}
			ids[i] = m.ID
		})
	}
	wg.Wait()
	if len(slices.Compact(ids)) != 1 {
		t.Errorf("one nonce made several messages: %v", ids)
	}
	if n := filesOnDisk(t, s); n != 1 {
		t.Errorf("%d files on disk, want 1", n)
	}
}

func TestEdit(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	m := c.post(append(files(pattern(10), pattern(20)), field("content", "old"))...)
	path := c.messages() + "/" + m.ID
	edit := func(parts ...part) message {
		t.Helper()
		a := c.multi("PATCH", path, parts...)
		if a.status != 200 {
			t.Fatalf("edit: %d %s", a.status, a.body)
		}
		return decode[message](t, a)
	}
	if got := edit(field("payload_json", `{"content":"new"}`)); got.Content != "new" || got.Edited == nil || len(got.Attachments) != 2 {
		t.Errorf("text: %+v", got)
	}
	if got := edit(files(pattern(30))...); len(got.Attachments) != 3 || got.Content != "new" {
		t.Errorf("append: %+v", got)
	}
	keep := `{"attachments":[{"id":"` + m.Attachments[1].ID + `"},{"id":0}]}`
	got := edit(append(files(pattern(40)), field("payload_json", keep))...)
	if len(got.Attachments) != 2 || got.Attachments[0].ID != m.Attachments[1].ID || got.Attachments[1].Size != 40 {
		t.Errorf("replace: %+v", got)
	}
	if r := c.get(m.Attachments[0].URL); r.status != 404 {
		t.Errorf("removed attachment: %d, want 404", r.status)
	}
	if r := c.get(got.Attachments[1].URL); !bytes.Equal(r.body, pattern(40)) {
		t.Error("new attachment has other bytes")
	}
	c.wantCode(400, 50006, "PATCH", path, map[string]any{"content": "", "attachments": []any{}})

	token, err := s.AddBot("other")
	if err != nil {
		t.Fatal(err)
	}
	other := client{t, s, token}
	other.wantCode(403, 50005, "PATCH", path, map[string]any{"content": "mine"})
	if a := other.multi("PATCH", path, files(pattern(1))...); a.status != 403 {
		t.Errorf("another bot's file: %d %s", a.status, a.body)
	}
	other.want(200, "PATCH", path, map[string]any{"flags": 4})
	if n := filesOnDisk(t, s); n != 2 {
		t.Errorf("%d files on disk, want 2", n)
	}
}

func TestBulkDelete(t *testing.T) {
	clock := newClock()
	s := open(t, sandbox.Config{Now: clock.Now})
	c := dial(t, s)
	post := func() string { return c.post(files(pattern(9))...).ID }
	old := post()
	clock.add(15 * 24 * time.Hour)
	a, b, kept := post(), post(), post()
	path := c.messages() + "/bulk-delete"
	bulk := func(ids ...string) map[string]any { return map[string]any{"messages": ids} }
	many := make([]string, 101)
	for i := range many {
		many[i] = strconv.Itoa(i + 1)
	}
	c.wantCode(400, 50016, "POST", path, bulk(a))
	c.wantCode(400, 50016, "POST", path, bulk(many...))
	c.wantCode(400, 50034, "POST", path, bulk(a, old))
	c.wantCode(400, 50035, "POST", path, bulk(a, a))
	c.wantCode(400, 50035, "POST", path, bulk(a, "x"))
	c.want(200, "GET", c.messages()+"/"+a, nil)
	missing := strconv.FormatInt(func() int64 { n, _ := strconv.ParseInt(kept, 10, 64); return n + 1 }(), 10)
	c.want(204, "POST", path, bulk(a, b, missing))
	if list := decode[[]message](t, c.want(200, "GET", c.messages(), nil)); len(list) != 2 {
		t.Errorf("%d messages are left, want 2", len(list))
	}
	if n := filesOnDisk(t, s); n != 2 {
		t.Errorf("%d files on disk, want 2", n)
	}
}

// TestMessageContent has a bot without the intent see no more than its own.
func TestMessageContent(t *testing.T) {
	s := open(t, sandbox.Config{})
	c := dial(t, s)
	theirs := c.post(append(files(pattern(1)), field("payload_json", `{"content":"secret","embeds":[{"title":"t"}]}`))...)
	token, err := s.AddBot("blind")
	if err != nil {
		t.Fatal(err)
	}
	blind := client{t, s, token}
	see := func(m string) message { return decode[message](t, blind.want(200, "GET", c.messages()+"/"+m, nil)) }
	if got := see(theirs.ID); got.Content != "secret" || len(got.Attachments) != 1 || len(got.Embeds) != 1 {
		t.Errorf("with the intent: %+v", got)
	}
	if err := s.SetMessageContent(token, false); err != nil {
		t.Fatal(err)
	}
	if got := see(theirs.ID); got.Content != "" || len(got.Attachments)+len(got.Embeds) != 0 {
		t.Errorf("without the intent: %+v", got)
	}
	me := decode[struct{ ID string }](t, blind.want(200, "GET", "/users/@me", nil)).ID
	mention := decode[message](t, c.want(200, "POST", c.messages(), map[string]any{"content": "<@" + me + ">"}))
	if got := see(mention.ID); got.Content == "" {
		t.Error("a mention is hidden")
	}
	if own := blind.post(files(pattern(1))...); len(see(own.ID).Attachments) != 1 {
		t.Error("the bot's own message is hidden")
	}
}
