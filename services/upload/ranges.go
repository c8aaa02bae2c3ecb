package upload

import (
	"slices"

	"discordcloud/pkg/packet"
)

// ranges is a set of part numbers, kept as its runs in order, so that it stays
// small however many parts there are. The zero ranges is empty.
type ranges struct{ runs []packet.Range }

// search gives the first run that ends at n or behind it.
func (r *ranges) search(n int64) int {
	i, _ := slices.BinarySearchFunc(r.runs, n, func(run packet.Range, n int64) int {
		if run[1] < n {
			return -1
		}
		return 1
	})
	return i
}

func (r *ranges) has(n int64) bool {
	i := r.search(n)
	return i < len(r.runs) && r.runs[i][0] <= n
}

func (r *ranges) add(n int64) { r.addRun(packet.Range{n, n}) }

// addRun adds the numbers from run[0] to run[1].
func (r *ranges) addRun(run packet.Range) {
	if run[0] > run[1] {
		return
	}
	first := r.search(run[0] - 1) // a run that ends just before is joined too
	last := first
	for last < len(r.runs) && r.runs[last][0] <= run[1]+1 {
		run[0] = min(run[0], r.runs[last][0])
		run[1] = max(run[1], r.runs[last][1])
		last++
	}
	r.runs = slices.Replace(r.runs, first, last, run)
}
