// Package event carries what changed in the manager to whoever shows it: one
// bus in the process, told after a change is durable. To those of other managers
// it goes by package peers.
package event

import (
	"sync"

	"discordcloud/pkg/cloud"
)

// Action is what happened to an entry.
type Action string

// What can happen to an entry.
const (
	Added   Action = "added"
	Changed Action = "changed" // content, sharing, thumbnail
	Moved   Action = "moved"   // name, folder, or both
	Removed Action = "removed" // with all below it
)

// Change is one change of one entry.
type Change struct {
	Action Action
	Entry  cloud.Entry // after the change; as it was if it is gone
	Path   []string    // folder of the entry, after the change
	// SharedWith is what shares give users at the entry, its own and those of
	// the folders above it (meta.Tree's Grants): Entry.Share is nil in a Change,
	// since it is told to many.
	SharedWith []cloud.Share
	// Before is the entry as it was, with what shares gave at the time in
	// SharedBefore: of Moved, and of Changed where a change of sharing may hide it
	// from some or show it to others; else nil.
	Before       *cloud.Entry
	SharedBefore []cloud.Share
}

// Session tells that sessions of a user have ended.
type Session struct {
	User   cloud.UserID
	IDs    []string // empty for all of the user's
	Reason string   // fit to be shown
}

// Upload tells that a manager works on an upload from now on: others that do let
// it go.
type Upload struct {
	ID      cloud.UploadID
	Manager string
}

// Bus hands each value to every subscriber, in order. The zero Bus is ready.
type Bus struct {
	mu   sync.Mutex
	ends int64 // of sessions, which were told
	next int
	subs map[int]func(any)
	far  func(any) // the bridge's, nil without one
}

// Subscribe has f called with each *Change, *Session and *Upload until cancel is called.
// f must not block and must not call the bus.
func (b *Bus) Subscribe(f func(any)) (cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = map[int]func(any){}
	}
	id := b.next
	b.next++
	b.subs[id] = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, id)
	}
}

// Ends is how many ends of sessions all were told of. Whoever subscribes, and finds
// the number that it was before he looked a session up, has missed no end of it.
func (b *Bus) Ends() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ends
}

// tell tells all subscribers. The caller holds mu.
func (b *Bus) tell(v any) {
	if _, ok := v.(*Session); ok {
		b.ends++
	}
	for _, f := range b.subs {
		f(v)
	}
}

// Publish tells all subscribers, and those of other managers.
func (b *Bus) Publish(v any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(v)
	if b.far != nil {
		b.far(v)
	}
}

// Deliver tells all subscribers what another manager published.
func (b *Bus) Deliver(v any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(v)
}

// Forward has f called with what is published here, until cancel is called, on the
// terms of Subscribe.
func (b *Bus) Forward(f func(any)) (cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.far = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.far = nil
	}
}
