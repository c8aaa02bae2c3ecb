// Package peers tells a manager which others share its database, carries news
// between them, and lets one of them at a time do what only one may.
//
// # Why
//
// Who lives is told by a number that each raises, watched by everybody's own clock
// as it passes: clocks that are wrong, or jump, take nothing from anybody. Who has
// been silent for long is removed, which frees its leases. If it was only
// asleep, it finds out with its next beat; and what it would still change under a
// lease is refused in the very transaction, by the lease's epoch.
package peers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Options are what a Group stands on. Zero durations have the defaults given.
type Options struct {
	Store meta.Peers
	Keys  string // a digest of the secrets that all managers must have
	Log   *slog.Logger
	Beat  time.Duration // between two signs of life: 1 s
	Dead  time.Duration // a manager is silent for so long before it is taken for dead: 10 s
}

// Group is a manager among its peers. Its methods are safe for concurrent use.
type Group struct {
	Options
	id string

	mu      sync.Mutex
	others  map[string]sight
	beaten  time.Time // when the last beat that went well was begun
	holding map[*func(error)]struct{}
}

// sight is what was seen of another manager.
type sight struct {
	beat  int64
	since time.Time // of the same beat, in front of beats of our own that all went well
}

// Join makes a manager known to its peers. ErrInvalid, with a text, if they have
// other secrets. Leave has to follow, Run to run beside.
func Join(ctx context.Context, o Options) (*Group, error) {
	o.Beat, o.Dead = cmp.Or(o.Beat, time.Second), cmp.Or(o.Dead, 10*time.Second)
	g := &Group{Options: o, id: rand.Text(), others: map[string]sight{}, holding: map[*func(error)]struct{}{}}
	if o.Store.Sole() {
		return g, nil
	}
	err := g.Store.JoinManagers(ctx, g.id, g.Keys)
	if errors.Is(err, cloud.ErrInvalid) { // of what crashed before its secrets were replaced, a row is left
		if err = errors.Join(err, g.bury(ctx)); errors.Is(err, errBuried) {
			err = g.Store.JoinManagers(ctx, g.id, g.Keys)
		}
	}
	if err != nil {
		return nil, err
	}
	return g, g.beat(ctx)
}

var errBuried = errors.New("dead managers were removed")

// bury removes managers that show no sign of life for as long as it takes to be
// sure: errBuried if there were any.
func (g *Group) bury(ctx context.Context) error {
	before, err := g.Store.Managers(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(g.Dead):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for id, beat := range before {
		removed, failed := g.Store.RemoveManager(ctx, id, beat)
		if failed != nil {
			return failed
		}
		if removed {
			err = errBuried
		}
	}
	return err
}

// ID names the manager; it is random.
func (g *Group) ID() string { return g.id }

// Managers is how many there are, with this one.
func (g *Group) Managers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.others) + 1
}

// Alive tells whether a manager is this one, or one that is there.
func (g *Group) Alive(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.others[id]
	return ok || id == g.id
}

// Run shows that the manager lives, and watches its peers, until ctx ends.
func (g *Group) Run(ctx context.Context) error {
	if g.Store.Sole() {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(g.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.beat(ctx); err != nil && ctx.Err() == nil {
			g.Log.WarnContext(ctx, "no sign of life to other managers", "err", err)
		}
	}
}

// beat is one sign of life.
func (g *Group) beat(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, g.Dead/2)
	defer cancel()
	beats, err := g.Store.Beat(ctx, g.id)
	if errors.Is(err, cloud.ErrNotFound) {
		g.drop(errTaken)
		g.Log.WarnContext(ctx, "other managers took this one for dead", "manager", g.id)
		if err = g.Store.JoinManagers(ctx, g.id, g.Keys); err == nil {
			beats, err = g.Store.Beat(ctx, g.id)
		}
	}
	if err != nil {
		g.miss()
		return err
	}
	for id, beat := range g.watch(beats, began) {
		removed, err := g.Store.RemoveManager(ctx, id, beat)
		if err != nil {
			return err
		}
		if removed {
			g.Log.WarnContext(ctx, "a manager is gone without a word", "manager", id)
		}
	}
	return nil
}

// miss takes notice of a beat that did not go well: while the database is away
// nobody can show that he lives, so that watching begins anew; and leases end
// before others can take them.
func (g *Group) miss() {
	g.mu.Lock()
	clear(g.others)
	late := time.Since(g.beaten) > g.Dead/2
	g.mu.Unlock()
	if late {
		g.drop(fmt.Errorf("%w: no sign of life came through", cloud.ErrUnavailable))
	}
}

// watch remembers beats and gives those of managers that are dead.
func (g *Group) watch(beats map[string]int64, began time.Time) (dead map[string]int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.beaten = began
	now := time.Now()
	seen, dead := map[string]sight{}, map[string]int64{}
	for id, beat := range beats {
		if id == g.id {
			continue
		}
		s, ok := g.others[id]
		if !ok || s.beat != beat {
			s = sight{beat, now}
			if !ok {
				g.Log.Info("another manager uses the database", "manager", id)
			}
		}
		if now.Sub(s.since) >= g.Dead {
			dead[id] = beat
			continue
		}
		seen[id] = s
	}
	g.others = seen
	return dead
}

var (
	errTaken = fmt.Errorf("%w: other managers took this one for dead", cloud.ErrUnavailable)
	// ErrElsewhere is what Lead says when another manager does it.
	ErrElsewhere = fmt.Errorf("%w: another manager does it", cloud.ErrExists)
)

// Again is how long to wait before asking to Lead what another manager does: it may
// go.
const Again = 5 * time.Second

// drop ends all that goes on under leases.
func (g *Group) drop(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for end := range g.holding {
		(*end)(cause)
	}
}

// Lead does what one manager at a time does, under a lease that it keeps from then
// on. ErrElsewhere if another one has it. What do changes with its context is
// refused once another manager has taken over, and the context ends.
func (g *Group) Lead(ctx context.Context, name string, do func(context.Context) error) error {
	if g.Store.Sole() {
		return do(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	end := func(err error) { cancel(err) }
	g.mu.Lock()
	g.holding[&end] = struct{}{}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.holding, &end)
	}()
	lease, err := g.Store.TakeLease(ctx, name, g.id)
	switch {
	case errors.Is(err, cloud.ErrExists):
		return ErrElsewhere
	case err != nil:
		return err
	}
	return do(meta.UnderLease(ctx, lease))
}

// Leave frees what the manager holds, for the others to go on at once.
func (g *Group) Leave(ctx context.Context) error {
	if g.Store.Sole() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.Dead)
	defer cancel()
	_, err := g.Store.RemoveManager(ctx, g.id, -1)
	return err
}

// Debug is the state for administrators.
func (g *Group) Debug() any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return map[string]any{"id": g.id, "managers": len(g.others) + 1, "alone": g.Store.Sole()}
}
