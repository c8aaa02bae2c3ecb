package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"

	"discordcloud/tools/internal/rig"
)

// remove deletes what is at a path, by HTTP or by WebDAV.
func (w *worker) remove(ctx context.Context, p string) {
	if p == "" {
		return
	}
	d := w.doubted("delete", tree{}, p)
	var id int64
	d.ended = func(done bool) {
		if done && id != 0 {
			w.trash[id] = trashed{from: p, items: d.before}
		}
	}
	if w.random.IntN(4) == 0 {
		d.kind += " by WebDAV"
		w.change(ctx, d, func(ctx context.Context) error { return w.dav(ctx, "DELETE", p, nil, 0) })
		return
	}
	w.change(ctx, d, func(ctx context.Context) error {
		e, err := w.client.Lookup(ctx, p)
		if err != nil {
			return err
		}
		var answer struct{ Trash []int64 }
		if err := w.client.Do(ctx, "POST", "/api/delete", map[string]any{"ids": []int64{e.ID}}, &answer); err != nil {
			return err
		}
		if len(answer.Trash) == 1 {
			id = answer.Trash[0]
		}
		return nil
	})
}

func (w *worker) makeFolder(ctx context.Context) {
	p := w.somewhere(w.someFolder())
	if p == "" || depth(p) > 4 {
		return
	}
	d := w.doubted("folder", tree{p: nil}, p)
	if w.random.IntN(3) == 0 {
		d.kind += " by WebDAV"
		w.change(ctx, d, func(ctx context.Context) error { return w.dav(ctx, "MKCOL", p, nil, 0) })
		return
	}
	w.change(ctx, d, func(ctx context.Context) error {
		parent, err := w.client.Lookup(ctx, path.Dir(p))
		if err != nil {
			return err
		}
		return w.client.Do(ctx, "POST", fmt.Sprintf("/api/entries/%d/folders", parent.ID), map[string]any{"name": path.Base(p)}, nil)
	})
}

// target is another place for what is at a path, "" if there is none.
func (w *worker) target(from string) string {
	folder := path.Dir(from)
	if w.random.IntN(2) == 0 {
		folder = w.someFolder()
	}
	if folder == "" || within(folder, from) {
		return ""
	}
	return w.somewhere(folder)
}

// move moves or renames a file or a folder with all that is in it.
func (w *worker) move(ctx context.Context) {
	from := w.some(func(p string, _ *rig.Content) bool { return p != w.folder && w.free(p) })
	to := w.target(from)
	if from == "" || to == "" {
		return
	}
	d := w.doubted("move", w.files.at(from).moved(from, to), from, to)
	if w.random.IntN(3) == 0 {
		d.kind += " by WebDAV"
		w.change(ctx, d, func(ctx context.Context) error {
			return w.dav(ctx, "MOVE", from, nil, 0, "Destination", w.davPath(to), "Overwrite", "F")
		})
		return
	}
	w.change(ctx, d, func(ctx context.Context) error {
		e, err := w.client.Lookup(ctx, from)
		if err != nil {
			return err
		}
		parent, err := w.client.Lookup(ctx, path.Dir(to))
		if err != nil {
			return err
		}
		return w.client.Do(ctx, "PATCH", fmt.Sprintf("/api/entries/%d", e.ID), map[string]any{"name": path.Base(to), "parent": parent.ID}, nil)
	})
}

// copy copies a file or a folder.
func (w *worker) copy(ctx context.Context) {
	from := w.some(func(p string, _ *rig.Content) bool {
		return p != w.folder && w.free(p) && w.files.at(p).files()+w.files.files() <= filesMost
	})
	to := w.target(from)
	if from == "" || to == "" {
		return
	}
	if w.random.IntN(2) == 0 || path.Dir(to) == path.Dir(from) {
		d := w.doubted("copy by WebDAV", w.files.at(from).moved(from, to), to)
		w.change(ctx, d, func(ctx context.Context) error {
			return w.dav(ctx, "COPY", from, nil, 0, "Destination", w.davPath(to), "Overwrite", "F")
		})
		return
	}
	to = path.Join(path.Dir(to), path.Base(from))
	if _, taken := w.files[to]; taken || !w.free(to) {
		return
	}
	d := w.doubted("copy", w.files.at(from).moved(from, to), to)
	w.change(ctx, d, func(ctx context.Context) error {
		e, err := w.client.Lookup(ctx, from)
		if err != nil {
			return err
		}
		parent, err := w.client.Lookup(ctx, path.Dir(to))
		if err != nil {
			return err
		}
		return w.client.Do(ctx, "POST", "/api/copy", map[string]any{"ids": []int64{e.ID}, "parent": parent.ID, "on_conflict": "fail"}, nil)
	})
}

// someTrash picks what lies in the trash, 0 for nothing.
func (w *worker) someTrash() int64 {
	if len(w.trash) == 0 {
		return 0
	}
	ids := slices.Sorted(maps.Keys(w.trash))
	return ids[w.random.IntN(len(ids))]
}

// restore takes something out of the trash, to where it was.
func (w *worker) restore(ctx context.Context) {
	id := w.someTrash()
	t := w.trash[id]
	if _, taken := w.files[t.from]; id == 0 || t.lost || taken || !w.free(t.from) {
		return
	}
	if c, there := w.files[path.Dir(t.from)]; !there || c != nil {
		return
	}
	d := w.doubted("restore", t.items, t.from)
	delete(w.trash, id)
	d.ended = func(done bool) {
		if !done {
			w.trash[id] = t
		}
	}
	w.change(ctx, d, func(ctx context.Context) error {
		return w.client.Do(ctx, "POST", "/api/trash/restore", map[string]any{"ids": []int64{id}, "on_conflict": "fail"}, nil)
	})
}

// purge deletes something for good.
func (w *worker) purge(ctx context.Context) {
	id := w.someTrash()
	if id == 0 {
		return
	}
	d := w.doubted("purge", tree{})
	delete(w.trash, id) // nothing is wanted of it any more, whatever comes of this
	d.ended = func(done bool) { w.purged[id] = done }
	w.change(ctx, d, func(ctx context.Context) error {
		return w.client.Do(ctx, "POST", "/api/trash/purge", map[string]any{"ids": []int64{id}}, nil)
	})
}

// formerly is a version of a file.
type formerly struct{ ID, Size int64 }

func (w *worker) versions(ctx context.Context, e rig.Entry) ([]formerly, error) {
	var answer struct{ Versions []formerly }
	err := w.client.Do(ctx, "GET", fmt.Sprintf("/api/entries/%d/versions", e.ID), nil, &answer)
	return answer.Versions, err
}

// version makes a former content of a file its content, if it has any.
func (w *worker) version(ctx context.Context, p string) {
	e, err := w.client.Lookup(ctx, p)
	var all []formerly
	if err == nil {
		all, err = w.versions(ctx, e)
	}
	var data rig.Content
	var v formerly
	if err == nil && len(all) > 0 {
		v = all[w.random.IntN(len(all))]
		data, err = w.tells(ctx, fmt.Sprintf("/api/entries/%d/versions/%d/content", e.ID, v.ID), v.Size)
	}
	if err != nil {
		w.missed("version", err)
		return
	}
	if len(all) == 0 || data.Size == 0 {
		return
	}
	w.change(ctx, w.doubted("version", tree{p: &data}, p), func(ctx context.Context) error {
		return w.client.Do(ctx, "POST", fmt.Sprintf("/api/entries/%d/versions/%d/restore", e.ID, v.ID), nil, nil)
	})
}

// tells reads content that says itself which it is: what else is in it has to fit.
// It is nothing if it is too short for that.
func (w *worker) tells(ctx context.Context, content string, size int64) (rig.Content, error) {
	if size < 8 {
		return rig.Content{}, nil
	}
	answer, err := w.client.Get(ctx, content, "bytes=0-7")
	if err != nil {
		return rig.Content{}, err
	}
	var seed [8]byte
	_, err = io.ReadFull(answer.Body, seed[:])
	_ = answer.Body.Close()
	if err != nil {
		return rig.Content{}, err
	}
	data := rig.Content{Seed: binary.BigEndian.Uint64(seed[:]), Size: size}
	n, err := compare(ctx, w.client, content, data, 0, size)
	w.soak.tally.did("compare a version", n)
	return data, err
}
