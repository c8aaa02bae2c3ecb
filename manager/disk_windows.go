package manager

import "golang.org/x/sys/windows"

// diskSpace is what is free for us on the disk of a folder, and how large that
// is, in bytes; 0 if it cannot be told.
func diskSpace(dir string) (free, size int64) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0
	}
	var mine, all uint64
	if err := windows.GetDiskFreeSpaceEx(name, &mine, &all, nil); err != nil {
		return 0, 0
	}
	return int64(mine), int64(all)
}
