package manager

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/mail"
	"discordcloud/manager/internal/openid"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
)

// Mail is an SMTP server, smtp://user:password@host:port or smtps://…, and the
// address that mail comes from.
type Mail struct {
	URL  config.Secret
	From string
}

func (c Mail) mailer(log *slog.Logger) (*mail.Mailer, error) {
	if c.URL == "" {
		return nil, nil
	}
	return mail.New(mail.Options{URL: c.URL, From: c.From, Now: time.Now, Log: log})
}

// Check refuses what no mail could be sent with. The error tells no secret.
func (c Mail) Check() error {
	_, err := c.mailer(slog.New(slog.DiscardHandler))
	return err
}

// Test sends a mail and waits until the server has taken it.
func (c Mail) Test(ctx context.Context, to string, log *slog.Logger) error {
	if c.URL == "" {
		return cloud.UserErrorf(cloud.ErrInvalid, "SMTP_URL is not set: there is no mail")
	}
	if err := mail.CheckAddress(to); err != nil {
		return err
	}
	m, err := c.mailer(log)
	if err != nil {
		return err
	}
	return m.Deliver(ctx, mail.Message{To: to, Subject: "discord-cloud can send mail",
		Text: "Hello,\n\nwhoever runs discord-cloud has tried whether its mail arrives here. It does.\n"})
}

// OpenID is another provider of sign-ins, and what this server is to it.
type OpenID struct {
	Issuer       string
	ClientID     string
	ClientSecret config.Secret
	Name         string // as people know it
	SignUp       bool   // whoever it knows may make an account
}

func (c OpenID) provider() *openid.Provider {
	if c.Issuer == "" {
		return nil
	}
	return openid.New(openid.Options{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Name: c.Name, Now: time.Now})
}

// Invitation is what an operator wants of an invitation.
type Invitation struct {
	Name         string
	Bytes, Files int64 // 0 for no bound; both 0 for those of everybody
	Groups       []string
	Uses         int64 // 0 for no bound
	Lasts        time.Duration
}

// Invite makes an invitation and gives the end of its address, behind the "#".
func (a *Admin) Invite(ctx context.Context, i Invitation) (string, error) {
	w := auth.InvitationWish{Name: i.Name, MostBytes: i.Bytes, MostFiles: i.Files, MostUses: i.Uses, ExpiresAt: time.Now().Add(i.Lasts)}
	for _, name := range i.Groups {
		id, err := a.group(ctx, name)
		if err != nil {
			return "", err
		}
		w.Groups = append(w.Groups, id)
	}
	_, text, _, err := a.auth.Invite(ctx, operator, w)
	return "invite=" + text, err
}

func (a *Admin) group(ctx context.Context, name string) (cloud.GroupID, error) {
	found, err := a.store.Groups(ctx, name, 1000)
	if err != nil {
		return 0, err
	}
	for _, g := range found {
		if strings.EqualFold(g.Name, name) {
			return g.ID, nil
		}
	}
	return 0, cloud.UserErrorf(cloud.ErrNotFound, "there is no group named %s", name)
}

// ResetLink makes a link by which a user sets a new password, and gives the end of
// its address, behind the "#". It works once, for a day.
func (a *Admin) ResetLink(ctx context.Context, name string) (string, error) {
	id, err := a.find(ctx, name)
	if err != nil {
		return "", err
	}
	text, _, err := a.auth.MakeResetLink(ctx, operator, id)
	return "reset=" + text, err
}
