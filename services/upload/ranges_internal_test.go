package upload

import (
	"math/rand/v2"
	"testing"

	"discordcloud/pkg/packet"
)

func TestRanges(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		var r ranges
		want := map[int64]bool{}
		for range 60 {
			first := random.Int64N(100)
			last := first + random.Int64N(6) - 1 // sometimes none
			r.addRun(packet.Range{first, last})
			for n := first; n <= last; n++ {
				want[n] = true
			}
			r.add(first)
			want[first] = true
		}
		for n := int64(-1); n < 110; n++ {
			if r.has(n) != want[n] {
				t.Fatalf("seed %d: has(%d) = %v: %v", seed, n, r.has(n), r.runs)
			}
		}
		for i, run := range r.runs {
			if run[0] > run[1] || i > 0 && r.runs[i-1][1] >= run[0]-1 {
				t.Fatalf("seed %d: runs are not apart: %v", seed, r.runs)
			}
		}
	}
}
