package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/text/unicode/norm"

	"discordcloud/pkg/client"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// batch is how many entries of a folder are compared with the server at a time.
const batch = 10_000

type putCmd struct {
	signedIn
	public
	OnConflict string   `enum:"fail,overwrite,rename,skip" default:"fail" help:"If another file has the name: fail, overwrite, rename or skip. Of what is overwritten the server keeps versions."`
	Jobs       int      `short:"j" default:"4" help:"Files at once, if the server has room for so many."`
	Quiet      bool     `short:"q" help:"Say nothing but what fails."`
	Sources    []string `arg:"" help:"Files and folders, and the folder on the server that they go into, which is made if it is missing."`
}

// Run uploads.
func (c putCmd) Run(ctx context.Context, t *Terminal) error {
	sources, target, err := split(c.Sources)
	if err != nil {
		return err
	}
	for _, s := range sources {
		if _, err := os.Stat(s); err != nil {
			return err
		}
	}
	return c.use(client.Options{Files: c.Jobs}, func(cl *client.Client) error {
		return work(ctx, t, c.Quiet, c.Jobs, "uploaded", func(w *crew) error {
			p := &putting{crew: w, c: cl, conflict: c.OnConflict, public: c.Public, begun: map[begun]string{}}
			if err := p.recall(); err != nil {
				return err
			}
			for _, s := range sources {
				if err := p.count(s); err != nil {
					return err
				}
			}
			return p.all(sources, target)
		})
	})
}

// putting is one run of put.
type putting struct {
	*crew
	c        *client.Client
	conflict string
	public   bool
	begun    map[begun]string // uploads of earlier runs, by their ids
}

// begun is what is known of an upload of an earlier run.
type begun struct {
	folder, name string
	size         int64
}

// recall asks for what earlier runs have left.
func (p *putting) recall() error {
	unfinished, err := p.c.Unfinished(p.ctx)
	for _, u := range unfinished {
		p.begun[begun{u.Path, u.Name, u.Size}] = u.UploadID
	}
	return err
}

// count adds up what there is to send.
func (p *putting) count(source string) error {
	return filepath.WalkDir(source, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return p.ctx.Err() // what can't be read is told of when its turn comes
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			p.total.Add(info.Size())
		}
		return p.ctx.Err()
	})
}

// all uploads what was named: files, also behind links, and folders as they are
// called.
func (p *putting) all(sources []string, target string) error {
	folder, _, err := p.c.MakeFolder(p.ctx, target, p.public)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	for _, s := range sources {
		info, err := os.Stat(s)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			files = append(files, info)
		}
	}
	there, err := p.there(folder.ID, files)
	if err != nil {
		return err
	}
	for _, s := range sources {
		info, err := os.Stat(s)
		if err != nil {
			return err
		}
		if info.IsDir() {
			whole, err := filepath.Abs(s)
			if err != nil {
				return err
			}
			err = p.folder(s, under(remote(target), norm.NFC.String(filepath.Base(whole))))
			if err != nil {
				return err
			}
			continue
		}
		if err := p.file(s, remote(target), info, there); err != nil {
			return err
		}
	}
	return nil
}

// folder uploads a folder and what is in it. It holds one batch of names for each
// level.
func (p *putting) folder(dir, target string) error {
	f, err := os.Open(dir)
	if err != nil {
		p.fail(dir, err)
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read
	folder, created, err := p.c.MakeFolder(p.ctx, target, p.public)
	if err != nil {
		return fmt.Errorf("%s: %w", shown(target), err)
	}
	for {
		items, err := f.ReadDir(batch)
		if len(items) == 0 {
			if err != nil && !errors.Is(err, io.EOF) {
				p.fail(dir, err)
			}
			return p.ctx.Err()
		}
		var files []fs.FileInfo
		var folders []string
		for _, item := range items {
			info, err := item.Info()
			switch name := filepath.Join(dir, item.Name()); {
			case err != nil:
				p.fail(name, err)
			case info.IsDir():
				folders = append(folders, item.Name())
			case info.Mode().IsRegular():
				files = append(files, info)
			default:
				p.say("%s is left out: it is no file and no folder", shown(name))
			}
		}
		there := map[string]client.Entry{}
		if !created {
			if there, err = p.there(folder.ID, files); err != nil {
				return err
			}
		}
		for _, info := range files {
			if err := p.file(filepath.Join(dir, info.Name()), target, info, there); err != nil {
				return err
			}
		}
		for _, name := range folders {
			if err := p.folder(filepath.Join(dir, name), under(target, norm.NFC.String(name))); err != nil {
				return err
			}
		}
	}
}

// there are the entries of a folder that have the names of files.
func (p *putting) there(folder int64, files []fs.FileInfo) (map[string]client.Entry, error) {
	wanted := map[string]bool{}
	for _, info := range files {
		wanted[norm.NFC.String(info.Name())] = true
	}
	there := map[string]client.Entry{}
	if len(wanted) == 0 {
		return there, nil
	}
	for e, err := range p.c.Children(p.ctx, folder) {
		if err != nil {
			return nil, err
		}
		if wanted[e.Name] {
			there[e.Name] = e
		}
	}
	return there, nil
}

// file uploads one, unless it is there.
func (p *putting) file(path, folder string, info fs.FileInfo, there map[string]client.Entry) error {
	name := norm.NFC.String(filepath.Base(path))
	e, taken := there[name]
	key := begun{folder, name, info.Size()}
	resume := p.begun[key]
	delete(p.begun, key) // one file goes on with it
	return p.do(under(folder, name), func(ctx context.Context) (bool, error) {
		if taken && (p.conflict == client.Skip || e.Kind == packet.KindFile && e.Size == info.Size() && sameTime(e.ModifiedAt, info.ModTime())) {
			p.had(info.Size())
			return true, nil
		}
		if taken && p.conflict == client.Fail {
			return false, cloud.UserErrorf(cloud.ErrExists, "the server has another one of this name; see --on-conflict")
		}
		f, err := os.Open(path)
		if err != nil {
			return false, err
		}
		defer func() { _ = f.Close() }() // it was only read
		now, err := f.Stat()
		if err != nil {
			return false, err
		}
		_, err = p.c.Upload(ctx, client.File{
			Folder: folder, Name: name, Content: f, Size: now.Size(), ModifiedAt: now.ModTime(),
			Public: p.public, Conflict: p.conflict, Resume: resume,
		}, p.sent)
		if p.conflict == client.Skip && errors.Is(err, cloud.ErrExists) {
			return true, nil
		}
		return false, err
	})
}

// sameTime compares the time of an entry with that of a file, as exactly as the
// server keeps it.
func sameTime(text string, at time.Time) bool {
	t, err := time.Parse(time.RFC3339Nano, text)
	return err == nil && t.UnixMilli() == at.UnixMilli()
}
