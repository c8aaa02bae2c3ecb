package upload_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/services/upload"
)

func TestUpload_managerSaysNo(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	e.m.respond(func(*packet.Conn, packet.PartStored) packet.Packet {
		return packet.Boolean{Message: "sizes do not match"}
	})
	if r := e.sendPart(f, 0); r.status != 500 || !strings.Contains(r.body, "sizes do not match") {
		t.Errorf("refused: %v, want 500", r)
	}
	e.m.respond(func(*packet.Conn, packet.PartStored) packet.Packet {
		return packet.Error{Code: "internal", Message: "disk"}
	})
	if r := e.sendPart(f, 0); r.status != 500 {
		t.Errorf("failed: %v, want 500", r)
	}
	e.m.respond(func(*packet.Conn, packet.PartStored) packet.Packet {
		return packet.Error{Code: "exists", Message: "another service was faster"}
	})
	if r := e.sendPart(f, 0); r.status != 409 || !strings.Contains(r.body, "another service was faster") {
		t.Errorf("stored elsewhere: %v, want 409", r)
	}
	var calls atomic.Int64
	e.m.respond(func(*packet.Conn, packet.PartStored) packet.Packet {
		if calls.Add(1) == 1 {
			return packet.Error{Code: "unavailable", Message: "the database is busy"}
		}
		return packet.Boolean{Success: true}
	})
	e.mustSend(f, 0) // reported again, not stored again
	f.verify(t, e.m, e.store)
	if n := e.store.Len(); n != 4 {
		t.Errorf("%d blobs for 4 tries", n)
	}
}

func TestUpload_managerRestarts(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(3*leaf), leaf)
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)
	<-e.store.came

	release := e.store.hold()
	posted := later(func() result { return e.sendPart(f, 1) })
	get(t, e.store.came, "Put")
	addr := e.m.addr
	e.m.stop()
	release()
	e.m.start(addr)
	conn := get(t, e.m.conns, "the service to come back")
	f.confirm(0)
	f.mustOpen(t, conn)
	if r := get(t, posted, "the answer"); r.status != 200 {
		t.Errorf("part under way: %v", r)
	}
	e.mustSend(f, 2)
	e.mustSend(f, 0) // still known
	f.verify(t, e.m, e.store)
	if n := e.store.Len(); n != 3 {
		t.Errorf("%d blobs for 3 parts", n)
	}
}

func TestUpload_reportLost(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	var once sync.Once
	e.m.respond(func(conn *packet.Conn, p packet.PartStored) packet.Packet {
		var answer packet.Packet = packet.Boolean{Success: true}
		once.Do(func() { // recorded, but the answer never goes out
			e.m.keep(p)
			conn.Close(1012, "restart")
			answer = nil
		})
		return answer
	})
	posted := later(func() result { return e.sendPart(f, 0) })
	conn := get(t, e.m.conns, "the service to come back")
	f.confirm(0)
	f.mustOpen(t, conn)
	if r := get(t, posted, "the answer"); r.status != 200 {
		t.Errorf("got %v", r)
	}
	f.verify(t, e.m, e.store) // and keep complains of a second report
}

func TestUpload_managerGone(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Reconnect = 300 * time.Millisecond; c.Grace = time.Hour })
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	addr := e.m.addr
	e.m.stop()
	for i := range 2 {
		r := e.sendPart(f, i)
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
			t.Fatalf("got %v, want 503", r)
		}
	}
	e.m.start(addr)
	conn := get(t, e.m.conns, "the service to come back")
	f.mustOpen(t, conn)
	for i := range 2 {
		e.mustSend(f, i)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_managerStaysAway(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) {
		c.Reconnect, c.Grace, c.Linger = time.Hour, 50*time.Millisecond, 10*time.Millisecond
	})
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	e.m.stop()
	if r := e.sendPart(f, 0); r.status != 400 {
		t.Errorf("got %v, want 400: the upload is dropped", r)
	}
}

func TestUpload_confirmed(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(3*leaf), leaf)
	f.Confirmed = []packet.Range{{0, 1}}
	f.mustOpen(t, e.conn)
	e.mustSend(f, 1) // stored by another service: taken at its word
	if n := e.store.Len(); n != 0 {
		t.Errorf("%d blobs stored for a confirmed part", n)
	}
	e.mustSend(f, 2)
	if e.m.partsOf(f.UploadID) != 1 {
		t.Error("a confirmed part was reported")
	}
}

func TestUpload_capacity(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Worker.Capacity = 2 })
	files := make([]*file, 3)
	for i := range files {
		files[i] = newFile(t, blobtest.Pattern(leaf), leaf)
	}
	files[0].mustOpen(t, e.conn)
	files[1].mustOpen(t, e.conn)
	files[1].mustOpen(t, e.conn) // the same again takes no room
	if a := files[2].open(t, e.conn); a.Success || a.Message == "" {
		t.Errorf("a third of two: %+v", a)
	}
	closeUpload(t, e.conn, files[0])
	files[2].mustOpen(t, e.conn)
}

// What an earlier connection of the manager opened takes no room: the manager
// does not know of it, and counts on all of the capacity.
func TestUpload_capacityAfterRestart(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Worker.Capacity = 1; c.Grace = time.Hour })
	first, second := newFile(t, blobtest.Pattern(leaf), leaf), newFile(t, blobtest.Pattern(leaf), leaf)
	first.mustOpen(t, e.conn)
	addr := e.m.addr
	e.m.stop()
	e.m.start(addr)
	conn := get(t, e.m.conns, "the service to come back")
	second.mustOpen(t, conn)
	if a := first.open(t, conn); a.Success {
		t.Error("two of one")
	}
	closeUpload(t, conn, second)
	first.mustOpen(t, conn)
	e.mustSend(first, 0)
}

func TestUpload_openRefused(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Memory = 1 << 20 })
	for name, size := range map[string][2]int64{
		"more than the memory": {10 << 20, 2 << 20},
		"no whole leaves":      {10 * leaf, leaf + 1},
		"beyond a header":      {1 << 40, 1 << 33},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t, []byte("x"), leaf)
			f.Size, f.ChunkSize = size[0], size[1]
			if a := f.open(t, e.conn); a.Success || a.Message == "" {
				t.Errorf("%+v", a)
			}
		})
	}
	f := newFile(t, []byte("x"), 1<<40) // one part: its size does not matter
	f.mustOpen(t, e.conn)
	e.mustSend(f, 0)
}

func TestUpload_stall(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Stall = 50 * time.Millisecond; c.Linger = time.Hour })
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	failed := get(t, e.m.failed, "the end of a stalled upload")
	if failed.UploadID != f.UploadID || failed.Reason == "" {
		t.Errorf("got %+v", failed)
	}
	if r := e.sendPart(f, 0); r.status != 400 {
		t.Errorf("part of it: %v, want 400", r)
	}
	f.mustOpen(t, e.conn) // it can be resumed
	e.mustSend(f, 0)
}

func TestUpload_stallNotInTransit(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Stall = 50 * time.Millisecond })
	busy := newFile(t, blobtest.Pattern(leaf), leaf)
	busy.mustOpen(t, e.conn)
	body, sender := io.Pipe()
	contentType, raw := form(idField(busy), chunkField(0), fileField(busy.part(0)))
	posted := later(func() result { return e.send(contentType, body) })
	if _, err := sender.Write(raw[:len(raw)/2]); err != nil {
		t.Fatal(err)
	}
	idle := newFile(t, blobtest.Pattern(leaf), leaf)
	for range 2 { // two of its stalls are longer than one of ours
		idle.mustOpen(t, e.conn)
		if failed := get(t, e.m.failed, "the idle one to stall"); failed.UploadID != idle.UploadID {
			t.Fatal("an upload with bytes in transit was given up")
		}
	}
	if _, err := sender.Write(raw[len(raw)/2:]); err != nil {
		t.Fatal(err)
	}
	_ = sender.Close()
	if r := get(t, posted, "the answer"); r.status != 200 {
		t.Errorf("got %v", r)
	}
}

func TestUpload_stallFromManager(t *testing.T) {
	config := configuration()
	second := int64(1)
	config.StallSeconds = &second
	e := &env{t: t, store: newShelf(), logs: &logs{}}
	e.start(config, func(c *upload.Config) {
		c.OpenStore = func(packet.Configure) (upload.Store, error) { return e.store, nil }
		c.Stall = time.Hour
	})
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	get(t, e.m.failed, "the stall that the manager has set")
}

func TestUpload_shutdown(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	release := e.store.hold()
	defer release()
	posted := later(func() result { return e.sendPart(f, 0) })
	get(t, e.store.came, "Put")
	if err := e.stop(); !errors.Is(err, cloud.ErrShutdown) {
		t.Errorf("Run = %v", err)
	}
	if r := get(t, posted, "the answer"); r.status != http.StatusServiceUnavailable {
		t.Errorf("under way: %v, want 503", r)
	}
	if r := e.sendPart(f, 1); r.status != http.StatusServiceUnavailable {
		t.Errorf("afterwards: %v, want 503", r)
	}
	if !e.store.closed.Load() {
		t.Error("the store is still open")
	}
}
