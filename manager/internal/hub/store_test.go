package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/hub"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// faulty is a database whose next calls fail, before or after they were done.
type faulty struct {
	meta.Store
	mu    sync.Mutex
	fails map[string]error // by method, for one call
	after bool             // the call is done all the same
}

func (f *faulty) failNext(method string, err error, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails, f.after = map[string]error{method: err}, after
}

func (f *faulty) take(method string) (err error, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.fails[method]
	delete(f.fails, method)
	return err, f.after
}

func (f *faulty) CreateUpload(ctx context.Context, u meta.Upload) error {
	if err, _ := f.take("CreateUpload"); err != nil {
		return err
	}
	return f.Store.CreateUpload(ctx, u)
}

func (f *faulty) AddPart(ctx context.Context, id cloud.UploadID, part int64, chunks []meta.Stored) error {
	err, after := f.take("AddPart")
	if err != nil && !after {
		return err
	}
	return errors.Join(f.Store.AddPart(ctx, id, part, chunks), err)
}

func (f *faulty) FinishUpload(ctx context.Context, id cloud.UploadID, finish meta.Finish) (meta.Finished, error) {
	err, after := f.take("FinishUpload")
	if err != nil && !after {
		return meta.Finished{}, err
	}
	done, failed := f.Store.FinishUpload(ctx, id, finish)
	return done, errors.Join(failed, err)
}

func newFaulty(t *testing.T) (*world, *faulty) {
	f := &faulty{}
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) {
		f.Store = d.Store
		d.Store = f
	})
	return w, f
}

var errDisk = errors.New("the disk is on fire")

// A part that could not be recorded is not acknowledged, and may come again.
func TestStore_AddPart(t *testing.T) {
	for _, after := range []bool{false, true} {
		w, f := newFaulty(t)
		s := w.service(1)
		u := w.user("ada")
		c := w.v1(u)
		data := pattern(partSize+1, 1)
		r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data))})
		for part := range int64(2) {
			p := s.part(r.UploadID, part, data[part*partSize:min((part+1)*partSize, int64(len(data)))])
			f.failNext("AddPart", errDisk, after)
			if err := s.report(p); err == nil {
				t.Errorf("done %v: part %d was acknowledged", after, part)
			}
			if err := s.report(p); err != nil {
				t.Errorf("done %v: part %d again: %v", after, part, err)
			}
		}
		expect[packet.UploadStageFinish](c)
		if p := expect[packet.UploadFinishInfo](c); !p.Success {
			t.Errorf("done %v: got %+v", after, p)
		}
		w.checkContent(u, "/a", data)
	}
}

// The database fails at the end: version 1 is told so, version 2 goes on later,
// also if the file had been made in spite of the error.
func TestStore_Finish(t *testing.T) {
	w, f := newFaulty(t)
	w.service(1)
	u := w.user("ada")
	old, c := w.v1(u), w.v2(u)
	data := pattern(10, 1)
	r := begin(old, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	f.failNext("FinishUpload", errDisk, false)
	w.postAll(r, data)
	expect[packet.UploadStageFinish](old)
	if p := expect[packet.UploadFinishInfo](old); p.Success || p.Reason != "internal error" {
		t.Errorf("got %+v", p)
	}
	w.state(r.UploadID, meta.UploadFailed)

	for i, after := range []bool{false, true} {
		name := fmt.Sprint("b", i)
		r = begin(c, packet.UploadRequest{Name: name, Path: "/", Size: 10})
		f.failNext("FinishUpload", cloud.ErrUnavailable, after)
		w.postAll(r, data)
		expect[packet.UploadStageFinish](c)
		if p := expect[packet.UploadInterrupted](c); p.UploadID != r.UploadID {
			t.Errorf("got %+v", p)
		}
		confirmed(t, ask[packet.UploadResponse](c, packet.UploadResume{UploadID: r.UploadID}), packet.Range{0, 0})
		expect[packet.UploadStageFinish](c)
		if p := expect[packet.UploadFinishInfo](c); !p.Success {
			t.Errorf("got %+v", p)
		}
		w.checkContent(u, "/"+name, data)
	}
	// Of a database that is away nobody needs to be told who looks after the server.
	if n := strings.Count(w.log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors are logged, want that of the disk:\n%s", n, w.log)
	}
}

func TestStore_Create(t *testing.T) {
	w, f := newFaulty(t)
	s := w.service(1)
	c := w.v1(w.user("ada"))
	f.failNext("CreateUpload", errDisk, false)
	if r := ask[packet.UploadResponse](c, packet.UploadRequest{Name: "a", Path: "/", Size: 10}); r.Accepted || r.RejectionReason != "internal error" {
		t.Errorf("got %+v", r)
	}
	if s.opened != 0 || w.debug("slots_busy") != 0 {
		t.Errorf("%d opened, %d slots busy", s.opened, w.debug("slots_busy"))
	}
	w.put(c, "/", "a", pattern(10, 1))
}

// A client that leaves while its request waits leaves nothing behind.
func TestRequest_ClientLeaves(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	c := w.v1(u)
	c.tell(packet.UploadBookingRequest{DesiredAmount: 2})
	c.tell(packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	w.eventually("the request waits", func() bool { return w.debug("requests_waiting") == 1 })
	c.close()
	w.eventually("the client is gone", func() bool { return w.debug("clients") == 0 && w.debug("requests_waiting") == 0 })
	s := w.service(1)
	w.put(w.v1(u), "/", "b", pattern(10, 1))
	if s.opened != 1 {
		t.Errorf("%d uploads were opened", s.opened)
	}
}
