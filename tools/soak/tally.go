package main

import (
	"fmt"
	"slices"
	"sync"
)

// tally counts what was done, and keeps what was wrong.
type tally struct {
	mu      sync.Mutex
	done    map[string]int // by kind of operation
	cut     map[string]int // by kind, what did not come to its end, and why
	bytes   int64          // that were compared
	wrong   []string
	dropped int                              // of wrong, beyond what is kept
	tell    func(format string, args ...any) // of all that goes wrong, at once; nil for nobody
}

// wrongMost is how many failures are kept to be shown.
const wrongMost = 20

func (t *tally) did(kind string, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil {
		t.done = map[string]int{}
	}
	t.done[kind]++
	t.bytes += bytes
}

// missed counts what did not come to its end because parts of the product were cut
// off, or killed.
func (t *tally) missed(kind string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut == nil {
		t.cut = map[string]int{}
	}
	t.cut[kind]++
	if t.tell != nil {
		t.tell("missed %s: %v", kind, err)
	}
}

func (t *tally) fail(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tell != nil {
		t.tell("FAILED "+format, args...)
	}
	if len(t.wrong) >= wrongMost {
		t.dropped++
		return
	}
	t.wrong = append(t.wrong, fmt.Sprintf(format, args...))
}

func (t *tally) failures() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Clone(t.wrong)
	if t.dropped > 0 {
		all = append(all, fmt.Sprintf("and %d more", t.dropped))
	}
	return all
}
