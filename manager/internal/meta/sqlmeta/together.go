package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/restsql"
)

// scope is the one transaction of all calls below a Together.
type scope struct {
	mu sync.Mutex
	on *scoped // nil when it is over
}

// scoped is where the calls of a scope go.
type scoped struct {
	q      querier
	change func(ctx context.Context, alone bool, f func() error) error // runs a part that changes something
}

type scopeKey struct{}

// scopeOf gives the transaction that a call belongs to, nil for one of its own. Who
// goes on with the context after the transaction has ended has his own, too.
func scopeOf(ctx context.Context) *scoped {
	if sc, ok := ctx.Value(scopeKey{}).(*scope); ok {
		sc.mu.Lock()
		defer sc.mu.Unlock()
		return sc.on
	}
	return nil
}

// run runs f with calls on a transaction.
func (sc *scope) run(ctx context.Context, on *scoped, f func(context.Context) error) error {
	sc.set(on)
	defer sc.set(nil)
	return f(context.WithValue(ctx, scopeKey{}, sc))
}

func (sc *scope) set(on *scoped) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.on = on
}

// part gives the error of a call of a scope a kind.
func (s *Store) part(ctx context.Context, err error) error {
	if err = s.classify(ctx, err); errors.Is(err, restsql.ErrChanged) {
		err = fmt.Errorf("%w: %w", meta.ErrAgain, err)
	}
	return err
}

// Together implements meta.Store.
func (s *Store) Together(ctx context.Context, kind string, f func(ctx context.Context) error) error {
	e, ok := s.engine.(joiner)
	if !ok || scopeOf(ctx) != nil {
		return f(ctx)
	}
	var effects *meta.Effects
	err := s.enter(ctx, func() error {
		return e.together(ctx, kind, func(ctx context.Context) error {
			ctx, effects = meta.GatherEffects(ctx)
			return f(ctx)
		})
	})
	if err == nil {
		effects.Run()
	}
	return err
}

// joiner is an engine for which one transaction is cheaper than many.
type joiner interface {
	// together runs f, whose calls are one transaction under the context that it gets.
	// What those of a kind ask for is alike. It is made when f has returned nil, and undone otherwise; f may be called again.
	together(ctx context.Context, kind string, f func(ctx context.Context) error) error
}

// foreseer is an engine that saves a question if it is told what the answer may be.
type foreseer interface {
	// foresee says that a query is likely to give one row of these values, or none.
	foresee(query string, args []any, row ...any)
}

func (s *Store) foresee(query string, args []any, row ...any) {
	if e, ok := s.engine.(foreseer); ok {
		e.foresee(query, args, row...)
	}
}
