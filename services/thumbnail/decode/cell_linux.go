package decode

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readable are the folders and files that the programs of the system need to
// start and to draw: nothing of a user's is among them.
var readable = [...]string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store",
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/fonts", "/var/cache/fontconfig",
	"/dev/zero", "/dev/random", "/dev/urandom", "/sys/devices/system/cpu",
	"/proc/self", // as it is called before it replaces itself: no other process
}

// self is this program, also where its file has been replaced meanwhile.
const self = "/proc/self/exe"

// confine bounds the one thread that it runs on, and replaces the process.
func confine(args []string, alone bool, programs []string) (*Cell, error) {
	runtime.LockOSThread() // for good
	if alone {
		if err := raiseLoopback(); err != nil {
			return nil, fmt.Errorf("raise loopback: %w", err)
		}
	}
	fd, port, err := listen()
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("give up new privileges: %w", err)
	}
	var lacks []string
	version, err := landlock(port, programs)
	if err != nil {
		return nil, fmt.Errorf("restrict files: %w", err)
	}
	if version == 0 {
		lacks = append(lacks, lackFiles)
	}
	if version < 4 && !alone {
		lacks = append(lacks, lackNetwork)
	}
	if err := dropCapabilities(); err != nil {
		return nil, fmt.Errorf("drop capabilities: %w", err)
	}
	if ok, err := filterCalls(deniedCalls(), 0); err != nil {
		return nil, fmt.Errorf("filter system calls: %w", err)
	} else if !ok {
		lacks = append(lacks, lackCalls)
	}
	next := append(append([]string{}, args[:len(args)-1]...), fmt.Sprintf("%s/%d/%s", entered, fd, strings.Join(lacks, ",")))
	return nil, fmt.Errorf("begin anew: %w", syscall.Exec(self, next, os.Environ()))
}

// listen makes the socket that programs which have to seek in the object will
// connect to. It stays open when the process is replaced.
func listen() (fd, port int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0) // not close-on-exec
	if err != nil {
		return 0, 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, err
	}
	if err := unix.Listen(fd, 16); err != nil {
		return 0, 0, err
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, err
	}
	return fd, address.(*unix.SockaddrInet4).Port, nil
}

// landlock leaves this thread, and all that comes of it, the readable paths, this
// program and those given, one port, and signals to its like. It gives the version of
// what the kernel has of it, 0 for nothing (Documentation/userspace-api/landlock).
func landlock(port int, programs []string) (version int, err error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, nil // not in this kernel, or switched off
	}
	version = int(v)
	const read = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	rules := unix.LandlockRulesetAttr{Handled_access_fs: 1<<13 - 1}
	if version >= 2 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 4 {
		rules.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 5 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= 6 {
		rules.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return 0, fmt.Errorf("create rules: %w", errno)
	}
	defer unix.Close(int(set))
	allow := func(path string, access uint64) error {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil // what is not there cannot be read either
		}
		defer unix.Close(fd)
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			access &^= unix.LANDLOCK_ACCESS_FS_READ_DIR
		}
		rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("allow %s: %w", path, errno)
		}
		return nil
	}
	for _, path := range append(append(readable[:], self), programs...) {
		if err := allow(path, read); err != nil {
			return 0, err
		}
	}
	if err := allow("/dev/null", read|unix.LANDLOCK_ACCESS_FS_WRITE_FILE); err != nil {
		return 0, err
	}
	if version >= 4 {
		// struct landlock_net_port_attr, by rule type 2
		rule := struct{ access, port uint64 }{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(port)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, 2, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return 0, fmt.Errorf("allow the port: %w", errno)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return 0, errno
	}
	return version, nil
}

// dropCapabilities makes of root, should the service run as that, a user like
// any other, also in the programs that it starts (capabilities(7)).
func dropCapabilities() error {
	const noRoot = 1<<0 | 1<<1 | 1<<2 | 1<<3 // NOROOT and NO_SETUID_FIXUP, both locked
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0); err != nil && err != unix.EPERM {
		return err // without the capability for it there is none to drop
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}
