package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// A link is 160 random bits in an address. Who opens it, with its password if it
// has one, gets an access token, by which he is a policy.Visitor or a
// policy.Sender: with each request the link is looked up, so that it ends for
// all when it is changed, revoked or over.

const (
	linkTokenType = "discord-cloud-link+jwt"
	linkAccess    = 12 * time.Hour // of an access token
	infoLinkText  = "discord-cloud/1 share link"
	maxLinks      = 1000 // of one user
	maxLinkName   = 128  // bytes
	minLinkPass   = 4
)

// LinkWish is what somebody wants of a link.
type LinkWish struct {
	Mode      meta.LinkMode
	Name      string    // by which its owner knows it
	Password  *string   // "" for none; nil leaves it as it is
	MostUses  int64     // 0 for no bound
	ExpiresAt time.Time // zero for never
}

// errNoLink is the one answer to a link that never was, has ended or is used up.
func errNoLink() error {
	return cloud.UserErrorf(cloud.ErrNotFound, "this link does not exist, or it has ended")
}

// apply writes a checked wish into a link.
func (s *Service) apply(ctx context.Context, l *meta.Link, w LinkWish, on cloud.Entry) error {
	name := strings.TrimSpace(w.Name)
	switch {
	case w.Mode != meta.LinkView && w.Mode != meta.LinkDownload && w.Mode != meta.LinkUpload:
		return cloud.UserErrorf(cloud.ErrInvalid, "the mode of a link is view, download or upload")
	case w.Mode == meta.LinkUpload && !on.IsFolder():
		return cloud.UserErrorf(cloud.ErrInvalid, "files can be sent to a folder only")
	case len(name) > maxLinkName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return cloud.UserErrorf(cloud.ErrInvalid, "the name of a link has at most %d bytes and no control characters", maxLinkName)
	case w.MostUses < 0:
		return cloud.UserErrorf(cloud.ErrInvalid, "the number of uses is 0, for any number, or more")
	case !w.ExpiresAt.IsZero() && !w.ExpiresAt.After(s.now()):
		return cloud.UserErrorf(cloud.ErrInvalid, "the link would have ended already")
	}
	l.Mode, l.Name, l.MostUses, l.ExpiresAt = w.Mode, name, w.MostUses, w.ExpiresAt
	if w.Password == nil {
		return nil
	}
	if *w.Password == "" {
		l.Password = ""
		return nil
	}
	if n := len(*w.Password); n < minLinkPass || n > MaxPassword {
		return cloud.UserErrorf(cloud.ErrInvalid, "the password of a link has %d to %d bytes", minLinkPass, MaxPassword)
	}
	var err error
	l.Password, err = s.hasher.hash(ctx, *w.Password)
	return err
}

// MakeLink makes a link to an entry, and gives its text.
func (s *Service) MakeLink(ctx context.Context, who policy.Principal, on cloud.Entry, w LinkWish) (meta.Link, error) {
	if err := policy.Check(who, policy.MakeLink, &on); err != nil {
		return meta.Link{}, err
	}
	all, err := s.store.Links(ctx, who.User, cloud.Root)
	if err != nil {
		return meta.Link{}, fmt.Errorf("links: %w", err)
	}
	if len(all) >= maxLinks {
		return meta.Link{}, cloud.UserErrorf(cloud.ErrLimited, "there are %d links already: revoke one", len(all))
	}
	text := newID()
	l := meta.Link{User: who.User, Entry: on.ID, Sealed: s.ring.SealNote(infoLinkText, []byte(text)), CreatedAt: s.now()}
	if err := s.apply(ctx, &l, w, on); err != nil {
		return meta.Link{}, err
	}
	l, err = s.store.CreateLink(ctx, l, sha256.Sum256([]byte(text)))
	if err != nil {
		return meta.Link{}, err
	}
	r := audit.On(who, audit.LinkMade, on.ID, on.Name)
	r.Detail = string(l.Mode)
	s.audit.Add(ctx, r)
	return l, nil
}

// LinkText is the text of a link, for those who may see it.
func (s *Service) LinkText(l meta.Link) (string, error) {
	text, err := s.ring.OpenNote(infoLinkText, l.Sealed)
	return string(text), err
}

// owner is whose links who may work on: administrators end those of everybody.
func linkOwner(who policy.Principal) cloud.UserID {
	if who.Administrator {
		return meta.AnyViewer
	}
	return who.User
}

// Links lists the links of who, to one entry if that is not Root. With all an
// administrator gets everybody's.
func (s *Service) Links(ctx context.Context, who policy.Principal, entry cloud.EntryID, all bool) ([]meta.Link, error) {
	if err := policy.Check(who, policy.ManageLinks, nil); err != nil {
		return nil, err
	}
	of := who.User
	if all {
		of = linkOwner(who)
	}
	return s.store.Links(ctx, of, entry)
}

// ownLink gives a link that who may work on.
func (s *Service) ownLink(ctx context.Context, who policy.Principal, id int64) (meta.Link, error) {
	if err := policy.Check(who, policy.ManageLinks, nil); err != nil {
		return meta.Link{}, err
	}
	l, _, err := s.store.Link(ctx, id)
	if err == nil && l.User != who.User && !who.Administrator {
		err = cloud.ErrNotFound
	}
	if err != nil {
		return meta.Link{}, fmt.Errorf("link %d: %w", id, err)
	}
	return l, nil
}

// LinkUses gives what was done by a link of who, the newest first.
func (s *Service) LinkUses(ctx context.Context, who policy.Principal, id int64) ([]meta.LinkUse, error) {
	if _, err := s.ownLink(ctx, who, id); err != nil {
		return nil, err
	}
	return s.store.LinkUses(ctx, id, meta.MaxLinkUses)
}

// ChangeLink gives a link of who other terms. on is its entry. What is carried by
// it at the moment ends, unless only its name has changed.
func (s *Service) ChangeLink(ctx context.Context, who policy.Principal, id int64, on func(cloud.EntryID) (cloud.Entry, error), w LinkWish) (meta.Link, error) {
	l, err := s.ownLink(ctx, who, id)
	if err != nil {
		return meta.Link{}, err
	}
	before := l
	e, err := on(l.Entry)
	if err != nil {
		return meta.Link{}, err
	}
	if w.ExpiresAt.Equal(l.ExpiresAt) && !w.ExpiresAt.IsZero() && !w.ExpiresAt.After(s.now()) {
		return meta.Link{}, cloud.UserErrorf(cloud.ErrInvalid, "the link has ended: give it a later end")
	}
	if err := s.apply(ctx, &l, w, e); err != nil {
		return meta.Link{}, err
	}
	if err := s.store.ChangeLink(ctx, l); err != nil {
		return meta.Link{}, err
	}
	r := audit.On(who, audit.LinkChanged, e.ID, e.Name)
	r.Detail = string(l.Mode)
	s.audit.Add(ctx, r)
	if l.Mode != before.Mode || l.Password != before.Password || !l.ExpiresAt.Equal(before.ExpiresAt) {
		s.publishEnd(l.User, "this link was changed", linkSession(before))
	}
	return l, nil
}

// RevokeLink ends a link of who, and what it carries at the moment.
func (s *Service) RevokeLink(ctx context.Context, who policy.Principal, id int64) error {
	l, err := s.ownLink(ctx, who, id)
	if err != nil {
		return err
	}
	if err := s.store.DeleteLink(ctx, l.User, id); err != nil {
		return err
	}
	s.audit.Add(ctx, audit.On(who, audit.LinkRevoked, l.Entry, l.Name))
	s.publishEnd(l.User, "this link was revoked", linkSession(l))
	return nil
}

// linkSession is what stands for a session in a Principal that came by a link.
// It ends with the link, and with its password and mode.
func linkSession(l meta.Link) string {
	sum := sha256.Sum256([]byte(string(l.Mode) + "\x00" + l.Password))
	return "link " + strconv.FormatInt(l.ID, 10) + " " + hex.EncodeToString(sum[:8])
}

// Opened is a link that somebody has opened.
type Opened struct {
	Link      meta.Link
	Access    string // token
	ExpiresAt time.Time
	Who       policy.Principal
	Owner     cloud.User
}

// OpenLink lets in who has the text of a link, and its password. ErrNotFound if
// there is no such link (any more), ErrUnauthenticated if it has a password and
// this is not it, ErrLimited after too many wrong ones.
func (s *Service) OpenLink(ctx context.Context, text, password string, peer Peer) (Opened, error) {
	l, owner, err := s.findLink(ctx, text)
	if err != nil {
		return Opened{}, err
	}
	if l.Password != "" {
		if err := s.proveLink(ctx, l, password, peer); err != nil {
			return Opened{}, err
		}
	}
	now := s.now()
	o := Opened{Link: l, Owner: owner, ExpiresAt: now.Add(linkAccess), Who: visitorOf(l, owner)}
	if !l.ExpiresAt.IsZero() && l.ExpiresAt.Before(o.ExpiresAt) {
		o.ExpiresAt = l.ExpiresAt
	}
	_, stamp, _ := strings.Cut(strings.TrimPrefix(o.Who.Session, "link "), " ")
	o.Access, err = s.linkSigner.sign(cloud.UserID(l.ID), stamp, now, o.ExpiresAt)
	return o, err
}

// PeekLink is a link without a password, for what a browser or a program asks for
// by the link's address alone.
func (s *Service) PeekLink(ctx context.Context, text string) (meta.Link, policy.Principal, error) {
	l, owner, err := s.findLink(ctx, text)
	if err == nil && l.Password != "" {
		err = cloud.UserErrorf(cloud.ErrUnauthenticated, "this link has a password")
	}
	if err != nil {
		return meta.Link{}, policy.Principal{}, err
	}
	return l, visitorOf(l, owner), nil
}

func (s *Service) findLink(ctx context.Context, text string) (meta.Link, cloud.User, error) {
	if len(text) != len(newID()) {
		return meta.Link{}, cloud.User{}, errNoLink()
	}
	l, owner, err := s.store.LinkOf(ctx, sha256.Sum256([]byte(text)))
	if errors.Is(err, cloud.ErrNotFound) || err == nil && (s.over(l) || l.MostUses > 0 && l.Uses >= l.MostUses) {
		return meta.Link{}, cloud.User{}, errNoLink()
	}
	return l, owner, err
}

func (s *Service) over(l meta.Link) bool {
	return !l.ExpiresAt.IsZero() && !s.now().Before(l.ExpiresAt)
}

// proveLink checks a password within the limits.
func (s *Service) proveLink(ctx context.Context, l meta.Link, password string, peer Peer) error {
	if password == "" {
		return cloud.UserErrorf(cloud.ErrUnauthenticated, "this link has a password")
	}
	try, err := s.limits.login("link "+strconv.FormatInt(l.ID, 10), peer, s.now())
	if err != nil {
		return err
	}
	if len(password) <= MaxPassword {
		ok, _, err := s.hasher.verify(ctx, l.Password, password)
		if err != nil {
			try.undo()
			return fmt.Errorf("check password of link: %w", err)
		}
		if ok {
			try.right(s.now())
			return nil
		}
	}
	s.NoteLinkUse(ctx, l.ID, "refused", cloud.Entry{}, peer)
	return cloud.UserErrorf(cloud.ErrUnauthenticated, "that is not the password of this link")
}

// visitorOf is who came by a link.
func visitorOf(l meta.Link, owner cloud.User) policy.Principal {
	who := policy.Principal{
		Role: policy.Visitor, User: owner.ID, Session: linkSession(l),
		NoPreviews: l.Mode == meta.LinkDownload, Within: policy.NewSubtree(l.Entry),
	}
	if l.Mode == meta.LinkUpload {
		who.Role = policy.Sender
	}
	return who
}

// verifyLink tells who holds an access token.
func (s *Service) verifyLink(ctx context.Context, token string) (policy.Principal, error) {
	id, stamp, err := s.linkSigner.verify(token, s.now())
	if err != nil {
		return policy.Principal{}, err
	}
	return s.visitor(ctx, "link "+strconv.FormatInt(int64(id), 10)+" "+stamp)
}

// visitor is who came by the link of a linkSession, as long as that is open.
func (s *Service) visitor(ctx context.Context, session string) (policy.Principal, error) {
	l, owner, err := s.store.Link(ctx, linkID(session))
	if errors.Is(err, cloud.ErrNotFound) || err == nil && (s.over(l) || linkSession(l) != session) {
		return policy.Principal{}, fmt.Errorf("link has ended: %w", cloud.ErrUnauthenticated)
	}
	if err != nil {
		return policy.Principal{}, fmt.Errorf("load link: %w", err)
	}
	return visitorOf(l, owner), nil
}

// linkID is the id in a linkSession, 0 if it is none.
func linkID(session string) int64 {
	rest, ok := strings.CutPrefix(session, "link ")
	if !ok {
		return 0
	}
	number, _, _ := strings.Cut(rest, " ")
	id, _ := strconv.ParseInt(number, 10, 64) // ours
	return id
}

// LinkOf is the link by which who came, with its maker. ErrNotFound if he did not.
func (s *Service) LinkOf(ctx context.Context, who policy.Principal) (meta.Link, cloud.User, error) {
	return s.store.Link(ctx, linkID(who.Session))
}

// UseLink counts a download, or a file that was sent, of who came by a link.
// Others are not counted. ErrNotFound if no use is left.
func (s *Service) UseLink(ctx context.Context, who policy.Principal, action string, e cloud.Entry, peer Peer) error {
	id := linkID(who.Session)
	if id == 0 {
		return nil
	}
	err := s.store.UseLink(ctx, id, s.now())
	if errors.Is(err, cloud.ErrLimited) || errors.Is(err, cloud.ErrNotFound) {
		return errNoLink()
	}
	if err == nil {
		s.NoteLinkUse(ctx, id, action, e, peer)
	}
	return err
}

// NoteLinkUse remembers for a link's owner what was done by it.
func (s *Service) NoteLinkUse(ctx context.Context, id int64, action string, e cloud.Entry, peer Peer) {
	use := meta.LinkUse{At: s.now(), Action: action, Entry: e.ID, Name: e.Name, Agent: shortAgent(peer.Agent)}
	if peer.Address.IsValid() {
		use.Address = peer.Address.Unmap().String()
	}
	if err := s.store.AddLinkUse(ctx, id, use); err != nil && ctx.Err() == nil {
		// It was done all the same.
		s.log.WarnContext(ctx, "use of a link not noted", "link", id, "err", err)
	}
}
