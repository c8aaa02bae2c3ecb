//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"

	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/supabasetest"
	"discordcloud/tools/internal/rig"
)

// host gives each data folder a database of its own, the same each time.
type host struct {
	*rig.Host
	on       string
	postgres *pgtest.Server

	mu    sync.Mutex
	given map[string]map[string]string // settings of a folder
}

// begin starts the server of the databases.
func (h *host) begin() (err error) {
	defer rig.Caught(&err)
	h.postgres = pgtest.Start(h)
	return nil
}

// ServeHTTP answers with the settings that a data folder is used with.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	settings, err := h.settings(r.URL.Query().Get("dir"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(settings) // or whoever asked has gone
}

func (h *host) settings(dir string) (settings map[string]string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if settings := h.given[dir]; settings != nil {
		return settings, nil
	}
	defer rig.Caught(&err)
	name := fmt.Sprintf("backend_%d", len(h.given))
	switch h.on {
	case onSupabase:
		script, err := os.ReadFile("database.sql")
		if err != nil {
			return nil, err
		}
		s := supabasetest.New(h, h.postgres, name)
		s.Paste(string(script))
		settings = map[string]string{"SUPABASE_URL": s.URL, "SUPABASE_KEY": s.Key}
	case onBouncer:
		h.postgres.Database(name)
		settings = map[string]string{"DATABASE_URL": h.postgres.Bouncer(name)}
	default:
		settings = map[string]string{"DATABASE_URL": h.postgres.Database(name)}
	}
	h.given[dir] = settings
	return settings, nil
}

// ask is the other end of ServeHTTP.
func ask(ctx context.Context, host, dir string) (settings map[string]string, err error) {
	r, err := http.NewRequestWithContext(ctx, "GET", host+"/?dir="+url.QueryEscape(dir), nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("no database: status %d", answer.StatusCode)
	}
	return settings, json.NewDecoder(answer.Body).Decode(&settings)
}
