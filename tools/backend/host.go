//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"

	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/supabasetest"
)

// host gives each data folder a database of its own, the same each time.
type host struct {
	ctx      context.Context
	dir, on  string
	postgres *pgtest.Server
	closers  []func() // in order of making

	mu    sync.Mutex
	given map[string]map[string]string // settings of a folder
}

// begin starts the server of the databases.
func (h *host) begin() (err error) {
	defer caught(&err)
	h.postgres = pgtest.Start(h)
	return nil
}

func (h *host) end() {
	for _, f := range slices.Backward(h.closers) {
		f()
	}
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
	defer caught(&err)
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

// failure ends what a host is asked to end.
type failure struct{ error }

func caught(err *error) {
	switch said := recover().(type) {
	case nil:
	case failure:
		*err = said.error
	default:
		panic(said)
	}
}

// A host is where the server of a test runs that is no test's.
var _ pgtest.TB = (*host)(nil)

// Helper implements pgtest.TB.
func (h *host) Helper() {}

// Context implements pgtest.TB.
func (h *host) Context() context.Context { return context.WithoutCancel(h.ctx) }

// Cleanup implements pgtest.TB.
func (h *host) Cleanup(f func()) { h.closers = append(h.closers, f) }

// Fatal implements pgtest.TB.
func (h *host) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }

// Fatalf implements pgtest.TB.
func (h *host) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// Skip implements pgtest.TB.
func (h *host) Skip(args ...any) {
	panic(failure{fmt.Errorf("%w: %s", errMissing, fmt.Sprint(args...))})
}

// errMissing is for want of a program that is not installed.
var errMissing = errors.New("left out")

// TempDir implements pgtest.TB.
func (h *host) TempDir() string {
	dir, err := os.MkdirTemp(h.dir, "host")
	if err != nil {
		h.Fatal(err)
	}
	return dir
}
