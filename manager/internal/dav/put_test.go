package dav_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Every size comes back, with and without a length, in parts of 256 KiB.
func TestPut_sizes(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, partSize - 1, partSize, partSize + 1, 2 * partSize, 5*partSize + 77} {
		for _, known := range []bool{true, false} {
			content := pattern(size)
			path := fmt.Sprintf("/%d-%t.bin", size, known)
			var body io.Reader = bytes.NewReader(content)
			if !known {
				body = unsized(content)
			}
			a, err := c.send(c.request("PUT", path, body))
			if err != nil || a.status != http.StatusCreated {
				t.Fatalf("PUT %s: %+v, %v", path, a, err)
			}
			c.reads(path, content)
			e, err := w.fs.Lookup(t.Context(), c.user, []string{strings.TrimPrefix(path, "/")})
			if err != nil || e.SHA256 != sha256.Sum256(content) || e.Size != int64(size) || e.Public {
				t.Errorf("%s: %+v, %v", path, e, err)
			}
			if a.header.Get("ETag") != `"`+e.Object.String()+`"` {
				t.Errorf("%s: tag %s", path, a.header.Get("ETag"))
			}
		}
	}
	// Ranges cross parts.
	content := pattern(5*partSize + 77)
	a := c.want(http.StatusPartialContent, "GET", fmt.Sprintf("/%d-false.bin", len(content)), "", "Range", fmt.Sprintf("bytes=%d-%d", partSize-10, 3*partSize+9))
	if a.body != string(content[partSize-10:3*partSize+10]) {
		t.Errorf("a range of %d bytes is wrong", len(a.body))
	}
	w.sound()
}

// sound wants the database without faults and no upload left over.
func (w *world) sound() {
	w.t.Helper()
	faults, err := w.store.Check(w.t.Context())
	if err != nil || len(faults) > 0 {
		w.t.Errorf("faults %v, %v", faults, err)
	}
	w.eventually("no upload under way", func() bool {
		left, err := w.store.UploadsIn(w.t.Context(), meta.AnyViewer, meta.UploadRunning, meta.UploadWaiting)
		return err == nil && len(left) == 0
	})
}

func TestPut_conditions(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	first := c.want(201, "PUT", "/f", "one", "If-None-Match", "*").header.Get("ETag")
	c.want(412, "PUT", "/f", "two", "If-None-Match", "*")
	c.want(412, "PUT", "/f", "two", "If-Match", `"other"`)
	second := c.want(204, "PUT", "/f", "two", "If-Match", first).header.Get("ETag")
	c.want(412, "PUT", "/f", "three", "If-Match", first)
	c.want(412, "PUT", "/g", "three", "If-Match", "*")
	c.want(412, "DELETE", "/f", "", "If-Match", first)
	c.want(412, "PUT", "/f", "three", "If", `([`+first+`])`)
	c.want(204, "PUT", "/f", "three", "If", `(["x"]) (Not <DAV:no-lock> [`+second+`])`)
	c.want(400, "PUT", "/f", "x", "If", `no list`)
	c.want(400, "PUT", "/f", "x", "Content-Range", "bytes 0-0/3")
	c.reads("/f", []byte("three"))
	a := c.want(304, "GET", "/f", "", "If-None-Match", c.do("HEAD", "/f", "").header.Get("ETag"))
	if a.body != "" {
		t.Error("304 with a body")
	}
	for path, status := range map[string]int{"/none/f": 409, "/f/below": 409, "/": 405, "": 405, "/a%2Fb": 409, "/..": 400, "/a%00b": 400, "/%FF": 400, "/" + strings.Repeat("x", 256): 400} {
		c.want(status, "PUT", path, "x")
	}
	c.want(201, "MKCOL", "/d", "")
	c.want(405, "PUT", "/d", "x")
	c.want(405, "MKCOL", "/d", "")
	c.want(405, "MKCOL", "/f", "")
	c.want(415, "MKCOL", "/e", "<body/>")
	w.sound()
}

// Of many at once who all want to be the first, one is.
func TestPut_race(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	for _, size := range []int{100, partSize + 100} {
		var mu sync.Mutex
		made := map[int]int{}
		var winner byte
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				a, err := c.send(c.request("PUT", fmt.Sprintf("/race%d", size), bytes.NewReader(bytes.Repeat([]byte{byte(i)}, size)), "If-None-Match", "*"))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if made[a.status]++; a.status == 201 {
					winner = byte(i)
				}
			})
		}
		all.Wait()
		if made[201] != 1 || made[412] != 7 {
			t.Errorf("%d bytes: %v", size, made)
		}
		c.reads(fmt.Sprintf("/race%d", size), bytes.Repeat([]byte{winner}, size))
		for i := range 8 { // and without conditions each has its turn, whole
			all.Go(func() {
				c.want(204, "PUT", fmt.Sprintf("/race%d", size), strings.Repeat(string(rune('a'+i)), size))
			})
		}
		all.Wait()
		got := c.do("GET", fmt.Sprintf("/race%d", size), "").body
		if len(got) != size || strings.Trim(got, got[:1]) != "" {
			t.Errorf("a mixture of %d bytes", len(got))
		}
	}
	w.sound()
}

func TestPut_checksumsAndTimes(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	content := pattern(partSize + 5)
	sum := fmt.Sprintf("SHA1:%x", sha1.Sum(content))
	a := c.want(201, "PUT", "/f", string(content), "OC-Checksum", sum, "X-OC-Mtime", "1500000000.5", "Content-Type", "image/png")
	if a.header.Get("X-OC-Mtime") != "accepted" {
		t.Errorf("headers %v", a.header)
	}
	for _, bad := range [][2]string{{"OC-Checksum", "SHA1:00"}, {"OC-Checksum", "nothing"}, {"X-OC-Mtime", "now"}, {"X-OC-Mtime", "1e300"}} {
		c.want(400, "PUT", "/f", "x", bad[0], bad[1])
	}
	for _, size := range []int{10, partSize + 6} { // announced is something else than what comes
		c.want(400, "PUT", "/f", string(pattern(size)), "OC-Checksum", sum)
	}
	c.reads("/f", content)
	ask := `<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><oc:checksums/><d:getlastmodified/><d:getcontenttype/></d:prop></d:propfind>`
	a = c.want(207, "PROPFIND", "/f", ask, "Depth", "0")
	for _, part := range []string{sum + " MD5:", fmt.Sprintf("SHA256:%x<", sha256.Sum256(content)), "Fri, 14 Jul 2017 02:40:00 GMT"} {
		if !strings.Contains(a.body, part) {
			t.Errorf("no %q in %s", part, a.body)
		}
	}
	// They are void with a content that came without them.
	c.want(204, "PUT", "/f", "new")
	if a = c.want(207, "PROPFIND", "/f", ask, "Depth", "0"); strings.Contains(a.body, "SHA1") || !strings.Contains(a.body, "SHA256:") {
		t.Errorf("checksums of the old content: %s", a.body)
	}
	w.sound()
}

// A body that breaks off leaves the old file as it was, and the slot free.
func TestPut_aborted(t *testing.T) {
	w := open(t, func(o *settings) { o.services = 1 })
	c := w.client("ada", auth.AppPassword{})
	old := pattern(3 * partSize)
	c.want(201, "PUT", "/f", string(old))
	for _, known := range []bool{true, false} {
		for _, size := range []int{0, 1000, partSize, 2*partSize + 5} {
			r, wr := io.Pipe()
			req := c.request("PUT", "/f", r)
			if known {
				req.ContentLength = 4 * partSize
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := c.send(req.WithContext(ctx))
				done <- err
			}()
			if _, err := wr.Write(bytes.Repeat([]byte{7}, size)); err != nil && size > 0 {
				t.Error(err)
			}
			if size >= partSize { // some of it is stored by now
				w.eventually("a part", func() bool {
					all, err := w.store.UploadsIn(t.Context(), c.user.User, meta.UploadRunning)
					return err == nil && len(all) == 1
				})
			}
			cancel()
			_ = wr.CloseWithError(errors.New("gone"))
			if err := <-done; err == nil {
				t.Errorf("%d bytes: no error", size)
			}
			w.sound()
			c.reads("/f", old)
		}
	}
	c.want(204, "PUT", "/f", string(pattern(partSize+1))) // the one slot is free
}

// Uploads wait for a slot, with their bodies unread.
func TestPut_queued(t *testing.T) {
	w := open(t, func(o *settings) { o.services = 1 })
	c := w.client("ada", auth.AppPassword{})
	first, write := io.Pipe()
	var all sync.WaitGroup
	all.Go(func() {
		if a, err := c.send(c.request("PUT", "/first", first)); err != nil || a.status != 201 {
			t.Errorf("first: %+v, %v", a, err)
		}
	})
	if _, err := write.Write(pattern(partSize)); err != nil {
		t.Fatal(err)
	}
	all.Go(func() {
		if a, err := c.send(c.request("PUT", "/second", bytes.NewReader(pattern(partSize)))); err != nil || a.status != 201 {
			t.Errorf("second: %+v, %v", a, err)
		}
	})
	w.eventually("a waiting request", func() bool {
		return w.dispatch.Debug().(map[string]any)["requests_waiting"] == 1
	})
	c.want(201, "PUT", "/small", "goes by") // needs no slot
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	c.reads("/first", pattern(partSize))
	c.reads("/second", pattern(partSize))
	w.sound()
}

// What cannot be stored is a clear answer, and nothing is lost.
func TestPut_faults(t *testing.T) {
	w := open(t, func(o *settings) {
		o.dispatch.PutWait = 50 * time.Millisecond
		o.dispatch.SlotWait = 50 * time.Millisecond
	})
	c := w.client("ada", auth.AppPassword{})
	c.want(201, "PUT", "/f", "old")
	for _, tt := range []struct {
		err    error
		status int
	}{{cloud.ErrUnavailable, 503}, {cloud.ErrFull, 507}} {
		for _, size := range []int{100, 2 * partSize} {
			w.blobs.fault.Store(&tt.err)
			a := c.do("PUT", "/f", string(pattern(size)))
			if a.status != tt.status || a.status == 503 && a.header.Get("Retry-After") == "" {
				t.Errorf("%v with %d bytes: status %d, %v", tt.err, size, a.status, a.header)
			}
			if a := c.do("GET", "/f", ""); tt.status == 503 && (a.status != 503 || a.header.Get("Retry-After") == "") {
				t.Errorf("GET with %v: status %d, %v", tt.err, a.status, a.header)
			}
			w.blobs.fault.Store(nil)
			w.sound()
		}
	}
	c.reads("/f", []byte("old"))
}

func TestPut_noService(t *testing.T) {
	w := open(t, func(o *settings) { o.services = 0; o.dispatch.SlotWait = 10 * time.Millisecond })
	c := w.client("ada", auth.AppPassword{})
	c.want(201, "PUT", "/small", "needs none")
	if a := c.want(503, "PUT", "/large", string(pattern(partSize))); a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.sound()
}

func sha1Of(s string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(s))) }
