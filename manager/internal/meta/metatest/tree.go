package metatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var tree = []testcase{
	{"root", func(f *fixture) {
		root := must(f.Entry(f.ctx, cloud.Root, meta.AnyViewer))(f)
		if root.ID != cloud.Root || root.Parent != cloud.Root || root.Name != "" || !root.IsFolder() {
			f.Errorf("root = %+v", root)
		}
		f.same("path", must(f.Path(f.ctx, cloud.Root))(f), []cloud.Entry(nil))
		f.same("children", f.all(cloud.Root), []cloud.Entry(nil))
		_, err := f.Move(f.ctx, cloud.Root, cloud.Root, "a", meta.ConflictFail, nil)
		f.is(err, cloud.ErrInvalid)
		_, err = f.Delete(f.ctx, []cloud.EntryID{cloud.Root}, nil)
		f.is(err, cloud.ErrInvalid)
		_, err = f.SetPublic(f.ctx, cloud.Root, false, nil)
		f.is(err, cloud.ErrInvalid)
	}},
	{"make folders", func(f *fixture) {
		ann := f.user("ann")
		before := time.Now().Add(-time.Second)
		c, created, err := f.MakeFolders(f.ctx, cloud.Root, []string{"a", "b", "c"}, ann)
		f.ok(err)
		f.same("created", names(created), []string{"a", "b", "c"})
		f.same("last", c, created[2])
		f.same("stored", must(f.Entry(f.ctx, c.ID, meta.AnyViewer))(f), c)
		f.same("path", must(f.Path(f.ctx, c.ID))(f), created)
		if c.Owner != ann || !c.Public || c.Kind != cloud.KindFolder || c.CreatedAt.Before(before) || c.UpdatedAt.Before(before) {
			f.Errorf("folder = %+v", c)
		}
		last, created, err := f.MakeFolders(f.ctx, created[0].ID, []string{"b", "d"}, 0)
		f.ok(err)
		f.same("created", names(created), []string{"d"})
		f.same("owner", last.Owner, cloud.UserID(0))
		last, created, err = f.MakeFolders(f.ctx, cloud.Root, []string{"a", "b"}, ann)
		f.ok(err)
		f.same("created", len(created), 0)
		f.same("last", last.Name, "b")
		all := must(f.Ancestry(f.ctx, []cloud.EntryID{c.ID, last.ID, c.ID, cloud.Root, 9999}))(f)
		f.same("ancestry", len(all), 3)
		for _, e := range must(f.Path(f.ctx, c.ID))(f) {
			f.same("above", all[e.ID], e)
		}
		f.same("nobody's ancestry", len(must(f.Ancestry(f.ctx, nil))(f)), 0)
		last, _, err = f.MakeFolders(f.ctx, c.ID, nil, ann)
		f.ok(err)
		f.same("no names", last, c)
	}},
	{"folders that cannot be", func(f *fixture) {
		ann := f.user("ann")
		file := f.file(ann, "a/file", 1)
		for _, c := range []struct {
			parent cloud.EntryID
			names  []string
			want   error
		}{
			{cloud.Root, []string{"a", "file"}, cloud.ErrExists},
			{cloud.Root, []string{"a", "file", "b"}, cloud.ErrExists},
			{file.ID, []string{"b"}, cloud.ErrInvalid},
			{file.ID + 99, []string{"b"}, cloud.ErrNotFound},
			{cloud.Root, []string{"new", ""}, cloud.ErrInvalid},
			{cloud.Root, []string{"new", ".."}, cloud.ErrInvalid},
			{cloud.Root, []string{"new", "x/y"}, cloud.ErrInvalid},
			{cloud.Root, []string{"new", "\xff"}, cloud.ErrInvalid},
			{cloud.Root, []string{"new", long(256)}, cloud.ErrInvalid},
			{cloud.Root, slices.Repeat([]string{"new"}, meta.MaxDepth+1), cloud.ErrInvalid},
		} {
			_, _, err := f.MakeFolders(f.ctx, c.parent, c.names, ann)
			f.is(err, c.want)
		}
		f.same("children", names(f.all(cloud.Root)), []string{"a"}) // nothing of "new" is left
		_, _, err := f.MakeFolders(f.ctx, cloud.Root, []string{"b"}, ann+99)
		f.is(err, cloud.ErrNotFound)
	}},
	{"names are exact and told apart by bytes", func(f *fixture) {
		ann := f.user("ann")
		all := []string{"a", "A", "ä", "Ä", " a", "a ", "a.", "…", long(255), "%", "_", "'", "漢字"}
		for _, name := range all {
			f.folders(ann, name)
		}
		for _, name := range all {
			f.same("Child", must(f.Child(f.ctx, cloud.Root, name, ann))(f).Name, name)
		}
		_, err := f.Child(f.ctx, cloud.Root, "a%", ann)
		f.is(err, cloud.ErrNotFound)
		f.same("count", len(f.all(cloud.Root)), len(all))
	}},
	{"deep", func(f *fixture) {
		ann := f.user("ann")
		last, created, err := f.MakeFolders(f.ctx, cloud.Root, slices.Repeat([]string{"d"}, meta.MaxDepth), ann)
		f.ok(err)
		f.same("created", len(created), meta.MaxDepth)
		f.same("path", len(must(f.Path(f.ctx, last.ID))(f)), meta.MaxDepth)
		_, _, err = f.MakeFolders(f.ctx, last.ID, []string{"more"}, ann)
		f.is(err, cloud.ErrInvalid)
		visited := 0
		f.ok(f.Walk(f.ctx, cloud.Root, ann, func(names []string, e cloud.Entry) error {
			visited++
			f.same("depth", len(names), visited)
			return nil
		}))
		f.same("visited", visited, meta.MaxDepth)
		f.same("sizes", must(f.Sizes(f.ctx, cloud.Root, ann))(f).Folders, int64(meta.MaxDepth))
	}},
	{"sizes", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		f.file(ann, "one", 1)
		f.private(ann, "a/two", 20)
		f.fileOf(ann, "a/b/three", 300, func(u *meta.Upload) { u.Type = "image/png" })
		hidden := f.folders(ann, "hidden")
		f.file(ann, "hidden/four", 4000)
		f.fileOf(ann, "a/empty", 0, func(u *meta.Upload) { u.Type = "x/y" })
		must(f.SetPublic(f.ctx, hidden.ID, false, nil))(f)
		sizes := func(path string, viewer cloud.UserID) meta.Sizes {
			id := cloud.Root
			if path != "" {
				id = f.folders(ann, path).ID
			}
			return must(f.Sizes(f.ctx, id, viewer))(f)
		}
		f.same("all", sizes("", meta.AnyViewer),
			meta.Sizes{Bytes: 4321, Files: 5, Folders: 3, Types: map[string]int64{"text/plain": 4021, "image/png": 300}})
		f.same("ann's", sizes("", ann), sizes("", meta.AnyViewer))
		f.same("bob's", sizes("", bob),
			meta.Sizes{Bytes: 301, Files: 3, Folders: 2, Types: map[string]int64{"text/plain": 1, "image/png": 300}})
		f.same("below a", sizes("a", ann),
			meta.Sizes{Bytes: 320, Files: 3, Folders: 1, Types: map[string]int64{"text/plain": 20, "image/png": 300}})
		f.same("of an empty folder", sizes("new", ann), meta.Sizes{Types: map[string]int64{}})
		f.ok(f.share(cloud.Share{Entry: hidden.ID, User: bob}))
		f.same("shared with bob", sizes("", bob).Bytes, int64(4301))
		_, err := f.Sizes(f.ctx, hidden.ID+99, ann)
		f.is(err, cloud.ErrNotFound)
	}},
	{"walk", walk},
	{"walk while it changes", func(f *fixture) {
		ann := f.user("ann")
		var made []string
		for i := range 100 { // more than a page of any sensible size
			name := fmt.Sprintf("%03d", i)
			made = append(made, name)
			f.folders(ann, "a/"+name)
		}
		var seen []string
		f.ok(f.Walk(f.ctx, f.folders(ann, "a").ID, ann, func(names []string, e cloud.Entry) error {
			seen = append(seen, names[0])
			if len(seen) == 10 { // the store may be used from within
				_, err := f.Delete(f.ctx, []cloud.EntryID{e.ID}, nil)
				f.folders(ann, "a/000 too late to be seen")
				return err
			}
			return nil
		}))
		f.same("seen", seen, made)
	}},
	{"given up", func(f *fixture) {
		ann := f.user("ann")
		f.folders(ann, "a")
		cause := errors.New("metatest: no more")
		ctx, cancel := context.WithCancelCause(f.ctx)
		cancel(cause)
		_, _, err := f.MakeFolders(ctx, cloud.Root, []string{"b"}, ann)
		f.is(err, context.Canceled)
		f.is(err, cause)
		_, err = f.List(ctx, meta.Query{Viewer: ann, Limit: 1})
		f.is(err, context.Canceled)
		f.is(f.Walk(ctx, cloud.Root, ann, func([]string, cloud.Entry) error { return nil }), context.Canceled)
		f.same("children", names(f.all(cloud.Root)), []string{"a"})

		ctx, cancel = context.WithCancelCause(f.ctx)
		_, err = f.Delete(ctx, []cloud.EntryID{f.all(cloud.Root)[0].ID}, func(cloud.Entry) error {
			cancel(nil) // in the middle of the transaction
			return nil
		})
		f.is(err, context.Canceled)
		f.same("children", names(f.all(cloud.Root)), []string{"a"})
	}},
}

func walk(f *fixture) {
	ann, bob := f.user("ann"), f.user("bob")
	for _, path := range []string{"b/z", "b/y/x", "B/c", "a.txt", "c"} {
		f.file(ann, path, 1)
	}
	f.private(ann, "b/private", 1)
	hidden := f.folders(ann, "b/hidden")
	f.file(ann, "b/hidden/file", 1)
	must(f.SetPublic(f.ctx, hidden.ID, false, nil))(f)
	var want []string
	for i := range 150 {
		name := fmt.Sprintf("many/%c%03d", "Ff"[i%2], i/2)
		if i%9 == 0 {
			f.file(ann, name, 1)
		} else {
			f.folders(ann, name)
		}
		want = append(want, name)
	}
	// By case-insensitive name, then exactly; folders and files mixed.
	want = append([]string{"a.txt", "B", "B/c", "b", "b/hidden", "b/hidden/file", "b/private", "b/y", "b/y/x", "b/z", "c", "many"}, want...)
	paths := func(id cloud.EntryID, viewer cloud.UserID) (paths []string) {
		f.ok(f.Walk(f.ctx, id, viewer, func(names []string, e cloud.Entry) error {
			f.same("last name", names[len(names)-1], e.Name)
			paths = append(paths, strings.Join(names, "/"))
			return nil
		}))
		return paths
	}
	f.same("all", paths(cloud.Root, meta.AnyViewer), want)
	f.same("ann's", paths(cloud.Root, ann), want)
	b := must(f.Child(f.ctx, cloud.Root, "b", ann))(f)
	f.same("below b", paths(b.ID, ann), []string{"hidden", "hidden/file", "private", "y", "y/x", "z"})
	f.same("bob's below b", paths(b.ID, bob), []string{"y", "y/x", "z"})

	stop := errors.New("metatest: enough")
	f.is(f.Walk(f.ctx, cloud.Root, ann, func([]string, cloud.Entry) error { return stop }), stop)
	f.is(f.Walk(f.ctx, hidden.ID+9999, ann, func([]string, cloud.Entry) error { return nil }), cloud.ErrNotFound)
}
