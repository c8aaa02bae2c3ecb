package hub_test

import (
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// What is shared deep in a tree whose folders are hidden is listed, and told of
// under the path that its reader sees; what moves in or out comes and goes.
func TestShared_deep(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.user("ada"), w.user("bob")
	b1, b2 := w.v1(bob), w.v2(bob)
	ctx := t.Context()
	top, private := w.folders(ada, "/top"), w.folders(ada, "/private")
	for _, e := range []cloud.Entry{top, private} {
		if _, err := w.fs.SetPublic(ctx, ada.Principal, e.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	deep := w.folders(ada, "/top/mid/deep")
	below := w.folders(ada, "/top/mid/deep/below")
	x := w.folders(ada, "/private/x")
	if p := ask[packet.Shared](b2, packet.SharedRequest{}); len(p.Entries) != 0 {
		t.Errorf("shared before: %+v", p)
	}
	told(w, ada, b1, b2)
	if _, err := w.fs.Share(ctx, ada.Principal, deep.ID, vfs.Grantee{User: bob.ID}, true); err != nil {
		t.Fatal(err)
	}
	p := ask[packet.Shared](b2, packet.SharedRequest{})
	if len(p.Entries) != 1 || p.Entries[0].ID != int64(deep.ID) || p.Entries[0].Can != "rw" || p.Entries[0].Access != "shared" ||
		p.Entries[0].Owner == nil || p.Entries[0].Owner.Name != "ada" || p.Next != "" {
		t.Errorf("shared: %+v", p)
	}
	got := told(w, ada, b1, b2)
	none(t, "bob, who has no way there with version 1,", got[0])
	if p := one[packet.EntryChanged](t, got[1]); p.Action != packet.EntryAdded || p.Entry.Name != "deep" || p.Path != "/" {
		t.Errorf("told of the share: %+v", p)
	}

	move := func(id, parent cloud.EntryID) []packet.Packet {
		t.Helper()
		if _, err := w.fs.Move(ctx, ada.Principal, id, parent, "x", meta.ConflictFail); err != nil {
			t.Fatal(err)
		}
		return told(w, ada, b2)[0]
	}
	if p := one[packet.EntryChanged](t, move(x.ID, below.ID)); p.Action != packet.EntryAdded || p.Path != "/deep/below" ||
		p.Entry.Parent != int64(below.ID) || p.OldPath != "" || p.OldParent != nil || p.Entry.Can != "rw" {
		t.Errorf("moved in: %+v", p)
	}
	if p := one[packet.EntryChanged](t, move(x.ID, deep.ID)); p.Action != packet.EntryMoved || p.Path != "/deep" || p.OldPath != "/deep/below" {
		t.Errorf("moved within: %+v", p)
	}
	if p := one[packet.EntryChanged](t, move(x.ID, private.ID)); p.Action != packet.EntryRemoved || p.Path != "/deep" || p.Entry.Parent != int64(deep.ID) {
		t.Errorf("moved out: %+v", p)
	}
	if _, err := w.fs.Unshare(ctx, ada.Principal, deep.ID, vfs.Grantee{User: bob.ID}); err != nil {
		t.Fatal(err)
	}
	if p := one[packet.EntryChanged](t, told(w, ada, b2)[0]); p.Action != packet.EntryRemoved || p.Entry.Name != "deep" {
		t.Errorf("unshared: %+v", p)
	}
}
