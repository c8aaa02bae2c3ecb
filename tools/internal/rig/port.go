package rig

import (
	"errors"
	"net"
)

// ErrMissing leaves out what needs a program that is not installed.
var ErrMissing = errors.New("left out")

// FreePort gives a port of this machine that nobody listens on at the moment.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
