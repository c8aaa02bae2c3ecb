package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/packet"
)

// command runs one of the binary's commands to its end, with stdin.
func command(t *testing.T, env map[string]string, stdin string, args ...string) (string, int) {
	t.Helper()
	if onBackend() {
		return runBinary(t, env, stdin, args...)
	}
	for k, v := range env {
		t.Setenv(k, v)
	}
	var out, errs bytes.Buffer
	code := run(args, strings.NewReader(stdin), &out, &errs)
	return out.String() + errs.String(), code
}

// onBackend tells that tools/backend has chosen the program.
func onBackend() bool { return os.Getenv("DISCORD_CLOUD_BIN") != "" }

// runBinary is command with the binary itself, which parallel tests need.
func runBinary(t *testing.T, env map[string]string, stdin string, args ...string) (string, int) {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// oneTimeCodes sets them up: the password is not enough from then on.
func oneTimeCodes(t *testing.T, c *client, password string) {
	t.Helper()
	var offer struct{ State, Secret string }
	if err := c.do(t.Context(), "POST", "/api/factors/totp", map[string]any{"password": password}, &offer); err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(offer.Secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.do(t.Context(), "POST", "/api/factors/totp/confirm", map[string]any{"state": offer.State, "code": code}, nil); err != nil {
		t.Fatal(err)
	}
	var in struct{ Token string }
	if err := c.do(t.Context(), "POST", "/api/login", map[string]any{"username": "bob", "password": password}, &in); err != nil || in.Token != "" {
		t.Errorf("signed in by the password alone: %v", err)
	}
}

// The command line works beside a running server, which sees what it does.
func TestEndToEnd_admin(t *testing.T) {
	s := startServe(t, nil)
	setUp(t, s.base)
	env := map[string]string{"DATA_DIR": s.dir}
	want := func(code int, text, stdin string, args ...string) {
		t.Helper()
		out, got := command(t, env, stdin, append([]string{"admin"}, args...)...)
		if got != code || !strings.Contains(out, text) {
			t.Errorf("%v: exit code %d, want %d with %q in:\n%s", args, got, code, text, out)
		}
	}
	want(0, "user bob created", "a good password\n", "create-user", "bob")
	want(exitFailed, "", "a good password\n", "create-user", "BOB") // taken, but for its case
	want(exitFailed, "", "short\n", "create-user", "carol")
	want(exitFailed, "", "a good password\n", "create-user", "a/b")
	bob := signIn(t, s.base, "bob", "a good password")
	want(0, "password of bob set", "another password\n", "reset-password", "bob")
	if err := bob.do(t.Context(), "GET", "/api/me", nil, nil); err == nil {
		t.Error("a session goes on after its password was reset")
	}
	signIn(t, s.base, "bob", "another password")
	want(exitFailed, "not found", "another password\n", "reset-password", "nobody")
	want(0, "administrator", "", "users")
	bob = signIn(t, s.base, "bob", "another password")
	want(0, "user bob disabled", "", "user", "disable", "bob")
	if err := bob.do(t.Context(), "GET", "/api/me", nil, nil); err == nil {
		t.Error("a session goes on after its account was disabled")
	}
	want(0, "disabled", "", "users")
	want(0, "user bob enabled", "", "user", "enable", "bob")
	want(0, "bob is administrator", "", "user", "role", "bob", "administrator")
	want(0, "bob is user", "", "user", "role", "bob", "user")
	want(exitFailed, "last administrator", "", "user", "role", adminName, "user")
	want(exitFailed, "no second factor", "", "user", "reset-factors", "bob")
	oneTimeCodes(t, signIn(t, s.base, "bob", "another password"), "another password")
	want(0, "second factors of bob reset", "", "user", "reset-factors", "bob")
	if err := signIn(t, s.base, "bob", "another password").do(t.Context(), "GET", "/api/me", nil, nil); err != nil {
		t.Errorf("the password is not enough after the reset: %v", err)
	}
	want(0, "1000 bytes", "", "user", "quota", "bob", "--bytes=1000")
	want(exitFailed, "somebody else", "", "user", "delete", "bob", "--give-to=bob")
	want(0, "user bob deleted", "", "user", "delete", "bob", "--give-to="+adminName, "--trash")
	want(exitFailed, "not found", "", "user", "enable", "bob")
	want(0, "sound", "", "check")
	want(0, "0 messages of 0 bytes would go", "", "collect", "--dry-run")
	want(0, "paused", "", "collect", "--pause")
	want(0, "collector: paused", "", "collect")
	want(0, "resumed", "", "collect", "--resume")
	want(0, "0 messages are tried again", "", "collect", "--retry")
	want(0, "collector: running", "", "collect")
	want(0, "the audit log is whole", "", "audit", "--verify")
	want(0, "MESSAGE_ENCRYPTION_KEY", "", "config")
	out, _ := command(t, env, "", "admin", "config")
	if key := s.setting(t, "MESSAGE_ENCRYPTION_KEY"); strings.Contains(out, key) {
		t.Error("the configuration shows a secret")
	}

	// A second server on the same data is refused with the reason.
	second := start(t, map[string]string{"DATA_DIR": s.dir, "MANAGER_PORT": freePort(t)}, "serve")
	if code := second.exited(); code != exitFailed || !strings.Contains(second.output(), "in use") {
		t.Errorf("a second server: exit code %d:\n%s", code, second.output())
	}
	s.stop()

	// Without a database there is nothing to look after, and none is made.
	empty := t.TempDir()
	env["DATA_DIR"] = empty
	want(exitFailed, "no database", "", "check")
	if files, err := os.ReadDir(empty); err != nil || len(files) != 0 {
		t.Errorf("admin left %v behind (%v)", files, err)
	}

	// A damaged database is refused, and named.
	db := filepath.Join(s.dir, "discord-cloud.db")
	bytes, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < min(len(bytes), 8*4096); i++ {
		bytes[i] ^= 0x5a
	}
	if err := os.WriteFile(db, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	third := start(t, s.env, "serve")
	if code := third.exited(); code != exitFailed || !strings.Contains(third.output(), "damaged") {
		t.Errorf("a damaged database: exit code %d:\n%s", code, third.output())
	}
}

func TestEndToEnd_tenThousandFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 files take a while")
	}
	s := startServe(t, map[string]string{"UPLOAD_CAPACITY": "16"})
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 5*time.Minute)
	c.book(ctx, 48)
	const files = 10_000
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(48) // so many at once share messages
	began := time.Now()
	for i := range files {
		group.Go(func() error {
			_, err := c.upload(gctx, "/many", fmt.Sprintf("file %05d.txt", i), content{seed: uint64(i), size: int64(i % 300)}, packet.ConflictFail)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files in %s", files, time.Since(began).Round(time.Second))
	listed := c.list(ctx, "/many")
	if len(listed) != files {
		t.Fatalf("%d files are listed, want %d", len(listed), files)
	}
	for i := 0; i < files; i += 997 {
		name := fmt.Sprintf("file %05d.txt", i)
		if e := listed[name]; e.Size != int64(i%300) {
			t.Errorf("%s has %d bytes", name, e.Size)
		}
		c.verify(ctx, "/many/"+name, content{seed: uint64(i), size: int64(i % 300)})
	}
	if got, code := command(t, map[string]string{"DATA_DIR": s.dir}, "", "admin", "check"); code != 0 {
		t.Errorf("check: %s", got)
	}
}
