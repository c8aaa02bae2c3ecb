package hub_test

import (
	"testing"

	"discordcloud/pkg/packet"
)

// Bookings as two clients see them.
func TestBooking(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	a, b := w.v1(u), w.v1(u)
	book := func(c *wire, wants, want int64) {
		t.Helper()
		if p := ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: wants}); p.Amount != want {
			t.Fatalf("got %d, want %d", p.Amount, want)
		}
	}
	change := func(c *wire, want int64) {
		t.Helper()
		if p := expect[packet.UploadBookingModify](c); p.EffectiveChange != want {
			t.Fatalf("got %d, want %d", p.EffectiveChange, want)
		}
	}
	book(a, 2, 0)
	first := w.service(1)
	change(a, 1)
	w.service(4)
	change(a, 1)
	book(b, 100, 3)
	book(a, 4, 2) // nothing is free
	book(b, 1, 1)
	change(a, 1)
	change(a, 1)
	book(a, 4, 4)
	first.kill()
	// One of them had it; whoever lacks one gets none, since there is none.
	w.eventually("the first is gone", func() bool { return len(w.dispatch.Services()) == 1 })
	if b := ask[packet.Boolean](a, packet.UploadBookingClear{}); !b.Success {
		t.Errorf("got %+v", b)
	}
	if b := ask[packet.Boolean](a, packet.UploadBookingClear{}); b.Success {
		t.Errorf("got %+v", b)
	}
	book(b, 100, 4)
	b.close()
	w.eventually("b is gone", func() bool { return w.debug("clients") == 1 })
	book(a, 10, 4)
}

// A lowered wish lets the upload on the slot go on, and the slot then goes to
// whoever waits.
func TestBooking_Lowered(t *testing.T) {
	w := newWorld(t)
	w.service(2)
	u := w.user("ada")
	a, b := w.v1(u), w.v1(u)
	ask[packet.UploadBooking](a, packet.UploadBookingRequest{DesiredAmount: 2})
	ask[packet.UploadBooking](b, packet.UploadBookingRequest{DesiredAmount: 2})
	one := begin(a, packet.UploadRequest{Name: "1", Path: "/", Size: 10})
	two := begin(a, packet.UploadRequest{Name: "2", Path: "/", Size: 10})
	if p := ask[packet.UploadBooking](a, packet.UploadBookingRequest{DesiredAmount: 1}); p.Amount != 1 {
		t.Errorf("got %+v", p)
	}
	b.quiet()
	for _, r := range []packet.UploadResponse{one, two} {
		w.postAll(r, pattern(10, 1))
		expect[packet.UploadStageFinish](a)
		if p := expect[packet.UploadFinishInfo](a); !p.Success {
			t.Errorf("got %+v", p)
		}
	}
	if p := expect[packet.UploadBookingModify](b); p.EffectiveChange != 1 {
		t.Errorf("got %+v", p)
	}
	a.quiet()
	b.quiet()
}
