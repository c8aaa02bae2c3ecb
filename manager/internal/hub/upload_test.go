package hub_test

import (
	"fmt"
	"strings"
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

const bookingRequest = `{"id":"c2s:upload-booking-request","data":{"desired_amount":10},"uuid":"c3a23955-07a4-447e-9969-a617a08559dc"}`

// The captured flow of an upload without conflict, frame by frame.
func TestUpload_V1(t *testing.T) {
	w := newWorld(t)
	w.service(1)
	w.service(1)
	u := w.user("ada")
	c := w.v1(u)
	data := pattern(2*partSize+5000, 1)

	c.send(bookingRequest)
	if got := c.next(); got.ReplyUUID != "c3a23955-07a4-447e-9969-a617a08559dc" || got.Data != (packet.UploadBooking{Amount: 2}) {
		t.Fatalf("booking answered by %+v", got)
	}
	c.send(fmt.Sprintf(`{"id":"c2s:upload-request","data":{"name":"up1.bin","path":"/docs","is_public":true,"size":%d},"uuid":"86237f28-d2e2-44b1-9c2a-c1a64ac86039"}`, len(data)))
	e := c.next()
	r, ok := e.Data.(packet.UploadResponse)
	if !ok || e.ReplyUUID != "86237f28-d2e2-44b1-9c2a-c1a64ac86039" || r.Name != "up1.bin" || r.Path != "/docs" || r.ChunkSize != partSize {
		t.Fatalf("upload answered by %+v", e)
	}
	w.post(r, data, 1, 2, 0)
	if p := expect[packet.UploadStageFinish](c); p != (packet.UploadStageFinish{UploadID: r.UploadID}) {
		t.Errorf("got %+v", p)
	}
	c.send(`{"id":"c2s:upload-booking-clear","data":{},"uuid":"eb605b13-21f4-4932-9b08-adc258905a22"}`)
	finish := await[packet.UploadFinishInfo](c)
	if finish != (packet.UploadFinishInfo{Success: true, UploadID: r.UploadID}) {
		t.Errorf("got %+v", finish)
	}
	if got := c.reply("eb605b13-21f4-4932-9b08-adc258905a22"); got != (packet.Boolean{Success: true}) {
		t.Errorf("clear answered by %+v", got)
	}
	folder := await[packet.FolderModify](c)
	if folder.Action != packet.FolderAdd || folder.Path != "/docs" || folder.Handle.Name != "docs" || folder.Handle.ParentFolder != nil {
		t.Errorf("got %+v", folder)
	}
	file := await[packet.FileModify](c)
	if file.Action != packet.FileAdd || file.Path != "/docs" || file.Handle.Name != "up1.bin" ||
		file.Handle.Size != int64(len(data)) || file.Handle.Ownership != (packet.Ownership{Status: "owned"}) {
		t.Errorf("got %+v", file)
	}
	c.quiet()
	w.checkContent(u, "/docs/up1.bin", data)
	w.eventually("slots are free", func() bool { return w.debug("slots_busy") == 0 })
	if n := w.debug("uploads"); n != 0 {
		t.Errorf("%d uploads left in memory", n)
	}
	row, err := w.store.Upload(t.Context(), cloud.UploadID(r.UploadID))
	if err != nil || row.State != meta.UploadDone {
		t.Errorf("upload is %v, %v", row.State, err)
	}
	if strings.Contains(w.log.String(), "up1.bin") || strings.Contains(w.log.String(), u.token) {
		t.Error("the log tells a name or a token")
	}
}

// Sizes around parts, among them exact multiples.
func TestUpload_Sizes(t *testing.T) {
	w := newWorld(t)
	w.service(2)
	u := w.user("ada")
	c := w.v1(u)
	ask[packet.UploadBooking](c, packet.UploadBookingRequest{DesiredAmount: 1})
	for i, n := range []int{1, partSize - 1, partSize, partSize + 1, 2 * partSize} {
		data := pattern(n, byte(i))
		name := fmt.Sprintf("f%d", n)
		r := ask[packet.UploadResponse](c, packet.UploadRequest{Name: name, Path: "/", Size: int64(n), IsPublic: true})
		w.postAll(r, data)
		expect[packet.UploadStageFinish](c)
		if p := expect[packet.UploadFinishInfo](c); !p.Success {
			t.Fatalf("%d bytes: %s", n, p.Reason)
		}
		w.checkContent(u, "/"+name, data)
	}
}
