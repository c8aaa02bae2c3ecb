package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// maxTypes is how many types one search may name.
const maxTypes = 32

// found is an entry record with the path of its folder.
type found struct {
	packet.Entry
	Path string `json:"path"`
}

func (a *api) search(q *call) error {
	find, err := parseFind(q.r.URL.Query())
	if err != nil {
		return err
	}
	all, next, err := q.fs.Search(q.ctx(), q.who, find)
	if err != nil {
		return err
	}
	rs := a.records(q)
	entries := make([]found, 0, len(all))
	for _, e := range all {
		record, err := rs.entry(q.ctx(), e.Entry)
		if err != nil {
			return err
		}
		entries = append(entries, found{record, vfs.JoinPath(e.Folder)})
	}
	return q.answer(map[string]any{"entries": entries, "next": next})
}

func parseFind(v url.Values) (meta.Find, error) {
	find := meta.Find{Text: v.Get("q"), Kind: cloud.Kind(v.Get("kind")), Starred: v.Get("starred") == "1", After: v.Get("after"), Limit: 100}
	switch v.Get("sort") {
	case "", "name":
	case "updated_at":
		find.Recent = true
	default:
		return meta.Find{}, cloud.UserErrorf(cloud.ErrInvalid, "sort is name or updated_at")
	}
	if find.Text == "" && !find.Starred && !find.Recent || len(find.Text) > meta.MaxName {
		return meta.Find{}, cloud.UserErrorf(cloud.ErrInvalid, "q has to be a part of a name")
	}
	if s := v.Get("type"); s != "" {
		if find.Types = strings.Split(s, ","); len(find.Types) > maxTypes || slices.Contains(find.Types, "") {
			return meta.Find{}, cloud.UserErrorf(cloud.ErrInvalid, "type is 1 to %d MIME types, with commas", maxTypes)
		}
	}
	for key, n := range map[string]*int64{"min_size": &find.Least, "max_size": &find.Most, "owner": (*int64)(&find.Owner)} {
		if s := v.Get(key); s != "" {
			var err error
			if *n, err = strconv.ParseInt(s, 10, 64); err != nil || *n < 0 {
				return meta.Find{}, cloud.UserErrorf(cloud.ErrInvalid, "%s is not a number", key)
			}
		}
	}
	for key, t := range map[string]*time.Time{"since": &find.Since, "until": &find.Until} {
		if s := v.Get(key); s != "" {
			var err error
			if *t, err = time.Parse(time.RFC3339, s); err != nil {
				return meta.Find{}, cloud.UserErrorf(cloud.ErrInvalid, "%s is not a time like 2026-01-31T12:00:00Z", key)
			}
		}
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 1000 {
			return meta.Find{}, cloud.UserErrorf(cloud.ErrInvalid, "limit is not a number from 1 to 1000")
		}
		find.Limit = n
	}
	return find, nil
}
