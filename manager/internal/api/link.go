package api

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/serve"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

// linkRecord is a link as its owner sees it.
type linkRecord struct {
	ID        int64         `json:"id"`
	Entry     linkEntry     `json:"entry"`
	Owner     string        `json:"owner"`
	Mode      meta.LinkMode `json:"mode"`
	Name      string        `json:"name"`
	Path      string        `json:"path"` // on this server: what is given to others
	URL       string        `json:"url"`  // Path below PublicURL, where that is known
	Password  bool          `json:"password"`
	Uses      int64         `json:"uses"`
	MostUses  int64         `json:"most_uses"`
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt *time.Time    `json:"expires_at"`
	UsedAt    *time.Time    `json:"used_at"`
	Ended     bool          `json:"ended"` // over, or used up
}

type linkEntry struct {
	ID   cloud.EntryID `json:"id"`
	Name string        `json:"name"`
	Kind cloud.Kind    `json:"kind"`
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *api) linkRecord(ctx context.Context, rs *records, l meta.Link) (linkRecord, error) {
	e, err := a.FS.Store.Entry(ctx, l.Entry, meta.AnyViewer)
	if err != nil {
		return linkRecord{}, err
	}
	owner, err := rs.owner(ctx, l.User)
	if err != nil {
		return linkRecord{}, err
	}
	r := linkRecord{
		ID: l.ID, Entry: linkEntry{e.ID, e.Name, e.Kind}, Mode: l.Mode, Name: l.Name, Password: l.Password != "",
		Uses: l.Uses, MostUses: l.MostUses, CreatedAt: l.CreatedAt.UTC(), ExpiresAt: optionalTime(l.ExpiresAt), UsedAt: optionalTime(l.UsedAt),
		Ended: !l.ExpiresAt.IsZero() && !time.Now().Before(l.ExpiresAt) || l.MostUses > 0 && l.Uses >= l.MostUses,
	}
	if owner != nil {
		r.Owner = owner.Name
	}
	if l.User != rs.who.User {
		return r, nil // an administrator ends the links of others, and does not open them
	}
	text, err := a.Auth.LinkText(l)
	if err != nil {
		return linkRecord{}, fmt.Errorf("link %d: %w", l.ID, err)
	}
	r.Path = "/s/" + text
	r.URL = strings.TrimRight(a.PublicURL, "/") + r.Path
	return r, nil
}

func (a *api) answerLinks(q *call, all []meta.Link) error {
	rs, out := a.records(q), []linkRecord{}
	for _, l := range all {
		r, err := a.linkRecord(q.ctx(), rs, l)
		if errors.Is(err, cloud.ErrNotFound) {
			continue // its entry is in the trash
		}
		if err != nil {
			return err
		}
		out = append(out, r)
	}
	return q.answer(map[string]any{"links": out})
}

func (a *api) links(q *call) error {
	all, err := a.Auth.Links(q.ctx(), q.who, cloud.Root, q.r.URL.Query().Get("all") == "1")
	if err != nil {
		return err
	}
	return a.answerLinks(q, all)
}

func (a *api) entryLinks(q *call) error {
	all, err := a.Auth.Links(q.ctx(), q.who, q.entry.ID, false)
	if err != nil {
		return err
	}
	return a.answerLinks(q, all)
}

// linkWish reads the terms of a link.
func (q *call) linkWish() (auth.LinkWish, error) {
	var in struct {
		Mode      meta.LinkMode `json:"mode"`
		Name      string        `json:"name"`
		Password  *string       `json:"password"`
		MostUses  int64         `json:"most_uses"`
		ExpiresAt *time.Time    `json:"expires_at"`
	}
	if err := q.decode(&in); err != nil {
		return auth.LinkWish{}, err
	}
	w := auth.LinkWish{Mode: in.Mode, Name: in.Name, Password: in.Password, MostUses: in.MostUses}
	if in.ExpiresAt != nil {
		w.ExpiresAt = in.ExpiresAt.Truncate(time.Microsecond) // as the database keeps it
	}
	return w, nil
}

func (a *api) makeLink(q *call) error {
	w, err := q.linkWish()
	if err != nil {
		return err
	}
	l, err := a.Auth.MakeLink(q.ctx(), q.who, q.entry, w)
	if err != nil {
		return err
	}
	return a.answerLink(q, l)
}

func (a *api) answerLink(q *call, l meta.Link) error {
	r, err := a.linkRecord(q.ctx(), a.records(q), l)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"link": r})
}

func (a *api) changeLink(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	w, err := q.linkWish()
	if err != nil {
		return err
	}
	l, err := a.Auth.ChangeLink(q.ctx(), q.who, id, func(id cloud.EntryID) (cloud.Entry, error) {
		return q.fs.Store.Entry(q.ctx(), id, meta.AnyViewer)
	}, w)
	if err != nil {
		return err
	}
	return a.answerLink(q, l)
}

func (a *api) revokeLink(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	if err := a.Auth.RevokeLink(q.ctx(), q.who, id); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) linkUses(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	uses, err := a.Auth.LinkUses(q.ctx(), q.who, id)
	if err != nil {
		return err
	}
	type useRecord struct {
		At      time.Time     `json:"at"`
		Action  string        `json:"action"`
		Entry   cloud.EntryID `json:"entry"`
		Name    string        `json:"name"`
		Address string        `json:"address"`
		Agent   string        `json:"agent"`
	}
	out := make([]useRecord, 0, len(uses))
	for _, u := range uses {
		out = append(out, useRecord{u.At.UTC(), u.Action, u.Entry, u.Name, u.Address, u.Agent})
	}
	return q.answer(map[string]any{"uses": out})
}

// linkStands tells whether who made the link by which who came may still give it:
// his is the entry, and it is where people see it. It gives the entry.
func (a *api) linkStands(ctx context.Context, who policy.Principal) (cloud.Entry, error) {
	owner := policy.Principal{Role: policy.User, User: who.User}
	e, err := a.FS.EntryFor(ctx, owner, who.Top(), policy.MakeLink)
	switch {
	case errors.Is(err, cloud.ErrNotFound), errors.Is(err, cloud.ErrDenied):
		return cloud.Entry{}, cloud.UserErrorf(cloud.ErrNotFound, "this link does not exist, or it has ended")
	case err != nil:
		return cloud.Entry{}, err
	}
	return e, nil
}

// openLink lets in who has the text of a link.
func (a *api) openShareLink(q *call) error {
	var in struct {
		Link     string `json:"link"`
		Password string `json:"password"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	peer := a.peer(q.r)
	o, err := a.Auth.OpenLink(q.ctx(), in.Link, in.Password, peer)
	if err != nil {
		return err
	}
	e, err := a.linkStands(q.ctx(), o.Who)
	if err != nil {
		return err
	}
	a.Auth.NoteLinkUse(q.ctx(), o.Link.ID, "opened", cloud.Entry{}, peer)
	answer, err := a.openedLink(q, o.Link, o.Owner, o.Who, e)
	if err != nil {
		return err
	}
	answer["token"], answer["expires_at"] = o.Access, o.ExpiresAt.UTC()
	return q.answer(answer)
}

// openedLink is what the holder of a link is told of it.
func (a *api) openedLink(q *call, l meta.Link, owner cloud.User, who policy.Principal, e cloud.Entry) (map[string]any, error) {
	type shown struct {
		Mode     meta.LinkMode `json:"mode"`
		Owner    string        `json:"owner"`
		EndsAt   *time.Time    `json:"ends_at"`
		UsesLeft *int64        `json:"uses_left"` // null for any number
	}
	s := shown{Mode: l.Mode, Owner: owner.Name, EndsAt: optionalTime(l.ExpiresAt)}
	if l.MostUses > 0 {
		left := max(l.MostUses-l.Uses, 0)
		s.UsesLeft = &left
	}
	rs := a.records(q)
	rs.who = who
	record, err := rs.entry(q.ctx(), e)
	if err != nil {
		return nil, err
	}
	return map[string]any{"link": s, "entry": record}, nil
}

// showLink tells who came by a link what it is.
func (a *api) showLink(q *call) error {
	e, err := a.linkStands(q.ctx(), q.who)
	if err != nil {
		return err
	}
	l, owner, err := a.Auth.LinkOf(q.ctx(), q.who)
	if err != nil {
		return err
	}
	answer, err := a.openedLink(q, l, owner, q.who, e)
	if err != nil {
		return err
	}
	return q.answer(answer)
}

// ofLink finds the entry that a link opens.
func ofLink(q *call, do policy.Action) (cloud.Entry, error) {
	if q.who.Within == nil {
		return cloud.Entry{}, policy.Check(q.who, do, &cloud.Entry{})
	}
	return q.fs.EntryFor(q.ctx(), q.who, q.who.Top(), do)
}

// identifyLink lets in who has the text of a link without a password, in the path.
func (a *api) identifyLink(q *call) error {
	_, who, err := a.Auth.PeekLink(q.ctx(), q.r.PathValue("link"))
	if err != nil {
		return err
	}
	q.who = who
	return nil
}

// takeLink sends what a link opens to who asks by its address alone: a program,
// as a rule. To go on with a download is not another one.
func (a *api) takeLink(q *call) error {
	use := func() error {
		if !fresh(q.r) {
			return nil
		}
		return a.Auth.UseLink(q.ctx(), q.who, "downloaded", q.entry, a.peer(q.r))
	}
	q.w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	if q.entry.IsFolder() {
		return a.sendFolder(q, q.entry, q.entry.Name+".zip", nil, use)
	}
	if err := use(); err != nil {
		return err
	}
	return a.sendFile(q, q.entry, false)
}

// fresh tells a request that begins a download from one that goes on with it, or
// only looks.
func fresh(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.Header.Get("Range") == "" || strings.HasPrefix(r.Header.Get("Range"), "bytes=0-"))
}

// countRead counts a content that is sent to who came by a link and shows his
// token. Tickets were counted when they were given.
func (a *api) countRead(q *call) error {
	if q.who.Role != policy.Visitor || q.who.Entry != cloud.Root || !fresh(q.r) {
		return nil
	}
	return a.Auth.UseLink(q.ctx(), q.who, "downloaded", q.entry, a.peer(q.r))
}

// sendStall is how long a sender's next bytes may take.
const sendStall = time.Minute

// sendFileByLink takes a file for the folder of a link. Its name becomes another
// if it is taken: who sends it must not learn what is there, nor replace it.
func (a *api) sendFileByLink(q *call) error {
	if a.Put == nil {
		return cloud.UserErrorf(cloud.ErrUnavailable, "files are not taken here")
	}
	name, err := vfs.CleanName(q.r.URL.Query().Get("name"))
	if err != nil {
		return err
	}
	folder, err := q.fs.PathOf(q.ctx(), q.entry.ID)
	if err != nil {
		return err
	}
	done, err := a.carried(q)
	if err != nil {
		return err
	}
	defer done()
	who, peer := q.who, a.peer(q.r)
	body := serve.NewPacedBody(q.w, q.r, sendStall)
	defer body.Done()
	_, err = a.Put(q.ctx(), who.ForSent(), dispatch.PutRequest{
		Folder: folder, Name: name, Size: q.r.ContentLength, Conflict: meta.ConflictRename, Type: mediaType(q.r), Body: body,
		Ready: func(ctx context.Context) error {
			if _, err := a.linkStands(ctx, who); err != nil {
				return err
			}
			return a.Auth.UseLink(ctx, who, "uploaded", cloud.Entry{Name: name}, peer)
		},
	})
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"name": name})
}

// mediaType is what the sender says of a body, "" if that is nothing.
func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || t == "application/octet-stream" {
		return ""
	}
	return t
}
