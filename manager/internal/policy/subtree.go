package policy

import (
	"sync"

	"discordcloud/pkg/cloud"
)

// Subtree is the part of the tree that a principal is confined to: one entry, a
// folder as a rule, and what is below it. It knows no database. It learns which folders lie inside
// from the entries that Check is asked about: an entry whose folder lies inside
// lies inside itself. So whoever is confined has to come down from the top of
// the subtree, or to be brought there by Reach; else it does not exist for him.
//
// A Subtree serves one request, and is safe for concurrent use.
type Subtree struct {
	top cloud.EntryID

	mu     sync.Mutex
	inside map[cloud.EntryID]struct{} // folders
}

// NewSubtree confines to top and what is below it.
func NewSubtree(top cloud.EntryID) *Subtree {
	return &Subtree{top: top, inside: map[cloud.EntryID]struct{}{top: {}}}
}

// holds tells whether e lies inside, as far as is known.
func (s *Subtree) holds(e cloud.Entry) bool {
	if e.ID == s.top {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.inside[e.Parent]; !ok {
		return false
	}
	if e.IsFolder() {
		s.inside[e.ID] = struct{}{}
	}
	return true
}

// Reach tells a subtree the way from the top of the tree down to an entry, so that
// it knows whether what is asked about out of the blue lies inside.
func (s *Subtree) Reach(path []cloud.Entry) {
	for _, e := range path {
		s.holds(e)
	}
}

// Top is the entry that who begins at: cloud.Root, or the top of the subtree.
func (who Principal) Top() cloud.EntryID {
	if who.Within == nil {
		return cloud.Root
	}
	return who.Within.top
}

// Unbound is who without the bounds of a subtree: for what is known to lie below
// an entry that was checked, and for the way down to the subtree.
func (who Principal) Unbound() Principal {
	who.Within = nil
	return who
}

// ForSent is in whose name the file of a Sender is stored: the link's maker, no
// further than the link's folder.
func (who Principal) ForSent() Principal {
	if who.Role == Sender {
		who.Role = AppPassword
	}
	return who
}
