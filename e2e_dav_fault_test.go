package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/sandbox"
)

// davAnswer is an answer, read.
type davAnswer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request with the app password. An error of the connection is one of
// the test, with status 0.
func (d *davServer) ask(t *testing.T, method, path string, body []byte, header ...string) davAnswer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.url+path, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return davAnswer{}
	}
	r.SetBasicAuth(adminName, d.password)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return davAnswer{}
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return davAnswer{a.StatusCode, a.Header, b}
}

// wants is ask with the status that has to come.
func (d *davServer) wants(t *testing.T, status int, method, path string, body []byte, header ...string) davAnswer {
	t.Helper()
	a := d.ask(t, method, path, body, header...)
	if a.status != status {
		t.Errorf("%s %s: status %d, want %d: %.200s", method, path, a.status, status, a.body)
	}
	return a
}

func bytesOf(t *testing.T, seed uint64, size int64) []byte {
	t.Helper()
	b, err := io.ReadAll(content{seed: seed, size: size}.reader())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Where the bytes cannot go there is a clear status, what was there stays, and
// all goes on when they can again.
func TestEndToEnd_davFaults(t *testing.T) {
	s := startServe(t, map[string]string{"DISCORD_ATTACHMENT_LIMIT": "1MiB"})
	setUp(t, s.base).servicesReady(3)
	d := &davServer{serve: s, url: s.base + "/dav/"}
	d.password = d.appPassword(t)
	box := &faults{t, s.sandbox}
	old := map[string][]byte{"small": []byte("old"), "large": bytesOf(t, 1, faultFile)}
	for name, b := range old {
		d.wants(t, 201, "PUT", name, b)
	}
	for _, fault := range []struct {
		name   string
		rule   sandbox.Rule
		status int
	}{
		{"a full disk", sandbox.Rule{Method: "POST", Route: postRoute, Action: sandbox.Full}, 507},
		{"Discord away", sandbox.Rule{Route: "/*", Action: sandbox.Drop}, 503},
	} {
		t.Run(fault.name, func(t *testing.T) {
			fault.rule.Name = fault.name
			box.add(fault.rule)
			var asking errgroup.Group // each of them tries for a while
			ask := func(method, name string, body []byte) {
				asking.Go(func() error {
					a := d.ask(t, method, name, body)
					if a.status != fault.status {
						t.Errorf("%s %s: status %d, want %d: %.200s", method, name, a.status, fault.status, a.body)
					}
					if wait, err := strconv.Atoi(a.header.Get("Retry-After")); fault.status == 503 && (err != nil || wait < 1) {
						t.Errorf("%s %s: Retry-After %q", method, name, a.header.Get("Retry-After"))
					}
					return nil
				})
			}
			for i, name := range []string{"small", "large", "new%20small", "new%20large"} {
				ask("PUT", name, bytesOf(t, uint64(i), int64(100+i%2*faultFile)))
			}
			_ = asking.Wait() // they tell the test
			if box.count(fault.name) == 0 {
				t.Error("the fault was not met")
			}
			box.clear()
			for name, want := range old {
				if wrong := d.holds(t, name, want); wrong != "" {
					t.Error(wrong)
				}
				until(t, "room again", 20*time.Second, func() bool { return d.ask(t, "PUT", name, want).status == 204 })
			}
			d.wants(t, 404, "GET", "new%20large", nil)
		})
	}
}

// A stream whose server is killed cannot go on: what was reserved for it is free once
// the server is back.
func TestEndToEnd_davKilled(t *testing.T) {
	t.Parallel()
	s := startServe(t, nil)
	c := setUp(t, s.base)
	c.servicesReady(3)
	d := &davServer{serve: s, url: s.base + "/dav/"}
	d.password = d.appPassword(t)
	reserved := func() (bytes int64) {
		var space struct {
			Quota struct{ Reserved struct{ Bytes int64 } }
		}
		c.must(c.do(t.Context(), "GET", "/api/space", nil, &space))
		return space.Quota.Reserved.Bytes
	}
	from, to := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "PUT", d.url+"cut.bin", from)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 1 << 20
	r.SetBasicAuth(adminName, d.password)
	ended := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(r)
		ended <- err
	}()
	if _, err := to.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	until(t, "something is reserved", 10*time.Second, func() bool { return reserved() == r.ContentLength })
	s.kill()
	_ = to.Close() // never fails
	if err := <-ended; err == nil {
		t.Error("a stream whose server was killed ends well")
	}
	s.again(t)
	until(t, "nothing is reserved", 10*time.Second, func() bool { return reserved() == 0 })
}

// On a disk that is full nothing is made, and nothing that was acknowledged is lost.
func TestEndToEnd_davDatabaseFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("this process may not mount: %v", err) // so there is no disk to be filled
	}
	boxPort, port := freePort(t), freePort(t)
	box := "http://127.0.0.1:" + boxPort
	start(t, map[string]string{"DATA_DIR": t.TempDir(), "SANDBOX_PORT": boxPort, "SANDBOX_TOKEN": sandboxToken}, "sandbox")
	var channels []string
	until(t, "the sandbox", 20*time.Second, func() bool {
		channels = sandboxChannels(t, box)
		return len(channels) > 0
	})
	s := &serve{dir: dir, base: "http://127.0.0.1:" + port, sandbox: box, token: sandboxToken, env: map[string]string{
		"DATA_DIR": dir, "MANAGER_PORT": port, "DISCORD_BOT_TOKEN": sandboxToken, "DISCORD_CHANNEL_IDS": strings.Join(channels, ","), "DISCORD_API_URL": box + "/api/v10",
	}}
	t.Cleanup(func() {
		s.kill()
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s.again(t)
	setUp(t, s.base).servicesReady(3)
	d := &davServer{serve: s, url: s.base + "/dav/"}
	d.password = d.appPassword(t)
	kept := map[string][]byte{}
	put := func(name string, size int64) int {
		b := bytesOf(t, uint64(len(kept)), size)
		status := d.ask(t, "PUT", name, b).status
		if status == 201 || status == 204 {
			kept[name] = b
		} else if status != 507 {
			t.Errorf("PUT of %s: status %d", name, status)
		}
		return status
	}
	put("first", 1000)
	put("large", partSize+1)
	fill := filepath.Join(dir, "filler")
	filler, err := os.Create(fill)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1 << 20, 4 << 10} {
		for err = nil; err == nil; {
			_, err = filler.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	if err := filler.Close(); err != nil {
		t.Fatal(err)
	}
	full := 0
	for i := 0; full < 5 && i < 3000; i++ { // what lies open has some room left
		if put(fmt.Sprintf("more%04d", i), 10) == 507 {
			full++
		}
	}
	if full < 5 {
		t.Fatalf("the database is not full, after %d files", len(kept))
	}
	if status := put("first", 2000); status != 507 {
		t.Errorf("PUT over a file: status %d", status)
	}
	if status := put("larger", partSize+2); status != 507 {
		t.Errorf("PUT of a large file: status %d", status)
	}
	d.wants(t, 507, "MKCOL", "folder", nil)
	check := func() {
		t.Helper()
		for name, want := range kept {
			if wrong := d.holds(t, name, want); wrong != "" {
				t.Error(wrong)
			}
		}
		list := string(d.wants(t, 207, "PROPFIND", "", nil, "Depth", "1").body)
		if n := strings.Count(list, "<D:response>"); n != len(kept)+1 {
			t.Errorf("%d entries are listed, want %d", n-1, len(kept))
		}
	}
	check()
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	until(t, "room again", 20*time.Second, func() bool { return put("larger", partSize+2) == 201 })
	put("first", 3000)
	check()
	s.kill()
	s.again(t)
	s.healthy(s.base)
	check()
}
