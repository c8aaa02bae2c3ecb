//go:build !unix

package main

import (
	"context"
	"fmt"
)

func (w *world) postgres(context.Context) (string, error) {
	return "", fmt.Errorf("%w: PostgreSQL is started on Unix only", errMissing)
}
