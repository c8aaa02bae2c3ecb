package dav_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"discordcloud/manager/internal/auth"
	"discordcloud/pkg/blob/memblob"
)

func TestCopy_sharesChunks(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	content := pattern(3*partSize + 1)
	c.want(201, "MKCOL", "/a", "")
	c.want(201, "PUT", "/a/f", string(content))
	c.want(201, "MKCOL", "/a/b", "")
	c.want(201, "PUT", "/a/b/g", "gg")
	puts := w.blobs.Calls(memblob.Put)
	c.want(201, "COPY", "/a", "", "Destination", "{url}/z")
	c.want(201, "COPY", "/a/f", "", "Destination", "{url}/copy.txt")
	if n := w.blobs.Calls(memblob.Put); n != puts {
		t.Errorf("%d chunks were stored for copies", n-puts)
	}
	c.want(204, "DELETE", "/a", "") // what is shared stays
	c.want(404, "GET", "/a/f", "")
	c.reads("/z/f", content)
	c.reads("/z/b/g", []byte("gg"))
	c.reads("/copy.txt", content)
	c.want(204, "COPY", "/z/b/g", "", "Destination", "{url}/copy.txt")
	c.want(412, "COPY", "/z/b/g", "", "Destination", "{url}/copy.txt", "Overwrite", "F")
	c.reads("/copy.txt", []byte("gg"))
	c.want(201, "COPY", "/z", "", "Destination", "{url}/flat", "Depth", "0")
	if a := c.want(207, "PROPFIND", "/flat", "", "Depth", "1"); strings.Count(a.body, "<D:response>") != 1 {
		t.Errorf("a copy of depth 0 has children: %s", a.body)
	}
	w.sound()
}

func TestMove(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	for _, path := range []string{"/a", "/a/b", "/x"} {
		c.want(201, "MKCOL", path, "")
	}
	c.want(201, "PUT", "/a/b/f", "f")
	c.want(201, "PUT", "/x/old", "old")
	for _, tt := range []struct {
		from, to string
		status   int
		header   []string
	}{
		{"/a", "{url}/a", 403, nil},
		{"/a", "{url}/a/b/a", 409, nil},                 // into itself
		{"/a/b/f", "{url}/a/b", 409, nil},               // onto what holds it
		{"/a", "{url}/none/a", 409, nil},                // no such folder
		{"/a", "{url}/a/b/f/a", 409, nil},               // a file is no folder
		{"/none", "{url}/n", 404, nil},                  //
		{"/a", "", 400, nil},                            // no destination
		{"/a", "http://elsewhere.test/dav/a", 502, nil}, // another host
		{"/a", "/files/x", 502, nil},                    // not ours
		{"/a", "{url}/x", 412, []string{"Overwrite", "F"}},
		{"/a", "{url}/y", 400, []string{"Depth", "0"}},
		{"/", "{url}/y", 403, nil},
		{"/a", "{url}/", 403, nil},
		{"/a/b", "{url}/" + strings.Repeat("x", 256), 400, nil},
	} {
		a := c.do("MOVE", tt.from, "", append([]string{"Destination", tt.to}, tt.header...)...)
		if a.status != tt.status {
			t.Errorf("MOVE %s to %s: status %d, want %d: %s", tt.from, tt.to, a.status, tt.status, a.body)
		}
	}
	c.want(204, "MOVE", "/a", "", "Destination", "{url}/x") // a folder over a folder, with all that is in it
	c.want(404, "GET", "/x/old", "")
	c.reads("/x/b/f", []byte("f"))
	c.want(201, "MOVE", "/x/b/f", "", "Destination", strings.TrimPrefix(w.url, "http:")+"/dav/f%20%C3%A9") // no scheme
	c.reads("/f é", []byte("f"))
	c.want(204, "MOVE", "/x", "", "Destination", "{url}/f%20e%CC%81") // NFD names the same file
	c.want(207, "PROPFIND", "/f%20%C3%A9/b", "", "Depth", "0")
	w.sound()
}

// What somebody may not see is not there, and what he may not change stays.
func TestPermissions(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.client("ada", auth.AppPassword{}), w.client("bob", auth.AppPassword{})
	ada.want(201, "PUT", "/private", "ada's")
	ada.want(201, "PUT", "/public", "ada's")
	ada.want(201, "MKCOL", "/open", "")
	ada.want(201, "PUT", "/open/secret", "ada's")
	e, err := w.fs.Lookup(t.Context(), ada.user, []string{"public"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.fs.SetPublic(t.Context(), ada.user, e.ID, true); err != nil {
		t.Fatal(err)
	}
	bob.reads("/public", []byte("ada's"))
	for _, tt := range []struct {
		method, path string
		status       int
		header       []string
	}{
		{"GET", "/private", 404, nil}, {"PROPFIND", "/private", 404, []string{"Depth", "0"}}, {"DELETE", "/private", 404, nil},
		{"COPY", "/private", 404, []string{"Destination", "{url}/mine"}}, {"MOVE", "/private", 404, []string{"Destination", "{url}/mine"}},
		{"PUT", "/private", 403, nil}, {"MKCOL", "/private", 405, nil}, // the name shows to be taken, no more
		{"COPY", "/public", 412, []string{"Destination", "{url}/private"}},
		{"PUT", "/public", 403, nil}, {"DELETE", "/public", 403, nil}, {"MOVE", "/public", 403, []string{"Destination", "{url}/mine"}},
		{"PROPPATCH", "/public", 403, nil}, {"LOCK", "/public", 403, nil}, {"LOCK", "/open", 403, nil}, {"LOCK", "/", 403, nil},
		{"DELETE", "/open", 403, nil}, {"DELETE", "/", 403, nil}, {"GET", "/open/secret", 404, nil},
	} {
		body := ""
		switch tt.method {
		case "LOCK":
			body = exclusive
		case "PROPPATCH":
			body = `<propertyupdate xmlns="DAV:"><set><prop><x xmlns="urn:x"/></prop></set></propertyupdate>`
		case "PUT":
			body = "bob's"
		}
		bob.want(tt.status, tt.method, tt.path, body, tt.header...)
	}
	a := bob.want(207, "PROPFIND", "/", "", "Depth", "1")
	if strings.Contains(a.body, "private") || !strings.Contains(a.body, "/dav/public<") {
		t.Errorf("bob sees %s", a.body)
	}
	bob.want(201, "COPY", "/public", "", "Destination", "{url}/open/mine") // his own, in a public folder
	bob.want(201, "COPY", "/open", "", "Destination", "{url}/copied")
	bob.want(404, "GET", "/copied/secret", "")
	bob.reads("/copied/mine", []byte("ada's"))
	ada.reads("/private", []byte("ada's"))
	ada.reads("/public", []byte("ada's"))
	w.sound()
}

// An app password does what its scope says, and nothing else.
func TestScope(t *testing.T) {
	w := open(t, nil)
	ada := w.client("ada", auth.AppPassword{})
	for _, path := range []string{"/a", "/a/sub", "/a/sub/deep", "/b"} {
		ada.want(201, "MKCOL", path, "")
	}
	ada.want(201, "PUT", "/b/outside", "no")
	ada.want(201, "PUT", "/a/sub/inside", "yes")
	sub, err := w.fs.Folder(t.Context(), ada.user, "/a/sub")
	if err != nil {
		t.Fatal(err)
	}
	reader := w.client("ada", auth.AppPassword{ReadOnly: true})
	reader.reads("/b/outside", []byte("no"))
	for _, tt := range [][]string{
		{"PUT", "/new"}, {"PUT", "/b/outside"}, {"DELETE", "/b/outside"}, {"MKCOL", "/new"}, {"LOCK", "/b/outside"}, {"LOCK", "/new"},
		{"MOVE", "/b/outside", "Destination", "{url}/new"}, {"COPY", "/b/outside", "Destination", "{url}/new"}, {"PROPPATCH", "/b/outside"},
	} {
		body := map[string]string{"LOCK": exclusive, "PUT": "x", "PROPPATCH": `<propertyupdate xmlns="DAV:"><set><prop><x xmlns=""/></prop></set></propertyupdate>`}[tt[0]]
		reader.want(403, tt[0], tt[1], body, tt[2:]...)
	}

	inner := w.client("ada", auth.AppPassword{Entry: sub.ID})
	inner.reads("/inside", []byte("yes"))
	for _, path := range []string{"/b/outside", "/a", "/a/sub/inside", "/sub", "/../b/outside", "/%2e%2e/%2e%2e/b/outside"} {
		if a := inner.do("GET", path, ""); a.status != 404 && a.status != 400 {
			t.Errorf("GET %s: status %d", path, a.status)
		}
	}
	for _, size := range []int{5, 2*partSize + 1} {
		inner.want(201, "PUT", fmt.Sprintf("/deep/%d", size), string(pattern(size)))
		ada.reads(fmt.Sprintf("/a/sub/deep/%d", size), pattern(size))
	}
	inner.want(201, "MKCOL", "/made", "")
	inner.want(201, "COPY", "/deep", "", "Destination", "{url}/made/deep")
	inner.want(204, "MOVE", "/deep", "", "Destination", "{url}/made")
	inner.want(204, "DELETE", "/made", "")
	a := inner.want(207, "PROPFIND", "/", "", "Depth", "1")
	if !strings.Contains(a.body, "<D:href>/dav/inside</D:href>") || strings.Contains(a.body, "/sub") {
		t.Errorf("the top is told as %s", a.body)
	}
	token := inner.want(200, "LOCK", "/inside", exclusive).header.Get("Lock-Token")
	inner.want(204, "UNLOCK", "/inside", "", "Lock-Token", token)
	for _, tt := range [][]string{{"DELETE", "/"}, {"MOVE", "/", "Destination", "{url}/x"}, {"LOCK", "/"}} {
		inner.want(403, tt[0], tt[1], map[string]string{"LOCK": exclusive}[tt[0]], tt[2:]...)
	}
	ada.want(201, "MOVE", "/a/sub", "", "Destination", "{url}/elsewhere") // it goes with its folder
	inner.reads("/inside", []byte("yes"))
	ada.want(204, "DELETE", "/elsewhere", "")
	inner.want(401, "GET", "/inside", "")
	w.sound()
}

func TestAuthentication(t *testing.T) {
	w := open(t, nil)
	ada := w.client("ada", auth.AppPassword{})
	ada.want(201, "PUT", "/f", "x")
	for _, wrong := range []*client{
		{w: w, name: "ada", password: "no password"}, {w: w, name: "bob", password: ada.password}, {w: w, name: "ada"}, {w: w},
	} {
		a := wrong.want(401, "GET", "/f", "")
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("asks by %q", a.header.Get("WWW-Authenticate"))
		}
	}
	r := ada.request("PUT", "/f", strings.NewReader("evil"), "Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site")
	if a, err := ada.send(r); err != nil || a.status != 403 {
		t.Errorf("by a page of another site: %+v, %v", a, err)
	}
	// Through a proxy that is not trusted nobody knows whether it was TLS.
	if a := ada.want(403, "GET", "/f", "", "X-Forwarded-For", "192.0.2.1"); strings.Contains(a.body, ada.password) {
		t.Error("the password is in the answer")
	}
	if err := w.auth.RevokeAppPassword(t.Context(), ada.user, ada.id); err != nil {
		t.Fatal(err)
	}
	ada.want(401, "GET", "/f", "")

	r, err := http.NewRequest("OPTIONS", w.url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ada.send(r); err != nil || a.status != 200 || a.header.Get("DAV") != "1, 2" || a.header.Get("MS-Author-Via") != "DAV" {
		t.Errorf("OPTIONS of the top: %+v, %v", a, err)
	}
}

func TestRefuse(t *testing.T) {
	w := open(t, func(o *settings) { o.dav.Refuse = []string{"desktop.ini", "._*"} })
	c := w.client("ada", auth.AppPassword{})
	for _, path := range []string{"/desktop.ini", "/Desktop.INI", "/._file"} {
		c.want(403, "PUT", path, "x")
		c.want(403, "MKCOL", path, "")
		c.want(403, "LOCK", path, exclusive)
	}
	c.want(201, "PUT", "/file", "x")
	c.want(403, "MOVE", "/file", "", "Destination", "{url}/._x")
	c.want(201, "PUT", "/.DS_Store", "x")
}
