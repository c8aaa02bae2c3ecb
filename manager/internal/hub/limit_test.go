package hub_test

import (
	"sync/atomic"
	"testing"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/hub"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/packet"
)

// An attachment that Discord refuses one service is too large for all: the manager
// cuts files smaller from then on, and the other services know it at once.
func TestLimit_falls(t *testing.T) {
	t.Parallel()
	var limit atomic.Int64
	const before, after = 8*partSize + chunk.Reserve + 1<<10, 2*partSize + chunk.Reserve + 1<<10
	limit.Store(before)
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) {
		d.Service.AttachmentLimit = limit.Load
		d.Service.LimitFell = limit.Store
	})
	finder := w.service(1)
	if p := <-finder.configured; p.AttachmentLimit != before {
		t.Errorf("told of %d bytes", p.AttachmentLimit)
	}
	c := w.v2(w.user("ada"))
	data := pattern(8*partSize, 1)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data)), IsPublic: true})
	if want := chunk.PlainMax(before); r.ChunkSize != want {
		t.Errorf("chunks of %d bytes, want %d", r.ChunkSize, want)
	}
	other := w.service(1)
	<-other.configured

	finder.mu.Lock()
	open := finder.open[r.UploadID]
	finder.mu.Unlock()
	p := packet.PartStored{UploadID: r.UploadID, AttachmentLimit: after}
	for i := range int64(4) { // of which the part is made now
		index := i
		if i > 0 {
			index += 100
		}
		stored, err := finder.seal(open, index, data[2*i*partSize:2*(i+1)*partSize], 2*i*partSize)
		if err != nil {
			t.Fatal(err)
		}
		p.Chunks = append(p.Chunks, stored)
	}
	if err := finder.report(p); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*service{finder, other} {
		if p := <-s.configured; p.AttachmentLimit != after {
			t.Errorf("%s was told of %d bytes", s.addr, p.AttachmentLimit)
		}
	}
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	r = begin(c, packet.UploadRequest{Name: "b", Path: "/", Size: int64(len(data)), IsPublic: true})
	if r.ChunkSize != chunk.PlainMax(after) {
		t.Errorf("chunks of %d bytes, want %d", r.ChunkSize, chunk.PlainMax(after))
	}

	// Nonsense is not followed.
	holder := finder
	if other.holds(r.UploadID) {
		holder = other
	}
	for i, nonsense := range []int64{1, before, chunk.Reserve} {
		from := int64(i) * r.ChunkSize
		p := holder.part(r.UploadID, int64(i), data[from:from+r.ChunkSize])
		p.AttachmentLimit = nonsense
		if err := holder.report(p); err != nil {
			t.Fatal(err)
		}
		if got := limit.Load(); got != after {
			t.Errorf("%d bytes after a word of %d", got, nonsense)
		}
	}
}
