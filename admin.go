package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"discordcloud/manager"
)

type adminCmd struct {
	CreateUser      createUserCmd      `cmd:"" help:"Create a user; asks for the password on standard input."`
	ResetPassword   resetPasswordCmd   `cmd:"" help:"Set a user's password; asks for it on standard input. All sign-ins of the user end."`
	AppPassword     appPasswordCmd     `cmd:"" help:"Make a password for WebDAV and print it; it is told once. The page lists and revokes them."`
	User            userCmd            `cmd:"" help:"Close, open and delete accounts, set roles and quotas."`
	Invite          inviteCmd          `cmd:"" help:"Make an invitation and print its address: whoever opens it makes an account."`
	Mail            mailCmd            `cmd:"" help:"Try whether mail arrives."`
	Users           usersCmd           `cmd:"" help:"List the users."`
	Config          configCmd          `cmd:"" help:"Print the configuration in force, without its secrets."`
	Thumbnails      thumbnailsCmd      `cmd:"" help:"Show how many thumbnails there are, or have them made again."`
	Check           checkCmd           `cmd:"" help:"Check the database for damage."`
	Backup          backupCmd          `cmd:"" help:"Write the whole database into a file, also while the server runs."`
	Restore         restoreCmd         `cmd:"" help:"Fill an empty database from a backup. If it is cut short, run it again."`
	MigrateDatabase migrateDatabaseCmd `cmd:"" help:"Copy a database into an empty one of the same or the other kind. If it is cut short, run it again."`
	Audit           auditCmd           `cmd:"" help:"Look after the audit log."`
	Collect         collectCmd         `cmd:"" help:"Show what is deleted from Discord, try it out, or pause it."`
}

func (a *app) openAdmin(ctx context.Context) (*manager.Admin, error) {
	log, dir, database := a.logger(), a.dataDir(), a.database()
	if err := a.checked(); err != nil {
		return nil, err
	}
	return manager.OpenAdmin(ctx, dir, database, log)
}

// password asks for one that is to be set.
func (a *app) password() (string, error) {
	return a.terminal.Secret("Password (8 characters or more): ")
}

type createUserCmd struct {
	Name  string `arg:"" help:"Name of the user."`
	Admin bool   `help:"Make the user an administrator."`
}

// Run creates a user, also while the server runs.
func (c createUserCmd) Run(ctx context.Context, a *app) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	password, err := a.password()
	if err == nil {
		err = admin.CreateUser(ctx, c.Name, password, c.Admin)
	}
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "user %s created\n", c.Name)
	return err
}

type resetPasswordCmd struct {
	Name string `arg:"" help:"Name of the user."`
}

// Run sets a password, also while the server runs.
func (c resetPasswordCmd) Run(ctx context.Context, a *app) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	password, err := a.password()
	if err == nil {
		err = admin.ResetPassword(ctx, c.Name, password)
	}
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "password of %s set; all sign-ins ended\n", c.Name)
	return err
}

type appPasswordCmd struct {
	User     string `required:"" help:"Name of the user whose files it opens."`
	ReadOnly bool   `help:"It may change nothing."`
	Path     string `default:"/" help:"Folder that it is confined to."`
	Name     string `default:"WebDAV" help:"What it is for, as the user's list shows it."`
}

// Run makes an app password, also while the server runs.
func (c appPasswordCmd) Run(ctx context.Context, a *app) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	text, err := admin.AppPassword(ctx, c.User, c.Name, c.Path, c.ReadOnly)
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, text)
	return err
}

type usersCmd struct{}

// Run lists the users.
func (usersCmd) Run(ctx context.Context, a *app) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	users, err := admin.Users(ctx)
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	for _, u := range users {
		role := "user"
		if u.Administrator {
			role = "administrator"
		}
		if u.Disabled {
			role = "disabled"
		}
		if _, err := fmt.Fprintf(a.stdout, "%-6d %-24s %-14s %s\n", u.ID, u.Name, role, u.CreatedAt.Format("2006-01-02")); err != nil {
			return err
		}
	}
	return nil
}

type configCmd struct {
	Markdown bool `help:"Print the table of the README."`
}

// Run prints every setting that serve, manager and services know.
func (c configCmd) Run(_ context.Context, a *app) error {
	a.declareAll()
	if c.Markdown {
		_, err := io.WriteString(a.stdout, a.configTable())
		return err
	}
	if a.file != "" {
		if _, err := fmt.Fprintf(a.stdout, "# %s, and the environment\n", a.file); err != nil {
			return err
		}
	}
	for _, v := range a.env.Vars() {
		mark := "default"
		if v.Set {
			mark = "set"
		}
		if _, err := fmt.Fprintf(a.stdout, "%-28s %-8s %s\n", v.Name, mark, v.Value); err != nil {
			return err
		}
	}
	return a.checked()
}

// configTable is the settings as a table in Markdown.
func (a *app) configTable() string {
	var b strings.Builder
	b.WriteString("| Variable | Default | Meaning |\n| --- | --- | --- |\n")
	for _, v := range a.env.Vars() {
		def := ""
		if v.Default != "" {
			def = "`" + v.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, def, v.Help)
	}
	return b.String()
}

type auditCmd struct {
	Verify bool `required:"" help:"Compute its chain of sums again, and print the last: noted elsewhere, it proves later that nothing was changed."`
}

// Run verifies the audit log, also while the server runs.
func (auditCmd) Run(ctx context.Context, a *app) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	records, sum, fault, err := admin.VerifyAudit(ctx)
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	if fault != "" {
		return fmt.Errorf("the audit log was changed: %s", fault)
	}
	_, err = fmt.Fprintf(a.stdout, "the audit log is whole: %d records, the last with the sum %s\n", records, sum)
	return err
}

type checkCmd struct{}

// Run checks the database, also while the server runs.
func (checkCmd) Run(ctx context.Context, a *app) error {
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	faults, err := admin.Check(ctx)
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	for _, f := range faults {
		if _, err := fmt.Fprintln(a.stdout, f); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("the database has %d faults", len(faults))
	}
	_, err = fmt.Fprintln(a.stdout, "the database is sound")
	return err
}
