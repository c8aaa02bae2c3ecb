package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// shareRecord is a share: of user and group just one is set.
type shareRecord struct {
	User     *packet.Owner `json:"user,omitempty"`
	Group    *groupRecord  `json:"group,omitempty"`
	CanWrite bool          `json:"can_write"`
	SharedAt string        `json:"shared_at"`
	// From is the folder that an inherited share is of, as far as the asker sees it.
	From *pathRecord `json:"from,omitempty"`
}

// share writes a share, nil for one whose group went a moment ago.
func (rs *records) share(ctx context.Context, s cloud.Share) (*shareRecord, error) {
	r := &shareRecord{CanWrite: s.CanWrite, SharedAt: stamp(s.SharedAt)}
	if s.Group == 0 {
		var err error
		r.User, err = rs.owner(ctx, s.User)
		return r, err
	}
	g, err := rs.a.FS.Store.Group(ctx, s.Group)
	if errors.Is(err, cloud.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("group %d: %w", s.Group, err)
	}
	r.Group = &groupRecord{g.ID, g.Name}
	return r, nil
}

func (rs *records) shares(ctx context.Context, shares []cloud.Share) ([]*shareRecord, error) {
	out := make([]*shareRecord, 0, len(shares))
	for _, s := range shares {
		r, err := rs.share(ctx, s)
		if err != nil {
			return nil, err
		}
		if r != nil {
			out = append(out, r)
		}
	}
	return out, nil
}

// sharing is who gets at an entry.
type sharing struct {
	own   []cloud.Share // of the entry itself
	above []cloud.Share // of folders above it: each user once, with the best
	path  []cloud.Entry
}

func (a *api) sharing(q *call) (s sharing, err error) {
	id := q.entry.ID
	if s.own, err = q.fs.Shares(q.ctx(), q.who, id); err != nil {
		return s, err
	}
	if s.path, err = q.fs.Path(q.ctx(), q.who, id); err != nil {
		return s, err
	}
	grants, err := q.fs.Store.Grants(q.ctx(), id)
	if err != nil {
		return s, err
	}
	best := map[cloud.UserID]int{} // place in above
	for _, g := range grants {
		if g.Entry == id || g.User == q.who.User {
			continue
		}
		g.Group = 0
		if i, there := best[g.User]; !there {
			best[g.User] = len(s.above)
			s.above = append(s.above, g)
		} else if g.CanWrite && !s.above[i].CanWrite {
			s.above[i] = g
		}
	}
	return s, nil
}

// answerSharing tells the owner of an entry everybody who gets at it.
func (a *api) answerSharing(q *call, s sharing) error {
	rs := a.records(q)
	shares, err := rs.shares(q.ctx(), s.own)
	if err != nil {
		return err
	}
	inherited, err := rs.shares(q.ctx(), s.above)
	if err != nil {
		return err
	}
	seen := map[cloud.EntryID]*pathRecord{}
	for _, e := range s.path {
		seen[e.ID] = &pathRecord{e.ID, e.Name}
	}
	for i, r := range inherited { // of users all, so that none was left out
		r.From = seen[s.above[i].Entry]
	}
	return q.answer(map[string]any{"shares": shares, "inherited": inherited})
}

func (a *api) shares(q *call) error {
	s, err := a.sharing(q)
	if err != nil {
		return err
	}
	return a.answerSharing(q, s)
}

// grantee is whom the route's path names: {kind} is users or groups, {of} is his id.
func (q *call) grantee() (vfs.Grantee, error) {
	id, err := q.number("of")
	if err != nil {
		return vfs.Grantee{}, err
	}
	switch q.r.PathValue("kind") {
	case "users":
		return vfs.Grantee{User: cloud.UserID(id)}, nil
	case "groups":
		return vfs.Grantee{Group: cloud.GroupID(id)}, nil
	}
	return vfs.Grantee{}, cloud.UserErrorf(cloud.ErrNotFound, "there are shares with users and with groups")
}

func (a *api) share(q *call) error {
	var in struct {
		CanWrite bool `json:"can_write"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	with, err := q.grantee()
	if err != nil {
		return err
	}
	s, err := a.sharing(q) // first: to ask for what one has changed may cost a round trip
	if err != nil {
		return err
	}
	share, err := q.fs.Share(q.ctx(), q.who, q.entry.ID, with, in.CanWrite)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.own, func(o cloud.Share) bool { return o.User == share.User && o.Group == share.Group })
	if i < 0 {
		s.own = append(s.own, share)
		slices.SortFunc(s.own, func(a, b cloud.Share) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.User, b.User)) })
	} else {
		s.own[i] = share
	}
	return a.answerSharing(q, s)
}

func (a *api) unshare(q *call) error {
	with, err := q.grantee()
	if err != nil {
		return err
	}
	was, err := q.fs.Unshare(q.ctx(), q.who, q.entry.ID, with)
	if err == nil && !was {
		err = cloud.UserErrorf(cloud.ErrNotFound, "there is no such share")
	}
	if err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) transfer(q *call) error {
	var in struct {
		User       cloud.UserID `json:"user"`
		Deep       bool         `json:"deep"`
		DropShares bool         `json:"drop_shares"`
		Keep       bool         `json:"keep"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	e, err := q.fs.SetOwner(q.ctx(), q.who, q.entry.ID, in.User, meta.Transfer{DropShares: in.DropShares, Keep: in.Keep, Deep: in.Deep})
	if err != nil {
		return err
	}
	if policy.Check(q.who, policy.SeeEntry, &e) != nil {
		return q.answer(map[string]any{"entry": nil}) // it is not his to see any more
	}
	record, err := a.records(q).entry(q.ctx(), e)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"entry": record})
}

// page reads the limit and the cursor of a list.
func (q *call) page() (limit int, after string, err error) {
	v := q.r.URL.Query()
	limit = 100
	if s := v.Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > 1000 {
			return 0, "", cloud.UserErrorf(cloud.ErrInvalid, "limit is not a number from 1 to 1000")
		}
	}
	return limit, v.Get("after"), nil
}

// sharedEntry is an entry with its shares: what who owns it gives, or what it
// gives to who asks.
type sharedEntry struct {
	packet.Entry
	SharedAt string         `json:"shared_at,omitempty"`
	Shares   []*shareRecord `json:"shares,omitempty"`
}

func (a *api) sharedWithMe(q *call) error {
	return a.shared(q, q.fs.SharedWithMe, func(_ *records, e cloud.Entry, r *sharedEntry) error {
		if e.Share != nil {
			r.SharedAt = stamp(e.Share.SharedAt)
		}
		return nil
	})
}

func (a *api) sharedByMe(q *call) error {
	return a.shared(q, q.fs.SharedByMe, func(rs *records, e cloud.Entry, r *sharedEntry) error {
		own, err := q.fs.Shares(q.ctx(), q.who, e.ID)
		if errors.Is(err, cloud.ErrNotFound) {
			return nil // it went a moment ago
		}
		if err != nil {
			return err
		}
		r.Shares, err = rs.shares(q.ctx(), own)
		return err
	})
}

func (a *api) shared(q *call, list func(context.Context, policy.Principal, int, string) (meta.Page, error),
	add func(*records, cloud.Entry, *sharedEntry) error) error {
	limit, after, err := q.page()
	if err != nil {
		return err
	}
	page, err := list(q.ctx(), q.who, limit, after)
	if err != nil {
		return err
	}
	rs := a.records(q)
	entries := make([]sharedEntry, 0, len(page.Entries))
	for _, e := range page.Entries {
		record, err := rs.entry(q.ctx(), e)
		if err != nil {
			return err
		}
		r := sharedEntry{Entry: record}
		if err := add(rs, e, &r); err != nil {
			return err
		}
		entries = append(entries, r)
	}
	return q.answer(map[string]any{"entries": entries, "next": page.Next})
}
