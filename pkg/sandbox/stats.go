package sandbox

import (
	"maps"
	"sync"
)

// Stats is what the server has counted since it was opened.
type Stats struct {
	Requests    map[string]int64 `json:"requests"`     // by route as in Routes, or "unknown"
	Statuses    map[int]int64    `json:"statuses"`     // by HTTP status; 0 are cut connections
	RateLimited int64            `json:"rate_limited"` // requests refused by a rate limit, fault rules aside
	Invalid     int64            `json:"invalid"`      // answers of 401, 403 and 429 that count towards a ban
	Bans        int64            `json:"bans"`         // addresses banned
	Refused     int64            `json:"refused"`      // requests of banned addresses
	BytesIn     int64            `json:"bytes_in"`     // of request bodies
	BytesOut    int64            `json:"bytes_out"`    // of answers' bodies
	Faults      map[string]int   `json:"faults"`       // as Faults.Counts
	Sessions    int              `json:"sessions"`     // connected to the gateway
}

type counters struct {
	mu sync.Mutex
	Stats
}

func newCounters() *counters {
	return &counters{Stats: Stats{Requests: map[string]int64{}, Statuses: map[int]int64{}}}
}

func (c *counters) count(route string, status int, in, out int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Requests[route]++
	c.Statuses[status]++
	c.BytesIn += in
	c.BytesOut += out
}

func (c *counters) add(n *int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

func (c *counters) limited() { c.add(&c.RateLimited) }
func (c *counters) invalid() { c.add(&c.Invalid) }
func (c *counters) ban()     { c.add(&c.Bans) }
func (c *counters) refuse()  { c.add(&c.Refused) }

// Stats is a copy of the server's counters.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	st := s.stats.Stats
	st.Requests, st.Statuses = maps.Clone(st.Requests), maps.Clone(st.Statuses)
	s.stats.mu.Unlock()
	st.Faults = s.faults.Counts()
	st.Sessions = s.hub.connected()
	return st
}
