package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Action is what a fault rule does to a request.
type Action string

// The actions. "Call" is the request that the rule fired on.
const (
	// RateLimit answers 429 after Scope: "user" (the default), "global", "shared",
	// or "html" as Cloudflare writes it. Delay is the wait told, 1 s by default.
	RateLimit Action = "rate-limit"
	// Error answers Status (500 by default) with Code and Text as JSON, or with a
	// page if HTML is set. Status may be 200.
	Error Action = "error"
	// Redirect answers 302 to Text.
	Redirect Action = "redirect"
	// Drop cuts the connection. With At > 0 it first takes that many bytes of the
	// request's body.
	Drop Action = "drop"
	// Delay waits for Delay before the call is served. With At > 0 it waits within
	// the request's body, after so many bytes.
	Delay Action = "delay"

	// Slow sends the answer's body at Rate bytes a second.
	Slow Action = "slow"
	// Stall sends At bytes of the answer's body, then nothing for Delay (until the
	// client leaves if that is 0), then the rest.
	Stall Action = "stall"
	// Truncate ends the answer's body after At bytes. Length says how: "full" (the
	// default) promises the whole and cuts the connection, "short" promises what
	// it sends, "chunked" promises nothing and cuts.
	Truncate Action = "truncate"
	// Flip inverts one bit of byte At of the answer's body.
	Flip Action = "flip"
	// Gzip sends the answer's body compressed, asked or not.
	Gzip Action = "gzip"
	// IgnoreRange has the CDN answer 200 and the whole attachment.
	IgnoreRange Action = "ignore-range"
	// WrongRange has the CDN answer a range shifted by one byte.
	WrongRange Action = "wrong-range"
	// Swap has the CDN send another attachment's bytes, where there is another.
	Swap Action = "swap"

	// Expire makes links expire early: those in the call's answer live for Delay
	// (0: have expired already); on the CDN the call's own link has expired.
	Expire Action = "expire"
	// Lose loses a message: created and answered, then removed. On reading calls
	// and on the CDN it is just not found.
	Lose Action = "lose"
	// Lag hides the message that the call creates for Delay, 2 s by default, from
	// reading calls and the CDN.
	Lag Action = "lag"
	// FileLimit lowers the size of one attachment to At bytes for the call.
	FileLimit Action = "file-limit"
	// Full has the call find the disk full where it keeps attachments: 507, as when
	// it is. Discord has no such answer.
	Full Action = "full"
	// IgnoreNonce posts again in spite of enforce_nonce.
	IgnoreNonce Action = "ignore-nonce"
	// Rename stores the call's attachments under other names.
	Rename Action = "rename"
	// NoAttachments leaves the attachments out of the answer's messages.
	NoAttachments Action = "no-attachments"
	// WrongSize answers with attachment sizes too large by one.
	WrongSize Action = "wrong-size"
	// WrongID answers with the ids of attachments that do not exist.
	WrongID Action = "wrong-id"
	// Pad adds an unknown field of At bytes to the answer's messages.
	Pad Action = "pad"
	// MessyList has a listing of messages miss its last one, repeat its first, and
	// come out of order.
	MessyList Action = "messy-list"
	// NoHeaders leaves the rate limit headers out.
	NoHeaders Action = "no-headers"
	// NewBucket changes the name of the bucket in the rate limit headers.
	NewBucket Action = "new-bucket"
)

var actions = []Action{
	RateLimit, Error, Redirect, Drop, Delay, Slow, Stall, Truncate, Flip, Gzip, IgnoreRange, WrongRange, Swap, Expire, Lose,
	Lag, FileLimit, Full, IgnoreNonce, Rename, NoAttachments, WrongSize, WrongID, Pad, MessyList, NoHeaders, NewBucket,
}

// Rule is one fault: which requests it is for, how often, and what happens.
// Every rule that matches a request fires; of several that answer it, the one
// added first does.
type Rule struct {
	// Name is the rule's key in Counts and Remove. Empty stands for a made one.
	Name string `json:"name,omitempty"`

	// Method and Route choose requests: Route as Routes lists them, such as
	// "/channels/{channel}/messages", or with a trailing * as a prefix. Ids are
	// compared as in the path; for the CDN, Message is the attachment's message.
	// Empty fields match everything.
	Method     string `json:"method,omitempty"`
	Route      string `json:"route,omitempty"`
	Channel    string `json:"channel,omitempty"`
	Message    string `json:"message,omitempty"`
	Attachment string `json:"attachment,omitempty"`
	// Bot chooses the requests of one bot, by its id.
	Bot string `json:"bot,omitempty"`

	// From and To choose among the matching requests, counted from 1 and inclusive.
	// 0 stands for the first and for no end.
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
	// Probability in (0, 1) lets the seed decide each time; 0 stands for 1.
	Probability float64 `json:"probability,omitempty"`
	// Times bounds how often the rule fires; 0 does not.
	Times int `json:"times,omitempty"`

	Action Action `json:"action"`
	// After serves the request first and throws its answer away: what it changes
	// is committed. It goes with RateLimit, Error, Redirect and Drop.
	After bool `json:"after,omitempty"`

	Status int    `json:"status,omitempty"`
	Code   int    `json:"code,omitempty"`
	Text   string `json:"text,omitempty"`
	HTML   bool   `json:"html,omitempty"`
	Scope  string `json:"scope,omitempty"`
	// Delay is in seconds in JSON, with decimals.
	Delay time.Duration `json:"-"`
	// At is a count or an offset of bytes. For Flip, Truncate and Stall a negative
	// one counts from the body's end, and 0 lets the seed choose.
	At int64 `json:"at,omitempty"`
	// Rate is bytes per second, 1 by default.
	Rate int64 `json:"rate,omitempty"`
	// Length is how Truncate declares the body: "full", "short" or "chunked".
	Length string `json:"length,omitempty"`
}

type plainRule Rule

// MarshalJSON writes the rule with its delay in seconds.
func (r Rule) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		plainRule
		Seconds float64 `json:"delay,omitempty"`
	}{plainRule(r), r.Delay.Seconds()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Rule) UnmarshalJSON(b []byte) error {
	var v struct {
		plainRule
		Seconds float64 `json:"delay"`
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields() // a misspelt field would match too much
	if err := dec.Decode(&v); err != nil {
		return err
	}
	*r = Rule(v.plainRule)
	r.Delay = time.Duration(v.Seconds * float64(time.Second))
	return nil
}

func (r Rule) check() error {
	if !slices.Contains(actions, r.Action) {
		return fmt.Errorf("fault rule: unknown action %q", r.Action)
	}
	if r.From < 0 || r.To < 0 || r.Times < 0 || r.Delay < 0 || r.Rate < 0 {
		return fmt.Errorf("fault rule %s: a negative number", r.Action)
	}
	if r.Probability < 0 || r.Probability > 1 {
		return fmt.Errorf("fault rule %s: probability %v is not in [0, 1]", r.Action, r.Probability)
	}
	if r.Status != 0 && (r.Status < 200 || r.Status > 599) {
		return fmt.Errorf("fault rule %s: status %d", r.Action, r.Status)
	}
	switch r.Scope {
	case "", "user", "global", "shared", "html":
	default:
		return fmt.Errorf("fault rule %s: unknown scope %q", r.Action, r.Scope)
	}
	switch r.Length {
	case "", "full", "short", "chunked":
	default:
		return fmt.Errorf("fault rule %s: unknown length %q", r.Action, r.Length)
	}
	return nil
}

// Faults is the server's fault script. It is safe for concurrent use.
type Faults struct {
	mu     sync.Mutex
	rules  []*ruleState
	rand   *rand.Rand
	made   int
	counts map[string]int
}

type ruleState struct {
	Rule
	seen, fired int
}

func newFaults(seed uint64) *Faults {
	return &Faults{rand: rand.New(rand.NewPCG(seed, seed)), counts: map[string]int{}}
}

// Add appends rules to the script. It panics on a rule that makes no sense: a
// test's script is a part of its program. TryAdd returns the error instead.
func (f *Faults) Add(rules ...Rule) {
	if err := f.TryAdd(rules...); err != nil {
		panic("sandbox: " + err.Error())
	}
}

// TryAdd appends all rules to the script, or none.
func (f *Faults) TryAdd(rules ...Rule) error {
	for _, r := range rules {
		if err := r.check(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rules {
		if r.Name == "" {
			f.made++
			r.Name = fmt.Sprintf("rule-%d", f.made)
		}
		f.rules = append(f.rules, &ruleState{Rule: r})
		f.counts[r.Name] += 0
	}
	return nil
}

// Remove takes the rules of a name out of the script and tells how many.
func (f *Faults) Remove(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.rules)
	f.rules = slices.DeleteFunc(f.rules, func(r *ruleState) bool { return r.Name == name })
	return n - len(f.rules)
}

// Clear empties the script. The counts stay.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Rules is a copy of the script.
func (f *Faults) Rules() []Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	rules := make([]Rule, len(f.rules))
	for i, r := range f.rules {
		rules[i] = r.Rule
	}
	return rules
}

// Counts tells how often the rules of each name have fired since the start.
func (f *Faults) Counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := make(map[string]int, len(f.counts))
	for name, n := range f.counts {
		counts[name] = n
	}
	return counts
}
