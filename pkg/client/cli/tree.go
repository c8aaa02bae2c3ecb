package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"discordcloud/pkg/client"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

type lsCmd struct {
	signedIn
	Path string `arg:"" default:"/" help:"Folder, or file; the top without it."`
	Long bool   `short:"l" help:"With size, time and owner."`
	JSON bool   `name:"json" help:"One record of JSON for each, as the HTTP API has them."`
}

// Run lists a folder, page by page.
func (c lsCmd) Run(ctx context.Context, t *Terminal) error {
	return c.use(client.Options{}, func(cl *client.Client) error {
		e, err := find(ctx, cl, c.Path)
		if err != nil {
			return err
		}
		if e.Kind == packet.KindFile {
			return c.print(t, e)
		}
		for e, err := range cl.Children(ctx, e.ID) {
			if err != nil {
				return err
			}
			if err := c.print(t, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c lsCmd) print(t *Terminal, e client.Entry) error {
	switch {
	case c.JSON:
		return json.NewEncoder(t.Out).Encode(e)
	case c.Long:
		owner := "-"
		if e.Owner != nil {
			owner = shown(e.Owner.Name)
		}
		size := "-"
		if e.Kind == packet.KindFile {
			size = humanize.IBytes(uint64(max(e.Size, 0)))
		}
		return t.printf("%9s  %s  %-12s  %s\n", size, when(e.ModifiedAt), owner, title(e.Name, e.Kind))
	}
	return t.printf("%s\n", title(e.Name, e.Kind))
}

// title is a name with a slash behind folders.
func title(name, kind string) string {
	if kind == packet.KindFolder {
		name += "/"
	}
	return shown(name)
}

// when is a time of an entry as people here read it.
func when(text string) string {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "                "
	}
	return at.Local().Format("2006-01-02 15:04")
}

// find looks a path up, and says which one it was that is not there.
func find(ctx context.Context, cl *client.Client, path string) (client.Entry, error) {
	e, err := cl.Lookup(ctx, path)
	if errors.Is(err, cloud.ErrNotFound) {
		err = cloud.UserErrorf(cloud.ErrNotFound, "%s is not there", shown(remote(path)))
	}
	return e, err
}

// findAll looks all paths up, before anything is done to any of them.
func findAll(ctx context.Context, cl *client.Client, paths []string) ([]int64, error) {
	ids := make([]int64, 0, len(paths))
	for _, p := range paths {
		e, err := find(ctx, cl, p)
		if err != nil {
			return nil, err
		}
		if e.ID == 0 {
			return nil, cloud.UserErrorf(cloud.ErrInvalid, "this cannot be done with the top folder")
		}
		ids = append(ids, e.ID)
	}
	return ids, nil
}

type mkdirCmd struct {
	signedIn
	public
	Path string `arg:"" help:"The folder."`
}

// public is the flag of what makes something.
type public struct {
	Public bool `help:"Let every user of the server read it; a folder within another is as public as that."`
}

// Run makes a folder.
func (c mkdirCmd) Run(ctx context.Context, _ *Terminal) error {
	return c.use(client.Options{}, func(cl *client.Client) error {
		_, _, err := cl.MakeFolder(ctx, c.Path, c.Public)
		return err
	})
}

// taken is the flag that tells what is done about names that are taken.
type taken struct {
	OnConflict string `enum:"fail,overwrite,rename" default:"fail" help:"If a name is taken: fail, overwrite or rename."`
}

type mvCmd struct {
	signedIn
	taken
	Sources []string `arg:"" help:"What is moved, and where to: the last is a folder, or another name for the only one."`
}

// Run moves into a folder if there is one, else renames.
func (c mvCmd) Run(ctx context.Context, _ *Terminal) error {
	sources, target, err := split(c.Sources)
	if err != nil {
		return err
	}
	return c.use(client.Options{}, func(cl *client.Client) error {
		ids, err := findAll(ctx, cl, sources)
		if err != nil {
			return err
		}
		to, err := cl.Lookup(ctx, target)
		switch {
		case err == nil && to.Kind == packet.KindFolder:
			return cl.Move(ctx, ids, to.ID, c.OnConflict)
		case err != nil && !errors.Is(err, cloud.ErrNotFound):
			return err
		case len(ids) > 1 || strings.HasSuffix(target, "/"):
			return cloud.UserErrorf(cloud.ErrNotFound, "%s is not a folder", shown(remote(target)))
		}
		folder, err := find(ctx, cl, path.Dir(remote(target)))
		if err != nil {
			return err
		}
		return cl.Rename(ctx, ids[0], folder.ID, path.Base(remote(target)), c.OnConflict)
	})
}

// split takes the last of several paths off.
func split(paths []string) (sources []string, target string, err error) {
	if len(paths) < 2 {
		return nil, "", cloud.UserErrorf(cloud.ErrInvalid, "where to? Give the target as the last one")
	}
	return paths[:len(paths)-1], paths[len(paths)-1], nil
}

type cpCmd struct {
	signedIn
	OnConflict string   `enum:"fail,rename" default:"fail" help:"If a name is taken: fail or rename."`
	Sources    []string `arg:"" help:"What is copied, and the folder that it is copied into."`
}

// Run copies into a folder.
func (c cpCmd) Run(ctx context.Context, _ *Terminal) error {
	sources, target, err := split(c.Sources)
	if err != nil {
		return err
	}
	return c.use(client.Options{}, func(cl *client.Client) error {
		ids, err := findAll(ctx, cl, sources)
		if err != nil {
			return err
		}
		to, err := find(ctx, cl, target)
		if err != nil {
			return err
		}
		return cl.Copy(ctx, ids, to.ID, c.OnConflict)
	})
}

type rmCmd struct {
	signedIn
	Paths []string `arg:"" help:"Files and folders."`
}

// Run deletes, and tells how to take it back.
func (c rmCmd) Run(ctx context.Context, t *Terminal) error {
	return c.use(client.Options{}, func(cl *client.Client) error {
		ids, err := findAll(ctx, cl, c.Paths)
		if err != nil {
			return err
		}
		gone, err := cl.Delete(ctx, ids)
		if err != nil {
			return err
		}
		back := ""
		if len(gone.Trash) > 0 {
			back = "; back with: discord-cloud undelete"
			for _, id := range gone.Trash {
				back += fmt.Sprint(" ", id)
			}
		}
		return t.printf("deleted %s, %s%s\n", counted(gone.Files, gone.Folders), humanize.IBytes(uint64(max(gone.Bytes, 0))), back)
	})
}

// counted is a number of files and folders in words.
func counted(files, folders int64) string {
	text := plural(files, "file")
	if folders > 0 {
		text += " in " + plural(folders, "folder")
	}
	return text
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return humanize.Comma(n) + " " + what + "s"
}

type trashCmd struct{ signedIn }

// Run lists the trash, what was deleted last first.
func (c trashCmd) Run(ctx context.Context, t *Terminal) error {
	return c.use(client.Options{}, func(cl *client.Client) error {
		for item, err := range cl.Trash(ctx) {
			if err != nil {
				return err
			}
			at := item.DeletedAt.Local().Format("2006-01-02 15:04")
			if err := t.printf("%-8d  %9s  %s  %s\n", item.Entry.ID, humanize.IBytes(uint64(max(item.Bytes, 0))), at,
				title(under(item.Path, item.Entry.Name), item.Entry.Kind)); err != nil {
				return err
			}
		}
		return nil
	})
}

type restoreCmd struct {
	signedIn
	IDs []int64 `arg:"" name:"id" help:"Numbers, as trash lists them."`
}

// Run restores, and tells under which names.
func (c restoreCmd) Run(ctx context.Context, t *Terminal) error {
	return c.use(client.Options{}, func(cl *client.Client) error {
		entries, err := cl.Restore(ctx, c.IDs)
		if errors.Is(err, cloud.ErrNotFound) {
			err = cloud.UserErrorf(cloud.ErrNotFound, "not all of these numbers are in the trash")
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := t.printf("%s\n", title(e.Name, e.Kind)); err != nil {
				return err
			}
		}
		return nil
	})
}

type findCmd struct {
	signedIn
	Text string `arg:"" help:"Part of the name."`
}

// Run prints the paths of what has the text in its name.
func (c findCmd) Run(ctx context.Context, t *Terminal) error {
	return c.use(client.Options{}, func(cl *client.Client) error {
		for e, err := range cl.Search(ctx, c.Text) {
			if err != nil {
				return err
			}
			if err := t.printf("%s\n", title(under(e.Path, e.Name), e.Kind)); err != nil {
				return err
			}
		}
		return nil
	})
}

type linkCmd struct {
	signedIn
	Path     string        `arg:"" help:"File or folder."`
	Mode     string        `enum:"view,download,upload" default:"download" help:"What the link is for: view, download, or upload into a folder."`
	Password bool          `help:"Ask for a password that opening it takes."`
	Expires  time.Duration `help:"It ends after that long, such as 168h; it does not without." placeholder:"DURATION"`
	Uses     int64         `help:"It ends after so many uses." placeholder:"N"`
}

// Run makes a link.
func (c linkCmd) Run(ctx context.Context, t *Terminal) error {
	l := client.Link{Mode: c.Mode, MostUses: c.Uses}
	if c.Expires > 0 {
		l.ExpiresAt = time.Now().Add(c.Expires).UTC()
	}
	return c.use(client.Options{}, func(cl *client.Client) error {
		e, err := find(ctx, cl, c.Path)
		if err != nil {
			return err
		}
		if c.Password {
			if l.Password, err = t.Secret("Password of the link: "); err != nil {
				return err
			}
		}
		address, err := cl.MakeLink(ctx, e.ID, l)
		if err != nil {
			return err
		}
		return t.printf("%s\n", address)
	})
}
