//go:build unix

package main

import (
	"context"

	"discordcloud/pkg/pgtest"
	"discordcloud/tools/internal/rig"
)

// postgres starts a server of PostgreSQL that ends with the world, and gives the
// URL of an empty database.
func (w *world) postgres(ctx context.Context) (address string, err error) {
	defer rig.Caught(&err)
	host := rig.NewHost(ctx, w.dir)
	w.closers = append(w.closers, func() { _ = host.Close() }) // what it says is about files that go
	return pgtest.Start(host).Database("bench"), nil
}
