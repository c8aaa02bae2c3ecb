package decode

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// How a child is told, by its last argument, in what it lives: one of these, and
// after colons the programs that it may start though they are not among those of
// the system. It replaces itself once: what the system takes from a process it takes from one thread,
// and only a fresh program has one.
const (
	// Alone is a network with nothing on it.
	Alone = "alone"
	// Shared is the network of whoever started the child.
	Shared = "shared"

	entered = "confined"
)

// Bounds that a system may lack.
const (
	lackFiles   = "files"    // it can open what its user can
	lackNetwork = "network"  // it can connect to where its user can
	lackCalls   = "syscalls" // it can ask the system for anything
)

// Cell is what is left to the process. One that was not entered bounds nothing.
type Cell struct {
	bound    bool
	lacks    []string
	listener net.Listener // on loopback, the only port that can be connected to; nil if there is none
}

// Enter takes from the process all that decoding does not need: files but those
// of the system's programs and libraries, the network but one port of its own,
// its privileges, the signals and the memory of others. args are the program's
// arguments; the last one tells the network. Enter returns in a process that has
// begun anew.
func Enter(args []string) (*Cell, error) {
	last := args[len(args)-1]
	rest, ok := strings.CutPrefix(last, entered+"/")
	if !ok {
		settings := strings.Split(last, ":")
		return confine(args, settings[0] == Alone, settings[1:])
	}
	number, lacks, _ := strings.Cut(rest, "/")
	c := &Cell{bound: true}
	if lacks != "" {
		c.lacks = strings.Split(lacks, ",")
	}
	if fd, err := strconv.Atoi(number); err == nil && fd > 2 {
		f := os.NewFile(uintptr(fd), "loopback")
		l, err := net.FileListener(f)
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil { // l has its own
			return nil, err
		}
		c.listener = l
	}
	return c, nil
}

// Lacks tells which bounds the system does not have.
func (c *Cell) Lacks() []string { return slices.Clone(c.lacks) }

// Silence takes the network away for good, also from the programs that are
// started from here on.
func (c *Cell) Silence() error {
	if c.listener != nil {
		if err := c.listener.Close(); err != nil {
			return err
		}
		c.listener = nil
	}
	if !c.bound {
		return nil
	}
	return denySockets()
}
