package main

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager"
)

type backupCmd struct {
	File string `arg:"" help:"File to make. Whoever has it has the names of all files and the users' password hashes, but no content: the keys are not in it."`
}

// Run writes a backup, also while the server runs.
func (c backupCmd) Run(ctx context.Context, a *app) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	rows, err := admin.Backup(ctx, c.File)
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s holds %d rows, and was read again\n", c.File, rows)
	return err
}

type restoreCmd struct {
	File string `arg:"" help:"File that backup made."`
}

// Run fills the database that the configuration names.
func (c restoreCmd) Run(ctx context.Context, a *app) error {
	log, dir, database := a.logger(), a.dataDir(), a.database()
	if err := a.checked(); err != nil {
		return err
	}
	rows, err := manager.Restore(ctx, dir, database, c.File, log)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%d rows restored and compared\n", rows)
	return err
}

type migrateDatabaseCmd struct {
	From string `required:"" help:"postgres://… or the path of an SQLite file."`
	To   string `required:"" help:"The same, of an empty database."`
}

// Run copies a database into another one.
func (c migrateDatabaseCmd) Run(ctx context.Context, a *app) error {
	log, supabase := a.logger(), a.supabase()
	if err := a.checked(); err != nil {
		return err
	}
	rows, err := manager.MoveDatabase(ctx, c.From, c.To, supabase.key, log)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%d rows copied and compared\n", rows)
	return err
}
