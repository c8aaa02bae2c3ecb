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
	"discordcloud/pkg/config"
)

// Admin works on the database directly, for the command line. It may be open
// beside a running manager, which sees the changes at once.
type Admin struct {
	store *sqlmeta.Store
	auth  *auth.Service
}

// operator is whoever can run commands beside the database.
var operator = policy.Principal{Role: policy.User, Name: "operator", Administrator: true}

// OpenAdmin opens the database of an existing data folder, or the PostgreSQL of a
// URL. ErrNotFound if there is none: it never makes one.
func OpenAdmin(ctx context.Context, dataDir string, url config.Secret, log *slog.Logger) (*Admin, error) {
	o := database(dataDir, url, log)
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
	return &Admin{store: store, auth: auth.New(auth.Options{
		Store: store, Bus: &event.Bus{}, Log: part(log, "auth"), Audit: &audit.Log{Store: store, Log: part(log, "audit")},
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
	c, err := a.store.Credentials(ctx, name)
	if err != nil {
		return fmt.Errorf("find user %s: %w", name, err)
	}
	return a.auth.SetPassword(ctx, operator, c.ID, password)
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
