// Package dav is the tree over WebDAV (RFC 4918, classes 1 and 2): what file
// managers, sync programs and phones speak. It turns requests into calls of vfs
// and dispatch, which decide and do; what WebDAV alone needs, locks and dead
// properties, it keeps in the database. Who asks, and whether a password may be
// taken at all, is known before it is asked.
//
// # Why
//
// golang.org/x/net/webdav would have been the obvious base. It asks a file system
// four questions for each entry of a listing and builds the document in memory,
// has no shared locks, takes bodies of any depth, and evaluates If headers in
// part; what is left of it once these are replaced is less than this package.
//
// A lock belongs to an entry, not to an address: RFC 4918 has locks on addresses
// without a resource only as the empty file that LOCK makes there. When an entry
// moves its locks stay behind; those of one that is replaced pass to what is
// there then.
//
// Depth: infinity is refused for PROPFIND (RFC 4918 §9.1 allows it): one such
// request asks for everything that is stored.
package dav

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/serve"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// Options are what a Handler stands on. FS, Put and Bus are needed.
type Options struct {
	FS *vfs.FS
	// Put stores a file: dispatch.Dispatcher's.
	Put func(context.Context, policy.Principal, dispatch.PutRequest) (meta.Finished, error)
	Bus *event.Bus // tells when app passwords end, and with them what they carry
	// Alive tells whether the app password of a principal is still there; nil is
	// always.
	Alive func(context.Context, policy.Principal) error
	// Prefix is the path of the tree; "" is "/dav".
	Prefix string
	// PublicURL is under which address people reach us, "" if it is not known:
	// clients name destinations by it.
	PublicURL string
	// Refuse lists patterns of names (path.Match) that nothing may be called that
	// is made here, such as "desktop.ini".
	Refuse []string
	// Stall is how long a client may take for the next bytes; 0 is 2 minutes.
	Stall time.Duration
	Now   func() time.Time // nil is time.Now
	Log   *slog.Logger     // nil is silent
}

// Handler answers WebDAV requests. It is safe for concurrent use.
type Handler struct {
	Options
	log    *slog.Logger
	sender serve.Sender
}

// New makes a Handler.
func New(o Options) *Handler {
	h := &Handler{Options: o, log: o.Log}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.Prefix == "" {
		h.Prefix = "/dav"
	}
	if h.Stall <= 0 {
		h.Stall = 2 * time.Minute
	}
	if h.Now == nil {
		h.Now = time.Now
	}
	h.sender = serve.Sender{Stall: h.Stall, Log: h.log}
	return h
}

// Run removes expired locks, now and then, until ctx ends.
func (h *Handler) Run(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if err := h.FS.Store.ExpireLocks(ctx, h.Now()); err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "expired locks not removed", "err", err) // they hold nobody up
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// request is a request under way.
type request struct {
	*Handler
	w     http.ResponseWriter
	r     *http.Request
	who   policy.Principal
	ends  int64    // of sessions, before who was looked up
	names []string // of what it is about
	top   []string // path of the subtree that who is confined to
	cond  condition
	body  func() ([]byte, error) // reads it once, up to maxXML

	// What a look has found, for what is done then.
	place   place
	content *vfs.Content
	outline *outline
}

func (q *request) ctx() context.Context { return q.r.Context() }

// method is how a method is answered.
type method struct {
	// look reads what is there, if anything, in one transaction with all that is asked
	// before: it may run again.
	look func(*request) error
	do   func(*request) error
}

var methods = map[string]method{
	http.MethodOptions: {do: (*request).options},
	http.MethodGet:     {(*request).lookFile, (*request).get},
	http.MethodHead:    {(*request).lookFile, (*request).get},
	http.MethodPut:     {(*request).lookPut, (*request).put},
	http.MethodDelete:  {do: (*request).delete},
	"MKCOL":            {do: (*request).makeFolder},
	"COPY":             {do: (*request).copy},
	"MOVE":             {do: (*request).move},
	"PROPFIND":         {(*request).lookOutline, (*request).propfind},
	"PROPPATCH":        {do: (*request).proppatch},
	"LOCK":             {do: (*request).lock},
	"UNLOCK":           {do: (*request).unlock},
}

const allowed = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK"

// Serve answers a request on behalf of who is admitted. admit may be called several
// times; an error is its own, and nothing is answered then.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, admit func(context.Context) (policy.Principal, error)) error {
	if r.Method != http.MethodPut && r.Method != http.MethodGet { // those have a time for each block
		rc := http.NewResponseController(w)
		_ = rc.SetReadDeadline(time.Now().Add(h.Stall)) // of what is no connection: it does not hang either
		_ = rc.SetWriteDeadline(time.Now().Add(h.Stall))
	}
	q := &request{Handler: h, w: w, r: r, body: sync.OnceValues(func() ([]byte, error) {
		return io.ReadAll(http.MaxBytesReader(w, r.Body, maxXML))
	})}
	if h.Bus != nil {
		q.ends = h.Bus.Ends()
	}
	refused := false
	err := h.FS.Store.Together(r.Context(), "dav look "+r.Method, func(ctx context.Context) (err error) {
		*q = request{Handler: h, w: w, r: r.WithContext(ctx), ends: q.ends, body: q.body}
		q.who, err = admit(ctx)
		if refused = err != nil; refused {
			return err
		}
		return q.look()
	})
	q.r = r
	if refused {
		return err
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	if err == nil {
		err = methods[r.Method].do(q)
	}
	if err != nil {
		q.fail(err)
	}
	return nil
}

func (q *request) look() (err error) {
	m, known := methods[q.r.Method]
	if !known {
		q.w.Header().Set("Allow", allowed)
		return refusef(http.StatusMethodNotAllowed, "there is no such method here")
	}
	if q.names, err = q.parsePath(q.r.URL.Path); err != nil {
		return err
	}
	if q.top, err = q.FS.PathOf(q.ctx(), q.who.Top()); err != nil || q.r.Method == http.MethodOptions {
		return err
	}
	if q.cond, err = parseIf(q.r.Header.Values("If")); err != nil {
		return err
	}
	if err := q.evaluate(); err != nil || m.look == nil {
		return err
	}
	return m.look(q)
}

func (q *request) options() error {
	h := q.w.Header()
	h.Set("DAV", "1, 2")
	h.Set("MS-Author-Via", "DAV") // Windows and Office look for it
	h.Set("Accept-Ranges", "bytes")
	h.Set("Allow", allowed)
	h.Set("Content-Length", "0")
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// refusal is an answer that is not the one asked for.
type refusal struct {
	status    int
	text      string
	condition string // name of the element in DAV: that says which condition failed, "" for none
	href      string // that it was about, if the element holds one
}

func (e *refusal) Error() string {
	return fmt.Sprintf("status %d: %s%s", e.status, e.condition, e.text)
}

func refusef(status int, format string, args ...any) error {
	return &refusal{status: status, text: fmt.Sprintf(format, args...)}
}

// retryLater is what clients are told to wait when nothing better is known.
const retryLater = 10 * time.Second

// drainTime is how long the rest of a body is waited for whose request was refused:
// net/http reads some of it before it answers, since who is still sending would
// not see the answer of a connection that is cut.
const drainTime = 2 * time.Second

// fail answers an error that came before anything was sent.
func (q *request) fail(err error) {
	if q.r.Method == http.MethodPut {
		_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(drainTime)) // of what is no connection: it does not hang either
	}
	no, ok := errors.AsType[*refusal](err)
	if !ok {
		no = &refusal{status: serve.StatusOf(err), text: cloud.TextOf(err)}
	}
	_, told := errors.AsType[*cloud.UserError](err)
	switch {
	case errors.Is(err, meta.ErrAgain):
		return // nobody gets this answer
	case q.ctx().Err() != nil:
		q.log.DebugContext(q.ctx(), "request ended by its sender", "method", q.r.Method)
	case no.status >= http.StatusInternalServerError && no.status != http.StatusServiceUnavailable && no.status != http.StatusInsufficientStorage:
		q.log.ErrorContext(q.ctx(), "request failed", "method", q.r.Method, "status", no.status, "err", err)
	case no.status >= http.StatusInternalServerError && !(told && no.status == http.StatusInsufficientStorage): // that is a quota
		q.log.WarnContext(q.ctx(), "request failed", "method", q.r.Method, "status", no.status, "err", err)
	default:
		q.log.DebugContext(q.ctx(), "request refused", "method", q.r.Method, "status", no.status, "condition", no.condition)
	}
	header := q.w.Header()
	if no.status == http.StatusServiceUnavailable || no.status == http.StatusTooManyRequests {
		wait := retryLater
		if after, ok := errors.AsType[*retry.AfterError](err); ok {
			wait = after.Wait
		}
		header.Set("Retry-After", strconv.FormatInt(max(1, int64((wait+time.Second-1)/time.Second)), 10))
	}
	if no.condition == "" {
		http.Error(q.w, no.text, no.status)
		return
	}
	header.Set("Content-Type", xmlType)
	q.w.WriteHeader(no.status)
	var b xmlWriter
	b.text(xmlHead + `<D:error xmlns:D="DAV:">`)
	if no.href == "" {
		b.text("<D:" + no.condition + "/>")
	} else {
		b.text("<D:" + no.condition + "><D:href>")
		b.escaped(no.href)
		b.text("</D:href></D:" + no.condition + ">")
	}
	b.text("</D:error>\n")
	_, _ = q.w.Write(b.b) // the receiver is gone
}

// carried gives q a context that ends with the app password that carries it.
func (q *request) carried() (done func(), err error) {
	if q.who.Session == "" || q.Bus == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithCancelCause(q.ctx())
	unsubscribe := q.Bus.Subscribe(func(v any) {
		s, ok := v.(*event.Session)
		if ok && s.User == q.who.User && (len(s.IDs) == 0 || slices.Contains(s.IDs, q.who.Session)) {
			cancel(errors.New("the app password that carried it has ended"))
		}
	})
	done = func() {
		unsubscribe()
		cancel(nil)
	}
	if q.Alive != nil && q.Bus.Ends() != q.ends { // only now is it sure that no end is missed
		if err := q.Alive(ctx, q.who); err != nil {
			done()
			return nil, err
		}
	}
	q.r = q.r.WithContext(ctx)
	return done, nil
}

// refused tells whether nothing may be called that.
func (h *Handler) refused(name string) bool {
	for _, pattern := range h.Refuse {
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name)); err == nil && ok {
			return true
		}
	}
	return false
}
