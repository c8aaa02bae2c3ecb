//go:build unix

package sqlmeta

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

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
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		holder, _ := io.ReadAll(io.LimitReader(f, 32)) // only to help who reads the error
		return nil, cloud.UserErrorf(cloud.ErrUnavailable, "the database is in use: process %s holds %s",
			strings.TrimSpace(string(holder)), path)
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid()))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fileLock{f}, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// release leaves the file in place: to remove it would let two processes lock
// two files of one name.
func (l *fileLock) release() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}

// ignoreUnsupported drops the error of file systems that cannot sync a folder.
func ignoreUnsupported(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
