package dispatch

import (
	"cmp"
	"slices"
)

// slot is room for one upload on one service.
type slot struct {
	service *Service
	holder  *holder // whose booking it belongs to, nil for nobody's
	busy    bool    // an upload is on it, or has not been closed yet
	away    bool    // it is busy with an upload of another manager
	lost    bool    // the service is gone, and the slot is in no pool
	last    bool    // it goes when its upload has ended
	upload  *upload // nil if it is idle or being closed
}

// holder is a client as the pool sees it.
type holder struct {
	wants  int
	has    int
	joined uint64       // older ones come first
	yields bool         // it can do with a slot less at any time, as version 2 can
	change func(by int) // tells the client of a slot more or less; must not block
}

// ticket is a request that waits for a slot.
type ticket struct {
	holder *holder
	got    chan *slot // of one
}

// pool shares the slots of all services among holders. A slot belongs to at
// most one holder; a free one is never kept from a holder that wants more.
// Requests of holders that have booked nothing borrow what is free. The
// Dispatcher's lock guards it.
type pool struct {
	slots   []*slot
	holders []*holder
	waiting []*ticket // oldest first
}

// add gives a service's slots to the pool.
func (p *pool) add(s *Service, n int) {
	for range n {
		p.slots = append(p.slots, &slot{service: s})
	}
	p.lend(s)
	p.share()
}

// remove takes a service's slots away, tells those who held them, and gives the
// slots that were in use.
func (p *pool) remove(s *Service) (busy []*slot) {
	p.slots = slices.DeleteFunc(p.slots, func(sl *slot) bool {
		if sl.service != s {
			return false
		}
		sl.lost = true
		if sl.holder != nil {
			sl.holder.has--
			sl.holder.change(-1)
			sl.holder = nil
		}
		if sl.busy {
			busy = append(busy, sl)
		}
		return true
	})
	p.share()
	return busy
}

// drain gives nothing more of a service to anybody: idle slots go, others when
// their uploads have ended. Those who held them are told.
func (p *pool) drain(s *Service) {
	p.slots = slices.DeleteFunc(p.slots, func(sl *slot) bool {
		if sl.service != s {
			return false
		}
		if sl.holder != nil {
			sl.holder.has--
			sl.holder.change(-1)
			sl.holder = nil
		}
		sl.last = true
		return !sl.busy || sl.away
	})
	p.share()
}

// refill gives a service that was drained its n slots again.
func (p *pool) refill(s *Service, n int) {
	for _, sl := range p.slots {
		if sl.service == s {
			sl.last = false
			n--
		}
	}
	p.add(s, n)
}

// join makes h known, with nothing booked.
func (p *pool) join(h *holder) { p.holders = append(p.holders, h) }

// leave gives back all that h holds and forgets it.
func (p *pool) leave(h *holder) {
	p.holders = slices.DeleteFunc(p.holders, func(x *holder) bool { return x == h })
	p.waiting = slices.DeleteFunc(p.waiting, func(t *ticket) bool { return t.holder == h })
	h.wants = 0
	p.giveBack(h)
	p.share()
}

// book sets the number of slots that h wants, and gives how many it has now.
// settled is called with it before anybody is told of slots that went around.
func (p *pool) book(h *holder, wants int, settled func(has int)) {
	h.wants = wants
	p.giveBack(h)
	for h.has < h.wants {
		s := p.idle(nil)
		if s == nil {
			break
		}
		s.holder = h
		h.has++
	}
	settled(h.has)
	p.share()
}

// giveBack releases what h holds beyond its wish, idle slots first. A busy one
// is nobody's from now on, and free when its upload has ended.
func (p *pool) giveBack(h *holder) {
	for _, busy := range []bool{false, true} {
		for _, s := range p.slots {
			if h.has <= h.wants {
				return
			}
			if s.holder == h && s.busy == busy {
				s.holder = nil
				h.has--
			}
		}
	}
}

// take gives h an idle slot for an upload, or nil if it would have to wait. It
// gives none of the services in not.
func (p *pool) take(h *holder, not ...*Service) *slot {
	s := p.idle(h, not...)
	if s == nil && h.wants == 0 {
		s = p.idle(nil, not...)
	}
	if s != nil {
		s.busy = true
	}
	return s
}

// ask queues a request of h, and serves it at once if it can.
func (p *pool) ask(h *holder) *ticket {
	t := &ticket{holder: h, got: make(chan *slot, 1)}
	p.waiting = append(p.waiting, t)
	p.share()
	return t
}

// giveUp takes a request out of the queue. If it has been served, it gives the
// slot.
func (p *pool) giveUp(t *ticket) *slot {
	if i := slices.Index(p.waiting, t); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return nil
	}
	select {
	case s := <-t.got:
		return s
	default:
		return nil
	}
}

// free makes a slot idle again.
func (p *pool) free(s *slot) {
	s.busy, s.upload = false, nil
	if s.last {
		p.slots = slices.DeleteFunc(p.slots, func(sl *slot) bool { return sl == s })
	}
	if !s.lost {
		p.lend(s.service)
		p.share()
	}
}

// elsewhere notes how many slots of a service other managers use, and tells those
// who held them.
func (p *pool) elsewhere(s *Service, n int) {
	s.elsewhereNow = n
	p.lend(s)
	p.share()
}

// lend makes as many of a service's slots away as are used elsewhere, as far as they
// are idle: nobody's first.
func (p *pool) lend(s *Service) {
	away := 0
	for _, sl := range p.slots {
		switch {
		case sl.service != s || !sl.away:
		case away >= s.elsewhereNow:
			sl.away, sl.busy = false, false
		default:
			away++
		}
	}
	for _, booked := range []bool{false, true} {
		for _, sl := range p.slots {
			if away >= s.elsewhereNow {
				return
			}
			if sl.service != s || sl.busy || booked != (sl.holder != nil) {
				continue
			}
			sl.away, sl.busy = true, true
			away++
			if sl.holder != nil {
				sl.holder.has--
				sl.holder.change(-1)
				sl.holder = nil
			}
		}
	}
}

// share serves waiting requests, then gives free slots to holders that want
// more: those with the fewest first, the oldest among them.
func (p *pool) share() {
	for {
		if p.idle(nil) == nil {
			p.level()
		}
		p.serve()
		s, h := p.idle(nil), p.poorest()
		if s == nil || h == nil {
			return
		}
		s.holder = h
		h.has++
		h.change(+1)
	}
}

// level moves idle slots of holders that have many to those that want more and
// have fewer, and to those that borrow and wait: who has a long queue does not keep
// everybody else out until its end. It comes before those who wait are served, as a
// queue always has one that does.
func (p *pool) level() {
	for {
		to, least := p.poorest(), 1
		if p.borrows() {
			to = nil
		} else if to == nil {
			return
		} else {
			least = to.has + 1
		}
		var best *slot
		for _, s := range p.slots {
			if h := s.holder; !s.busy && h != nil && h.yields && h.has > least && (best == nil || h.has > best.holder.has) {
				best = s
			}
		}
		if best == nil {
			return
		}
		best.holder.has--
		best.holder.change(-1)
		best.holder = to
		if to == nil {
			p.serve()
			continue
		}
		to.has++
		to.change(+1)
	}
}

// borrows tells whether somebody who has booked nothing waits for a slot.
func (p *pool) borrows() bool {
	return slices.ContainsFunc(p.waiting, func(t *ticket) bool { return t.holder.wants == 0 })
}

// poorest is the holder that wants more and has the fewest, nil if none wants more.
func (p *pool) poorest() (poorest *holder) {
	for _, h := range p.holders {
		if h.has < h.wants && (poorest == nil || cmp.Or(cmp.Compare(h.has, poorest.has), cmp.Compare(h.joined, poorest.joined)) < 0) {
			poorest = h
		}
	}
	return poorest
}

func (p *pool) serve() {
	p.waiting = slices.DeleteFunc(p.waiting, func(t *ticket) bool {
		s := p.take(t.holder)
		if s == nil {
			return false
		}
		t.got <- s
		return true
	})
}

// idle gives an idle slot of h's booking, or for nil one that is nobody's: on
// the service with the fewest uploads that is not in not.
func (p *pool) idle(h *holder, not ...*Service) *slot {
	load := map[*Service]int{}
	for _, s := range p.slots {
		if s.busy {
			load[s.service]++
		}
	}
	var best *slot
	for _, s := range p.slots {
		if !s.busy && s.holder == h && !slices.Contains(not, s.service) && (best == nil || load[s.service] < load[best.service]) {
			best = s
		}
	}
	return best
}
