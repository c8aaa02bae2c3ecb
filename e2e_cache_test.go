package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/sandbox"
)

// What was read once is read from disk, also after a restart, and what the disk
// spoils comes from Discord again.
func TestEndToEnd_cache(t *testing.T) {
	s := startServe(t, map[string]string{"CACHE_SIZE": "64MiB"})
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 60*time.Second)
	data := content{seed: 1, size: partSize + 1_000_000}
	if _, err := c.upload(ctx, "/", "a", data, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	c.verify(ctx, "/a", data)
	box := &faults{t, s.sandbox}
	fetches := func() int {
		return box.count("fetch")
	}
	// Every fetch from the CDN is counted, and delayed by nothing.
	box.add(sandbox.Rule{Name: "fetch", Method: "GET", Route: cdnRoute, Action: sandbox.Delay, Delay: time.Nanosecond})
	c.verify(ctx, "/a", data)
	if n := fetches(); n != 0 {
		t.Errorf("%d fetches for what was read before", n)
	}
	s.stop()
	s.again(t)
	box.add(sandbox.Rule{Name: "fetch", Method: "GET", Route: cdnRoute, Action: sandbox.Delay, Delay: time.Nanosecond})
	c = signIn(t, s.base, adminName, adminPassword)
	c.verify(ctx, "/a", data)
	if n := fetches(); n != 0 {
		t.Errorf("%d fetches after a restart for what was read before", n)
	}
	blocks, err := filepath.Glob(filepath.Join(s.dir, "cache", "sealed", "*"))
	if err != nil || len(blocks) < 40 {
		t.Fatalf("%d blocks on disk, %v", len(blocks), err)
	}
	for i, path := range blocks {
		b, err := os.ReadFile(path)
		if err == nil && i%3 == 0 {
			b[len(b)/2] ^= 1
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.verify(ctx, "/a", data)
	if n := fetches(); n == 0 {
		t.Error("what the disk had spoiled was not fetched again")
	}
}
