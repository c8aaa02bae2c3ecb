package upload

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/pkg/cloud"
)

func TestRoomFor(t *testing.T) {
	classes := map[int64]bool{}
	for _, n := range []int64{0, 1, block - 1, block, block + 1, 1 << 20, 1<<20 + 1, 10223616, 25 << 20, 1<<32 - 1} {
		room := roomFor(n)
		if room < n || room > max(block, n+n/4+block) || room%block != 0 {
			t.Errorf("roomFor(%d) = %d", n, room)
		}
		if roomFor(room) != room {
			t.Errorf("%d is a class, but its own is %d", room, roomFor(room))
		}
	}
	for n := int64(1); n <= 10<<20; n += 1000 {
		classes[roomFor(n)] = true
	}
	if len(classes) > 40 {
		t.Errorf("%d classes up to 10 MiB", len(classes))
	}
}

func TestBudget_bound(t *testing.T) {
	const total = 40 * block
	b := newBudget(total, time.Hour)
	var lent, most atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 200 {
				n := random.Int64N(9*block) + 1
				p, err := b.take(t.Context(), n, random.IntN(3) == 0)
				if err != nil {
					t.Errorf("take %d: %v", n, err)
					return
				}
				if int64(len(p.b)) < n {
					t.Errorf("%d bytes for %d", len(p.b), n)
				}
				most.Store(max(most.Load(), lent.Add(int64(len(p.b)))))
				b.mu.Lock()
				made := b.made
				b.mu.Unlock()
				if made > total {
					t.Errorf("%d bytes made of %d", made, int64(total))
				}
				lent.Add(-int64(len(p.b)))
				p.release()
			}
		})
	}
	wg.Wait()
	if most.Load() > total {
		t.Errorf("%d bytes lent of %d", most.Load(), int64(total))
	}
	var spare int64
	for size, bufs := range b.spare {
		spare += size * int64(len(bufs))
	}
	if b.made != spare {
		t.Errorf("%d bytes made, but %d spare when all are back", b.made, spare)
	}
	b.trim()
	if b.made != 0 || len(b.spare) != 0 {
		t.Errorf("%d bytes left after trim", b.made)
	}
}

func TestBudget_waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(4*block, time.Minute)
		all, err := b.take(t.Context(), 4*block, false)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := b.take(t.Context(), 1, false); !errors.Is(err, cloud.ErrUnavailable) || time.Since(start) != time.Minute {
			t.Errorf("take = %v after %v, want ErrUnavailable after a minute", err, time.Since(start))
		}
		if _, err := b.take(t.Context(), 1, true); !errors.Is(err, cloud.ErrUnavailable) {
			t.Errorf("take for a stranger = %v", err)
		}
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errClosed)
		if _, err := b.take(ended, 1, false); !errors.Is(err, errClosed) {
			t.Errorf("take = %v, want the cause", err)
		}
		got := make(chan error)
		go func() {
			p, err := b.take(t.Context(), 1, true)
			if err == nil {
				p.release()
			}
			got <- err
		}()
		synctest.Wait()
		all.release()
		if err := <-got; err != nil {
			t.Errorf("take after release = %v", err)
		}
	})
}

func TestBudget_tooLarge(t *testing.T) {
	b := newBudget(4*block, time.Hour)
	if b.fits(4*block+1) || !b.fits(4*block) {
		t.Error("fits is wrong at the edge")
	}
	if _, err := b.take(t.Context(), 4*block+1, false); !errors.Is(err, cloud.ErrTooLarge) {
		t.Errorf("take = %v", err)
	}
	p, err := b.take(t.Context(), 3*block, true) // more than half, but the only one
	if err != nil {
		t.Fatalf("take for a stranger = %v", err)
	}
	p.release()
}
