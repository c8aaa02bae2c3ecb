package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is for a part to start, or to end.
const patience = 30 * time.Second

// KeysFile is where a data folder has its keys.
const KeysFile = "discord-cloud.env"

// Parts are processes of the product that end with this one.
type Parts struct {
	Binary string
	Env    []string                   // of all
	Show   func(p *Part, line string) // is given what they say, as they say it; nil for nobody

	mu  sync.Mutex
	all []*Part
}

// Part is one process.
type Part struct {
	Name     string
	Settings map[string]string
	Ended    chan struct{} // closed when it has

	cmd   *exec.Cmd
	mu    sync.Mutex
	said  []string
	moved chan struct{} // closed and renewed with each line
}

// Start starts a part.
func (s *Parts) Start(name string, settings map[string]string, args ...string) (*Part, error) {
	p := &Part{Name: name, Settings: settings, Ended: make(chan struct{}), cmd: exec.Command(s.Binary, args...), moved: make(chan struct{})}
	p.cmd.Env = slices.Clone(s.Env)
	for name, value := range settings {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := errors.Join(p.cmd.Start(), w.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	s.mu.Lock()
	s.all = append(s.all, p)
	s.mu.Unlock()
	go func() {
		defer close(p.Ended)
		p.listen(r, s.Show)
		_ = r.Close()
		_ = p.cmd.Wait() // its log says why
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = slices.DeleteFunc(s.all, func(other *Part) bool { return other == p })
	}()
	return p, nil
}

func (p *Part) listen(r io.Reader, show func(*Part, string)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if show != nil {
			show(p, lines.Text())
		}
		p.mu.Lock()
		p.said = append(p.said, lines.Text())
		close(p.moved)
		p.moved = make(chan struct{})
		p.mu.Unlock()
	}
}

// Output is what the part has said.
func (p *Part) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, "\n")
}

// Pid is that of its process.
func (p *Part) Pid() int { return p.cmd.Process.Pid }

// Killed tells of a part that has ended whether it was killed.
func (p *Part) Killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signal() == syscall.SIGKILL
}

// Says waits until a text was in so many lines.
func (p *Part) Says(text string, times int) error {
	limit := time.After(patience)
	for {
		p.mu.Lock()
		n, moved := 0, p.moved
		for _, line := range p.said {
			if strings.Contains(line, text) {
				n++
			}
		}
		p.mu.Unlock()
		if n >= times {
			return nil
		}
		select {
		case <-moved:
		case <-p.Ended:
			return fmt.Errorf("%s has ended", p.Name)
		case <-limit:
			return fmt.Errorf("%s says %q %d times, want %d", p.Name, text, n, times)
		}
	}
}

// Poll asks again and again until ok, a limit of zero for as long as it takes. That
// ctx ends is no error.
func (p *Part) Poll(ctx context.Context, limit time.Duration, ok func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ok()
		if err == nil {
			return nil
		}
		if limit > 0 && time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.Ended:
			return fmt.Errorf("%s has ended:\n%s", p.Name, p.Output())
		case <-ctx.Done():
			return nil
		}
	}
}

// Signal sends one. The part may have ended.
func (p *Part) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill ends the part at once.
func (p *Part) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.Ended
}

// Stop ends the part as a supervisor does.
func (p *Part) Stop() error {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
		return nil
	case <-time.After(patience):
		err := fmt.Errorf("%s does not end", p.Name)
		p.Kill()
		return err
	}
}

// Stop ends all parts, the last first.
func (s *Parts) Stop() error {
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	var failed error
	for _, p := range slices.Backward(all) {
		failed = errors.Join(failed, p.Stop())
	}
	return failed
}

// Keys are those of a data folder, made for the first time as serve makes them: the
// text of the file, and each by its name. root is where the sources are.
func Keys(ctx context.Context, root, dir string) (text []byte, keys map[string]string, err error) {
	path := filepath.Join(dir, KeysFile)
	if text, err = os.ReadFile(path); errors.Is(err, os.ErrNotExist) {
		out, err := exec.CommandContext(ctx, "sh", filepath.Join(root, "tools/populate-env.sh")).Output()
		if err != nil {
			return nil, nil, fmt.Errorf("populate-env.sh: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			if name, _, _ := strings.Cut(line, "="); slices.Contains([]string{"SERVICE_PASSWORD", "PRIVATE_KEY", "PUBLIC_KEY", "MESSAGE_ENCRYPTION_KEY"}, name) {
				text = append(text, line...)
			}
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, nil, err
		}
	} else if err != nil {
		return nil, nil, err
	}
	keys = map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			keys[name] = value
		}
	}
	return text, keys, nil
}
