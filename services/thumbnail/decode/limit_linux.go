package decode

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// limit bounds this process and every process that it starts: memory that can be
// written (reserved addresses, of which Go has many, do not count), seconds of a
// processor, open files. They write to pipes; the megabyte of a file is for
// libraries that compile code (liborc) and put it into one.
func limit(job Job) error {
	seconds := uint64(job.Seconds) + 1
	for _, l := range []struct {
		what int
		most uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 1 << 20},
		{unix.RLIMIT_NOFILE, 128},
		{unix.RLIMIT_CPU, seconds},
		{unix.RLIMIT_DATA, uint64(job.Memory)},
	} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("set limit %d: %w", l.what, err)
		}
	}
	return nil
}

// raiseLoopback switches on the one interface of a fresh network namespace.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// peak is the most memory that this process has had since it began, in bytes, 0
// if the system does not tell. (What getrusage tells counts the parent's too.)
func peak() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "VmHWM:" {
			kib, _ := strconv.ParseInt(string(f[1]), 10, 64) // 0 for what is no number
			return kib << 10
		}
	}
	return 0
}
