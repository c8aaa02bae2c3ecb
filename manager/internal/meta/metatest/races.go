package metatest

import (
	"errors"
	"fmt"
	"sync"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// together runs n calls at once and gives their errors.
func together(n int, call func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

var races = []testcase{
	{"one part from many", func(f *fixture) {
		u := f.upload(f.user("ann"), "file", 50)
		f.begin(u)
		f.one(together(8, func(i int) error {
			c := chunksOf(u, 0)
			c[0].CRC32 = uint32(i)
			return f.AddPart(f.ctx, u.ID, 0, c)
		}), cloud.ErrExists)
		f.same("chunks", len(f.leaves(u)), 1)
	}},
	{"many finish one upload", func(f *fixture) {
		u := f.upload(f.user("ann"), "a/file", 50)
		f.begin(u)
		f.fill(u)
		results := make([]meta.Finished, 8)
		for _, err := range together(8, func(i int) (err error) {
			results[i], err = f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail))
			return err
		}) {
			f.ok(err)
		}
		firsts := 0
		for _, r := range results {
			if !r.Again {
				firsts++
			}
			f.same("entry", r.Entry, results[0].Entry)
		}
		f.same("finished", firsts, 1)
	}},
	{"many uploads to one name", func(f *fixture) {
		for round := range 2 {
			for _, on := range []meta.Conflict{meta.ConflictFail, meta.ConflictReplace, meta.ConflictRename} {
				f.raceFinish(fmt.Sprintf("%s %d", on, round), on)
			}
		}
	}},
	{"one name for two moves", func(f *fixture) {
		ann := f.user("ann")
		to := f.folders(ann, "to")
		for round := range 10 {
			name := fmt.Sprintf("name %d", round)
			ids := [2]cloud.EntryID{f.file(ann, "a "+name, 1).ID, f.folders(ann, "b "+name).ID}
			f.one(together(2, func(i int) error {
				_, err := f.Move(f.ctx, ids[i], to.ID, name, meta.ConflictFail, nil)
				return err
			}), cloud.ErrExists)
		}
	}},
	{"moves that cross", func(f *fixture) {
		ann := f.user("ann")
		for round := range 20 {
			dirs := [2]cloud.Entry{f.folders(ann, fmt.Sprintf("a%d", round)), f.folders(ann, fmt.Sprintf("b%d/c", round))}
			dirs[1] = must(f.Entry(f.ctx, dirs[1].Parent, ann))(f)
			f.one(together(2, func(i int) error {
				_, err := f.Move(f.ctx, dirs[i].ID, dirs[1-i].ID, "moved", meta.ConflictFail, nil)
				return err
			}), cloud.ErrInvalid)
		}
	}},
	{"a folder goes while it is filled", func(f *fixture) {
		ann := f.user("ann")
		for round := range 10 {
			a := f.folders(ann, fmt.Sprintf("a%d", round))
			errs := together(3, func(i int) error {
				switch i {
				case 0:
					_, err := f.Delete(f.ctx, []cloud.EntryID{a.ID}, nil)
					return err
				case 1:
					_, _, err := f.MakeFolders(f.ctx, a.ID, []string{"b", "c"}, ann)
					return err
				}
				_, err := f.List(f.ctx, meta.Query{Parent: a.ID, Viewer: ann, Limit: 10})
				return err
			})
			f.ok(errs[0])
			for _, err := range errs[1:] {
				if err != nil && !errors.Is(err, cloud.ErrNotFound) {
					f.Errorf("unexpected error: %v", err)
				}
			}
			f.same("left", f.all(cloud.Root), []cloud.Entry(nil))
		}
	}},
	{"readers and writers", func(f *fixture) {
		ann := f.user("ann")
		for _, err := range together(8, func(i int) error {
			for n := range 10 {
				path := []string{"shared", fmt.Sprintf("%d", i), fmt.Sprintf("%d", n)}
				last, _, err := f.MakeFolders(f.ctx, cloud.Root, path, ann)
				if err != nil {
					return err
				}
				if found, err := f.Path(f.ctx, last.ID); err != nil || len(found) != 3 {
					return fmt.Errorf("path of what was just made: %v, %w", found, err)
				}
				if _, err := f.Sizes(f.ctx, cloud.Root, ann); err != nil {
					return err
				}
			}
			return nil
		}) {
			f.ok(err)
		}
		f.same("folders", must(f.Sizes(f.ctx, cloud.Root, ann))(f).Folders, int64(1+8+80))
	}},
}

// one checks that one of the errors is nil and the others are of a kind.
func (f *fixture) one(errs []error, kind error) {
	f.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			f.is(err, kind)
		}
	}
	f.same("calls that went well", won, 1)
}

func (f *fixture) raceFinish(name string, on meta.Conflict) {
	f.Helper()
	const n = 6
	user := f.user("user of " + name)
	all := make([]meta.Upload, n)
	for i := range all {
		all[i] = f.upload(user, name+"/file", int64(10+i))
		f.begin(all[i])
		f.fill(all[i])
	}
	results := make([]meta.Finished, n)
	errs := together(n, func(i int) (err error) {
		results[i], err = f.FinishUpload(f.ctx, all[i].ID, finish(on))
		return err
	})
	folder := must(f.Child(f.ctx, cloud.Root, name, meta.AnyViewer))(f)
	files := f.all(folder.ID)
	switch on {
	case meta.ConflictFail:
		f.one(errs, cloud.ErrExists)
		f.same("files", len(files), 1)
	case meta.ConflictReplace:
		created := 0
		for i, err := range errs {
			f.ok(err)
			if !results[i].Replaced {
				created++
			}
			f.same("id", results[i].Entry.ID, files[0].ID)
		}
		f.same("files and creations", [2]int{len(files), created}, [2]int{1, 1})
	case meta.ConflictRename:
		for _, err := range errs {
			f.ok(err)
		}
		f.same("files", len(files), n)
	}
	for _, e := range files { // each is one upload, whole
		for i, u := range all {
			if u.Object == e.Object {
				f.same("size", e.Size, u.Size)
				f.same("chunks", must(f.Chunks(f.ctx, e.Object, 0, 10))(f), plain(chunksOf(all[i], 0)))
			}
		}
	}
}
