package api

import (
	"strconv"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

func (a *api) activity(q *call) error {
	limit, _, err := q.page()
	if err != nil {
		return err
	}
	v := q.r.URL.Query()
	ask := meta.ActivityQuery{Deep: v.Get("deep") == "1", Limit: limit + 1}
	if s := v.Get("before"); s != "" {
		if ask.Before, err = strconv.ParseInt(s, 10, 64); err != nil || ask.Before < 1 {
			return cloud.UserErrorf(cloud.ErrInvalid, "before is not a number")
		}
	}
	all, err := q.fs.Activity(q.ctx(), q.who, q.entry.ID, ask)
	if err != nil {
		return err
	}
	var next int64
	if len(all) > limit {
		all = all[:limit]
		next = all[limit-1].ID
	}
	type record struct {
		ID      int64         `json:"id"`
		At      string        `json:"at"`
		User    *packet.Owner `json:"user"`
		Action  string        `json:"action"`
		Folder  cloud.EntryID `json:"folder"`
		Entry   cloud.EntryID `json:"entry"`
		Kind    cloud.Kind    `json:"kind"`
		Name    string        `json:"name"`
		OldName string        `json:"old_name,omitempty"`
	}
	rs := a.records(q)
	records := make([]record, 0, len(all))
	for _, x := range all {
		user, err := rs.owner(q.ctx(), x.User)
		if err != nil {
			return err
		}
		records = append(records, record{x.ID, stamp(x.At), user, x.Action, x.Folder, x.Entry, x.Kind, x.Name, x.OldName})
	}
	return q.answer(map[string]any{"activity": records, "next": next})
}
