package sqlmeta

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"

	"discordcloud/pkg/cloud"
)

// fileLock keeps a second manager away from the same database. The kernel
// takes it back when the process ends, however that happens.
type fileLock struct{ f *os.File }

func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, new(windows.Overlapped))
	if err == nil {
		return &fileLock{f}, nil
	}
	defer f.Close()
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return nil, cloud.UserErrorf(cloud.ErrUnavailable, "the database is in use: another process holds %s", path)
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// release leaves the file in place: to remove it would let two processes lock
// two files of one name.
func (l *fileLock) release() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}

// ignoreUnsupported drops all errors: Windows has no way to sync a folder, and
// needs none.
func ignoreUnsupported(error) error { return nil }
