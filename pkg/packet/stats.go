package packet

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Reasons for which a Conn drops packets that are not malformed.
const (
	Unexpected Reason = "reply"   // a reply that nobody waits for
	Late       Reason = "closing" // came after Close
)

// Stats is what a Conn has done so far.
type Stats struct {
	Sent, Received           int64 // packets
	SentBytes, ReceivedBytes int64
	Dropped                  map[Reason]int64 // of those received
}

type stats struct {
	sent, received, sentBytes, receivedBytes atomic.Int64

	mu      sync.Mutex
	dropped map[Reason]int64 // nil until there is one
}

func (s *stats) drop(r Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped == nil {
		s.dropped = make(map[Reason]int64)
	}
	s.dropped[r]++
}

// Stats counts what the connection has sent, received and dropped.
func (c *Conn) Stats() Stats {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	return Stats{
		Sent: c.stats.sent.Load(), SentBytes: c.stats.sentBytes.Load(),
		Received: c.stats.received.Load(), ReceivedBytes: c.stats.receivedBytes.Load(),
		Dropped: maps.Clone(c.stats.dropped),
	}
}
