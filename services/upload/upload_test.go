package upload_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/services/upload"
)

func TestUpload_sizes(t *testing.T) {
	const c = 2 * leaf
	e := newEnv(t, nil)
	for _, size := range []int{1, leaf, c - 1, c, c + 1, 2 * c, 2*c + 500} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			f := newFile(t, blobtest.Pattern(size), c)
			f.mustOpen(t, e.conn)
			for i := f.parts() - 1; i >= 0; i-- { // backwards, as any order will do
				r := e.sendPart(f, i)
				if r.status != http.StatusOK || r.body != strconv.Itoa(i) || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
					t.Fatalf("part %d: %v, %v", i, r, r.header)
				}
				if e.m.partsOf(f.UploadID) != f.parts()-i {
					t.Fatal("answered before the manager has recorded the part")
				}
			}
			f.verify(t, e.m, e.store)
			closeUpload(t, e.conn, f)
		})
	}
}

func closeUpload(t testing.TB, conn *packet.Conn, f *file) {
	t.Helper()
	answer, err := conn.Call(t.Context(), packet.UploadClose{UploadID: f.UploadID})
	if err != nil || answer != (packet.Boolean{Success: true}) {
		t.Fatalf("close = %v, %v", answer, err)
	}
}

func TestUpload_fieldOrder(t *testing.T) {
	e := newEnv(t, nil)
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			f := newFile(t, blobtest.Pattern(3*leaf+7), 2*leaf)
			f.mustOpen(t, e.conn)
			for i := range f.parts() {
				all := []field{idField(f), chunkField(i), fileField(f.part(i))}
				r := e.post(all[order[0]], all[order[1]], all[order[2]], field{name: "extra", value: []byte("ignored")})
				if r.status != http.StatusOK {
					t.Fatalf("part %d: %v", i, r)
				}
			}
			f.verify(t, e.m, e.store)
			closeUpload(t, e.conn, f)
		})
	}
}

func TestUpload_statuses(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(2*leaf+10), leaf)
	f.mustOpen(t, e.conn)
	other := newFile(t, blobtest.Pattern(1), leaf)
	contentType, whole := form(idField(f), chunkField(0), fileField(f.part(0)))
	for _, tc := range []struct {
		name   string
		fields []field
		kind   string // Content-Type, where it is not that of fields
		body   string
		want   int
	}{
		{name: "unknown upload", fields: []field{idField(other), chunkField(0), fileField(f.part(0))}, want: 400},
		{name: "unknown upload, file first", fields: []field{fileField(f.part(0)), idField(other), chunkField(0)}, want: 400},
		{name: "no id", fields: []field{chunkField(0), fileField(f.part(0))}, want: 400},
		{name: "two ids", fields: []field{idField(f), idField(f), chunkField(0), fileField(f.part(0))}, want: 400},
		{name: "no chunk", fields: []field{idField(f), fileField(f.part(0))}, want: 400},
		{name: "two chunks", fields: []field{idField(f), chunkField(0), chunkField(0), fileField(f.part(0))}, want: 400},
		{name: "chunk -1", fields: []field{idField(f), chunkField(-1), fileField(f.part(0))}, want: 400},
		{name: "chunk 3 of 3", fields: []field{idField(f), chunkField(3), fileField(f.part(0))}, want: 400},
		{name: "chunk 3 of 3, file first", fields: []field{fileField(f.part(0)), chunkField(3), idField(f)}, want: 400},
		{name: "chunk x", fields: []field{idField(f), {name: "chunk", value: []byte("x")}, fileField(f.part(0))}, want: 400},
		{name: "chunk +1", fields: []field{idField(f), {name: "chunk", value: []byte("+1")}, fileField(f.part(0))}, want: 400},
		{name: "chunk empty", fields: []field{idField(f), {name: "chunk"}, fileField(f.part(0))}, want: 400},
		{name: "chunk huge", fields: []field{idField(f), {name: "chunk", value: bytes.Repeat([]byte("9"), 5000)}, fileField(f.part(0))}, want: 400},
		{name: "no file", fields: []field{idField(f), chunkField(0)}, want: 400},
		{name: "empty file", fields: []field{idField(f), chunkField(0), fileField(nil)}, want: 400},
		{name: "one byte short", fields: []field{idField(f), chunkField(0), fileField(f.part(0)[1:])}, want: 400},
		{name: "one byte short, and a field behind it", fields: []field{idField(f), chunkField(0), fileField(f.part(0)[1:]), {name: "x", value: make([]byte, 1000)}}, want: 400},
		{name: "short, and a second file behind it", fields: []field{idField(f), chunkField(0), fileField(f.part(0)[:1000]), fileField(f.part(0))}, want: 400},
		{name: "one byte more", fields: []field{idField(f), chunkField(2), fileField(make([]byte, 11))}, want: 400},
		{name: "a chunk more", fields: []field{idField(f), chunkField(2), fileField(f.part(0))}, want: 400},
		{name: "one byte more, file first", fields: []field{fileField(make([]byte, 11)), idField(f), chunkField(2)}, want: 400},
		{name: "longer than any chunk, file first", fields: []field{fileField(make([]byte, leaf+1)), idField(f), chunkField(0)}, want: 400},
		{name: "longer than any chunk", fields: []field{idField(f), chunkField(0), fileField(make([]byte, 3*leaf))}, want: 400},
		{name: "two files", fields: []field{idField(f), chunkField(0), fileField(f.part(0)), fileField(f.part(0))}, want: 500},
		{name: "another file", fields: []field{idField(f), {name: "x", file: "x", value: []byte("x")}}, want: 500},
		{name: "endless field", fields: []field{idField(f), {name: "x", value: make([]byte, 200<<10)}, chunkField(0), fileField(f.part(0))}, want: 500},
		{name: "not a form", kind: "application/json", body: "{}", want: 400},
		{name: "no type", kind: "", body: "x", want: 400},
		{name: "no boundary", kind: "multipart/form-data", body: "x", want: 400},
		{name: "boundary too long", kind: "multipart/form-data; boundary=" + strings.Repeat("b", 71), body: "x", want: 400},
		{name: "another multipart", kind: "multipart/mixed; boundary=b", body: "--b--\r\n", want: 400},
		{name: "empty body", kind: contentType, body: "", want: 500},
		{name: "no end", kind: contentType, body: string(whole[:len(whole)-40]), want: 500},
		{name: "cut in the file", kind: contentType, body: string(whole[:len(whole)/2]), want: 500},
		{name: "junk", kind: contentType, body: strings.Repeat("junk", 1000), want: 500},
		{name: "junk header", kind: "multipart/form-data; boundary=b", body: "--b\r\n:::\x00\r\n\r\n\r\n--b--\r\n", want: 500},
		{name: "endless header", kind: "multipart/form-data; boundary=b", body: "--b\r\nA: " + strings.Repeat("a", 300<<10) + "\r\n\r\n\r\n--b--\r\n", want: 500},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r result
			if tc.fields != nil {
				kind, body := form(tc.fields...)
				r = e.send(kind, struct{ io.Reader }{bytes.NewReader(body)}) // without saying how long it is
			} else {
				r = e.send(tc.kind, strings.NewReader(tc.body))
			}
			if r.status != tc.want || !strings.Contains(r.body, `{"error":"`) || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
				t.Errorf("got %v, want %d and JSON", r, tc.want)
			}
			checkCORS(t, r.header)
		})
	}
	if r := e.post(idField(f), chunkField(0), fileField(make([]byte, 3*leaf))); r.status != 400 {
		t.Errorf("a body that says that it is too long: %v, want 400", r)
	}
	for i := range f.parts() { // none of that was in the way
		e.mustSend(f, i)
	}
	f.verify(t, e.m, e.store)
}

func checkCORS(t *testing.T, h http.Header) {
	t.Helper()
	for _, key := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"} {
		if h.Get(key) != "*" {
			t.Errorf("%s = %q", key, h.Get(key))
		}
	}
}

func TestUpload_methods(t *testing.T) {
	e := newEnv(t, nil)
	for method, want := range map[string]int{"OPTIONS": 200, "GET": 404, "HEAD": 404, "PUT": 404, "DELETE": 404} {
		req, err := http.NewRequestWithContext(t.Context(), method, e.url+"/any/path?q", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", method, resp.StatusCode, want)
		}
		checkCORS(t, resp.Header)
	}
}

func TestUpload_noneOpen(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	for _, fields := range [][]field{
		{idField(f), chunkField(0), fileField(f.part(0))},
		{fileField(f.part(0)), idField(f), chunkField(0)},
	} {
		if r := e.post(fields...); r.status != 400 || !strings.Contains(r.body, "error") {
			t.Errorf("got %v, want 400", r)
		}
	}
}

func TestUpload_repeats(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)
	e.mustSend(f, 0)
	if n := e.store.Len(); n != 1 {
		t.Errorf("%d blobs for a part sent twice", n)
	}
	other := bytes.Clone(f.part(0))
	other[leaf-1] ^= 1
	if r := e.post(idField(f), chunkField(0), fileField(other)); r.status != http.StatusConflict {
		t.Errorf("other bytes: %v, want 409", r)
	}
	e.mustSend(f, 1)
	closeUpload(t, e.conn, f)
	f.verify(t, e.m, e.store)
	// The answer to the last part may have been lost.
	e.mustSend(f, 1)
	if r := e.post(idField(f), chunkField(1), fileField(other)); r.status != http.StatusConflict {
		t.Errorf("other bytes after the end: %v, want 409", r)
	}
}

func TestUpload_closed(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)

	release := e.store.hold()
	defer release()
	<-e.store.came // of part 0
	posted := later(func() result { return e.sendPart(f, 1) })
	get(t, e.store.came, "Put")
	closeUpload(t, e.conn, f)
	if r := get(t, posted, "the answer"); r.status != 400 {
		t.Errorf("part of a closed upload: %v, want 400", r)
	}
	if r := e.sendPart(f, 1); r.status != 400 {
		t.Errorf("part after the end: %v, want 400", r)
	}
	closeUpload(t, e.conn, f) // again does no harm
	if e.m.partsOf(f.UploadID) != 1 {
		t.Error("a part was reported after the end")
	}
}

func TestUpload_inFlightTwice(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	other := bytes.Clone(f.content)
	other[0]++

	release := e.store.hold()
	first := later(func() result { return e.sendPart(f, 0) })
	get(t, e.store.came, "Put")
	same := later(func() result { return e.sendPart(f, 0) })
	differs := later(func() result { return e.post(idField(f), chunkField(0), fileField(other)) })
	release()
	if r := get(t, first, "the first answer"); r.status != 200 {
		t.Errorf("first: %v", r)
	}
	if r := get(t, same, "the second answer"); r.status != 200 {
		t.Errorf("same bytes: %v", r)
	}
	if r := get(t, differs, "the third answer"); r.status != 409 {
		t.Errorf("other bytes: %v", r)
	}
	if n := e.store.Len(); n != 1 {
		t.Errorf("%d blobs for one part", n)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_secondTakesOver(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	e.store.FailNext(memblobPut, 1, fmt.Errorf("%w: Discord is ill", cloud.ErrUnavailable))
	release := e.store.hold()
	first := later(func() result { return e.sendPart(f, 0) })
	get(t, e.store.came, "Put")
	second := later(func() result { return e.sendPart(f, 0) })
	release()
	if r := get(t, first, "the first answer"); r.status != 500 || strings.Contains(r.body, "Discord is ill") {
		t.Errorf("first: %v, want 500 without particulars", r)
	}
	if r := get(t, second, "the second answer"); r.status != 200 {
		t.Errorf("second: %v", r)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_split(t *testing.T) {
	for name, silent := range map[string]bool{"limit is told": false, "limit is found out": true} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, nil)
			f := newFile(t, blobtest.Pattern(16*leaf+99), 8*leaf)
			f.mustOpen(t, e.conn)
			e.mustSend(f, 0)
			e.store.silent.Store(silent)
			e.store.limit.Store(3*leaf + chunk.Reserve)
			e.mustSend(f, 1)
			e.mustSend(f, 2)
			e.m.mu.Lock()
			pieces := len(e.m.parts[f.UploadID][1])
			e.m.mu.Unlock()
			if pieces < 3 {
				t.Errorf("part 1 is in %d chunks", pieces)
			}
			f.verify(t, e.m, e.store)

			e.store.limit.Store(1000) // not even a leaf
			g := newFile(t, blobtest.Pattern(2*leaf), 2*leaf)
			g.mustOpen(t, e.conn)
			if r := e.sendPart(g, 0); r.status != 500 {
				t.Errorf("got %v, want 500", r)
			}
		})
	}
}

func TestUpload_parallel(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Memory = 3 * leaf })
	var clients sync.WaitGroup
	files := make([]*file, 4)
	for n := range files {
		f := newFile(t, blobtest.Pattern(9*leaf+n), leaf)
		f.mustOpen(t, e.conn)
		files[n] = f
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
		f.verify(t, e.m, e.store)
	}
	if most := e.store.most.Load(); most > 3 {
		t.Errorf("%d parts at once within the memory of 3", most)
	}
}

func TestUpload_type(t *testing.T) {
	e := newEnv(t, nil)
	for content, want := range map[string]string{
		"\x89PNG\r\n\x1a\n and so on": "image/png",
		"plain words":                 "text/plain",
		"\x00\x01\x02\x03":            "application/octet-stream",
	} {
		f := newFile(t, []byte(content), leaf)
		f.mustOpen(t, e.conn)
		e.mustSend(f, 0)
		e.m.mu.Lock()
		got := e.m.types[f.UploadID]
		e.m.mu.Unlock()
		if got != want {
			t.Errorf("%q: type %q, want %q", content, got, want)
		}
		closeUpload(t, e.conn, f)
	}
}

func TestUpload_headers(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, []byte("x"), leaf)
	f.mustOpen(t, e.conn)
	r := e.sendPart(f, 0)
	want := map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got := r.header.Get(key); got != want[key] {
			t.Errorf("%s = %q, want %q", key, got, want[key])
		}
	}
	checkCORS(t, r.header)
}
