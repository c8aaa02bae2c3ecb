//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/sandbox"
)

// late is a request to a manager that does not answer, and what comes of it.
type late struct {
	what string
	err  chan error
	out  struct{ Entry jsonEntry }
}

func (c *client) later(ctx context.Context, what, method, path string, in any) *late {
	l := &late{what: what, err: make(chan error, 1)}
	go func() { l.err <- c.do(ctx, method, path, in, &l.out) }()
	return l
}

// ends wants one of the statuses, 200 for all that is well.
func (l *late) ends(t *testing.T, want ...int) {
	t.Helper()
	err := <-l.err
	got := http.StatusOK
	if refusal, ok := err.(*httpError); ok {
		got = refusal.status
	} else if err != nil {
		t.Errorf("%s, asked of a manager that was frozen: %v", l.what, err)
		return
	}
	if !slices.Contains(want, got) {
		t.Errorf("%s, asked of a manager that was frozen: status %d, want one of %d (%v)", l.what, got, want, err)
	}
}

// freeze stops a process, until it is told to go on, and waits until all of its
// threads stand still.
func (p *process) freeze() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	until(p.t, "a process stands still", 10*time.Second, func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
		if err != nil || len(threads) == 0 {
			p.t.Skipf("no /proc: %v", err)
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if errors.Is(err, os.ErrNotExist) {
				continue // it has ended
			}
			_, state, _ := strings.Cut(string(text), ") ") // behind the name of the program
			if err != nil || !strings.HasPrefix(state, "T ") {
				return false
			}
		}
		return true
	})
}

// A manager is stopped in the middle of all its work: of a transaction with the
// lock of those who write, of deleting a message in Discord, of an upload. Another
// one takes its leases over and goes on. When the first wakes it finds that it was
// taken for dead, gives no answer that is out of date, and does nothing twice.
func TestEndToEnd_frozenManager(t *testing.T) {
	t.Parallel() // most of it is waiting
	p := pgtest.Start(t)
	k := startCluster(t, 0, map[string]string{"DATABASE_URL": p.Database("frozen"), "TRASH_DAYS": "0", "VERSIONS": "0", "DEBUG_LOGGING": "1"})
	second := maps.Clone(k.env)
	second["MANAGER_PORT"], second["DATA_DIR"] = freePort(t), t.TempDir()
	base := "http://127.0.0.1:" + second["MANAGER_PORT"]
	start(t, second, "manager").healthy(base)
	k.service = append(k.service, map[string]string{
		"MANAGER_ADDRESS":  strings.Replace(k.base, "http", "ws", 1) + "," + strings.Replace(base, "http", "ws", 1),
		"SERVICE_PASSWORD": k.env["SERVICE_PASSWORD"], "UPLOAD_CAPACITY": "4",
	})
	own := freePort(t)
	k.service[0]["PORT"], k.service[0]["OWN_ADDRESS"] = own, "http://127.0.0.1:"+own
	k.services = append(k.services, nil)
	k.startService(t, 0)
	ctx := withTimeout(t, 3*time.Minute)
	sql := func(statements string) string {
		t.Helper()
		out, err := p.SQL("frozen", statements)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return out
	}

	a := setUp(t, k.base)
	b := signIn(t, base, adminName, adminPassword)
	for _, c := range []*client{a, b} {
		c.servicesReady(1)
		c.connect()
		c.book(ctx, 2)
	}
	managerOf := func(c *client) string {
		var debug struct{ Managers struct{ ID string } }
		c.must(c.do(ctx, "GET", "/api/debug", nil, &debug))
		return debug.Managers.ID
	}
	first, other := managerOf(a), managerOf(b)
	const leases = `SELECT string_agg(name || ' ' || manager || ' ' || epoch, ' ' ORDER BY name) FROM leases WHERE name IN ('collector', 'expiry', 'uploads')`
	until(t, "the first manager leads", 10*time.Second, func() bool { return strings.Count(sql(leases), first) == 3 })
	whole := map[string]content{}
	for i, name := range []string{"kept.bin", "changed.bin", "gone.bin", "condemned.bin"} {
		whole["/frozen/"+name] = content{seed: uint64(i), size: 100_000 + int64(i)}
		if _, err := a.upload(ctx, "/frozen", name, whole["/frozen/"+name], packet.ConflictFail); err != nil {
			t.Fatal(err)
		}
	}
	entry := func(name string) jsonEntry {
		e, err := a.lookup(ctx, "/frozen/"+name)
		a.must(err)
		return e
	}
	kept, gone, condemned := entry("kept.bin"), entry("gone.bin"), entry("condemned.bin")
	a.must(a.do(ctx, "POST", "/api/users", map[string]any{"username": "bob", "password": "another correct horse"}, nil))
	bob := signIn(t, k.base, "bob", "another correct horse")

	// An upload has one of its parts, and a message is being deleted, as it would be
	// a day after its file.
	data := content{seed: 9, size: 2*partSize + 5}
	r, err := a.begin(ctx, "/frozen", "upload.bin", data.size, packet.ConflictFail)
	a.must(err)
	a.must(post(ctx, r, data, 0))
	a.must(a.do(ctx, "POST", "/api/delete", map[string]any{"ids": []int64{condemned.ID}}, nil))
	delete(whole, "/frozen/condemned.bin")
	message := sql(`INSERT INTO deletions (message_id, channel_id, state, attachments, size, due_at)
		SELECT c.message_id, MIN(c.channel_id), 'due', COUNT(*), SUM(c.sealed_size), 0 FROM chunks c JOIN objects o ON o.id = c.object_id WHERE o.state = 'garbage' GROUP BY c.message_id
		RETURNING message_id;
		DELETE FROM chunks WHERE message_id IN (SELECT message_id FROM deletions)`)
	box := &faults{t, strings.TrimSuffix(k.env["DISCORD_API_URL"], "/api/v10")}
	box.add(sandbox.Rule{Name: "slow", Method: "DELETE", Route: "/channels/{channel}/messages/{message}", Action: sandbox.Delay, Delay: time.Second, Times: 1})
	a.must(a.do(ctx, "POST", "/api/admin/jobs/collector", map[string]any{"run": true}, nil))
	until(t, "a message is being deleted", 10*time.Second, func() bool { return box.count("slow") > 0 })

	// A change of the first manager waits within its transaction, which has the lock
	// that all managers write under.
	held := p.Session("frozen")
	if _, err := held.ExecContext(ctx, `BEGIN; INSERT INTO user_groups (name, name_key, created_at) VALUES ('crew', 'crew', 0)`); err != nil {
		t.Fatal(err)
	}
	asked := a.later(ctx, "a group", "POST", "/api/groups", map[string]any{"name": "crew"})
	const within = `SELECT COUNT(*) FROM pg_locks w JOIN pg_locks l ON l.pid = w.pid
		WHERE w.locktype = 'transactionid' AND NOT w.granted AND l.locktype = 'advisory' AND l.granted`
	until(t, "a transaction of the first manager", 10*time.Second, func() bool { return sql(within) == "1" })
	stopped := k.manager.cmd.Process
	k.manager.freeze()
	defer func() { _ = stopped.Signal(syscall.SIGCONT) }() // it may have ended
	if _, err := held.ExecContext(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}

	// What it is asked now waits in its sockets, until it is wrong.
	read := bob.later(ctx, "a file, by who has signed out", "GET", fmt.Sprintf("/api/entries/%d/content", kept.ID), nil)
	lookup := a.later(ctx, "a file that was replaced", "GET", "/api/lookup?path=/frozen/changed.bin", nil)
	missing := a.later(ctx, "a file that was deleted", "GET", "/api/lookup?path=/frozen/gone.bin", nil)
	again := a.later(ctx, "to delete once more", "POST", "/api/delete", map[string]any{"ids": []int64{gone.ID}})
	part := make(chan error, 1)
	go func() { part <- post(ctx, r, data, 1) }() // its service tells the manager that sleeps

	began := time.Now()
	b.must(b.do(ctx, "POST", "/api/groups", map[string]any{"name": "crew"}, nil))
	if waited := time.Since(began); waited < time.Second {
		t.Errorf("the first manager was frozen without the lock: the other waited %v", waited)
	}
	bobThere := &client{t: t, base: base, token: bob.token}
	bobThere.must(bobThere.do(ctx, "POST", "/api/logout", nil, nil))
	whole["/frozen/changed.bin"] = content{seed: 20, size: 200_000}
	if _, err := b.upload(ctx, "/frozen", "changed.bin", whole["/frozen/changed.bin"], packet.ConflictOverwrite); err != nil {
		t.Fatal(err)
	}
	b.must(b.do(ctx, "POST", "/api/delete", map[string]any{"ids": []int64{gone.ID}}, nil))
	delete(whole, "/frozen/gone.bin")
	until(t, "the other manager leads", 40*time.Second, func() bool { return strings.Count(sql(leases), other) == 3 })
	t.Logf("all leases are with the other manager after %v", time.Since(began))
	until(t, "the message is deleted by the other manager", 20*time.Second, func() bool {
		return sql(`SELECT COUNT(*) FROM deletions d, jobs j WHERE d.state = 'missing' AND j.name = 'collector' AND j.state LIKE '%"missing":1%'`) == "1"
	})
	deletions := sql(`SELECT * FROM deletions ORDER BY message_id`)
	b.resume(ctx, r, data)
	whole["/frozen/upload.bin"] = data
	before, job := sql(leases), sql(`SELECT * FROM jobs WHERE name = 'collector'`)

	if err := stopped.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	asked.ends(t, http.StatusServiceUnavailable, http.StatusConflict) // its transaction was undone
	read.ends(t, http.StatusUnauthorized)
	lookup.ends(t, http.StatusOK)
	if lookup.out.Entry.Size != 200_000 {
		t.Errorf("a file that was replaced has %d bytes", lookup.out.Entry.Size)
	}
	missing.ends(t, http.StatusNotFound)
	again.ends(t, http.StatusNotFound)
	if err := <-part; err == nil {
		t.Log("the part was told to the other manager") // by its service, when this one gave no answer
	}
	until(t, "the first manager knows", 20*time.Second, func() bool {
		return strings.Contains(k.manager.output(), "other managers took this one for dead") && sql(`SELECT COUNT(*) FROM managers`) == "2"
	})
	beats := func() string { return sql(fmt.Sprintf(`SELECT beat FROM managers WHERE id = '%s'`, first)) }
	seen := map[string]bool{}
	until(t, "it lives on", 20*time.Second, func() bool { seen[beats()] = true; return len(seen) > 6 }) // longer than it waits to lead
	if after := sql(leases); after != before {
		t.Errorf("leases are %s, were %s", after, before)
	}
	if after := sql(`SELECT * FROM deletions ORDER BY message_id`); after != deletions || !strings.Contains(after, message) {
		t.Errorf("deletions of message %s are\n%s, were\n%s", message, after, deletions)
	}
	if after := sql(`SELECT * FROM jobs WHERE name = 'collector'`); after != job {
		t.Errorf("the collector's state is %s, was %s", after, job)
	}
	for action, want := range map[string]string{"deleted": "2", "group-created": "1", "sign-out": "1", "user-created": "2"} {
		if n := sql(fmt.Sprintf(`SELECT COUNT(*) FROM audit WHERE action = '%s' AND done`, action)); n != want {
			t.Errorf("the audit log has %s of %s, want %s", n, action, want)
		}
	}

	// It goes on as any other, and all is whole for both.
	a = signIn(t, k.base, adminName, adminPassword)
	a.connect()
	a.book(ctx, 2)
	whole["/frozen/after.bin"] = content{seed: 30, size: 50_000}
	if _, err := a.upload(ctx, "/frozen", "after.bin", whole["/frozen/after.bin"], packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	sharedNews(t, ctx, a, b)
	sharedNews(t, ctx, b, a)
	for _, c := range []*client{a, b} {
		if n := len(c.list(ctx, "/frozen")); n != len(whole) {
			t.Errorf("%d files, want %d", n, len(whole))
		}
		for path, data := range whole {
			c.verify(ctx, path, data)
		}
	}
	check := start(t, map[string]string{"DATA_DIR": k.env["DATA_DIR"], "DATABASE_URL": k.env["DATABASE_URL"]}, "admin", "check")
	if code := check.exited(); code != 0 || !strings.Contains(check.output(), "sound") {
		t.Errorf("check: exit code %d, %s", code, check.output())
	}
}
