//go:build unix

// Package supabasetest stands in for a Supabase project in tests, as far as it is
// asked for stored functions: a PostgreSQL with the roles that a project has, and
// PostgREST's route for them. The functions are the real ones, in a real database;
// statuses, bodies and settings are those that PostgREST documents.
//
// Sources: PostgREST's documentation, "Functions as RPC", "Transactions", "Errors";
// Supabase's, "Postgres Roles", "Timeouts".
package supabasetest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"discordcloud/pkg/pgtest"
)

// Project is a stand-in that runs until its test ends.
type Project struct {
	URL, Key string
	t        pgtest.TB
	server   *pgtest.Server
	database string
	db       *sql.DB // as the role that PostgREST signs in as

	mu    sync.Mutex
	calls int
	watch func(function string, body []byte)
	when  func(body []byte) bool // of the next request to spoil, nil for every one
	spoil Fault
}

// Fault answers a request; proceed does what would have been done.
type Fault func(w http.ResponseWriter, r *http.Request, proceed http.Handler)

// roles are those of every project. They belong to the whole server.
const roles = `DO $$
	DECLARE role TEXT;
	BEGIN
		PERFORM pg_advisory_xact_lock(1);
		IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'authenticator') THEN
			RETURN;
		END IF;
		FOREACH role IN ARRAY ARRAY['anon', 'authenticated'] LOOP
			IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role) THEN
				EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role);
			END IF;
		END LOOP;
		CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
		CREATE ROLE authenticator LOGIN NOINHERIT;
		GRANT anon, authenticated, service_role TO authenticator;
		ALTER ROLE authenticator SET statement_timeout = '8s';
		ALTER ROLE authenticator SET lock_timeout = '8s';
	END
	$$;
	GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;`

// New makes a project without tables in a new database of a server.
func New(t pgtest.TB, server *pgtest.Server, database string) *Project {
	t.Helper()
	p := &Project{Key: "a.service.key", t: t, server: server, database: database}
	url := server.Database(database)
	p.Paste(roles)
	var err error
	if p.db, err = sql.Open("pgx", strings.Replace(url, pgtest.Owner+"@", "authenticator@", 1)); err != nil {
		t.Fatal(err)
	}
	p.db.SetMaxOpenConns(10)
	p.db.SetMaxIdleConns(10)
	web := httptest.NewServer(http.HandlerFunc(p.serve))
	p.URL = web.URL
	t.Cleanup(func() {
		web.Close()
		_ = p.db.Close()
	})
	return p
}

// Paste runs a script as Supabase's SQL editor does, and gives what it prints.
func (p *Project) Paste(script string) string {
	p.t.Helper()
	out, err := p.Try(script)
	if err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return out
}

// Try is Paste for a script that may fail.
func (p *Project) Try(script string) (string, error) { return p.server.SQL(p.database, script) }

// Calls is how many requests have come since it was asked last.
func (p *Project) Calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.calls
	p.calls = 0
	return n
}

// Watch has f see each request, until it is called with nil.
func (p *Project) Watch(f func(function string, body []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = f
}

// Spoil has f answer the next request whose body is one of those.
func (p *Project) Spoil(when func(body []byte) bool, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.when, p.spoil = when, f
}

// SpoilAll has f answer every request, until it is called with nil.
func (p *Project) SpoilAll(f Fault) { p.Spoil(nil, f) }

// LoseAnswer has a request done, and its connection broken.
func LoseAnswer(_ http.ResponseWriter, r *http.Request, proceed http.Handler) {
	proceed.ServeHTTP(Nowhere{}, r)
	panic(http.ErrAbortHandler)
}

// LoseRequest breaks the connection before anything is done.
func LoseRequest(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// Nowhere is where an answer goes that nobody gets.
type Nowhere struct{}

// Header implements http.ResponseWriter.
func (Nowhere) Header() http.Header { return http.Header{} }

// Write implements http.ResponseWriter.
func (Nowhere) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (Nowhere) WriteHeader(int) {}

func (p *Project) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if spoil := p.count(r.URL.Path, body); spoil != nil {
		spoil(w, r, http.HandlerFunc(p.route))
		return
	}
	p.route(w, r)
}

// count gives the fault that a request meets.
func (p *Project) count(path string, body []byte) (spoil Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.watch != nil {
		p.watch(path[strings.LastIndexByte(path, '/')+1:], body)
	}
	if p.when == nil {
		return p.spoil
	}
	if p.when(body) {
		spoil, p.spoil, p.when = p.spoil, nil, nil
	}
	return spoil
}

// fault is an error as PostgREST puts it.
type fault struct {
	Code    string  `json:"code"`
	Details *string `json:"details"`
	Hint    *string `json:"hint"`
	Message string  `json:"message"`
}

// Says answers with an error.
func Says(w http.ResponseWriter, status int, code, message string) {
	say(w, status, fault{Code: code, Message: message})
}

func say(w http.ResponseWriter, status int, f fault) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f)
}

func (p *Project) route(w http.ResponseWriter, r *http.Request) {
	if key := r.Header.Get("apikey"); key != p.Key || r.Header.Get("Authorization") != "Bearer "+key {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized) // by the gateway
		_, _ = io.WriteString(w, `{"message":"Invalid API key","hint":"Double check your Supabase anon or service_role API key."}`)
		return
	}
	name, is := strings.CutPrefix(r.URL.Path, "/rest/v1/rpc/")
	switch {
	case !is || strings.Contains(name, "/"):
		Says(w, http.StatusNotFound, "PGRST125", "Invalid path specified in request URL")
		return
	case r.Method != http.MethodPost:
		Says(w, http.StatusMethodNotAllowed, "PGRST101", "Cannot use the "+r.Method+" method on RPC")
		return
	}
	var args map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
		Says(w, http.StatusBadRequest, "PGRST102", "Empty or invalid json")
		return
	}
	answer, err := p.call(r.Context(), name, args)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, answer)
}

var errNoFunction = errors.New("no such function")

// call is a transaction with one call of a function with one argument.
func (p *Project) call(ctx context.Context, name string, args map[string]json.RawMessage) (answer string, err error) {
	c, err := p.db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	var parameter, settings string
	for parameter = range args {
	}
	var reads bool
	err = c.QueryRowContext(ctx, `SELECT provolatile <> 'v', COALESCE(array_to_string(proconfig, E'\n'), '') FROM pg_proc
		WHERE pronamespace = 'public'::regnamespace AND proname = $1 AND proargnames = ARRAY[$2]`, name, parameter).Scan(&reads, &settings)
	if errors.Is(err, sql.ErrNoRows) || len(args) != 1 {
		return "", fmt.Errorf("%w: %s(%s)", errNoFunction, name, parameter)
	}
	if err != nil {
		return "", err
	}
	tx, err := c.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted, ReadOnly: reads})
	if err != nil {
		return "", err
	}
	defer tx.Rollback() // after Commit without effect
	if _, err := tx.ExecContext(ctx, `SELECT set_config('search_path', 'public', true), set_config('role', 'service_role', true),
		set_config('request.jwt.claims', '{"role":"service_role"}', true)`); err != nil {
		return "", err
	}
	for setting := range strings.Lines(settings) { // of the function, which count from before its call on
		if limit, ok := strings.CutPrefix(strings.TrimSpace(setting), "statement_timeout="); ok {
			if _, err := tx.ExecContext(ctx, `SELECT set_config('statement_timeout', $1, true)`, limit); err != nil {
				return "", err
			}
		}
	}
	if err := tx.QueryRowContext(ctx, fmt.Sprintf(`SELECT public.%s(%s := $1::jsonb)::text`, name, parameter), string(args[parameter])).Scan(&answer); err != nil {
		return "", err
	}
	return answer, tx.Commit()
}

// statuses of SQLSTATE codes and their classes; others are 400.
var statuses = []struct {
	code   string
	status int
}{
	{"23503", 409}, {"23505", 409}, {"25006", 405}, {"42501", 403}, {"42883", 404}, {"42P01", 404}, {"42P17", 500}, {"53400", 500}, {"57P01", 503}, {"P0001", 400},
	{"08", 503}, {"09", 500}, {"0L", 403}, {"0P", 403}, {"25", 500}, {"28", 403}, {"2D", 500}, {"38", 500}, {"39", 500}, {"3B", 500}, {"40", 500},
	{"53", 503}, {"54", 500}, {"55", 500}, {"57", 500}, {"58", 500}, {"F0", 500}, {"HV", 500}, {"P0", 500}, {"XX", 500},
}

func refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, errNoFunction) {
		Says(w, http.StatusNotFound, "PGRST202", "Could not find the function public."+strings.TrimPrefix(err.Error(), errNoFunction.Error()+": ")+" in the schema cache")
		return
	}
	said, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		Says(w, http.StatusServiceUnavailable, "PGRST001", "Could not connect with the database due to an internal error")
		return
	}
	status := http.StatusBadRequest
	for _, s := range statuses {
		if strings.HasPrefix(said.Code, s.code) {
			status = s.status
			break
		}
	}
	say(w, status, fault{said.Code, text(said.Detail), text(said.Hint), said.Message})
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
