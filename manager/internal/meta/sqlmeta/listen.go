package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// newsChannel is what managers listen to.
const newsChannel = "discord_cloud_news"

func (e *postgresEngine) announce(ctx context.Context, tx querier) error { return announce(ctx, tx) }

func announce(ctx context.Context, tx querier) error {
	return exec(ctx, tx, `SELECT pg_notify('`+newsChannel+`', '')`)
}

// listen has a connection of its own, which it tries every half minute: the
// network may have lost it without a word.
func (e *postgresEngine) listen(ctx context.Context, heard func()) error {
	c, err := pgx.ConnectConfig(ctx, e.config)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.Close(end) // the server finds it closed in any case
	}()
	switch direct, err := isDirect(ctx, c); {
	case err != nil:
		return fmt.Errorf("listen: %w", err)
	case !direct: // what this process hears would go to somebody else
		return fmt.Errorf("listen behind a pooler: %w", errors.ErrUnsupported)
	}
	if _, err := c.Exec(ctx, `LISTEN `+newsChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	heard()
	for {
		wait, cancel := context.WithTimeout(ctx, 30*time.Second)
		_, err := c.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			heard()
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.IsClosed() || !errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("listen: %w", err)
		default:
			try, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := c.Ping(try)
			cancel()
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
		}
	}
}
