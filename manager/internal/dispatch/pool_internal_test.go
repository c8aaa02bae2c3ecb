package dispatch

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// told counts what a holder was told of its booking.
type told struct {
	holder
	total int // as its client counts it
}

func join(p *pool, n *uint64) *told {
	*n++
	h := &told{}
	h.joined = *n
	h.change = func(by int) { h.total += by }
	p.join(&h.holder)
	return h
}

func (h *told) book(p *pool, wants int) int {
	p.book(&h.holder, wants, func(has int) { h.total = has })
	return h.total
}

// The rules of bookings, one step after the other.
func TestPool_Rules(t *testing.T) {
	type step struct {
		do   string
		want [3]int // what the three clients count after it
	}
	for name, steps := range map[string][]step{
		"what is free, in total":          {{"+5", [3]int{}}, {"a=3", [3]int{3}}, {"b=10", [3]int{3, 2}}, {"a=3", [3]int{3, 2}}},
		"more, if there is more":          {{"+5", [3]int{}}, {"a=2", [3]int{2}}, {"a=4", [3]int{4}}, {"a=10", [3]int{5}}},
		"one more for each that connects": {{"a=2", [3]int{}}, {"+1", [3]int{1}}, {"+1", [3]int{2}}, {"+1", [3]int{2}}},
		"less goes to others at once":     {{"+3", [3]int{}}, {"a=3", [3]int{3}}, {"b=2", [3]int{3}}, {"a=1", [3]int{1, 2}}},
		"the poorest first, then the oldest": {{"c=9", [3]int{}}, {"b=9", [3]int{}}, {"a=9", [3]int{}},
			{"+1", [3]int{1}}, {"+1", [3]int{1, 1}}, {"+1", [3]int{1, 1, 1}}, {"+1", [3]int{2, 1, 1}}},
		"lost":                       {{"+2", [3]int{}}, {"a=2", [3]int{2}}, {"-", [3]int{}}, {"+1", [3]int{1}}},
		"cleared, while others wait": {{"+2", [3]int{}}, {"a=2", [3]int{2}}, {"b=2", [3]int{2}}, {"a=0", [3]int{0, 2}}},
		"a busy one is given on when it is free": {{"+2", [3]int{}}, {"a=2", [3]int{2}}, {"a!", [3]int{2}}, {"b=2", [3]int{2}},
			{"a=0", [3]int{0, 1}}, {"free", [3]int{0, 2}}},
		"idle ones are given back first":     {{"+2", [3]int{}}, {"a=2", [3]int{2}}, {"a!", [3]int{2}}, {"a=1", [3]int{1}}, {"b=1", [3]int{1, 1}}},
		"whoever has booked nothing borrows": {{"+1", [3]int{}}, {"a!", [3]int{}}, {"b=1", [3]int{}}, {"free", [3]int{0, 1}}},
		"a client that leaves":               {{"+1", [3]int{}}, {"a=1", [3]int{1}}, {"b=1", [3]int{1}}, {"a.", [3]int{1, 1}}},
		"used elsewhere": {{"+4", [3]int{}}, {"a=3", [3]int{3}}, {"e2", [3]int{2}}, {"b=2", [3]int{2}}, {"e1", [3]int{2, 1}},
			{"a=0", [3]int{0, 2}}, {"e3", [3]int{0, 1}}, {"e0", [3]int{0, 2}}},
		"many go to who has few": {{"+4", [3]int{}}, {"a~", [3]int{}}, {"a=4", [3]int{4}}, {"b=3", [3]int{2, 2}}, {"c=1", [3]int{1, 2, 1}},
			{"c=0", [3]int{2, 2}}},
		"when they are free": {{"+3", [3]int{}}, {"a~", [3]int{}}, {"a=3", [3]int{3}}, {"a!", [3]int{3}}, {"a!", [3]int{3}}, {"a!", [3]int{3}},
			{"b=2", [3]int{3}}, {"free", [3]int{2, 1}}, {"free", [3]int{2, 1}}},
		"used elsewhere, when it is free": {{"+1", [3]int{}}, {"a=1", [3]int{1}}, {"a!", [3]int{1}}, {"e1", [3]int{1}},
			{"free", [3]int{0}}, {"e0", [3]int{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			var p pool
			var n uint64
			s := &Service{}
			hs := [3]*told{join(&p, &n), join(&p, &n), join(&p, &n)}
			var busy []*slot
			for _, st := range steps {
				var h *told
				if c := st.do[0]; c >= 'a' && c <= 'c' {
					h = hs[c-'a']
				}
				var k int
				switch {
				case st.do == "free":
					p.free(busy[0])
					busy = busy[1:]
				case st.do[0] == 'e':
					if _, err := fmt.Sscanf(st.do, "e%d", &k); err != nil {
						t.Fatal(err)
					}
					p.elsewhere(s, k)
				case st.do == "-":
					p.remove(s)
				case h == nil:
					if _, err := fmt.Sscanf(st.do, "+%d", &k); err != nil {
						t.Fatal(err)
					}
					p.add(s, k)
				case st.do[1] == '~':
					h.yields = true
				case st.do[1] == '!':
					sl := p.take(&h.holder)
					if sl == nil {
						t.Fatalf("%s: no slot", st.do)
					}
					busy = append(busy, sl)
				case st.do[1] == '.':
					p.leave(&h.holder)
				default:
					if _, err := fmt.Sscanf(st.do[1:], "=%d", &k); err != nil {
						t.Fatal(err)
					}
					h.book(&p, k)
				}
				for i, h := range hs {
					if h.total != st.want[i] {
						t.Fatalf("after %s: client %c counts %d, want %d", st.do, 'a'+i, h.total, st.want[i])
					}
				}
			}
		})
	}
}

// Whatever happens in whatever order, no slot has two holders, each client's own
// count is right, nothing is kept from who wants it, and nothing leaks.
func TestPool_Model(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var p pool
		var n uint64
		var services []*Service
		var holders []*told
		var busy []*slot
		var waiting []*ticket
		for step := range 300 {
			switch r.IntN(12) {
			case 0, 1:
				if len(services) < 6 {
					s := &Service{}
					services = append(services, s)
					p.add(s, 1+r.IntN(3))
				}
			case 2:
				if len(services) > 0 {
					i := r.IntN(len(services))
					p.remove(services[i])
					services = append(services[:i], services[i+1:]...)
				}
			case 3:
				if len(holders) < 5 {
					holders = append(holders, join(&p, &n))
					holders[len(holders)-1].yields = r.IntN(2) == 0
				}
			case 4:
				if len(holders) > 0 {
					i := r.IntN(len(holders))
					p.leave(&holders[i].holder)
					holders = append(holders[:i], holders[i+1:]...)
				}
			case 5, 6:
				if len(holders) > 0 {
					holders[r.IntN(len(holders))].book(&p, r.IntN(8))
				}
			case 7, 8:
				if len(holders) > 0 {
					waiting = append(waiting, p.ask(&holders[r.IntN(len(holders))].holder))
				}
			case 9:
				if len(waiting) > 0 {
					if s := p.giveUp(waiting[0]); s != nil {
						busy = append(busy, s)
					}
					waiting = waiting[1:]
				}
			default:
				if len(busy) > 0 {
					i := r.IntN(len(busy))
					p.free(busy[i])
					busy = append(busy[:i], busy[i+1:]...)
				}
			}
			for i := 0; i < len(waiting); i++ {
				select {
				case s := <-waiting[i].got:
					busy = append(busy, s)
					waiting = append(waiting[:i], waiting[i+1:]...)
					i--
				default:
				}
			}
			checkPool(t, seed, step, &p, holders, busy)
		}
		for _, w := range waiting {
			if s := p.giveUp(w); s != nil {
				busy = append(busy, s)
			}
		}
		for _, s := range busy {
			p.free(s)
		}
		for _, h := range holders {
			p.leave(&h.holder)
		}
		for _, s := range services {
			if left := p.remove(s); left != nil {
				t.Fatalf("seed %d: %d slots in use at the end", seed, len(left))
			}
		}
		if len(p.slots)+len(p.holders)+len(p.waiting) != 0 {
			t.Fatalf("seed %d: %d slots, %d holders, %d requests left", seed, len(p.slots), len(p.holders), len(p.waiting))
		}
	}
}

func checkPool(t *testing.T, seed uint64, step int, p *pool, holders []*told, busy []*slot) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("seed %d, step %d: %s", seed, step, fmt.Sprintf(format, args...))
	}
	count := map[*holder]int{}
	free, inUse := 0, 0
	for _, s := range p.slots {
		if s.lost {
			fail("a lost slot in the pool")
		}
		if s.holder != nil {
			count[s.holder]++
		} else if !s.busy {
			free++
		}
		if s.busy {
			inUse++
		}
	}
	taken := 0
	seen := map[*slot]bool{}
	for _, s := range busy {
		if seen[s] {
			fail("one slot given to two uploads")
		}
		seen[s] = true
		if !s.lost {
			taken++
		}
	}
	if taken != inUse {
		fail("%d slots are busy, %d uploads have one", inUse, taken)
	}
	known := 0
	for _, h := range holders {
		known += count[&h.holder]
		switch {
		case h.has != count[&h.holder] || h.total != h.has:
			fail("a client counts %d slots, the pool %d, it has %d", h.total, h.has, count[&h.holder])
		case h.has > h.wants:
			fail("a client has %d slots and wants %d", h.has, h.wants)
		case h.has < h.wants && free > 0:
			fail("%d slots are free, and a client has %d of %d", free, h.has, h.wants)
		}
	}
	for h, n := range count {
		known -= n
		_ = h
	}
	if known != 0 {
		fail("slots are held by nobody's client")
	}
	for _, s := range p.slots {
		h := s.holder
		if s.busy || h == nil || !h.yields {
			continue
		}
		if to := p.poorest(); to != nil && !p.borrows() && h.has > to.has+1 {
			fail("a client has %d slots, and keeps an idle one from who has %d", h.has, to.has)
		}
		if p.borrows() && h.has > 1 {
			fail("a client has %d slots, and keeps an idle one from who borrows", h.has)
		}
	}
	for _, w := range p.waiting {
		if p.idle(w.holder) != nil {
			fail("a request waits beside an idle slot of its own")
		}
	}
}
