package hub_test

import (
	"fmt"
	"sync"
	"testing"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/hub"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// begin asks for an upload that has to be accepted.
func begin(c *wire, q packet.UploadRequest) packet.UploadResponse {
	c.t.Helper()
	r := ask[packet.UploadResponse](c, q)
	if !r.Accepted {
		c.t.Fatalf("%s rejected: %s", q.Name, r.RejectionReason)
	}
	return r
}

// put uploads a file that meets no conflict.
func (w *world) put(c *wire, path, name string, data []byte) packet.UploadResponse {
	w.t.Helper()
	r := begin(c, packet.UploadRequest{Name: name, Path: path, Size: int64(len(data)), IsPublic: true})
	w.postAll(r, data)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		w.t.Fatalf("%s failed: %s", name, p.Reason)
	}
	return r
}

// clash uploads a file whose name is taken, up to the question.
func (w *world) clash(c *wire, path, name string, data []byte) packet.UploadResponse {
	w.t.Helper()
	r := begin(c, packet.UploadRequest{Name: name, Path: path, Size: int64(len(data)), IsPublic: true})
	w.postAll(r, data)
	expect[packet.UploadStageFinish](c)
	q := expect[packet.UploadOverwriteRequest](c)
	if q != (packet.UploadOverwriteRequest{UploadID: r.UploadID, FileName: name, FilePath: path}) {
		w.t.Fatalf("asked %+v", q)
	}
	return r
}

func answer(c *wire, id, action string, onAll bool) {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"id":"c2s:upload-overwrite-response","data":{"upload_id":%q,"action":%q,"use_on_all_uploads":%v},"uuid":%q}`,
		id, action, onAll, packet.NewUUID()))
}

func TestConflict_V1(t *testing.T) {
	w := newWorld(t)
	w.service(2)
	u := w.user("ada")
	c := w.v1(u)
	old, fresh := pattern(10, 1), pattern(partSize+7, 2)
	w.put(c, "/docs", "third.txt", old)
	first := await[packet.FileModify](c)

	t.Run("rename", func(t *testing.T) {
		r := w.clash(c, "/docs", "third.txt", fresh)
		// The client goes on, the question stays open.
		if b := ask[packet.Boolean](c, packet.UploadBookingClear{}); b.Success {
			t.Error("a booking was cleared that there is not")
		}
		answer(c, r.UploadID, "rename", false)
		if p := expect[packet.UploadFinishInfo](c); p != (packet.UploadFinishInfo{Success: true, UploadID: r.UploadID, RenameTarget: "third (1).txt"}) {
			t.Errorf("got %+v", p)
		}
		if p := await[packet.FileModify](c); p.Action != packet.FileAdd || p.Handle.Name != "third (1).txt" {
			t.Errorf("got %+v", p)
		}
		w.checkContent(u, "/docs/third (1).txt", fresh)
		w.checkContent(u, "/docs/third.txt", old)
	})
	t.Run("skip", func(t *testing.T) {
		r := w.clash(c, "/docs", "third.txt", fresh)
		answer(c, r.UploadID, "skip", false)
		if p := expect[packet.UploadFinishInfo](c); p.Success || p.UploadID != r.UploadID || p.Reason == "" {
			t.Errorf("got %+v", p)
		}
		w.state(r.UploadID, meta.UploadFailed)
		w.checkContent(u, "/docs/third.txt", old)
	})
	t.Run("overwrite", func(t *testing.T) {
		r := w.clash(c, "/docs", "third.txt", fresh)
		answer(c, r.UploadID, "overwrite", false)
		if p := expect[packet.UploadFinishInfo](c); p != (packet.UploadFinishInfo{Success: true, UploadID: r.UploadID}) {
			t.Errorf("got %+v", p)
		}
		p := await[packet.FileModify](c)
		if p.Action != packet.FileChange || p.Handle.ID != first.Handle.ID || *p.Handle.CreatedAt != *first.Handle.CreatedAt || p.Handle.Size != int64(len(fresh)) {
			t.Errorf("got %+v", p)
		}
		w.checkContent(u, "/docs/third.txt", fresh)
	})
	t.Run("do_overwrite", func(t *testing.T) {
		r := begin(c, packet.UploadRequest{Name: "third.txt", Path: "/docs/", Size: 10, DoOverwrite: true})
		w.postAll(r, old)
		expect[packet.UploadStageFinish](c)
		if p := expect[packet.UploadFinishInfo](c); !p.Success || p.RenameTarget != "" {
			t.Errorf("got %+v", p)
		}
		w.checkContent(u, "/docs/third.txt", old)
	})
	t.Run("answer twice, and to nothing", func(t *testing.T) {
		r := w.clash(c, "/docs", "third.txt", fresh)
		answer(c, packet.NewUUID(), "overwrite", false)
		answer(c, r.UploadID, "skip", false)
		answer(c, r.UploadID, "overwrite", false)
		expect[packet.UploadFinishInfo](c)
		c.quiet()
	})
	t.Run("a folder has the name", func(t *testing.T) {
		r := w.clash(c, "/", "docs", old)
		answer(c, r.UploadID, "overwrite", false)
		if p := expect[packet.UploadFinishInfo](c); p.Success || p.Reason == "" {
			t.Errorf("got %+v", p)
		}
	})
}

// "Use on all uploads": this one first, then the cancel, then the others, and
// those to come until the booking is cleared.
func TestConflict_UseOnAll(t *testing.T) {
	w := newWorld(t)
	w.service(5) // one of which the first upload may have a moment longer
	u := w.user("ada")
	c := w.v1(u)
	data := pattern(100, 1)
	w.put(c, "/", "a", data)
	ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 4})
	first, second, third := w.clash(c, "/", "a", data), w.clash(c, "/", "a", data), w.clash(c, "/", "a", data)
	answer(c, second.UploadID, "rename", true)
	if p := expect[packet.UploadFinishInfo](c); p.UploadID != second.UploadID || p.RenameTarget != "a (1)" {
		t.Errorf("got %+v", p)
	}
	expect[packet.UploadOverwriteCancel](c)
	if p := expect[packet.UploadFinishInfo](c); p.UploadID != first.UploadID || p.RenameTarget != "a (2)" {
		t.Errorf("got %+v", p)
	}
	if p := expect[packet.UploadFinishInfo](c); p.UploadID != third.UploadID || p.RenameTarget != "a (3)" {
		t.Errorf("got %+v", p)
	}
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 100, IsPublic: true})
	w.postAll(r, data)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); p.RenameTarget != "a (4)" {
		t.Errorf("got %+v", p)
	}
	ask[packet.Boolean](c, packet.UploadBookingClear{})
	answer(c, w.clash(c, "/", "a", data).UploadID, "skip", false)
	expect[packet.UploadFinishInfo](c)
}

// A name that somebody else's private file has.
func TestConflict_Permission(t *testing.T) {
	w := newWorld(t)
	w.service(2)
	ada, bob := w.user("ada"), w.user("bob")
	data, other := pattern(100, 1), pattern(200, 2)
	a, b := w.v1(ada), w.v1(bob)
	for _, public := range []bool{true, false} {
		name := fmt.Sprintf("public %v", public)
		r := begin(a, packet.UploadRequest{Name: name, Path: "/", Size: 100, IsPublic: public})
		w.postAll(r, data)
		await[packet.UploadFinishInfo](a)

		r = begin(b, packet.UploadRequest{Name: name, Path: "/", Size: 200, IsPublic: true})
		w.postAll(r, other)
		expect[packet.UploadStageFinish](b)
		expect[packet.UploadOverwriteRequest](b)
		answer(b, r.UploadID, "overwrite", false)
		if p := expect[packet.UploadFinishInfo](b); p.Success || p.Reason == "" {
			t.Errorf("%s: got %+v", name, p)
		}
		w.checkContent(ada, "/"+name, data)

		// Renaming needs no permission.
		r = begin(b, packet.UploadRequest{Name: name, Path: "/", Size: 200, IsPublic: true})
		w.postAll(r, other)
		expect[packet.UploadStageFinish](b)
		expect[packet.UploadOverwriteRequest](b)
		answer(b, r.UploadID, "rename", false)
		if p := expect[packet.UploadFinishInfo](b); p.RenameTarget != name+" (1)" {
			t.Errorf("%s: got %+v", name, p)
		}
	}

	// Shared for writing, it may be replaced, and stays its owner's.
	e, err := w.fs.Lookup(t.Context(), ada.Principal, []string{"public false"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.fs.Share(t.Context(), ada.Principal, e.ID, vfs.Grantee{User: bob.ID}, true); err != nil {
		t.Fatal(err)
	}
	r := begin(b, packet.UploadRequest{Name: e.Name, Path: "/", Size: 200, DoOverwrite: true})
	w.postAll(r, other)
	expect[packet.UploadStageFinish](b)
	if p := expect[packet.UploadFinishInfo](b); !p.Success {
		t.Fatalf("got %+v", p)
	}
	w.checkContent(ada, "/public false", other)
	if now, err := w.fs.Entry(t.Context(), ada.Principal, e.ID); err != nil || now.Owner != ada.ID {
		t.Errorf("owner is %d, %v", now.Owner, err)
	}
}

// One question more than a client may have open fails the upload, and asks
// nothing.
func TestConflict_TooMany(t *testing.T) {
	const most = 4
	w := newWorld(t, func(d *dispatch.Options, _ *hub.Options) { d.Questions = most })
	w.service(1)
	c := w.v1(w.user("ada"))
	data := pattern(100, 1)
	w.put(c, "/", "a", data)
	var open []packet.UploadResponse
	for range most {
		open = append(open, w.clash(c, "/", "a", data))
	}
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 100})
	w.postAll(r, data)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); p.Success || p.UploadID != r.UploadID {
		t.Errorf("got %+v", p)
	}
	c.quiet()
	answer(c, open[0].UploadID, "skip", false)
	expect[packet.UploadFinishInfo](c)
	w.clash(c, "/", "a", data) // there is room again
	if n := dispatch.New(dispatch.Options{}).Questions; n != 512 {
		t.Errorf("%d questions by default, want 512", n)
	}
}

// What a request of version 2 says beforehand.
func TestConflict_V2(t *testing.T) {
	w := newWorld(t)
	w.service(1)
	u := w.user("ada")
	c := w.v2(u)
	old, fresh := pattern(10, 1), pattern(20, 2)
	w.put(c, "/", "Küste 🌊", old)
	for _, x := range []struct {
		conflict string
		success  bool
		rename   string
		content  []byte
	}{
		{packet.ConflictFail, false, "", old},
		{packet.ConflictSkip, false, "", old},
		{packet.ConflictRename, true, "Küste 🌊 (1)", old},
		{packet.ConflictOverwrite, true, "", fresh},
	} {
		r := begin(c, packet.UploadRequest{Name: "Küste 🌊", Path: "/", Size: 20, Conflict: x.conflict})
		w.postAll(r, fresh)
		expect[packet.UploadStageFinish](c)
		p := expect[packet.UploadFinishInfo](c)
		if p.Success != x.success || p.RenameTarget != x.rename || p.Success == (p.Reason != "") {
			t.Errorf("%s: got %+v", x.conflict, p)
		}
		w.checkContent(u, "/Küste 🌊", x.content)
	}
	answer(c, w.clash(c, "/", "Küste 🌊", fresh).UploadID, "skip", false)
	expect[packet.UploadFinishInfo](c)
}

// Clients that race for one name get one result each, by their policy, and never
// a mix of bytes.
func TestConflict_Race(t *testing.T) {
	w := newWorld(t)
	w.service(8)
	const clients = 4
	var cs []*wire
	u := w.user("ada")
	for range clients {
		cs = append(cs, w.v2(u))
	}
	for _, policy := range []string{packet.ConflictOverwrite, packet.ConflictRename, packet.ConflictFail} {
		for round := range 3 {
			name := fmt.Sprintf("%s %d", policy, round)
			var uploads [clients]packet.UploadResponse
			var data [clients][]byte
			for i, c := range cs {
				data[i] = pattern(partSize+100+i, byte(i))
				uploads[i] = begin(c, packet.UploadRequest{Name: name, Path: "/race", Size: int64(len(data[i])), Conflict: policy})
				w.post(uploads[i], data[i], 0)
			}
			var race sync.WaitGroup
			for i := range cs {
				s := w.services[uploads[i].UploadAddress]
				last := s.part(uploads[i].UploadID, 1, data[i][partSize:])
				race.Go(func() {
					if err := s.report(last); err != nil {
						t.Error(err)
					}
				})
			}
			race.Wait()
			won, names := -1, map[string]int{}
			wins := 0
			for i, c := range cs {
				expect[packet.UploadStageFinish](c)
				p := expect[packet.UploadFinishInfo](c)
				if p.Success {
					wins++
					won = i
					if p.RenameTarget != "" {
						names[p.RenameTarget] = i
					} else {
						names[name] = i
					}
				}
			}
			switch policy {
			case packet.ConflictFail:
				if wins != 1 {
					t.Errorf("%s: %d won", name, wins)
				}
				w.checkContent(u, "/race/"+name, data[won])
			case packet.ConflictRename:
				if wins != clients || len(names) != clients {
					t.Errorf("%s: %d won, as %v", name, wins, names)
				}
				for n, i := range names {
					w.checkContent(u, "/race/"+n, data[i])
				}
			case packet.ConflictOverwrite:
				if wins != clients {
					t.Errorf("%s: %d won", name, wins)
				}
				got := w.content(u, "/race/"+name)
				i := len(got) - partSize - 100
				if i < 0 || i >= clients {
					t.Fatalf("%s: %d bytes", name, len(got))
				}
				w.checkContent(u, "/race/"+name, data[i])
			}
		}
	}
	page, err := w.fs.List(t.Context(), u.Principal, cloud.Root, meta.Query{Limit: 10})
	if err != nil || len(page.Entries) != 1 {
		t.Errorf("the top has %v, %v", page.Entries, err)
	}
}
