package dav_test

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/meta"
)

// A hundred wrong passwords at once are refused, and soon without being looked
// at; whoever has the right one is served all the while, from the same address.
func TestAuthentication_guessing(t *testing.T) {
	w := open(t, nil)
	ada := w.client("ada", auth.AppPassword{})
	ada.want(201, "PUT", "/f", "x")
	var mu sync.Mutex
	statuses := map[int]int{}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			guess := &client{w: w, name: "ada", password: strings.Repeat(string(rune('a'+i%26)), 24)}
			a, err := guess.send(guess.request("GET", "/f", nil))
			if err != nil {
				t.Error(err)
			}
			if wait, err := strconv.Atoi(a.header.Get("Retry-After")); a.status == 429 && (err != nil || wait < 1) {
				t.Errorf("429 with Retry-After %q", a.header.Get("Retry-After"))
			}
			if strings.Contains(a.body, guess.password) {
				t.Error("the password is in the answer")
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
		})
		all.Go(func() {
			if a, err := ada.send(ada.request("GET", "/f", nil)); err != nil || a.status != 200 {
				t.Errorf("the right one: %d, %v", a.status, err)
			}
		})
	}
	all.Wait()
	if statuses[401]+statuses[429] != 100 || statuses[429] < 50 || statuses[401] == 0 {
		t.Errorf("statuses %v", statuses)
	}
	ada.want(204, "PUT", "/f", "y")
}

// A password that is revoked ends with all that it carries: what comes in is not
// stored, what goes out breaks off.
func TestAuthentication_revoked(t *testing.T) {
	w := open(t, nil)
	ada, other := w.client("ada", auth.AppPassword{}), w.client("ada", auth.AppPassword{})
	old := pattern(partSize)
	ada.want(201, "PUT", "/f", string(old))
	body, write := io.Pipe()
	done := make(chan answer, 1)
	go func() {
		a, _ := ada.send(ada.request("PUT", "/f", body)) // a connection that is cut is as good
		done <- a
	}()
	if _, err := write.Write(pattern(2 * partSize)); err != nil {
		t.Fatal(err)
	}
	w.eventually("an upload", func() bool {
		all, err := w.store.UploadsIn(t.Context(), ada.user.User, meta.UploadRunning)
		return err == nil && len(all) == 1
	})
	if err := w.auth.RevokeAppPassword(t.Context(), ada.user, ada.id); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.status >= 200 && a.status < 300 {
		t.Errorf("status %d after the password was revoked", a.status)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "PROPFIND", "PUT", "DELETE", "LOCK", "MKCOL", "OPTIONS"} {
		ada.want(401, method, "/f", "")
	}
	other.reads("/f", old)
	w.sound()
}
