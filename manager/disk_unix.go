//go:build linux || darwin

package manager

import "golang.org/x/sys/unix"

// diskSpace is what is free for us on the disk of a folder, and how large that
// is, in bytes; 0 if it cannot be told.
func diskSpace(dir string) (free, size int64) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize)
}
