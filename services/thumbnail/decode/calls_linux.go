//go:build amd64 || arm64

package decode

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused are system calls that nothing which decodes makes: they look into
// other processes, change what belongs to files without opening them, or ask for
// parts of the kernel that are large and seldom used.
var refused = [...]uint32{
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
	unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_BY_HANDLE_AT,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
}

// Offsets in struct seccomp_data (seccomp(2)). Arguments have 8 bytes, of which
// the first 4 are the low ones on these processors.
const (
	dataCall = 0
	dataArch = 4
	dataArg0 = 16
	dataArg1 = 24
	dataArg2 = 32
)

// A filter's answers.
const (
	allowed = unix.SECCOMP_RET_ALLOW
	denied  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	unknown = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// program is a filter that is being written.
type program []unix.SockFilter

func (p *program) load(at uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at})
}

func (p *program) answer(with uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: with})
}

// unless skips so many of the next instructions where the loaded value does not
// stand to k as test says.
func (p *program) unless(test uint16, k uint32, skip uint8) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, Jf: skip, K: k})
}

// begin answers the calls of another processor's kind, whose numbers are others.
func (p *program) begin() {
	p.load(dataArch)
	p.unless(unix.BPF_JEQ, auditArch, 1)
	*p = append(*p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: 1})
	p.answer(denied)
	p.load(dataCall)
	p.unless(unix.BPF_JGE, 1<<30, 1) // x32, on amd64
	p.answer(denied)
}

// deniedCalls is what every child lives under.
func deniedCalls() program {
	var p program
	p.begin()
	for _, call := range append(refused[:], refusedHere[:]...) {
		p.unless(unix.BPF_JEQ, call, 1)
		p.answer(denied)
	}
	// The flags of clone3 cannot be looked at: callers go back to clone.
	p.unless(unix.BPF_JEQ, unix.SYS_CLONE3, 1)
	p.answer(unknown)
	const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
	p.unless(unix.BPF_JEQ, unix.SYS_CLONE, 4)
	p.load(dataArg0)
	p.unless(unix.BPF_JSET, namespaces, 1)
	p.answer(denied)
	p.answer(allowed)
	// TCP over IPv4, for the one port, which Landlock sees to: not of MPTCP and
	// SCTP, which are streams too. Whoever may not have even that is silenced.
	p.unless(unix.BPF_JEQ, unix.SYS_SOCKET, 11)
	p.load(dataArg0)
	p.unless(unix.BPF_JEQ, unix.AF_INET, 8)
	p.load(dataArg1)
	p = append(p, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf}) // without SOCK_CLOEXEC and SOCK_NONBLOCK
	p.unless(unix.BPF_JEQ, unix.SOCK_STREAM, 5)
	p.load(dataArg2)
	p.unless(unix.BPF_JEQ, 0, 1)
	p.answer(allowed)
	p.unless(unix.BPF_JEQ, unix.IPPROTO_TCP, 1)
	p.answer(allowed)
	p.answer(denied)
	p.answer(allowed)
	return p
}

// filterCalls puts a filter over this thread, or with SECCOMP_FILTER_FLAG_TSYNC
// over all of them. It gives false where the kernel has none.
func filterCalls(p program, flags uintptr) (bool, error) {
	f := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&f)))
	runtime.KeepAlive(p)
	switch errno {
	case 0:
		return true, nil
	case unix.ENOSYS, unix.EINVAL:
		return false, nil
	}
	return false, errno
}

// denySockets leaves this process, and what it starts, no new socket.
func denySockets() error {
	var p program
	p.begin()
	for _, call := range []uint32{unix.SYS_SOCKET, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_SENDTO, unix.SYS_SENDMSG} {
		p.unless(unix.BPF_JEQ, call, 1)
		p.answer(denied)
	}
	p.answer(allowed)
	_, err := filterCalls(p, unix.SECCOMP_FILTER_FLAG_TSYNC)
	return err
}
