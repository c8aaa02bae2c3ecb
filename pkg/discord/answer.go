package discord

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
)

// answer is what an answer of Discord's says about limits.
type answer struct {
	limit, remaining int           // limit is 0 if no headers came
	reset            time.Duration // until the window ends
	hash             string
	pause            time.Duration // of a 429: what its bucket waits
	pauseAll         time.Duration // of a global 429: what everybody waits
	// invalid tells that the answer counts towards a ban of the address: 401,
	// 403 and 429, but not those of scope "shared" (Discord's reference,
	// "Invalid Request Limit").
	invalid bool
}

// waitMost bounds what is believed of a stated wait.
const waitMost = 24 * time.Hour

// readAnswer reads the headers, and of a 429 the body. A 429 that states no
// wait, as Cloudflare's page does not, is a word to the whole address: all wait
// for otherwise.
func readAnswer(status int, h http.Header, body []byte, otherwise time.Duration) answer {
	a := answer{hash: h.Get("X-RateLimit-Bucket")}
	limit, errLimit := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	remaining, errRemaining := strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	reset, okReset := seconds(h.Get("X-RateLimit-Reset-After"))
	if errLimit == nil && errRemaining == nil && okReset && limit > 0 {
		a.limit, a.remaining, a.reset = limit, min(max(remaining, 0), limit), reset
	}
	scope := h.Get("X-RateLimit-Scope")
	a.invalid = status == http.StatusUnauthorized || status == http.StatusForbidden ||
		status == http.StatusTooManyRequests && scope != "shared"
	if status != http.StatusTooManyRequests {
		return a
	}

	var said struct {
		After  *float64 `json:"retry_after"`
		Global bool     `json:"global"`
	}
	isJSON := json.Unmarshal(body, &said) == nil
	wait, stated := seconds(h.Get("Retry-After"))
	if isJSON && said.After != nil { // the body has the fraction that the header rounds away
		if w, ok := duration(*said.After); ok {
			wait, stated = w, true
		}
	}
	if !stated {
		wait = otherwise
	}
	wait = max(wait, time.Millisecond)
	if said.Global || scope == "global" || h.Get("X-RateLimit-Global") == "true" || !isJSON {
		a.pauseAll = wait
	} else {
		a.pause = wait
	}
	return a
}

// seconds reads a header in seconds with decimals.
func seconds(s string) (time.Duration, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, false
	}
	return duration(f)
}

func duration(s float64) (time.Duration, bool) {
	if math.IsNaN(s) || s < 0 {
		return 0, false
	}
	return time.Duration(min(s, waitMost.Seconds()) * float64(time.Second)), true
}
