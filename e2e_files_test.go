//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"discordcloud/pkg/packet"
)

// shell is a user at a command line, signed in to a server.
type shell struct {
	t       *testing.T
	session string
	dir     string // where local files are
}

func newShell(t *testing.T, s *serve) *shell {
	t.Helper()
	sh := &shell{t: t, session: filepath.Join(t.TempDir(), "kept", "session.json"), dir: t.TempDir()}
	sh.wants(adminPassword+"\n", "signed in to "+s.base+" as "+adminName, "login", s.base, adminName)
	return sh
}

func (sh *shell) env() map[string]string {
	return map[string]string{"DISCORD_CLOUD_SESSION": sh.session}
}

// wants runs a command that has to succeed and print the text.
func (sh *shell) wants(in, text string, args ...string) string {
	sh.t.Helper()
	out, code := runBinary(sh.t, sh.env(), in, args...)
	if code != 0 || !strings.Contains(out, text) {
		sh.t.Fatalf("%v: exit code %d, want 0 with %q in:\n%s", args, code, text, out)
	}
	return out
}

// refused runs a command that has to fail with the text.
func (sh *shell) refused(text string, args ...string) {
	sh.t.Helper()
	if out, code := runBinary(sh.t, sh.env(), "", args...); code != exitFailed || !strings.Contains(out, text) {
		sh.t.Errorf("%v: exit code %d, want %d with %q in:\n%s", args, code, exitFailed, text, out)
	}
}

// write makes a local file, and gives its path.
func (sh *shell) write(name string, data content) string {
	sh.t.Helper()
	path := filepath.Join(sh.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		sh.t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		sh.t.Fatal(err)
	}
	if _, err := f.ReadFrom(data.reader()); err != nil {
		sh.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		sh.t.Fatal(err)
	}
	return path
}

// same wants two local trees to have the same files with the same bytes and times.
func (sh *shell) same(a, b string) {
	sh.t.Helper()
	tree := func(root string) map[string]string {
		all := map[string]string{}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil || d.IsDir() {
				all[name+"/"] = ""
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			all[name] = fmt.Sprintf("%d bytes of %d: %.200x", len(text), info.ModTime().UnixMilli(), text)
			return err
		})
		if err != nil {
			sh.t.Fatal(err)
		}
		return all
	}
	x, y := tree(a), tree(b)
	for name := range x {
		if x[name] != y[name] {
			sh.t.Errorf("%s: %.80q here, %.80q there", name, x[name], y[name])
		}
	}
	if len(x) != len(y) {
		sh.t.Errorf("%d files and folders here, %d there", len(x), len(y))
	}
}

// A tree goes up and comes back by the command line as it was, is not moved twice,
// and is worked with in between.
func TestEndToEnd_commandLine(t *testing.T) {
	t.Parallel()
	s := startServe(t, nil)
	c := setUp(t, s.base)
	c.servicesReady(3)
	if out, code := runBinary(t, nil, "wrong\n", "login", s.base, adminName); code != exitFailed || !strings.Contains(out, "wrong name or password") {
		t.Errorf("a wrong password: %d, %s", code, out)
	}
	sh := newShell(t, s)
	if info, err := os.Stat(sh.session); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the sign-in is kept with mode %v, %v", info.Mode(), err)
	}
	sh.write("tree/large.bin", content{seed: 1, size: 2*partSize + 5})
	sh.write("tree/empty", content{})
	sh.write("tree/Ünder/ä 🌊.txt", content{seed: 2, size: 70_000})
	for i := range 20 {
		sh.write(fmt.Sprintf("tree/Ünder/%d", i), content{seed: uint64(i), size: int64(i) * 1000})
	}
	if err := os.Mkdir(filepath.Join(sh.dir, "tree", "nothing in it"), 0o700); err != nil {
		t.Fatal(err)
	}
	tree, back := filepath.Join(sh.dir, "tree"), filepath.Join(sh.dir, "back")
	sh.wants("", "uploaded 23 files, ", "put", tree, "/Kept/here")
	sh.wants("", "uploaded 0 files, 0 B", "put", tree, "/Kept/here")
	sh.wants("", "downloaded 23 files, ", "get", "/Kept/here/tree", "-C", back)
	sh.wants("", "23 files left out", "get", "/Kept/here/tree", "-C", back)
	sh.same(tree, filepath.Join(back, "tree"))

	// What is another one by now is touched if that is wanted, and not before.
	changed := content{seed: 3, size: 70_000}
	name := sh.write("tree/Ünder/ä 🌊.txt", changed)
	const path = "/Kept/here/tree/Ünder/ä 🌊.txt"
	sh.refused("the server has another one of this name", "put", tree, "/Kept/here")
	sh.wants("", "uploaded 0 files", "put", tree, "/Kept/here", "--on-conflict", "skip")
	sh.wants("", "uploaded 1 file,", "put", tree, "/Kept/here", "--on-conflict", "overwrite")
	c.verify(t.Context(), path, changed)
	sh.wants("", "uploaded 1 file,", "put", sh.write("other/ä 🌊.txt", content{seed: 4, size: 9}), "Kept/here/tree/Ünder/", "--on-conflict", "rename")
	sh.refused("something else has this name here", "get", "/Kept/here/tree", "-C", back)
	sh.wants("", "downloaded 1 file,", "get", "/Kept/here/tree", "-C", back, "--on-conflict", "overwrite")
	if text, err := os.ReadFile(name); err != nil || sh.wants("", "", "cat", path) != string(text) {
		t.Errorf("cat writes something else (%v)", err)
	}

	if out := sh.wants("", "large.bin", "ls", "-l", "/Kept/here/tree"); !strings.Contains(out, "Ünder/") || !strings.Contains(out, "20 MiB") {
		t.Error(out)
	}
	sh.wants("", `"name":"empty","kind":"file","size":0`, "ls", "--json", "/Kept/here/tree")
	sh.wants("", "", "mkdir", "/Other/deep")
	sh.wants("", "", "mkdir", "/Open/deep", "--public")
	for path, public := range map[string]bool{"/Kept": false, "/Kept/here/tree": false, "/Other": false, "/Other/deep": false, "/Open": true, "/Open/deep": true} {
		if e, err := c.lookup(t.Context(), path); err != nil || e.Public != public {
			t.Errorf("%s: %v; public %v, want %v", path, err, e.Public, public)
		}
	}
	sh.wants("", "", "mv", "/Kept/here/tree/large.bin", "/Other/renamed.bin")
	sh.wants("", "", "mv", "/Other/renamed.bin", "/Kept/here/tree/empty", "/Other/deep")
	sh.wants("", "", "cp", "/Other/deep/renamed.bin", "/Kept")
	sh.refused("already", "cp", "/Other/deep/renamed.bin", "/Kept")
	if out := sh.wants("", "", "find", "renamed"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "/Other/deep/renamed.bin\n") {
		t.Error(out)
	}
	_, command, ok := strings.Cut(sh.wants("", "deleted 2 files in 1 folder", "rm", "/Other/deep"), "discord-cloud undelete ")
	if !ok {
		t.Fatal("rm does not tell how to take it back")
	}
	sh.wants("", "/Other/deep/", "trash")
	sh.wants("", "deep/", append([]string{"undelete"}, strings.Fields(command)...)...)
	c.verify(t.Context(), "/Other/deep/renamed.bin", content{seed: 1, size: 2*partSize + 5})
	if link := strings.TrimSpace(sh.wants("", s.base+"/s/", "link", "/Kept/renamed.bin", "--expires", "1h")); len(get(t, link+"/download")) != int(2*partSize+5) {
		t.Error("the link has something else")
	}

	for _, wrong := range [][]string{
		{"/nowhere is not there", "ls", "/nowhere"}, {"is not there", "get", "/nowhere"}, {"is a folder", "cat", "/Kept"},
		{"top folder", "rm", "/"}, {"no such file", "put", filepath.Join(sh.dir, "nowhere"), "/"}, {"not a folder", "mv", "/Kept", "/Other", "/nowhere"},
		{"where to?", "cp", "/Kept"}, {"in the trash", "undelete", "999999"}, {"plain http", "login", "http://cloud.example.org"}, {"not the address", "login", "ftp://x"},
	} {
		sh.refused(wrong[0], wrong[1:]...)
	}
	var offer struct{ State, Secret string }
	c.must(c.do(t.Context(), "POST", "/api/factors/totp", map[string]any{"password": adminPassword}, &offer))
	code, err := totp.GenerateCode(offer.Secret, time.Now())
	c.must(err)
	var set struct {
		Codes []string `json:"recovery_codes"`
	}
	c.must(c.do(t.Context(), "POST", "/api/factors/totp/confirm", map[string]any{"state": offer.State, "code": code}, &set))
	sh.wants(adminName+"\n"+adminPassword+"\n"+set.Codes[0]+"\n", "signed in", "login", s.base)
	sh.wants("", "Kept/", "ls")

	sh.wants("", "signed out", "logout")
	sh.refused("not signed in", "ls")
	if _, err := os.Stat(sh.session); err == nil {
		t.Error("the sign-in is still there")
	}
}

// A put and a get that are killed go on when they are run again; a server that is
// killed under a put does not end it. Another file of the same name and size is not
// mixed up with the one before.
func TestEndToEnd_commandLineKilled(t *testing.T) {
	t.Parallel()
	s := startServe(t, map[string]string{"SANDBOX_LIMITS": "live", "SANDBOX_CHANNELS": "1"})
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 2*time.Minute)
	sh := newShell(t, s)
	data := content{seed: 1, size: 7*partSize + 1}
	path := sh.write("film.bin", data)
	run := func(args ...string) *process {
		binary, err := builtBinary()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "DISCORD_CLOUD_SESSION="+sh.session)
		return launch(t, cmd)
	}
	// stored waits until some of a file is, and tells which parts.
	stored := func(name string) (u packet.PendingUpload) {
		t.Helper()
		until(t, "a part of "+name, 20*time.Second, func() bool {
			reply, err := c.call(ctx, packet.UploadsRequest{})
			if err != nil {
				return false
			}
			for _, u = range reply.(packet.Uploads).Uploads {
				if u.Name == name && len(u.Confirmed) > 0 {
					return true
				}
			}
			return false
		})
		return u
	}
	put := run("put", path, "/")
	first := stored("film.bin")
	c.must(put.cmd.Process.Signal(os.Interrupt))
	if code := put.exited(); code != exitInterrupted {
		t.Errorf("interrupted, put ends with %d:\n%s", code, put.output())
	}
	until(t, "the server to notice", 10*time.Second, func() bool { return !stored("film.bin").Active })
	put = run("put", path, "/")
	until(t, "the upload to go on", 10*time.Second, func() bool {
		select {
		case <-put.done:
			return true
		default:
			return stored("film.bin").Active
		}
	})
	if again := stored("film.bin"); again.UploadID != first.UploadID {
		t.Error("it was begun anew")
	}
	s.kill()
	s.again(t)
	select {
	case <-put.done:
	case <-ctx.Done():
	}
	if code := put.exited(); code != 0 {
		t.Fatalf("put ends with %d:\n%s", code, put.output())
	}
	c.connect()
	c.verify(ctx, "/film.bin", data)

	// A download begins with what is there, if that is of the same file.
	got := filepath.Join(sh.dir, "film.bin")
	e, err := c.lookup(ctx, "/film.bin")
	c.must(err)
	for name, begun := range map[string]content{"of the file": {seed: 1, size: 3 * partSize}, "of another": {seed: 2, size: partSize}, "too long": {seed: 1, size: data.size + 9}} {
		dir := filepath.Join("got", name)
		sh.write(fmt.Sprintf("%s/.discord-cloud-%d-%.16s.part", dir, e.ID, e.Hash), begun)
		out := sh.wants("", "downloaded 1 file", "get", "/film.bin", "-C", filepath.Join(sh.dir, dir))
		if text, err := os.ReadFile(filepath.Join(sh.dir, dir, "film.bin")); err != nil || !bytes.Equal(text, all(t, data)) {
			t.Errorf("%s: %d bytes, %v\n%s", name, len(text), err, out)
		}
		if left, err := os.ReadDir(filepath.Join(sh.dir, dir)); err != nil || len(left) != 1 {
			t.Errorf("%s: %v, %v", name, left, err)
		}
	}

	other := content{seed: 9, size: data.size}
	put = run("put", path, "/again")
	stored("film.bin")
	put.kill()
	until(t, "the server to notice", 10*time.Second, func() bool { return !stored("film.bin").Active })
	sh.write("film.bin", other)
	sh.wants("", "uploaded 1 file", "put", got, "/again")
	c.verify(ctx, "/again/film.bin", other)
}

func all(t *testing.T, data content) []byte {
	t.Helper()
	text := make([]byte, data.size)
	if _, err := data.ReadAt(text, 0); err != nil {
		t.Fatal(err)
	}
	return text
}
