package upload_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/services/upload"
)

// dial opens a connection and sends the head of a POST and the first bytes of
// its body.
func (e *env) dial(f *file, part, n int) (conn net.Conn, rest []byte) {
	e.t.Helper()
	contentType, body := form(idField(f), chunkField(part), fileField(f.part(part)))
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(body), body[:n])
	if err != nil {
		e.t.Fatal(err)
	}
	return conn, body[n:]
}

func TestUpload_clientStops(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Block = 100 * time.Millisecond; c.Memory = leaf })
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	for name, sent := range map[string]int{"in the form": 10, "in the file": leaf / 2} {
		t.Run(name, func(t *testing.T) {
			conn, _ := e.dial(f, 0, sent)
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusRequestTimeout {
				t.Errorf("status %d, want 408", answer.StatusCode)
			}
		})
	}
	e.mustSend(f, 1) // the only buffer is free again
}

func TestUpload_clientIsSlow(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Block = 500 * time.Millisecond })
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	// Longer than one deadline, but always moving.
	conn, rest := e.dial(f, 0, 1000)
	start := time.Now()
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for range 24 {
		<-pause.C
		n := min(len(rest), 8<<10)
		if _, err := conn.Write(rest[:n]); err != nil {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		rest = rest[n:]
	}
	if _, err := conn.Write(rest); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("answer %v, %v", answer, err)
	}
	_ = answer.Body.Close()
	if took := time.Since(start); took < 600*time.Millisecond {
		t.Errorf("took %v: no slower than a deadline", took)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_clientVanishes(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Memory = leaf }) // one buffer
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	conn, _ := e.dial(f, 0, leaf/2)
	waiting := later(func() result { return e.sendPart(f, 1) })
	_ = conn.Close()
	start := time.Now()
	if r := get(t, waiting, "the buffer"); r.status != 200 {
		t.Fatalf("got %v", r)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the buffer was free after %v", took)
	}
	e.mustSend(f, 0)
	f.verify(t, e.m, e.store)
}

func TestUpload_clientLeavesAfterTheBody(t *testing.T) {
	e := newEnv(t, nil)
	f := newFile(t, blobtest.Pattern(leaf), leaf)
	f.mustOpen(t, e.conn)
	release := e.store.hold()
	conn, rest := e.dial(f, 0, leaf/2)
	if _, err := conn.Write(rest); err != nil {
		t.Fatal(err)
	}
	get(t, e.store.came, "Put")
	_ = conn.Close()
	release()
	e.mustSend(f, 0) // waits for the first, which goes on
	if n := e.store.Len(); n != 1 {
		t.Errorf("%d blobs: the part that had come was not stored", n)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_keepsConnections(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Block = 100 * time.Millisecond })
	f := newFile(t, blobtest.Pattern(3*leaf), leaf)
	f.mustOpen(t, e.conn)
	conn, rest := e.dial(f, 0, 100)
	answers := bufio.NewReader(conn)
	release := e.store.hold()
	if _, err := conn.Write(rest); err != nil {
		t.Fatal(err)
	}
	get(t, e.store.came, "Put")
	// The store may take longer than a client: while one that stops is given up,
	// the deadline of this one's body passes, too.
	stopped, _ := e.dial(f, 1, 100)
	if answer, err := http.ReadResponse(bufio.NewReader(stopped), nil); err != nil || answer.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("the one that stops: %v, %v", answer, err)
	}
	release()
	for i := range 3 {
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("answer %d: %v, %v", i, answer, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if i == 2 {
			break
		}
		contentType, body := form(idField(f), chunkField(i+1), fileField(f.part(i+1)))
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(body), body)
	}
	f.verify(t, e.m, e.store)
}

func TestUpload_noBuffer(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Memory = leaf; c.Queue = 50 * time.Millisecond })
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	release := e.store.hold()
	first := later(func() result { return e.sendPart(f, 0) })
	get(t, e.store.came, "Put")
	if r := e.sendPart(f, 1); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("got %v, want 503", r)
	}
	release()
	if r := get(t, first, "the answer"); r.status != 200 {
		t.Errorf("first: %v", r)
	}
	e.mustSend(f, 1)
}

func TestUpload_strangersLeaveRoom(t *testing.T) {
	e := newEnv(t, func(c *upload.Config) { c.Memory = 4 * leaf })
	f := newFile(t, blobtest.Pattern(2*leaf), leaf)
	f.mustOpen(t, e.conn)
	contentType, body := form(fileField(f.part(0)), idField(f), chunkField(0))
	for range 10 { // they send files first, and never end
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(body), body[:leaf])
	}
	e.mustSend(f, 0)
	e.mustSend(f, 1)
}

// TestMemory uploads four files at once, of many times the budget together, and
// watches the heap.
func TestMemory(t *testing.T) {
	const (
		partSize = 4 * leaf
		parts    = 40
		budget   = 6 * partSize
	)
	e := newEnv(t, func(c *upload.Config) { c.Memory = budget })
	e.store.discard.Store(true)
	content := blobtest.Pattern(partSize) // of every part: the files are not in memory
	files := make([]*file, 4)
	for n := range files {
		files[n] = newFile(t, content, partSize)
		files[n].Size = parts * partSize
		files[n].mustOpen(t, e.conn)
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	runtime.GC()
	before := heap()
	var most atomic.Int64
	stop := make(chan struct{})
	var watcher, clients sync.WaitGroup
	watcher.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				most.Store(max(most.Load(), heap()))
			}
		}
	})
	var sent atomic.Int64
	for _, f := range files {
		for lane := range 4 {
			clients.Go(func() {
				for i := lane; i < parts; i += 4 {
					kind, head := form(idField(f), chunkField(i), fileField(nil))
					cut := bytes.LastIndex(head, []byte("\r\n--"))
					body := io.MultiReader(bytes.NewReader(head[:cut]), bytes.NewReader(content), bytes.NewReader(head[cut:]))
					if r := e.send(kind, body); r.status != 200 {
						t.Errorf("part %d: %v", i, r)
						return
					}
					sent.Add(partSize)
				}
			})
		}
	}
	clients.Wait()
	close(stop)
	watcher.Wait()
	grown := most.Load() - before
	t.Logf("%d MiB sent with a budget of %d MiB; the heap grew by %.1f MiB", sent.Load()>>20, budget>>20, float64(grown)/(1<<20))
	if most := e.store.most.Load(); most > budget/partSize {
		t.Errorf("%d parts at once within the memory of %d", most, budget/partSize)
	}
	// The collector lets a heap double; 16 connections have their own buffers.
	if limit := int64(2*budget + 8<<20); grown > limit {
		t.Errorf("the heap grew by %d bytes, want at most %d", grown, limit)
	}
	closeUpload(t, e.conn, files[0])
}
