package vfs_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/manager/internal/vfs/vfstest"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
)

// heard collects what the bus tells.
func heard(t *testing.T, w *vfstest.World) *[]event.Change {
	var all []event.Change
	t.Cleanup(w.Bus.Subscribe(func(v any) {
		if c, ok := v.(*event.Change); ok {
			all = append(all, *c)
		}
	}))
	return &all
}

func mustBe(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error = %v, want %v", err, kind)
	}
}

func lookup(t *testing.T, w *vfstest.World, who policy.Principal, path string) (cloud.Entry, error) {
	t.Helper()
	names, err := vfs.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	return w.FS.Lookup(t.Context(), who, names)
}

func TestLookup(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	file := w.Put(t, ada, "/docs/old/a.txt", []byte("a"), true)
	secret := w.Put(t, ada, "/docs/secret.txt", []byte("s"), false)

	for _, path := range []string{"/docs/old/a.txt", "/docs/old/a.txt/"} {
		if e, err := lookup(t, w, bob, path); err != nil || e.ID != file.ID {
			t.Errorf("Lookup(%s) = %d, %v, want %d", path, e.ID, err, file.ID)
		}
	}
	if e, err := lookup(t, w, bob, "/"); err != nil || e.ID != cloud.Root {
		t.Errorf("Lookup(/) = %+v, %v", e, err)
	}
	for _, path := range []string{"/docs/none", "/docs/old/a.txt/below", "/docs/secret.txt", "/Docs"} {
		_, err := lookup(t, w, bob, path)
		mustBe(t, err, cloud.ErrNotFound)
	}
	_, err := w.FS.Entry(t.Context(), bob, secret.ID)
	mustBe(t, err, cloud.ErrNotFound)
	_, err = w.FS.Entry(t.Context(), policy.Principal{}, secret.ID)
	mustBe(t, err, cloud.ErrUnauthenticated)
	_, err = w.FS.Entry(t.Context(), policy.Principal{}, 1<<40)
	mustBe(t, err, cloud.ErrUnauthenticated)

	// A private folder hides the way, not what is shared below it.
	old, err := lookup(t, w, ada, "/docs/old")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.FS.SetPublic(t.Context(), ada, old.ID, false); err != nil {
		t.Fatal(err)
	}
	_, err = lookup(t, w, bob, "/docs/old/a.txt")
	mustBe(t, err, cloud.ErrNotFound)
	path, err := w.FS.Path(t.Context(), bob, file.ID)
	if err != nil || len(path) != 1 || path[0].ID != file.ID {
		t.Errorf("Path = %v, %v, want the file alone", path, err)
	}
	path, err = w.FS.Path(t.Context(), ada, file.ID)
	if err != nil || len(path) != 3 {
		t.Errorf("Path of the owner = %v, %v, want 3 entries", path, err)
	}
}

func TestMove(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	file := w.Put(t, ada, "/a/x.txt", []byte("x"), true)
	private := w.Put(t, ada, "/a/private.txt", []byte("p"), false)
	b := w.Folder(t, ada, "/b")
	mine := w.Put(t, bob, "/a/mine.txt", []byte("m"), true)
	news := heard(t, w)

	_, err := w.FS.Move(t.Context(), bob, file.ID, b.ID, "x.txt", meta.ConflictFail)
	mustBe(t, err, cloud.ErrDenied)
	_, err = w.FS.Move(t.Context(), bob, private.ID, b.ID, "x.txt", meta.ConflictFail)
	mustBe(t, err, cloud.ErrNotFound)
	_, err = w.FS.Move(t.Context(), ada, file.ID, b.ID, "../x", meta.ConflictFail)
	mustBe(t, err, cloud.ErrInvalid)
	_, err = w.FS.Move(t.Context(), bob, mine.ID, file.Parent, "x.txt", meta.ConflictReplace)
	mustBe(t, err, cloud.ErrDenied)
	_, err = w.FS.Move(t.Context(), bob, mine.ID, file.Parent, "private.txt", meta.ConflictReplace)
	mustBe(t, err, cloud.ErrExists)
	_, err = w.FS.Move(t.Context(), ada, cloud.Root, b.ID, "root", meta.ConflictFail)
	if err == nil {
		t.Error("the root was moved")
	}
	if len(*news) != 0 {
		t.Errorf("refused moves told %v", *news)
	}

	m, err := w.FS.Move(t.Context(), ada, file.ID, b.ID, "y.txt", meta.ConflictFail)
	if err != nil || m.After.Name != "y.txt" || m.After.Parent != b.ID {
		t.Fatalf("Move = %+v, %v", m, err)
	}
	was := m.Before
	want := event.Change{Action: event.Moved, Entry: m.After, Path: []string{"b"}, Before: &was}
	want.Entry.Share, want.Before.Share = nil, nil
	if was.Name != "x.txt" || was.Parent != file.Parent {
		t.Errorf("before it was %+v", was)
	}
	if got := (*news)[0]; len(*news) != 1 || !reflect.DeepEqual(normal(got), normal(want)) {
		t.Errorf("news = %+v, want %+v", *news, want)
	}

	// A share that can write is enough to rename, and counts inside of the
	// transaction.
	if _, err := w.FS.Share(t.Context(), ada, private.ID, vfs.Grantee{User: bob.User}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.FS.Move(t.Context(), bob, private.ID, private.Parent, "renamed.txt", meta.ConflictFail); err != nil {
		t.Errorf("rename with a share: %v", err)
	}
	last := (*news)[len(*news)-1]
	// The owner, who shares it, has what it gives himself.
	if len(last.SharedWith) != 2 || last.SharedWith[0].User != bob.User || last.SharedWith[1].User != ada.User || last.Entry.Share != nil {
		t.Errorf("news of a shared entry = %+v", last)
	}
}

// normal drops what reflect sees and nobody else: empty against nil.
func normal(c event.Change) event.Change {
	if len(c.SharedWith) == 0 {
		c.SharedWith = nil
	}
	if len(c.SharedBefore) == 0 {
		c.SharedBefore = nil
	}
	return c
}

func TestMove_Replace(t *testing.T) {
	w := vfstest.New(t)
	ada := w.User(t, "ada")
	file := w.Put(t, ada, "/x.txt", []byte("new"), true)
	old := w.Put(t, ada, "/a/x.txt", []byte("old"), true)
	news := heard(t, w)
	m, err := w.FS.Move(t.Context(), ada, file.ID, old.Parent, "x.txt", meta.ConflictReplace)
	if err != nil || m.Replaced == nil || m.Replaced.ID != old.ID {
		t.Fatalf("Move = %+v, %v", m, err)
	}
	if len(*news) != 2 || (*news)[0].Action != event.Removed || (*news)[0].Entry.ID != old.ID || (*news)[1].Action != event.Moved {
		t.Errorf("news = %+v, want the old one removed, then the move", *news)
	}
}

func TestMoveMany(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	a := w.Put(t, ada, "/a.txt", []byte("a"), true)
	b := w.Put(t, ada, "/b.txt", []byte("b"), true)
	w.Put(t, ada, "/to/b.txt", []byte("taken"), true)
	to, err := lookup(t, w, ada, "/to")
	if err != nil {
		t.Fatal(err)
	}
	news := heard(t, w)
	ids := []cloud.EntryID{a.ID, b.ID}
	_, err = w.FS.MoveMany(t.Context(), ada, ids, to.ID, meta.ConflictFail)
	mustBe(t, err, cloud.ErrExists)
	if e, err := lookup(t, w, ada, "/a.txt"); err != nil || e.ID != a.ID {
		t.Errorf("a.txt after a failed move of two: %v, %v", e, err)
	}
	_, err = w.FS.MoveMany(t.Context(), bob, ids, to.ID, meta.ConflictRename)
	mustBe(t, err, cloud.ErrDenied)
	if len(*news) != 0 {
		t.Errorf("nothing was moved, told was %v", *news)
	}
	done, err := w.FS.MoveMany(t.Context(), ada, append(ids, a.ID), to.ID, meta.ConflictRename)
	if err != nil || len(done) != 2 || done[1].After.Name != "b (1).txt" || len(*news) != 2 {
		t.Errorf("MoveMany = %+v, %v, news %d", done, err, len(*news))
	}
}

func TestDelete(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	w.Put(t, ada, "/a/b/x.txt", []byte("xx"), true)
	foreign := w.Put(t, bob, "/a/b/bob.txt", []byte("b"), false)
	a, err := lookup(t, w, ada, "/a")
	if err != nil {
		t.Fatal(err)
	}
	news := heard(t, w)
	_, err = w.FS.Delete(t.Context(), ada, a.ID)
	mustBe(t, err, cloud.ErrDenied)
	if strings.Contains(cloud.TextOf(err), "bob") {
		t.Errorf("the refusal names what is hidden: %q", cloud.TextOf(err))
	}
	_, err = w.FS.Delete(t.Context(), ada, foreign.ID)
	mustBe(t, err, cloud.ErrNotFound)
	_, err = w.FS.Delete(t.Context(), ada, cloud.Root)
	mustBe(t, err, cloud.ErrDenied)
	if _, err := w.FS.Delete(t.Context(), bob, foreign.ID); err != nil {
		t.Fatal(err)
	}
	d, err := w.FS.Delete(t.Context(), ada, a.ID, a.ID)
	if err != nil || d.Files != 1 || d.Folders != 2 || d.Bytes != 2 {
		t.Errorf("Delete = %+v, %v", d, err)
	}
	if len(*news) != 2 || (*news)[1].Action != event.Removed || (*news)[1].Entry.ID != a.ID || (*news)[0].Path[1] != "b" {
		t.Errorf("news = %+v", *news)
	}
}

func TestMakeFolders(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	news := heard(t, w)
	last, created, err := w.FS.MakeFolders(t.Context(), ada, cloud.Root, []string{"a", "b", "u\u0308"})
	if err != nil || len(created) != 3 || last.Name != "ü" || len(*news) != 3 {
		t.Fatalf("MakeFolders = %+v, %d created, %v", last, len(created), err)
	}
	if got := (*news)[2].Path; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("path of the last = %v", got)
	}
	if _, err := w.FS.SetPublic(t.Context(), ada, last.ID, false); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.FS.MakeFolders(t.Context(), bob, cloud.Root, []string{"a", "b", "ü", "inside"})
	mustBe(t, err, cloud.ErrExists)
	_, _, err = w.FS.MakeFolders(t.Context(), bob, last.ID, []string{"inside"})
	mustBe(t, err, cloud.ErrNotFound)
	_, created, err = w.FS.MakeFolders(t.Context(), ada, cloud.Root, []string{"a", "b"})
	if err != nil || len(created) != 0 {
		t.Errorf("again: %v, %v", created, err)
	}
	_, _, err = w.FS.MakeFolders(t.Context(), ada, cloud.Root, []string{"a", ".."})
	mustBe(t, err, cloud.ErrInvalid)
}

func TestShare(t *testing.T) {
	w := vfstest.New(t)
	ada, bob, eve := w.User(t, "ada"), w.User(t, "bob"), w.User(t, "eve")
	file := w.Put(t, ada, "/x.txt", []byte("x"), false)
	share := func(who policy.Principal, with cloud.UserID) error {
		_, err := w.FS.Share(t.Context(), who, file.ID, vfs.Grantee{User: with}, true)
		return err
	}
	mustBe(t, share(eve, eve.User), cloud.ErrNotFound)
	mustBe(t, share(ada, 4711), cloud.ErrNotFound)
	if _, err := w.FS.Share(t.Context(), ada, file.ID, vfs.Grantee{User: bob.User}, false); err != nil {
		t.Fatal(err)
	}
	e, err := w.FS.Entry(t.Context(), bob, file.ID)
	if err != nil {
		t.Fatal(err)
	}
	if status, can := policy.Access(bob.User, e); status != policy.Shared || can != policy.ReadOnly {
		t.Errorf("access = %s, %s", status, can)
	}
	mustBe(t, share(bob, eve.User), cloud.ErrDenied)
	_, err = w.FS.SetOwner(t.Context(), bob, file.ID, bob.User, meta.Transfer{})
	mustBe(t, err, cloud.ErrDenied)
	e, err = w.FS.SetOwner(t.Context(), ada, file.ID, bob.User, meta.Transfer{Keep: true})
	if err != nil || e.Owner != bob.User {
		t.Fatalf("SetOwner = %+v, %v", e, err)
	}
	e, err = w.FS.Entry(t.Context(), ada, file.ID)
	if _, can := policy.Access(ada.User, e); err != nil || can != policy.ReadWrite {
		t.Errorf("the owner before can %s, %v", can, err)
	}
	if was, err := w.FS.Unshare(t.Context(), bob, file.ID, vfs.Grantee{User: ada.User}); err != nil || !was {
		t.Errorf("Unshare = %v, %v", was, err)
	}
	_, err = w.FS.Entry(t.Context(), ada, file.ID)
	mustBe(t, err, cloud.ErrNotFound)
}

func TestContent(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	plain := blobtest.Pattern(600_000)
	file := w.Put(t, ada, "/x.bin", plain, false)
	_, err := w.FS.Open(t.Context(), bob, file)
	mustBe(t, err, cloud.ErrNotFound)
	c, err := w.FS.Open(t.Context(), ada, file)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]int64{{0, -1}, {0, 1}, {262_143, 2}, {599_999, 1}, {600_000, 0}, {600_000, -1}, {1, 599_999}} {
		rd, err := c.OpenRange(t.Context(), r[0], r[1])
		if err != nil {
			t.Fatalf("OpenRange(%v): %v", r, err)
		}
		got, err := io.ReadAll(rd)
		want := plain[r[0]:]
		if r[1] >= 0 {
			want = want[:r[1]]
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("range %v: %d bytes, %v", r, len(got), err)
		}
		if err := rd.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, r := range [][2]int64{{-1, 1}, {0, 600_001}, {600_001, 0}, {600_000, 1}} {
		_, err := c.OpenRange(t.Context(), r[0], r[1])
		mustBe(t, err, cloud.ErrInvalid)
	}
	folder := w.Folder(t, ada, "/f")
	_, err = w.FS.Open(t.Context(), ada, folder)
	mustBe(t, err, cloud.ErrInvalid)

	// What is open stays what it was.
	w.Put(t, ada, "/x.bin", []byte("other"), false)
	rd, err := c.OpenRange(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(rd)
	if err != nil || !bytes.Equal(got, plain[:10]) {
		t.Errorf("after the file was replaced: %q, %v", got, err)
	}
	if err := rd.Close(); err != nil {
		t.Error(err)
	}
}

func TestWalk(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	w.Put(t, ada, "/top/a/x.txt", []byte("x"), true)
	w.Put(t, ada, "/top/a/hidden.txt", []byte("h"), false)
	w.Folder(t, ada, "/top/empty")
	top, err := lookup(t, w, bob, "/top")
	if err != nil {
		t.Fatal(err)
	}
	walk := func(who policy.Principal) (got []string) {
		err := w.FS.Walk(t.Context(), who, top.ID, func(names []string, _ *vfs.Content) error {
			got = append(got, strings.Join(names, "/"))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return got
	}
	if got := walk(bob); !slices.Equal(got, []string{"a", "a/x.txt", "empty"}) {
		t.Errorf("bob sees %v", got)
	}
	ticket := ada
	ticket.Role, ticket.Entry = policy.TicketHolder, top.ID
	if got := walk(ticket); len(got) != 4 {
		t.Errorf("with a ticket of the owner: %v", got)
	}
	ticket.Entry++
	mustBe(t, w.FS.Walk(t.Context(), ticket, top.ID, nil), cloud.ErrNotFound)
}

// TestViewer holds the filter that the database applies to a listing against the
// policy, over random entries.
func TestViewer(t *testing.T) {
	w := vfstest.New(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	people := []policy.Principal{w.User(t, "ada"), w.User(t, "bob"), w.User(t, "eve")}
	ids := map[cloud.EntryID]bool{}
	for i := range 120 {
		owner := people[rnd.IntN(3)]
		e := w.Put(t, owner, "/e"+string(rune('a'+i%26))+string(rune('a'+i/26)), nil, rnd.IntN(2) == 0)
		ids[e.ID] = true
		for _, p := range people {
			if p.User != owner.User && rnd.IntN(4) == 0 {
				if _, err := w.Store.SetShare(t.Context(), cloud.Share{Entry: e.ID, User: p.User, CanWrite: rnd.IntN(2) == 0}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if rnd.IntN(5) == 0 {
			if _, err := w.Store.SetOwner(t.Context(), e.ID, 0, meta.Transfer{DropShares: rnd.IntN(2) == 0}, allowAll); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range people {
		listed := map[cloud.EntryID]bool{}
		q := meta.Query{Limit: 7}
		for {
			page, err := w.FS.List(t.Context(), p, cloud.Root, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				listed[e.ID] = true
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		files, _, err := w.FS.Count(t.Context(), p, cloud.Root)
		if err != nil || files != len(listed) {
			t.Errorf("Count = %d, %v, listed are %d", files, err, len(listed))
		}
		for id := range ids {
			e, err := w.Store.Entry(t.Context(), id, p.User)
			if err != nil {
				t.Fatal(err)
			}
			if _, can := policy.Access(p.User, e); (can != policy.Nothing) != listed[id] {
				t.Errorf("%s: can %s with %+v, listed %t", p.Name, can, e, listed[id])
			}
		}
	}
}

func allowAll(cloud.Entry) error { return nil }

func TestLink(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	file := w.Put(t, ada, "/ä/日本 \".txt", []byte("x"), false)
	_, err := w.FS.SignLink(t.Context(), bob, file)
	mustBe(t, err, cloud.ErrNotFound)
	payload, err := w.FS.SignLink(t.Context(), ada, file)
	if err != nil {
		t.Fatal(err)
	}
	open := func() error {
		e, who, err := w.FS.OpenLink(context.Background(), payload)
		if err == nil {
			if e.ID != file.ID {
				t.Errorf("the link opens %d, want %d", e.ID, file.ID)
			}
			_, err = w.FS.Open(t.Context(), who, e)
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	ring := w.FS.Ring
	w.FS.Ring = append(w.FS.Ring[:0:0], [32]byte{9}, ring[0])
	if err := open(); err != nil {
		t.Errorf("with a newer key in front: %v", err)
	}
	w.FS.Ring = w.FS.Ring[:1]
	mustBe(t, open(), cloud.ErrInvalid)
	w.FS.Ring = ring
	for i := range payload {
		bad := []byte(payload)
		bad[i] ^= 1
		if _, _, err := w.FS.OpenLink(t.Context(), string(bad)); !errors.Is(err, cloud.ErrInvalid) {
			t.Fatalf("with character %d changed: %v", i, err)
		}
	}
	w.Put(t, ada, "/ä/日本 \".txt", []byte("y"), false)
	mustBe(t, open(), cloud.ErrDenied)
	w.Put(t, ada, "/ä/日本 \".txt", []byte("x"), false)
	if err := open(); err != nil {
		t.Errorf("with its content back: %v", err)
	}
	if _, err := w.FS.Move(t.Context(), ada, file.ID, file.Parent, "z", meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	mustBe(t, open(), cloud.ErrNotFound)
}

func FuzzOpenLink(f *testing.F) {
	w := vfstest.New(f)
	_, _ = crand.Read(w.FS.Ring[0][:]) // each fuzzing process has its own payload
	ada := w.User(f, "ada")
	payload, err := w.FS.SignLink(f.Context(), ada, w.Put(f, ada, "/x.txt", []byte("x"), false))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add("")
	f.Add("oKGio6SlpqeoqaqrrK2ur1d10aD8DbJHPpq3eQ6wm1FRgU3ddajvTOHmMcWVYK")
	f.Fuzz(func(t *testing.T, s string) {
		if _, _, err := w.FS.OpenLink(t.Context(), s); s != payload && !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("OpenLink(%q) = %v, want %v", s, err, cloud.ErrInvalid)
		}
	})
}
