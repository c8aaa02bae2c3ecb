package dav_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"discordcloud/manager/internal/vfs"
	"time"

	"discordcloud/manager/internal/auth"
)

const (
	exclusive = `<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>me</D:href></D:owner></D:lockinfo>`
	shared    = `<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>`
)

// lock gives the token of a lock, in angle brackets.
func (c *client) lock(status int, path, body string, header ...string) string {
	c.w.t.Helper()
	return c.want(status, "LOCK", path, body, header...).header.Get("Lock-Token")
}

func TestLock_keepsOthersOut(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	c.want(201, "MKCOL", "/d", "")
	c.want(201, "PUT", "/d/f", "old")
	c.want(201, "PUT", "/g", "g")
	for _, on := range []string{"/d/f", "/d"} {
		token := c.lock(200, on, exclusive)
		a := c.want(423, "PUT", "/d/f", "new")
		if !strings.Contains(a.body, "<D:lock-token-submitted><D:href>/dav/d/f</D:href>") || strings.Contains(a.body, strings.Trim(token, "<>")) {
			t.Errorf("the refusal is %s", a.body)
		}
		for _, tt := range [][]string{
			{"DELETE", "/d/f"}, {"DELETE", "/d"}, {"MOVE", "/d/f", "Destination", "{url}/x"}, {"MOVE", "/d", "Destination", "{url}/x"},
			{"MOVE", "/g", "Destination", "{url}/d/f"}, {"COPY", "/g", "Destination", "{url}/d/f"}, {"COPY", "/g", "Destination", "{url}/d"},
			{"PROPPATCH", "/d/f"},
		} {
			body := map[string]string{"PROPPATCH": `<propertyupdate xmlns="DAV:"><set><prop><x xmlns="u:"/></prop></set></propertyupdate>`}[tt[0]]
			c.want(423, tt[0], tt[1], body, tt[2:]...)
		}
		c.want(201, "COPY", "/d/f", "", "Destination", "{url}/copy") // to read is free
		c.want(204, "DELETE", "/copy", "")
		c.want(423, "LOCK", "/d/f", exclusive)
		c.want(423, "LOCK", "/d/f", shared)
		c.want(423, "LOCK", "/d", exclusive)
		c.want(412, "PUT", "/d/f", "new", "If", "(<urn:uuid:wrong>)")
		c.want(423, "PUT", "/d/f", "new", "If", "(<urn:uuid:wrong>) (Not <DAV:no-lock>)")
		c.want(204, "PUT", "/d/f", "new", "If", "("+token+")")
		c.want(204, "PUT", "/d/f", "new", "If", "<{url}"+on+"> ("+token+")")
		a = c.want(207, "PROPFIND", "/d", "", "Depth", "1")
		if !strings.Contains(a.body, token[1:len(token)-1]) || !strings.Contains(a.body, "<D:href>me</D:href>") && !strings.Contains(a.body, ">me<") {
			t.Errorf("lockdiscovery: %s", a.body)
		}
		c.want(409, "UNLOCK", "/g", "", "Lock-Token", token)
		c.want(400, "UNLOCK", on, "")
		c.want(204, "UNLOCK", on, "", "Lock-Token", token)
		c.want(409, "UNLOCK", on, "", "Lock-Token", token)
	}
	w.sound()
}

// A token that got about is worth nothing to others.
func TestLock_owner(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.client("ada", auth.AppPassword{}), w.client("bob", auth.AppPassword{})
	ada.want(201, "PUT", "/f", "x")
	e, err := w.fs.Lookup(t.Context(), ada.user, []string{"f"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.fs.Share(t.Context(), ada.user, e.ID, vfs.Grantee{User: bob.user.User}, true); err != nil {
		t.Fatal(err)
	}
	bob.want(204, "PUT", "/f", "bob's")
	token := ada.lock(200, "/f", exclusive)
	bob.want(423, "PUT", "/f", "y", "If", "("+token+")")
	bob.want(403, "UNLOCK", "/f", "", "Lock-Token", token)
	bob.want(403, "LOCK", "/f", "", "If", "("+token+")")
	if a := bob.want(207, "PROPFIND", "/f", "", "Depth", "0"); strings.Contains(a.body, strings.Trim(token, "<>")) {
		t.Errorf("bob is shown ada's token: %s", a.body)
	}
	ada.want(204, "PUT", "/f", "z", "If", "("+token+")")
	ada.want(204, "UNLOCK", "/f", "", "Lock-Token", token)
	// Of shared locks each keeps to its own.
	mine, his := ada.lock(200, "/f", shared), bob.lock(200, "/f", shared)
	ada.want(423, "PUT", "/f", "z", "If", "("+his+")")
	ada.want(204, "PUT", "/f", "z", "If", "("+mine+")")
	bob.want(204, "PUT", "/f", "z", "If", "("+his+")")
}

func TestLock_expiry(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	w := open(t, func(o *settings) {
		o.dav.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	c := w.client("ada", auth.AppPassword{})
	token := c.lock(201, "/made", exclusive, "Timeout", "Second-100") // of nothing: an empty file is made
	c.reads("/made", nil)
	c.want(423, "PUT", "/made", "x")
	pass(90 * time.Second)
	if a := c.want(200, "LOCK", "/made", "", "If", "("+token+")", "Timeout", "Infinite, Second-5"); !strings.Contains(a.body, "<D:timeout>Second-1800<") {
		t.Errorf("refreshed: %s", a.body)
	}
	pass(1700 * time.Second)
	c.want(423, "PUT", "/made", "x")
	pass(200 * time.Second)
	c.want(204, "PUT", "/made", "x")
	c.want(412, "LOCK", "/made", "", "If", "("+token+")")
	c.want(400, "LOCK", "/made", "")
	c.want(409, "LOCK", "/none/f", exclusive)
	if a := c.want(200, "LOCK", "/made", exclusive, "Timeout", "Second-99999999999"); !strings.Contains(a.body, "<D:timeout>Second-86400<") {
		t.Errorf("the longest: %s", a.body)
	}
}

// Locks stay at their address: not with what moves, but with what replaces it.
func TestLock_moves(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	for _, method := range []string{"MOVE", "COPY"} {
		c.do("PUT", "/from", "new")
		c.want(map[string]int{"MOVE": 201, "COPY": 204}[method], "PUT", "/to", "old")
		token := c.lock(200, "/to", exclusive)
		c.want(423, method, "/from", "", "Destination", "{url}/to")
		c.want(204, method, "/from", "", "Destination", "{url}/to", "If", "<{url}/to> ("+token+")")
		c.want(423, "PUT", "/to", "x")
		c.want(map[string]int{"MOVE": 201, "COPY": 204}[method], "MOVE", "/to", "", "Destination", "{url}/from", "If", "("+token+")", "Overwrite", "T")
		c.want(204, "PUT", "/from", "free")
		c.want(204, "DELETE", "/from", "")
		c.want(201, "PUT", "/to", "free, too")
	}
	w.sound()
}

// A lock that somebody takes while a file comes in counts: it is not replaced.
func TestLock_duringPut(t *testing.T) {
	w := open(t, nil)
	ada := w.client("ada", auth.AppPassword{})
	ada.want(201, "PUT", "/f", "old")
	body, write := io.Pipe()
	done := make(chan answer, 1)
	go func() {
		a, _ := ada.send(ada.request("PUT", "/f", body))
		done <- a
	}()
	if _, err := write.Write(pattern(partSize)); err != nil {
		t.Fatal(err)
	}
	ada.lock(200, "/f", exclusive)
	if _, err := io.Copy(write, bytes.NewReader(pattern(10))); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.status != 423 {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	ada.reads("/f", []byte("old"))
	w.sound()
}
