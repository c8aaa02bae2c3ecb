package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"discordcloud/pkg/cloud"
)

var units = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
}

// ParseBytes reads a size such as 64MiB, 1 GiB or 4096. ErrInvalid otherwise,
// also beyond what an int64 holds.
func ParseBytes(text string) (int64, error) {
	number, factor := strings.TrimSpace(text), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%w: %q is not a size", cloud.ErrInvalid, text)
	}
	return n * factor, nil
}

// FormatBytes writes a size so that ParseBytes reads it back exactly, in the
// largest unit that fits without a rest.
func FormatBytes(n int64) string {
	for _, u := range units {
		if n >= u.size && n%u.size == 0 && u.size > 1 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}
