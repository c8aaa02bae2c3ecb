package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child.
type process struct {
	cmd   *exec.Cmd
	about about // of our own roles
	done  chan struct{}

	mu   sync.Mutex
	said bytes.Buffer
}

// Write keeps the last that the child said, to tell if it dies.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.said.Len() > 64<<10 {
		p.said.Reset()
	}
	return p.said.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// launch starts a program with nothing but the given environment. If it is one
// of our roles, it waits for the line that it prints.
func launch(path string, env []string, role bool, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}, env...)
	p.cmd.Stderr = p
	if !role {
		p.cmd.Stdout = p
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = read.Close() }() // one line is read, or nothing
	if role {
		p.cmd.Stdout = write
	}
	err = p.cmd.Start()
	_ = write.Close() // the child has its own
	if err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is told by what it said
		close(p.done)
	}()
	if role {
		line, err := bufio.NewReader(read).ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &p.about)
		}
		if err != nil {
			p.stop()
			return nil, fmt.Errorf("start %v: %w: %s", args, err, p.output())
		}
	}
	return p, nil
}

// stop ends the child and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// ended tells of a child that is not running any more.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %s", p.cmd.Path, p.output())
	default:
		return nil
	}
}

// cpu is the processor time that the child has used, in seconds.
func (p *process) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is not as expected")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return float64(user+system) / 100, errors.Join(err1, err2) // USER_HZ is 100 (proc(5))
}

// freshPeak begins a new measurement of peak.
func (p *process) freshPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

// peak is the largest resident size of the child, in MiB.
func (p *process) peak() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("no VmHWM in /proc/PID/status")
}

// build builds the product.
func build(ctx context.Context, to string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", to, "discordcloud").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the product: %w: %s", err, out)
	}
	return nil
}
