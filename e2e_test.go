package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/packet"
)

// partSize is what a manager hands out at Discord's default limit.
var partSize = chunk.PlainMax(10 << 20)

// serve starts everything in one process, on fixed ports, on dir.
type serve struct {
	*process
	dir, base, sandbox, token string
	env                       map[string]string
}

const sandboxToken = "MTAwMDAwMDAwMDAwMDAwMDAx.sandbx.e2e-tests-of-the-whole-system-0001"

func startServe(t *testing.T, extra map[string]string) *serve {
	t.Helper()
	s := &serve{dir: t.TempDir(), token: sandboxToken}
	port, box := freePort(t), freePort(t)
	s.base, s.sandbox = "http://127.0.0.1:"+port, "http://127.0.0.1:"+box
	s.env = map[string]string{"DATA_DIR": s.dir, "MANAGER_PORT": port, "SANDBOX_PORT": box, "SANDBOX_TOKEN": s.token}
	for k, v := range extra {
		s.env[k] = v
	}
	s.again(t)
	return s
}

func (s *serve) again(t *testing.T) {
	t.Helper()
	s.process = start(t, s.env, "serve")
	s.healthy(s.base)
}

func (s *serve) setting(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join(s.dir, envFileName))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), name+"="); ok {
			return v
		}
	}
	t.Fatalf("no %s in the settings file", name)
	return ""
}

// servicesReady waits until the manager has n upload services.
func (c *client) servicesReady(n int) {
	c.t.Helper()
	until(c.t, fmt.Sprintf("%d upload services", n), 20*time.Second, func() bool {
		var got struct{ Services []struct{ Type string } }
		if err := c.do(c.t.Context(), "GET", "/api/services", nil, &got); err != nil {
			return false
		}
		uploads := 0
		for _, s := range got.Services {
			if s.Type == packet.ServiceUpload {
				uploads++
			}
		}
		return uploads == n
	})
}

func TestEndToEnd_everySizeComesBack(t *testing.T) {
	s := startServe(t, nil)
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 3*time.Minute)
	c.book(ctx, 3)
	for i, size := range []int64{0, 1, partSize - 1, partSize, partSize + 1, 2 * partSize, 3*partSize + 500} {
		data := content{seed: uint64(i), size: size}
		name := fmt.Sprintf("%d.bin", size)
		got, err := c.upload(ctx, "/sizes", name, data, packet.ConflictFail)
		if err != nil || got != name {
			t.Fatalf("upload of %d bytes: %q, %v", size, got, err)
		}
		c.verify(ctx, "/sizes/"+name, data)
	}
	// It is all still there after a restart of everything.
	s.stop()
	s.again(t)
	c = signIn(t, s.base, adminName, adminPassword)
	c.verify(ctx, fmt.Sprintf("/sizes/%d.bin", 3*partSize+500), content{seed: 6, size: 3*partSize + 500})
}

func TestEndToEnd_names(t *testing.T) {
	s := startServe(t, nil)
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 2*time.Minute)
	c.book(ctx, 3)
	for i, name := range []string{
		"日本語のファイル.txt", "🦀🐈‍⬛ emoji.bin", "Müsli \"quoted\" 'n' <b>.html", "%2e%2e%2f.txt", "a;b,c=d&e#f?g",
		strings.Repeat("x", 255), strings.Repeat("é", 127), " . x",
	} {
		data := content{seed: uint64(100 + i), size: int64(1000 + i)}
		if _, err := c.upload(ctx, "/名前/ö", name, data, packet.ConflictFail); err != nil {
			t.Errorf("upload %q: %v", name, err)
			continue
		}
		c.verify(ctx, "/名前/ö/"+name, data)
	}
	// The same name in decomposed form is the same name.
	if _, err := c.upload(ctx, "/名前/ö", "Mu\u0308sli \"quoted\" 'n' <b>.html", content{seed: 1, size: 10}, packet.ConflictFail); err == nil {
		t.Error("the decomposed form of a taken name was taken as another")
	}
	c.verify(ctx, "/名前/o\u0308/"+strings.Repeat("e\u0301", 127), content{seed: 106, size: 1006})
	for _, bad := range []string{"", ".", "..", "a/b", "a\x00b", "a\nb", "\u202egnp.exe", strings.Repeat("x", 256)} {
		if _, err := c.upload(ctx, "/", bad, content{seed: 1, size: 10}, packet.ConflictFail); err == nil {
			t.Errorf("the name %q was accepted", bad)
		}
	}
	// 128 levels are the limit.
	deep := strings.Repeat("/d", 128)
	data := content{seed: 7, size: 777}
	if _, err := c.upload(ctx, strings.Repeat("/d", 64), "bottom", data, packet.ConflictFail); err != nil {
		t.Errorf("64 levels: %v", err)
	}
	c.verify(ctx, strings.Repeat("/d", 64)+"/bottom", data)
	if _, err := c.upload(ctx, deep, "too deep", data, packet.ConflictFail); err == nil {
		t.Error("a file below 128 levels was accepted")
	}
}

// What lies in Discord opens with the master key and nothing else, and is noise
// to everybody who has not got it.
func TestEndToEnd_noiseInDiscord(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is needed for the independent reader")
		}
		t.Skip("node is not installed: the independent reader needs it")
	}
	s := startServe(t, nil)
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, time.Minute)
	c.book(ctx, 1)
	data := content{seed: 42, size: 2*partSize + 12345}
	if _, err := c.upload(ctx, "/secret folder", "secret name.txt", data, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, data.size)
	if _, err := data.ReadAt(plain, 0); err != nil {
		t.Fatal(err)
	}
	key := s.setting(t, "MESSAGE_ENCRYPTION_KEY")
	found := map[int]bool{}
	rebuilt := make([]byte, data.size)
	for _, m := range s.messages(t) {
		for _, secret := range []string{"secret", "folder", ".txt", adminName} {
			if strings.Contains(string(m.raw), secret) {
				t.Errorf("the message tells %q: %s", secret, m.raw)
			}
		}
		if m.Content != "" {
			t.Errorf("the message has text: %q", m.Content)
		}
		for _, a := range m.Attachments {
			sealed := get(t, a.URL)
			if int64(len(sealed)) != a.Size {
				t.Errorf("attachment of %d bytes has %d", a.Size, len(sealed))
			}
			if bytes.Contains(sealed, plain[1000:1032]) || bytes.Contains(sealed, []byte("secret")) {
				t.Error("plain bytes lie in Discord")
			}
			dir := t.TempDir()
			in, out := filepath.Join(dir, "sealed"), filepath.Join(dir, "plain")
			if err := os.WriteFile(in, sealed, 0o600); err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			cmd := exec.CommandContext(ctx, node, "testdata/reader.mjs", key, in, out)
			cmd.Stderr = &errs
			answer, err := cmd.Output()
			if err != nil {
				t.Fatalf("the independent reader: %v: %s", err, errs.String())
			}
			var opened struct {
				Header struct {
					Index, Kind     int
					Offset, Payload int64
					Size            *int64
					Final           bool
				}
				Extension *struct{ Name, Path, Owner, Type, Created string }
			}
			if err := json.Unmarshal(answer, &opened); err != nil {
				t.Fatal(err)
			}
			h := opened.Header
			if h.Kind != 0 || h.Size == nil || *h.Size != data.size || h.Final != (h.Offset+h.Payload == data.size) {
				t.Errorf("header %s", answer)
			}
			if (h.Index == 0) != (opened.Extension != nil) {
				t.Errorf("chunk %d: extension %v", h.Index, opened.Extension)
			}
			if x := opened.Extension; x != nil && (x.Name != "secret name.txt" || x.Path != "/secret folder" || x.Owner != adminName) {
				t.Errorf("extension %+v", *x)
			}
			piece, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			copy(rebuilt[h.Offset:], piece)
			found[h.Index] = true
			// With another key it does not open.
			if err := exec.CommandContext(ctx, node, "testdata/reader.mjs", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", in, out).Run(); err == nil {
				t.Error("it opens with another master key")
			}
		}
	}
	if len(found) != 3 || !bytes.Equal(rebuilt, plain) {
		t.Errorf("%d chunks found, content rebuilt: %v", len(found), bytes.Equal(rebuilt, plain))
	}
}

type storedMessage struct {
	raw         []byte
	ID          string
	Content     string
	Attachments []struct {
		ID, URL string
		Size    int64
	}
}

// messages lists everything in the sandbox, as a bot with the token sees it.
func (s *serve) messages(t *testing.T) []storedMessage {
	t.Helper()
	ask := func(path string, out any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.sandbox+"/api/v10"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bot "+s.token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != 200 {
			t.Fatalf("%s: status %d", path, answer.StatusCode)
		}
		if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
	var guilds, channels []struct {
		ID   string
		Type int
	}
	var all []storedMessage
	ask("/users/@me/guilds", &guilds)
	for _, g := range guilds {
		ask("/guilds/"+g.ID+"/channels", &channels)
		for _, c := range channels {
			if c.Type != 0 {
				continue
			}
			var raw []json.RawMessage
			ask("/channels/"+c.ID+"/messages?limit=100", &raw)
			for _, text := range raw {
				m := storedMessage{raw: text}
				if err := json.Unmarshal(text, &m); err != nil {
					t.Fatal(err)
				}
				all = append(all, m)
			}
		}
	}
	return all
}

func get(t *testing.T, address string) []byte {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("status %d, %v", r.StatusCode, err)
	}
	return body
}

func TestEndToEnd_keys(t *testing.T) {
	s := startServe(t, nil)
	setUp(t, s.base)
	s.stop()
	file := filepath.Join(s.dir, envFileName)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the settings file has mode %v, %v", info.Mode(), err)
	}

	refused := func(name string, reasons ...string) {
		t.Helper()
		p := start(t, s.env, "serve")
		code := p.exited()
		if code != exitConfig && code != exitFailed {
			t.Errorf("%s: exit code %d", name, code)
		}
		for _, reason := range reasons {
			if !strings.Contains(p.output(), reason) {
				t.Errorf("%s: %q is not said:\n%s", name, reason, p.output())
			}
		}
	}
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	refused("keys lost", "keys are missing", "MESSAGE_ENCRYPTION_KEY")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error("new keys were made over an existing store")
	}
	other := strings.Replace(string(text), "MESSAGE_ENCRYPTION_KEY="+s.settingOf(text, "MESSAGE_ENCRYPTION_KEY"), "MESSAGE_ENCRYPTION_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", 1)
	write(other, 0o600)
	refused("another key", "does not hold the key")
	write(strings.Replace(string(text), "SERVICE_PASSWORD=", "NOTHING=", 1), 0o600)
	refused("one secret missing", "SERVICE_PASSWORD: missing")
	write(string(text), 0o644)
	refused("readable by others", "chmod 600")
	write(string(text), 0o600)
	s.env["MANAGER_PORT"], s.env["SANDBOX_LIMITS"] = "80a", "soft"
	refused("bad settings", "MANAGER_PORT: \"80a\"", "SANDBOX_LIMITS: \"soft\"")
	delete(s.env, "SANDBOX_LIMITS")
	s.env["MANAGER_PORT"] = strings.TrimPrefix(s.base, "http://127.0.0.1:")
	// A new key in front of the old one is a rotation.
	old := s.settingOf(text, "MESSAGE_ENCRYPTION_KEY")
	write(strings.Replace(string(text), "="+old, "=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,"+old, 1), 0o600)
	s.again(t)
	s.stop()
}

func (s *serve) settingOf(text []byte, name string) string {
	for _, line := range strings.Split(string(text), "\n") {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return v
		}
	}
	return ""
}
