//go:build linux && !race

package upload_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/chunk"
	"discordcloud/services/upload"
	"discordcloud/services/worker"
)

// managerOf names the environment variable that makes a process of this test a
// service of its own: it holds the manager's address.
const managerOf = "UPLOAD_TEST_MANAGER"

func TestMain(m *testing.M) {
	if manager := os.Getenv(managerOf); manager != "" {
		if err := serveAlone(manager); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveAlone is a service in a process of its own. It prints its address, and
// ends with its standard input.
func serveAlone(manager string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := upload.New(upload.Config{Worker: worker.Config{ManagerURL: "ws://" + manager, Password: password, Capacity: 4}})
	srv := &http.Server{Handler: s.Handler()}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) })
	wg.Go(func() { _ = s.Run(ctx) })
	fmt.Println("http://" + ln.Addr().String())
	_, err = io.Copy(io.Discard, os.Stdin)
	cancel()
	_ = srv.Close()
	wg.Wait()
	return err
}

// TestResident measures the memory of a service in a process of its own, while
// four files go up at once in parts of full size.
func TestResident(t *testing.T) {
	if testing.Short() {
		t.Skip("uploads 240 MiB")
	}
	const (
		limit = 10 << 20
		parts = 6
		most  = 100 << 20
	)
	e, _, _ := newDiscord(t, limit, nil) // for its manager and its Discord
	_ = e.stop()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), managerOf+"="+e.m.addr)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
	e.url = strings.TrimSpace(line)
	conn := get(t, e.m.conns, "the child")

	partSize := chunk.PlainMax(limit)
	content := blobtest.Pattern(int(partSize))
	var clients sync.WaitGroup
	for range 4 {
		f := newFile(t, content, partSize)
		f.Size = parts * partSize
		f.mustOpen(t, conn)
		for lane := range 2 { // as browsers do: the next one while the last one is stored
			clients.Go(func() {
				for i := lane; i < parts; i += 2 {
					if r := e.post(idField(f), chunkField(i), fileField(content)); r.status != http.StatusOK || r.body != strconv.Itoa(i) {
						t.Errorf("part %d: %v", i, r)
						return
					}
				}
			})
		}
	}
	clients.Wait()
	peak := residentPeak(t, child.Process.Pid)
	t.Logf("resident at most %.1f MiB while %d MiB went through", float64(peak)/(1<<20), 4*parts*partSize>>20)
	if peak > most {
		t.Errorf("%d bytes resident, want at most %d", peak, int64(most))
	}
	_ = in.Close()
	_, _ = io.Copy(io.Discard, out)
	if err := child.Wait(); err != nil {
		t.Errorf("the child ended with %v", err)
	}
}

// residentPeak is the most memory that a process has had resident, in bytes.
func residentPeak(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
