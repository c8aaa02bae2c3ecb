package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// maxNews is how many changes may wait to be told. What comes on top is lost:
// clients see it when they look again.
const maxNews = 1 << 16

// news is the queue of changes that are to be told.
type news struct {
	wake chan struct{} // of one
	mu   sync.Mutex
	list []event.Change
	lost int64
}

func newNews() *news { return &news{wake: make(chan struct{}, 1)} }

func (n *news) add(c event.Change) {
	n.mu.Lock()
	if len(n.list) < maxNews {
		n.list = append(n.list, c)
	} else {
		n.lost++
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (n *news) take() []event.Change {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

func (n *news) len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.list)
}

func (n *news) lostSoFar() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

// tellNews tells clients what changes, in order, until ctx ends.
func (h *Hub) tellNews(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.news.wake:
		}
		for _, change := range h.news.take() {
			clients := h.connected()
			if len(clients) == 0 {
				continue
			}
			s, err := h.storyOf(ctx, change)
			if err != nil {
				if ctx.Err() == nil {
					h.Log.WarnContext(ctx, "change not told", "entry", change.Entry.ID, "err", err)
				}
				continue
			}
			for _, c := range clients {
				s.tell(c)
			}
		}
	}
}

// place is a folder with what decides who sees what is in it.
type place struct {
	path []cloud.Entry // from the top
	// hidden are the folders on the way that are not public, with their shares.
	hidden map[cloud.EntryID][]cloud.Share
}

func (h *Hub) placeOf(ctx context.Context, folder cloud.EntryID) (place, error) {
	var p place
	if folder == cloud.Root {
		return p, nil
	}
	var err error
	if p.path, err = h.FS.Store.Path(ctx, folder); err != nil {
		return place{}, fmt.Errorf("path of %d: %w", folder, err)
	}
	for _, e := range p.path {
		if e.Public || e.Owner == 0 {
			continue
		}
		if p.hidden == nil {
			p.hidden = map[cloud.EntryID][]cloud.Share{}
		}
		if p.hidden[e.ID], err = h.FS.Store.Shares(ctx, e.ID); err != nil {
			return place{}, fmt.Errorf("shares of %d: %w", e.ID, err)
		}
	}
	return p, nil
}

// seenBy tells whether a user sees the whole way.
func (p place) seenBy(who policy.Principal) bool {
	if p.hidden == nil {
		return true
	}
	for _, e := range p.path {
		if !sees(who, withShare(e, p.hidden[e.ID], who.User)) {
			return false
		}
	}
	return true
}

// withShare is e as read for a user.
func withShare(e cloud.Entry, shares []cloud.Share, user cloud.UserID) cloud.Entry {
	e.Share = nil
	for _, s := range shares {
		if s.User == user {
			e.Share = &s
		}
	}
	return e
}

func sees(who policy.Principal, e cloud.Entry) bool {
	return policy.Check(who, policy.SeeEntry, &e) == nil
}

func (p place) names() []string {
	names := make([]string, len(p.path))
	for i, e := range p.path {
		names[i] = e.Name
	}
	return names
}

// pathV1 is the folder's path as a client of version 1 bears it, with the names
// of last behind it; false if it does not.
func (p place) pathV1(last ...string) (string, bool) {
	path := vfs.JoinPath(append(vfs.NamesV1(p.path), last...))
	return path, packet.ValidPathV1(path)
}

// story is a change with all that telling it takes.
type story struct {
	event.Change
	owner string // name of the entry's owner
	at    place  // folder of the entry
	from  place  // folder that it was in before, of moves
}

func (h *Hub) storyOf(ctx context.Context, change event.Change) (*story, error) {
	s := &story{Change: change}
	var err error
	if s.at, err = h.placeOf(ctx, change.Entry.Parent); err != nil {
		return nil, err
	}
	s.from = s.at
	if change.Action == event.Moved && change.OldParent != change.Entry.Parent {
		if s.from, err = h.placeOf(ctx, change.OldParent); err != nil {
			return nil, err
		}
	}
	if change.Entry.Owner != 0 {
		u, err := h.FS.Store.User(ctx, change.Entry.Owner)
		if err != nil && !errors.Is(err, cloud.ErrNotFound) {
			return nil, fmt.Errorf("owner of %d: %w", change.Entry.ID, err)
		}
		if s.owner = u.Name; s.owner == "" {
			s.owner = "?" // gone; the wire wants a name
		}
	}
	return s, nil
}

// tell tells a client, in the words of its version, what the change is to its
// user: a move from where he sees nothing is something new, a move to there the
// end of it.
func (s *story) tell(c *client) {
	e := withShare(s.Entry, s.SharedWith, c.who.User)
	action := s.Action
	if s.Before != nil {
		before := withShare(*s.Before, s.SharedBefore, c.who.User)
		switch did, does := sees(c.who, before), sees(c.who, e); {
		case did && !does:
			e, action = before, event.Removed
		case does && !did && (c.version >= packet.V2 || e.IsFolder()):
			// Version 1 takes a file that it is given a share of as modified.
			action = event.Added
		}
	}
	if !sees(c.who, e) {
		return
	}
	at, from := s.at.seenBy(c.who), s.from.seenBy(c.who)
	if action == event.Moved {
		switch {
		case !from:
			action = event.Added
		case !at:
			action = event.Removed
			e.Name, e.Parent = s.OldName, s.OldParent
			at = true
		}
	}
	where := s.at
	if action == event.Removed && s.Action == event.Moved {
		where = s.from
	}
	switch {
	case !at:
	case c.version >= packet.V2:
		c.send(s.changedV2(c, e, action, where))
	case e.IsFolder():
		s.tellFolderV1(c, e, action, where)
	default:
		s.tellFileV1(c, e, action, where)
	}
}

func (s *story) changedV2(c *client, e cloud.Entry, action event.Action, where place) packet.EntryChanged {
	p := packet.EntryChanged{Action: string(action), Path: vfs.JoinPath(where.names()), Entry: c.entry(e, s.owner)}
	if action == event.Moved {
		if s.OldName != e.Name {
			p.OldName = s.OldName
		}
		if s.OldParent != e.Parent {
			parent := int64(s.OldParent)
			p.OldPath, p.OldParent = vfs.JoinPath(s.from.names()), &parent
		}
	}
	return p
}

func (s *story) tellFileV1(c *client, e cloud.Entry, action event.Action, where place) {
	path, ok := where.pathV1()
	if !ok {
		return
	}
	word := packet.FileChange
	switch action {
	case event.Added:
		word = packet.FileAdd
	case event.Removed:
		word = packet.FileDelete
	case event.Changed, event.Moved:
	}
	c.send(packet.FileModify{Path: path, Action: word, Handle: c.fileHandle(e)})
}

// tellFolderV1 tells of a folder. What moves elsewhere is deleted and added:
// clients of version 1 take a move for a reason to go to the top.
func (s *story) tellFolderV1(c *client, e cloud.Entry, action event.Action, where place) {
	send := func(word string, e cloud.Entry, where place, origin string) {
		if path, ok := where.pathV1(c.shown(e)); ok {
			c.send(packet.FolderModify{Path: path, Action: word, Handle: c.folderHandle(e), RenameOrigin: origin})
		}
	}
	before := e
	before.Name, before.Parent = s.OldName, s.OldParent
	switch action {
	case event.Added:
		send(packet.FolderAdd, e, where, "")
	case event.Removed:
		send(packet.FolderDelete, e, where, "")
	case event.Moved:
		if before.Parent == e.Parent {
			send(packet.FolderRename, e, where, c.shown(before))
			return
		}
		send(packet.FolderDelete, before, s.from, "")
		send(packet.FolderAdd, e, where, "")
	case event.Changed: // sharing: nothing that version 1 shows
	}
}
