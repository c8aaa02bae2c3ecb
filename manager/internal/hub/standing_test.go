package hub_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// standing sets what a service may do, as root.
func (w *world) standing(kind, name string, to meta.Standing) {
	w.t.Helper()
	root := policy.Principal{Role: policy.User, User: 1 << 20, Name: "root", Administrator: true}
	if err := w.dispatch.SetStanding(w.t.Context(), root, kind, name, to); err != nil {
		w.t.Fatal(err)
	}
}

// connects tells whether the manager lets a service in, and why it does not.
func (w *world) connects(query string) (bool, string) {
	w.t.Helper()
	ws, answer, err := websocket.Dial(w.t.Context(), w.url(query), &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + password}}})
	if err == nil {
		_ = ws.CloseNow()
		return true, ""
	}
	text, _ := io.ReadAll(answer.Body)
	return false, answer.Status + string(text)
}

// A service that is drained ends what it has, gets nothing more also when it
// comes back, and works again when it may.
func TestStanding_draining(t *testing.T) {
	w := newWorld(t)
	s := w.service(2)
	u := w.user("ada")
	c := w.v2(u)
	if p := ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 2}); p.Amount != 2 {
		t.Fatalf("booked %d", p.Amount)
	}
	data := pattern(2*partSize+5, 3)
	r := begin(c, packet.UploadRequest{Name: "under way", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)

	w.standing(packet.ServiceUpload, s.addr, meta.StandingDraining)
	for range 2 {
		if p := expect[packet.UploadBookingModify](c); p.EffectiveChange != -1 {
			t.Fatalf("got %+v", p)
		}
	}
	if p := ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 2}); p.Amount != 0 {
		t.Errorf("booked %d", p.Amount)
	}
	w.post(r, data, 1, 2)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Fatalf("what was under way: %+v", p)
	}
	w.checkContent(u, "/under way", data)
	w.eventually("no slot is left", func() bool { return w.debug("slots") == 0 })

	s.kill()
	w.restart()
	again := w.service(3, func(x *service) {
		w.mu.Lock()
		defer w.mu.Unlock()
		x.addr = s.addr
		w.services[s.addr] = x
	})
	known, err := w.dispatch.Known(t.Context())
	if err != nil || len(known) != 1 || known[0].Standing != meta.StandingDraining || known[0].ID == "" || known[0].SetAt.IsZero() || w.debug("slots") != 0 {
		t.Fatalf("Known = %+v, %v; %d slots", known, err, w.debug("slots"))
	}
	c = w.v2(u)
	if p := ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 1}); p.Amount != 0 {
		t.Errorf("booked %d", p.Amount)
	}
	w.standing(packet.ServiceUpload, again.addr, meta.StandingOpen)
	if p := expect[packet.UploadBookingModify](c); p.EffectiveChange != 1 {
		t.Fatalf("got %+v", p)
	}
	if n := w.debug("slots"); n != 3 {
		t.Errorf("%d slots, want 3", n)
	}
	w.put(c, "/", "later", data)
}

// One that is revoked is cut off and not let in again, also by another process;
// what was on it goes on elsewhere.
func TestStanding_revoked(t *testing.T) {
	w := newWorld(t)
	s := w.service(1)
	u := w.user("ada")
	c := w.v2(u)
	data := pattern(2*partSize+5, 3)
	r := begin(c, packet.UploadRequest{Name: "under way", Path: "/", Size: int64(len(data))})
	w.post(r, data, 0)
	w.standing(packet.ServiceUpload, s.addr, meta.StandingRevoked)
	w.eventually("it is cut off", func() bool { return len(w.dispatch.Services()) == 0 })
	query := "type=upload&v=2&address=" + strings.NewReplacer("?", "%3F", "=", "%3D").Replace(s.addr)
	if ok, why := w.connects(query); ok || !strings.Contains(why, "403") || !strings.Contains(why, "revoked") {
		t.Errorf("it connects: %t, %s", ok, why)
	}
	if p := expect[packet.UploadInterrupted](c); p.UploadID != r.UploadID {
		t.Errorf("got %+v", p)
	}

	other := w.service(1)
	again := ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID})
	confirmed(t, again, packet.Range{0, 0})
	w.post(again, data, 1, 2)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	info := w.dispatch.Services()[0]
	if info.Address != other.addr || info.Parts != 2 || info.Bytes != int64(len(data)-partSize) || info.Failures != 0 {
		t.Errorf("the other service: %+v", info)
	}
	w.restart()
	if ok, _ := w.connects(query); ok {
		t.Error("it connects after a restart")
	}
	known, err := w.dispatch.Known(t.Context())
	if err != nil || len(known) != 1 || known[0].Name != s.addr || known[0].ID != "" || known[0].Standing != meta.StandingRevoked {
		t.Errorf("Known = %+v, %v", known, err)
	}
	w.standing(packet.ServiceUpload, s.addr, meta.StandingOpen)
	if ok, why := w.connects(query); !ok {
		t.Error(why)
	}
}

// A thumbnail service is known by its name.
func TestStanding_thumbnails(t *testing.T) {
	w := newWorld(t)
	w.standing(packet.ServiceThumbnail, "attic", meta.StandingRevoked)
	if ok, _ := w.connects("type=thumbnail&v=2&name=attic"); ok {
		t.Error("the revoked one connects")
	}
	if ok, why := w.connects("type=thumbnail&v=2&name=cellar&version=1.2"); !ok {
		t.Error(why)
	}
	for _, query := range []string{"type=thumbnail&v=2&name=%07", "type=thumbnail&v=2&version=" + strings.Repeat("x", 3000)} {
		if ok, why := w.connects(query); ok || !strings.Contains(why, "400") {
			t.Errorf("%.50s connects: %t, %s", query, ok, why)
		}
	}
}

func TestStanding_refused(t *testing.T) {
	w := newWorld(t)
	ada := w.user("ada").Principal
	set := func(kind, name string, to meta.Standing) error {
		return w.dispatch.SetStanding(t.Context(), ada, kind, name, to)
	}
	if err := set(packet.ServiceUpload, "x", meta.StandingRevoked); !errors.Is(err, cloud.ErrDenied) {
		t.Errorf("a user who is no administrator: %v", err)
	}
	ada.Administrator = true
	for _, c := range []struct {
		kind, name string
		to         meta.Standing
	}{{"upload", "x", "sleeping"}, {"client", "x", meta.StandingOpen}, {"upload", "", meta.StandingOpen}, {"upload", strings.Repeat("x", 3000), meta.StandingOpen}} {
		if err := set(c.kind, c.name, c.to); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%s %.9s %s: %v", c.kind, c.name, c.to, err)
		}
	}
}
