// Package cli is the command line of a user: signing in to a server and working
// with the files that are there. The commands are declared for kong; each is a
// thin layer over pkg/client.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"discordcloud/pkg/client"
	"discordcloud/pkg/cloud"
)

// Group is kong's key of the group that the commands are in.
const Group = "files"

// Commands are the commands of a user.
type Commands struct {
	Login  loginCmd  `cmd:"" group:"files" help:"Sign in to a server; asks for the password."`
	Logout logoutCmd `cmd:"" group:"files" help:"Sign out, and forget the sign-in."`

	Ls      lsCmd      `cmd:"" group:"files" help:"List a folder."`
	Put     putCmd     `cmd:"" group:"files" help:"Upload files and folders. Run again, it goes on where it was cut, and leaves out what is there."`
	Get     getCmd     `cmd:"" group:"files" help:"Download files and folders. Run again, it goes on where it was cut, and leaves out what is there."`
	Cat     catCmd     `cmd:"" group:"files" help:"Write a file to standard output."`
	Mkdir   mkdirCmd   `cmd:"" group:"files" help:"Make a folder, and those above it."`
	Mv      mvCmd      `cmd:"" group:"files" help:"Move into a folder, or rename."`
	Cp      cpCmd      `cmd:"" group:"files" help:"Copy into a folder; nothing is uploaded again."`
	Rm      rmCmd      `cmd:"" group:"files" help:"Delete, into the trash."`
	Trash   trashCmd   `cmd:"" group:"files" help:"List what was deleted."`
	Restore restoreCmd `cmd:"" group:"files" name:"undelete" help:"Take something out of the trash, to where it was."`
	Find    findCmd    `cmd:"" group:"files" help:"Find files and folders by a part of their name."`
	Link    linkCmd    `cmd:"" group:"files" help:"Make a link that others can open, and print it."`
}

// agent names the program in the server's list of sign-ins.
func agent() string {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return "discord-cloud command line on " + host
}

// signedIn is the flag that all commands have.
type signedIn struct {
	Session string `help:"File that keeps the sign-in; the default is in the user's folder of settings." placeholder:"FILE" env:"DISCORD_CLOUD_SESSION"`
}

// file is where the session is kept.
func (s signedIn) file() (string, error) {
	if s.Session != "" {
		return s.Session, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("where to keep the sign-in: %w", err)
	}
	return filepath.Join(dir, "discord-cloud", "session.json"), nil
}

// read gives the session that is kept.
func (s signedIn) read() (client.Session, error) {
	var kept client.Session
	path, err := s.file()
	if err != nil {
		return kept, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return kept, cloud.UserErrorf(cloud.ErrUnauthenticated, "not signed in: run discord-cloud login https://your.server")
	}
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err != nil {
		return kept, fmt.Errorf("read the sign-in: %w", err)
	}
	return kept, nil
}

// keep writes the session in the place of the one before, for its owner alone.
func (s signedIn) keep(session client.Session) error {
	path, err := s.file()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(session, "", "  ")
	if err != nil {
		return fmt.Errorf("write the sign-in: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".session-*") // with mode 0600
	if err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep the sign-in: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// use runs f with a client of the session that is kept.
func (s signedIn) use(o client.Options, f func(*client.Client) error) error {
	session, err := s.read()
	if err != nil {
		return err
	}
	o.Agent = agent()
	c := client.New(session, o)
	defer c.Close()
	err = f(c)
	if errors.Is(err, cloud.ErrUnauthenticated) {
		err = cloud.UserErrorf(cloud.ErrUnauthenticated, "the sign-in has ended: run discord-cloud login %s", session.Server)
	}
	return err
}

type loginCmd struct {
	signedIn
	Server    string `arg:"" help:"Address of the server, such as https://cloud.example.org."`
	User      string `arg:"" optional:"" help:"Your name there; asked for without it."`
	PlainHTTP bool   `name:"plain-http" help:"Send the password over plain HTTP, readable on the way."`
}

// Run signs in and keeps the session.
func (c loginCmd) Run(ctx context.Context, t *Terminal) error {
	server, err := client.ServerAddress(c.Server, c.PlainHTTP)
	if err != nil {
		return err
	}
	user := c.User
	if user == "" {
		if user, err = t.Line("Name: "); err != nil {
			return err
		}
	}
	password, err := t.Secret("Password: ")
	if err != nil {
		return err
	}
	session, err := client.SignIn(ctx, server, user, password, func() (string, error) {
		return t.Line("Code of your second factor, or a recovery code: ")
	}, client.Options{Agent: agent()})
	if err != nil {
		return err
	}
	if err := c.keep(session); err != nil {
		return err
	}
	return t.printf("signed in to %s as %s until %s\n", session.Server, session.User, session.ExpiresAt.Local().Format(time.DateOnly))
}

type logoutCmd struct{ signedIn }

// Run ends the session on the server, and forgets it here.
func (c logoutCmd) Run(ctx context.Context, t *Terminal) error {
	err := c.use(client.Options{}, func(cl *client.Client) error { return cl.SignOut(ctx) })
	if err != nil && !errors.Is(err, cloud.ErrUnauthenticated) {
		return err // it would go on there
	}
	path, err := c.file()
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the sign-in: %w", err)
	}
	return t.printf("signed out\n")
}

// remote is a path on the server in its one form.
func remote(path string) string { return "/" + strings.Trim(path, "/") }

// under is the path of a name in a folder.
func under(folder, name string) string { return strings.TrimRight(folder, "/") + "/" + name }
