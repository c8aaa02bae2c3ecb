package main

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"discordcloud/tools/internal/rig"
)

// tree is files and folders by their paths: contents, nil for folders.
type tree map[string]*rig.Content

// at is what is at a path and below it.
func (t tree) at(root string) tree {
	below := tree{}
	for p, c := range t {
		if within(p, root) {
			below[p] = c
		}
	}
	return below
}

// moved is the tree with another path in the place of one.
func (t tree) moved(from, to string) tree {
	all := tree{}
	for p, c := range t {
		all[to+strings.TrimPrefix(p, from)] = c
	}
	return all
}

// same tells whether the trees are the same, but for what is in files: their
// sizes are.
func (t tree) same(other tree) bool {
	return maps.EqualFunc(t, other, func(a, b *rig.Content) bool {
		return (a == nil) == (b == nil) && (a == nil || a.Size == b.Size)
	})
}

func (t tree) bytes() (n int64) {
	for _, c := range t {
		if c != nil {
			n += c.Size
		}
	}
	return n
}

func (t tree) files() (n int64) {
	for _, c := range t {
		if c != nil {
			n++
		}
	}
	return n
}

// within tells whether a path is another one, or below it.
func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// trashed is what lies in the trash.
type trashed struct {
	from  string // where it was
	items tree
	lost  bool // its folder has gone from there: nobody wants to know where it would come back to
}

// doubt is a change that nobody has said the end of: what was at some paths is
// there still, or what was to be there is.
type doubt struct {
	kind          string
	roots         []string
	before, after tree
	upload        string      // that may be under way yet
	data          rig.Content // of the upload
	until         time.Time   // when locks that may be left end by themselves
	ended         func(done bool)
}

// doubted begins a change of what is at some paths, which is to be after.
func (w *worker) doubted(kind string, after tree, roots ...string) *doubt {
	d := &doubt{kind: kind, roots: roots, before: tree{}, after: after}
	for _, root := range roots {
		maps.Copy(d.before, w.files.at(root))
	}
	return d
}

// end has the model know how a change ended.
func (w *worker) end(d *doubt, done bool) {
	now := d.before
	if done {
		now = d.after
		for _, root := range d.roots {
			for id, t := range w.trash {
				if c, there := d.before[root]; there && c == nil && within(t.from, root) {
					t.lost = true
					w.trash[id] = t
				}
			}
		}
	}
	for _, root := range d.roots {
		for p := range w.files.at(root) {
			delete(w.files, p)
		}
	}
	maps.Copy(w.files, now)
	if d.ended != nil {
		d.ended(done)
	}
}

// free tells whether nothing at a path, below it or above it is in doubt.
func (w *worker) free(p string) bool {
	return !slices.ContainsFunc(w.doubts, func(d *doubt) bool {
		return slices.ContainsFunc(d.roots, func(root string) bool { return within(p, root) || within(root, p) })
	})
}

// some picks one of the paths that a function wants, "" if there is none.
func (w *worker) some(wanted func(p string, c *rig.Content) bool) string {
	var all []string
	for p, c := range w.files {
		if wanted(p, c) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return all[w.random.IntN(len(all))]
}

func (w *worker) someFile() string {
	return w.some(func(p string, c *rig.Content) bool { return c != nil && w.free(p) })
}

// someFolder picks one that is there for sure, whatever is below it.
func (w *worker) someFolder() string {
	return w.some(func(p string, c *rig.Content) bool {
		return c == nil && !slices.ContainsFunc(w.doubts, func(d *doubt) bool {
			return slices.ContainsFunc(d.roots, func(root string) bool { return within(p, root) })
		})
	})
}

// somewhere is a path in a folder that nothing is at, "" if that takes too long to
// find.
func (w *worker) somewhere(folder string) string {
	for range 20 {
		p := path.Join(folder, w.name())
		if _, taken := w.files[p]; !taken && w.free(p) && depth(p) < 6 {
			return p
		}
	}
	return ""
}

func depth(p string) int { return strings.Count(p, "/") }
