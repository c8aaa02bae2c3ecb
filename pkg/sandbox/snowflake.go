package sandbox

import (
	"strconv"
	"sync"
	"time"
)

// id is a Discord snowflake. On the wire it is a decimal string.
type id int64

// epoch is the first millisecond of 2015, from which snowflakes count.
const epoch = 1420070400000

func (i id) String() string { return strconv.FormatInt(int64(i), 10) }

// MarshalText makes ids strings in JSON, as values and as keys.
func (i id) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// time is the moment that the id was made, to the millisecond.
func (i id) time() time.Time { return time.UnixMilli(int64(i)>>22 + epoch).UTC() }

// parseID reads a decimal snowflake. Zero is none.
func parseID(s string) (id, bool) {
	if s == "" || len(s) > 19 || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return id(n), err == nil && n > 0
}

// idSource makes strictly increasing ids, whatever the clock does.
type idSource struct {
	now  func() time.Time
	mu   sync.Mutex
	last id
}

func (s *idSource) next() id {
	ms := max(s.now().UnixMilli()-epoch, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, id(ms<<22))
	return s.last
}

// seen keeps the source above ids that were made by an earlier run.
func (s *idSource) seen(i id) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, i)
}
