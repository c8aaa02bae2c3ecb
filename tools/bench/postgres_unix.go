//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"discordcloud/pkg/pgtest"
)

// postgres starts a server of PostgreSQL that ends with the world, and gives the
// URL of an empty database.
func (w *world) postgres(ctx context.Context) (address string, err error) {
	defer func() {
		if said, ok := recover().(failure); ok {
			err = said.error
		}
	}()
	return pgtest.Start(&serverHost{ctx, w}).Database("bench"), nil
}

// failure ends what a serverHost is asked to end.
type failure struct{ error }

// serverHost is where a server runs that is not a test's.
type serverHost struct {
	ctx context.Context
	w   *world
}

func (h *serverHost) Helper()                  {}
func (h *serverHost) Context() context.Context { return context.WithoutCancel(h.ctx) }
func (h *serverHost) Cleanup(f func())         { h.w.closers = append(h.w.closers, f) }
func (h *serverHost) Fatal(args ...any)        { panic(failure{errors.New(fmt.Sprint(args...))}) }
func (h *serverHost) Skip(args ...any) {
	panic(failure{fmt.Errorf("%w: %s", errMissing, fmt.Sprint(args...))})
}
func (h *serverHost) Fatalf(format string, args ...any) {
	panic(failure{fmt.Errorf(format, args...)})
}

func (h *serverHost) TempDir() string {
	dir, err := os.MkdirTemp(h.w.dir, "postgres")
	if err != nil {
		h.Fatal(err)
	}
	return dir
}
