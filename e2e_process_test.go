package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The end-to-end tests run the real binary as real processes, on the sandbox,
// over real HTTP and real sockets.
//
// DISCORD_CLOUD_BIN names another one: tools/backend has it work on another
// backend.
var builtBinary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("DISCORD_CLOUD_BIN"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "discord-cloud-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "discord-cloud")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given { // most of what they do in parallel is waiting for processes
		if err := flag.Set("test.parallel", "4"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if path, err := builtBinary(); err == nil && !onBackend() {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is one running discord-cloud.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, once done is closed

	mu   sync.Mutex
	logs bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.String()
}

// start runs the binary with nothing but the given environment. It is stopped
// at the end of the test.
func start(t *testing.T, env map[string]string, args ...string) *process {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Dir = t.TempDir()
	return launch(t, cmd)
}

// launch starts a program that is stopped at the end of the test.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %v:\n%s", cmd.Args[1:], lastLines(p.output(), 60))
		}
	})
	return p
}

func lastLines(text string, lines int) string {
	all := strings.Split(text, "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends the process as a supervisor does, and wants it to end well.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("after SIGTERM: %v", p.err)
		}
	case <-time.After(45 * time.Second):
		p.t.Error("still running 45 s after SIGTERM")
		p.kill()
	}
}

// exited waits for a process that ends by itself and gives its exit code.
func (p *process) exited() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		p.t.Fatalf("still running:\n%s", p.output())
		return 0
	}
}

// until polls a condition of another process; there is nothing to be told by.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *process) healthy(base string) {
	p.t.Helper()
	until(p.t, base+"/health", 20*time.Second, func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("ended: %v\n%s", p.err, p.output())
		default:
		}
		r, err := http.Get(base + "/health")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusNoContent
	})
}

// memory is the largest resident size so far, or the present one, in MiB.
func (p *process) memory(field string) int {
	p.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skipf("no /proc: %v", err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return kib / 1024
		}
	}
	p.t.Fatalf("no %s in /proc", field)
	return 0
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// content is a file that is never held: block i of its bytes comes from a
// generator seeded with (seed, i), so that any part can be made at any time.
type content struct {
	seed uint64
	size int64
}

const contentBlock = 1 << 16

func (c content) block(i int64, dst *[contentBlock]byte) {
	var seed [32]byte
	binary64(seed[0:], c.seed)
	binary64(seed[8:], uint64(i))
	_, _ = rand.NewChaCha8(seed).Read(dst[:]) // never fails
}

func binary64(dst []byte, v uint64) { binary.BigEndian.PutUint64(dst, v) }

// ReadAt implements io.ReaderAt.
func (c content) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	var block [contentBlock]byte
	for n < len(p) && off < c.size {
		c.block(off/contentBlock, &block)
		end := min(contentBlock, c.size-off/contentBlock*contentBlock)
		k := copy(p[n:], block[off%contentBlock:end])
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (c content) reader() io.Reader { return io.NewSectionReader(c, 0, c.size) }

func (c content) sum(t *testing.T) [32]byte {
	t.Helper()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{c.reader()}, make([]byte, contentBlock)); err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
