//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"discordcloud/tools/internal/rig"
)

const (
	keysFile = "discord-cloud.env"
	// bot names the sandbox's.
	bot = "MTAwMDAwMDAwMDAwMDAwMDAx.sandbx.of-two-managers-in-place-of-one-0001"
	// patience is for a part to start.
	patience = 30 * time.Second
)

// twice is what serves in place of one process: two managers, and all beside them
// as processes of their own. A manager that is killed is started again; it says so
// with the number of its process, by which tests kill it.
type twice struct {
	ctx               context.Context
	binary, root, dir string
	env               []string
	address           string // that people come by

	mu    sync.Mutex
	parts []*part
}

// part is one process.
type part struct {
	name  string
	quiet bool // what it says is not passed on: the sandbox tells its token
	cmd   *exec.Cmd
	ended chan struct{}

	mu    sync.Mutex
	said  []string
	moved chan struct{} // closed and renewed with each line
}

// serveTwice serves until ctx ends.
func serveTwice(ctx context.Context, binary, root, dir string, env []string) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	runtime.LockOSThread() // who dies with this process dies with the thread that started it
	s := &twice{ctx: ctx, binary: binary, root: root, dir: dir, env: env}
	keys, err := s.keys()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", setting("MANAGER_PORT")))
	if err != nil {
		return err
	}
	s.address = l.Addr().String()
	defer func() { err = errors.Join(err, s.stop()) }()
	discord, err := s.sandbox()
	if err != nil {
		return err
	}
	var bases [2]*url.URL
	var ports [2]string
	for i := range bases {
		if ports[i], err = rig.FreePort(); err != nil {
			return err
		}
		bases[i] = &url.URL{Scheme: "http", Host: "127.0.0.1:" + ports[i]}
	}
	manager := func(i int) (*part, error) {
		own := dir
		if i > 0 {
			if own, err = s.secondFolder(keys); err != nil {
				return nil, err
			}
		}
		settings := maps.Clone(discord)
		settings["MANAGER_PORT"], settings["DATA_DIR"] = ports[i], own
		p, err := s.start(fmt.Sprintf("manager %d", i+1), settings, "manager")
		if err == nil {
			err = s.healthy(p, bases[i])
		}
		if err == nil {
			fmt.Printf("%s is process %d\n", p.name, p.cmd.Process.Pid)
		}
		return p, err
	}
	first, err := manager(0)
	if err != nil {
		return err
	}
	services, err := s.services(bases, keys)
	if err != nil {
		return err
	}
	if err := first.says("service connected", services); err != nil {
		return err
	}
	var up [2]atomic.Bool
	up[0].Store(true)
	var turn atomic.Int64
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			to := turn.Add(1) % 2
			if !up[to].Load() {
				to = 1 - to
			}
			r.SetURL(bases[to])
			r.Out.Host = r.In.Host
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} { // as if nothing were between
				if said, ok := r.In.Header[name]; ok {
					r.Out.Header[name] = said
				}
			}
		},
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { err = errors.Join(err, server.Close()) }()
	// Each manager has a code of its own for its first visitor: until he has been
	// there one is enough.
	if err := s.setUp(bases[0]); err != nil {
		return err
	}
	second, err := manager(1)
	if err == nil {
		err = second.says("service connected", services)
	}
	if err != nil {
		return err
	}
	up[1].Store(true)
	var keepers sync.WaitGroup
	defer keepers.Wait()
	for i, p := range []*part{first, second} {
		keepers.Go(func() {
			if err := keep(ctx, p, &up[i], func() (*part, error) { return manager(i) }); err != nil {
				cancel(err)
			}
		})
	}
	select {
	case <-ctx.Done():
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	case err := <-served:
		cancel(err)
		return err
	}
}

// keep starts a manager again whenever it was killed, until ctx ends. That it ends
// by itself is a failure.
func keep(ctx context.Context, p *part, up *atomic.Bool, start func() (*part, error)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.ended:
		}
		if ctx.Err() != nil {
			return nil
		}
		if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			return fmt.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
		}
		up.Store(false)
		var err error
		if p, err = start(); err != nil {
			return err
		}
		up.Store(true)
	}
}

// keys are those of the folder, made for the first time as serve makes them.
func (s *twice) keys() ([]byte, error) {
	path := filepath.Join(s.dir, keysFile)
	text, err := os.ReadFile(path)
	if !errors.Is(err, os.ErrNotExist) {
		return text, err
	}
	out, err := exec.CommandContext(s.ctx, "sh", filepath.Join(s.root, "tools/populate-env.sh")).Output()
	if err != nil {
		return nil, fmt.Errorf("populate-env.sh: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if name, _, _ := strings.Cut(line, "="); slices.Contains([]string{"SERVICE_PASSWORD", "PRIVATE_KEY", "PUBLIC_KEY", "MESSAGE_ENCRYPTION_KEY"}, name) {
			text = append(text, line...)
		}
	}
	return text, os.WriteFile(path, text, 0o600)
}

// secondFolder makes the data folder of the second manager. What lies on the disk
// is the same for both.
func (s *twice) secondFolder(keys []byte) (string, error) {
	own, shared := filepath.Join(s.dir, "second"), filepath.Join(s.dir, "thumbnails")
	err := errors.Join(os.MkdirAll(own, 0o700), os.MkdirAll(shared, 0o700), os.WriteFile(filepath.Join(own, keysFile), keys, 0o600))
	if err == nil {
		err = os.Symlink(shared, filepath.Join(own, "thumbnails"))
	}
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	return own, err
}

var channels = regexp.MustCompile(`channels \[([0-9 ]+)\]`)

// sandbox starts one unless the settings name a Discord, and gives what managers
// have to know of it.
func (s *twice) sandbox() (map[string]string, error) {
	if setting("DISCORD_BOT_TOKEN") != "" {
		return map[string]string{}, nil
	}
	port, token := setting("SANDBOX_PORT"), setting("SANDBOX_TOKEN")
	if port == "" {
		var err error
		if port, err = rig.FreePort(); err != nil {
			return nil, err
		}
	}
	if token == "" {
		token = bot
	}
	p, err := s.start("sandbox", map[string]string{"SANDBOX_PORT": port, "SANDBOX_TOKEN": token, "DATA_DIR": s.dir}, "sandbox")
	if err != nil {
		return nil, err
	}
	if err := p.says("channels [", 1); err != nil {
		return nil, err
	}
	found := channels.FindStringSubmatch(p.output())
	if found == nil {
		return nil, fmt.Errorf("the sandbox says\n%s", p.output())
	}
	return map[string]string{
		"DISCORD_BOT_TOKEN": token, "DISCORD_API_URL": "http://127.0.0.1:" + port + "/api/v10",
		"DISCORD_CHANNEL_IDS": strings.ReplaceAll(found[1], " ", ","),
	}, nil
}

// services starts those that serve would have in its process, and gives their
// number.
func (s *twice) services(bases [2]*url.URL, keys []byte) (n int, err error) {
	uploads := 3
	if text := setting("UPLOAD_SERVICES"); text != "" {
		if uploads, err = strconv.Atoi(text); err != nil {
			return 0, err
		}
	}
	settings := map[string]string{"MANAGER_ADDRESS": "ws://" + bases[0].Host + ",ws://" + bases[1].Host}
	for line := range strings.Lines(string(keys)) {
		if password, ok := strings.CutPrefix(strings.TrimSpace(line), "SERVICE_PASSWORD="); ok {
			settings["SERVICE_PASSWORD"] = password
		}
	}
	for n = range uploads + 1 {
		kind := "upload-service"
		if n == uploads {
			kind = "thumbnail-service"
		}
		own := maps.Clone(settings)
		if own["PORT"], err = s.port(fmt.Sprintf("%s-%d", kind, n+1)); err != nil {
			return 0, err
		}
		own["OWN_ADDRESS"] = "http://127.0.0.1:" + own["PORT"]
		if _, err := s.start(fmt.Sprintf("%s %d", kind, n+1), own, kind); err != nil {
			return 0, err
		}
	}
	return uploads + 1, nil
}

// start starts a part, which ends with this process.
func (s *twice) start(name string, settings map[string]string, args ...string) (*part, error) {
	p := &part{name: name, quiet: name == "sandbox", cmd: exec.Command(s.binary, args...), ended: make(chan struct{}), moved: make(chan struct{})}
	p.cmd.Env = slices.Clone(s.env)
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
	s.parts = append(s.parts, p)
	s.mu.Unlock()
	go func() {
		defer close(p.ended)
		p.listen(r, settings["MANAGER_PORT"], s.address)
		_ = r.Close()
		_ = p.cmd.Wait() // its log says why
	}()
	return p, nil
}

// listen passes on what a part says, with the address that people come by.
func (p *part) listen(r io.Reader, port, address string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if port != "" {
			line = strings.ReplaceAll(line, "127.0.0.1:"+port, address)
		}
		if !p.quiet {
			fmt.Println(line)
		}
		p.mu.Lock()
		p.said = append(p.said, line)
		close(p.moved)
		p.moved = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *part) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, "\n")
}

// says waits until a text was in so many lines.
func (p *part) says(text string, times int) error {
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
		case <-p.ended:
			return fmt.Errorf("%s has ended", p.name)
		case <-limit:
			return fmt.Errorf("%s says %q %d times, want %d", p.name, text, n, times)
		}
	}
}

// get asks a manager.
func (s *twice) get(base *url.URL, path string, out any) error {
	r, err := http.NewRequestWithContext(s.ctx, "GET", base.JoinPath(path).String(), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(out)
}

// poll asks again and again until ok, a limit of zero for as long as it takes.
func (s *twice) poll(p *part, limit time.Duration, ok func() error) error {
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
		case <-p.ended:
			return fmt.Errorf("%s has ended", p.name)
		case <-s.ctx.Done():
			return nil
		}
	}
}

func (s *twice) healthy(p *part, base *url.URL) error {
	return s.poll(p, patience, func() error { return s.get(base, "/health", nil) })
}

// setUp waits for the first administrator.
func (s *twice) setUp(base *url.URL) error {
	s.mu.Lock()
	p := s.parts[len(s.parts)-1]
	s.mu.Unlock()
	return s.poll(p, 0, func() error {
		var status struct {
			Required bool `json:"setup_required"`
		}
		if err := s.get(base, "/api/status", &status); err != nil || status.Required {
			return errors.Join(err, errors.New("there is no administrator yet"))
		}
		return nil
	})
}

// stop ends the parts as a supervisor does, services first.
func (s *twice) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed error
	for _, p := range slices.Backward(s.parts) {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.ended:
		case <-time.After(patience):
			failed = errors.Join(failed, fmt.Errorf("%s does not end", p.name), p.cmd.Process.Kill())
		}
	}
	return failed
}

// port is the one of a part, the same each time: pages know the services that there
// were when they were opened.
func (s *twice) port(name string) (string, error) {
	path := filepath.Join(s.dir, "port-of-"+name)
	text, err := os.ReadFile(path)
	if !errors.Is(err, os.ErrNotExist) {
		return string(text), err
	}
	port, err := rig.FreePort()
	if err != nil {
		return "", err
	}
	return port, os.WriteFile(path, []byte(port), 0o600)
}
