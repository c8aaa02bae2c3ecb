//go:build unix

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"discordcloud/pkg/pgtest"
)

// Host is where the servers of package pgtest run that are no test's. What would
// fail a test panics: Caught makes an error of it.
type Host struct {
	ctx     context.Context
	dir     string
	closers []func() // in order of making
}

var _ pgtest.TB = (*Host)(nil)

// NewHost makes a host whose files are in a folder. Close ends what runs on it.
func NewHost(ctx context.Context, dir string) *Host { return &Host{ctx: ctx, dir: dir} }

// Close ends all that was started, the last first.
func (h *Host) Close() (err error) {
	defer Caught(&err)
	for _, f := range slices.Backward(h.closers) {
		f()
	}
	return nil
}

// failure ends what a host is asked to end.
type failure struct{ error }

// Caught, deferred, gives what a server of a Host complains of.
func Caught(err *error) {
	switch said := recover().(type) {
	case nil:
	case failure:
		*err = errors.Join(*err, said.error)
	default:
		panic(said)
	}
}

// Helper implements pgtest.TB.
func (h *Host) Helper() {}

// Context implements pgtest.TB.
func (h *Host) Context() context.Context { return context.WithoutCancel(h.ctx) }

// Cleanup implements pgtest.TB.
func (h *Host) Cleanup(f func()) { h.closers = append(h.closers, f) }

// Fatal implements pgtest.TB.
func (h *Host) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }

// Fatalf implements pgtest.TB.
func (h *Host) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// Skip implements pgtest.TB.
func (h *Host) Skip(args ...any) {
	panic(failure{fmt.Errorf("%w: %s", ErrMissing, fmt.Sprint(args...))})
}

// TempDir implements pgtest.TB.
func (h *Host) TempDir() string {
	dir, err := os.MkdirTemp(h.dir, "host")
	if err != nil {
		h.Fatal(err)
	}
	return dir
}
