package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The tests of WebDAV run the programs that people use against the real binary.

// davServer is everything in one process, with an app password.
type davServer struct {
	*serve
	url, password string
}

func startDAV(t *testing.T) *davServer {
	t.Helper()
	s := startServe(t, nil)
	c := setUp(t, s.base)
	c.servicesReady(3)
	d := &davServer{serve: s, url: s.base + "/dav/"}
	d.password = d.appPassword(t)
	return d
}

// appPassword makes one on the command line, beside the running server.
func (d *davServer) appPassword(t *testing.T, flags ...string) string {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"admin", "app-password", "--user", adminName}, flags...)...)
	cmd.Env = []string{"DATA_DIR=" + d.dir, "HOME=" + t.TempDir()}
	out, err := cmd.Output()
	password := strings.TrimSpace(string(out))
	if err != nil || len(password) != 24 {
		t.Fatalf("app password %q, %v", out, err)
	}
	return password
}

// needProgram skips a test whose program is not installed, but not in CI.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// runProgram runs a program and gives what it says.
func runProgram(t *testing.T, ctx context.Context, env []string, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8"}, env...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, lastLines(string(out), 40))
	}
	return string(out)
}

// All tests of litmus run, and pass.
func TestEndToEnd_davLitmus(t *testing.T) {
	litmus := needProgram(t, "litmus")
	d := startDAV(t)
	out := runProgram(t, withTimeout(t, time.Minute), nil, "", litmus, "-k", d.url, adminName, d.password)
	suites := regexp.MustCompile("summary for `(\\w+)': of (\\d+) tests run: (\\d+) passed, (\\d+) failed").FindAllStringSubmatch(out, -1)
	ran := map[string]string{}
	for _, s := range suites {
		ran[s[1]] = s[3]
		if s[2] != s[3] || s[4] != "0" {
			t.Errorf("%s", s[0])
		}
	}
	for suite, least := range map[string]int{"basic": 16, "copymove": 13, "props": 30, "locks": 41, "http": 4} {
		if ran[suite] != fmt.Sprint(least) {
			t.Errorf("%s: %s tests passed, want %d", suite, ran[suite], least)
		}
	}
	if strings.Contains(out, "SKIPPED") || strings.Contains(out, "WARNING") || t.Failed() {
		t.Errorf("litmus says\n%s", out)
	}
}

// rclone is a configured rclone.
type rclone struct {
	t    *testing.T
	ctx  context.Context
	path string
	env  []string
}

func (d *davServer) rclone(t *testing.T) *rclone {
	t.Helper()
	r := &rclone{t: t, ctx: withTimeout(t, time.Minute), path: needProgram(t, "rclone")}
	hidden := strings.TrimSpace(runProgram(t, r.ctx, nil, "", r.path, "obscure", d.password))
	config := filepath.Join(t.TempDir(), "rclone.conf")
	text := fmt.Sprintf("[d]\ntype = webdav\nurl = %s\nvendor = owncloud\nuser = %s\npass = %s\n", strings.TrimSuffix(d.url, "/"), adminName, hidden)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = []string{"RCLONE_CONFIG=" + config}
	return r
}

func (r *rclone) run(args ...string) string {
	r.t.Helper()
	return runProgram(r.t, r.ctx, r.env, "", r.path, append(args, "--transfers", "8", "--retries", "1")...)
}

// tree writes files of many kinds into a folder.
func writeTree(t *testing.T, dir string) {
	t.Helper()
	for name, size := range map[string]int64{
		"empty": 0, "one": 1, "sub/deeper/small.txt": 4 << 10, "sub/Müsli & co #1 100%.txt": 70 << 10, "large.bin": 2*partSize + 777,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(content{seed: uint64(size), size: size}.reader())
		if err == nil {
			err = os.WriteFile(path, b, 0o644)
		}
		if err == nil {
			err = os.Chtimes(path, time.Time{}, time.Unix(1500000000+size, 0))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEndToEnd_davRclone(t *testing.T) {
	needProgram(t, "rclone")
	d := startDAV(t)
	r := d.rclone(t)
	src, back := t.TempDir(), t.TempDir()
	writeTree(t, src)
	r.run("copy", src, "d:tree")
	if out := r.run("check", src, "d:tree", "-v"); !strings.Contains(out, "0 differences") || strings.Contains(out, "could not be checked") {
		t.Errorf("check by hashes: %s", out)
	}
	r.run("check", "--download", src, "d:tree")
	// Times are kept: nothing is to be done the second time.
	if out := r.run("copy", src, "d:tree", "-v"); strings.Contains(out, "Copied") {
		t.Errorf("copied again: %s", out)
	}
	if err := os.Remove(filepath.Join(src, "one")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "empty"), []byte("no more"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.run("sync", src, "d:tree")
	r.run("check", src, "d:tree")
	r.run("moveto", "d:tree/sub", "d:tree/elsewhere")
	r.run("copyto", "d:tree/elsewhere", "d:tree/sub")
	r.run("copy", "d:tree", back)
	r.run("check", "--one-way", src, back)
	if out := r.run("lsf", "-R", "d:tree"); !strings.Contains(out, "elsewhere/Müsli & co #1 100%.txt\n") {
		t.Errorf("listing: %s", out)
	}
	// Without a length: rclone streams what it reads.
	data, err := io.ReadAll(content{seed: 5, size: partSize + 5}.reader())
	if err != nil {
		t.Fatal(err)
	}
	runProgram(t, r.ctx, r.env, string(data), r.path, "rcat", "d:piped")
	if got := runProgram(t, r.ctx, r.env, "", r.path, "cat", "d:piped"); got != string(data) {
		t.Errorf("%d bytes of %d piped", len(got), len(data))
	}
	r.run("purge", "d:tree")
}

// A backup by restic, checked to the last byte and pruned.
func TestEndToEnd_davRestic(t *testing.T) {
	restic := needProgram(t, "restic")
	needProgram(t, "rclone")
	d := startDAV(t)
	r := d.rclone(t)
	src := t.TempDir()
	writeTree(t, src)
	env := append(r.env, "RESTIC_PASSWORD=secret", "RESTIC_REPOSITORY=rclone:d:repository", "RESTIC_CACHE_DIR="+t.TempDir())
	for _, args := range [][]string{
		{"init"}, {"backup", src}, {"backup", "--force", src}, {"check", "--read-data"},
		{"forget", "--keep-last", "1", "--prune"}, {"check", "--read-data"}, {"restore", "latest", "--target", filepath.Join(src, "back")},
	} {
		runProgram(t, r.ctx, env, "", restic, args...)
	}
	got, err := os.ReadFile(filepath.Join(src, "back", src, "large.bin"))
	if want := (content{seed: uint64(2*partSize + 777), size: 2*partSize + 777}).sum(t); err != nil || sha256.Sum256(got) != want {
		t.Errorf("%d bytes restored, %v", len(got), err)
	}
}

func TestEndToEnd_davCadaver(t *testing.T) {
	cadaver := needProgram(t, "cadaver")
	d := startDAV(t)
	home := t.TempDir()
	netrc := fmt.Sprintf("machine 127.0.0.1\nlogin %s\npassword %s\n", adminName, d.password)
	file := filepath.Join(home, "file.txt")
	if err := os.WriteFile(file, []byte("by cadaver"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte(netrc), 0o600); err != nil {
		t.Fatal(err)
	}
	script := strings.Join([]string{
		"mkcol folder", "cd folder", "put " + file + " one", "ls", "copy one two", "move two three", "lock three", "unlock three",
		"propset three color blue", "propget three color", "get three " + filepath.Join(home, "back"), "delete one", "quit", "",
	}, "\n")
	out := runProgram(t, withTimeout(t, time.Minute), []string{"HOME=" + home}, script, cadaver, d.url)
	if n := strings.Count(out, "succeeded."); n < 10 || strings.Contains(out, "failed") || !strings.Contains(out, "color is: blue") {
		t.Errorf("%d commands succeeded:\n%s", n, out)
	}
	if back, err := os.ReadFile(filepath.Join(home, "back")); err != nil || string(back) != "by cadaver" {
		t.Errorf("%q came back, %v", back, err)
	}
}

func TestEndToEnd_davCurl(t *testing.T) {
	curl := needProgram(t, "curl")
	d := startDAV(t)
	ctx := withTimeout(t, time.Minute)
	data, err := io.ReadAll(content{seed: 9, size: partSize + 9}.reader())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(password string, args ...string) string {
		t.Helper()
		return runProgram(t, ctx, nil, "", curl, append([]string{"-sS", "-o", "-", "-w", "%{http_code}", "-u", adminName + ":" + password}, args...)...)
	}
	if got := ask(d.password, "-T", file, "-H", "Expect: 100-continue", d.url+"known"); got != "201" {
		t.Errorf("PUT: %s", got)
	}
	if got := ask(d.password, "-T", file, "-H", "Transfer-Encoding: chunked", d.url+"unknown"); got != "201" {
		t.Errorf("PUT without a length: %s", got)
	}
	for _, name := range []string{"known", "unknown"} {
		if got := ask(d.password, d.url+name); got != string(data)+"200" {
			t.Errorf("GET %s: %d bytes", name, len(got))
		}
	}
	if got := ask(d.password, "-r", "5-9", d.url+"known"); got != string(data[5:10])+"206" {
		t.Errorf("a range: %q", got)
	}
	for _, wrong := range []string{adminPassword, "nothing"} {
		if got := ask(wrong, d.url); !strings.HasSuffix(got, "401") {
			t.Errorf("another password: %s", got)
		}
	}
	reader := d.appPassword(t, "--read-only", "--name", "reader")
	if got := ask(reader, "-T", file, d.url+"more"); !strings.HasSuffix(got, "403") {
		t.Errorf("PUT with a password for reading: %s", got)
	}
	// Whoever is not on this machine needs TLS, which a header does not prove.
	if got := ask(d.password, "-H", "X-Forwarded-For: 192.0.2.1", d.url); !strings.HasSuffix(got, "403") {
		t.Errorf("through a proxy: %s", got)
	}
	if strings.Contains(d.output(), d.password) {
		t.Error("the app password is in the log")
	}
}
