//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/pgtest"
)

// Two managers share a database and two services of two places each, with clients
// split between them. One is killed in the middle, and comes back.
func TestEndToEnd_twoManagers(t *testing.T) {
	t.Parallel() // much of it is waiting
	p := pgtest.Start(t)
	k := startCluster(t, 0, map[string]string{"DATABASE_URL": p.Database("managers")})
	second := map[string]string{}
	for name, value := range k.env {
		second[name] = value
	}
	port := freePort(t)
	second["MANAGER_PORT"], second["DATA_DIR"] = port, t.TempDir()
	base := "http://127.0.0.1:" + port
	other := start(t, second, "manager")
	other.healthy(base)
	strange := map[string]string{}
	for name, value := range second {
		strange[name] = value
	}
	secrets, err := freshSecrets()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(secrets.lines()) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), "="); name == "PUBLIC_KEY" || name == "PRIVATE_KEY" {
			strange[name] = value
		}
	}
	strange["MANAGER_PORT"], strange["DATA_DIR"] = freePort(t), t.TempDir()
	refused := start(t, strange, "manager")

	for range 2 {
		own := freePort(t)
		k.service = append(k.service, map[string]string{
			"MANAGER_ADDRESS": strings.Replace(k.base, "http", "ws", 1) + "," + strings.Replace(base, "http", "ws", 1),
			"OWN_ADDRESS":     "http://127.0.0.1:" + own, "PORT": own, "UPLOAD_CAPACITY": "2", "SERVICE_PASSWORD": k.env["SERVICE_PASSWORD"],
		})
		k.services = append(k.services, nil)
		k.startService(t, len(k.services)-1)
	}
	a := setUp(t, k.base)
	b := signIn(t, base, adminName, adminPassword)
	for _, c := range []*client{a, b} {
		c.servicesReady(2)
		c.connect()
	}
	ctx := withTimeout(t, 2*time.Minute)

	sharedCapacity(t, ctx, a, b)
	sharedNews(t, ctx, a, b)
	sharedTickets(t, ctx, a, b)
	sharedSessions(t, ctx, k.base, base)
	sharedLimits(t, ctx, k.base, base)
	handedOver(t, ctx, a, b)

	// The first manager dies with an upload under way, whose client goes on with
	// the second.
	data := content{seed: 77, size: 2*partSize + 5}
	r, err := a.begin(ctx, "/killed", "moved.bin", data.size, packet.ConflictFail)
	a.must(err)
	a.must(post(ctx, r, data, 0))
	k.manager.kill()
	if again := b.resume(ctx, r, data); len(again.Confirmed) != 1 {
		t.Fatalf("resumed as %+v", again)
	}
	b.verify(ctx, "/killed/moved.bin", data)
	// Its work in the background goes to the other, and it finds it has when it is back.
	var debug struct{ Managers struct{ ID string } }
	b.must(b.do(ctx, "GET", "/api/debug", nil, &debug))
	until(t, "all leases with the second manager", 40*time.Second, func() bool {
		out, err := p.SQL("managers", `SELECT manager FROM leases WHERE name IN ('collector', 'expiry', 'uploads')`)
		return err == nil && out == strings.TrimSpace(strings.Repeat(debug.Managers.ID+"\n", 3))
	})
	before, _ := p.SQL("managers", `SELECT name, manager, epoch FROM leases WHERE name <> 'thumbnails' ORDER BY name`)
	k.startManager(t)
	a = signIn(t, k.base, adminName, adminPassword)
	a.connect()
	a.verify(ctx, "/killed/moved.bin", data)
	sharedNews(t, ctx, b, a)
	if after, _ := p.SQL("managers", `SELECT name, manager, epoch FROM leases WHERE name <> 'thumbnails' ORDER BY name`); after != before {
		t.Errorf("leases went back:\n%s\nbefore:\n%s", after, before)
	}
	if code := refused.exited(); code != exitFailed || !strings.Contains(refused.output(), "must be the same for all") {
		t.Errorf("a manager with other keys: exit code %d:\n%s", code, refused.output())
	}
	other.stop()
	k.manager.stop()
	if out, err := p.SQL("managers", `SELECT COUNT(*) FROM managers`); err != nil || out != "0" {
		t.Errorf("managers that have left: %s, %v", out, err)
	}
}

// sharedCapacity has clients of both managers want more than there is. Nothing is
// refused, and no service has more than its places.
func sharedCapacity(t *testing.T, ctx context.Context, a, b *client) {
	a.book(ctx, 4)
	b.book(ctx, 4)
	var group errgroup.Group
	for i, c := range []*client{a, b} {
		for j := range 4 {
			group.Go(func() error {
				for n := range 3 {
					name := fmt.Sprintf("%d-%d-%d.bin", i, j, n)
					if _, err := c.upload(ctx, "/capacity", name, content{seed: uint64(i*100 + j*10 + n), size: 100_000}, packet.ConflictFail); err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := len(a.list(ctx, "/capacity")); n != 24 {
		t.Errorf("%d files, want 24", n)
	}
	b.verify(ctx, "/capacity/0-1-2.bin", content{seed: 12, size: 100_000})
	a.verify(ctx, "/capacity/1-3-0.bin", content{seed: 130, size: 100_000})
	for _, c := range []*client{a, b} {
		_, err := c.call(ctx, packet.UploadBookingClear{})
		c.must(err)
	}
}

// sharedNews tells a client of one manager what one of the other does, all of it
// and once.
func sharedNews(t *testing.T, ctx context.Context, here, there *client) {
	top := fmt.Sprintf("news %d", time.Now().UnixNano())
	begin := time.Now()
	const n = 30
	for i := range n {
		_, err := here.call(ctx, packet.CreateFolder{Path: fmt.Sprintf("/%s/%d", top, i)})
		here.must(err)
	}
	told := map[string]int{}
	_, err := there.await(ctx, func(p packet.Packet) bool {
		if change, ok := p.(packet.EntryChanged); ok && change.Action == "added" && change.Path == "/"+top {
			told[change.Entry.Name]++
		}
		return len(told) == n
	})
	if err != nil {
		t.Fatalf("told of %d folders of %d: %v", len(told), n, err)
	}
	for name, times := range told {
		if times != 1 {
			t.Errorf("told of %s %d times", name, times)
		}
	}
	t.Logf("%d changes made and told elsewhere in %v", n, time.Since(begin))
}

// sharedTickets shows one manager the ticket of the other.
func sharedTickets(t *testing.T, ctx context.Context, a, b *client) {
	e, err := a.lookup(ctx, "/capacity/0-0-0.bin")
	a.must(err)
	var ticket struct{ Ticket string }
	a.must(a.do(ctx, "POST", "/api/tickets", map[string]any{"purpose": "download", "entry": e.ID}, &ticket))
	for range 2 {
		answer, err := http.Get(fmt.Sprintf("%s/api/entries/%d/content?ticket=%s", b.base, e.ID, ticket.Ticket))
		b.must(err)
		n, err := io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != 200 || n != 100_000 {
			t.Errorf("download by a ticket of the other manager: status %d, %d bytes, %v", answer.StatusCode, n, err)
		}
	}
	var socket struct{ Ticket string }
	a.must(a.do(ctx, "POST", "/api/tickets", map[string]any{"purpose": "socket"}, &socket))
	for _, want := range []int{http.StatusSwitchingProtocols, http.StatusUnauthorized} {
		r, err := http.NewRequestWithContext(ctx, "GET", b.base+"/?type=client&v=2&ticket="+socket.Ticket, nil)
		b.must(err)
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
			r.Header.Set(name, value)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		b.must(err)
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("socket by a ticket of the other manager: status %d, want %d", answer.StatusCode, want)
		}
	}
}

// sharedSessions ends a session by one manager while the other has its socket and
// a download.
func sharedSessions(t *testing.T, ctx context.Context, here, there string) {
	a := signIn(t, here, adminName, adminPassword)
	b := &client{t: t, base: there, token: a.token}
	b.connect()
	began := time.Now()
	a.must(a.do(ctx, "POST", "/api/logout", nil, nil))
	select {
	case <-b.ended:
		t.Logf("a session's end is heard elsewhere after %v", time.Since(began))
	case <-time.After(5 * time.Second):
		t.Fatal("the socket of a session that has ended lives on")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the socket ended after %v, want a second at most", took)
	}
}

// sharedLimits guesses at both managers, which count together.
func sharedLimits(t *testing.T, ctx context.Context, here, there string) {
	guess := func(base string) int {
		c := &client{t: t, base: base}
		err := c.do(ctx, "POST", "/api/login", map[string]any{"username": "nobody", "password": "a wrong password"}, nil)
		e, ok := err.(*httpError)
		if !ok {
			t.Fatalf("a wrong password: %v", err)
		}
		return e.status
	}
	for i := range 5 {
		if status := guess([]string{here, there}[i%2]); status != http.StatusUnauthorized {
			t.Fatalf("guess %d: status %d", i, status)
		}
	}
	for _, base := range []string{here, there} {
		if status := guess(base); status != http.StatusTooManyRequests {
			t.Errorf("guess too many: status %d", status)
		}
	}
}

// handedOver goes on by the other manager with an upload that the first still has.
func handedOver(t *testing.T, ctx context.Context, a, b *client) {
	data := content{seed: 5, size: 2*partSize + 9}
	r, err := a.begin(ctx, "/over", "file.bin", data.size, packet.ConflictFail)
	a.must(err)
	a.must(post(ctx, r, data, 1))
	reply, err := b.call(ctx, packet.UploadsRequest{})
	b.must(err)
	if all := reply.(packet.Uploads).Uploads; len(all) != 1 || !all[0].Active {
		t.Errorf("uploads as the other manager knows them: %+v", all)
	}
	reply, err = b.call(ctx, packet.UploadResume{UploadID: r.UploadID})
	b.must(err)
	again := reply.(packet.UploadResponse)
	if !again.Accepted || len(again.Confirmed) != 1 || again.Confirmed[0] != (packet.Range{1, 1}) {
		t.Fatalf("resumed as %+v", again)
	}
	if _, err := a.await(ctx, func(p packet.Packet) bool {
		x, ok := p.(packet.UploadInterrupted)
		return ok && x.UploadID == r.UploadID
	}); err != nil {
		t.Fatalf("the first client is not told: %v", err)
	}
	b.must(sendParts(ctx, again, data))
	if _, err := b.outcome(ctx, again); err != nil {
		t.Fatal(err)
	}
	a.verify(ctx, "/over/file.bin", data)
}
