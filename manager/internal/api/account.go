package api

import (
	"net/http"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

type userRecord struct {
	ID            cloud.UserID `json:"id"`
	Name          string       `json:"name"`
	Administrator bool         `json:"administrator"`
}

type tokenRecord struct {
	Token     string     `json:"token"`
	ExpiresAt time.Time  `json:"expires_at"`
	User      userRecord `json:"user"`
}

func recordOf(u cloud.User) userRecord {
	return userRecord{ID: u.ID, Name: u.Name, Administrator: u.Administrator}
}

func answerToken(q *call, t auth.Token) error {
	return q.answer(tokenRecord{Token: t.Text, ExpiresAt: t.ExpiresAt.UTC(), User: recordOf(t.User)})
}

func (a *api) status(q *call) error {
	required, err := a.Auth.SetupRequired(q.ctx())
	if err != nil {
		return err
	}
	return q.answer(map[string]any{
		"version": a.Version, "setup_required": required, "setup_needs_code": required && !isLocal(q.r),
		"max_name": vfs.MaxName, "passkeys_at": a.site(q.r).Origin, "mail": a.Auth.Mails(), "openid": a.Auth.OpenIDName(),
	})
}

func (a *api) setUp(q *call) error {
	var in struct {
		Code     string `json:"code"`
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	peer := a.peer(q.r)
	user, err := a.Auth.CreateFirst(q.ctx(), in.Code, isLocal(q.r), in.Username, in.Password, peer)
	if err != nil {
		return err
	}
	t, err := a.Auth.SignIn(q.ctx(), user, peer)
	if err != nil {
		return err
	}
	return answerToken(q, t)
}

func (a *api) login(q *call) error {
	var in struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	t, second, err := a.Auth.LoginStep(q.ctx(), in.Username, in.Password, a.peer(q.r))
	switch {
	case err != nil:
		return err
	case second != nil:
		return a.answerSecond(q, second)
	}
	return answerToken(q, t)
}

func (a *api) logout(q *call) error {
	if err := a.Auth.Logout(q.ctx(), q.who); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

type sessionRecord struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	UsedAt    time.Time `json:"used_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Agent     string    `json:"agent"`
	Address   string    `json:"address"`
	Current   bool      `json:"current"`
}

func (a *api) sessionRecords(q *call) ([]sessionRecord, error) {
	rows, err := a.Auth.Sessions(q.ctx(), q.who)
	if err != nil {
		return nil, err
	}
	records := make([]sessionRecord, 0, len(rows))
	for _, s := range rows {
		records = append(records, sessionRecord{
			ID: s.ID, CreatedAt: s.CreatedAt.UTC(), UsedAt: s.UsedAt.UTC(), ExpiresAt: s.ExpiresAt.UTC(),
			Agent: s.Agent, Address: s.Address, Current: s.ID == q.who.Session,
		})
	}
	return records, nil
}

func (a *api) me(q *call) error {
	sessions, err := a.sessionRecords(q)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.Current {
			return q.answer(map[string]any{
				"user": userRecord{ID: q.who.User, Name: q.who.Name, Administrator: q.who.Administrator},
				"session": map[string]any{
					"id": s.ID, "created_at": s.CreatedAt, "expires_at": s.ExpiresAt,
				},
			})
		}
	}
	return cloud.ErrUnauthenticated // it ended between two lines of ours
}

func (a *api) changePassword(q *call) error {
	var in struct {
		Previous string `json:"previous"`
		Next     string `json:"next"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	peer := a.peer(q.r)
	user, err := a.Auth.ChangeOwnPassword(q.ctx(), q.who, in.Previous, in.Next, peer)
	if err != nil {
		return err
	}
	t, err := a.Auth.SignIn(q.ctx(), user, peer)
	if err != nil {
		return err
	}
	return answerToken(q, t)
}

func (a *api) sessions(q *call) error {
	records, err := a.sessionRecords(q)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"sessions": records})
}

func (a *api) endSession(q *call) error {
	if err := a.Auth.Revoke(q.ctx(), q.who, q.r.PathValue("id")); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// maxUsers is how many users one search gives.
const maxUsers = 50

func (a *api) users(q *call) error {
	found, err := a.Auth.Users(q.ctx(), q.who, q.r.URL.Query().Get("query"), maxUsers)
	if err != nil {
		return err
	}
	type record struct {
		ID   cloud.UserID `json:"id"`
		Name string       `json:"name"`
	}
	records := make([]record, 0, len(found))
	for _, u := range found {
		records = append(records, record{u.ID, u.Name})
	}
	return q.answer(map[string]any{"users": records})
}

func (a *api) createUser(q *call) error {
	var in struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		Administrator bool   `json:"administrator"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	user, err := a.Auth.CreateUser(q.ctx(), q.who, in.Username, in.Password, in.Administrator)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"user": recordOf(user)})
}

func (a *api) issueTicket(q *call) error {
	var in struct {
		Purpose auth.Purpose   `json:"purpose"`
		Entry   *cloud.EntryID `json:"entry"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	var entry cloud.EntryID
	switch {
	case in.Purpose == auth.Socket:
		if err := policy.Check(q.who, policy.Connect, nil); err != nil {
			return err
		}
	case in.Entry == nil:
		return cloud.UserErrorf(cloud.ErrInvalid, "a ticket for a download names its entry")
	default:
		entry = *in.Entry
		e, err := q.fs.EntryFor(q.ctx(), q.who, entry, policy.IssueTicket)
		if err != nil {
			return err
		}
		if err := a.Auth.UseLink(q.ctx(), q.who, "downloaded", e, a.peer(q.r)); err != nil {
			return err
		}
	}
	t, err := a.Auth.IssueTicket(q.ctx(), q.who, in.Purpose, entry)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"ticket": t.Text, "expires_at": t.ExpiresAt.UTC()})
}
