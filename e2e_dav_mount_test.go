package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// needFUSE skips a test where the system cannot mount a file system of a program,
// whatever is installed: that is the one reason for which it is left out in CI,
// too.
func needFUSE(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("this system has no FUSE: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	const sysAdmin = 21 // capabilities(7)
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			if set>>sysAdmin&1 == 0 {
				t.Skip("this process may not mount: it lacks CAP_SYS_ADMIN")
			}
		}
	}
}

// mounted tells whether a file system is mounted at a folder.
func mounted(t *testing.T, at string) bool {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(mounts), " "+at+" ")
}

// mountPoint makes a folder that nothing is mounted at when the test ends.
func mountPoint(t *testing.T) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if mounted(t, at) {
			_ = syscall.Unmount(at, syscall.MNT_DETACH) // the test has failed, and told why
		}
	})
	return at
}

// holds tells how the content of a file is not, over the server's WebDAV, what it
// should be; "" if it is.
func (d *davServer) holds(t *testing.T, name string, want []byte) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", d.url+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(adminName, d.password)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	got, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != 200 || !bytes.Equal(got, want) {
		return fmt.Sprintf("%s: status %d, %d bytes of %d, %v", name, a.StatusCode, len(got), len(want), err)
	}
	return ""
}

// rclone mounts it as a disk, to be read and written as any other.
func TestEndToEnd_davRcloneMount(t *testing.T) {
	needProgram(t, "rclone")
	fusermount, err := exec.LookPath("fusermount3")
	if err != nil {
		fusermount = needProgram(t, "fusermount")
	}
	needFUSE(t)
	d := startDAV(t)
	r := d.rclone(t)
	at := mountPoint(t)
	data, err := io.ReadAll(content{seed: 4, size: partSize + 300<<10}.reader())
	if err != nil {
		t.Fatal(err)
	}
	before := filepath.Join(t.TempDir(), "before")
	if err := os.WriteFile(before, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r.run("copyto", before, "d:folder/before")

	cmd := exec.CommandContext(r.ctx, r.path, "mount", "d:", at, "--vfs-cache-mode", "writes", "--vfs-write-back", "500ms", "--dir-cache-time", "0s")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "XDG_CACHE_HOME=" + t.TempDir()}, r.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it unmounts
	cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // unless it has ended
		<-ended
	})
	until(t, "the mount", 20*time.Second, func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("rclone mount: %v: %s", err, said.String())
		default:
		}
		return mounted(t, at)
	})
	runProgram(t, r.ctx, nil, string(data), "sh", "-ec", `cd "$1"/folder; cmp before "$2"
		dd if=before bs=1000 skip=9000 count=1 status=none | cmp - "$3"
		cat > file; cp file copy; cmp file copy; mkdir deep; mv copy deep/moved; ls -1 . deep > "$4"
		echo one > edited; echo two >> edited; sed -i s/one/1/ edited; printf X | dd of=file bs=1 seek=5 conv=notrunc status=none
		cat edited; rm before`, "sh", at, before, slice(t, data, 9_000_000, 1000), filepath.Join(t.TempDir(), "list"))
	changed := bytes.Clone(data)
	changed[5] = 'X'
	for name, want := range map[string][]byte{"folder/file": changed, "folder/deep/moved": data, "folder/edited": []byte("1\ntwo\n")} {
		// What is closed is on its way soon, for which the end of rclone does not wait.
		until(t, name+" to be as written", 20*time.Second, func() bool { return d.holds(t, name, want) == "" })
	}
	runProgram(t, r.ctx, nil, "", fusermount, "-u", at)
	err = <-ended
	ended <- err
	if err != nil || mounted(t, at) {
		t.Errorf("rclone mount ended with %v: %s", err, said.String())
	}
	if out := r.run("lsf", "d:folder"); out != "deep/\nedited\nfile\n" {
		t.Errorf("the folder holds %q", out)
	}
}

// slice writes a part of some bytes to a file.
func slice(t *testing.T, data []byte, off, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slice")
	if err := os.WriteFile(path, data[off:off+n], 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// davfs2 mounts it as a disk. Its listings fail on some kernels, with every
// server (it makes them for a page size of its own), so files are named here.
func TestEndToEnd_davMount(t *testing.T) {
	mount := needProgram(t, "mount.davfs")
	needFUSE(t)
	d := startDAV(t)
	at := mountPoint(t)
	ctx := withTimeout(t, time.Minute)
	runProgram(t, ctx, nil, d.password+"\n", mount, d.url, at, "-o", "username="+adminName)
	data, err := io.ReadAll(content{seed: 3, size: 300 << 10}.reader())
	if err != nil {
		t.Fatal(err)
	}
	runProgram(t, ctx, nil, string(data), "sh", "-ec", `cd "$1"; mkdir folder; cat > folder/file; cp folder/file folder/copy
		echo one > folder/edited; echo two >> folder/edited; sed -i s/one/1/ folder/edited; mv folder/copy folder/moved; cmp folder/file folder/moved`, "sh", at)
	runProgram(t, context.WithoutCancel(ctx), nil, "", "umount", at) // waits until all is written
	for name, want := range map[string][]byte{"folder/file": data, "folder/moved": data, "folder/edited": []byte("1\ntwo\n")} {
		if wrong := d.holds(t, name, want); wrong != "" {
			t.Error(wrong)
		}
	}
}
