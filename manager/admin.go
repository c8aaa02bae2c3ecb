package manager

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

// Admin works on the database directly, for the command line. It may be open
// beside a running manager, which sees the changes at once.
type Admin struct {
	store *sqlmeta.Store
	auth  *auth.Service
	audit *audit.Log
}

// operator is whoever can run commands beside the database.
var operator = policy.Principal{Role: policy.User, Name: "operator", Administrator: true}

// OpenAdmin opens the database of an existing data folder, or another
// database. ErrNotFound if there is none: it never makes one.
func OpenAdmin(ctx context.Context, dataDir string, d Database, log *slog.Logger) (*Admin, error) {
	o := database(dataDir, d, log)
	o.Shared = true
	if o.URL == "" {
		if err := thereIs(o.Path); err != nil {
			return nil, err
		}
	}
	store, err := sqlmeta.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	written := &audit.Log{Store: store, Log: part(log, "audit")}
	return &Admin{store: store, audit: written, auth: auth.New(auth.Options{
		Store: store, Bus: &event.Bus{}, Log: part(log, "auth"), Audit: written,
	})}, nil
}

// thereIs is ErrNotFound, with a text, if there is no SQLite file.
func thereIs(path string) error {
	_, err := os.Stat(path)
	if os.IsNotExist(err) {
		return cloud.UserErrorf(cloud.ErrNotFound, "no database at %s (DATA_DIR says where)", path)
	}
	return err
}

// CreateUser adds a user. ErrExists if the name is taken, ErrInvalid for a name
// or password that breaks the rules.
func (a *Admin) CreateUser(ctx context.Context, name, password string, administrator bool) error {
	_, err := a.auth.CreateUser(ctx, operator, name, password, administrator)
	return err
}

// ResetPassword sets a user's password and ends all sign-ins of the user.
func (a *Admin) ResetPassword(ctx context.Context, name, password string) error {
	id, err := a.find(ctx, name)
	if err != nil {
		return err
	}
	return a.auth.SetPassword(ctx, operator, id, password)
}

// SetDisabled closes the account of a user, or opens it again: see auth's.
func (a *Admin) SetDisabled(ctx context.Context, name string, disabled bool) error {
	id, err := a.find(ctx, name)
	if err == nil {
		_, err = a.auth.SetDisabled(ctx, operator, id, disabled)
	}
	return err
}

// SetAdministrator gives a user the role of an administrator, or takes it.
func (a *Admin) SetAdministrator(ctx context.Context, name string, administrator bool) error {
	id, err := a.find(ctx, name)
	if err == nil {
		_, err = a.auth.SetAdministrator(ctx, operator, id, administrator)
	}
	return err
}

// ResetFactors takes all second factors from a user. ErrNotFound if he has none.
func (a *Admin) ResetFactors(ctx context.Context, name string) error {
	id, err := a.find(ctx, name)
	if err == nil {
		err = a.auth.ResetFactors(ctx, operator, id)
	}
	return err
}

// SetQuota bounds what a user may store; 0 is no bound.
func (a *Admin) SetQuota(ctx context.Context, name string, bytes, files int64) error {
	id, err := a.find(ctx, name)
	if err == nil {
		tree := &vfs.FS{Store: a.store, Bus: &event.Bus{}, Audit: a.audit}
		_, err = tree.SetQuota(ctx, operator, id, bytes, files)
	}
	return err
}

// DeleteUser removes an account and gives what it owns to an heir, into his trash
// if that is wished and keep has one.
func (a *Admin) DeleteUser(ctx context.Context, name, heir string, trash bool, keep Retention) error {
	id, err := a.find(ctx, name)
	if err != nil {
		return err
	}
	to, err := a.find(ctx, heir)
	if err != nil {
		return err
	}
	a.store.SetRetention(keep)
	return a.auth.DeleteUser(ctx, operator, id, to, trash)
}

func (a *Admin) find(ctx context.Context, name string) (cloud.UserID, error) {
	c, err := a.store.Credentials(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("find user %s: %w", name, err)
	}
	return c.ID, nil
}

// AppPassword makes a password for programs of a user, confined to a folder
// unless path is "/" or "". It is told here and nowhere again.
func (a *Admin) AppPassword(ctx context.Context, user, name, path string, readOnly bool) (string, error) {
	c, err := a.store.Credentials(ctx, user)
	if err != nil {
		return "", fmt.Errorf("find user %s: %w", user, err)
	}
	who := policy.Principal{Role: policy.User, User: c.ID, Name: c.Name}
	p := auth.AppPassword{Name: name, ReadOnly: readOnly}
	if path != "" {
		files := &vfs.FS{Store: a.store, Bus: &event.Bus{}}
		folder, err := files.Folder(ctx, who, path)
		if err != nil {
			return "", fmt.Errorf("find folder %s: %w", path, err)
		}
		p.Entry = folder.ID
	}
	_, text, err := a.auth.MakeAppPassword(ctx, who, p)
	return text, err
}

// Users lists all users.
func (a *Admin) Users(ctx context.Context) ([]cloud.User, error) {
	return a.store.Users(ctx, "", 1<<20)
}

// VerifyAudit computes the chain of the audit log again. It gives how many records
// there are, with the sum of the last, and where the chain breaks, "" if it does
// not.
func (a *Admin) VerifyAudit(ctx context.Context) (records int64, sum, fault string, err error) {
	state, err := a.store.VerifyAudit(ctx)
	return state.Records, state.Sum.String(), state.Fault, err
}

// Check gives a line for each fault of the database.
func (a *Admin) Check(ctx context.Context) ([]string, error) { return a.store.Check(ctx) }

// Close closes the database.
func (a *Admin) Close() error { return a.store.Close() }
