package hub_test

import (
	"testing"

	"discordcloud/pkg/packet"
)

// With one slot, what is paused makes room for another upload, and goes on after it.
func TestPause(t *testing.T) {
	w := newWorld(t)
	w.service(1)
	u := w.user("ada")
	c := w.v2(u)
	ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 1})
	data := pattern(2*partSize+5, 3)
	r := begin(c, packet.UploadRequest{Name: "large", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)
	if p := ask[packet.Uploads](c, packet.UploadsRequest{}); len(p.Uploads) != 1 || !p.Uploads[0].Active {
		t.Errorf("got %+v", p)
	}
	if e := ask[packet.Error](w.v2(u), packet.UploadPause{UploadID: r.UploadID}); e.Code != "not_found" {
		t.Errorf("another connection paused it: %+v", e)
	}
	if b := ask[packet.Boolean](c, packet.UploadPause{UploadID: r.UploadID}); !b.Success {
		t.Fatalf("got %+v", b)
	}
	if e := ask[packet.Error](c, packet.UploadPause{UploadID: r.UploadID}); e.Code != "not_found" {
		t.Errorf("got %+v for one that is paused", e)
	}
	if p := ask[packet.Uploads](c, packet.UploadsRequest{}); len(p.Uploads) != 1 || p.Uploads[0].Active {
		t.Errorf("got %+v", p)
	}
	w.put(c, "/", "small", pattern(9, 1))
	again := ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID})
	confirmed(t, again, packet.Range{0, 0})
	w.post(again, data, 1, 2)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/large", data)
}
