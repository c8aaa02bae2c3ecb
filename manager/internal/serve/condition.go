package serve

import (
	"net/http"
	"strings"
	"time"
)

// outcome is what the conditions of a request make of it.
type outcome int

const (
	proceed outcome = iota
	notModified
	preconditionFailed
)

// evaluate takes the conditions in the order of RFC 9110 §13.2.2. etag is strong
// and quoted.
func evaluate(r *http.Request, etag string, modified time.Time) outcome {
	h := r.Header
	if match := h.Values("If-Match"); len(match) > 0 {
		if !matches(match, etag, false) {
			return preconditionFailed
		}
	} else if since, ok := httpDate(h.Get("If-Unmodified-Since")); ok && !modified.IsZero() {
		if modified.Truncate(time.Second).After(since) {
			return preconditionFailed
		}
	}
	if none := h.Values("If-None-Match"); len(none) > 0 {
		if matches(none, etag, true) {
			return notModified
		}
	} else if since, ok := httpDate(h.Get("If-Modified-Since")); ok && !modified.IsZero() {
		if !modified.Truncate(time.Second).After(since) {
			return notModified
		}
	}
	return proceed
}

// rangeHolds tells whether If-Range lets the Range header count. A date counts
// only if it is a strong validator: RFC 9110 §8.8.2.2, a minute old.
func rangeHolds(r *http.Request, etag string, modified time.Time) bool {
	v := r.Header.Get("If-Range")
	if v == "" {
		return true
	}
	if strings.HasPrefix(v, `"`) || strings.HasPrefix(v, "W/") {
		return v == etag
	}
	date, ok := httpDate(v)
	return ok && date.Equal(modified.Truncate(time.Second)) && time.Since(date) >= time.Minute
}

// matches tells whether a list of entity tags has etag, or is "*". Weak
// comparison looks past "W/".
func matches(lines []string, etag string, weak bool) bool {
	for _, line := range lines {
		for line = strings.TrimLeft(line, " \t,"); line != ""; line = strings.TrimLeft(line, " \t,") {
			if line[0] == '*' {
				return true
			}
			tag := line
			isWeak := strings.HasPrefix(tag, "W/")
			if isWeak {
				tag = tag[2:]
			}
			if !strings.HasPrefix(tag, `"`) {
				break // malformed: what follows cannot be told apart
			}
			end := strings.IndexByte(tag[1:], '"')
			if end < 0 {
				break
			}
			line = tag[end+2:]
			if tag[:end+2] == etag && (weak || !isWeak) {
				return true
			}
		}
	}
	return false
}

func httpDate(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	t, err := http.ParseTime(s)
	return t, err == nil
}
