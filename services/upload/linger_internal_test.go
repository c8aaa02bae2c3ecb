package upload

import (
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/pkg/packet"
)

// TestSweep_forgets ends more uploads than are remembered, and some that are.
func TestSweep_forgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Linger: time.Minute})
		end := func(n int) {
			for range n {
				u, err := newTransfer(packet.UploadOpen{
					UploadID: packet.NewUUID(), Object: "00112233445566778899aabbccddeeff", Size: 1, ChunkSize: 1,
				})
				if err != nil {
					t.Fatal(err)
				}
				u.end(errClosed, time.Now())
				s.mu.Lock()
				s.transfers[u.id] = u
				s.mu.Unlock()
			}
		}
		go s.sweep(t.Context()) // the bubble waits for it
		for _, tc := range []struct {
			name      string
			ended     int
			after     time.Duration
			remaining int
		}{
			{"few are kept", 10, 30 * time.Second, 10},
			{"but not for ever", 0, 40 * time.Second, 0},
			{"many are not", lingerMost + 1, 2 * time.Second, 0},
		} {
			end(tc.ended)
			time.Sleep(tc.after) // of the bubble's clock
			synctest.Wait()
			if got := len(s.all()); got != tc.remaining {
				t.Errorf("%s: %d transfers, want %d", tc.name, got, tc.remaining)
			}
		}
	})
}
