package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"discordcloud/pkg/cloud"
)

// queue is a line in which several changes stand at once: the first one waits
// until the others wait for it.
type queue struct {
	*testing.T
	s    *Store
	line *line
	ctx  []context.Context
	stop []context.CancelFunc
	mu   sync.Mutex
	runs []int     // of each change
	in   []*shared // where each change ran last
}

const queueLength = 6

func newQueue(t *testing.T) *queue {
	c := &queue{T: t, s: openTest(t)}
	c.line = c.s.engine.(*sqliteEngine).line
	c.line.work = time.Minute // however slow the machine is
	for range queueLength {
		ctx, stop := context.WithCancel(t.Context())
		c.ctx, c.stop = append(c.ctx, ctx), append(c.stop, stop)
	}
	return c
}

// until waits for so many to be in line.
func (c *queue) until(n int64) {
	for deadline := time.Now().Add(20 * time.Second); c.line.waiting.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.Errorf("%d wait, want %d", c.line.waiting.Load(), n)
			return
		}
	}
}

// all makes change i, a group of that name, and what odd does beside; it gives
// the errors.
func (c *queue) all(odd func(i int, tx querier) error) []error {
	errs := make([]error, queueLength)
	c.runs, c.in = make([]int, queueLength), make([]*shared, queueLength)
	var all sync.WaitGroup
	first := make(chan struct{})
	change := func(i int) error {
		return c.s.update(c.ctx[i], func(tx querier) error {
			c.mu.Lock()
			c.runs[i]++
			again := c.runs[i] > 1
			c.in[i] = c.line.open
			c.mu.Unlock()
			if i == 0 && !again {
				close(first)
				c.until(queueLength - 1)
			}
			name := fmt.Sprint(i)
			if err := exec(c.ctx[i], tx, `INSERT INTO user_groups (name, name_key, created_at) VALUES (?1, ?1, 0)`, name); err != nil {
				return err
			}
			return odd(i, tx)
		})
	}
	all.Go(func() { errs[0] = change(0) })
	<-first
	for i := 1; i < queueLength; i++ {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("panic: %v", p)
				}
			}()
			errs[i] = change(i)
		})
	}
	all.Wait()
	return errs
}

// made checks which changes are there.
func (c *queue) made(want ...string) {
	c.Helper()
	got, err := rows(c.Context(), c.s.read, scanID[string], `SELECT name FROM user_groups ORDER BY name`)
	if err != nil || !slices.Equal(got, want) {
		c.Errorf("changes %q, %v; want %q", got, err, want)
	}
	if c.line.open != nil || len(c.line.turn) != 0 || c.line.waiting.Load() != 0 {
		c.Errorf("the line is left as %+v", c.line)
	}
}

func nothing(int, querier) error { return nil }

func TestLine(t *testing.T) {
	everything := []string{"0", "1", "2", "3", "4", "5"}
	t.Run("one transaction for all", func(t *testing.T) {
		c := newQueue(t)
		for i, err := range c.all(nothing) {
			if err != nil || c.runs[i] != 1 || (c.in[i] == nil) != (i == 0) || i > 1 && c.in[i] != c.in[1] {
				t.Errorf("change %d: %v, %d runs in %p", i, err, c.runs[i], c.in[i])
			}
		}
		c.made(everything...)
	})
	t.Run("most", func(t *testing.T) {
		c := newQueue(t)
		c.line.most = 2
		for i, err := range c.all(nothing) {
			if err != nil {
				t.Errorf("change %d: %v", i, err)
			}
		}
		shares := map[*shared]int{}
		for _, s := range c.in {
			if s != nil {
				shares[s]++
			}
		}
		for s, n := range shares {
			if n > 1 || s.changes != 2 {
				t.Errorf("%d of %d changes joined", n, s.changes)
			}
		}
		c.made(everything...)
	})
	t.Run("one fails", func(t *testing.T) {
		c := newQueue(t)
		wrong := errors.New("wrong")
		for i, err := range c.all(func(i int, _ querier) error {
			if i == 3 {
				return wrong
			}
			return nil
		}) {
			if (i == 3) != errors.Is(err, wrong) || i != 3 && err != nil || c.runs[i] != 1 {
				t.Errorf("change %d: %v after %d runs", i, err, c.runs[i])
			}
		}
		c.made("0", "1", "2", "4", "5")
	})
	t.Run("the first fails", func(t *testing.T) {
		c := newQueue(t)
		for i, err := range c.all(func(i int, _ querier) error {
			if i == 0 {
				return cloud.ErrDenied
			}
			return nil
		}) {
			if (i == 0) != errors.Is(err, cloud.ErrDenied) {
				t.Errorf("change %d: %v", i, err)
			}
		}
		c.made(everything[1:]...)
	})
	t.Run("one undoes the transaction", func(t *testing.T) {
		c := newQueue(t)
		for i, err := range c.all(func(i int, tx querier) error {
			if i == 3 {
				return errors.Join(exec(c.ctx[i], tx, `ROLLBACK`), cloud.ErrFull)
			}
			return nil
		}) {
			if (i == 3) != errors.Is(err, cloud.ErrFull) {
				t.Errorf("change %d: %v", i, err)
			}
		}
		if c.runs[0] != 2 || c.runs[3] != 1 {
			t.Errorf("runs %v", c.runs)
		}
		c.made("0", "1", "2", "4", "5")
	})
	t.Run("one panics", func(t *testing.T) {
		c := newQueue(t)
		for i, err := range c.all(func(i int, tx querier) error {
			if i == 3 {
				panic("lost")
			}
			return nil
		}) {
			if (i == 3) != (err != nil) {
				t.Errorf("change %d: %v", i, err)
			}
		}
		c.made("0", "1", "2", "4", "5")
	})
	t.Run("COMMIT fails", func(t *testing.T) {
		c := newQueue(t)
		for i, err := range c.all(func(i int, tx querier) error {
			if i != 3 {
				return nil
			}
			return errors.Join(exec(c.ctx[i], tx, `PRAGMA defer_foreign_keys = 1`),
				exec(c.ctx[i], tx, `INSERT INTO group_members (group_id, user_id) VALUES (77, 77)`))
		}) {
			if !errors.Is(err, cloud.ErrNotFound) || c.runs[i] != 1 {
				t.Errorf("change %d: %v after %d runs", i, err, c.runs[i])
			}
		}
		c.made()
		if errs := c.all(nothing); errors.Join(errs...) != nil {
			t.Errorf("afterwards: %v", errs)
		}
	})
	t.Run("some leave", func(t *testing.T) {
		c := newQueue(t)
		errs := c.all(func(i int, _ querier) error {
			if i == 0 {
				c.stop[2]() // in line
				c.until(queueLength - 2)
			}
			if i == 3 {
				c.stop[3]() // at work
			}
			return nil
		})
		for i, err := range errs {
			if gone := i == 2 || i == 3; gone != errors.Is(err, context.Canceled) || !gone && err != nil {
				t.Errorf("change %d: %v", i, err)
			}
		}
		if c.runs[2] != 0 {
			t.Error("who had left made his change")
		}
		c.made("0", "1", "4", "5")
	})
}
