// Package vfs is the tree as somebody sees it: names and paths, permissions,
// changes and their news, and files open for reading. The packets, the HTTP
// routes, WebDAV and the archives all stand on it, so that a rule is written
// once. It leaves the decision to package policy, the rows to package meta and
// the bytes to package object.
//
// An entry that somebody may not read is answered like one that does not exist,
// by path and by id.
package vfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

// Opener gives the plain bytes of objects: *object.Source.
type Opener interface {
	// Open reads n bytes from off of an object of the given size. The caller
	// closes the reader. A reader that ends early ends with an error other than
	// io.EOF. Chunks that are known, from Locate, are not asked for again.
	Open(ctx context.Context, id cloud.ObjectID, size, off, n int64, known ...cloud.Chunk) (io.ReadCloser, error)
	// Locate gives the first chunks that Open asks for.
	Locate(ctx context.Context, id cloud.ObjectID, off int64) ([]cloud.Chunk, error)
}

// FS is the tree. Its fields are set once; it is safe for concurrent use.
type FS struct {
	Store  meta.Store
	Bus    *event.Bus
	Source Opener
	// Ring gives the keys of signed links.
	Ring crypt.Ring
	// Listed is told what somebody looks at, if it is set. It must not wait.
	Listed func([]cloud.Entry)
	Audit  *audit.Log   // nil writes nothing down
	Log    *slog.Logger // nil is silent
}

// EntryFor gives an entry if who may do this with it; do is an action about an
// entry. ErrNotFound if there is none that he may see.
func (f *FS) EntryFor(ctx context.Context, who policy.Principal, id cloud.EntryID, do policy.Action) (cloud.Entry, error) {
	if who.Role == policy.Nobody {
		return cloud.Entry{}, cloud.ErrUnauthenticated // before it shows whether there is one
	}
	e, err := f.Store.Entry(ctx, id, who.User)
	if err != nil {
		return cloud.Entry{}, fmt.Errorf("entry %d: %w", id, err)
	}
	if err := f.reach(ctx, who, id); err != nil {
		return cloud.Entry{}, err
	}
	if err := policy.Check(who, do, &e); err != nil {
		return cloud.Entry{}, fmt.Errorf("entry %d: %w", id, err)
	}
	return e, nil
}

// reach finds the way to an entry for who came by a link, and asks for what is
// anywhere below it by id. Holders of app passwords come down name by name.
func (f *FS) reach(ctx context.Context, who policy.Principal, id cloud.EntryID) error {
	if who.Within == nil || who.Role == policy.AppPassword || id == who.Top() {
		return nil
	}
	path, err := f.path(ctx, id)
	if err == nil {
		who.Within.Reach(path)
	}
	return err
}

// Entry gives an entry that who may see.
func (f *FS) Entry(ctx context.Context, who policy.Principal, id cloud.EntryID) (cloud.Entry, error) {
	return f.EntryFor(ctx, who, id, policy.SeeEntry)
}

// Child finds a name in a folder. Both must be visible to who.
func (f *FS) Child(ctx context.Context, who policy.Principal, parent cloud.EntryID, name string) (cloud.Entry, error) {
	if _, err := f.EntryFor(ctx, who, parent, policy.ListFolder); err != nil {
		return cloud.Entry{}, err
	}
	return f.child(ctx, who, parent, name)
}

// ChildFound is Child for a folder that Lookup has just given.
func (f *FS) ChildFound(ctx context.Context, who policy.Principal, parent cloud.Entry, name string) (cloud.Entry, error) {
	if err := policy.Check(who, policy.ListFolder, &parent); err != nil {
		return cloud.Entry{}, fmt.Errorf("entry %d: %w", parent.ID, err)
	}
	return f.child(ctx, who, parent.ID, name)
}

// child is Child for a folder that has been checked.
func (f *FS) child(ctx context.Context, who policy.Principal, parent cloud.EntryID, name string) (cloud.Entry, error) {
	e, err := f.Store.Child(ctx, parent, name, who.User)
	if err != nil {
		return cloud.Entry{}, fmt.Errorf("child of %d: %w", parent, err)
	}
	if err := policy.Check(who, policy.SeeEntry, &e); err != nil {
		return cloud.Entry{}, fmt.Errorf("child of %d: %w", parent, err)
	}
	return e, nil
}

// Lookup finds an entry by the names from the top, for who is confined to a
// subtree from the top of that; no names are the top itself. Each entry on the
// way must be visible to who, else it is ErrNotFound.
func (f *FS) Lookup(ctx context.Context, who policy.Principal, names []string) (cloud.Entry, error) {
	return f.lookup(ctx, who, names, f.child)
}

func (f *FS) lookup(ctx context.Context, who policy.Principal, names []string,
	child func(context.Context, policy.Principal, cloud.EntryID, string) (cloud.Entry, error)) (cloud.Entry, error) {
	e, err := f.Entry(ctx, who, who.Top())
	if err != nil {
		return cloud.Entry{}, err
	}
	for _, name := range names {
		if !e.IsFolder() {
			return cloud.Entry{}, fmt.Errorf("below file %d: %w", e.ID, cloud.ErrNotFound)
		}
		if e, err = child(ctx, who, e.ID, name); err != nil {
			return cloud.Entry{}, err
		}
	}
	return e, nil
}

// PathOf gives the names from the top down to an entry, none for the root. It
// hides nothing.
func (f *FS) PathOf(ctx context.Context, id cloud.EntryID) ([]string, error) {
	all, err := f.path(ctx, id)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = e.Name
	}
	return names, nil
}

func (f *FS) path(ctx context.Context, id cloud.EntryID) ([]cloud.Entry, error) {
	if id == cloud.Root {
		return nil, nil
	}
	all, err := f.Store.Path(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("path of %d: %w", id, err)
	}
	return all, nil
}

// Path gives the entries from the top down to one that who may see. Of somebody
// to whom a folder on the way is hidden, that folder and what is above it are
// kept back: to him the path begins below. To who is confined to a subtree it
// begins with the top of that.
func (f *FS) Path(ctx context.Context, who policy.Principal, id cloud.EntryID) ([]cloud.Entry, error) {
	if _, err := f.Entry(ctx, who, id); err != nil {
		return nil, err
	}
	all, err := f.path(ctx, id)
	if err != nil {
		return nil, err
	}
	if who.Within != nil {
		for i, e := range all {
			if e.ID == who.Top() {
				return all[i:], nil
			}
		}
	}
	for i := len(all) - 2; i >= 0; i-- {
		if _, can := policy.Access(who.User, all[i]); can != policy.Nothing {
			continue // as most are, even without a share
		}
		_, err := f.Entry(ctx, who, all[i].ID)
		if errors.Is(err, cloud.ErrNotFound) {
			return all[i+1:], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// folder gives a folder that who may do this with.
func (f *FS) folder(ctx context.Context, who policy.Principal, id cloud.EntryID, do policy.Action) (cloud.Entry, error) {
	e, err := f.EntryFor(ctx, who, id, do)
	if err == nil {
		err = mustBeFolder(e)
	}
	if err != nil {
		return cloud.Entry{}, err
	}
	return e, nil
}

func mustBeFolder(e cloud.Entry) error {
	if !e.IsFolder() {
		return fmt.Errorf("entry %d: %w", e.ID, cloud.UserErrorf(cloud.ErrInvalid, "that is not a folder"))
	}
	return nil
}

// List gives one page of what who sees in a folder. Parent and Viewer of q are
// set by it.
func (f *FS) List(ctx context.Context, who policy.Principal, parent cloud.EntryID, q meta.Query) (meta.Page, error) {
	e, err := f.EntryFor(ctx, who, parent, policy.ListFolder)
	if err != nil {
		return meta.Page{}, err
	}
	return f.ListFound(ctx, who, e, q)
}

// ListFound is List for a folder that EntryFor has just given for ListFolder.
func (f *FS) ListFound(ctx context.Context, who policy.Principal, folder cloud.Entry, q meta.Query) (meta.Page, error) {
	if err := mustBeFolder(folder); err != nil {
		return meta.Page{}, err
	}
	q.Parent, q.Viewer = folder.ID, who.User
	page, err := f.Store.List(ctx, q)
	if err != nil {
		return meta.Page{}, fmt.Errorf("list %d: %w", folder.ID, err)
	}
	if f.Listed != nil {
		f.Listed(page.Entries)
	}
	return page, nil
}

// Count gives the numbers of files and folders that who sees in a folder.
func (f *FS) Count(ctx context.Context, who policy.Principal, parent cloud.EntryID) (files, folders int, err error) {
	if _, err := f.folder(ctx, who, parent, policy.ListFolder); err != nil {
		return 0, 0, err
	}
	files, folders, err = f.Store.Count(ctx, parent, who.User)
	if err != nil {
		return 0, 0, fmt.Errorf("count %d: %w", parent, err)
	}
	return files, folders, nil
}

// Sizes sums up what who sees below a folder.
func (f *FS) Sizes(ctx context.Context, who policy.Principal, id cloud.EntryID) (meta.Sizes, error) {
	e, err := f.EntryFor(ctx, who, id, policy.ListFolder)
	if err != nil {
		return meta.Sizes{}, err
	}
	return f.SizesFound(ctx, who, e)
}

// SizesFound is Sizes for a folder that EntryFor has just given for ListFolder.
func (f *FS) SizesFound(ctx context.Context, who policy.Principal, folder cloud.Entry) (meta.Sizes, error) {
	if err := mustBeFolder(folder); err != nil {
		return meta.Sizes{}, err
	}
	s, err := f.Store.Sizes(ctx, folder.ID, who.User)
	if err != nil {
		return meta.Sizes{}, fmt.Errorf("sizes of %d: %w", folder.ID, err)
	}
	return s, nil
}

// Walk calls visit for everything that who may read below a folder, parents
// before children. names is the path from the folder and must not be kept; c can
// be read if its entry is a file, also by the holder of a ticket for the folder.
func (f *FS) Walk(ctx context.Context, who policy.Principal, folder cloud.EntryID, visit func(names []string, c *Content) error) error {
	if _, err := f.folder(ctx, who, folder, policy.ReadContent); err != nil {
		return err
	}
	return f.Store.Walk(ctx, folder, who.User, func(names []string, e cloud.Entry) error {
		if _, can := policy.Access(who.User, e); can == policy.Nothing {
			return nil
		}
		return visit(names, f.content(e))
	})
}

// note writes down what who did with an entry. names lead from the top down to it.
func (f *FS) note(ctx context.Context, who policy.Principal, action string, id cloud.EntryID, names []string, detail string) {
	r := audit.On(who, action, id, JoinPath(names))
	r.Detail = detail
	f.Audit.Add(ctx, r)
}

func (f *FS) log() *slog.Logger {
	if f.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return f.Log
}

// detached is a context for what must follow a change that is done, even if
// whoever asked for it has gone.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}

// Folder finds a folder that who may see by its path.
func (f *FS) Folder(ctx context.Context, who policy.Principal, path string) (cloud.Entry, error) {
	names, err := ParsePath(path)
	if err != nil {
		return cloud.Entry{}, err
	}
	e, err := f.Lookup(ctx, who, names)
	if err == nil && !e.IsFolder() {
		err = cloud.UserErrorf(cloud.ErrInvalid, "%s is not a folder", path)
	}
	return e, err
}
