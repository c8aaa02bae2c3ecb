//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"discordcloud/tools/internal/rig"
)

const (
	// bot names the sandbox's.
	bot = "MTAwMDAwMDAwMDAwMDAwMDAx.sandbx.of-two-managers-in-place-of-one-0001"
	// patience is for a part to start.
	patience = 30 * time.Second
)

// twice is what serves in place of one process: two managers, and all beside them
// as processes of their own. A manager that is killed is started again; it says so
// with the number of its process, by which tests kill it.
type twice struct {
	ctx     context.Context
	dir     string
	address string // that people come by
	parts   rig.Parts
}

// serveTwice serves until ctx ends.
func serveTwice(ctx context.Context, binary, root, dir string, env []string) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	runtime.LockOSThread() // who dies with this process dies with the thread that started it
	s := &twice{ctx: ctx, dir: dir, parts: rig.Parts{Binary: binary, Env: env}}
	s.parts.Show = s.show
	text, keys, err := rig.Keys(ctx, root, dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", setting("MANAGER_PORT")))
	if err != nil {
		return err
	}
	s.address = l.Addr().String()
	defer func() { err = errors.Join(err, s.parts.Stop()) }()
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
	manager := func(i int) (*rig.Part, error) {
		own := dir
		if i > 0 {
			if own, err = s.secondFolder(text); err != nil {
				return nil, err
			}
		}
		settings := maps.Clone(discord)
		settings["MANAGER_PORT"], settings["DATA_DIR"] = ports[i], own
		p, err := s.parts.Start(fmt.Sprintf("manager %d", i+1), settings, "manager")
		if err == nil {
			err = s.healthy(p, bases[i])
		}
		if err == nil {
			fmt.Printf("%s is process %d\n", p.Name, p.Pid())
		}
		return p, err
	}
	first, err := manager(0)
	if err != nil {
		return err
	}
	services, last, err := s.services(bases, keys["SERVICE_PASSWORD"])
	if err != nil {
		return err
	}
	if err := first.Says("service connected", services); err != nil {
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
	if err := s.setUp(last, bases[0]); err != nil {
		return err
	}
	second, err := manager(1)
	if err == nil {
		err = second.Says("service connected", services)
	}
	if err != nil {
		return err
	}
	up[1].Store(true)
	var keepers sync.WaitGroup
	defer keepers.Wait()
	for i, p := range []*rig.Part{first, second} {
		keepers.Go(func() {
			if err := keep(ctx, p, &up[i], func() (*rig.Part, error) { return manager(i) }); err != nil {
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
func keep(ctx context.Context, p *rig.Part, up *atomic.Bool, start func() (*rig.Part, error)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.Ended:
		}
		if ctx.Err() != nil {
			return nil
		}
		if !p.Killed() {
			return fmt.Errorf("%s has ended", p.Name)
		}
		up.Store(false)
		var err error
		if p, err = start(); err != nil {
			return err
		}
		up.Store(true)
	}
}

// secondFolder makes the data folder of the second manager. What lies on the disk
// is the same for both.
func (s *twice) secondFolder(keys []byte) (string, error) {
	own, shared := filepath.Join(s.dir, "second"), filepath.Join(s.dir, "thumbnails")
	err := errors.Join(os.MkdirAll(own, 0o700), os.MkdirAll(shared, 0o700), os.WriteFile(filepath.Join(own, rig.KeysFile), keys, 0o600))
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
	p, err := s.parts.Start("sandbox", map[string]string{"SANDBOX_PORT": port, "SANDBOX_TOKEN": token, "DATA_DIR": s.dir}, "sandbox")
	if err != nil {
		return nil, err
	}
	if err := p.Says("channels [", 1); err != nil {
		return nil, err
	}
	found := channels.FindStringSubmatch(p.Output())
	if found == nil {
		return nil, fmt.Errorf("the sandbox says\n%s", p.Output())
	}
	return map[string]string{
		"DISCORD_BOT_TOKEN": token, "DISCORD_API_URL": "http://127.0.0.1:" + port + "/api/v10",
		"DISCORD_CHANNEL_IDS": strings.ReplaceAll(found[1], " ", ","),
	}, nil
}

// services starts those that serve would have in its process, and gives their
// number, and the last one.
func (s *twice) services(bases [2]*url.URL, password string) (n int, last *rig.Part, err error) {
	uploads := 3
	if text := setting("UPLOAD_SERVICES"); text != "" {
		if uploads, err = strconv.Atoi(text); err != nil {
			return 0, nil, err
		}
	}
	settings := map[string]string{"MANAGER_ADDRESS": "ws://" + bases[0].Host + ",ws://" + bases[1].Host, "SERVICE_PASSWORD": password}
	for n = range uploads + 1 {
		kind := "upload-service"
		if n == uploads {
			kind = "thumbnail-service"
		}
		own := maps.Clone(settings)
		if own["PORT"], err = s.port(fmt.Sprintf("%s-%d", kind, n+1)); err != nil {
			return 0, nil, err
		}
		own["OWN_ADDRESS"] = "http://127.0.0.1:" + own["PORT"]
		if last, err = s.parts.Start(fmt.Sprintf("%s %d", kind, n+1), own, kind); err != nil {
			return 0, nil, err
		}
	}
	return uploads + 1, last, nil
}

// show passes on what a part says, with the address that people come by. The
// sandbox tells its token.
func (s *twice) show(p *rig.Part, line string) {
	if p.Name == "sandbox" {
		return
	}
	if port := p.Settings["MANAGER_PORT"]; port != "" {
		line = strings.ReplaceAll(line, "127.0.0.1:"+port, s.address)
	}
	fmt.Println(line)
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

func (s *twice) healthy(p *rig.Part, base *url.URL) error {
	return p.Poll(s.ctx, patience, func() error { return s.get(base, "/health", nil) })
}

// setUp waits for the first administrator, as long as a part runs.
func (s *twice) setUp(p *rig.Part, base *url.URL) error {
	return p.Poll(s.ctx, 0, func() error {
		var status struct {
			Required bool `json:"setup_required"`
		}
		if err := s.get(base, "/api/status", &status); err != nil || status.Required {
			return errors.Join(err, errors.New("there is no administrator yet"))
		}
		return nil
	})
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
