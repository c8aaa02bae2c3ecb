package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/sandbox"
)

// What Discord and its CDN may do to the whole product is tried here, one
// behaviour at a time. What takes long, or needs the inside, is tried elsewhere:
//
//	behaviour                                      where
//	waits as told, other routes go on              pkg/discord TestLimiter_*, here
//	a page in place of an answer, no wait told      pkg/discord TestLimiter_Pauses
//	the breaker, long before a ban                 pkg/discord TestClient_Breaker, TestBreaker
//	an hour of no Discord, in virtual time         pkg/discord TestClient_DownForAnHour
//	a drip of bytes, a silent server               pkg/discord TestPost_Stalls, TestFetch_Stall
//	other hosts, redirects, credentials            pkg/discord TestFetch_Hosts, here
//	answers of 5 MB, other ids, other messages     pkg/discord TestPost_ChecksAnswer, discordblob TestPut_Faults
//	lists that lack, repeat, are out of order      discordblob TestDelete_Many
//	deleting what is gone, old or not to be        pkg/discord TestBulkDelete, discordblob TestDelete_Refused
//	one refresh for all who wait                   discordblob TestGet_SharesRefreshes
//	limits that fall and rise again                pkg/discord TestPost_LimitIsTriedAgain, services/upload TestDiscord_limitFalls, here
//	tokens and channels that are refused           discordblob TestPool_*, TestPut_ChannelsDown, here
//	names, handshakes and certificates that fail   pkg/discord TestReach
//	services that are killed, parts told twice     TestEndToEnd_killed, hub TestPart_*, TestFailure_*
//	services that are stopped, and wake again      TestEndToEnd_stoppedService
//	parts that are told wrongly                    hub TestPart_Lies
//	parts that are not stored as told              hub TestLie_*, TestEndToEnd_lyingService

// faults is a sandbox, as its controls see it.
type faults struct {
	t    *testing.T
	base string
}

func (f *faults) ask(method, path string, in, out any) {
	f.t.Helper()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			f.t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.base+"/sandbox/"+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bot "+sandboxToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		f.t.Fatalf("%s %s: status %d, %s, %v", method, path, answer.StatusCode, text, err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *faults) add(rules ...sandbox.Rule) { f.t.Helper(); f.ask("POST", "faults", rules, nil) }
func (f *faults) clear()                    { f.t.Helper(); f.ask("DELETE", "faults", nil, nil) }

func (f *faults) count(name string) int {
	f.t.Helper()
	var got struct{ Counts map[string]int }
	f.ask("GET", "faults", nil, &got)
	return got.Counts[name]
}

func (f *faults) attachments() []sandbox.StoredAttachment {
	f.t.Helper()
	var all []sandbox.StoredAttachment
	f.ask("GET", "attachments", nil, &all)
	return all
}

const (
	faultPart = 1 << 20
	faultFile = 2*faultPart + 123_456 // three chunks
	postRoute = "/channels/{channel}/messages"
	cdnRoute  = "/attachments/{channel}/{attachment}/{file}"
)

// startFaulty is a server of which every fault is seen.
func startFaulty(t *testing.T) (*serve, *client, *faults) {
	t.Helper()
	s := startServe(t, map[string]string{"DISCORD_ATTACHMENT_LIMIT": "1MiB", "DEBUG_LOGGING": "1"})
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	return s, c, &faults{t, s.sandbox}
}

func TestEndToEnd_faultsOfPosting(t *testing.T) {
	s, c, box := startFaulty(t)
	ctx := withTimeout(t, 80*time.Second)
	rule := func(r sandbox.Rule) sandbox.Rule {
		r.Method, r.Route = "POST", postRoute
		return r
	}
	post := func(seed int) (content, error) {
		data := content{seed: uint64(seed), size: faultFile}
		_, err := c.upload(ctx, "/", fmt.Sprintf("%d.bin", seed), data, packet.ConflictFail)
		return data, err
	}
	if _, err := post(999); err != nil {
		t.Fatal(err)
	}
	open := s.openFiles(t)
	channels := sandboxChannels(t, s.sandbox)
	stored := map[string]content{}
	for i, fault := range []struct {
		name  string
		again bool // more than one message for a chunk may come of it
		rules []sandbox.Rule
	}{
		{"limited in a channel", false, []sandbox.Rule{{Action: sandbox.RateLimit, Times: 3, Delay: 150 * time.Millisecond}}},
		{"limited everywhere", false, []sandbox.Rule{{Action: sandbox.RateLimit, Scope: "global", Times: 2, Delay: 200 * time.Millisecond}}},
		{"limited as others are", false, []sandbox.Rule{{Action: sandbox.RateLimit, Scope: "shared", Times: 2, Delay: 100 * time.Millisecond}}},
		{"limits untold", false, []sandbox.Rule{{Action: sandbox.NoHeaders}}},
		{"limits under other names", false, []sandbox.Rule{{Action: sandbox.NewBucket}}},
		{"errors in front of the message", false, []sandbox.Rule{
			{Action: sandbox.Error, Status: 500, Times: 1}, {Action: sandbox.Error, Status: 503, HTML: true, Times: 1}, {Action: sandbox.Error, Status: 522, Times: 1},
		}},
		{"answers lost", false, []sandbox.Rule{{Action: sandbox.Drop, After: true, Times: 2}}},
		{"errors behind the message", false, []sandbox.Rule{{Action: sandbox.Error, Status: 502, After: true, Times: 2}}},
		{"answers lost, nonce forgotten", true, []sandbox.Rule{{Action: sandbox.Drop, After: true, Times: 1}, {Action: sandbox.IgnoreNonce}}},
		{"cut within the body", false, []sandbox.Rule{{Action: sandbox.Drop, At: 300_000, Times: 2}}},
		{"a pause within the body", false, []sandbox.Rule{{Action: sandbox.Delay, At: 300_000, Times: 2, Delay: 700 * time.Millisecond}}},
		{"answers without attachments", true, []sandbox.Rule{{Action: sandbox.NoAttachments, Times: 1}}},
		{"answers with other sizes", true, []sandbox.Rule{{Action: sandbox.WrongSize, Times: 1}}},
		{"answers with much else", false, []sandbox.Rule{{Action: sandbox.Pad, At: 1 << 20}}},
		{"other names", false, []sandbox.Rule{{Action: sandbox.Rename}}},
		{"messages that show late", false, []sandbox.Rule{{Action: sandbox.Lag, Delay: 500 * time.Millisecond, Times: 1}}},
		{"channels closed", false, []sandbox.Rule{
			{Action: sandbox.Error, Status: 403, Code: 50013, Channel: channels[0]},
			{Action: sandbox.Error, Status: 403, Code: 50001, Channel: channels[1]},
			{Action: sandbox.Error, Status: 404, Code: 10003, Channel: channels[2]},
		}},
		{"smaller attachments", true, []sandbox.Rule{{Action: sandbox.FileLimit, At: faultPart / 2}}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			before := len(box.attachments())
			for j := range fault.rules {
				fault.rules[j] = rule(fault.rules[j])
				fault.rules[j].Name = fault.name
			}
			box.add(fault.rules...)
			data, err := post(i)
			if err != nil {
				t.Fatalf("upload: %v", err)
			}
			if box.count(fault.name) == 0 {
				t.Error("the fault was not met")
			}
			box.clear()
			stored[fmt.Sprintf("/%d.bin", i)] = data
			if n := len(box.attachments()) - before; n != 3 && !fault.again || n < 3 {
				t.Errorf("%d attachments for three chunks", n)
			}
		})
	}
	// Everything that was acknowledged is there, and nothing hangs.
	for path, data := range stored {
		c.verify(ctx, path, data)
	}
	c.idle(ctx)
	s.checkAfterFaults(t, box, open)
}

func TestEndToEnd_faultsOfReading(t *testing.T) {
	s, c, box := startFaulty(t)
	ctx := withTimeout(t, 80*time.Second)
	data := content{seed: 1, size: faultFile}
	for _, name := range []string{"a", "b"} {
		if _, err := c.upload(ctx, "/", name, data, packet.ConflictFail); err != nil {
			t.Fatal(err)
		}
	}
	c.verify(ctx, "/a", data)
	open := s.openFiles(t)
	for _, fault := range []struct {
		name  string
		rules []sandbox.Rule
	}{
		{"cut short", []sandbox.Rule{{Action: sandbox.Truncate, Times: 3}}},
		{"cut short, and said so", []sandbox.Rule{{Action: sandbox.Truncate, Length: "short", Times: 2}}},
		{"cut short in chunks", []sandbox.Rule{{Action: sandbox.Truncate, Length: "chunked", Times: 2}}},
		{"a bit flipped", []sandbox.Rule{{Action: sandbox.Flip, Times: 2}}},
		{"another's bytes", []sandbox.Rule{{Action: sandbox.Swap, Times: 2}}},
		{"compressed unasked", []sandbox.Rule{{Action: sandbox.Gzip, Times: 1}}},
		{"a page with status 200", []sandbox.Rule{{Action: sandbox.Error, Status: 200, HTML: true, Times: 1}}},
		{"server errors", []sandbox.Rule{{Action: sandbox.Error, Status: 503, Times: 2}}},
		{"the range ignored", []sandbox.Rule{{Action: sandbox.IgnoreRange, Times: 3}}},
		{"another range", []sandbox.Rule{{Action: sandbox.WrongRange, Times: 2}}},
		{"the range refused", []sandbox.Rule{{Action: sandbox.Error, Status: 416, Times: 1}}},
		{"a link that expired", []sandbox.Rule{{Action: sandbox.Expire, Times: 1}}},
		{"a link that is refused", []sandbox.Rule{{Action: sandbox.Error, Status: 403, HTML: true, Times: 1}}},
		{"limited", []sandbox.Rule{{Action: sandbox.RateLimit, Times: 2, Delay: 200 * time.Millisecond}}},
		{"a pause", []sandbox.Rule{{Action: sandbox.Stall, At: 70_000, Delay: time.Second, Times: 2}}},
		{"cut off", []sandbox.Rule{{Action: sandbox.Drop, Times: 2}}},
		{"a link that expired, and no refreshing", []sandbox.Rule{
			{Action: sandbox.Expire, Times: 1}, {Method: "POST", Route: "/attachments/refresh-urls", Action: sandbox.Error, Status: 404, Times: 1},
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			for j := range fault.rules {
				if fault.rules[j].Route == "" {
					fault.rules[j].Method, fault.rules[j].Route = "GET", cdnRoute
				}
				fault.rules[j].Name = fault.name
			}
			box.add(fault.rules...)
			c.verify(ctx, "/a", data)
			if box.count(fault.name) == 0 {
				t.Error("the fault was not met")
			}
			box.clear()
		})
	}
	c.idle(ctx)
	s.checkAfterFaults(t, box, open)

	// What the store really lacks is told, and is never half a file that looks whole.
	t.Run("bytes that are gone", func(t *testing.T) {
		all := box.attachments()
		box.ask("POST", "corrupt", map[string]any{"attachment": all[0].ID, "at": 70_000}, nil)
		box.ask("DELETE", "messages/"+all[len(all)-1].MessageID, nil, nil)
		failed := 0
		for _, name := range []string{"/a", "/b"} {
			e, err := c.lookup(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			sum, n, err := c.download(ctx, e.ID)
			if err != nil {
				failed++
			} else if n != data.size || sum != data.sum(t) {
				t.Errorf("%s: %d wrong bytes, and a clean end", name, n)
			}
		}
		if failed == 0 {
			t.Error("nobody missed the bytes")
		}
	})
}

// Neither the API nor the CDN lead the server to another host.
func TestEndToEnd_redirects(t *testing.T) {
	_, c, box := startFaulty(t)
	ctx := withTimeout(t, 60*time.Second)
	var visits atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer trap.Close()
	data := content{seed: 1, size: faultFile}
	box.add(sandbox.Rule{Name: "away", Route: "/*", Action: sandbox.Redirect, Text: trap.URL + "/trap", Times: 1})
	if _, err := c.upload(ctx, "/", "a", data, packet.ConflictFail); err == nil {
		c.verify(ctx, "/a", data)
	}
	box.clear()
	if _, err := c.upload(ctx, "/", "b", data, packet.ConflictFail); err != nil {
		t.Fatalf("upload after a redirect: %v", err)
	}
	box.add(sandbox.Rule{Name: "away", Route: "/attachments/*", Action: sandbox.Redirect, Text: trap.URL + "/trap", Times: 1})
	c.verify(ctx, "/b", data)
	if n := box.count("away"); n < 2 {
		t.Errorf("%d redirects were met", n)
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("the other host was visited %d times", n)
	}
}

// Of two bots one is refused: the other goes on, and reads what the first wrote.
func TestEndToEnd_tokenRefused(t *testing.T) {
	boxPort, port := freePort(t), freePort(t)
	box := &faults{t, "http://127.0.0.1:" + boxPort}
	start(t, map[string]string{"DATA_DIR": t.TempDir(), "SANDBOX_PORT": boxPort, "SANDBOX_TOKEN": sandboxToken}, "sandbox")
	var channels []string
	until(t, "the sandbox", 20*time.Second, func() bool {
		channels = sandboxChannels(t, box.base)
		return len(channels) > 0
	})
	var second struct{ Token string }
	box.ask("POST", "bots", map[string]string{"name": "second"}, &second)
	for _, token := range []string{sandboxToken, second.Token} {
		box.ask("PATCH", "settings", map[string]any{"message_content": map[string]any{"token": token, "on": false}}, nil)
	}
	dir := t.TempDir()
	p := start(t, map[string]string{
		"DATA_DIR": dir, "MANAGER_PORT": port, "DISCORD_BOT_TOKEN": sandboxToken + ", " + second.Token, "DEBUG_LOGGING": "1",
		"DISCORD_CHANNEL_IDS": strings.Join(channels, ","), "DISCORD_API_URL": box.base + "/api/v10", "DISCORD_ATTACHMENT_LIMIT": "1MiB",
	}, "serve")
	base := "http://127.0.0.1:" + port
	p.healthy(base)
	c := setUp(t, base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 60*time.Second)
	data := content{seed: 1, size: 12*faultPart + 5}
	if _, err := c.upload(ctx, "/", "before", data, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(second.Token, ".")
	bot, err := base64.RawStdEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	box.add(sandbox.Rule{Name: "refused", Route: "/*", Bot: string(bot), Action: sandbox.Error, Status: 401})
	for _, name := range []string{"during", "after"} {
		if _, err := c.upload(ctx, "/", name, data, packet.ConflictFail); err != nil {
			t.Fatalf("upload: %v", err)
		}
	}
	refused := box.count("refused")
	if refused == 0 || refused > 5*len(channels) { // as many as may have been on their way
		t.Errorf("Discord refused %d requests", refused)
	}
	for _, name := range []string{"/before", "/during", "/after"} {
		c.verify(ctx, name, data)
	}
	if n := box.count("refused"); n != refused {
		t.Errorf("the token was used again: %d refusals, then %d", refused, n)
	}
	var debug struct {
		Discord struct{ Bots []struct{ Blocked bool } }
		Blobs   struct{ Lanes []struct{ Out string } }
	}
	c.must(c.do(ctx, "GET", "/api/debug", nil, &debug))
	if b := debug.Discord.Bots; len(b) != 2 || b[0].Blocked || !b[1].Blocked {
		t.Errorf("the state of the bots is %+v", b)
	}
	if n := strings.Count(p.output(), "Discord refuses the bot token"); n != 1 {
		t.Errorf("the log tells it %d times, want once", n)
	}
	for _, token := range []string{sandboxToken, second.Token} {
		if strings.Contains(p.output(), token) {
			t.Error("the log holds a token")
		}
	}
}

// idle waits until nothing is on its way to Discord any more.
func (c *client) idle(ctx context.Context) {
	c.t.Helper()
	var debug struct {
		Blobs struct {
			Waiting int
			Lanes   []struct{ Messages int }
		}
	}
	until(c.t, "an idle engine", 10*time.Second, func() bool {
		c.must(c.do(ctx, "GET", "/api/debug", nil, &debug))
		busy := debug.Blobs.Waiting
		for _, l := range debug.Blobs.Lanes {
			busy += l.Messages
		}
		return busy == 0
	})
}

// openFiles counts the process's open files and sockets.
func (s *serve) openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// checkAfterFaults holds what lies in Discord, what was logged and what is open
// against what must be true whatever has happened.
func (s *serve) checkAfterFaults(t *testing.T, box *faults, open int) {
	t.Helper()
	// Attachments with one head, in which the salt is, are the same attachment sent
	// again: no key was used for two contents.
	seen := map[string][32]byte{}
	for _, a := range box.attachments() {
		b, err := os.ReadFile(a.Path)
		if err != nil {
			t.Fatal(err)
		}
		head, sum := string(b[:128]), sha256.Sum256(b)
		if old, ok := seen[head]; ok && old != sum {
			t.Errorf("attachment %s has the head of another", a.ID)
		}
		seen[head] = sum
	}
	for _, secret := range []string{s.token, "hm=", adminPassword, s.setting(t, "MESSAGE_ENCRYPTION_KEY")} {
		if strings.Contains(s.output(), secret) {
			t.Errorf("the log holds a secret that begins %.4q", secret)
		}
	}
	// Idle connections are kept for a while: 64 to each of two hosts at most.
	if n := s.openFiles(t); n > open+64 {
		t.Errorf("%d files are open, %d were before", n, open)
	}
}
