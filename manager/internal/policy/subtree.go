package policy

import (
	"sync"

	"discordcloud/pkg/cloud"
)

// Subtree is the part of the tree that a principal is confined to: one folder
// and what is below it. It knows no database. It learns which folders lie inside
// from the entries that Check is asked about: an entry whose folder lies inside
// lies inside itself. So whoever is confined has to come down from the top of
// the subtree; what is asked about out of the blue does not exist for him.
//
// A Subtree serves one request, and is safe for concurrent use.
type Subtree struct {
	top cloud.EntryID

	mu     sync.Mutex
	inside map[cloud.EntryID]struct{} // folders
}

// NewSubtree confines to the folder top.
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

// Top is the folder that who begins at: cloud.Root, or that of the subtree.
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
