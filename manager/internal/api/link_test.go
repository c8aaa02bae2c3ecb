package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/cloud"
)

// madeLink is what the API says of a link.
type madeLink struct {
	ID       int64
	Path     string
	URL      string
	Password bool
	Uses     int64
	Ended    bool
}

func (w *world) makeLink(t *testing.T, who person, on cloud.EntryID, terms record) madeLink {
	t.Helper()
	var a struct{ Link madeLink }
	w.ask(t, "POST", target(on, "/links"), who.token, terms).into(t, 200, &a)
	return a.Link
}

// opened is what the opener of a link gets.
type opened struct {
	Token string
	Link  struct {
		Mode     string
		Owner    string
		UsesLeft *int64 `json:"uses_left"`
	}
	Entry struct {
		ID    cloud.EntryID
		Name  string
		Owner any
	}
}

func (w *world) openLink(t *testing.T, path, password string) opened {
	t.Helper()
	var o opened
	w.ask(t, "POST", "/api/link", "", record{"link": strings.TrimPrefix(path, "/s/"), "password": password}).into(t, 200, &o)
	return o
}

func (a answer) into(t *testing.T, status int, v any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatal(err)
	}
}

func TestLink_View(t *testing.T) {
	w := open(t, nil)
	ann, bob := w.person(t, "ann"), w.person(t, "bob")
	folder := w.Folder(t, ann.Principal, "/top/album/inner")
	album := folder.Parent
	photo := w.Put(t, ann.Principal, "/top/album/inner/photo.txt", []byte("a photo"), false)
	hidden := w.Put(t, bob.Principal, "/top/album/of bob.txt", []byte("bob's own"), false)
	outside := w.Put(t, ann.Principal, "/top/outside.txt", []byte("outside"), false)
	want(t, w.ask(t, "PATCH", target(album, ""), ann.token, record{"public": false}), 200)

	want(t, w.ask(t, "POST", target(album, "/links"), bob.token, record{"mode": "view"}), 404)
	want(t, w.ask(t, "POST", target(cloud.Root, "/links"), ann.token, record{"mode": "view"}), 403)
	want(t, w.ask(t, "POST", target(photo.ID, "/links"), ann.token, record{"mode": "upload"}), 400)
	want(t, w.ask(t, "POST", target(photo.ID, "/links"), ann.token, record{"mode": "view", "password": "x"}), 400)
	want(t, w.ask(t, "POST", target(photo.ID, "/links"), ann.token, record{"mode": "view", "expires_at": w.clock().Add(-time.Hour)}), 400)

	l := w.makeLink(t, ann, album, record{"mode": "view", "name": "for the club", "password": "the word"})
	if !l.Password || !strings.HasPrefix(l.Path, "/s/") {
		t.Fatalf("made %+v", l)
	}
	want(t, w.ask(t, "POST", "/api/link", "", record{"link": strings.TrimPrefix(l.Path, "/s/")}), 401)
	want(t, w.ask(t, "POST", "/api/link", "", record{"link": strings.TrimPrefix(l.Path, "/s/"), "password": "wrong"}), 401)
	want(t, w.get(t, l.Path+"/download"), 401)
	if a := w.get(t, l.Path); a.status != 200 || strings.Contains(string(a.body), "album") {
		t.Errorf("the page of a protected link says %d %s", a.status, a.body)
	}
	o := w.openLink(t, l.Path, "the word")
	if o.Entry.ID != album || o.Entry.Owner != nil || o.Link.Mode != "view" || o.Link.Owner != "ann" || o.Link.UsesLeft != nil {
		t.Errorf("opened %+v", o)
	}

	// What is below the folder is there, by id and by path, as its maker sees it.
	var list struct{ Entries []struct{ Name string } }
	w.ask(t, "GET", target(album, "/children"), o.Token, nil).into(t, 200, &list)
	if len(list.Entries) != 1 || list.Entries[0].Name != "inner" {
		t.Errorf("listed %+v", list)
	}
	var shown struct{ Path []struct{ Name string } }
	w.ask(t, "GET", target(photo.ID, ""), o.Token, nil).into(t, 200, &shown)
	if fmt.Sprint(shown.Path) != "[{album} {inner} {photo.txt}]" {
		t.Errorf("its path is %v: what is above the link shows", shown.Path)
	}
	want(t, w.ask(t, "GET", "/api/lookup?path=/inner/photo.txt", o.Token, nil), 200)
	want(t, w.ask(t, "GET", target(hidden.ID, ""), o.Token, nil), 404)
	want(t, w.ask(t, "GET", target(outside.ID, ""), o.Token, nil), 404)
	want(t, w.ask(t, "GET", target(cloud.Root, "/children"), o.Token, nil), 404)
	want(t, w.ask(t, "GET", "/api/search?q=o", o.Token, nil), 403)
	want(t, w.ask(t, "GET", "/api/me", o.Token, nil), 403)
	want(t, w.ask(t, "DELETE", target(photo.ID, "/star"), o.Token, nil), 403)

	// Contents come by a ticket, as they do to users.
	var tk struct{ Ticket string }
	w.ask(t, "POST", "/api/tickets", o.Token, record{"purpose": "download", "entry": photo.ID}).into(t, 200, &tk)
	if a := w.get(t, target(photo.ID, "/content?ticket="+tk.Ticket)); a.status != 200 || string(a.body) != "a photo" {
		t.Errorf("content: %d %s", a.status, a.body)
	}
	want(t, w.ask(t, "POST", "/api/tickets", o.Token, record{"purpose": "download", "entry": outside.ID}), 404)
	want(t, w.ask(t, "POST", "/api/tickets", o.Token, record{"purpose": "socket"}), 403)
	if a := w.ask(t, "GET", target(album, "/archive"), o.Token, nil); a.status != 200 || !bytes.HasPrefix(a.body, []byte("PK")) || bytes.Contains(a.body, []byte("bob")) {
		t.Errorf("archive: %d, %d bytes", a.status, len(a.body))
	}
	// A file that has left the folder has left the link, whatever ticket is out.
	want(t, w.ask(t, "POST", "/api/move", ann.token, record{"ids": []cloud.EntryID{photo.ID}, "parent": 0}), 200)
	want(t, w.get(t, target(photo.ID, "/content?ticket="+tk.Ticket)), 404)

	var uses struct {
		Uses []struct{ Action, Name string }
	}
	w.ask(t, "GET", fmt.Sprint("/api/links/", l.ID, "/uses"), ann.token, nil).into(t, 200, &uses)
	if got := fmt.Sprint(uses.Uses); got != "[{downloaded album} {downloaded photo.txt} {opened } {refused }]" {
		t.Errorf("uses: %s", got)
	}
	want(t, w.ask(t, "GET", fmt.Sprint("/api/links/", l.ID, "/uses"), bob.token, nil), 404)
	want(t, w.ask(t, "DELETE", fmt.Sprint("/api/links/", l.ID), bob.token, nil), 404)
	if all := w.logs.String(); strings.Contains(all, strings.TrimPrefix(l.Path, "/s/")) || strings.Contains(all, o.Token) {
		t.Error("the text of a link, or a token, is in the log")
	}
}

// Whatever ends a link ends it with the next request.
func TestLink_Ends(t *testing.T) {
	w := open(t, nil)
	w.person(t, "root")
	ann, bob := w.person(t, "ann"), w.person(t, "bob")
	for name, end := range map[string]func(e cloud.Entry, l madeLink){
		"revoked": func(_ cloud.Entry, l madeLink) {
			want(t, w.ask(t, "DELETE", fmt.Sprint("/api/links/", l.ID), ann.token, nil), 204)
		},
		"expired": func(cloud.Entry, madeLink) { w.pass(2 * time.Hour) },
		"deleted": func(e cloud.Entry, _ madeLink) {
			want(t, w.ask(t, "POST", "/api/delete", ann.token, record{"ids": []cloud.EntryID{e.ID}}), 200)
		},
		"given away": func(e cloud.Entry, _ madeLink) {
			want(t, w.ask(t, "POST", target(e.ID, "/transfer"), ann.token, record{"user": bob.User, "keep": true}), 200)
		},
		"another password": func(_ cloud.Entry, l madeLink) {
			want(t, w.ask(t, "PATCH", fmt.Sprint("/api/links/", l.ID), ann.token, record{"mode": "view", "password": "another"}), 200)
		},
		"another mode": func(_ cloud.Entry, l madeLink) {
			want(t, w.ask(t, "PATCH", fmt.Sprint("/api/links/", l.ID), ann.token, record{"mode": "download"}), 200)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ann = w.signIn(t, "ann")
			e := w.Put(t, ann.Principal, "/"+name+".txt", []byte("x"), false)
			l := w.makeLink(t, ann, e.ID, record{"mode": "view", "expires_at": w.clock().Add(time.Hour)})
			o := w.openLink(t, l.Path, "")
			var tk struct{ Ticket string }
			w.ask(t, "POST", "/api/tickets", o.Token, record{"purpose": "download", "entry": e.ID}).into(t, 200, &tk)
			content := target(e.ID, "/content?ticket="+tk.Ticket)
			want(t, w.get(t, content), 200)
			end(e, l)
			for _, a := range []answer{w.get(t, content), w.ask(t, "GET", target(e.ID, ""), o.Token, nil), w.ask(t, "GET", "/api/link", o.Token, nil)} {
				if a.status != 401 && a.status != 404 {
					t.Errorf("status %d after the end: %s", a.status, a.body)
				}
			}
			if !strings.HasPrefix(name, "another") {
				want(t, w.ask(t, "POST", "/api/link", "", record{"link": strings.TrimPrefix(l.Path, "/s/")}), 404)
				want(t, w.get(t, l.Path), 404)
				want(t, w.get(t, l.Path+"/download"), 404)
			}
		})
	}
}

func TestLink_LastUse(t *testing.T) {
	w := open(t, nil)
	ann := w.person(t, "ann")
	e := w.Put(t, ann.Principal, "/a.txt", []byte("once"), false)
	l := w.makeLink(t, ann, e.ID, record{"mode": "download", "most_uses": 2})
	o := w.openLink(t, l.Path, "")
	if o.Link.UsesLeft == nil || *o.Link.UsesLeft != 2 {
		t.Errorf("uses left: %v", o.Link.UsesLeft)
	}
	want(t, w.ask(t, "GET", target(e.ID, "/thumbnail"), o.Token, nil), 403)
	if a := w.get(t, l.Path+"/download"); a.status != 200 || string(a.body) != "once" || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("download: %d %s %s", a.status, a.body, a.header.Get("Content-Disposition"))
	}
	want(t, w.get(t, l.Path+"/download", "Range", "bytes=2-"), 206) // goes on with it
	var all sync.WaitGroup
	got := make([]int, 6)
	for i := range got {
		all.Go(func() {
			got[i] = w.ask(t, "POST", "/api/tickets", o.Token, record{"purpose": "download", "entry": e.ID}).status
		})
	}
	all.Wait()
	n := 0
	for _, status := range got {
		if status == 200 {
			n++
		} else if status != 404 {
			t.Errorf("status %d", status)
		}
	}
	if n != 1 {
		t.Errorf("the last download was taken %d times: %v", n, got)
	}
	want(t, w.ask(t, "POST", "/api/link", "", record{"link": strings.TrimPrefix(l.Path, "/s/")}), 404)
	var links struct{ Links []madeLink }
	w.ask(t, "GET", "/api/links", ann.token, nil).into(t, 200, &links)
	if len(links.Links) != 1 || !links.Links[0].Ended || links.Links[0].Uses != 2 {
		t.Errorf("listed: %+v", links)
	}
}

func TestLink_Send(t *testing.T) {
	w := open(t, nil)
	ann := w.person(t, "ann")
	folder := w.Folder(t, ann.Principal, "/in box")
	there := w.Put(t, ann.Principal, "/in box/secret.txt", []byte("x"), false)
	l := w.makeLink(t, ann, folder.ID, record{"mode": "upload", "most_uses": 2})
	o := w.openLink(t, l.Path, "")
	for _, at := range []string{target(folder.ID, "/children"), target(folder.ID, ""), target(there.ID, "/content"), target(folder.ID, "/archive")} {
		want(t, w.ask(t, "GET", at, o.Token, nil), 403)
	}
	want(t, w.get(t, l.Path+"/download"), 403)
	want(t, w.ask(t, "POST", target(folder.ID, "/folders"), o.Token, record{"name": "x"}), 403)
	send := func(name, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.srv.URL+"/api/link/files?name="+name, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+o.Token)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		_, _ = io.Copy(io.Discard, a.Body)
		return a.StatusCode
	}
	if got := send("one.txt", "one"); got != 200 {
		t.Errorf("sent: %d", got)
	}
	if got := send("..", "x"); got != 400 {
		t.Errorf("a name that is none: %d", got)
	}
	if got := send("two.txt", "two"); got != 200 {
		t.Errorf("sent: %d", got)
	}
	var uses struct {
		Uses []struct{ Action, Name string }
	}
	w.ask(t, "GET", fmt.Sprint("/api/links/", l.ID, "/uses"), ann.token, nil).into(t, 200, &uses)
	if got := fmt.Sprint(uses.Uses); got != "[{uploaded two.txt} {uploaded one.txt} {opened }]" {
		t.Errorf("uses: %s", got)
	}
	if got := send("three.txt", "x"); got != 404 {
		t.Errorf("one file too many: %d", got)
	}
	e, err := w.FS.Child(t.Context(), ann.Principal, folder.ID, "two.txt")
	if err != nil || e.Owner != ann.User || e.Public {
		t.Errorf("it came as %+v, %v", e, err)
	}
	if _, err := w.FS.Child(t.Context(), ann.Principal, folder.ID, "three.txt"); err == nil {
		t.Error("the file too many is there")
	}
}

// Chats get the name and the size in the head of the page, as text.
func TestLink_Page(t *testing.T) {
	w := open(t, nil)
	ann := w.person(t, "ann")
	e := w.Put(t, ann.Principal, `/a "<script>" & b.txt`, bytes.Repeat([]byte("x"), 1234), false)
	l := w.makeLink(t, ann, e.ID, record{"mode": "view"})
	a := w.get(t, l.Path)
	body := string(a.body)
	if a.status != 200 || strings.Contains(body, "<script>") || !strings.Contains(body, `content="a &#34;&lt;script&gt;&#34; &amp; b.txt"`) || !strings.Contains(body, "1.23 kB") {
		t.Errorf("page: %d %s", a.status, body)
	}
	if a.header.Get("X-Robots-Tag") != "noindex, nofollow" || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %v", a.header)
	}
	if l.URL != l.Path {
		t.Errorf("the address is %q, the path %q", l.URL, l.Path)
	}
	want(t, w.get(t, "/s/"+strings.Repeat("a", 32)), 404)
	want(t, w.get(t, "/s/short"), 404)
}

// What is on its way by a link is cut when that is revoked, by whatever door.
func TestLink_Cut(t *testing.T) {
	w := open(t, nil)
	ann := w.person(t, "ann")
	folder := w.Folder(t, ann.Principal, "/folder")
	e := w.Put(t, ann.Principal, "/folder/big", bytes.Repeat([]byte("x"), 8<<20), false)
	ticket := func(o opened, id cloud.EntryID) string {
		var tk struct{ Ticket string }
		w.ask(t, "POST", "/api/tickets", o.Token, record{"purpose": "download", "entry": id}).into(t, 200, &tk)
		return tk.Ticket
	}
	for name, begin := range map[string]func(path string, o opened) *http.Response{
		"address": func(path string, _ opened) *http.Response { return w.begin(t, path+"/download", "") },
		"token":   func(_ string, o opened) *http.Response { return w.begin(t, target(e.ID, "/content"), o.Token) },
		"ticket": func(_ string, o opened) *http.Response {
			return w.begin(t, target(e.ID, "/content?ticket="+ticket(o, e.ID)), "")
		},
		"archive": func(_ string, o opened) *http.Response {
			return w.begin(t, target(folder.ID, "/archive?ticket="+ticket(o, folder.ID)), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := w.makeLink(t, ann, folder.ID, record{"mode": "download"})
			r := begin(l.Path, w.openLink(t, l.Path, ""))
			want(t, w.ask(t, "DELETE", fmt.Sprint("/api/links/", l.ID), ann.token, nil), 204)
			if n, err := io.Copy(io.Discard, r.Body); err == nil {
				t.Errorf("the download went on to its end, for %d bytes", n)
			}
		})
	}
	t.Run("upload", func(t *testing.T) {
		l := w.makeLink(t, ann, folder.ID, record{"mode": "upload"})
		o := w.openLink(t, l.Path, "")
		body, sender := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.srv.URL+"/api/link/files?name=late.txt", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+o.Token)
		var status int
		var all sync.WaitGroup
		all.Go(func() {
			if a, err := http.DefaultClient.Do(r); err == nil {
				status = a.StatusCode
				a.Body.Close()
			}
		})
		if _, err := sender.Write([]byte("first")); err != nil { // it is on its way
			t.Fatal(err)
		}
		want(t, w.ask(t, "DELETE", fmt.Sprint("/api/links/", l.ID), ann.token, nil), 204)
		_, _ = sender.Write([]byte("last")) // the server may have gone
		sender.Close()
		all.Wait()
		if status == 200 {
			t.Error("it was taken")
		}
		if _, err := w.FS.Child(t.Context(), ann.Principal, folder.ID, "late.txt"); err == nil {
			t.Error("it is there")
		}
	})
}

// Of a hundred who ask for the zip of a link at once some get it, and the others
// are told to wait, which uses nothing up. Its end cuts those that run.
func TestLink_ArchiveAtOnce(t *testing.T) {
	w := open(t, nil)
	ann := w.person(t, "ann")
	folder := w.Folder(t, ann.Principal, "/folder")
	w.PartSize = 8 << 20
	w.Put(t, ann.Principal, "/folder/big", make([]byte, 24<<20), false)
	l := w.makeLink(t, ann, folder.ID, record{"mode": "download", "most_uses": 5})
	got := make([]*http.Response, 100)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), "GET", w.srv.URL+l.Path+"/download", nil)
			if err != nil {
				t.Error(err)
				return
			}
			if got[i], err = w.srv.Client().Do(r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var running []*http.Response
	for _, r := range got {
		if r == nil {
			continue // told already
		}
		t.Cleanup(func() { r.Body.Close() })
		switch r.StatusCode {
		case 200:
			running = append(running, r)
		case 429:
		default:
			t.Errorf("status %d", r.StatusCode)
		}
	}
	if len(running) != 4 {
		t.Errorf("%d archives run, want 4", len(running))
	}
	var listed struct{ Links []madeLink }
	w.ask(t, "GET", "/api/links", ann.token, nil).into(t, 200, &listed)
	if len(listed.Links) != 1 || listed.Links[0].Uses != int64(len(running)) {
		t.Errorf("listed %+v, want as many uses as archives", listed.Links)
	}
	want(t, w.ask(t, "HEAD", target(folder.ID, "/archive"), ann.token, nil), 200) // the owner's own places are others
	want(t, w.ask(t, "DELETE", fmt.Sprint("/api/links/", l.ID), ann.token, nil), 204)
	for _, r := range running {
		if n, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Errorf("an archive went on to its end, for %d bytes", n)
		}
	}
	want(t, w.get(t, l.Path+"/download"), 404)
}
