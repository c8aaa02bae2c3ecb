package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// call is one request on its way through the server.
type call struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	route  *route
	bot    *bot // the caller; nil on routes without authorization
	fx     effects
	base   string // of links in the answer
	shared bool   // the answer is a 429 that does not count as invalid
	cut    bool   // the connection is to be cut instead of answered
}

// serve takes every request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		panic(http.ErrAbortHandler) // how net/http is told to cut the connection
	}
	if s.public.Load() == nil {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		s.public.CompareAndSwap(nil, new(scheme+r.Host))
	}
	steps := split(r.URL.Path)
	w.Header().Set("Date", s.cfg.Now().UTC().Format(http.TimeFormat))
	switch {
	case len(steps) == 0 && isUpgrade(r), len(steps) == 1 && steps[0] == "gateway":
		s.serveGateway(w, r)
	case len(steps) > 0 && steps[0] == "sandbox":
		s.serveAdmin(w, r, steps[1:])
	default:
		s.serveCall(w, r, steps)
	}
}

// serveCall takes requests of the API and of the CDN.
func (s *Server) serveCall(w http.ResponseWriter, r *http.Request, steps []string) {
	rec := &recorder{ResponseWriter: w}
	body := &countingReader{ReadCloser: r.Body}
	r.Body = body
	c := &call{s: s, w: rec, r: r, base: s.URL()}
	key := "unknown"
	defer func() { s.stats.count(key, rec.status, body.n, rec.n) }()

	cdn := len(steps) == 4 && steps[0] == "attachments"
	if !cdn {
		var err error
		if steps, err = apiSteps(steps); err != nil {
			c.fail(err)
			return
		}
		if until, banned := s.limits.banned(c.address()); banned && s.settings().mode != Off {
			s.stats.refuse()
			c.html(http.StatusForbidden, "Sorry, you have been blocked", "until "+until.UTC().Format(time.RFC3339))
			return
		}
	}
	route, known := s.routes.find(r, steps, cdn)
	switch {
	case route == nil && known:
		c.fail(fail(http.StatusMethodNotAllowed, 0))
		return
	case route == nil:
		c.fail(fail(http.StatusNotFound, 0))
		return
	}
	c.route, key = route, route.key()
	c.run()
	if !cdn && !c.shared {
		switch rec.status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
			s.countInvalid(c.address())
		}
	}
	if c.cut {
		panic(http.ErrAbortHandler) // as above
	}
}

// apiSteps takes /api and the version off a path.
func apiSteps(steps []string) ([]string, error) {
	if len(steps) == 0 || steps[0] != "api" {
		return nil, fail(http.StatusNotFound, 0)
	}
	steps = steps[1:]
	if len(steps) > 0 && len(steps[0]) > 1 && steps[0][0] == 'v' {
		if v, err := strconv.Atoi(steps[0][1:]); err == nil {
			if v < 6 || v > 10 {
				return nil, fail(http.StatusBadRequest, 50041)
			}
			steps = steps[1:]
		}
	}
	return steps, nil
}

// handle authorizes, limits and serves the call.
func (c *call) handle() {
	err := c.admit()
	if err == nil {
		err = c.route.handle(c)
	}
	if err != nil {
		c.fail(err)
	}
}

func (c *call) admit() error {
	if c.route.cdn {
		return nil
	}
	set := c.s.settings()
	if set.limits.RequireUserAgent && !strings.HasPrefix(c.r.UserAgent(), "DiscordBot (") {
		return fail(http.StatusForbidden, 40333)
	}
	if c.route.auth == byBot {
		token, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bot ")
		if c.bot = c.s.botByToken(token); !ok || c.bot == nil {
			return fail(http.StatusUnauthorized, 0)
		}
	}
	return c.limit(set)
}

// address is the client's, without the port.
func (c *call) address() string {
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		return c.r.RemoteAddr
	}
	return host
}

// pathID reads an id of the path. An unreadable one is a form error, as on
// Discord.
func (c *call) pathID(name string) (id, error) {
	v := c.r.PathValue(name)
	if i, ok := parseID(v); ok {
		return i, nil
	}
	return 0, formFail("NUMBER_TYPE_COERCE", `Value "`+v+`" is not snowflake.`, name+"_id")
}

// json answers with v.
func (c *call) json(status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b.Bytes()) // a client that left needs no answer
	return nil
}

func (c *call) noContent() error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// fail answers with an error. One that is not an apiError is the server's own
// fault.
func (c *call) fail(err error) {
	if c.cut || errors.Is(err, errAnswered) {
		return
	}
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		if c.r.Context().Err() == nil {
			c.s.log.Error("request failed", "route", c.route.key(), "err", err)
		}
		e = &apiError{status: http.StatusInternalServerError, message: codeText(http.StatusInternalServerError, 0)}
	}
	c.drain()
	body := map[string]any{"message": e.message, "code": e.code}
	if e.errors != nil {
		body["errors"] = e.errors
	}
	_ = c.json(e.status, body) // maps of these always encode
}

// drain reads what is left of the request, within the bounds of one: a client
// that is still sending would not see the answer before a cut connection.
func (c *call) drain() {
	if c.r.Body != nil && !c.cut {
		_, _ = io.CopyN(io.Discard, c.r.Body, c.s.settings().limits.RequestSize+mib) // the answer is an error already
	}
}

// html answers as Cloudflare does in front of Discord.
func (c *call) html(status int, title, text string) {
	c.drain()
	page := "<!DOCTYPE html>\n<html><head><title>" + title + "</title></head>\n<body><h1>" + title + "</h1><p>" + text + "</p></body></html>\n"
	h := c.w.Header()
	h.Set("Content-Type", "text/html; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Server", "cloudflare")
	c.w.WriteHeader(status)
	_, _ = io.WriteString(c.w, page) // a client that left needs no answer
}

// recorder remembers what went out.
type recorder struct {
	http.ResponseWriter
	status int
	n      int64
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	return n, err
}

// ReadFrom leaves a file's way to the socket to the system.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := io.Copy(w.ResponseWriter, r)
	w.n += n
	return n, err
}

type countingReader struct {
	io.ReadCloser
	n int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.n += int64(n)
	return n, err
}
