package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/packet"
)

// cluster is a sandbox, a manager and upload services, each a process.
type cluster struct {
	base     string
	sandbox  *process
	manager  *process
	services []*process
	env      map[string]string   // of the manager
	service  []map[string]string // of each service
}

func startCluster(t *testing.T, services int, extra map[string]string) *cluster {
	t.Helper()
	box, port := freePort(t), freePort(t)
	c := &cluster{base: "http://127.0.0.1:" + port}
	boxURL := "http://127.0.0.1:" + box
	c.sandbox = start(t, map[string]string{"DATA_DIR": t.TempDir(), "SANDBOX_PORT": box, "SANDBOX_TOKEN": sandboxToken}, "sandbox")
	var channels []string
	until(t, "the sandbox", 20*time.Second, func() bool {
		channels = sandboxChannels(t, boxURL)
		return len(channels) > 0
	})
	secrets, err := freshSecrets()
	if err != nil {
		t.Fatal(err)
	}
	c.env = map[string]string{
		"DATA_DIR": t.TempDir(), "MANAGER_PORT": port,
		"DISCORD_BOT_TOKEN": sandboxToken, "DISCORD_CHANNEL_IDS": strings.Join(channels, ","), "DISCORD_API_URL": boxURL + "/api/v10",
	}
	for _, line := range strings.Split(strings.TrimSpace(secrets.lines()), "\n") {
		name, value, _ := strings.Cut(line, "=")
		c.env[name] = value
	}
	for k, v := range extra {
		c.env[k] = v
	}
	c.startManager(t)
	for range services {
		own := freePort(t)
		c.service = append(c.service, map[string]string{
			"MANAGER_ADDRESS": "ws://127.0.0.1:" + port, "OWN_ADDRESS": "http://127.0.0.1:" + own, "PORT": own,
			"SERVICE_PASSWORD": secrets.password.Reveal(), "UPLOAD_CAPACITY": extra["UPLOAD_CAPACITY"],
		})
		c.services = append(c.services, nil)
	}
	for i := range c.services {
		c.startService(t, i)
	}
	return c
}

func (c *cluster) startManager(t *testing.T) {
	t.Helper()
	c.manager = start(t, c.env, "manager")
	c.manager.healthy(c.base)
}

func (c *cluster) startService(t *testing.T, i int) {
	t.Helper()
	c.services[i] = start(t, c.service[i], "upload-service")
}

// sandboxChannels asks as a bot; nil while the sandbox is not up.
func sandboxChannels(t *testing.T, base string) []string {
	t.Helper()
	ask := func(path string, out any) bool {
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/api/v10"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bot "+sandboxToken)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		defer func() { _ = answer.Body.Close() }()
		return answer.StatusCode == 200 && json.NewDecoder(answer.Body).Decode(out) == nil
	}
	var guilds, channels []struct {
		ID   string
		Type int
	}
	if !ask("/users/@me/guilds", &guilds) || len(guilds) == 0 || !ask("/guilds/"+guilds[0].ID+"/channels", &channels) {
		return nil
	}
	var ids []string
	for _, ch := range channels {
		if ch.Type == 0 {
			ids = append(ids, ch.ID)
		}
	}
	return ids
}

func TestEndToEnd_threeServices(t *testing.T) { threeServices(t, nil) }

func threeServices(t *testing.T, extra map[string]string) {
	k := startCluster(t, 3, extra)
	c := setUp(t, k.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 2*time.Minute)
	if got := c.book(ctx, 20); got != 12 {
		t.Fatalf("booked %d slots of three services, want 4 of each", got)
	}
	// What Discord allows the token is shared: 13 a second for each service, and
	// what is left for the manager.
	var debug struct {
		Discord struct {
			Bots []struct {
				Global struct {
					PerSecond int `json:"per_second"`
				}
			}
		}
	}
	c.must(c.do(ctx, "GET", "/api/debug", nil, &debug))
	if b := debug.Discord.Bots; len(b) != 1 || b[0].Global.PerSecond != 50-3*13 {
		t.Errorf("the manager may %+v", b)
	}
	// Three files at once, each by its own service though the first could take all.
	group, gctx := errgroup.WithContext(ctx)
	var uploads [3]packet.UploadResponse
	for i := range uploads {
		r, err := c.begin(ctx, "/three", fmt.Sprintf("%d.bin", i), partSize+int64(i)*1000, packet.ConflictFail)
		if err != nil {
			t.Fatal(err)
		}
		uploads[i] = r
	}
	if a, b, d := uploads[0].UploadAddress, uploads[1].UploadAddress, uploads[2].UploadAddress; a == b || b == d || a == d {
		t.Errorf("two files share a service: %s %s %s", a, b, d)
	}
	for i, r := range uploads {
		group.Go(func() error {
			data := content{seed: uint64(i), size: partSize + int64(i)*1000}
			if err := sendParts(gctx, r, data); err != nil {
				return err
			}
			_, err := c.outcome(gctx, r)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range uploads {
		c.verify(ctx, fmt.Sprintf("/three/%d.bin", i), content{seed: uint64(i), size: partSize + int64(i)*1000})
	}

	// One dies in the middle of a file: the client is told, goes on with
	// another service, and sends only what is not confirmed.
	data := content{seed: 9, size: 3*partSize + 7}
	r, err := c.begin(ctx, "/three", "moved.bin", data.size, packet.ConflictFail)
	if err != nil {
		t.Fatal(err)
	}
	if err := post(ctx, r, data, 1); err != nil {
		t.Fatal(err)
	}
	dead := -1
	for i, env := range k.service {
		if env["OWN_ADDRESS"] == strings.TrimRight(r.UploadAddress, "/") {
			dead = i
		}
	}
	if dead < 0 {
		t.Fatalf("no service has the address %s", r.UploadAddress)
	}
	k.services[dead].kill()
	p, err := c.await(ctx, func(p packet.Packet) bool {
		x, ok := p.(packet.UploadInterrupted)
		return ok && x.UploadID == r.UploadID
	})
	if err != nil {
		t.Fatal(err)
	}
	if reason := p.(packet.UploadInterrupted).Reason; len(reason) < 10 {
		t.Errorf("the reason says nothing: %q", reason)
	}
	reply, err := c.call(ctx, packet.UploadResume{UploadID: r.UploadID})
	if err != nil {
		t.Fatal(err)
	}
	again := reply.(packet.UploadResponse)
	if !again.Accepted || again.UploadAddress == r.UploadAddress || len(again.Confirmed) != 1 || again.Confirmed[0] != (packet.Range{1, 1}) {
		t.Fatalf("resumed as %+v", again)
	}
	if err := sendParts(ctx, again, data); err != nil {
		t.Fatal(err)
	}
	if _, err := c.outcome(ctx, again); err != nil {
		t.Fatal(err)
	}
	c.verify(ctx, "/three/moved.bin", data)

	// It comes back by itself.
	k.startService(t, dead)
	c.servicesReady(3)
}

func TestEndToEnd_oneGiBInBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("1 GiB takes a while")
	}
	k := startCluster(t, 1, map[string]string{"UPLOAD_CAPACITY": "4"})
	c := setUp(t, k.base)
	c.servicesReady(1)
	c.connect()
	ctx := withTimeout(t, 8*time.Minute)
	c.book(ctx, 4)
	// Four files at once through one service, one of them of 1 GiB.
	began := time.Now()
	sizes := []int64{1 << 30, 100 << 20, 100 << 20, 100 << 20}
	group, gctx := errgroup.WithContext(ctx)
	var total int64
	for i, size := range sizes {
		total += size
		group.Go(func() error {
			_, err := c.upload(gctx, "/big", fmt.Sprintf("%d.bin", i), content{seed: uint64(i), size: size}, packet.ConflictFail)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	up := time.Since(began)
	began = time.Now()
	c.verify(ctx, "/big/0.bin", content{seed: 0, size: 1 << 30})
	t.Logf("up: %d MiB/s; down and made anew to compare: %d MiB/s", total>>20*1000/up.Milliseconds(), int64(1<<10)*1000/time.Since(began).Milliseconds())
	for name, p := range map[string]*process{"manager": k.manager, "upload service": k.services[0]} {
		peak := p.memory("VmHWM")
		t.Logf("%s: %d MiB at the most", name, peak)
		if peak >= 100 {
			t.Errorf("the %s took %d MiB, want less than 100", name, peak)
		}
	}

	// A client that goes away in the middle frees everything within a second.
	e, err := c.lookup(ctx, "/big/0.bin")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	answer, err := c.request(gone, "GET", fmt.Sprintf("/api/entries/%d/content", e.ID), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := answer.Body.Read(make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	before := k.sockets(t)
	cancel()
	_ = answer.Body.Close()
	until(t, "the connections of a cut download end", time.Second, func() bool { return k.sockets(t) < before })
}

// sockets counts the manager's open files: connections to clients and to the
// CDN are among them.
func (k *cluster) sockets(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", k.manager.cmd.Process.Pid))
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	return len(files)
}

// Manager and service are killed at random moments of running uploads. Nothing
// that was acknowledged is lost, nothing half-written is visible, and the next
// start needs no repair.
func TestEndToEnd_killed(t *testing.T) {
	t.Parallel() // much of it is waiting for processes
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	k := startCluster(t, 1, map[string]string{"UPLOAD_CAPACITY": "3"})
	c := setUp(t, k.base)
	ctx := withTimeout(t, 12*time.Minute)
	acknowledged := map[string]content{}
	attempted := map[string]content{}
	var resumed atomic.Int64
	for round := range rounds {
		c.servicesReady(1)
		c.connect()
		c.book(ctx, 3)
		type result struct {
			name string
			err  error
		}
		results := make(chan result, 3)
		uploading, giveUp := context.WithCancel(ctx)
		for i := range 3 {
			name := fmt.Sprintf("%d-%d.bin", round, i)
			data := content{seed: uint64(round*10 + i), size: rng.Int64N(partSize + partSize/2)}
			attempted[name] = data
			go func() {
				_, err := c.upload(uploading, "/killed", name, data, packet.ConflictFail)
				results <- result{name, err}
			}()
		}
		// A random moment: there is nothing to wait for.
		time.Sleep(time.Duration(rng.Int64N(int64(400 * time.Millisecond))))
		victim := "manager"
		if rng.IntN(2) == 0 {
			victim = "service"
			k.services[0].kill()
			k.startService(t, 0)
			// The socket stays, and would wait for its uploads for long.
			c.conn.Close(1000, "")
		} else {
			k.manager.kill()
			k.startManager(t)
		}
		giveUp() // without the socket nothing more is acknowledged
		for range 3 {
			r := <-results
			if r.err == nil {
				acknowledged[r.name] = attempted[r.name]
			}
		}
		if strings.Contains(k.manager.output(), "repair") {
			t.Errorf("round %d: the start speaks of repair", round)
		}
		// What is listed is whole, acknowledged or not; what was acknowledged is
		// listed.
		listed := c.list(ctx, "/killed")
		for name, e := range listed {
			if data, ok := attempted[name]; !ok || data.size != e.Size {
				t.Errorf("round %d (%s killed): %s has %d bytes", round, victim, name, e.Size)
			}
		}
		for name := range acknowledged {
			if _, ok := listed[name]; !ok {
				t.Fatalf("round %d (%s killed): %s was acknowledged and is gone", round, victim, name)
			}
		}
		// An upload that was cut goes on from its confirmed parts, now and then.
		if rng.IntN(5) == 0 {
			resumed.Add(c.resumeAll(ctx, attempted, acknowledged))
		}
	}
	for name, e := range c.list(ctx, "/killed") {
		sum, n, err := c.download(ctx, e.ID)
		if data := attempted[name]; err != nil || n != data.size || sum != data.sum(t) {
			t.Errorf("%s comes back wrong: %d bytes, %v", name, n, err)
		}
	}
	t.Logf("%d of %d uploads acknowledged, %d resumed", len(acknowledged), len(attempted), resumed.Load())
	if len(acknowledged) == 0 || len(acknowledged) == len(attempted) {
		t.Error("the kills did not fall among the uploads")
	}
}

// list gives the files of a folder by name; none if it is not there yet.
func (c *client) list(ctx context.Context, path string) map[string]jsonEntry {
	c.t.Helper()
	folder, err := c.lookup(ctx, path)
	if err != nil {
		return nil
	}
	all := map[string]jsonEntry{}
	for after := ""; ; {
		var page struct {
			Entries []jsonEntry
			Next    string
		}
		c.must(c.do(ctx, "GET", fmt.Sprintf("/api/entries/%d/children?limit=1000&after=%s", folder.ID, after), nil, &page))
		for _, e := range page.Entries {
			all[e.Name] = e
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// resumeAll finishes what the server still keeps of this client's uploads, and
// leaves.
func (c *client) resumeAll(ctx context.Context, attempted, acknowledged map[string]content) int64 {
	c.t.Helper()
	c.servicesReady(1)
	c.connect()
	defer func() { c.conn.Close(1000, "") }()
	c.book(ctx, 3)
	reply, err := c.call(ctx, packet.UploadsRequest{})
	c.must(err)
	var n int64
	for _, u := range reply.(packet.Uploads).Uploads {
		if u.WaitingForAnswer {
			c.t.Errorf("%s waits for an answer that nobody was to be asked for", u.Name)
			continue
		}
		// The manager may still count on the service that was killed.
		var r packet.UploadResponse
		until(c.t, "resume "+u.Name, 15*time.Second, func() bool {
			reply, err := c.call(ctx, packet.UploadResume{UploadID: u.UploadID})
			if err == nil {
				r = reply.(packet.UploadResponse)
			}
			return r.Accepted
		})
		data := attempted[u.Name]
		// A request of the round that was cut may come to its end only now, and
		// store the last part before ours does: then ours is told that the upload
		// has ended. What counts is how it ended.
		sent := sendParts(ctx, r, data)
		soon, cancel := context.WithTimeout(ctx, 20*time.Second)
		_, err := c.outcome(soon, r)
		cancel()
		if err != nil {
			c.t.Errorf("resume %s: %v (sent: %v)", u.Name, err, sent)
			continue
		}
		acknowledged[u.Name] = data
		n++
	}
	return n
}
