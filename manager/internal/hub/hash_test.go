package hub_test

import (
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/packet"
)

func hashOf(data []byte) string { return chunk.Root(chunk.Leaves(data)).String() }

func TestHash(t *testing.T) {
	w := newWorld(t)
	w.service(2)
	u := w.user("ada")
	c := w.v2(u)
	old := pattern(partSize+9, 1)
	w.put(c, "/", "a", old)

	sent := pattern(2*partSize+5, 3)
	q := packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(sent)), Conflict: packet.ConflictOverwrite}
	r := begin(c, q)
	w.post(r, sent, 0, 1)
	if b := ask[packet.Boolean](c, packet.UploadHash{UploadID: r.UploadID, Hash: hashOf(sent)}); !b.Success {
		t.Fatalf("got %+v", b)
	}
	if e := ask[packet.Error](w.v2(w.user("eve")), packet.UploadHash{UploadID: r.UploadID, Hash: hashOf(old)}); e.Code != "not_found" {
		t.Errorf("another user told the hash: %+v", e)
	}
	if e := ask[packet.Error](w.v2(u), packet.UploadHash{UploadID: r.UploadID, Hash: hashOf(old)}); e.Code != "not_found" {
		t.Errorf("another connection told the hash: %+v", e)
	}
	other := pattern(2*partSize+5, 4)
	w.post(r, other, 2) // as a file that has changed under its upload
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); p.Success || p.Reason == "" {
		t.Errorf("other bytes than those sent became a file: %+v", p)
	}
	w.state(r.UploadID, meta.UploadFailed)
	w.checkContent(u, "/a", old)

	r = begin(c, q)
	if b := ask[packet.Boolean](c, packet.UploadHash{UploadID: r.UploadID, Hash: hashOf(sent)}); !b.Success {
		t.Fatalf("got %+v", b)
	}
	w.postAll(r, sent)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/a", sent)
	if e := ask[packet.Error](c, packet.UploadHash{UploadID: r.UploadID, Hash: hashOf(sent)}); e.Code != "not_found" {
		t.Errorf("got %+v for an upload that has ended", e)
	}
}

// The word for the hash is kept through the question about a taken name.
func TestHash_Asked(t *testing.T) {
	w := newWorld(t)
	w.service(1)
	u := w.user("ada")
	c := w.v2(u)
	old := pattern(100, 1)
	w.put(c, "/", "a", old)
	sent := pattern(partSize+5, 3)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(sent)), Conflict: packet.ConflictAsk})
	w.post(r, sent, 0)
	if b := ask[packet.Boolean](c, packet.UploadHash{UploadID: r.UploadID, Hash: hashOf(sent)}); !b.Success {
		t.Fatalf("got %+v", b)
	}
	w.post(r, sent, 1)
	expect[packet.UploadStageFinish](c)
	expect[packet.UploadOverwriteRequest](c)
	if e := ask[packet.Error](c, packet.UploadHash{UploadID: r.UploadID, Hash: hashOf(old)}); e.Code != "invalid" {
		t.Errorf("a hash was taken after the last part: %+v", e)
	}
	c.tell(packet.UploadOverwriteResponse{UploadID: r.UploadID, Action: packet.ConflictOverwrite})
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/a", sent)
}
