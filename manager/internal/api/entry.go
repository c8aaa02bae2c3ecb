package api

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// maxIDs is how many entries one request may name.
const maxIDs = 1000

func (a *api) showEntry(q *call) error {
	path, err := q.fs.Path(q.ctx(), q.who, q.entry.ID)
	if err != nil {
		return err
	}
	record, err := a.records(q).entry(q.ctx(), q.entry)
	if err != nil {
		return err
	}
	answer := map[string]any{"entry": record, "path": pathRecords(path)}
	if facts := a.mediaFacts(q); facts != nil && !q.who.NoPreviews {
		answer["media"] = facts
	}
	return q.answer(answer)
}

func (a *api) children(q *call) error {
	ask, err := parseQuery(q.r.URL.Query())
	if err != nil {
		return err
	}
	page, err := q.fs.ListFound(q.ctx(), q.who, q.entry, ask)
	if err != nil {
		return err
	}
	entries, err := a.records(q).all(q.ctx(), page.Entries)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"entries": entries, "next": page.Next, "files": page.Files, "folders": page.Folders})
}

func parseQuery(v url.Values) (meta.Query, error) {
	bad := func(key string) (meta.Query, error) {
		return meta.Query{}, cloud.UserErrorf(cloud.ErrInvalid, "%s has a value that it cannot have", key)
	}
	ask := meta.Query{Limit: 200, After: v.Get("after"), Sort: meta.Sort(v.Get("sort")), Kind: cloud.Kind(v.Get("kind"))}
	if !slices.Contains([]meta.Sort{"", meta.SortName, meta.SortSize, meta.SortUpdated, meta.SortType, meta.SortOwner}, ask.Sort) {
		return bad("sort")
	}
	if ask.Kind != "" && ask.Kind != cloud.KindFile && ask.Kind != cloud.KindFolder {
		return bad("kind")
	}
	switch v.Get("order") {
	case "", "asc":
	case "desc":
		ask.Desc = true
	default:
		return bad("order")
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 1000 {
			return bad("limit")
		}
		ask.Limit = n
	}
	if s := v.Get("offset"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 0 && ask.After != "" {
			return bad("offset")
		}
		ask.Offset = n
	}
	return ask, nil
}

func (a *api) sizes(q *call) error {
	s, err := q.fs.SizesFound(q.ctx(), q.who, q.entry)
	if err != nil {
		return err
	}
	if s.Types == nil {
		s.Types = map[string]int64{}
	}
	return q.answer(map[string]any{"bytes": s.Bytes, "files": s.Files, "folders": s.Folders, "types": s.Types})
}

func (a *api) makeFolders(q *call) error {
	var in struct {
		Name string `json:"name"`
		Path string `json:"path"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	names := []string{in.Name}
	switch {
	case in.Path != "" && in.Name != "":
		return cloud.UserErrorf(cloud.ErrInvalid, "either a name or a path, not both")
	case in.Path != "":
		var err error
		if names, err = vfs.ParsePath("/" + strings.TrimPrefix(in.Path, "/")); err != nil {
			return err
		}
	}
	last, created, err := q.fs.MakeFolders(q.ctx(), q.who, q.entry.ID, names)
	if err != nil {
		return err
	}
	if in.Name != "" && len(created) == 0 {
		return cloud.UserErrorf(cloud.ErrExists, "the name %q is taken", last.Name)
	}
	rs := a.records(q)
	record, err := rs.entry(q.ctx(), last)
	if err != nil {
		return err
	}
	made, err := rs.all(q.ctx(), created)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"entry": record, "created": made})
}

// conflict reads what to do about a taken name; "" is to fail.
func conflict(s meta.Conflict) (meta.Conflict, error) {
	switch s {
	case "":
		return meta.ConflictFail, nil
	case meta.ConflictFail, meta.ConflictReplace, meta.ConflictRename:
		return s, nil
	}
	return "", cloud.UserErrorf(cloud.ErrInvalid, "on_conflict is fail, replace or rename")
}

func (a *api) changeEntry(q *call) error {
	var in struct {
		Name       *string        `json:"name"`
		Parent     *cloud.EntryID `json:"parent"`
		Public     *bool          `json:"public"`
		OnConflict meta.Conflict  `json:"on_conflict"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	on, err := conflict(in.OnConflict)
	if err != nil {
		return err
	}
	e := q.entry
	if in.Public != nil { // first: nothing is moved if this is refused
		if _, err := q.fs.EntryFor(q.ctx(), q.who, e.ID, policy.ShareEntry); err != nil {
			return err
		}
	}
	if in.Name != nil || in.Parent != nil {
		name, parent := e.Name, e.Parent
		if in.Name != nil {
			name = *in.Name
		}
		if in.Parent != nil {
			parent = *in.Parent
		}
		moved, err := q.fs.Move(q.ctx(), q.who, e.ID, parent, name, on)
		if err != nil {
			return err
		}
		if in.Public == nil && parent == e.Parent {
			record, err := a.records(q).entry(q.ctx(), moved.After)
			if err != nil {
				return err
			}
			return q.answer(map[string]any{"entry": record})
		}
	}
	if in.Public != nil {
		if _, err := q.fs.SetPublic(q.ctx(), q.who, e.ID, *in.Public); err != nil {
			return err
		}
	}
	e, err = q.fs.Entry(q.ctx(), q.who, e.ID)
	if errors.Is(err, cloud.ErrNotFound) {
		return q.answer(map[string]any{"entry": nil}) // it was his by a folder that it has left
	}
	if err != nil {
		return err
	}
	record, err := a.records(q).entry(q.ctx(), e)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"entry": record})
}

func checkIDs(ids []cloud.EntryID) error {
	if len(ids) < 1 || len(ids) > maxIDs {
		return cloud.UserErrorf(cloud.ErrInvalid, "ids are 1 to %d entries", maxIDs)
	}
	return nil
}

func (a *api) moveMany(q *call) error {
	var in struct {
		IDs        []cloud.EntryID `json:"ids"`
		Parent     *cloud.EntryID  `json:"parent"`
		OnConflict meta.Conflict   `json:"on_conflict"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	if err := checkIDs(in.IDs); err != nil {
		return err
	}
	if in.Parent == nil {
		return cloud.UserErrorf(cloud.ErrInvalid, "parent is missing")
	}
	on, err := conflict(in.OnConflict)
	if err != nil {
		return err
	}
	moved, err := q.fs.MoveMany(q.ctx(), q.who, in.IDs, *in.Parent, on)
	if err != nil {
		return err
	}
	rs := a.records(q)
	entries := make([]packet.Entry, 0, len(moved))
	for _, m := range moved {
		if policy.Check(q.who, policy.SeeEntry, &m.After) != nil {
			continue // it was his by a folder that it has left
		}
		record, err := rs.entry(q.ctx(), m.After)
		if err != nil {
			return err
		}
		entries = append(entries, record)
	}
	return q.answer(map[string]any{"entries": entries})
}

func (a *api) copyMany(q *call) error {
	var in struct {
		IDs        []cloud.EntryID `json:"ids"`
		Parent     *cloud.EntryID  `json:"parent"`
		OnConflict meta.Conflict   `json:"on_conflict"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	if err := checkIDs(in.IDs); err != nil {
		return err
	}
	if in.Parent == nil {
		return cloud.UserErrorf(cloud.ErrInvalid, "parent is missing")
	}
	on, err := conflict(in.OnConflict)
	if err != nil {
		return err
	}
	if on == meta.ConflictReplace {
		return cloud.UserErrorf(cloud.ErrInvalid, "on_conflict is fail or rename")
	}
	copied, err := q.fs.CopyMany(q.ctx(), q.who, in.IDs, *in.Parent, on)
	if err != nil {
		return err
	}
	entries := make([]cloud.Entry, 0, len(copied))
	for _, c := range copied {
		entries = append(entries, c.Entry)
	}
	records, err := a.records(q).all(q.ctx(), entries)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"entries": records})
}

func (a *api) deleteMany(q *call) error {
	var in struct {
		IDs []cloud.EntryID `json:"ids"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	if err := checkIDs(in.IDs); err != nil {
		return err
	}
	d, err := q.fs.Delete(q.ctx(), q.who, in.IDs...)
	if err != nil {
		return err
	}
	kept := d.Trash
	if kept == nil {
		kept = []cloud.EntryID{}
	}
	return q.answer(map[string]any{"files": d.Files, "folders": d.Folders, "bytes": d.Bytes, "trash": kept})
}
