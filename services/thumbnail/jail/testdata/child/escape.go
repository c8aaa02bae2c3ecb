package main

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"discordcloud/services/thumbnail/decode"
)

// outside is what the object of an escape names.
type outside struct {
	File    string // that somebody could read
	Folder  string // that somebody could write into
	TCP     string // addresses where somebody listens
	UDP     string
	Unix    string
	Process int
}

// escape enters a cell as the decoder does, and then does what an attacker would
// who runs in the decoder, and in a program that it starts. It says what has
// succeeded.
func escape() int {
	cell, err := decode.Enter(os.Args)
	if err != nil {
		return 2
	}
	in := bufio.NewReader(os.Stdin)
	_, payload, err := decode.ReadFrame(in, 1<<20)
	var job decode.Job
	if err != nil || json.Unmarshal(payload, &job) != nil {
		return 2
	}
	ask := make([]byte, 12)
	ask[10], ask[11] = byte(job.Size>>8), byte(job.Size)
	if err := decode.WriteFrame(os.Stdout, decode.FrameRead, ask); err != nil {
		return 2
	}
	var o outside
	if _, payload, err = decode.ReadFrame(in, 1<<20); err != nil || json.Unmarshal(payload, &o) != nil {
		return 2
	}
	var done []string
	try := func(what string, err error) {
		if err == nil {
			done = append(done, what)
		}
	}
	dial := func(when, network, address string) {
		c, err := net.DialTimeout(network, address, 2*time.Second)
		if err == nil && network == "udp" {
			_, err = c.Write([]byte("x"))
		}
		try(network+when, err)
	}
	_, err = os.ReadFile(o.File)
	try("read", err)
	_, err = os.ReadDir(o.Folder)
	try("list", err)
	try("write", os.WriteFile(o.Folder+"/written", []byte("x"), 0o600))
	try("mkdir", os.Mkdir(o.Folder+"/made", 0o700))
	try("chmod", os.Chmod(o.File, 0o777))
	try("chown", os.Chown(o.File, 1, 1))
	try("touch", os.Chtimes(o.File, time.Unix(1, 0), time.Unix(1, 0)))
	try("truncate", os.Truncate(o.File, 0))
	try("remove", os.Remove(o.File))
	_, err = os.ReadFile("/etc/passwd")
	try("passwd", err)
	_, err = os.ReadFile("/proc/1/cmdline")
	try("processes", err)
	try("signal", syscall.Kill(o.Process, 0))
	try("ptrace", syscall.PtraceAttach(o.Process))
	try("unshare", syscall.Unshare(syscall.CLONE_NEWNS))
	try("mount", syscall.Mount("none", o.Folder, "tmpfs", 0, ""))
	dial("", "tcp", o.TCP)
	dial("", "udp", o.UDP)
	dial("", "unix", o.Unix)
	try("cat", exec.Command("/bin/cat", o.File).Run())
	try("program", exec.Command(o.Folder+"/program").Run())
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		try("listen", l.Close())
	}
	for what, protocol := range map[string]int{"mptcp": 262, "sctp": 132, "tcp over IPv6": -1} {
		family := syscall.AF_INET
		if protocol < 0 {
			family, protocol = syscall.AF_INET6, 0
		}
		if fd, err := syscall.Socket(family, syscall.SOCK_STREAM, protocol); err == nil {
			try(what, syscall.Close(fd))
		}
	}
	if err := cell.Silence(); err != nil {
		return 2
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	try("socket", err)
	_ = syscall.Close(fd) // there should be none
	dial(" afterwards", "tcp", o.TCP)
	answer, err := json.Marshal(decode.Result{Reason: "done: " + strings.Join(done, " "), Lacks: cell.Lacks()})
	if err != nil || decode.WriteFrame(os.Stdout, decode.FrameResult, answer) != nil {
		return 2
	}
	return 0
}
