package dav_test

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"discordcloud/manager/internal/auth"
)

// A quota is answered 507 at every way to more bytes (RFC 4918 §11.5), and told
// beforehand (RFC 4331); what was there stays as it is.
func TestQuota(t *testing.T) {
	w := open(t, nil)
	ada := w.client("ada", auth.AppPassword{})
	const most = 2 << 20
	if err := w.store.SetQuota(t.Context(), ada.user.User, most, 3); err != nil {
		t.Fatal(err)
	}
	first := pattern(1 << 20)
	ada.want(201, "PUT", "/first", string(first))
	free := ada.list("/", propnames("<D:quota-available-bytes/>"), "0")["/dav/"]["DAV: quota-available-bytes"]
	if free != "200 "+strconv.Itoa(most-len(first)) {
		t.Errorf("free are %s", free)
	}
	ada.want(507, "PUT", "/second", string(pattern(most))) // of a size that is told
	ada.want(507, "PUT", "/first", string(pattern(most)))
	stream := func(path string, n int) answer {
		t.Helper()
		// Without a length, in chunks: what it comes to shows as it comes.
		a, err := ada.send(ada.request("PUT", path, io.NopCloser(io.LimitReader(strings.NewReader(strings.Repeat("x", n)), int64(n)))))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := stream("/stream", 3<<20); a.status != 507 {
		t.Errorf("a stream beyond the quota: status %d: %s", a.status, a.body)
	}
	if a := stream("/stream", 1<<19); a.status != 201 {
		t.Errorf("a stream within the quota: status %d: %s", a.status, a.body)
	}
	ada.want(507, "COPY", "/first", "", "Destination", "{url}/copy")
	ada.want(201, "COPY", "/stream", "", "Destination", "{url}/copy")
	ada.want(507, "PUT", "/fourth", "x") // a fourth file
	ada.want(404, "GET", "/second", "")
	ada.reads("/first", first)
	ada.want(204, "DELETE", "/copy", "")
	ada.want(201, "PUT", "/fourth", "x")
	if faults, err := w.store.Check(t.Context()); err != nil || len(faults) > 0 {
		t.Errorf("Check = %v, %v", faults, err)
	}
	if q, err := w.store.Quota(t.Context(), ada.user.User); err != nil || q.Files != 3 || q.ReservedFiles != 0 {
		t.Errorf("Quota = %+v, %v", q, err)
	}
}
