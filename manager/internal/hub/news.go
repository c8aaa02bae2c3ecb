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

// place is a folder, as the entries from the top down to it.
type place []cloud.Entry

func (h *Hub) placeOf(ctx context.Context, folder cloud.EntryID) (place, error) {
	if folder == cloud.Root {
		return nil, nil
	}
	path, err := h.FS.Store.Path(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("path of %d: %w", folder, err)
	}
	return path, nil
}

func (p place) names() []string {
	names := make([]string, len(p))
	for i, e := range p {
		names[i] = e.Name
	}
	return names
}

// pathV1 is the folder's path as a client of version 1 bears it, with the names
// of last behind it; false if it does not.
func (p place) pathV1(last ...string) (string, bool) {
	path := vfs.JoinPath(append(vfs.NamesV1(p), last...))
	return path, packet.ValidPathV1(path)
}

// scene is an entry at one time: where it lay, and what shares gave whom there.
type scene struct {
	entry  cloud.Entry
	at     place
	grants []cloud.Share
}

// view is a scene as a user has it: the entry with what shares give him, and the
// folder as far as he comes down to it, from the top or from what is shared with
// him.
type view struct {
	entry cloud.Entry
	at    place
}

// seenBy is the scene for a client, false if its user does not see the entry or
// has no way to it. Clients of version 1 know no way but the one from the top.
func (s scene) seenBy(c *client) (view, bool) {
	var share *cloud.Share // the best so far
	with := func(e cloud.Entry) cloud.Entry {
		for _, g := range s.grants {
			if g.Entry == e.ID && g.User == c.who.User && (share == nil || g.CanWrite && !share.CanWrite) {
				share = &g
			}
		}
		e.Share = share
		return e
	}
	from := 0
	for i, e := range s.at {
		if !sees(c.who, with(e)) {
			from = i + 1
		}
	}
	v := view{entry: with(s.entry), at: s.at[from:]}
	if from > 0 && (share == nil || c.version == packet.V1) {
		return v, false
	}
	return v, sees(c.who, v.entry)
}

func sees(who policy.Principal, e cloud.Entry) bool {
	return policy.Check(who, policy.SeeEntry, &e) == nil
}

// story is a change with all that telling it takes.
type story struct {
	event.Change
	owner string // name of the entry's owner
	now   scene
	was   *scene // nil if it is or was there all the time, for the same people
}

func (h *Hub) storyOf(ctx context.Context, change event.Change) (*story, error) {
	s := &story{Change: change}
	at, err := h.placeOf(ctx, change.Entry.Parent)
	if err != nil {
		return nil, err
	}
	s.now = scene{change.Entry, at, change.SharedWith}
	if change.Before != nil {
		if change.Before.Parent != change.Entry.Parent {
			if at, err = h.placeOf(ctx, change.Before.Parent); err != nil {
				return nil, err
			}
		}
		s.was = &scene{*change.Before, at, change.SharedBefore}
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
// user: what comes into his sight is something new, what goes from it is gone.
func (s *story) tell(c *client) {
	now, does := s.now.seenBy(c)
	was, did := now, does
	if s.was != nil {
		was, did = s.was.seenBy(c)
	}
	action := s.Action
	switch {
	case did && !does:
		now, action = was, event.Removed
	case !does:
		return
	case !did && (s.Action == event.Moved || c.version >= packet.V2 || now.entry.IsFolder()):
		// Version 1 takes a file that it is given a share of as modified.
		action = event.Added
	}
	switch {
	case c.version >= packet.V2:
		c.send(s.changedV2(c, action, was, now))
	case now.entry.IsFolder():
		s.tellFolderV1(c, action, was, now)
	default:
		s.tellFileV1(c, now.entry, action, now.at)
	}
}

func (s *story) changedV2(c *client, action event.Action, was, now view) packet.EntryChanged {
	p := packet.EntryChanged{Action: string(action), Path: vfs.JoinPath(now.at.names()), Entry: c.entry(now.entry, s.owner)}
	if action == event.Moved {
		if was.entry.Name != now.entry.Name {
			p.OldName = was.entry.Name
		}
		if was.entry.Parent != now.entry.Parent {
			parent := int64(was.entry.Parent)
			p.OldPath, p.OldParent = vfs.JoinPath(was.at.names()), &parent
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
func (s *story) tellFolderV1(c *client, action event.Action, was, now view) {
	send := func(word string, v view, origin string) {
		if path, ok := v.at.pathV1(c.shown(v.entry)); ok {
			c.send(packet.FolderModify{Path: path, Action: word, Handle: c.folderHandle(v.entry), RenameOrigin: origin})
		}
	}
	switch action {
	case event.Added:
		send(packet.FolderAdd, now, "")
	case event.Removed:
		send(packet.FolderDelete, now, "")
	case event.Moved:
		if was.entry.Parent == now.entry.Parent {
			send(packet.FolderRename, now, c.shown(was.entry))
			return
		}
		send(packet.FolderDelete, was, "")
		send(packet.FolderAdd, now, "")
	case event.Changed: // sharing: nothing that version 1 shows
	}
}
