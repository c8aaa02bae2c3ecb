package hub_test

import (
	"fmt"
	"slices"
	"testing"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/hub"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

func confirmed(t *testing.T, r packet.UploadResponse, want ...packet.Range) {
	t.Helper()
	if !r.Accepted || !slices.Equal(r.Confirmed, want) {
		t.Fatalf("got %+v, want %v confirmed", r, want)
	}
}

func TestResume_ServiceLost(t *testing.T) {
	w := newWorld(t)
	s := w.service(1)
	u := w.user("ada")
	c := w.v2(u)
	ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 1})
	data := pattern(4*partSize+5, 3)
	r := begin(c, packet.UploadRequest{Name: "日本", Path: "/x", Size: int64(len(data))})
	w.post(r, data, 0, 1, 3)
	last := s.part(r.UploadID, 2, data[2*partSize:3*partSize])
	s.kill()
	if p := expect[packet.UploadBookingModify](c); p.EffectiveChange != -1 {
		t.Errorf("got %+v", p)
	}
	if p := expect[packet.UploadInterrupted](c); p.UploadID != r.UploadID || p.Reason == "" {
		t.Errorf("got %+v", p)
	}

	other := w.service(1)
	expect[packet.UploadBookingModify](c)
	if err := other.report(last); err == nil {
		t.Error("a part of a service that does not hold the upload was taken")
	}
	if p := ask[packet.Uploads](c, packet.UploadsRequest{}); len(p.Uploads) != 1 || p.Uploads[0].UploadID != r.UploadID ||
		!slices.Equal(p.Uploads[0].Confirmed, []packet.Range{{0, 1}, {3, 3}}) || p.Uploads[0].Name != "日本" || p.Uploads[0].Path != "/x" {
		t.Errorf("got %+v", p)
	}
	again := ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID})
	confirmed(t, again, packet.Range{0, 1}, packet.Range{3, 3})
	if again.UploadAddress != other.addr || again.UploadID != r.UploadID || again.ChunkSize != r.ChunkSize || *again.Size != int64(len(data)) {
		t.Errorf("got %+v", again)
	}
	w.post(again, data, 2, 4)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/x/日本", data)
	c.quiet()
}

// The manager stops in mid-upload and another one goes on, on the same store.
func TestResume_Restart(t *testing.T) {
	w := newWorld(t)
	w.service(2)
	u := w.user("ada")
	c := w.v2(u)
	data := pattern(2*partSize+5, 3)
	w.put(c, "/", "taken", data)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data)), Type: "text/css; charset=utf-8", Conflict: packet.ConflictFail})
	w.post(r, data, 1)
	open := w.clash(c, "/", "taken", data)
	old := w.v1(u)
	lost := begin(old, packet.UploadRequest{Name: "b", Path: "/", Size: 10})

	w.restart()
	w.state(lost.UploadID, meta.UploadFailed) // version 1 cannot come back for it
	w.state(r.UploadID, meta.UploadRunning)
	w.service(1)
	c = w.v2(u)
	// What the user was asked before, he is asked again.
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadOverwriteRequest](c); p.UploadID != open.UploadID || p.FileName != "taken" || p.FilePath != "/" {
		t.Errorf("got %+v", p)
	}
	if p := ask[packet.Uploads](c, packet.UploadsRequest{}); len(p.Uploads) != 2 || p.Uploads[0].WaitingForAnswer || !p.Uploads[1].WaitingForAnswer {
		t.Errorf("got %+v", p)
	}
	again := ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID})
	confirmed(t, again, packet.Range{1, 1})
	w.post(again, data, 2, 0)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/a", data)
	answer(c, open.UploadID, "overwrite", false)
	if p := expect[packet.UploadFinishInfo](c); !p.Success || p.UploadID != open.UploadID {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/taken", data)
	c.quiet()

	// A repeated request gets the same answer.
	confirmed(t, ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID}), packet.Range{0, 2})
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); p != (packet.UploadFinishInfo{Success: true, UploadID: r.UploadID}) {
		t.Errorf("got %+v", p)
	}
}

// All parts were there when the manager stopped: the rest needs no service.
func TestResume_Whole(t *testing.T) {
	w := newWorld(t)
	s := w.service(1)
	u := w.user("ada")
	c := w.v2(u)
	data := pattern(partSize+1, 3)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)
	last := s.part(r.UploadID, 1, data[partSize:])
	w.stop()
	stored := meta.Stored{Chunk: storedChunk(t, last)}
	stored.CRC32, stored.Leaves = uint32(last.Chunks[0].CRC32), leavesOf(t, last)
	if err := w.store.AddPart(t.Context(), cloud.UploadID(r.UploadID), 1, []meta.Stored{stored}); err != nil {
		t.Fatal(err)
	}
	w.start()
	c = w.v2(u)
	again := ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID})
	confirmed(t, again, packet.Range{0, 1})
	if again.UploadAddress != "" {
		t.Errorf("address %q", again.UploadAddress)
	}
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/a", data)
}

// A fresh key in the ring does not seal what was begun under another.
func TestResume_NewKey(t *testing.T) {
	w := newWorld(t)
	w.service(1)
	u := w.user("ada")
	c := w.v2(u)
	data := pattern(2*partSize, 3)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)
	w.stop()
	w.ring = append(crypt.Ring{{9}}, w.ring...)
	w.start()
	w.service(1)
	c = w.v2(u)
	again := ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID})
	confirmed(t, again, packet.Range{0, 0})
	w.post(again, data, 1)
	expect[packet.UploadStageFinish](c)
	expect[packet.UploadFinishInfo](c)
	w.checkContent(u, "/a", data)
	e, err := w.fs.Lookup(t.Context(), u.Principal, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	chunks, err := w.store.Chunks(t.Context(), e.Object, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range chunks {
		if _, err := w.ring[1:].FindChunkKey(e.Object, ch); err != nil {
			t.Errorf("chunk %d is not under the key of the object: %v", ch.Index, err)
		}
	}
}

// A client of version 2 that leaves may come back, on another connection too.
func TestResume_ClientLeaves(t *testing.T) {
	w := newWorld(t)
	s := w.service(4)
	u := w.user("ada")
	c := w.v2(u)
	data := pattern(partSize+1, 3)
	w.put(c, "/", "taken", data)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)
	open := w.clash(c, "/", "taken", data)
	c.close()
	w.eventually("the service has forgotten it", func() bool { return !s.holds(r.UploadID) && w.debug("uploads") == 0 })
	w.state(r.UploadID, meta.UploadRunning)
	w.state(open.UploadID, meta.UploadWaiting)

	c = w.v2(u)
	expect[packet.UploadStageFinish](c)
	expect[packet.UploadOverwriteRequest](c)
	confirmed(t, ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID}), packet.Range{0, 0})

	// Another connection takes it over while this one lives.
	d := w.v2(u)
	again := ask[packet.UploadResponse](d, packet.UploadResume{UploadID: r.UploadID})
	confirmed(t, again, packet.Range{0, 0})
	if p := expect[packet.UploadInterrupted](c); p.UploadID != r.UploadID {
		t.Errorf("got %+v", p)
	}
	confirmed(t, ask[packet.UploadResponse](d, packet.UploadResume{UploadID: open.UploadID}), packet.Range{0, 1})
	if p := expect[packet.UploadInterrupted](c); p.UploadID != open.UploadID {
		t.Errorf("got %+v", p)
	}
	expect[packet.UploadStageFinish](d)
	if p := expect[packet.UploadOverwriteRequest](d); p.UploadID != open.UploadID {
		t.Errorf("got %+v", p)
	}
	answer(c, open.UploadID, "overwrite", false) // not its question any more
	w.post(again, data, 1)
	expect[packet.UploadStageFinish](d)
	expect[packet.UploadFinishInfo](d)
	answer(d, open.UploadID, "skip", false)
	expect[packet.UploadFinishInfo](d)
	c.quiet()
	d.quiet()
}

// A client that comes back at once is not overtaken by the end of what it had.
func TestResume_AtOnce(t *testing.T) {
	w := newWorld(t)
	w.service(4)
	u := w.user("ada")
	data := pattern(partSize+1, 3)
	for i := range 30 {
		c, d := w.v2(u), w.v2(u)
		r := begin(c, packet.UploadRequest{Name: fmt.Sprintf("file %d", i), Path: "/", Size: int64(len(data))})
		c.close()
		again := ask[packet.UploadResponse](d, packet.UploadResume{UploadID: r.UploadID})
		if !again.Accepted {
			t.Fatalf("resumed as %+v", again)
		}
		w.post(again, data, 0)
		w.post(again, data, 1)
		expect[packet.UploadStageFinish](d)
		if p := expect[packet.UploadFinishInfo](d); !p.Success {
			t.Errorf("ended as %+v", p)
		}
		d.close()
	}
}

func TestResume_Refused(t *testing.T) {
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) { d.SlotWait = 1 })
	s := w.service(1)
	ada, bob := w.user("ada"), w.user("bob")
	c, other, old := w.v2(ada), w.v2(bob), w.v1(ada)
	data := pattern(10, 1)
	refused := func(c *wire, id string) {
		t.Helper()
		if r := ask[packet.UploadResponse](c, packet.UploadResume{UploadID: id}); r.Accepted || r.RejectionReason == "" {
			t.Errorf("got %+v", r)
		}
	}
	refused(c, packet.NewUUID())
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	refused(other, r.UploadID)
	if b := ask[packet.Boolean](other, packet.UploadAbortRequest{UploadID: r.UploadID}); b.Success {
		t.Error("another user aborted it")
	}
	s.kill()
	expect[packet.UploadInterrupted](c)
	refused(c, r.UploadID) // no service
	w.service(1)
	confirmed(t, ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID}))
	if b := ask[packet.Boolean](c, packet.UploadAbortRequest{UploadID: r.UploadID}); !b.Success {
		t.Error(b.Message)
	}
	expect[packet.UploadStageFinish](c)
	expect[packet.UploadFinishInfo](c)
	refused(c, r.UploadID)

	// What a living client of version 1 uploads is its own.
	r = begin(old, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	refused(c, r.UploadID)
	w.postAll(r, data)
	expect[packet.UploadStageFinish](old)
	expect[packet.UploadFinishInfo](old)
}

// Version 2 aborts whatever of its user's has not ended.
func TestAbort_V2(t *testing.T) {
	w := newWorld(t)
	s := w.service(2)
	u := w.user("ada")
	c := w.v2(u)
	data := pattern(partSize+1, 1)
	w.put(c, "/", "a", data)
	abort := func(c *wire, id string) {
		t.Helper()
		uuid := c.tell(packet.UploadAbortRequest{UploadID: id})
		if e := c.next(); e.ReplyUUID != uuid || e.Data != (packet.Boolean{Success: true}) {
			t.Fatalf("got %+v", e)
		}
	}
	r := w.clash(c, "/", "a", data)
	abort(c, r.UploadID)
	if p := expect[packet.UploadFinishInfo](c); p.Success {
		t.Errorf("got %+v", p)
	}
	w.state(r.UploadID, meta.UploadAborted)

	r = begin(c, packet.UploadRequest{Name: "b", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)
	s.kill()
	expect[packet.UploadInterrupted](c)
	abort(c, r.UploadID)
	expect[packet.UploadStageFinish](c)
	expect[packet.UploadFinishInfo](c)
	w.state(r.UploadID, meta.UploadAborted)
	if p := ask[packet.Uploads](c, packet.UploadsRequest{}); len(p.Uploads) != 0 {
		t.Errorf("left over: %+v", p)
	}
	c.quiet()
}
