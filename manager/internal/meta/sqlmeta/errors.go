package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"discordcloud/pkg/cloud"
)

// kinds maps SQLite's primary and extended result codes.
var kinds = []struct {
	code int
	kind error
}{
	{lib.SQLITE_CONSTRAINT_FOREIGNKEY, cloud.ErrNotFound},
	{lib.SQLITE_CONSTRAINT_UNIQUE, cloud.ErrExists},
	{lib.SQLITE_CONSTRAINT_PRIMARYKEY, cloud.ErrExists},
	{lib.SQLITE_CONSTRAINT_CHECK, cloud.ErrInvalid},
	{lib.SQLITE_BUSY, cloud.ErrUnavailable},
	{lib.SQLITE_LOCKED, cloud.ErrUnavailable},
	{lib.SQLITE_READONLY, cloud.ErrUnavailable},
	{lib.SQLITE_IOERR, cloud.ErrUnavailable},
	{lib.SQLITE_CANTOPEN, cloud.ErrUnavailable},
	{lib.SQLITE_NOMEM, cloud.ErrUnavailable},
	{lib.SQLITE_FULL, cloud.ErrFull},
	{lib.SQLITE_CORRUPT, cloud.ErrCorrupt},
	{lib.SQLITE_NOTADB, cloud.ErrCorrupt},
	{lib.SQLITE_TOOBIG, cloud.ErrTooLarge},
}

// classify gives an error of SQLite or of database/sql a kind. Others, those of
// an Allow among them, stay as they are.
func (s *Store) classify(ctx context.Context, err error) error {
	if err == nil || cloud.KindOf(err) != nil {
		return err
	}
	e, fromSQLite := errors.AsType[*sqlite.Error](err)
	if ctx.Err() != nil && (fromSQLite && e.Code()&0xff == lib.SQLITE_INTERRUPT ||
		errors.Is(err, sql.ErrTxDone) || errors.Is(err, ctx.Err())) {
		// The statement was cut off because the caller gave up.
		if cause := context.Cause(ctx); cause != ctx.Err() {
			return fmt.Errorf("database: %w: %w", ctx.Err(), cause)
		}
		return fmt.Errorf("database: %w", ctx.Err())
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %w", cloud.ErrNotFound, err)
	}
	if !fromSQLite {
		return err
	}
	for _, k := range kinds {
		if e.Code() == k.code || e.Code()&0xff == k.code {
			return fmt.Errorf("%w: %w", k.kind, err)
		}
	}
	return err
}

func isBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == lib.SQLITE_BUSY || e.Code()&0xff == lib.SQLITE_LOCKED)
}

// notFound replaces the error for a missing row by one that says what is missing.
func notFound(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), cloud.ErrNotFound)
	}
	return err
}
