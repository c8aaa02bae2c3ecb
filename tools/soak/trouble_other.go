//go:build !linux

package main

import (
	"context"
	"fmt"

	"discordcloud/tools/internal/rig"
)

// trouble is made on Linux only.
type trouble struct{}

func (s *soak) openProcesses(context.Context, string) error {
	return fmt.Errorf("%w: processes are killed on Linux only", rig.ErrMissing)
}

func (*trouble) make(context.Context)        {}
func (*trouble) heal(context.Context) error  { return nil }
func (*trouble) check(context.Context) error { return nil }
func (*trouble) renew(context.Context) error { return nil }
func (*trouble) pass(bool) error             { return nil }
func (*trouble) route(*rig.Client)           {}
func (*trouble) summary() string             { return "" }
