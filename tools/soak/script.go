package main

import (
	"time"

	"discordcloud/pkg/sandbox"
)

const (
	messages = "/channels/{channel}/messages"
	refresh  = "/attachments/refresh-urls"
	cdn      = "/attachments/{channel}/{attachment}/{file}"
)

// script is what goes wrong: of all requests one in ten is limited and three in
// a hundred end with 5xx, half of those after their work was done; of transfers
// some are cut, damaged or stalled in the middle.
func script(worse float64) []sandbox.Rule {
	rules := []sandbox.Rule{
		{Name: "429 user", Route: "/channels/*", Probability: 0.07, Action: sandbox.RateLimit, Delay: 100 * time.Millisecond},
		{Name: "429 shared", Route: "/channels/*", Probability: 0.02, Action: sandbox.RateLimit, Scope: "shared", Delay: 100 * time.Millisecond},
		{Name: "429 global", Route: "/channels/*", Probability: 0.01, Action: sandbox.RateLimit, Scope: "global", Delay: 100 * time.Millisecond},
		{Name: "429 refresh", Route: refresh, Probability: 0.10, Action: sandbox.RateLimit, Delay: 100 * time.Millisecond},
		{Name: "429 cdn", Route: cdn, Probability: 0.02, Action: sandbox.RateLimit, Delay: 100 * time.Millisecond},

		{Name: "5xx", Route: "*", Probability: 0.015, Action: sandbox.Error, Status: 502, HTML: true},
		{Name: "5xx after the work", Route: "*", Method: "POST", Probability: 0.03, Action: sandbox.Error, Status: 503, After: true},
		{Name: "cut after the work", Method: "POST", Route: messages, Probability: 0.01, Action: sandbox.Drop, After: true},

		{Name: "reset in the request", Method: "POST", Route: messages, Probability: 0.02, Action: sandbox.Drop, At: 5000},
		{Name: "reset in the answer", Route: cdn, Probability: 0.02, Action: sandbox.Truncate, Length: "full"},
		{Name: "truncated", Route: cdn, Probability: 0.01, Action: sandbox.Truncate, Length: "short"},
		{Name: "flipped", Route: cdn, Probability: 0.005, Action: sandbox.Flip},
		{Name: "expired", Route: cdn, Probability: 0.01, Action: sandbox.Expire},
		{Name: "stalled", Route: cdn, Probability: 0.005, Action: sandbox.Stall},
	}
	for i := range rules {
		rules[i].Probability = min(rules[i].Probability*worse, 0.9)
	}
	return rules
}
