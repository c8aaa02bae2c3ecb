package api

import (
	"net/http"
	"net/url"
	"time"

	"discordcloud/manager/internal/auth"
)

// openIDReturn is where the other provider sends people back to, and what it must
// be told of as such.
const openIDReturn = "/api/openid/return"

type departureRecord struct {
	URL string `json:"url"`
	Key string `json:"key"`
}

// departOpenID begins a sign-in by the other provider. The key stays in the
// browser; without it nothing comes of the return.
func (a *api) departOpenID(q *call) error {
	d, err := a.Auth.Depart(q.ctx(), a.base(q.r)+openIDReturn, a.peer(q.r))
	if err != nil {
		return err
	}
	return q.answer(departureRecord{d.URL, d.Key})
}

// returnOpenID hands what the provider says on to the page, behind a "#": it
// shall not be sent to anybody again.
func (a *api) returnOpenID(q *call) error {
	in, out := q.r.URL.Query(), url.Values{}
	out.Set("openid", in.Get("state"))
	switch {
	case in.Get("error") != "" || !a.Auth.OpenIDIssuer(in.Get("iss")):
		out.Set("refused", "1")
	default:
		out.Set("code", in.Get("code"))
	}
	q.w.Header().Set("Location", "/#"+out.Encode())
	q.w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (q *call) decodeReturn() (auth.Return, error) {
	var in struct {
		State string `json:"state"`
		Code  string `json:"code"`
		Key   string `json:"key"`
	}
	err := q.decode(&in)
	return auth.Return{State: in.State, Code: in.Code, Key: in.Key}, err
}

func (a *api) arriveOpenID(q *call) error {
	in, err := q.decodeReturn()
	if err != nil {
		return err
	}
	t, err := a.Auth.Arrive(q.ctx(), in, a.peer(q.r))
	if err != nil {
		return err
	}
	return answerToken(q, t)
}

func (a *api) identities(q *call) error {
	all, err := a.Auth.Identities(q.ctx(), q.who)
	if err != nil {
		return err
	}
	type record struct {
		ID        string    `json:"id"`
		Issuer    string    `json:"issuer"`
		Name      string    `json:"name"`
		CreatedAt time.Time `json:"created_at"`
	}
	records := make([]record, 0, len(all))
	for _, i := range all {
		records = append(records, record{auth.IdentityID(i), i.Issuer, i.Name, i.CreatedAt.UTC()})
	}
	return q.answer(map[string]any{"identities": records, "openid": a.Auth.OpenIDName()})
}

func (a *api) departToLink(q *call) error {
	var in struct {
		Password string `json:"password"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	d, err := a.Auth.DepartToLink(q.ctx(), q.who, in.Password, a.base(q.r)+openIDReturn, a.peer(q.r))
	if err != nil {
		return err
	}
	return q.answer(departureRecord{d.URL, d.Key})
}

func (a *api) linkIdentity(q *call) error {
	in, err := q.decodeReturn()
	if err != nil {
		return err
	}
	if err := a.Auth.LinkIdentity(q.ctx(), q.who, in); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) unlinkIdentity(q *call) error {
	if err := a.Auth.UnlinkIdentity(q.ctx(), q.who, q.r.PathValue("id")); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
