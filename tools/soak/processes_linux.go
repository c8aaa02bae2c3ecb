package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/sandbox"
	"discordcloud/pkg/supabasetest"
	"discordcloud/tools/internal/rig"
)

const database = "soak"

// member is a process that is started again when it was killed.
type member struct {
	name     string
	args     []string
	settings map[string]string
	wire     *pgtest.Wire // by which it has its database, nil for none
	base     *url.URL     // of a manager, nil of a service

	mu   sync.Mutex // held while the process is another one
	part *rig.Part
}

// processes are the product, as it runs on several machines.
type processes struct {
	host     *rig.Host
	sandbox  *sandbox.Server
	parts    *rig.Parts
	postgres *pgtest.Server // nil for SQLite
	project  *supabasetest.Project
	managers []*member
	services []*member
}

// openProcesses starts the product, and has somebody make trouble for it.
func (s *soak) openProcesses(ctx context.Context, dir string) (err error) {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	binary := filepath.Join(dir, "discord-cloud")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "discordcloud").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	p := &processes{host: rig.NewHost(ctx, dir), parts: &rig.Parts{Binary: binary, Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}}}
	s.trouble = newTrouble(s, p)
	s.product = p
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	config := s.discord()
	config.Dir = filepath.Join(dir, "sandbox")
	// What lies in Discord is old enough to be looked at.
	config.Now = func() time.Time { return time.Now().Add(-aged) }
	if p.sandbox, err = sandbox.Open(config); err != nil {
		return err
	}
	if _, err = p.sandbox.Start("127.0.0.1:0"); err != nil {
		return err
	}
	s.sandbox = p.sandbox
	if err := p.prepare(ctx, s.options, root, dir); err != nil {
		return err
	}
	for _, m := range append(p.managers, p.services...) {
		if err := p.again(ctx, m); err != nil {
			return err
		}
	}
	s.base = p.managers[0].base.String()
	if s.owner, err = rig.SetUp(ctx, s.base); err != nil {
		return err
	}
	s.trouble.route(s.owner)
	return p.healthy(ctx)
}

// prepare finds out the settings of all.
func (p *processes) prepare(ctx context.Context, o options, root, dir string) (err error) {
	defer rig.Caught(&err)
	on := o.on
	if on != onSQLite {
		p.postgres = pgtest.Start(p.host)
		if on != onSupabase {
			p.postgres.Database(database)
		}
	}
	if on == onSupabase {
		p.project = supabasetest.New(p.host, p.postgres, database)
		script, err := os.ReadFile(filepath.Join(root, "database.sql"))
		if err != nil {
			return err
		}
		p.project.Paste(string(script))
	}
	_, keys, err := rig.Keys(ctx, root, dir)
	if err != nil {
		return err
	}
	var addresses []string
	for i := range o.managers {
		port, err := rig.FreePort()
		if err != nil {
			return err
		}
		own := filepath.Join(dir, fmt.Sprintf("manager%d", i))
		m := &member{name: fmt.Sprintf("manager %d", i+1), args: []string{"manager"}, base: &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}}
		m.settings = maps.Clone(keys)
		maps.Copy(m.settings, map[string]string{
			"DATA_DIR": own, "MANAGER_PORT": port, "LEGACY_QUERY_AUTH": "0", "DAV_ALLOW_HTTP": "1",
			"DISCORD_BOT_TOKEN": p.sandbox.Token(), "DISCORD_API_URL": p.sandbox.URL() + "/api/v10", "DISCORD_CHANNEL_IDS": strings.Join(p.sandbox.Channels(), ","),
			"DISCORD_CDN_HOSTS": strings.TrimPrefix(p.sandbox.URL(), "http://"), "DISCORD_ATTACHMENT_LIMIT": fmt.Sprint(attachmentLimit),
			"VERSIONS": fmt.Sprint(versions), "COLLECT_GRACE": "1h", "COLLECT_DAILY": "1000000", "COLLECT_ORPHANS": "1", "SHUTDOWN_GRACE": "1s",
		})
		switch {
		case on == onSupabase:
			maps.Copy(m.settings, map[string]string{"SUPABASE_URL": p.project.URL, "SUPABASE_KEY": p.project.Key})
		case on == onBouncer:
			m.settings["DATABASE_URL"] = p.postgres.Bouncer(database)
		case p.postgres != nil:
			m.wire = p.postgres.Wire()
			m.settings["DATABASE_URL"] = m.wire.URL(database)
		}
		if err := os.MkdirAll(own, 0o700); err != nil {
			return err
		}
		p.managers = append(p.managers, m)
		addresses = append(addresses, "ws://"+m.base.Host)
	}
	for i := range services {
		port, err := rig.FreePort()
		if err != nil {
			return err
		}
		p.services = append(p.services, &member{name: fmt.Sprintf("service %d", i+1), args: []string{"upload-service"}, settings: map[string]string{
			"MANAGER_ADDRESS": strings.Join(addresses, ","), "OWN_ADDRESS": "http://127.0.0.1:" + port, "PORT": port,
			"SERVICE_PASSWORD": keys["SERVICE_PASSWORD"], "UPLOAD_CAPACITY": "8",
		}})
	}
	return nil
}

// again starts a member, which does not run.
func (p *processes) again(ctx context.Context, m *member) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	part, err := p.parts.Start(m.name, m.settings, m.args...)
	if err != nil {
		return err
	}
	m.part = part
	if m.base == nil {
		return nil
	}
	return part.Poll(ctx, patience, func() error { return m.get(ctx, "/health", nil) })
}

// get asks a manager.
func (m *member) get(ctx context.Context, path string, client *rig.Client) error {
	r, err := http.NewRequestWithContext(ctx, "GET", m.base.JoinPath(path).String(), nil)
	if err != nil {
		return err
	}
	if client != nil {
		r.Header.Set("Authorization", "Bearer "+client.Token())
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}

// Close ends all.
func (p *processes) Close() error {
	err := p.parts.Stop()
	if p.sandbox != nil {
		err = errors.Join(err, p.sandbox.Close())
	}
	return errors.Join(err, p.host.Close())
}
