package restsql

import (
	"database/sql/driver"
	"encoding/binary"
	"strconv"
	"sync"
)

// foreseen is what statements will answer, by their text alone: the next number of
// a row, how many rows there are to change, and what they answer every time. It
// grows with the statements of the program.
type foreseen struct {
	mu     sync.Mutex
	rows   map[string][]byte
	counts map[string]int64
	usual  map[string]usual
	types  map[string][]uint32 // of the values of a row
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

// usual is what a statement that reads has answered the last time.
type usual struct {
	answer string
	again  bool // and the time before, to other arguments
}

// usualMost is the longest answer that may be a usual one, in bytes.
const usualMost = 128

// usually gives what a statement that reads answers to whatever it is asked: nothing
// if that was so the last time, something if it was the same twice.
func (f *foreseen) usually(text string) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u, ok := f.usual[text]
	return []byte(u.answer), ok && (u.answer == "" || u.again)
}

func (f *foreseen) setUsual(text string, answer []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := usual{answer: string(answer[:min(len(answer), usualMost+1)])}
	u.again = len(answer) <= usualMost && f.usual[text].answer == u.answer
	learn(&f.usual, text, u)
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
	if !tx.guess || tx.c.o.Memory < 0 || tx.past.plain(s) {
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
	if tx.past.plain(s) {
		return nil, false
	}
	if s.writes {
		return tx.c.foreseen.row(s.Text)
	}
	if answer, ok := tx.past.own[s.key]; ok && s.own {
		return answer, true
	}
	if answer, ok := tx.c.memory.lookup(s.key); ok { // which is so, if it is not just that what was changed
		return answer, true
	}
	s.blind = true
	if answer, ok := tx.c.foreseen.usually(s.Text); ok {
		return answer, true
	}
	return nil, tx.bold && len(tx.steps) > 1
}

// Foresee says what a statement is likely to answer from now on: one row, or none.
// One is of use once an answer of that statement was heard.
func (c *Client) Foresee(s Statement, row ...driver.Value) {
	if c.o.Memory < 0 {
		return
	}
	var answer []byte
	ok := len(row) == 0
	if !ok {
		answer, ok = record(c.foreseen.typesOf(s.Text), row)
	}
	one, err := newStep(s, true)
	switch {
	case !ok || err != nil:
	case one.writes:
		c.foreseen.setRow(s.Text, answer)
	default:
		c.memory.learn(key(one), answer)
	}
}

func (f *foreseen) typesOf(text string) []uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.types[text]
}

func (f *foreseen) setTypes(text string, answer []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.types[text]; !known && len(answer) > 0 {
		learn(&f.types, text, typesOf(answer))
	}
}

// rowsAre learns what a statement answers at present.
func (tx *transaction) rowsAre(s *step, answer []byte) {
	if tx.c.o.Memory < 0 {
		return
	}
	tx.c.foreseen.setTypes(s.Text, answer)
	switch {
	case s.writes:
		if _, ok := number(answer); ok {
			tx.c.foreseen.setRow(s.Text, answer)
		}
	case s.own: // as long as it is not kept, it is so for nobody else
		tx.past.own[s.key] = answer
		tx.c.foreseen.setUsual(s.Text, answer)
	default:
		tx.c.memory.learn(s.key, answer)
		tx.c.foreseen.setUsual(s.Text, answer)
	}
}

// kept learns what comes next, after a transaction that was made.
func (tx *transaction) kept() {
	if tx.c.o.Memory < 0 {
		return
	}
	for _, s := range tx.steps {
		if n, ok := number(s.answer); ok {
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
