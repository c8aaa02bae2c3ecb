//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/supabasetest"
)

// TestEndToEnd_doors goes through each door of the product on each kind of
// database: packets, the page's routes, WebDAV, shares, links, the trash,
// versions and thumbnails. What came in by one is seen by the others.
func TestEndToEnd_doors(t *testing.T) {
	if onBackend() {
		doors(t, map[string]string{})
		return
	}
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { doors(t, map[string]string{}) })
	p := pgtest.Start(t)
	t.Run("PostgreSQL", func(t *testing.T) {
		p := p.For(t)
		p.Database("doors")
		doors(t, map[string]string{"DATABASE_URL": p.Bouncer("doors")})
	})
	t.Run("Supabase", func(t *testing.T) {
		script, err := os.ReadFile("database.sql")
		if err != nil {
			t.Fatal(err)
		}
		s := supabasetest.New(t, p.For(t), "supabase")
		s.Paste(string(script))
		doors(t, map[string]string{"SUPABASE_URL": s.URL, "SUPABASE_KEY": s.Key})
	})
}

// refused wants a status of a request.
func (c *client) refused(status int, method, path string, in any) {
	c.t.Helper()
	err := c.do(c.t.Context(), method, path, in, nil)
	if refusal, ok := errors.AsType[*httpError](err); !ok || refusal.status != status {
		c.t.Errorf("%s %s = %v, want status %d", method, path, err, status)
	}
}

func doors(t *testing.T, env map[string]string) {
	s := startServe(t, env)
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 2*time.Minute)
	do := func(c *client, method, path string, in, out any) {
		t.Helper()
		c.must(c.do(ctx, method, path, in, out))
	}
	at := func(id int64, rest string) string { return fmt.Sprintf("/api/entries/%d/%s", id, rest) }
	var one struct{ Entry jsonEntry }
	var some struct {
		Entries        []jsonEntry
		Files, Folders int
	}

	// Packets bring a file, the page's routes arrange it.
	c.book(ctx, 4)
	data := content{seed: 8, size: 700_001}
	if _, err := c.upload(ctx, "/albums/2026", "film.bin", data, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	albums, err := c.lookup(ctx, "/albums")
	c.must(err)
	film, err := c.lookup(ctx, "/albums/2026/film.bin")
	c.must(err)
	do(c, "PATCH", fmt.Sprintf("/api/entries/%d", film.ID), map[string]any{"name": "The Film.bin"}, &one)
	do(c, "POST", at(albums.ID, "folders"), map[string]any{"path": "copies/first"}, &one)
	do(c, "POST", "/api/copy", map[string]any{"ids": []int64{film.ID}, "parent": one.Entry.ID}, &some)
	do(c, "GET", at(one.Entry.ID, "children?sort=size"), nil, &some)
	if some.Files != 1 || some.Folders != 0 || len(some.Entries) != 1 || some.Entries[0].Size != data.size {
		t.Errorf("the folder of the copy has %+v", some)
	}
	do(c, "GET", "/api/search?q=FILM", nil, &some)
	var sizes struct{ Bytes, Files, Folders int64 }
	do(c, "GET", at(albums.ID, "sizes"), nil, &sizes)
	if len(some.Entries) != 2 || sizes.Bytes != 2*data.size || sizes.Files != 2 || sizes.Folders != 3 {
		t.Errorf("found %+v, sizes %+v", some.Entries, sizes)
	}

	// WebDAV sees it, and writes beside it.
	var made struct{ Password string }
	do(c, "POST", "/api/app-passwords", map[string]any{"name": "doors"}, &made)
	d := &davServer{serve: s, url: s.base + "/dav/", password: made.Password}
	if got := d.wants(t, 200, "GET", "albums/2026/The%20Film.bin", nil); sha256.Sum256(got.body) != data.sum(t) {
		t.Error("the film comes back wrong by WebDAV")
	}
	note := []byte("what WebDAV wrote")
	d.wants(t, 201, "PUT", "albums/note.txt", note)
	locked := d.wants(t, 200, "LOCK", "albums/note.txt", []byte(`<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>`))
	d.wants(t, 423, "PUT", "albums/note.txt", []byte("without the lock"))
	token := locked.header.Get("Lock-Token")
	d.wants(t, 204, "PUT", "albums/note.txt", append(note, " twice"...), "If", "("+token+")")
	d.wants(t, 204, "UNLOCK", "albums/note.txt", nil, "Lock-Token", token)
	d.wants(t, 201, "MOVE", "albums/note.txt", nil, "Destination", d.url+"albums/2026/note.txt")
	if got := d.wants(t, 207, "PROPFIND", "albums/2026/", nil, "Depth", "1"); bytes.Count(got.body, []byte("</D:response>")) != 3 {
		t.Errorf("PROPFIND shows %s", got.body)
	}
	text, err := c.lookup(ctx, "/albums/2026/note.txt")
	c.must(err)
	var kept struct{ Versions []struct{ ID, Size int64 } }
	do(c, "GET", at(text.ID, "versions"), nil, &kept)
	if len(kept.Versions) > 0 {
		do(c, "POST", at(text.ID, fmt.Sprintf("versions/%d/restore", kept.Versions[0].ID)), nil, nil)
	}
	if got := d.wants(t, 200, "GET", "albums/2026/note.txt", nil); len(kept.Versions) != 1 || !bytes.Equal(got.body, note) {
		t.Errorf("with versions %+v, the first content is %q", kept.Versions, got.body)
	}

	// What is restricted is another's when it is shared, and no longer.
	var user struct{ User struct{ ID int64 } }
	do(c, "POST", "/api/users", map[string]any{"username": "bob", "password": "another correct horse"}, &user)
	bob := signIn(t, s.base, "bob", "another correct horse")
	do(c, "PATCH", fmt.Sprintf("/api/entries/%d", albums.ID), map[string]any{"public": false}, nil)
	bob.refused(404, "GET", at(film.ID, "content"), nil)
	share := at(albums.ID, fmt.Sprintf("shares/users/%d", user.User.ID))
	do(c, "PUT", share, map[string]any{"can_write": true}, nil)
	if sum, n, err := bob.download(ctx, film.ID); err != nil || n != data.size || sum != data.sum(t) {
		t.Errorf("bob reads %d bytes, %v", n, err)
	}
	do(bob, "GET", "/api/shared-with-me", nil, &some)
	do(bob, "GET", at(0, "sizes"), nil, &sizes)
	if len(some.Entries) != 1 || sizes.Bytes != 2*data.size+int64(len(note)) {
		t.Errorf("bob has %+v, %+v", some.Entries, sizes)
	}

	// He deletes, and takes it back.
	do(bob, "POST", "/api/delete", map[string]any{"ids": []int64{text.ID}}, nil)
	d.wants(t, 404, "GET", "albums/2026/note.txt", nil)
	do(bob, "POST", "/api/trash/restore", map[string]any{"ids": []int64{text.ID}}, nil)
	d.wants(t, 200, "GET", "albums/2026/note.txt", nil)
	do(c, "DELETE", share, nil, nil)
	bob.refused(404, "GET", at(film.ID, "content"), nil)
	do(bob, "GET", at(0, "sizes"), nil, &sizes)
	if sizes.Bytes != 0 || sizes.Files != 0 {
		t.Errorf("bob still counts %+v", sizes)
	}

	// Anybody comes by a link, until it ends.
	var link struct {
		Link struct {
			ID   int64
			Path string
		}
	}
	do(c, "POST", at(film.ID, "links"), map[string]any{"mode": "download"}, &link)
	visitor := &client{t: t, base: s.base}
	var entered struct{ Token string }
	do(visitor, "POST", "/api/link", map[string]any{"link": strings.TrimPrefix(link.Link.Path, "/s/")}, &entered)
	visitor.token = entered.Token
	if sum, _, err := visitor.download(ctx, film.ID); err != nil || sum != data.sum(t) {
		t.Errorf("by the link: %v", err)
	}
	visitor.refused(404, "GET", at(text.ID, "content"), nil)
	do(c, "DELETE", fmt.Sprintf("/api/links/%d", link.Link.ID), nil, nil)
	if err := visitor.do(ctx, "GET", at(film.ID, "content"), nil, nil); err == nil {
		t.Error("the link works after its end")
	}

	// Pictures get thumbnails.
	var picture bytes.Buffer
	c.must(png.Encode(&picture, halves(600, 400)))
	id := c.sendBytes(ctx, "/albums", "halves.png", picture.Bytes())
	c.shown(ctx, id)
	answer, small := c.thumbnail(ctx, id, "size=256")
	if img, err := jpeg.Decode(bytes.NewReader(small)); answer.StatusCode != http.StatusOK || err != nil || img.Bounds().Dx() != 256 {
		t.Errorf("thumbnail: status %d, %v", answer.StatusCode, err)
	}

	// All of it is there after a start, and fits together.
	s.stop()
	s.again(t)
	c = signIn(t, s.base, adminName, adminPassword)
	c.verify(ctx, "/albums/copies/first/The Film.bin", data)
	if again, got := c.thumbnail(ctx, id, "size=256"); again.StatusCode != http.StatusOK || !bytes.Equal(got, small) {
		t.Errorf("thumbnail after a start: status %d", again.StatusCode)
	}
	env["DATA_DIR"], env["LOG_LEVEL"] = s.dir, "error"
	if out, code := runBinary(t, env, "", "admin", "check"); code != 0 || !strings.Contains(out, "sound") {
		t.Errorf("check: exit code %d, %s", code, out)
	}
}
