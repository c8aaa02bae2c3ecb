package api

import (
	"net/http"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// accountRecord is a user as administrators see him.
type accountRecord struct {
	userRecord
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
}

func accountRecordOf(u cloud.User) accountRecord {
	return accountRecord{recordOf(u), u.Disabled, u.CreatedAt.UTC()}
}

func (a *api) accounts(q *call) error {
	limit, after, err := q.page()
	if err != nil {
		return err
	}
	users, err := a.Auth.Accounts(q.ctx(), q.who, q.r.URL.Query().Get("query"), after, limit+1)
	if err != nil {
		return err
	}
	next := ""
	if len(users) > limit {
		users = users[:limit]
		next = users[limit-1].Name
	}
	type record struct {
		accountRecord
		Used   amount     `json:"used"`
		Most   amount     `json:"most"`
		Own    bool       `json:"own"`
		SeenAt *time.Time `json:"seen_at"` // null if that is not known
	}
	records := make([]record, 0, len(users))
	for _, u := range users {
		r := record{accountRecordOf(u.User), amount{u.Files, u.Bytes}, amount{u.MostFiles, u.MostBytes}, u.Own, nil}
		if !u.SeenAt.IsZero() {
			seen := u.SeenAt.UTC()
			r.SeenAt = &seen
		}
		records = append(records, r)
	}
	return q.answer(map[string]any{"accounts": records, "next": next})
}

func (a *api) changeUser(q *call) error {
	var in struct {
		Administrator *bool `json:"administrator"`
		Disabled      *bool `json:"disabled"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	id, err := q.number("id")
	if err != nil {
		return err
	}
	if (in.Administrator == nil) == (in.Disabled == nil) {
		return cloud.UserErrorf(cloud.ErrInvalid, "change the role, or whether the account is disabled")
	}
	var u cloud.User
	if in.Disabled != nil {
		u, err = a.Auth.SetDisabled(q.ctx(), q.who, cloud.UserID(id), *in.Disabled)
	} else {
		u, err = a.Auth.SetAdministrator(q.ctx(), q.who, cloud.UserID(id), *in.Administrator)
	}
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"account": accountRecordOf(u)})
}

func (a *api) deleteUser(q *call) error {
	var in struct {
		Heir  cloud.UserID `json:"heir"`
		Trash bool         `json:"trash"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	id, err := q.number("id")
	if err != nil {
		return err
	}
	if in.Heir == meta.Everybody {
		in.Heir = q.who.User
	}
	if err := a.Auth.DeleteUser(q.ctx(), q.who, cloud.UserID(id), in.Heir, in.Trash); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) resetPassword(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	text, err := a.Auth.ResetPassword(q.ctx(), q.who, cloud.UserID(id))
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"password": text})
}
