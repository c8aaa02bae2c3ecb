package meta

import (
	"context"
	"errors"
	"sync"
)

// ErrAgain is what calls of a store give, in a kind of their own, when the
// transaction of Together that they belong to begins anew. It is not a fault.
var ErrAgain = errors.New("the transaction begins anew")

// Afterwards runs f when what was changed under ctx is durable: at once, unless ctx
// is that of a Together.
func Afterwards(ctx context.Context, f func()) {
	if e, ok := ctx.Value(effectsKey{}).(*Effects); !ok || !e.add(f) {
		f()
	}
}

type effectsKey struct{}

// Effects are what follows a change that is not durable yet. It is for stores.
type Effects struct {
	mu   sync.Mutex
	over bool
	all  []func()
}

// GatherEffects has Afterwards wait, under the context that it gives, until Run.
func GatherEffects(ctx context.Context) (context.Context, *Effects) {
	e := &Effects{}
	return context.WithValue(ctx, effectsKey{}, e), e
}

func (e *Effects) add(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.all = append(e.all, f)
	}
	return !e.over
}

// Run runs what was gathered, in order.
func (e *Effects) Run() {
	e.mu.Lock()
	all := e.all
	e.all, e.over = nil, true
	e.mu.Unlock()
	for _, f := range all {
		f()
	}
}
