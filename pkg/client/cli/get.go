package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"discordcloud/pkg/client"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

type getCmd struct {
	signedIn
	Into       string   `short:"C" default:"." help:"Folder on this machine that they go into; made if it is missing." placeholder:"DIR"`
	OnConflict string   `enum:"fail,overwrite,skip" default:"fail" help:"If another file has the name: fail, overwrite or skip."`
	Jobs       int      `short:"j" default:"4" help:"Files at once."`
	Quiet      bool     `short:"q" help:"Say nothing but what fails."`
	Paths      []string `arg:"" help:"Files and folders on the server."`
}

// Run downloads.
func (c getCmd) Run(ctx context.Context, t *Terminal) error {
	return c.use(client.Options{Files: c.Jobs}, func(cl *client.Client) error {
		var entries []client.Entry
		for _, p := range c.Paths {
			e, err := find(ctx, cl, p)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		if err := os.MkdirAll(c.Into, 0o777); err != nil {
			return err
		}
		// Nothing is written outside, whatever names there are.
		root, err := os.OpenRoot(c.Into)
		if err != nil {
			return err
		}
		defer func() { _ = root.Close() }() // it holds nothing
		return work(ctx, t, c.Quiet, c.Jobs, "downloaded", func(w *crew) error {
			g := &getting{crew: w, c: cl, root: root, conflict: c.OnConflict}
			for _, e := range entries {
				if err := g.count(e); err != nil {
					return err
				}
			}
			for _, e := range entries {
				if err := g.entry(e, "."); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// getting is one run of get.
type getting struct {
	*crew
	c        *client.Client
	root     *os.Root
	conflict string
}

// count adds up what there is to fetch.
func (g *getting) count(e client.Entry) error {
	bytes, err := e.Size, error(nil)
	if e.Kind == packet.KindFolder {
		bytes, _, err = g.c.Size(g.ctx, e.ID)
	}
	g.total.Add(bytes)
	return err
}

// entry downloads a file, or a folder with what is in it: it holds one page of
// names for each level.
func (g *getting) entry(e client.Entry, dir string) error {
	path := filepath.Join(dir, e.Name)
	if e.Name != "" && (!filepath.IsLocal(e.Name) || strings.ContainsRune(e.Name, filepath.Separator)) {
		g.fail(path, cloud.UserErrorf(cloud.ErrInvalid, "nothing can have this name here"))
		return nil
	}
	if e.Kind == packet.KindFile {
		return g.do(path, func(ctx context.Context) (bool, error) { return g.file(ctx, e, path) })
	}
	if err := g.root.MkdirAll(path, 0o777); err != nil {
		g.fail(path, err)
		return nil
	}
	for child, err := range g.c.Children(g.ctx, e.ID) {
		if err != nil {
			return fmt.Errorf("%s: %w", shown(path), err)
		}
		if err := g.entry(child, path); err != nil {
			return err
		}
	}
	return nil
}

// file downloads one into a file beside the place that it goes to, which a later
// run goes on with, and moves it there when it is whole.
func (g *getting) file(ctx context.Context, e client.Entry, path string) (unchanged bool, err error) {
	if info, err := g.root.Lstat(path); err == nil {
		switch {
		case info.Mode().IsRegular() && info.Size() == e.Size && sameTime(e.ModifiedAt, info.ModTime()), g.conflict == client.Skip:
			g.had(e.Size)
			return true, nil
		case g.conflict == client.Fail || !info.Mode().IsRegular():
			return false, cloud.UserErrorf(cloud.ErrExists, "something else has this name here; see --on-conflict")
		}
	}
	part := filepath.Join(filepath.Dir(path), fmt.Sprintf(".discord-cloud-%d-%.16s.part", e.ID, e.Hash))
	had, err := g.fetch(ctx, e, part)
	if had && errors.Is(err, cloud.ErrCorrupt) { // what was there was something else
		_, err = g.fetch(ctx, e, part)
	}
	if err != nil {
		return false, err
	}
	if at, bad := time.Parse(time.RFC3339Nano, e.ModifiedAt); bad == nil {
		if err := g.root.Chtimes(part, time.Now(), at); err != nil {
			return false, err
		}
	}
	return false, g.root.Rename(part, path)
}

// fetch makes part whole. It tells whether it began with something, and leaves
// nothing of a file that is not the right one.
func (g *getting) fetch(ctx context.Context, e client.Entry, part string) (had bool, err error) {
	f, err := g.root.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return false, err
	}
	n, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, errors.Join(err, f.Close())
	}
	counted := int64(0)
	err = g.c.Download(ctx, e, io.NewSectionReader(f, 0, n), f, func(n int64) { counted += n; g.sent(n) })
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		g.sent(-counted)
	}
	if errors.Is(err, cloud.ErrCorrupt) {
		if gone := g.root.Remove(part); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return n > 0, err
}

type catCmd struct {
	signedIn
	Paths []string `arg:"" help:"Files."`
}

// Run writes files to standard output; it fails if what it wrote was not a file
// as the server has it.
func (c catCmd) Run(ctx context.Context, t *Terminal) error {
	return c.use(client.Options{}, func(cl *client.Client) error {
		for _, p := range c.Paths {
			e, err := find(ctx, cl, p)
			if err != nil {
				return err
			}
			if e.Kind != packet.KindFile {
				return cloud.UserErrorf(cloud.ErrInvalid, "%s is a folder", shown(remote(p)))
			}
			if err := cl.Download(ctx, e, nil, t.Out, func(int64) {}); err != nil {
				return fmt.Errorf("%s: %w", shown(remote(p)), err)
			}
		}
		return nil
	})
}
