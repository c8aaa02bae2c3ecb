package hub_test

import (
	"strings"
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Who may write to a folder deep in a tree uploads into it by its id, and learns
// nothing of the names above.
func TestUpload_below(t *testing.T) {
	w := newWorld(t)
	s := w.service(2)
	ada, bob := w.user("ada"), w.user("bob")
	ctx := t.Context()
	top := w.folders(ada, "/secret plans")
	deep := w.folders(ada, "/secret plans/mid/deep")
	read := w.folders(ada, "/secret plans/mid/read")
	for _, id := range []cloud.EntryID{top.ID, deep.ID, read.ID} {
		if _, err := w.fs.SetPublic(ctx, ada.Principal, id, false); err != nil {
			t.Fatal(err)
		}
	}
	for id, write := range map[cloud.EntryID]bool{deep.ID: true, read.ID: false} {
		if _, err := w.fs.Share(ctx, ada.Principal, id, vfs.Grantee{User: bob.ID}, write); err != nil {
			t.Fatal(err)
		}
	}
	c := w.v2(bob)
	data := pattern(2*partSize+5, 4)
	q := packet.UploadRequest{Name: "list", Path: "/rooms/one", Size: int64(len(data)), FolderID: int64(deep.ID)}
	for name, id := range map[string]cloud.EntryID{"hidden": top.ID, "for reading": read.ID, "absent": 1 << 40} {
		refused := q
		refused.FolderID = int64(id)
		r := ask[packet.UploadResponse](c, refused)
		if r.Accepted || strings.Contains(r.RejectionReason, "secret") {
			t.Errorf("%s folder: %+v", name, r)
		}
	}
	hidden, absent := q, q
	hidden.FolderID, absent.FolderID = int64(top.ID), 1<<40
	if got, want := ask[packet.UploadResponse](c, hidden).RejectionReason, ask[packet.UploadResponse](c, absent).RejectionReason; got != want {
		t.Errorf("a hidden folder answers %q, one that is absent %q", got, want)
	}

	r := begin(c, q)
	w.post(r, data, 0)
	s.kill()
	expect[packet.UploadInterrupted](c)
	w.service(2)
	p := ask[packet.Uploads](c, packet.UploadsRequest{}).Uploads
	if len(p) != 1 || p[0].Path != "/rooms/one" || p[0].FolderID != int64(deep.ID) {
		t.Fatalf("pending: %+v", p)
	}
	// The folder goes elsewhere meanwhile, and gets another name.
	if _, err := w.fs.Move(ctx, ada.Principal, deep.ID, top.ID, "deeper", meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	again := ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID})
	confirmed(t, again, packet.Range{0, 0})
	w.post(again, data, 1, 2)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Fatalf("got %+v", p)
	}
	w.checkContent(ada, "/secret plans/deeper/rooms/one/list", data)

	// A name that is taken is asked about where it is.
	r = begin(c, q)
	w.postAll(r, data)
	expect[packet.UploadStageFinish](c)
	if got := expect[packet.UploadOverwriteRequest](c); got != (packet.UploadOverwriteRequest{UploadID: r.UploadID, FileName: "list", FilePath: "/rooms/one", FolderID: int64(deep.ID)}) {
		t.Errorf("asked %+v", got)
	}
	answer(c, r.UploadID, "rename", false)
	if p := expect[packet.UploadFinishInfo](c); !p.Success || p.RenameTarget == "" {
		t.Errorf("got %+v", p)
	}

	// What was taken back meanwhile takes nothing more, nor does what is gone.
	fails := func(name string, end func() error) {
		t.Helper()
		q.Name = name
		r := begin(c, q)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		w.postAll(r, data)
		expect[packet.UploadStageFinish](c)
		if p := expect[packet.UploadFinishInfo](c); p.Success || !strings.Contains(p.Reason, "not there any more") {
			t.Errorf("%s: got %+v", name, p)
		}
	}
	fails("unshared", func() error {
		_, err := w.fs.Unshare(ctx, ada.Principal, deep.ID, vfs.Grantee{User: bob.ID})
		return err
	})
	if _, err := w.fs.Share(ctx, ada.Principal, deep.ID, vfs.Grantee{User: bob.ID}, true); err != nil {
		t.Fatal(err)
	}
	fails("deleted", func() error {
		_, err := w.fs.Delete(ctx, ada.Principal, deep.ID)
		return err
	})
}
