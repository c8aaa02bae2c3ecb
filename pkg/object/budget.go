package object

import "sync"

// Budget bounds the memory that all streams of one or several Sources read ahead
// into. Nobody waits for it: a stream that gets nothing of it reads ahead less.
// One that has much of it already gets more only while half of it is free.
// So that slow readers cannot stop the others, a stream that holds nothing may
// fetch one small piece (256 KiB) beyond the budget. The memory in use is thus at
// most the budget and a small piece for each stream. It is safe for concurrent use.
type Budget struct {
	mu    sync.Mutex
	limit int64
	used  int64
}

// NewBudget makes a budget of that many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{limit: bytes} }

// Used is the number of bytes taken from the budget now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// tryAcquire takes n bytes if there are so many; for much more they must leave
// half of the budget to others.
func (b *Budget) tryAcquire(n int64, more bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	free := b.limit - b.used
	if more {
		free -= b.limit / 2
	}
	if n > free {
		return false
	}
	b.used += n
	return true
}

func (b *Budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used -= n; b.used < 0 {
		panic("object: more released than acquired")
	}
}
