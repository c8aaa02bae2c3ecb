package hub_test

import (
	"strings"
	"testing"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// told takes what a client was told of the tree since the last time, by asking
// for something that is told to all.
func told(w *world, u user, cs ...*wire) [][]packet.Packet {
	w.t.Helper()
	w.folders(u, "/mark")
	e := w.folders(u, "/mark")
	if _, err := w.fs.Delete(w.t.Context(), u.Principal, e.ID); err != nil {
		w.t.Fatal(err)
	}
	out := make([][]packet.Packet, len(cs))
	for i, c := range cs {
		for {
			p := c.find("news", func(e packet.Envelope) bool {
				switch e.Data.(type) {
				case packet.FileModify, packet.FolderModify, packet.EntryChanged:
					return true
				}
				return false
			}).Data
			if f, ok := p.(packet.FolderModify); ok && f.Path == "/mark" {
				if f.Action == packet.FolderDelete {
					break
				}
				continue
			}
			if f, ok := p.(packet.EntryChanged); ok && f.Entry.Name == "mark" {
				if f.Action == packet.EntryRemoved {
					break
				}
				continue
			}
			out[i] = append(out[i], p)
		}
	}
	return out
}

func one[T packet.Packet](t *testing.T, ps []packet.Packet) T {
	t.Helper()
	var zero T
	if len(ps) != 1 {
		t.Errorf("told %+v, want one %T", ps, zero)
		return zero
	}
	p, ok := ps[0].(T)
	if !ok {
		t.Errorf("told %+v, want a %T", ps[0], zero)
	}
	return p
}

func none(t *testing.T, who string, ps []packet.Packet) {
	t.Helper()
	if len(ps) > 0 {
		t.Errorf("%s was told %+v", who, ps)
	}
}

// Each change is told in the words of each version, to those who may know.
func TestNews(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.user("ada"), w.user("bob")
	maker := w.v2(ada)
	a1, a2, b1, b2 := w.v1(ada), w.v2(ada), w.v1(bob), w.v2(bob)
	ctx := t.Context()
	lookup := func(path ...string) cloud.Entry {
		e, err := w.fs.Lookup(ctx, ada.Principal, path)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}

	f := w.folders(ada, "/f")
	got := told(w, ada, a1, a2, b1, b2)
	for _, i := range []int{0, 2} {
		if p := one[packet.FolderModify](t, got[i]); p.Action != packet.FolderAdd || p.Path != "/f" || p.Handle.ID != int64(f.ID) {
			t.Errorf("got %+v", p)
		}
	}
	if p := one[packet.EntryChanged](t, got[1]); p.Action != packet.EntryAdded || p.Path != "/" || p.Entry.Name != "f" ||
		p.Entry.Access != "owned" || p.Entry.Owner.Name != "ada" || p.Entry.Kind != "folder" {
		t.Errorf("got %+v", p)
	}
	if p := one[packet.EntryChanged](t, got[3]); p.Entry.Access != "public" || p.Entry.Can != "r" {
		t.Errorf("got %+v", p)
	}

	// A private file: bob hears of nothing.
	w.files(maker, "/f", false, "secret")
	got = told(w, ada, a1, a2, b1, b2)
	if p := one[packet.FileModify](t, got[0]); p.Action != packet.FileAdd || p.Path != "/f" || p.Handle.Ownership.Status != "owned" {
		t.Errorf("got %+v", p)
	}
	if p := one[packet.EntryChanged](t, got[1]); p.Entry.Public || p.Entry.Hash == "" || p.Entry.SHA256 == "" {
		t.Errorf("got %+v", p)
	}
	none(t, "bob", got[2])
	none(t, "bob", got[3])

	// Shared with him, in the strict form.
	secret := lookup("f", "secret")
	if _, err := w.fs.Share(ctx, ada.Principal, secret.ID, vfs.Grantee{User: bob.ID}, true); err != nil {
		t.Fatal(err)
	}
	got = told(w, ada, a1, a2, b1, b2)
	if p := one[packet.FileModify](t, got[2]); p.Action != packet.FileChange || p.Handle.Ownership.Status != "shared" || p.Handle.Ownership.Can != "" ||
		p.Handle.Ownership.Share == nil || !p.Handle.Ownership.Share.CanWrite || p.Handle.Ownership.Share.User != int64(bob.ID) {
		t.Errorf("got %+v", p)
	}
	if p := one[packet.EntryChanged](t, got[3]); p.Action != packet.EntryAdded || p.Entry.Access != "shared" || p.Entry.Can != "rw" {
		t.Errorf("got %+v", p)
	}

	// Renamed, moved, deleted: to all who could see it.
	g := w.folders(ada, "/g")
	told(w, ada, a1, a2, b1, b2)
	if _, err := w.fs.Move(ctx, ada.Principal, secret.ID, g.ID, "moved", meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	got = told(w, ada, a1, a2, b1, b2)
	for _, i := range []int{0, 2} {
		if p := one[packet.FileModify](t, got[i]); p.Action != packet.FileChange || p.Path != "/g" || p.Handle.Name != "moved" {
			t.Errorf("got %+v", p)
		}
	}
	if p := one[packet.EntryChanged](t, got[3]); p.Action != packet.EntryMoved || p.Path != "/g" || p.OldPath != "/f" || p.OldName != "secret" || *p.OldParent != int64(f.ID) {
		t.Errorf("got %+v", p)
	}
	if _, err := w.fs.Delete(ctx, ada.Principal, secret.ID); err != nil {
		t.Fatal(err)
	}
	got = told(w, ada, a1, a2, b1, b2)
	if p := one[packet.FileModify](t, got[2]); p.Action != packet.FileDelete || p.Path != "/g" {
		t.Errorf("got %+v", p)
	}
	if p := one[packet.EntryChanged](t, got[3]); p.Action != packet.EntryRemoved || p.Path != "/g" || p.Entry.Name != "moved" {
		t.Errorf("got %+v", p)
	}

	// Folders: renamed as such, moved as deleted and added.
	if _, err := w.fs.Move(ctx, ada.Principal, g.ID, cloud.Root, "neu", meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	got = told(w, ada, a1, a2)
	if p := one[packet.FolderModify](t, got[0]); p.Action != packet.FolderRename || p.Path != "/neu" || p.RenameOrigin != "g" || p.Handle.Name != "neu" {
		t.Errorf("got %+v", p)
	}
	if p := one[packet.EntryChanged](t, got[1]); p.Action != packet.EntryMoved || p.OldName != "g" || p.OldPath != "" || p.OldParent != nil {
		t.Errorf("got %+v", p)
	}
	if _, err := w.fs.Move(ctx, ada.Principal, g.ID, f.ID, "sub", meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	got = told(w, ada, a1)
	if len(got[0]) != 2 {
		t.Fatalf("told %+v", got[0])
	}
	gone, here := got[0][0].(packet.FolderModify), got[0][1].(packet.FolderModify)
	if gone.Action != packet.FolderDelete || gone.Path != "/neu" || gone.Handle.ParentFolder != nil ||
		here.Action != packet.FolderAdd || here.Path != "/f/sub" || *here.Handle.ParentFolder != int64(f.ID) {
		t.Errorf("told %+v", got[0])
	}
}

// What a folder hides is hidden in the news of what lies in it, too.
func TestNews_HiddenFolder(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.user("ada"), w.user("bob")
	maker := w.v2(ada)
	b1, b2 := w.v1(bob), w.v2(bob)
	ctx := t.Context()
	hidden, open := w.folders(ada, "/hidden"), w.folders(ada, "/open")
	if _, err := w.fs.SetPublic(ctx, ada.Principal, hidden.ID, false); err != nil {
		t.Fatal(err)
	}
	told(w, ada, b1, b2)
	w.files(maker, "/hidden", true, "x")
	got := told(w, ada, b1, b2)
	none(t, "bob", got[0])
	none(t, "bob", got[1])

	x, err := w.fs.Lookup(ctx, ada.Principal, []string{"hidden", "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.fs.Move(ctx, ada.Principal, x.ID, open.ID, "x", meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	got = told(w, ada, b1, b2)
	if p := one[packet.FileModify](t, got[0]); p.Action != packet.FileAdd || p.Path != "/open" {
		t.Errorf("got %+v", p)
	}
	if p := one[packet.EntryChanged](t, got[1]); p.Action != packet.EntryAdded || p.OldPath != "" || p.OldParent != nil {
		t.Errorf("got %+v", p)
	}
	if _, err := w.fs.Move(ctx, ada.Principal, x.ID, hidden.ID, "renamed", meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	got = told(w, ada, b1, b2)
	if p := one[packet.FileModify](t, got[0]); p.Action != packet.FileDelete || p.Path != "/open" || p.Handle.Name != "x" {
		t.Errorf("got %+v", p)
	}
	if p := one[packet.EntryChanged](t, got[1]); p.Action != packet.EntryRemoved || p.Path != "/open" || p.Entry.Name != "x" || p.Entry.Parent != int64(open.ID) {
		t.Errorf("got %+v", p)
	}
}

// Who loses sight of an entry is told that it is gone, who gains it that it is
// there, and who saw it all the time that it changed.
func TestNews_Sight(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.user("ada"), w.user("bob")
	maker := w.v2(ada)
	b1, b2 := w.v1(bob), w.v2(bob)
	ctx := t.Context()
	w.files(maker, "/f", false, "x")
	x, err := w.fs.Lookup(ctx, ada.Principal, []string{"f", "x"})
	if err != nil {
		t.Fatal(err)
	}
	told(w, ada, maker, b1, b2)
	share := func(write bool) error {
		_, err := w.fs.Share(ctx, ada.Principal, x.ID, vfs.Grantee{User: bob.ID}, write)
		return err
	}
	for _, step := range []struct {
		name   string
		do     func() error
		v1, v2 string // actions that bob is told; his clients are told nothing for ""
	}{
		{"shared", func() error { return share(false) }, packet.FileChange, packet.EntryAdded},
		{"writable", func() error { return share(true) }, packet.FileChange, packet.EntryModified},
		{"unshared", func() error { _, err := w.fs.Unshare(ctx, ada.Principal, x.ID, vfs.Grantee{User: bob.ID}); return err }, packet.FileDelete, packet.EntryRemoved},
		{"public", func() error { _, err := w.fs.SetPublic(ctx, ada.Principal, x.ID, true); return err }, packet.FileChange, packet.EntryAdded},
		{"private", func() error { _, err := w.fs.SetPublic(ctx, ada.Principal, x.ID, false); return err }, packet.FileDelete, packet.EntryRemoved},
		{"given", func() error {
			_, err := w.fs.SetOwner(ctx, ada.Principal, x.ID, bob.ID, meta.Transfer{Keep: true})
			return err
		}, packet.FileChange, packet.EntryAdded},
		{"given back", func() error {
			_, err := w.fs.SetOwner(ctx, bob.Principal, x.ID, ada.ID, meta.Transfer{DropShares: true})
			return err
		}, packet.FileDelete, packet.EntryRemoved},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got := told(w, ada, maker, b1, b2)
		if p := one[packet.EntryChanged](t, got[0]); p.Action != packet.EntryModified || p.Entry.Name != "x" {
			t.Errorf("%s: the owner is told %+v", step.name, p)
		}
		if p := one[packet.FileModify](t, got[1]); p.Action != step.v1 || p.Path != "/f" {
			t.Errorf("%s: version 1 is told %+v", step.name, p)
		}
		if p := one[packet.EntryChanged](t, got[2]); p.Action != step.v2 || p.Path != "/f" {
			t.Errorf("%s: version 2 is told %+v", step.name, p)
		}
	}
}

// Version 1 is not told of what it could not name, and sees stand-ins.
func TestNews_V1Limits(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	c, d := w.v1(u), w.v2(u)
	told(w, u, c, d)
	deep := strings.Repeat("/x", 10)
	w.folders(u, deep)
	told(w, u, c, d)
	w.folders(u, deep+"/eleven")
	w.files(w.v2(u), deep, true, "file in the tenth")
	w.files(w.v2(u), deep+"/eleven", true, "file in the eleventh")
	got := told(w, u, c, d)
	if len(got[1]) != 3 {
		t.Errorf("version 2 was told %+v", got[1])
	}
	if p := one[packet.FileModify](t, got[0]); p.Path != deep {
		t.Errorf("got %+v", p)
	}

	e := w.folders(u, "/日本")
	got = told(w, u, c, d)
	p := one[packet.FolderModify](t, got[0])
	if !packet.ValidNameV1(p.Handle.Name) || p.Path != "/"+p.Handle.Name {
		t.Errorf("got %+v", p)
	}
	if _, err := w.fs.Move(t.Context(), u.Principal, e.ID, cloud.Root, "Japan", meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	got = told(w, u, c)
	if now := one[packet.FolderModify](t, got[0]); now.Action != packet.FolderRename || now.RenameOrigin != p.Handle.Name || now.Path != "/Japan" {
		t.Errorf("got %+v", now)
	}
}

// A change whose folder is gone by the time it is told is not told; those after
// it are.
func TestNews_GoneMeanwhile(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	c := w.v1(u)
	w.bus.Publish(&event.Change{Action: event.Added, Entry: cloud.Entry{ID: 7, Parent: 1 << 40, Kind: cloud.KindFile, Name: "x"}})
	got := told(w, u, c)
	none(t, "ada", got[0])
}

// Services are told of: thumbnails first, then uploads.
func TestRegistry(t *testing.T) {
	w := newWorld(t)
	s := w.service(3)
	u := w.user("ada")
	first := w.v1(u)
	delete(first.ignore, "s2c:service-registry")
	if p := expect[packet.ServiceRegistry](first); p.Action != packet.RegistryList || p.ServiceType != packet.ServiceUpload || p.Address != s.addr || p.Capacity != nil {
		t.Errorf("got %+v", p)
	}
	thumbs := w.thumbnails()
	added := expect[packet.ServiceRegistry](first)
	if added.Action != packet.RegistryAdded || added.ServiceType != packet.ServiceThumbnail || added.Address != "" {
		t.Errorf("got %+v", added)
	}
	c := w.v2(u)
	delete(c.ignore, "s2c:service-registry")
	if p := expect[packet.ServiceRegistry](c); p.ServiceType != packet.ServiceThumbnail || p.ServiceUUID != added.ServiceUUID {
		t.Errorf("got %+v", p)
	}
	if p := expect[packet.ServiceRegistry](c); p.ServiceType != packet.ServiceUpload || *p.Capacity != 3 || *p.Busy {
		t.Errorf("got %+v", p)
	}
	_ = thumbs.CloseNow()
	if p := expect[packet.ServiceRegistry](first); p.Action != packet.RegistryRemoved || p.ServiceUUID != added.ServiceUUID {
		t.Errorf("got %+v", p)
	}
}
