package hub_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/hub"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/blob/memblob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

func TestFailure_ServiceLost_V1(t *testing.T) {
	w := newWorld(t)
	s := w.service(1)
	u := w.user("ada")
	c := w.v1(u)
	delete(c.ignore, "s2c:service-registry")
	if p := expect[packet.ServiceRegistry](c); p.Action != packet.RegistryList {
		t.Errorf("got %+v", p)
	}
	ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 1})
	data := pattern(2*partSize, 1)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)
	s.kill()
	if p := expect[packet.UploadBookingModify](c); p.EffectiveChange != -1 {
		t.Errorf("got %+v", p)
	}
	if p := expect[packet.UploadStageFinish](c); p != (packet.UploadStageFinish{UploadID: r.UploadID, ServiceDisconnect: true}) {
		t.Errorf("got %+v", p)
	}
	if p := expect[packet.UploadFinishInfo](c); p.Success || p.UploadID != r.UploadID || p.Reason == "" {
		t.Errorf("got %+v", p)
	}
	if p := expect[packet.ServiceRegistry](c); p.Action != packet.RegistryRemoved || p.Address != "" {
		t.Errorf("got %+v", p)
	}
	w.state(r.UploadID, meta.UploadFailed)

	// Another one comes, and the booking is served with it.
	w.service(1)
	if p := expect[packet.ServiceRegistry](c); p.Action != packet.RegistryAdded {
		t.Errorf("got %+v", p)
	}
	if p := expect[packet.UploadBookingModify](c); p.EffectiveChange != 1 {
		t.Errorf("got %+v", p)
	}
	c.ignore["s2c:service-registry"] = true
	w.put(c, "/", "a", data)
	c.quiet()
}

func TestFailure_Abort(t *testing.T) {
	w := newWorld(t)
	s := w.service(1)
	c := w.v1(w.user("ada"))
	data := pattern(2*partSize, 1)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)
	last := s.part(r.UploadID, 1, data[partSize:])

	if b := ask[packet.Boolean](c, packet.UploadAbortRequest{UploadID: packet.NewUUID()}); b.Success {
		t.Error("aborted what there is not")
	}
	uuid := c.tell(packet.UploadAbortRequest{UploadID: r.UploadID})
	if e := c.next(); e.ReplyUUID != uuid || e.Data != (packet.Boolean{Success: true}) {
		t.Errorf("got %+v before the reply", e)
	}
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); p.Success || p.UploadID != r.UploadID {
		t.Errorf("got %+v", p)
	}
	if s.holds(r.UploadID) {
		t.Error("the service still holds it")
	}
	if err := s.report(last); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("a part after the abort: %v", err)
	}
	if b := ask[packet.Boolean](c, packet.UploadAbortRequest{UploadID: r.UploadID}); b.Success {
		t.Error("aborted twice")
	}
	w.state(r.UploadID, meta.UploadAborted)
	w.put(c, "/", "a", data) // the slot is free
	q := w.clash(c, "/", "a", data)
	if b := ask[packet.Boolean](c, packet.UploadAbortRequest{UploadID: q.UploadID}); b.Success {
		t.Error("version 1 aborted an upload that waits for an answer")
	}
	c.quiet()
}

// A service that does not confirm an abort is closed with 1000.
func TestFailure_AbortRefused(t *testing.T) {
	for _, v := range []packet.Version{packet.V1, packet.V2} {
		w := newWorld(t)
		s := w.service(1, func(s *service) { s.closing = func() packet.Packet { return packet.Boolean{Message: "no"} } })
		u := w.user("ada")
		c := w.v1(u)
		if v == packet.V2 {
			c = w.v2(u)
		}
		r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
		uuid := c.tell(packet.UploadAbortRequest{UploadID: r.UploadID})
		if b := c.reply(uuid).(packet.Boolean); b.Success {
			t.Error("the abort succeeded")
		}
		if p := expect[packet.UploadStageFinish](c); !p.ServiceDisconnect {
			t.Errorf("got %+v", p)
		}
		if p := expect[packet.UploadFinishInfo](c); p.Success {
			t.Errorf("got %+v", p)
		}
		err := <-s.done
		s.done <- err
		if err != nil {
			t.Errorf("the service's connection ended with %v", err)
		}
		w.state(r.UploadID, meta.UploadAborted)
	}
}

func TestFailure_ServiceGivesUp(t *testing.T) {
	w := newWorld(t)
	s := w.service(1)
	u := w.user("ada")
	old, c := w.v1(u), w.v2(u)
	r := begin(old, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	failed := packet.UploadFailed{UploadID: r.UploadID, Reason: "no progress for 120 s"}
	if err := s.conn.Send(packet.UploadFailed{UploadID: packet.NewUUID(), Reason: "another"}); err != nil {
		t.Fatal(err)
	}
	if err := s.conn.Send(failed); err != nil {
		t.Fatal(err)
	}
	expect[packet.UploadStageFinish](old)
	if p := expect[packet.UploadFinishInfo](old); p.Success || p.Reason != failed.Reason {
		t.Errorf("got %+v", p)
	}
	w.state(r.UploadID, meta.UploadFailed)

	r = begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	if err := s.conn.Send(packet.UploadFailed{UploadID: r.UploadID, Reason: "stalled"}); err != nil {
		t.Fatal(err)
	}
	if p := expect[packet.UploadInterrupted](c); p.UploadID != r.UploadID || p.Reason != "stalled" {
		t.Errorf("got %+v", p)
	}
	r = ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID})
	w.postAll(r, pattern(10, 1))
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
}

// A service that refuses an upload, or does not answer, costs the client nothing
// while there is another one.
func TestFailure_Opening(t *testing.T) {
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) { d.Answer = 200 * time.Millisecond })
	silent := w.service(1, func(s *service) { s.opening = func(packet.UploadOpen) packet.Packet { return nil } })
	c := w.v1(w.user("ada"))
	r := ask[packet.UploadResponse](c, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	if r.Accepted || r.RejectionReason == "" || r.ChunkSize < 1 {
		t.Errorf("got %+v", r)
	}
	<-silent.done
	silent.done <- nil
	w.eventually("the silent service is gone", func() bool { return len(w.dispatch.Services()) == 0 })

	w.service(1, func(s *service) {
		s.opening = func(packet.UploadOpen) packet.Packet { return packet.Boolean{Message: "busy"} }
	})
	w.service(1)
	for range 3 {
		r = begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 10, DoOverwrite: true})
		w.postAll(r, pattern(10, 1))
		expect[packet.UploadStageFinish](c)
		expect[packet.UploadFinishInfo](c)
	}
	c.quiet()
}

// A client of version 1 that leaves loses what is not finished; one that has
// sent everything does not.
func TestFailure_ClientLeaves(t *testing.T) {
	w := newWorld(t)
	s := w.service(4)
	u := w.user("ada")
	c := w.v1(u)
	data := pattern(partSize+1, 1)
	w.put(c, "/", "taken", data)
	half := begin(c, packet.UploadRequest{Name: "half", Path: "/", Size: int64(len(data))})
	w.post(half, data, 0)
	asked := w.clash(c, "/", "taken", data)
	c.close()
	w.state(half.UploadID, meta.UploadFailed)
	w.state(asked.UploadID, meta.UploadFailed)
	w.eventually("the service has forgotten it", func() bool { return !s.holds(half.UploadID) && w.debug("slots_busy") == 0 })
	if n := w.debug("uploads"); n != 0 {
		t.Errorf("%d uploads in memory", n)
	}
	w.checkContent(u, "/taken", data)
}

// Requests that come before a slot is free are held, not rejected.
func TestFailure_Held(t *testing.T) {
	w := newWorld(t)
	c := w.v1(w.user("ada"))
	ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 2})
	uuid := c.tell(packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	c.quiet()
	w.service(1)
	if p := expect[packet.UploadBookingModify](c); p.EffectiveChange != 1 {
		t.Errorf("got %+v", p)
	}
	first := c.reply(uuid).(packet.UploadResponse)
	uuid = c.tell(packet.UploadRequest{Name: "b", Path: "/", Size: 10})
	c.quiet()
	w.postAll(first, pattern(10, 1))
	expect[packet.UploadStageFinish](c)
	second := await[packet.UploadResponse](c)
	if !second.Accepted || second.Name != "b" || uuid == "" {
		t.Errorf("got %+v", second)
	}
	w.postAll(second, pattern(10, 2))
}

// One that asks for an upload and gives its booking back before the reply gets
// the upload all the same, and it is finished.
func TestFailure_ClearInFlight(t *testing.T) {
	w := newWorld(t)
	opened, proceed := make(chan struct{}), make(chan struct{})
	w.service(1, func(s *service) {
		s.opening = func(packet.UploadOpen) packet.Packet {
			close(opened)
			<-proceed
			return packet.Boolean{Success: true}
		}
	})
	u := w.user("ada")
	c, other := w.v1(u), w.v1(u)
	ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 1})
	if b := ask[packet.UploadBooking](other, packet.UploadBookingRequest{DesiredAmount: 1}); b.Amount != 0 {
		t.Errorf("%d slots of one", b.Amount)
	}
	uuid := c.tell(packet.UploadRequest{Name: "a", Path: "/", Size: 10, IsPublic: true})
	<-opened
	if b := ask[packet.Boolean](c, packet.UploadBookingClear{}); !b.Success {
		t.Errorf("got %+v", b)
	}
	other.quiet() // the slot is in use
	close(proceed)
	r := c.reply(uuid).(packet.UploadResponse)
	w.postAll(r, pattern(10, 1))
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	if p := expect[packet.UploadBookingModify](other); p.EffectiveChange != 1 {
		t.Errorf("got %+v", p)
	}
}

func TestFailure_Rejected(t *testing.T) {
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) { d.SlotWait = 10 * time.Millisecond })
	u := w.user("ada")
	c := w.v1(u)
	check := func(q packet.UploadRequest, reason string) {
		t.Helper()
		r := ask[packet.UploadResponse](c, q)
		if r.Accepted || r.Name != q.Name || r.Path != q.Path || r.UploadAddress != "" || r.RejectionReason != reason {
			t.Errorf("got %+v, want %q", r, reason)
		}
	}
	check(packet.UploadRequest{Name: "a", Path: "/x/", Size: 10}, "no upload service is connected")
	w.service(1)
	begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	check(packet.UploadRequest{Name: "b", Path: "/", Size: 10}, "all upload services are busy")
	if b := ask[packet.Boolean](c, packet.EmptyFileUpload{Path: "/", Name: "file"}); !b.Success {
		t.Fatal(b.Message)
	}
	check(packet.UploadRequest{Name: "b", Path: "/file/x", Size: 10}, `"file" is a file, not a folder`)
	folder, _, err := w.store.MakeFolders(t.Context(), cloud.Root, []string{"private"}, w.user("bob").ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.SetPublic(t.Context(), folder.ID, false, func(cloud.Entry) error { return nil }); err != nil {
		t.Fatal(err)
	}
	check(packet.UploadRequest{Name: "b", Path: "/private", Size: 10}, `"private" is not yours to use`)
	if n := w.debug("uploads"); n != 1 {
		t.Errorf("%d uploads in memory", n)
	}
}

func TestEmpty(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	old, c := w.v1(u), w.v2(u)
	if b := ask[packet.Boolean](old, packet.EmptyFileUpload{Path: "/new", Name: "e"}); !b.Success {
		t.Fatal(b.Message)
	}
	w.checkContent(u, "/new/e", nil)
	if b := ask[packet.Boolean](old, packet.EmptyFileUpload{Path: "/new", Name: "e"}); b.Success || b.Message == "" {
		t.Errorf("a second one: %+v", b)
	}
	e, err := w.fs.Lookup(t.Context(), u.Principal, []string{"new", "e"})
	if err != nil || e.Hash.String() != "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" ||
		e.SHA256.String() != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("entry %+v, %v", e, err)
	}

	r := begin(c, packet.UploadRequest{Name: "f", Path: "/new", Size: 0})
	if r.UploadAddress != "" {
		t.Errorf("address %q", r.UploadAddress)
	}
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success || p.UploadID != r.UploadID {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/new/f", nil)
	r = begin(c, packet.UploadRequest{Name: "f", Path: "/new", Size: 0})
	expect[packet.UploadStageFinish](c)
	expect[packet.UploadOverwriteRequest](c)
	answer(c, r.UploadID, "rename", false)
	if p := expect[packet.UploadFinishInfo](c); p.RenameTarget != "f (1)" {
		t.Errorf("got %+v", p)
	}

	w.blobs.FailNext(memblob.Put, 1, cloud.ErrUnavailable)
	if r := ask[packet.UploadResponse](c, packet.UploadRequest{Name: "g", Path: "/new", Size: 0}); r.Accepted {
		t.Errorf("got %+v", r)
	}
	c.quiet()
	if n := w.debug("uploads"); n != 0 {
		t.Errorf("%d uploads in memory", n)
	}
}

// Idle uploads are aborted, and their client is told.
func TestExpiry(t *testing.T) {
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) {
		d.Idle, d.Expiry = 100*time.Millisecond, 5*time.Millisecond
	})
	s := w.service(1)
	c := w.v2(w.user("ada"))
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); p.Success || p.UploadID != r.UploadID {
		t.Errorf("got %+v", p)
	}
	w.state(r.UploadID, meta.UploadAborted)
	w.eventually("the service has forgotten it", func() bool { return !s.holds(r.UploadID) })
}

// A service that is not there in time is closed, and was never seen.
func TestService_NotConfigured(t *testing.T) {
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) { d.Answer = 20 * time.Millisecond })
	c := w.v1(w.user("ada"))
	ws, _, err := websocket.Dial(t.Context(), w.url("type=upload&v=2&address=http://x.example&key=the+password+of+the+services"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	_, raw, err := ws.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e, err := packet.Decode(raw, packet.S2U, packet.V2); err != nil || e.ID != "s2u:configure" {
		t.Errorf("got %s, %v", raw, err)
	}
	if _, _, err = ws.Read(context.Background()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("the connection ended with %v", err)
	}
	delete(c.ignore, "s2c:service-registry")
	c.quiet()
}
