package discord

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// epoch is the first second of Discord's ids: 2015-01-01T00:00:00Z, in Unix
// milliseconds (Discord's reference, "Snowflakes").
const epoch = 1420070400000

// SnowflakeTime is when the thing that id names was made; the zero Time if id
// is no snowflake.
func SnowflakeTime(id string) time.Time {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(n>>22) + epoch)
}

// Snowflake is the least id of a thing made at t: a bound for Page. Times
// before Discord's epoch give "0".
func Snowflake(t time.Time) string {
	return strconv.FormatUint(uint64(max(t.UnixMilli()-epoch, 0))<<22, 10)
}

// compareSnowflakes orders ids by their age, oldest first.
func compareSnowflakes(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
