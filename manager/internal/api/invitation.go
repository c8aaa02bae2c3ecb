package api

import (
	"net/http"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// invitationRecord is an invitation as administrators see it.
type invitationRecord struct {
	ID        int64           `json:"id"`
	Name      string          `json:"name"`
	Address   string          `json:"address"`
	MadeBy    string          `json:"made_by"`
	Most      amount          `json:"most"`
	Groups    []cloud.GroupID `json:"groups"`
	Uses      int64           `json:"uses"`
	MostUses  int64           `json:"most_uses"`
	CreatedAt time.Time       `json:"created_at"`
	ExpiresAt time.Time       `json:"expires_at"`
	Over      bool            `json:"over"` // expired or used up
}

func invitationRecordOf(i meta.Invitation, now time.Time) invitationRecord {
	groups := i.Groups
	if groups == nil {
		groups = []cloud.GroupID{}
	}
	return invitationRecord{
		ID: i.ID, Name: i.Name, Address: i.Address, MadeBy: i.MadeBy, Most: amount{i.MostFiles, i.MostBytes}, Groups: groups,
		Uses: i.Uses, MostUses: i.MostUses, CreatedAt: i.CreatedAt.UTC(), ExpiresAt: i.ExpiresAt.UTC(),
		Over: !i.ExpiresAt.After(now) || i.MostUses > 0 && i.Uses >= i.MostUses,
	}
}

func (a *api) invitations(q *call) error {
	all, err := a.Auth.Invitations(q.ctx(), q.who)
	if err != nil {
		return err
	}
	records := make([]invitationRecord, 0, len(all))
	for _, i := range all {
		records = append(records, invitationRecordOf(i, time.Now()))
	}
	return q.answer(map[string]any{"invitations": records, "mail": a.Auth.Mails()})
}

func (a *api) invite(q *call) error {
	var in struct {
		Name      string          `json:"name"`
		Address   string          `json:"address"`
		Most      amount          `json:"most"`
		Groups    []cloud.GroupID `json:"groups"`
		MostUses  int64           `json:"most_uses"`
		ExpiresAt time.Time       `json:"expires_at"`
		Language  string          `json:"language"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	i, text, sent, err := a.Auth.Invite(q.ctx(), q.who, auth.InvitationWish{
		Name: in.Name, Address: in.Address, MostBytes: in.Most.Bytes, MostFiles: in.Most.Files, Groups: in.Groups,
		MostUses: in.MostUses, ExpiresAt: in.ExpiresAt, Language: in.Language,
	})
	if err != nil {
		return err
	}
	return q.answer(map[string]any{
		"invitation": invitationRecordOf(i, time.Now()), "token": text, "url": a.base(q.r) + "/#invite=" + text, "sent": sent,
	})
}

func (a *api) revokeInvitation(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	if err := a.Auth.RevokeInvitation(q.ctx(), q.who, id); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// openInvitation tells who has its text that an invitation stands.
func (a *api) openInvitation(q *call) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	i, err := a.Auth.Invitation(q.ctx(), in.Token, a.peer(q.r))
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"made_by": i.MadeBy, "expires_at": i.ExpiresAt.UTC()})
}

func (a *api) acceptInvitation(q *call) error {
	var in struct {
		Token    string `json:"token"`
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	t, err := a.Auth.AcceptInvitation(q.ctx(), in.Token, in.Username, in.Password, a.peer(q.r))
	if err != nil {
		return err
	}
	return answerToken(q, t)
}

// makeResetLink makes a link by which a user sets a new password himself.
func (a *api) makeResetLink(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	text, expires, err := a.Auth.MakeResetLink(q.ctx(), q.who, cloud.UserID(id))
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"token": text, "url": a.base(q.r) + "/#reset=" + text, "expires_at": expires.UTC()})
}

// openReset tells who has its text whose password a link sets.
func (a *api) openReset(q *call) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	user, err := a.Auth.ResetOf(q.ctx(), in.Token, a.peer(q.r))
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"username": user.Name})
}

func (a *api) useReset(q *call) error {
	var in struct {
		Token    string `json:"token"`
		Password string `json:"password"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	user, err := a.Auth.Reset(q.ctx(), in.Token, in.Password, a.peer(q.r))
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"username": user.Name})
}

// requestReset has a link sent by mail; the answer is the same for all.
func (a *api) requestReset(q *call) error {
	var in struct {
		Of       string `json:"of"`
		Language string `json:"language"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	if err := a.Auth.RequestReset(in.Of, in.Language, a.peer(q.r)); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) address(q *call) error {
	address, err := a.Auth.Address(q.ctx(), q.who)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"address": address, "mail": a.Auth.Mails()})
}

func (a *api) changeAddress(q *call) error {
	var in struct {
		Address  string `json:"address"`
		Password string `json:"password"`
		Language string `json:"language"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	if err := a.Auth.ChangeAddress(q.ctx(), q.who, in.Address, in.Password, in.Language, a.peer(q.r)); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) confirmAddress(q *call) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	if err := a.Auth.ConfirmAddress(q.ctx(), in.Token, a.peer(q.r)); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// mailState tells administrators how the mail goes.
func (a *api) mailState(q *call) error {
	if a.Mail == nil {
		return q.answer(map[string]any{"configured": false})
	}
	s := a.Mail.State()
	var last *string
	if !s.LastAt.IsZero() {
		last = new(stamp(s.LastAt))
	}
	return q.answer(map[string]any{
		"configured": true, "server": s.Server, "from": s.From, "queued": s.Queued, "sent": s.Sent, "failed": s.Failed,
		"last_error": s.LastError, "last_error_at": last,
	})
}
