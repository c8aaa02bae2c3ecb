package restsql

import (
	"container/list"
	"sync"
)

// memory holds what statements answered last, least recently used out first. What
// it gives is a guess: see transaction.
type memory struct {
	most int

	mu    sync.Mutex
	used  int // bytes
	order *list.List
	known map[string]*list.Element
}

type remembered struct {
	key    string
	answer []byte
}

// largest is the part of the memory that one answer may take.
const largest = 16

func newMemory(most int) *memory {
	return &memory{most: most, order: list.New(), known: map[string]*list.Element{}}
}

func (m *memory) lookup(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.known[key]
	if !ok {
		return nil, false
	}
	m.order.MoveToFront(e)
	return e.Value.(*remembered).answer, true
}

// learn keeps answer, which must not be changed any more.
func (m *memory) learn(key string, answer []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[key]; ok {
		m.drop(e)
	}
	size := len(key) + len(answer)
	if size*largest > m.most {
		return
	}
	m.known[key] = m.order.PushFront(&remembered{key, answer})
	for m.used += size; m.used > m.most; {
		m.drop(m.order.Back())
	}
}

func (m *memory) drop(e *list.Element) {
	r := m.order.Remove(e).(*remembered)
	delete(m.known, r.key)
	m.used -= len(r.key) + len(r.answer)
}
