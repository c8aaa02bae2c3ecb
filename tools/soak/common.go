package main

import (
	"context"
	"errors"
	"fmt"
	"path"

	"discordcloud/pkg/packet"
	"discordcloud/tools/internal/rig"
)

// common is a folder in which all clients work, in each other's way. Nobody knows
// what is in it; but it is whole, and counted.
type common struct {
	folder  int64
	folders []int64 // that are moved into each other
}

const commonFolder = "/common"

// open makes the folder, and shares it with everybody.
func (c *common) open(ctx context.Context, s *soak) error {
	first := s.clients[0]
	make := func(parent int64, name string) (int64, error) {
		var made struct{ Entry rig.Entry }
		err := first.client.Do(ctx, "POST", fmt.Sprintf("/api/entries/%d/folders", parent), map[string]any{"name": name}, &made)
		return made.Entry.ID, err
	}
	var err error
	if c.folder, err = make(0, path.Base(commonFolder)); err != nil {
		return err
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		id, err := make(c.folder, name)
		if err != nil {
			return err
		}
		c.folders = append(c.folders, id)
	}
	for _, w := range s.clients[1:] {
		if err := first.client.Do(ctx, "PUT", fmt.Sprintf("/api/entries/%d/shares/users/%d", c.folder, w.user), map[string]any{"can_write": true}, nil); err != nil {
			return err
		}
	}
	return nil
}

// meddle does something in the common folder. That it is refused is to be expected.
func (w *worker) meddle(ctx context.Context) {
	c := &w.soak.common
	folder := c.folders[w.random.IntN(len(c.folders))]
	name := fmt.Sprintf("file %d", w.random.IntN(3))
	err := func() error {
		var found struct {
			Path  []struct{ Name string }
			Entry rig.Entry
		}
		if err := w.client.Do(ctx, "GET", fmt.Sprintf("/api/entries/%d", folder), nil, &found); err != nil {
			return err
		}
		p := "/"
		for _, at := range found.Path {
			p = path.Join(p, at.Name)
		}
		other := c.folders[w.random.IntN(len(c.folders))]
		switch w.random.IntN(5) {
		case 0:
			return w.client.Do(ctx, "PATCH", fmt.Sprintf("/api/entries/%d", folder), map[string]any{"parent": other}, nil)
		case 1:
			return w.client.Do(ctx, "PATCH", fmt.Sprintf("/api/entries/%d", folder), map[string]any{"parent": c.folder}, nil)
		case 2:
			e, err := w.client.Lookup(ctx, path.Join(p, name))
			if err != nil {
				return err
			}
			return w.client.Do(ctx, "PATCH", fmt.Sprintf("/api/entries/%d", e.ID), map[string]any{"parent": other, "on_conflict": "fail"}, nil)
		case 3:
			return w.put(ctx, path.Join(p, name), w.content())
		}
		if err := w.connected(ctx); err != nil {
			return err
		}
		data := w.content()
		r, err := w.client.Begin(ctx, p, name, data.Size, packet.ConflictOverwrite)
		if err != nil {
			return err
		}
		if err := w.client.Send(ctx, r, *data, rig.Missing(r, *data)); err != nil {
			return err
		}
		_, err = w.client.Outcome(ctx, r)
		return err
	}()
	refused, said := errors.AsType[*rig.StatusError](err)
	_, rejected := errors.AsType[rig.Rejected](err)
	switch {
	case err == nil:
		w.soak.tally.did("meddle", 0)
	case full(err) || rejected || said && refused.Status < 500:
		w.soak.tally.did("meddle in vain", 0)
	default:
		w.missed("meddle", err)
	}
}

// verify reads all of the common folder, and gives what belongs to whom.
func (c *common) verify(ctx context.Context, s *soak) map[int64]amount {
	owned := map[int64]amount{}
	var below func(p string, id int64)
	w := s.clients[0]
	below = func(p string, id int64) {
		var listed struct {
			Entries []struct {
				rig.Entry
				Owner *struct{ ID int64 }
			}
		}
		if err := w.client.Do(ctx, "GET", fmt.Sprintf("/api/entries/%d/children?limit=1000", id), nil, &listed); err != nil {
			s.tally.fail("list the common folder: %v", err)
		}
		for _, e := range listed.Entries {
			if e.Kind == "folder" {
				below(path.Join(p, e.Name), e.ID)
				continue
			}
			if e.Owner != nil {
				has := owned[e.Owner.ID]
				owned[e.Owner.ID] = amount{has.Files + 1, has.Bytes + e.Size}
			}
			if _, err := w.tells(ctx, e.Path(), e.Size); err != nil {
				s.tally.fail("%s: %v", path.Join(p, e.Name), err)
			}
		}
	}
	below(commonFolder, c.folder)
	for _, folder := range c.folders {
		if err := w.client.Do(ctx, "GET", fmt.Sprintf("/api/entries/%d", folder), nil, nil); err != nil {
			s.tally.fail("a common folder is gone: %v", err)
		}
	}
	return owned
}
