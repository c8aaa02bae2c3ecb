package api

import (
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// amount is a number of files and of their bytes.
type amount struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// quotaRecord is what somebody has stored, what his uploads under way will take,
// and what he may store; 0 is no bound.
type quotaRecord struct {
	Used     amount `json:"used"`
	Reserved amount `json:"reserved"`
	Most     amount `json:"most"`
}

func quotaRecordOf(q meta.Quota) quotaRecord {
	return quotaRecord{amount{q.Files, q.Bytes}, amount{q.ReservedFiles, q.ReservedBytes}, amount{q.MostFiles, q.MostBytes}}
}

func (a *api) quotas(q *call) error {
	limit, after, err := q.page()
	if err != nil {
		return err
	}
	users, err := q.fs.Quotas(q.ctx(), q.who, after, limit+1)
	if err != nil {
		return err
	}
	all, err := q.fs.QuotaOf(q.ctx(), q.who, meta.Everybody)
	if err != nil {
		return err
	}
	others, err := q.fs.QuotaOf(q.ctx(), q.who, meta.Others)
	if err != nil {
		return err
	}
	next := ""
	if len(users) > limit {
		users = users[:limit]
		next = users[limit-1].Name
	}
	type record struct {
		ID            cloud.UserID `json:"id"`
		Name          string       `json:"name"`
		Administrator bool         `json:"administrator"`
		Used          amount       `json:"used"`
		Most          amount       `json:"most"`
		Own           bool         `json:"own"`
	}
	records := make([]record, 0, len(users))
	for _, u := range users {
		records = append(records, record{u.ID, u.Name, u.Administrator, amount{u.Files, u.Bytes}, amount{u.MostFiles, u.MostBytes}, u.Own})
	}
	return q.answer(map[string]any{"users": records, "all": quotaRecordOf(all), "others": quotaRecordOf(others).Most, "next": next})
}

func (a *api) setQuota(q *call) error {
	var in amount
	if err := q.decode(&in); err != nil {
		return err
	}
	user, err := q.quotaUser()
	if err != nil {
		return err
	}
	quota, err := q.fs.SetQuota(q.ctx(), q.who, user, in.Bytes, in.Files)
	if err != nil {
		return err
	}
	return q.answer(quotaRecordOf(quota))
}

func (a *api) clearQuota(q *call) error {
	user, err := q.number("user")
	if err != nil {
		return err
	}
	quota, err := q.fs.ClearQuota(q.ctx(), q.who, cloud.UserID(user))
	if err != nil {
		return err
	}
	return q.answer(quotaRecordOf(quota))
}

// quotaUser is whom the path is about; all others are one, too.
func (q *call) quotaUser() (cloud.UserID, error) {
	if q.r.PathValue("user") == "others" {
		return meta.Others, nil
	}
	user, err := q.number("user")
	return cloud.UserID(user), err
}

func (a *api) usage(q *call) error { return a.answerUsage(q, q.who.User) }

func (a *api) usageOf(q *call) error {
	user, err := q.number("user")
	if err != nil {
		return err
	}
	return a.answerUsage(q, cloud.UserID(user))
}

func (a *api) answerUsage(q *call, user cloud.UserID) error {
	all, err := q.fs.Usage(q.ctx(), q.who, user)
	if err != nil {
		return err
	}
	type record struct {
		Folder cloud.EntryID `json:"folder"` // of the top; 0 is the top itself, -1 the trash
		Name   string        `json:"name"`
		Type   string        `json:"type"`
		amount
	}
	records := make([]record, 0, len(all))
	for _, u := range all {
		records = append(records, record{u.Folder, u.Name, u.Type, amount{u.Files, u.Bytes}})
	}
	return q.answer(map[string]any{"usage": records})
}
