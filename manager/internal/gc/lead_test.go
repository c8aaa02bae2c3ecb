package gc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/manager/internal/gc"
	"discordcloud/pkg/cloud"
)

// That the database is away, or that another manager has gone on with the work, is
// nothing that a person has to see to.
func TestExpiry_Fails(t *testing.T) {
	for level, failure := range map[string]error{
		"WARN":  fmt.Errorf("take lease: %w", cloud.ErrUnavailable),
		"ERROR": errors.New("something that nobody has thought of"),
	} {
		synctest.Test(t, func(t *testing.T) {
			var logged bytes.Buffer
			tries := 0
			x := &gc.Expiry{
				Lead: func(context.Context, string, func(context.Context) error) error { tries++; return failure },
				Log:  slog.New(slog.NewTextHandler(&logged, nil)),
			}
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Minute)
			defer cancel()
			if err := x.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Run = %v", err)
			}
			if n := strings.Count(logged.String(), "level="+level+" "); n != 3 || tries != 3 {
				t.Errorf("%d tries, and %d lines of level %s in\n%s", tries, n, level, &logged)
			}
		})
	}
}
