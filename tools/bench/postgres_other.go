//go:build !unix

package main

import (
	"context"
	"fmt"

	"discordcloud/tools/internal/rig"
)

func (w *world) postgres(context.Context) (string, error) {
	return "", fmt.Errorf("%w: PostgreSQL is started on Unix only", rig.ErrMissing)
}
