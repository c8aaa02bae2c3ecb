package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"discordcloud/pkg/cloud"
)

// classify gives an error of the engine or of database/sql a kind. Others, those
// of an Allow among them, stay as they are.
func (s *Store) classify(ctx context.Context, err error) error {
	if err == nil || cloud.KindOf(err) != nil {
		return err
	}
	if ctx.Err() != nil && (s.engine.cutOff(err) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, ctx.Err())) {
		// The statement was cut off because the caller gave up.
		if cause := context.Cause(ctx); cause != ctx.Err() {
			return fmt.Errorf("database: %w: %w", ctx.Err(), cause)
		}
		return fmt.Errorf("database: %w", ctx.Err())
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %w", cloud.ErrNotFound, err)
	}
	if kind, own := s.engine.kindOf(err); own && kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

// notFound replaces the error for a missing row by one that says what is missing.
func notFound(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), cloud.ErrNotFound)
	}
	return err
}
