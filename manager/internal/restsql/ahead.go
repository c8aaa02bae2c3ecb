package restsql

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
)

// habits are what transactions of each kind have asked for, the last time: the next
// one of the kind is likely to ask for the same, of other rows. What is asked for
// ahead goes with a call that is made anyway; that it was foreseen wrongly costs
// nothing but that it was asked for.
type habits struct {
	mu    sync.Mutex
	kinds map[string][]habit
}

const (
	habitKinds = 512
	// extraMost is how many statements a call takes along that nobody has asked for.
	extraMost = 16
)

// habit is a statement, with where each of its arguments may come from.
type habit struct {
	turn
	args [][]origin
}

// origin is where an argument may come from: an argument of a statement in front, or
// always the same value.
type origin struct {
	of    turn // of a statement with a text
	at    int
	value string // as JSON, where of has none
}

// values are the arguments of a step as JSON, each by itself.
func (s *step) values() []string {
	if s.apart != nil {
		return s.apart
	}
	var raw []json.RawMessage
	if json.Unmarshal(s.Args, &raw) != nil {
		return nil
	}
	s.apart = make([]string, len(raw))
	for i, v := range raw {
		s.apart[i] = string(v)
	}
	return s.apart
}

// kindOf is what a transaction is known by.
func (tx *transaction) kindOf() string {
	if len(tx.steps) == 0 {
		return ""
	}
	return cmp.Or(tx.kind, tx.steps[0].Text)
}

// observe learns from a transaction that has ended well.
func (h *habits) observe(tx *transaction) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kind := tx.kindOf()
	known, ok := h.kinds[kind]
	if kind == "" || !ok && len(h.kinds) >= habitKinds {
		return
	}
	var all []habit
	var front []*step
	for _, s := range tx.steps {
		if s.writes || s.own || len(all) == extraMost {
			break // what comes behind a change is hardly what was there before it
		}
		one := habit{turn: turn{s.Text, s.nth}}
		for _, v := range s.values() {
			one.args = append(one.args, origins(front, v))
		}
		for i, earlier := range known {
			if both, ok := earlier.and(one); ok {
				one, known = both, slices.Delete(slices.Clone(known), i, i+1)
				break
			}
		}
		all, front = append(all, one), append(front, s)
	}
	// What is asked for now and then comes behind.
	all = append(all, known[:min(len(known), extraMost-len(all))]...)
	if h.kinds == nil {
		h.kinds = map[string][]habit{}
	}
	h.kinds[kind] = all
}

// and is the habit that explains both, if there is one.
func (h habit) and(other habit) (both habit, ok bool) {
	if h.turn != other.turn || len(h.args) != len(other.args) {
		return habit{}, false
	}
	both.turn = h.turn
	for i, from := range h.args {
		from = slices.DeleteFunc(slices.Clone(from), func(o origin) bool { return !slices.Contains(other.args[i], o) })
		if len(from) == 0 {
			return habit{}, false
		}
		both.args = append(both.args, from)
	}
	return both, true
}

// origins are all that a value may come from, what is in front of it first.
func origins(front []*step, value string) (all []origin) {
	for _, s := range front {
		for i, v := range s.values() {
			if v == value {
				all = append(all, origin{of: turn{s.Text, s.nth}, at: i})
			}
		}
	}
	return append(all, origin{value: value})
}

// ahead gives statements that a transaction is likely to come to.
func (h *habits) ahead(tx *transaction) (all []*step) {
	h.mu.Lock()
	known := h.kinds[tx.kindOf()]
	h.mu.Unlock()
	if len(known) < 2 {
		return nil
	}
	values, said, asked := map[turn][]string{}, map[turn]bool{}, map[string]bool{}
	for _, s := range tx.steps {
		at := turn{s.Text, s.nth}
		values[at], said[at], asked[s.key] = s.values(), true, true
	}
	for _, one := range known {
		if said[one.turn] {
			continue
		}
		args, ok := one.resolve(values)
		if !ok {
			continue
		}
		values[one.turn] = args
		s := &step{Text: one.text, Rows: true, nth: one.nth}
		if s.Args, ok = join(args); !ok {
			continue
		}
		if s.key = key(s); !asked[s.key] {
			asked[s.key] = true
			all = append(all, s)
		}
	}
	return all
}

// resolve finds the arguments, each by the first origin that gives a value.
func (h habit) resolve(values map[turn][]string) (args []string, ok bool) {
	for _, from := range h.args {
		found := false
		for _, o := range from {
			v := o.value
			if o.of.text != "" {
				front, is := values[o.of]
				if !is || o.at >= len(front) {
					continue
				}
				v = front[o.at]
			}
			args, found = append(args, v), true
			break
		}
		if !found {
			return nil, false
		}
	}
	return args, true
}

func join(values []string) (json.RawMessage, bool) {
	raw := make([]json.RawMessage, len(values))
	for i, v := range values {
		raw[i] = json.RawMessage(v)
	}
	b, err := json.Marshal(raw)
	return b, err == nil
}
