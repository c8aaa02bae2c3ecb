package hub_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// raw is a body of bytes.
type raw []byte

func (b raw) Size() int64     { return int64(len(b)) }
func (b raw) Open() io.Reader { return bytes.NewReader(b) }

// store puts bytes where a chunk is said to lie.
func (s *service) store(c *packet.StoredChunk, b []byte) {
	s.w.t.Helper()
	ref, err := s.w.blobs.Put(s.w.t.Context(), raw(b))
	if err != nil {
		s.w.t.Fatal(err)
	}
	c.Channel, c.Message, c.Attachment, c.Path = ref.Channel, ref.Message, ref.Attachment, ref.Path
}

// sealed is what lies where a chunk is said to lie.
func (w *world) sealed(c packet.StoredChunk) []byte {
	w.t.Helper()
	r, err := w.blobs.Get(w.t.Context(), cloud.Ref{Channel: c.Channel, Message: c.Message, Attachment: c.Attachment, Path: c.Path}, 0, -1)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		w.t.Fatal(err)
	}
	return b
}

// A service that does not store what it says is found out before its part counts,
// and is trusted with nothing any more.
func TestLie(t *testing.T) {
	t.Parallel()
	data := pattern(2*partSize+100, 1)
	other := pattern(2*partSize+100, 9)
	for name, lie := range map[string]func(s *service, p *packet.PartStored, sealed []byte){
		"junk": func(s *service, p *packet.PartStored, sealed []byte) {
			junk := make([]byte, len(sealed))
			_, _ = rand.NewChaCha8([32]byte{1}).Read(junk) // never fails
			s.store(&p.Chunks[0], junk)
		},
		"the head alone": func(s *service, p *packet.PartStored, sealed []byte) {
			s.store(&p.Chunks[0], append(bytes.Clone(sealed[:chunk.Prefix]), make([]byte, len(sealed)-chunk.Prefix)...))
		},
		"a byte too few":  func(s *service, p *packet.PartStored, sealed []byte) { s.store(&p.Chunks[0], sealed[:len(sealed)-1]) },
		"a byte too many": func(s *service, p *packet.PartStored, sealed []byte) { s.store(&p.Chunks[0], append(sealed, 0)) },
		"nothing":         func(_ *service, p *packet.PartStored, _ []byte) { p.Chunks[0].Attachment += "0" },
		"other bytes, sealed": func(s *service, p *packet.PartStored, _ []byte) {
			honest := p.Chunks[0]
			from := p.Part * partSize
			*p = s.part(p.UploadID, p.Part, other[from:min(from+partSize, int64(len(other)))])
			p.Chunks[0].Leaves, p.Chunks[0].CRC32 = honest.Leaves, honest.CRC32
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			liar := w.service(2)
			u := w.user("ada")
			c := w.v2(u)
			ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 2})
			r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data)), IsPublic: true})
			beside := begin(c, packet.UploadRequest{Name: "b", Path: "/", Size: int64(len(data)), IsPublic: true})

			honestly := liar.part(beside.UploadID, 0, data[:partSize])
			refused := 0
			for part := range int64(3) {
				from := part * partSize
				p := liar.part(r.UploadID, part, data[from:min(from+partSize, int64(len(data)))])
				lie(liar, &p, w.sealed(p.Chunks[0]))
				if liar.report(p) != nil {
					refused++
					break
				}
			}
			if refused == 0 {
				t.Fatal("all of the lies were believed")
			}

			// Both uploads end, for good.
			expect[packet.UploadBookingModify](c)
			expect[packet.UploadBookingModify](c)
			failed := map[string]bool{}
			for range 2 {
				expect[packet.UploadStageFinish](c)
				if p := expect[packet.UploadFinishInfo](c); !p.Success {
					failed[p.UploadID] = true
				}
			}
			if !failed[r.UploadID] || !failed[beside.UploadID] {
				t.Errorf("these failed: %v", failed)
			}
			w.state(r.UploadID, meta.UploadFailed)
			w.state(beside.UploadID, meta.UploadFailed)
			if err := liar.report(honestly); err == nil {
				t.Error("a part of the other upload was taken")
			}

			// An operator sees it, and it gets nothing, under its address also later.
			quarantined := func() bool {
				list := w.dispatch.Services()
				i := slices.IndexFunc(list, func(i dispatch.Info) bool { return i.Address == liar.addr })
				return i >= 0 && list[i].Quarantined
			}
			if !quarantined() {
				t.Errorf("the services are %+v", w.dispatch.Services())
			}
			if !strings.Contains(w.log.String(), "upload service quarantined") {
				t.Error("nothing is logged")
			}
			liar.kill()
			w.eventually("the liar is gone", func() bool { return len(w.dispatch.Services()) == 0 })
			back := w.serviceNow(4, func(s *service) { s.addr = liar.addr })
			w.eventually("the liar is back", quarantined)
			honest := w.service(1)
			if p := expect[packet.UploadBookingModify](c); p.EffectiveChange != 1 {
				t.Errorf("got %+v", p)
			}
			w.put(c, "/", "a", data)
			w.checkContent(u, "/a", data)
			if honest.opened != 1 || back.opened != 0 {
				t.Errorf("%d uploads on the honest service, %d on the other", honest.opened, back.opened)
			}
		})
	}
}

// A service that lies about one part in many is caught, too: which part is read
// back it cannot know.
func TestLie_rarely(t *testing.T) {
	t.Parallel()
	const parts, rounds = 4, 60
	w := newWorld(t)
	c := w.v2(w.user("ada"))
	data := pattern(parts*partSize, 1)
	caught := 0
	for range rounds {
		liar := w.service(1)
		ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 1})
		c.ignore["s2c:upload-booking-modify"] = true
		r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data)), Conflict: packet.ConflictOverwrite})
		for part := range int64(parts) {
			p := liar.part(r.UploadID, part, data[part*partSize:(part+1)*partSize])
			if part == 1 {
				liar.store(&p.Chunks[0], make([]byte, p.Chunks[0].SealedSize))
			}
			if err := liar.report(p); err != nil {
				caught++
				break
			}
		}
		expect[packet.UploadStageFinish](c)
		expect[packet.UploadFinishInfo](c)
		liar.kill()
		w.eventually("the liar is gone", func() bool { return len(w.dispatch.Services()) == 0 })
	}
	// One part in four, and one in 32 of the others: 27 % of them; less than 5 % of
	// sixty is as good as impossible.
	if caught < rounds/20 || caught > rounds*3/4 {
		t.Errorf("%d of %d were caught", caught, rounds)
	}
}

// What cannot be read back now is neither believed nor held against the service.
func TestLie_unavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.service(1)
	u := w.user("ada")
	c := w.v2(u)
	data := pattern(100, 1)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data)), IsPublic: true})
	p := s.part(r.UploadID, 0, data)
	w.blobs.down.Store(true)
	if err := s.report(p); err == nil {
		t.Error("a part was taken that nobody could look at")
	}
	w.blobs.down.Store(false)
	if w.dispatch.Services()[0].Quarantined {
		t.Error("the service is in quarantine")
	}
	if err := s.report(p); err != nil {
		t.Error(err)
	}
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/a", data)
	if leaves := leavesOf(t, p); base64.StdEncoding.EncodeToString(leaves[0][:]) != p.Chunks[0].Leaves {
		t.Error("the report is not what was sent")
	}
}
