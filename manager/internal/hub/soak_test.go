package hub_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/hub"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// actor is a client of the soak with what it has been told so far.
type actor struct {
	*wire
	user
	heard   []packet.Packet
	open    map[string]packet.UploadResponse // accepted and not finished, by what it heard
	content map[string][]byte                // by upload
	name    map[string]string
	asked   []string
	booked  int64
}

// listen takes what has come.
func (a *actor) listen() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.frames {
		a.heard = append(a.heard, e.Data)
		switch p := e.Data.(type) {
		case packet.UploadResponse:
			if p.Accepted {
				a.open[p.UploadID] = p
				a.content[p.UploadID], a.name[p.UploadID] = pattern(int(a.sizeOf(p)), p.UploadID[0]), p.Name
			}
		case packet.UploadFinishInfo:
			delete(a.open, p.UploadID)
		case packet.UploadInterrupted:
			delete(a.open, p.UploadID)
		case packet.UploadOverwriteRequest:
			a.asked = append(a.asked, p.UploadID)
		case packet.UploadBooking:
			a.booked = p.Amount
		case packet.UploadBookingModify:
			a.booked += p.EffectiveChange
		}
	}
	a.frames, a.raw = nil, nil
}

// sizeOf is the size of the upload, which its name tells.
func (a *actor) sizeOf(r packet.UploadResponse) int64 {
	var n, size int64
	if _, err := fmt.Sscanf(r.Name, "%d of %d", &n, &size); err != nil {
		a.t.Fatal(err)
	}
	return size
}

// Services and clients come and go at random while files are uploaded: each
// client of version 1 is told of each upload what it has to be told, once and in
// order; what is told to be there is there; and nothing is left over.
func TestSoak(t *testing.T) {
	stored := 0
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { stored += soak(t, rand.New(rand.NewPCG(seed, 7))) })
	}
	if stored == 0 { // in one of them it may be bad luck
		t.Error("no upload came to its end")
	}
}

// soak tells how many files were stored.
func soak(t *testing.T, r *rand.Rand) int {
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) { d.SlotWait = 20 * time.Millisecond })
	var services []*service
	for range 3 {
		services = append(services, w.service(1+r.IntN(2)))
	}
	var actors []*actor
	connect := func(u user, v packet.Version) *actor {
		a := &actor{user: u, open: map[string]packet.UploadResponse{}, content: map[string][]byte{}, name: map[string]string{}}
		if a.wire = w.v1(u); v == packet.V2 {
			a.close()
			a.wire = w.v2(u)
		}
		return a
	}
	people := []user{w.user("ada"), w.user("bob"), w.user("eve")}
	var all []*actor
	for i, u := range people {
		a := connect(u, packet.Version(1+i%2))
		actors, all = append(actors, a), append(all, a)
	}
	serviceAt := func(addr string) *service {
		for _, s := range services {
			if s.addr == addr {
				return s
			}
		}
		return nil
	}
	for range 250 {
		a := actors[r.IntN(len(actors))]
		a.listen()
		switch r.IntN(24) {
		case 0:
			a.tell(packet.UploadBookingRequest{DesiredAmount: 1 + r.Int64N(4)})
		case 1:
			a.tell(packet.UploadBookingClear{})
		case 2, 3, 4, 5:
			size := []int64{1, partSize, partSize + 1, 2 * partSize}[r.IntN(4)]
			a.tell(packet.UploadRequest{Name: fmt.Sprintf("%d of %d", r.IntN(6), size), Path: "/soak", Size: size, IsPublic: true, DoOverwrite: r.IntN(3) == 0})
		case 6:
			i := r.IntN(len(services))
			services[i].kill()
			services[i] = w.service(1 + r.IntN(2))
		case 7:
			if r.IntN(4) == 0 {
				i := r.IntN(len(actors))
				actors[i].close()
				actors[i] = connect(actors[i].user, actors[i].v)
				all = append(all, actors[i])
				continue
			}
		case 8:
			for id := range a.open {
				a.tell(packet.UploadAbortRequest{UploadID: id})
				break
			}
		case 9:
			if len(a.asked) > 0 {
				answer(a.wire, a.asked[0], []string{"skip", "overwrite", "rename"}[r.IntN(3)], r.IntN(8) == 0)
				a.asked = a.asked[1:]
			}
		case 10:
			if a.v == packet.V2 {
				a.tell(packet.UploadsRequest{})
				for _, p := range a.heard {
					if i, ok := p.(packet.UploadInterrupted); ok && r.IntN(2) == 0 {
						a.tell(packet.UploadResume{UploadID: i.UploadID})
						break
					}
				}
			}
		default:
			for id, up := range a.open {
				s := serviceAt(up.UploadAddress)
				if s == nil || !s.holds(id) {
					continue
				}
				data := a.content[id]
				part := r.Int64N((int64(len(data)) + partSize - 1) / partSize)
				s.mu.Lock()
				open, ok := s.open[id]
				s.mu.Unlock()
				if !ok {
					continue
				}
				c, err := s.seal(open, part, data[part*partSize:min((part+1)*partSize, int64(len(data)))], part*partSize)
				if err != nil {
					t.Fatal(err)
				}
				_ = s.report(packet.PartStored{UploadID: id, Part: part, Chunks: []packet.StoredChunk{c}}) // the service may be gone
				break
			}
		}
		if r.IntN(3) > 0 { // else the next step comes in between
			a.quietly()
		}
	}
	for _, a := range actors {
		a.quietly()
		a.listen()
		a.tell(packet.UploadBookingRequest{DesiredAmount: 3}) // whose answer is a number to count from
		for id := range a.open {
			a.tell(packet.UploadAbortRequest{UploadID: id})
		}
	}
	for _, s := range services {
		s.kill()
	}
	w.eventually("the services are gone", func() bool { return len(w.dispatch.Services()) == 0 })
	for _, a := range actors {
		a.quietly()
		a.listen()
		w.eventually("what has no end waits for an answer", func() bool {
			a.listen()
			for id := range a.open {
				if a.v == packet.V1 && !a.wasAsked(id) {
					return false
				}
			}
			return true
		})
		if a.booked != 0 {
			t.Errorf("a client counts %d slots without a service", a.booked)
		}
		a.close()
	}
	w.eventually("everybody is gone", func() bool { return w.debug("clients") == 0 && w.debug("uploads") == 0 })
	if w.debug("slots") != 0 || w.debug("requests_waiting") != 0 {
		t.Errorf("left over: %v", w.dispatch.Debug())
	}
	told := map[string]int{}
	for _, a := range all {
		a.ended()
		a.listen()
		a.check(w, people[0])
		for _, p := range a.heard {
			told[p.PacketID()]++
			if f, ok := p.(packet.UploadFinishInfo); ok && f.Success {
				told["success"]++
			}
		}
	}
	t.Log(told)
	return told["success"]
}

// wasAsked tells whether the client was asked about an upload.
func (a *actor) wasAsked(id string) bool {
	return slices.ContainsFunc(a.heard, func(p packet.Packet) bool {
		q, ok := p.(packet.UploadOverwriteRequest)
		return ok && q.UploadID == id
	})
}

// quietly waits until what the client sent before has been answered.
func (a *actor) quietly() {
	a.t.Helper()
	uuid := a.tell(packet.UserSearchRequest{Query: "x"})
	a.find("answer", func(e packet.Envelope) bool { return e.ReplyUUID == uuid })
}

// check reads what the client was told.
func (a *actor) check(w *world, reader user) {
	a.t.Helper()
	stage := map[string]int{} // 1 accepted, 2 stage finished, 3 finished
	for _, p := range a.heard {
		switch p := p.(type) {
		case packet.UploadResponse:
			if p.Accepted && a.v == packet.V1 && stage[p.UploadID] != 0 {
				a.t.Errorf("%s was accepted twice", p.UploadID)
			}
			if p.Accepted {
				stage[p.UploadID] = 1
			}
		case packet.UploadStageFinish:
			if a.v == packet.V1 && stage[p.UploadID] != 1 {
				a.t.Errorf("the stage of %s was finished at %d", p.UploadID, stage[p.UploadID])
			}
			stage[p.UploadID] = 2
		case packet.UploadOverwriteRequest:
			if stage[p.UploadID] != 2 {
				a.t.Errorf("asked about %s at %d", p.UploadID, stage[p.UploadID])
			}
		case packet.UploadFinishInfo:
			if stage[p.UploadID] != 2 {
				a.t.Errorf("%s was finished at %d", p.UploadID, stage[p.UploadID])
			}
			stage[p.UploadID] = 3
			row, err := w.store.Upload(a.t.Context(), cloud.UploadID(p.UploadID))
			if err != nil || p.Success != (row.State == meta.UploadDone) {
				a.t.Errorf("%s: told %+v, is %v, %v", p.UploadID, p, row.State, err)
			}
		}
	}
	// What is under the name now is some upload's content, whole.
	page, err := w.fs.Store.List(a.t.Context(), meta.Query{Viewer: meta.AnyViewer, Limit: 1})
	if err != nil || len(page.Entries) == 0 {
		return // nothing has been uploaded
	}
	if faults, err := w.store.Check(a.t.Context()); err != nil || len(faults) > 0 {
		a.t.Errorf("the database: %v, %v", faults, err)
	}
	for _, name := range w.names(reader, "/soak") {
		if got := w.content(reader, "/soak/"+name); len(got) == 0 {
			a.t.Errorf("%s is empty", name)
		} else if want := pattern(len(got), got[0]); string(want) != string(got) {
			a.t.Errorf("%s holds a mix", name)
		}
	}
}
