package api

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// site is this server as browsers know it, for passkeys: by its public address, or
// as localhost to who is on this machine. It has no name where browsers have no
// passkeys: at a bare address, or without TLS.
func (a *api) site(r *http.Request) auth.Site {
	origin := a.PublicURL
	if origin == "" {
		if !isLocal(r) {
			return auth.Site{}
		}
		if origin = r.Header.Get("Origin"); origin == "" {
			origin = "http://" + r.Host
			if r.TLS != nil {
				origin = "https://" + r.Host
			}
		}
	}
	u, err := url.Parse(origin)
	if err != nil {
		return auth.Site{}
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err == nil || host == "" || u.Scheme != "https" && host != "localhost" {
		return auth.Site{}
	}
	return auth.Site{Name: host, Origin: u.Scheme + "://" + strings.ToLower(u.Host)}
}

// serverName is what people call this server.
func (a *api) serverName(r *http.Request) string {
	if u, err := url.Parse(a.PublicURL); err == nil && u.Host != "" {
		return u.Hostname()
	}
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}

// secondRecord tells what a sign-in lacks.
type secondRecord struct {
	State     string    `json:"state"`
	ExpiresAt time.Time `json:"expires_at"`
	Methods   []string  `json:"methods"`
}

func (a *api) answerSecond(q *call, s *auth.Second) error {
	methods := []string{}
	if s.Codes {
		methods = append(methods, "code")
	}
	name := a.site(q.r).Name
	for _, at := range s.Passkeys {
		if at == name {
			methods = append(methods, "passkey")
			break
		}
	}
	if s.Recovery {
		methods = append(methods, "recovery_code")
	}
	return q.answer(map[string]any{"second": secondRecord{s.State, s.ExpiresAt.UTC(), methods}})
}

func (a *api) loginCode(q *call) error {
	var in struct {
		State string `json:"state"`
		Code  string `json:"code"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	t, err := a.Auth.LoginCode(q.ctx(), in.State, in.Code, a.peer(q.r))
	if err != nil {
		return err
	}
	return answerToken(q, t)
}

// ceremonyRecord is a question to a browser's authenticators.
type ceremonyRecord struct {
	State   string `json:"state"`
	Options any    `json:"options"`
}

func (a *api) askPasskey(q *call) error {
	var in struct {
		State string `json:"state"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	c, err := a.Auth.AskPasskey(q.ctx(), a.site(q.r), in.State)
	if err != nil {
		return err
	}
	return q.answer(ceremonyRecord{c.State, c.Options})
}

func (a *api) loginPasskey(q *call) error {
	var in struct {
		State      string          `json:"state"`
		Credential json.RawMessage `json:"credential"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	t, err := a.Auth.LoginPasskey(q.ctx(), in.State, in.Credential, a.peer(q.r))
	if err != nil {
		return err
	}
	return answerToken(q, t)
}

// proof is what bodies carry for what a session alone must not do.
type proof struct {
	Password string `json:"password"`
	Code     string `json:"code"`
}

func (p proof) shown() auth.Proof { return auth.Proof{Password: p.Password, Code: p.Code} }

type passkeyRecord struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`
	Server    string     `json:"server"`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"used_at"`
}

func passkeyRecordOf(p meta.Passkey) passkeyRecord {
	return passkeyRecord{p.ID, p.Name, p.RP, p.CreatedAt.UTC(), optionalTime(p.UsedAt)}
}

func (a *api) factors(q *call) error {
	set, err := a.Auth.Factors(q.ctx(), q.who)
	if err != nil {
		return err
	}
	type totpRecord struct {
		CreatedAt time.Time `json:"created_at"`
	}
	out := struct {
		TOTP     *totpRecord     `json:"totp"`
		Passkeys []passkeyRecord `json:"passkeys"`
		Codes    int             `json:"recovery_codes"`
	}{Passkeys: []passkeyRecord{}, Codes: set.Codes}
	if set.TOTP != nil {
		out.TOTP = &totpRecord{set.TOTP.CreatedAt.UTC()}
	}
	for _, p := range set.Passkeys {
		out.Passkeys = append(out.Passkeys, passkeyRecordOf(p))
	}
	return q.answer(out)
}

func (a *api) offerTOTP(q *call) error {
	var in proof
	if err := q.decode(&in); err != nil {
		return err
	}
	o, err := a.Auth.OfferTOTP(q.ctx(), q.who, in.shown(), a.serverName(q.r), a.peer(q.r))
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"state": o.State, "secret": o.Secret, "uri": o.URI, "expires_at": o.ExpiresAt.UTC()})
}

func (a *api) setTOTP(q *call) error {
	var in struct {
		State string `json:"state"`
		Code  string `json:"code"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	codes, err := a.Auth.SetTOTP(q.ctx(), q.who, in.State, in.Code)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"recovery_codes": codes})
}

func (a *api) removeTOTP(q *call) error {
	var in proof
	if err := q.decode(&in); err != nil {
		return err
	}
	if err := a.Auth.RemoveTOTP(q.ctx(), q.who, in.shown(), a.peer(q.r)); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) offerPasskey(q *call) error {
	var in proof
	if err := q.decode(&in); err != nil {
		return err
	}
	c, err := a.Auth.OfferPasskey(q.ctx(), q.who, in.shown(), a.site(q.r), a.peer(q.r))
	if err != nil {
		return err
	}
	return q.answer(ceremonyRecord{c.State, c.Options})
}

func (a *api) addPasskey(q *call) error {
	var in struct {
		State      string          `json:"state"`
		Name       string          `json:"name"`
		Credential json.RawMessage `json:"credential"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	p, codes, err := a.Auth.AddPasskey(q.ctx(), q.who, in.State, in.Name, in.Credential)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"passkey": passkeyRecordOf(p), "recovery_codes": codes})
}

func (a *api) renamePasskey(q *call) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	id, err := q.number("id")
	if err != nil {
		return err
	}
	name, err := a.Auth.RenamePasskey(q.ctx(), q.who, id, in.Name)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"name": name})
}

func (a *api) removePasskey(q *call) error {
	var in proof
	if err := q.decode(&in); err != nil {
		return err
	}
	id, err := q.number("id")
	if err != nil {
		return err
	}
	if err := a.Auth.RemovePasskey(q.ctx(), q.who, id, in.shown(), a.peer(q.r)); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) makeRecoveryCodes(q *call) error {
	var in proof
	if err := q.decode(&in); err != nil {
		return err
	}
	codes, err := a.Auth.MakeRecoveryCodes(q.ctx(), q.who, in.shown(), a.peer(q.r))
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"recovery_codes": codes})
}

func (a *api) resetFactors(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	if err := a.Auth.ResetFactors(q.ctx(), q.who, cloud.UserID(id)); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
