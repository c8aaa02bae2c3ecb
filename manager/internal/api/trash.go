package api

import (
	"net/url"
	"strconv"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// trashRecord is an entry of the trash.
type trashRecord struct {
	Entry     packet.Entry  `json:"entry"`
	Path      string        `json:"path"` // of the folder that it was in
	DeletedAt string        `json:"deleted_at"`
	DeletedBy *packet.Owner `json:"deleted_by"`
	// ExpiresAt is when it goes for good, null if nothing of the trash does.
	ExpiresAt *string `json:"expires_at"`
	Files     int64   `json:"files"`
	Folders   int64   `json:"folders"`
	Bytes     int64   `json:"bytes"`
	Purge     bool    `json:"purge"` // whether who asks may delete it for good
}

// pageLimit reads how many of a list are wanted.
func pageLimit(v url.Values) (int, error) {
	text := v.Get("limit")
	if text == "" {
		return 200, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 {
		return 0, cloud.UserErrorf(cloud.ErrInvalid, "limit is 1 to 1000")
	}
	return n, nil
}

func (a *api) trash(q *call) error {
	query := q.r.URL.Query()
	limit, err := pageLimit(query)
	if err != nil {
		return err
	}
	page, next, err := q.fs.Trash(q.ctx(), q.who, query.Get("after"), limit)
	if err != nil {
		return err
	}
	rs := a.records(q)
	items := make([]trashRecord, 0, len(page))
	for _, t := range page {
		record, err := rs.entry(q.ctx(), t.Entry)
		if err != nil {
			return err
		}
		by, err := rs.owner(q.ctx(), t.DeletedBy)
		if err != nil {
			return err
		}
		item := trashRecord{
			Entry: record, Path: vfs.JoinPath(t.Folder), DeletedAt: stamp(t.DeletedAt), DeletedBy: by,
			Files: t.Files, Folders: t.Folders, Bytes: t.Bytes,
			Purge: policy.Check(q.who, policy.PurgeEntry, &t.Entry) == nil,
		}
		if a.Retention.Trash > 0 {
			at := stamp(t.DeletedAt.Add(a.Retention.Trash))
			item.ExpiresAt = &at
		}
		items = append(items, item)
	}
	return q.answer(map[string]any{"items": items, "next": next, "days": days(a.Retention.Trash)})
}

func days(d time.Duration) int64 { return int64(d / (24 * time.Hour)) }

func (a *api) restoreTrash(q *call) error {
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
	if in.OnConflict == "" {
		in.OnConflict = meta.ConflictRename
	}
	on, err := conflict(in.OnConflict)
	if err != nil {
		return err
	}
	restored, err := q.fs.Restore(q.ctx(), q.who, in.IDs, in.Parent, on)
	if err != nil {
		return err
	}
	rs := a.records(q)
	entries := make([]packet.Entry, 0, len(restored))
	for _, r := range restored {
		record, err := rs.entry(q.ctx(), r.After)
		if err != nil {
			return err
		}
		entries = append(entries, record)
	}
	return q.answer(map[string]any{"entries": entries})
}

func (a *api) purgeTrash(q *call) error {
	var in struct {
		IDs []cloud.EntryID `json:"ids"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	if err := checkIDs(in.IDs); err != nil {
		return err
	}
	d, err := q.fs.Purge(q.ctx(), q.who, in.IDs...)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"files": d.Files, "folders": d.Folders, "bytes": d.Bytes})
}

func (a *api) emptyTrash(q *call) error {
	d, err := q.fs.EmptyTrash(q.ctx(), q.who)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"files": d.Files, "folders": d.Folders, "bytes": d.Bytes})
}

func (a *api) space(q *call) error {
	s, err := q.fs.Space(q.ctx(), q.who)
	if err != nil {
		return err
	}
	quota, err := q.fs.Quota(q.ctx(), q.who)
	if err != nil {
		return err
	}
	type freed struct {
		Day   string `json:"day"`
		Bytes int64  `json:"bytes"`
	}
	free := make([]freed, 0, len(s.Freed))
	for _, f := range s.Freed {
		free = append(free, freed{f.Day.Format(time.DateOnly), f.Bytes})
	}
	return q.answer(map[string]any{
		"files": amount{s.Files, s.FileBytes}, "trash": amount{s.Trashed, s.TrashBytes}, "versions": amount{s.Versions, s.VersionBytes},
		"freed": free, "quota": quotaRecordOf(quota),
	})
}
