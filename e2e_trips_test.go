//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/supabasetest"
)

// What the manager does by itself, tells other managers, and looks up for the sockets
// that are told of a change, is done whether somebody waits for an answer or not.
var (
	behind      = regexp.MustCompile(`\b(?:managers|leases|news)\b`)
	behindFirst = regexp.MustCompile(`\b(?:jobs|thumbnails|deletions|orphans|above \(token)\b`)
	behindAlone = regexp.MustCompile(`(?s)^(?:SELECT u\.id, .* FROM users u WHERE u\.id|WITH RECURSIVE up \(id, level\))`) // the owner of what has changed, and its path
)

// trips counts the requests to a Supabase project that an action waits for.
type trips struct {
	mu  sync.Mutex
	all []string
}

func (c *trips) watch(_ string, body []byte) {
	var call struct {
		Script struct{ Steps []struct{ Text string } }
	}
	if json.Unmarshal(body, &call) != nil {
		return
	}
	var text strings.Builder
	first := 0
	if steps := call.Script.Steps; len(steps) == 1 && behindAlone.MatchString(steps[0].Text) {
		return
	}
	for i, s := range call.Script.Steps {
		if strings.HasPrefix(s.Text, "INSERT INTO commits") {
			first = i + 1
		}
		if behind.MatchString(s.Text) || i == first && behindFirst.MatchString(s.Text) {
			return
		}
		fmt.Fprintf(&text, "\n\t%.100s", strings.Join(strings.Fields(s.Text), " "))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, text.String())
}

func (c *trips) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}

// TestEndToEnd_roundTrips counts the requests that an action of the page waits for
// where the database is reached over REST, when its like was done before.
func TestEndToEnd_roundTrips(t *testing.T) {
	script, err := os.ReadFile("database.sql")
	if err != nil {
		t.Fatal(err)
	}
	project := supabasetest.New(t, pgtest.Start(t), "trips")
	project.Paste(string(script))
	s := startServe(t, map[string]string{"SUPABASE_URL": project.URL, "SUPABASE_KEY": project.Key})
	c := setUp(t, s.base)
	c.servicesReady(3)
	ctx := withTimeout(t, 2*time.Minute)
	var bob struct{ User struct{ ID int64 } }
	c.must(c.do(ctx, "POST", "/api/users", map[string]any{"username": "bob", "password": "another correct horse"}, &bob))
	up := signIn(t, s.base, adminName, adminPassword) // whose socket is told of changes
	var made struct{ Password string }
	c.must(c.do(ctx, "POST", "/api/app-passwords", map[string]any{"name": "trips"}, &made))
	d := &davServer{serve: s, url: s.base + "/dav/", password: made.Password}
	anybody := &client{t: t, base: s.base} // who has nothing but a ticket
	var count trips
	const rounds = 4
	least := map[string]int{} // that each took, of rounds in which others came between at different times
	for round := range rounds {
		data := content{seed: uint64(round), size: 7000}
		action := func(name string, most int, do func()) {
			t.Helper()
			count.take()
			project.Watch(count.watch)
			do()
			project.Watch(nil)
			calls := count.take()
			t.Logf("round %d: %s: %d", round, name, len(calls))
			if before, ok := least[name]; round > 0 && (!ok || len(calls) < before) {
				least[name] = len(calls)
			}
			if round == rounds-1 && least[name] > most {
				t.Errorf("%s takes %d requests, want %d at most:%s", name, least[name], most, strings.Join(calls, "\n"))
			}
		}
		var one struct{ Entry jsonEntry }
		var some struct{ Entries []jsonEntry }
		do := func(method, path string, in, out any) func() {
			return func() { c.must(c.do(ctx, method, path, in, out)) }
		}
		at := func(id int64, rest string) string { return fmt.Sprintf("/api/entries/%d%s", id, rest) }
		folder := fmt.Sprintf("folder %d", round)
		action("make a folder", 1, do("POST", at(0, "/folders"), map[string]any{"name": folder}, &one))
		dir := one.Entry.ID
		action("list the top", 1, do("GET", at(0, "/children"), nil, &some))
		action("open a new folder", 1, do("GET", at(dir, "/children"), nil, &some))
		up.connect()
		up.book(ctx, 4)
		if _, err := up.upload(ctx, "/"+folder, "first.bin", data, packet.ConflictFail); err != nil {
			t.Fatal(err)
		}
		action("upload a file", 3, func() {
			if _, err := up.upload(ctx, "/"+folder, "a.bin", data, packet.ConflictFail); err != nil {
				t.Fatal(err)
			}
		})
		up.conn.Close(1000, "")
		action("list it when it has changed", 1, do("GET", at(dir, "/children"), nil, &some))
		id, first := some.Entries[0].ID, some.Entries[1].ID
		action("list it again", 1, do("GET", at(dir, "/children"), nil, &some))
		action("details", 1, do("GET", at(id, ""), nil, &one))
		action("size of a folder", 1, do("GET", at(dir, "/sizes"), nil, nil))
		read := func(get func() ([32]byte, int64, error)) func() {
			return func() {
				if sum, _, err := get(); err != nil || sum != data.sum(t) {
					t.Fatal(err)
				}
			}
		}
		action("download", 1, read(func() ([32]byte, int64, error) { return c.download(ctx, id) }))
		var ticket struct{ Ticket string }
		action("get a ticket for a download", 1, do("POST", "/api/tickets", map[string]any{"purpose": "download", "entry": first}, &ticket))
		action("download by a ticket", 2, read(func() ([32]byte, int64, error) {
			return anybody.fetch(ctx, at(first, "/content?ticket="+ticket.Ticket))
		}))
		action("go on with it", 1, read(func() ([32]byte, int64, error) {
			return anybody.fetch(ctx, at(first, "/content?ticket="+ticket.Ticket))
		}))
		action("rename", 1, do("PATCH", at(id, ""), map[string]any{"name": "b.bin"}, &one))
		action("star", 1, do("PUT", at(id, "/star"), nil, nil))
		action("see who it is shared with", 1, do("GET", at(id, "/shares"), nil, nil))
		action("share", 1, do("PUT", at(id, fmt.Sprintf("/shares/users/%d", bob.User.ID)), map[string]any{"can_write": false}, nil))
		action("unshare", 1, do("DELETE", at(id, fmt.Sprintf("/shares/users/%d", bob.User.ID)), nil, nil))
		action("move", 1, do("POST", "/api/move", map[string]any{"ids": []int64{id}, "parent": 0}, &some))
		action("search", 1, do("GET", "/api/search?q=b.bin", nil, &some))
		action("delete", 1, do("POST", "/api/delete", map[string]any{"ids": []int64{id}}, nil))
		action("trash", 1, do("GET", "/api/trash", nil, nil))
		action("restore", 1, do("POST", "/api/trash/restore", map[string]any{"ids": []int64{id}}, nil))
		action("size of the folder, as who deletes it is shown", 1, do("GET", at(dir, "/sizes"), nil, nil))
		action("delete a folder", 1, do("POST", "/api/delete", map[string]any{"ids": []int64{dir}}, nil))
		do("POST", "/api/delete", map[string]any{"ids": []int64{id}}, nil)()

		dav := func(status int, method, path string, body []byte, header ...string) func() {
			return func() { d.wants(t, status, method, path, body, header...) }
		}
		in := fmt.Sprintf("dav%d/", round)
		action("make a folder by WebDAV", 1, dav(201, "MKCOL", in, nil))
		dav(201, "PUT", in+"first.bin", []byte("first"))()
		action("put a small file by WebDAV", 4, dav(201, "PUT", in+"a.bin", []byte("0123456789"[round:])))
		action("list its folder by WebDAV", 2, dav(207, "PROPFIND", in, nil, "Depth", "1"))
		action("get it by WebDAV", 1, dav(200, "GET", in+"a.bin", nil))
		action("move it by WebDAV", 1, dav(201, "MOVE", in+"a.bin", nil, "Destination", d.url+in+"b.bin"))
		action("delete it by WebDAV", 1, dav(204, "DELETE", in+"b.bin", nil))
	}
}
