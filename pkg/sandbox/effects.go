package sandbox

import (
	"compress/gzip"
	"io"
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
		same(r.Attachment, c.r.PathValue("attachment"))
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

// trapReader springs once after so many bytes, and if atEnd at the end at the
// latest.
type trapReader struct {
	io.ReadCloser
	left   int64
	atEnd  bool
	spring func() error
	sprung bool
	err    error
}

func (t *trapReader) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	if t.left == 0 && !t.sprung {
		t.sprung = true
		if t.err = t.spring(); t.err != nil {
			return 0, t.err
		}
	}
	if !t.sprung && int64(len(p)) > t.left {
		p = p[:t.left]
	}
	n, err := t.ReadCloser.Read(p)
	if !t.sprung {
		t.left -= int64(n)
	}
	if err == io.EOF && t.atEnd && !t.sprung {
		t.left = 0
		return n, nil
	}
	return n, err
}

// discard takes an answer that nobody gets.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// shape puts what the rules do to the answer's body around c.w. The function
// that it returns ends the body; false asks for the connection to be cut.
func (c *call) shape(shots []shot) (finish func() bool) {
	finish = func() bool { return true }
	for i := range shots {
		s := &shots[i]
		before := finish
		switch s.Action {
		case Slow, Stall, Truncate, Flip:
			sh := &shaper{ResponseWriter: c.w, c: c, shot: s}
			c.w = sh
			finish = func() bool { return sh.finish() && before() }
		case Gzip:
			z := &zipper{ResponseWriter: c.w}
			c.w = z
			finish = func() bool { return z.finish() && before() }
		}
	}
	return finish
}

// zipper compresses the body.
type zipper struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w *zipper) WriteHeader(status int) {
	if w.z == nil && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified {
		w.Header().Del("Content-Length")
		w.Header().Set("Content-Encoding", "gzip")
		w.z = gzip.NewWriter(w.ResponseWriter)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *zipper) Write(p []byte) (int, error) {
	if w.z == nil {
		w.WriteHeader(http.StatusOK)
	}
	return w.z.Write(p)
}

func (w *zipper) finish() bool { return w.z == nil || w.z.Close() == nil }

// shaper applies one rule to the body.
type shaper struct {
	http.ResponseWriter
	c       *call
	shot    *shot
	begun   bool
	at      int64 // resolved; -1 if the place lies outside the body
	pos     int64
	stalled bool
}

func (w *shaper) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	size, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		size = -1
	}
	w.at = w.shot.At
	switch {
	case w.at < 0:
		w.at = max(size+w.at, -1)
	case w.at == 0 && size > 0:
		w.at = int64(w.shot.roll % uint64(size))
	}
	if w.shot.Action == Truncate && w.at >= 0 && (size < 0 || w.at < size) {
		switch w.shot.Length {
		case "short":
			w.Header().Set("Content-Length", strconv.FormatInt(w.at, 10))
		case "chunked":
			w.Header().Del("Content-Length")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *shaper) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch w.shot.Action {
	case Slow:
		return w.slow(p)
	case Stall:
		if !w.stalled && w.at >= 0 && w.pos+int64(len(p)) > w.at {
			return w.stall(p)
		}
	case Truncate:
		if w.at >= 0 && w.pos+int64(len(p)) > w.at {
			keep := max(w.at-w.pos, 0)
			w.pos += int64(len(p))
			if _, err := w.ResponseWriter.Write(p[:keep]); err != nil {
				return 0, err
			}
			return len(p), nil // as if: the handler need not know
		}
	case Flip:
		if i := w.at - w.pos; w.at >= 0 && i >= 0 && i < int64(len(p)) {
			p = slices.Clone(p)
			p[i] ^= 1 << (w.shot.roll >> 32 % 8)
		}
	}
	n, err := w.ResponseWriter.Write(p)
	w.pos += int64(n)
	return n, err
}

func (w *shaper) flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() } // without it, the bytes come later

// Unwrap lets a shaper around this one flush.
func (w *shaper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *shaper) slow(p []byte) (int, error) {
	rate := w.shot.Rate
	orElse(&rate, 1)
	done := 0
	for done < len(p) {
		n := slice(rate, len(p)-done)
		if err := w.c.sleep(time.Duration(float64(n) / float64(rate) * float64(time.Second))); err != nil {
			return done, err
		}
		n, err := w.ResponseWriter.Write(p[done : done+n])
		done += n
		if err != nil {
			return done, err
		}
		w.flush()
	}
	return done, nil
}

func (w *shaper) stall(p []byte) (int, error) {
	w.stalled = true
	keep := w.at - w.pos
	n, err := w.ResponseWriter.Write(p[:keep])
	w.pos += int64(n)
	if err != nil {
		return n, err
	}
	w.flush()
	d := w.shot.Delay
	orElse(&d, 24*time.Hour) // until the client leaves
	if err := w.c.sleep(d); err != nil {
		return n, err
	}
	m, err := w.ResponseWriter.Write(p[keep:])
	w.pos += int64(m)
	return n + m, err
}

// finish tells whether the body ended well.
func (w *shaper) finish() bool {
	if w.shot.Action == Truncate && w.at >= 0 && w.pos > w.at && w.shot.Length != "short" {
		w.flush()
		return false
	}
	return true
}
