package api

import (
	"net/http"

	"discordcloud/pkg/cloud"
)

// star marks an entry for who asks, or takes the mark away.
func (a *api) star(q *call) error {
	if err := a.FS.Store.SetStar(q.ctx(), q.who.User, q.entry.ID, q.r.Method == http.MethodPut); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) stars(q *call) error {
	ids, err := a.FS.Store.StarsOf(q.ctx(), q.who.User)
	if err != nil {
		return err
	}
	if ids == nil {
		ids = []cloud.EntryID{}
	}
	return q.answer(map[string]any{"ids": ids})
}
