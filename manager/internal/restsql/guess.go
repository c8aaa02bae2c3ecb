package restsql

import (
	"encoding/binary"
	"strconv"
	"sync"
)

// foreseen is what statements will answer, by their text alone: the next number of
// a row, how many rows there are to change, and whether there is nothing to read. It
// grows with the statements of the program.
type foreseen struct {
	mu     sync.Mutex
	rows   map[string][]byte
	counts map[string]int64
	empty  map[string]bool
}

// foreseenMost keeps out what is made for one use.
const foreseenMost = 1024

func learn[T any](known *map[string]T, text string, v T) {
	if *known == nil {
		*known = map[string]T{}
	}
	if _, ok := (*known)[text]; ok || len(*known) < foreseenMost {
		(*known)[text] = v
	}
}

// nothing tells whether a statement that reads answered with no rows the last time.
func (f *foreseen) nothing(text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.empty[text]
}

func (f *foreseen) setNothing(text string, empty bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	learn(&f.empty, text, empty)
}

func (f *foreseen) row(text string) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.rows[text]
	return b, ok
}

func (f *foreseen) setRow(text string, answer []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	learn(&f.rows, text, answer)
}

func (c *Client) lock() string { return strconv.FormatInt(c.o.Lock, 10) }

// guessCount is how many rows a statement changed in an earlier attempt, or the last
// time.
func (tx *transaction) guessCount(s *step) (int64, bool) {
	if !tx.guess || tx.c.o.Memory < 0 || tx.past.plain(s.Text) {
		return 0, false
	}
	if n, ok := tx.past.counts[turn{s.Text, s.nth}]; ok {
		return n, true
	}
	s.blind = true
	f := &tx.c.foreseen
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.counts[s.Text]
	return n, ok
}

func (c *Client) countIs(text string, n int64) {
	c.foreseen.mu.Lock()
	defer c.foreseen.mu.Unlock()
	learn(&c.foreseen.counts, text, n)
}

// guessRows is what a statement may be about to answer. One that was not heard with
// these arguments is taken to have no rows at first: if that is wrong, the call at
// the end tells what this one and others behind it answer, and to ask would cost a
// call as well.
func (tx *transaction) guessRows(s *step) ([]byte, bool) {
	if !tx.guess || tx.c.o.Memory < 0 || tx.past.failed[s.Text] {
		return nil, false
	}
	if n, ok := tx.numbers[s.Text]; ok { // the first number may have to be asked for, the next ones follow
		return numbered(n + 1), true
	}
	if tx.past.plain(s.Text) {
		return nil, false
	}
	if s.writes {
		return tx.c.foreseen.row(s.Text)
	}
	if answer, ok := tx.c.memory.lookup(s.key); ok {
		return answer, true
	}
	s.blind = true
	return nil, tx.c.foreseen.nothing(s.Text) || tx.bold && len(tx.steps) > 1
}

// rowsAre learns what a statement answers at present.
func (c *Client) rowsAre(s *step, answer []byte) {
	switch {
	case c.o.Memory < 0:
	case !s.writes:
		c.memory.learn(s.key, answer)
		c.foreseen.setNothing(s.Text, len(answer) == 0)
	default:
		if _, ok := number(answer); ok {
			c.foreseen.setRow(s.Text, answer)
		}
	}
}

// kept learns what comes next, after a transaction that was made.
func (tx *transaction) kept() {
	for _, s := range tx.steps {
		if n, ok := number(s.answer); ok && tx.c.o.Memory >= 0 {
			tx.c.foreseen.setRow(s.Text, numbered(n+1))
		}
	}
}

// number is the only value of an answer, if that is a bigint.
func number(answer []byte) (int64, bool) {
	const size = 4 + 4 + 4 + 8
	if len(answer) != size || binary.BigEndian.Uint32(answer) != 1 ||
		binary.BigEndian.Uint32(answer[4:]) != typeInt8 || binary.BigEndian.Uint32(answer[8:]) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(answer[12:])), true
}

// numbered is the answer that number reads.
func numbered(n int64) []byte {
	b := binary.BigEndian.AppendUint32(nil, 1)
	b = binary.BigEndian.AppendUint32(b, typeInt8)
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, uint64(n))
}
