package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// effects are what the fired rules ask of the handlers.
type effects struct {
	fileLimit     int64
	linkLife      *time.Duration
	lag           time.Duration
	pad           int64
	newBucket     uint64
	full          bool
	lose          bool
	ignoreNonce   bool
	rename        bool
	noAttachments bool
	wrongSize     bool
	wrongID       bool
	messyList     bool
	noHeaders     bool
	ignoreRange   bool
	wrongRange    bool
	swap          bool
}

// shot is a rule that fired, with the number that decides what it left to
// chance.
type shot struct {
	Rule
	roll uint64
}

// match fires the rules that are for a call. message finds the message of the
// CDN's attachment, and is asked only if a rule wants to know.
func (f *Faults) match(c *call, message func() string) []shot {
	f.mu.Lock()
	wants := slices.ContainsFunc(f.rules, func(r *ruleState) bool { return r.Message != "" })
	f.mu.Unlock()
	about := ""
	if wants {
		about = message()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var shots []shot
	for _, r := range f.rules {
		if !r.covers(c, about) {
			continue
		}
		r.seen++
		if r.seen < r.From || r.To > 0 && r.seen > r.To || r.Times > 0 && r.fired >= r.Times {
			continue
		}
		if r.Probability > 0 && f.rand.Float64() >= r.Probability {
			continue
		}
		r.fired++
		f.counts[r.Name]++
		shots = append(shots, shot{r.Rule, f.rand.Uint64()})
	}
	return shots
}

func (r *ruleState) covers(c *call, message string) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	route := same(r.Route, c.route.pattern)
	if prefix, ok := strings.CutSuffix(r.Route, "*"); ok {
		route = strings.HasPrefix(c.route.pattern, prefix)
	}
	return route && same(r.Method, c.r.Method) && same(r.Channel, c.r.PathValue("channel")) && same(r.Message, message) &&
		same(r.Attachment, c.r.PathValue("attachment")) && (r.Bot == "" || r.Bot == c.caller())
}

// caller is the id of the bot whose token the request has, "" if there is none.
func (c *call) caller() string {
	token, _ := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bot ")
	if b := c.s.botByToken(token); b != nil {
		return b.id.String()
	}
	return ""
}

// run serves the call under the faults that fire on it.
func (c *call) run() {
	shots := c.s.faults.match(c, c.aboutMessage)
	var first *shot
	for i := range shots {
		c.fx.apply(&shots[i])
		switch shots[i].Action {
		case RateLimit, Error, Redirect, Drop:
			if first == nil {
				first = &shots[i]
			}
		case Delay:
			if shots[i].At > 0 {
				c.r.Body = &trapReader{ReadCloser: c.r.Body, left: shots[i].At, spring: func() error { return c.sleep(shots[i].Delay) }}
			} else if c.sleep(shots[i].Delay) != nil {
				c.cut = true
				return
			}
		}
	}
	finish := c.shape(shots)
	switch {
	case first == nil:
		c.handle()
	case first.Action == Drop && first.At > 0 && !first.After:
		c.r.Body = &trapReader{ReadCloser: c.r.Body, left: first.At, atEnd: true, spring: func() error {
			c.cut = true
			return http.ErrAbortHandler
		}}
		c.handle()
	case first.After:
		out := c.w
		c.w = &discard{header: http.Header{}}
		c.handle()
		c.w = out
		c.answer(first)
	default:
		c.answer(first)
	}
	if !c.cut {
		c.cut = !finish()
	}
}

// aboutMessage is the message that a request is about.
func (c *call) aboutMessage() string {
	if !c.route.cdn {
		return c.r.PathValue("message")
	}
	i, _ := parseID(c.r.PathValue("attachment"))
	var m id
	if err := c.s.store.read.QueryRowContext(c.r.Context(), `SELECT message FROM attachments WHERE id = ?`, i).Scan(&m); err != nil {
		return ""
	}
	return m.String()
}

func (fx *effects) apply(s *shot) {
	switch s.Action {
	case FileLimit:
		fx.fileLimit = s.At
	case Full:
		fx.full = true
	case Expire:
		fx.linkLife = &s.Delay
	case Lag:
		fx.lag = s.Delay
		orElse(&fx.lag, 2*time.Second)
	case Pad:
		fx.pad = s.At
	case NewBucket:
		fx.newBucket = s.roll | 1
	case Lose:
		fx.lose = true
	case IgnoreNonce:
		fx.ignoreNonce = true
	case Rename:
		fx.rename = true
	case NoAttachments:
		fx.noAttachments = true
	case WrongSize:
		fx.wrongSize = true
	case WrongID:
		fx.wrongID = true
	case MessyList:
		fx.messyList = true
	case NoHeaders:
		fx.noHeaders = true
	case IgnoreRange:
		fx.ignoreRange = true
	case WrongRange:
		fx.wrongRange = true
	case Swap:
		fx.swap = true
	}
}

func (c *call) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.r.Context().Done():
		return c.r.Context().Err()
	case <-c.s.ctx.Done():
		return c.s.ctx.Err()
	}
}

// answer gives the answer of a rule.
func (c *call) answer(s *shot) {
	status := s.Status
	switch s.Action {
	case Drop:
		c.cut = true
		return
	case Redirect:
		c.drain()
		c.w.Header().Set("Location", s.Text)
		c.w.WriteHeader(http.StatusFound)
		return
	case RateLimit:
		wait := s.Delay
		orElse(&wait, time.Second)
		switch {
		case s.Scope == "html":
			c.html(http.StatusTooManyRequests, "Access denied", "error code: 1015")
		case c.route.cdn:
			c.drain()
			c.w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
			http.Error(c.w, "Too many requests", http.StatusTooManyRequests)
		default:
			scope := s.Scope
			if scope == "" {
				scope = "user"
			}
			if scope != "global" {
				c.bucketHeaders(c.route.key(), 5, 0, c.s.cfg.Now().Add(wait))
			}
			_ = c.tooMany(c.s.cfg.Now().Add(wait), scope, s.Code) // the answer is out
		}
		return
	}
	if status == 0 {
		status = http.StatusInternalServerError
	}
	switch {
	case s.HTML:
		c.html(status, strconv.Itoa(status)+" "+http.StatusText(status), s.Text)
	default:
		text := s.Text
		if text == "" {
			text = codeText(status, s.Code)
		}
		c.fail(&apiError{status: status, code: s.Code, message: text})
	}
}
