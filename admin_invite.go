package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"discordcloud/manager"
)

type inviteCmd struct {
	Name  string        `default:"" help:"What it is for, as the list of invitations shows it."`
	Uses  int64         `default:"1" help:"Accounts that may be made by it; 0 is any number."`
	Lasts time.Duration `default:"168h" help:"How long it stands."`
	Bytes int64         `help:"Bytes that each account may store; 0 is no bound."`
	Files int64         `help:"Files that each account may store; 0 is no bound."`
	Group []string      `help:"Group that each account is in; may be given more than once."`
}

// Run makes an invitation, also while the server runs.
func (c inviteCmd) Run(ctx context.Context, a *app) error {
	return a.printLink(ctx, func(admin *manager.Admin) (string, error) {
		return admin.Invite(ctx, manager.Invitation{
			Name: c.Name, Bytes: c.Bytes, Files: c.Files, Groups: c.Group, Uses: c.Uses, Lasts: c.Lasts,
		})
	})
}

type resetUserCmd struct {
	Name string `arg:"" help:"Name of the user."`
}

// Run makes a link for a new password, also while the server runs.
func (c resetUserCmd) Run(ctx context.Context, a *app) error {
	return a.printLink(ctx, func(admin *manager.Admin) (string, error) { return admin.ResetLink(ctx, c.Name) })
}

// printLink prints the address of the page that ends in what f makes.
func (a *app) printLink(ctx context.Context, f func(*manager.Admin) (string, error)) error {
	listen := a.listenSettings()
	base := listen.public
	if base == "" {
		host := listen.host
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		base = "http://" + net.JoinHostPort(host, strconv.Itoa(listen.port))
	}
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	end, err := f(admin)
	if err = errors.Join(err, admin.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s/#%s\n", base, end)
	return err
}

type mailCmd struct {
	Test string `required:"" placeholder:"ADDRESS" help:"Address to send a mail to."`
}

// Run sends a mail and says what became of it.
func (c mailCmd) Run(ctx context.Context, a *app) error {
	log, m := a.logger(), a.mail(a.listenSettings().public)
	if err := a.checked(); err != nil {
		return err
	}
	if err := m.Test(ctx, c.Test, log); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "the server has taken a mail to %s\n", c.Test)
	return err
}
