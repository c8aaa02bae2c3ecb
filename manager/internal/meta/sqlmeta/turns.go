package sqlmeta

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// postgresWriters is how many transactions of one engine write at a time, one of
// them alone.
const postgresWriters = 4

// turns are those of an engine's transactions that write to PostgreSQL. Each has a
// row in the table commits, which is its writer's, and a number to leave there, by
// which a COMMIT that got no answer is found out about.
type turns struct {
	process string        // a name that no other process has
	alone   chan struct{} // holds one token: in line here, nobody in line holds a connection
	slots   chan int      // of writers beside
	number  atomic.Int64  // of the last transaction

	mu       sync.Mutex
	forsaken [postgresWriters]int // how many names of each slot
}

func newTurns() *turns {
	t := &turns{process: rand.Text(), alone: make(chan struct{}, 1), slots: make(chan int, postgresWriters)}
	for slot := range postgresWriters - 1 {
		t.slots <- slot + 1
	}
	return t
}

// take waits until a transaction may begin; done lets the next one begin.
func (t *turns) take(ctx context.Context, alone bool) (writer string, number int64, done func(), err error) {
	slot := 0
	if alone {
		select {
		case t.alone <- struct{}{}:
			done = func() { <-t.alone }
		case <-ctx.Done():
			return "", 0, nil, ctx.Err()
		}
	} else {
		select {
		case slot = <-t.slots:
			done = func() { t.slots <- slot }
		case <-ctx.Done():
			return "", 0, nil, ctx.Err()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%s/%d", t.process, slot+postgresWriters*t.forsaken[slot]), t.number.Add(1), done, nil
}

// forsake has nobody use a writer's name any more: its row has still to tell what
// became of its last transaction, and the next one is not to wait for that.
func (t *turns) forsake(writer string) {
	n, err := strconv.Atoi(writer[strings.LastIndexByte(writer, '/')+1:])
	if err != nil {
		panic(fmt.Sprintf("sqlmeta: %q is no writer's name", writer))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forsaken[n%postgresWriters]++
}

// forgetWriters removes what processes that ended long ago have left of their
// commits.
func forgetWriters(ctx context.Context, q querier, now time.Time) error {
	return exec(ctx, q, `DELETE FROM commits WHERE at < ? AND writer <> ?`, now.Add(-24*time.Hour).UnixMicro(), restoring)
}
