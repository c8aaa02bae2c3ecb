package sqlmeta

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"discordcloud/pkg/cloud"
)

// A disk that refuses a write, played by putting a descriptor that is open for
// reading only in the place of the WAL's.
func TestStore_diskError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	if _, err := s.CreateUser(ctx, "ann", "", false, false); err != nil {
		t.Fatal(err)
	}
	restore := breakFile(t, path+"-wal")
	if _, err := s.CreateUser(ctx, "bob", "", false, false); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("CreateUser on a broken disk = %v, want %v", err, cloud.ErrUnavailable)
	}
	restore()
	if _, err := s.CreateUser(ctx, "eve", "", false, false); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("CreateUser after that = %v, want %v until it is opened again", err, cloud.ErrUnavailable)
	}
	if err := s.Ping(ctx); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("Ping = %v, want %v", err, cloud.ErrUnavailable)
	}
	if _, err := s.Credentials(ctx, "ann"); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(ctx, Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n, err := again.CountUsers(ctx); err != nil || n != 1 {
		t.Errorf("%d users, %v; want the one that was acknowledged", n, err)
	}
	if _, err := again.CreateUser(ctx, "eve", "", false, false); err != nil {
		t.Errorf("CreateUser when opened again: %v", err)
	}
}

// breakFile makes every descriptor of a file read-only until restore is called.
func breakFile(t *testing.T, path string) (restore func()) {
	t.Helper()
	ro, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	kept := map[int]int{}
	for _, entry := range fds {
		fd, _ := strconv.Atoi(entry.Name())
		if to, err := os.Readlink("/proc/self/fd/" + entry.Name()); err != nil || to != path || fd == int(ro.Fd()) {
			continue
		}
		copied, err := syscall.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		kept[fd] = copied
		if err := syscall.Dup3(int(ro.Fd()), fd, 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept) == 0 {
		t.Fatal("nobody has the file open")
	}
	return func() {
		for fd, copied := range kept {
			if err := errors.Join(syscall.Dup3(copied, fd, 0), syscall.Close(copied)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
