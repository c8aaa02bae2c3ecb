//go:build linux

package jail_test

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"discordcloud/services/thumbnail/jail"
)

// A child that is not a decoder any more can do nothing with what it has found:
// it reads no file and changes none, reaches nobody, and sees no other process.
// In the test's process all of it succeeds, or it would prove nothing.
func TestRun_escape(t *testing.T) {
	dir, err := os.MkdirTemp("", "out") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("a key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	local, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	for network, address := range map[string]net.Addr{"tcp": tcp.Addr(), "udp": udp.LocalAddr(), "unix": local.Addr()} {
		c, err := net.Dial(network, address.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	object, err := json.Marshal(map[string]any{
		"File": secret, "Folder": dir, "TCP": tcp.Addr().String(), "UDP": udp.LocalAddr().String(), "Unix": local.Addr().String(), "Process": os.Getpid(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, weaken := range map[string]func(*jail.Jail){"as isolated as can be": func(*jail.Jail) {}, "without namespaces": jail.Weaken} {
		t.Run(name, func(t *testing.T) {
			j := child(t, "escape")
			weaken(j)
			r, err := j.Run(t.Context(), job(int64(len(object)), ""), bytes.NewReader(object))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Lacks) > 0 {
				t.Skipf("this system lacks %v", r.Lacks)
			}
			if r.Reason != "done: " {
				t.Errorf("a child has %s", r.Reason)
			}
		})
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "a key" {
		t.Errorf("the file outside is %q, %v", b, err)
	}
}

// Where the system permits no namespaces, what has to seek in the object reaches
// it all the same.
func TestRun_withoutNamespaces(t *testing.T) {
	for _, s := range samples() {
		if s.name != "mp4" && s.name != "jpeg-large" && s.name != "pdf" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			j := child(t, "decode")
			jail.Weaken(j)
			r, err := show(t, j, s.file(t), s.kind)
			if all := images(t, r, err); s.want != nil {
				alike(t, all[256], s.want)
			}
		})
	}
}
