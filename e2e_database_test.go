//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/supabasetest"
)

// The flows that the other tests show on SQLite, on PostgreSQL.
func TestEndToEnd_postgres(t *testing.T) {
	t.Parallel()
	p := pgtest.Start(t)
	for name, flow := range map[string]func(*testing.T, map[string]string){
		"version1": version1, "services": threeServices,
	} {
		t.Run(name, func(t *testing.T) { flow(t, map[string]string{"DATABASE_URL": p.For(t).Database(name)}) })
	}
	t.Run("crashes", func(t *testing.T) { databaseCrashes(t, p.For(t)) })
}

// PostgreSQL crashes at random moments of running uploads. What was acknowledged
// stays, what is listed is whole, and the manager goes on by itself.
func databaseCrashes(t *testing.T, p *pgtest.Server) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	s := startServe(t, map[string]string{"DATABASE_URL": p.Database("crashes")})
	c := setUp(t, s.base)
	c.servicesReady(3)
	ctx := withTimeout(t, 3*time.Minute)
	attempted, acknowledged := map[string]content{}, map[string]bool{}
	for round := range 3 {
		c.connect()
		c.book(ctx, 4)
		type result struct {
			name string
			err  error
		}
		results := make(chan result, 4)
		uploading, giveUp := context.WithCancel(ctx)
		for i := range 4 {
			name := fmt.Sprintf("%d-%d.bin", round, i)
			data := content{seed: uint64(round*10 + i), size: rng.Int64N(1 << 20)}
			attempted[name] = data
			go func() {
				_, err := c.upload(uploading, "/crashes", name, data, packet.ConflictFail)
				results <- result{name, err}
			}()
		}
		first := <-results // with the others under way
		p.Kill()
		p.Boot()
		collect := func(r result) {
			if r.err == nil {
				acknowledged[r.name] = true
			}
		}
		collect(first)
		timeout := time.AfterFunc(20*time.Second, giveUp) // an upload whose answer was lost waits for it
		for range 3 {
			collect(<-results)
		}
		timeout.Stop()
		giveUp()
		s.healthy(s.base)
		c.conn.Close(1000, "")
		listed := c.list(ctx, "/crashes")
		for name, e := range listed {
			if sum, n, err := c.download(ctx, e.ID); err != nil || n != attempted[name].size || sum != attempted[name].sum(t) {
				t.Errorf("round %d: %s comes back wrong: %d bytes, %v", round, name, n, err)
			}
		}
		for name := range acknowledged {
			if _, ok := listed[name]; !ok {
				t.Errorf("round %d: %s was acknowledged and is gone", round, name)
			}
		}
	}
	t.Logf("%d of %d uploads acknowledged", len(acknowledged), len(attempted))
	if len(acknowledged) == 0 {
		t.Error("no upload was acknowledged")
	}
}

// What is in a Supabase project goes into a backup, by that into SQLite, and from
// there into another project.
func TestEndToEnd_supabase(t *testing.T) {
	t.Parallel()
	p := pgtest.Start(t)
	script, err := os.ReadFile("database.sql")
	if err != nil {
		t.Fatal(err)
	}
	project := func(name string) map[string]string {
		s := supabasetest.New(t, p, name)
		s.Paste(string(script))
		return map[string]string{"SUPABASE_URL": s.URL, "SUPABASE_KEY": s.Key}
	}
	first, second := project("one"), project("two")
	ctx := withTimeout(t, 2*time.Minute)
	data := content{seed: 4, size: 300_000}
	s, _ := startWithFile(ctx, t, first, data)
	admin := func(env map[string]string, dir string, code int, text string, args ...string) {
		t.Helper()
		with := map[string]string{"DATA_DIR": dir, "DATABASE_URL": "", "SUPABASE_URL": "", "SUPABASE_KEY": "", "LOG_LEVEL": "error"}
		maps.Copy(with, env)
		out, got := runBinary(t, with, "", append([]string{"admin"}, args...)...)
		if got != code || !strings.Contains(out, text) {
			t.Errorf("%v: exit code %d, want %d with %q in:\n%s", args, got, code, text, out)
		}
		if key := env["SUPABASE_KEY"]; key != "" && strings.Contains(out, key) {
			t.Errorf("%v tells the key:\n%s", args, out)
		}
	}
	admin(first, s.dir, 0, "sound", "check") // while it runs
	s.stop()
	backup, dir := filepath.Join(t.TempDir(), "backup"), t.TempDir()
	admin(first, s.dir, 0, "was read again", "backup", backup)
	admin(nil, dir, 0, "restored and compared", "restore", backup)
	admin(second, dir, 0, "copied and compared", "migrate-database", "--from", filepath.Join(dir, "discord-cloud.db"), "--to", second["SUPABASE_URL"])
	admin(second, dir, exitFailed, "not empty", "migrate-database", "--from", filepath.Join(dir, "discord-cloud.db"), "--to", second["SUPABASE_URL"])
	maps.Copy(s.env, second)
	s.again(t)
	signIn(t, s.base, adminName, adminPassword).verify(ctx, "/a/file.bin", data)
	admin(second, dir, exitFailed, "in use by a manager", "restore", backup)
}

// A store moves from SQLite to PostgreSQL, and its backup into a third database.
// What was uploaded before is there each time.
func TestEndToEnd_moveDatabase(t *testing.T) {
	t.Parallel()
	p := pgtest.Start(t)
	ctx := withTimeout(t, 2*time.Minute)
	data := content{seed: 3, size: 1 << 20}
	s, _ := startWithFile(ctx, t, nil, data)
	backup := filepath.Join(t.TempDir(), "backup")
	want := func(code int, text string, env map[string]string, args ...string) {
		t.Helper()
		env["LOG_LEVEL"] = "error"
		out, got := runBinary(t, env, "", append([]string{"admin"}, args...)...)
		if got != code || !strings.Contains(out, text) {
			t.Errorf("%v: exit code %d, want %d with %q in:\n%s", args, got, code, text, out)
		}
	}
	here := map[string]string{"DATA_DIR": s.dir, "DATABASE_URL": ""}
	file := filepath.Join(s.dir, "discord-cloud.db")
	first, second := p.Database("first"), p.Database("second")
	want(0, "was read again", here, "backup", backup) // while it runs
	want(exitFailed, "exists already", here, "backup", backup)
	want(exitFailed, "is in use", here, "migrate-database", "--from", file, "--to", first)
	want(exitFailed, "is in use", here, "restore", backup)
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v", info.Mode(), err)
	}
	s.stop()

	want(0, "copied and compared", here, "migrate-database", "--from", file, "--to", first)
	want(exitFailed, "not empty", here, "migrate-database", "--from", file, "--to", first)
	want(0, "restored and compared", map[string]string{"DATA_DIR": t.TempDir(), "DATABASE_URL": second}, "restore", backup)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for i, url := range []string{first, second} {
		s.env["DATABASE_URL"] = url
		s.again(t)
		c := signIn(t, s.base, adminName, adminPassword)
		c.verify(ctx, "/a/file.bin", data)
		c.servicesReady(3)
		c.connect()
		c.book(ctx, 1)
		if _, err := c.upload(ctx, "/a", fmt.Sprintf("%d.bin", i), data, packet.ConflictFail); err != nil {
			t.Error(err)
		}
		want(0, "sound", map[string]string{"DATA_DIR": s.dir, "DATABASE_URL": url}, "check")
		s.stop()
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a manager on PostgreSQL made an SQLite file")
	}
}
