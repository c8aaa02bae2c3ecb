package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/sandbox"
	"discordcloud/services/upload"
	"discordcloud/services/worker"
)

// services lists what an administrator sees of the services.
func (c *client) services(ctx context.Context) (list []struct {
	Address     string
	Busy        int
	Quarantined bool
}) {
	c.t.Helper()
	got := struct{ Services any }{&list}
	c.must(c.do(ctx, "GET", "/api/services", nil, &got))
	return list
}

// A service that is stopped, its socket open, loses its upload for want of a pulse.
// Another one goes on from what is confirmed, and what the first has to say when it
// wakes does not count.
func TestEndToEnd_stoppedService(t *testing.T) {
	t.Parallel() // most of it is waiting
	k := startCluster(t, 1, map[string]string{"UPLOAD_CAPACITY": "1", "DISCORD_ATTACHMENT_LIMIT": "1MiB", "DEBUG_LOGGING": "1"})
	c := setUp(t, k.base)
	c.servicesReady(1)
	c.connect()
	ctx := withTimeout(t, 2*time.Minute)
	c.book(ctx, 1)
	api := k.env["DISCORD_API_URL"]
	box := &faults{t, strings.TrimSuffix(api, "/api/v10")}

	data := content{seed: 1, size: 3*faultPart + 5}
	r, err := c.begin(ctx, "/", "a", data.size, packet.ConflictFail)
	c.must(err)
	c.must(post(ctx, r, data, 0))
	// It is stopped while Discord has the second part, and knows of it as it wakes.
	box.add(sandbox.Rule{Name: "slow", Method: "POST", Route: postRoute, Action: sandbox.Delay, Delay: time.Second, Times: 1})
	late := make(chan error, 1)
	go func() { late <- post(ctx, r, data, 1) }()
	until(t, "the second part on its way", 10*time.Second, func() bool { return box.count("slow") > 0 })
	stopped := k.services[0].cmd.Process
	if err := stopped.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	defer func() { _ = stopped.Signal(syscall.SIGCONT) }() // it may have ended
	k.addService(t, k.service[0])

	if _, err := c.await(ctx, func(p packet.Packet) bool {
		info, ok := p.(packet.UploadInterrupted)
		return ok && info.UploadID == r.UploadID
	}); err != nil {
		t.Fatal(err)
	}
	// A pulse is felt every 30 s, and waited for for 10 s.
	if took := time.Since(start); took > 50*time.Second {
		t.Errorf("the service was missed after %v", took)
	}
	reply, err := c.call(ctx, packet.UploadResume{UploadID: r.UploadID})
	c.must(err)
	again := reply.(packet.UploadResponse)
	if !again.Accepted || again.UploadAddress == r.UploadAddress {
		t.Fatalf("resumed: %+v", again)
	}
	c.must(post(ctx, again, data, 2))

	if err := stopped.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.servicesReady(2) // it has noticed, and connected anew
	if err := <-late; err == nil {
		t.Error("the late part was acknowledged")
	}
	for part := range (data.size + r.ChunkSize - 1) / r.ChunkSize {
		confirmed := part == 2
		for _, done := range again.Confirmed {
			confirmed = confirmed || done[0] <= part && part <= done[1]
		}
		if part == 1 && confirmed {
			t.Error("the second part is confirmed, and nobody has reported it")
		}
		if !confirmed {
			c.must(post(ctx, again, data, part))
		}
	}
	_, err = c.outcome(ctx, again)
	c.must(err)
	c.verify(ctx, "/a", data)
}

// addService starts one more service, with another's environment but for its port.
func (k *cluster) addService(t *testing.T, like map[string]string) {
	t.Helper()
	env, port := maps.Clone(like), freePort(t)
	env["PORT"], env["OWN_ADDRESS"] = port, "http://127.0.0.1:"+port
	k.service, k.services = append(k.service, env), append(k.services, nil)
	k.startService(t, len(k.services)-1)
}

// junk stores other bytes than it is given, as many.
type junk struct{ upload.Store }

type junkBody []byte

func (b junkBody) Size() int64     { return int64(len(b)) }
func (b junkBody) Open() io.Reader { return bytes.NewReader(b) }

func (j junk) Put(ctx context.Context, body blob.Body) (cloud.Ref, error) {
	b := make(junkBody, body.Size())
	_, _ = rand.Read(b) // never fails
	return j.Store.Put(ctx, b)
}

// A service that posts junk, and reports what would be right, is found out before
// anything of it is acknowledged. It gets nothing more, an operator sees it, and the
// upload goes through elsewhere.
func TestEndToEnd_lyingService(t *testing.T) {
	k := startCluster(t, 0, map[string]string{"DISCORD_ATTACHMENT_LIMIT": "1MiB"})
	c := setUp(t, k.base)
	ctx := withTimeout(t, time.Minute)

	store, err := openEngine(discordSettings{
		token: sandboxToken, channels: strings.Split(k.env["DISCORD_CHANNEL_IDS"], ","), api: k.env["DISCORD_API_URL"],
		cdnHosts: []string{strings.TrimSuffix(strings.TrimPrefix(k.env["DISCORD_API_URL"], "http://"), "/api/v10")}, limit: 1 << 20,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	defer server.Close()
	liar := upload.New(upload.Config{
		Worker: worker.Config{
			ManagerURL: strings.Replace(k.base, "http", "ws", 1), Address: server.URL,
			Password: packet.Secret(k.env["SERVICE_PASSWORD"]), Capacity: 4,
		},
		OpenStore: func(packet.Configure) (upload.Store, error) { return junk{store.posts}, nil },
	})
	handler = liar.Handler()
	running, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { _ = liar.Run(running) }) // its end is the test's
	defer done.Wait()
	defer stop()
	c.servicesReady(1)
	c.connect()

	data := content{seed: 7, size: faultFile}
	if _, err := c.upload(ctx, "/", "a", data, packet.ConflictFail); err == nil {
		t.Fatal("an upload to a service that stores junk was acknowledged")
	}
	if _, err := c.lookup(ctx, "/a"); err == nil {
		t.Error("the file is listed")
	}
	until(t, "quarantine", 10*time.Second, func() bool {
		list := c.services(ctx)
		return len(list) == 1 && list[0].Quarantined && list[0].Busy == 0
	})
	if !strings.Contains(k.manager.output(), "upload service quarantined") {
		t.Error("the log does not tell")
	}

	k.addService(t, map[string]string{
		"MANAGER_ADDRESS": strings.Replace(k.base, "http", "ws", 1), "SERVICE_PASSWORD": k.env["SERVICE_PASSWORD"],
	})
	c.servicesReady(2)
	for _, name := range []string{"a", "b", "c"} {
		if _, err := c.upload(ctx, "/", name, data, packet.ConflictFail); err != nil {
			t.Fatalf("upload beside a service in quarantine: %v", err)
		}
		c.verify(ctx, "/"+name, data)
	}
}
