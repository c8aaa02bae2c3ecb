package serve

import (
	"errors"
	"net/http"
	"strings"
)

// Range is n bytes from Offset.
type Range struct{ Offset, Length int64 }

// MaxRanges is how many ranges one request may ask for; more are answered with
// the whole.
const MaxRanges = 16

// ErrUnsatisfiable says that none of the ranges lies in the file: 416.
var ErrUnsatisfiable = errors.New("no range lies in the file")

// ParseRange reads a Range header (RFC 9110 §14) for a file of size bytes. The
// ranges are clipped to the file and in the order asked for. None at all means
// the whole file: without header, for another unit, for what is malformed, for
// more than MaxRanges, and where several overlap or are no less than the whole.
// Neither result ever asks for more bytes than the file has.
func ParseRange(header string, size int64) ([]Range, error) {
	unit, set, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Count(set, ",") >= 2*MaxRanges {
		return nil, nil
	}
	var ranges []Range
	specs := 0
	for spec := range strings.SplitSeq(set, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue // RFC 9110 §5.6.1: empty elements of a list are ignored
		}
		if specs++; specs > MaxRanges {
			return nil, nil
		}
		r, valid, inside := parseSpec(spec, size)
		if !valid {
			return nil, nil
		}
		if inside {
			ranges = append(ranges, r)
		}
	}
	switch {
	case specs == 0:
		return nil, nil
	case len(ranges) == 0:
		return nil, ErrUnsatisfiable
	case len(ranges) > 1 && !worth(ranges, size):
		return nil, nil
	}
	return ranges, nil
}

// parseSpec reads "a-b", "a-" or "-n".
func parseSpec(spec string, size int64) (r Range, valid, inside bool) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return Range{}, false, false
	}
	if first == "" {
		n, ok := parseDigits(last)
		if !ok {
			return Range{}, false, false
		}
		n = min(n, size)
		return Range{size - n, n}, true, n > 0
	}
	from, ok := parseDigits(first)
	if !ok {
		return Range{}, false, false
	}
	to := size - 1
	if last != "" {
		n, ok := parseDigits(last)
		if !ok || n < from {
			return Range{}, false, false
		}
		to = min(n, to)
	}
	if from >= size {
		return Range{}, true, false
	}
	return Range{from, to - from + 1}, true, true
}

// parseDigits reads a number; one too large for int64 is the largest.
func parseDigits(s string) (int64, bool) {
	const most = 1<<63 - 1
	if s == "" {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 {
			return 0, false
		}
		if n > (most-d)/10 {
			n = most
			continue
		}
		n = n*10 + d
	}
	return n, true
}

// worth tells whether several ranges are to be answered as such: they do not
// overlap, and are less than the whole.
func worth(ranges []Range, size int64) bool {
	var sum int64
	for i, a := range ranges {
		for _, b := range ranges[:i] {
			if a.Offset < b.Offset+b.Length && b.Offset < a.Offset+a.Length {
				return false
			}
		}
		sum += a.Length // no overlap: at most size
	}
	return sum < size
}

// Begins is where the first range that a request asks for begins: at 0 without one.
func Begins(r *http.Request, size int64) int64 {
	if ranges, err := ParseRange(r.Header.Get("Range"), size); err == nil && len(ranges) > 0 {
		return ranges[0].Offset
	}
	return 0
}
