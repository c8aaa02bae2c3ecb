package main

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager"
)

type userCmd struct {
	Disable      disableUserCmd      `cmd:"" help:"Close an account: its sign-ins and app passwords end, its files stay."`
	Enable       enableUserCmd       `cmd:"" help:"Open an account again."`
	Role         roleUserCmd         `cmd:"" help:"Make a user an administrator, or no longer one."`
	ResetFactors resetFactorsUserCmd `cmd:"" help:"Take the one-time codes, passkeys and recovery codes from a user who has lost them."`
	Reset        resetUserCmd        `cmd:"" help:"Make a link by which a user sets a new password, and print its address. It works once, for a day."`
	Quota        quotaUserCmd        `cmd:"" help:"Bound what a user may store."`
	Delete       deleteUserCmd       `cmd:"" help:"Delete an account, and give its files to somebody."`
}

// amend runs f beside the database and says what it did.
func (a *app) amend(ctx context.Context, f func(*manager.Admin) error, format string, args ...any) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(f(admin), admin.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, format+"\n", args...)
	return err
}

type disableUserCmd struct {
	Name string `arg:"" help:"Name of the user."`
}

// Run closes an account, also while the server runs.
func (c disableUserCmd) Run(ctx context.Context, a *app) error {
	return a.amend(ctx, func(admin *manager.Admin) error { return admin.SetDisabled(ctx, c.Name, true) }, "user %s disabled", c.Name)
}

type enableUserCmd struct {
	Name string `arg:"" help:"Name of the user."`
}

// Run opens an account, also while the server runs.
func (c enableUserCmd) Run(ctx context.Context, a *app) error {
	return a.amend(ctx, func(admin *manager.Admin) error { return admin.SetDisabled(ctx, c.Name, false) }, "user %s enabled", c.Name)
}

type roleUserCmd struct {
	Name string `arg:"" help:"Name of the user."`
	Role string `arg:"" enum:"administrator,user" help:"administrator or user."`
}

// Run sets a role, also while the server runs.
func (c roleUserCmd) Run(ctx context.Context, a *app) error {
	return a.amend(ctx, func(admin *manager.Admin) error {
		return admin.SetAdministrator(ctx, c.Name, c.Role == "administrator")
	}, "%s is %s", c.Name, c.Role)
}

type resetFactorsUserCmd struct {
	Name string `arg:"" help:"Name of the user."`
}

// Run resets second factors, also while the server runs.
func (c resetFactorsUserCmd) Run(ctx context.Context, a *app) error {
	return a.amend(ctx, func(admin *manager.Admin) error { return admin.ResetFactors(ctx, c.Name) },
		"second factors of %s reset: the password is enough", c.Name)
}

type quotaUserCmd struct {
	Name  string `arg:"" help:"Name of the user."`
	Bytes int64  `help:"Bytes at most; 0 is no bound."`
	Files int64  `help:"Files at most; 0 is no bound."`
}

// Run sets a quota, also while the server runs.
func (c quotaUserCmd) Run(ctx context.Context, a *app) error {
	return a.amend(ctx, func(admin *manager.Admin) error { return admin.SetQuota(ctx, c.Name, c.Bytes, c.Files) },
		"%s may store %d bytes and %d files (0 is no bound)", c.Name, c.Bytes, c.Files)
}

type deleteUserCmd struct {
	Name   string `arg:"" help:"Name of the user."`
	GiveTo string `required:"" help:"Name of the user who gets the files."`
	Trash  bool   `help:"They go into that user's trash, but for folders that hold what others own."`
}

// Run deletes an account, also while the server runs.
func (c deleteUserCmd) Run(ctx context.Context, a *app) error {
	keep := a.retention()
	return a.amend(ctx, func(admin *manager.Admin) error {
		return admin.DeleteUser(ctx, c.Name, c.GiveTo, c.Trash, keep)
	}, "user %s deleted; the files are %s's", c.Name, c.GiveTo)
}
