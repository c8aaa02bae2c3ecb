//go:build linux && !amd64 && !arm64

package decode

// program is a filter of system calls, which are numbered in another way on
// every processor.
type program struct{}

func deniedCalls() program { return program{} }

func filterCalls(program, uintptr) (bool, error) { return false, nil }

func denySockets() error { return nil }
