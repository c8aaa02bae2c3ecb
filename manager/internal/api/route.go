package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

// route is one thing to ask for over HTTP.
type route struct {
	method, path string
	// do is what it asks for: without leave of the policy no handler runs.
	do policy.Action
	// on finds the entry it is about, for actions about one.
	on finder
	// ticket lets it be asked with a ticket in the query.
	ticket bool
	// job lets it be asked by the thumbnail service that has the path's {job}.
	job bool
	// link lets it be asked by the share link in the path.
	link bool
	// free leaves it out of the count of what somebody known may ask for.
	free bool
	// together has all that it asks of the store be one transaction, where the store
	// likes that. Then it may run several times, and answers when that is durable; so
	// it is for what answers a record, and changes nothing but the tree.
	together bool
	// ready reads more in the transaction that admits who asks, for a handler that
	// runs behind it.
	ready func(*call)
	// body is the longest body, in bytes; 0 is 16 KiB.
	body   int64
	handle func(*call) error
}

// finder finds the entry that a request is about, and checks that the action may
// be done with it.
type finder func(q *call, do policy.Action) (cloud.Entry, error)

const defaultBody = 16 << 10

// call is a request under way.
type call struct {
	w     http.ResponseWriter
	r     *http.Request
	who   policy.Principal
	entry cloud.Entry // what the route is about
	fs    *vfs.FS
	rated bool  // it was counted
	ends  int64 // of sessions, before who was looked up

	content *vfs.Content // of the entry, if it was located
}

func (q *call) ctx() context.Context { return q.r.Context() }

func (rt *route) mustBeKnown() {
	if !policy.Known(rt.do) {
		panic(fmt.Sprintf("api: route %s %s: the policy knows no action %q", rt.method, rt.path, rt.do))
	}
	if policy.NeedsEntry(rt.do) != (rt.on != nil) {
		panic(fmt.Sprintf("api: route %s %s: entry not found or not needed for %q", rt.method, rt.path, rt.do))
	}
}

// byID finds the entry of the path's {id}.
func byID(q *call, do policy.Action) (cloud.Entry, error) {
	id, err := strconv.ParseInt(q.r.PathValue("id"), 10, 64)
	if err != nil || id < 0 {
		return cloud.Entry{}, cloud.UserErrorf(cloud.ErrInvalid, "an id is a whole number")
	}
	return q.fs.EntryFor(q.ctx(), q.who, cloud.EntryID(id), do)
}

// byPath finds the entry of the query's path.
func byPath(q *call, do policy.Action) (cloud.Entry, error) {
	names, err := vfs.ParsePath(q.r.URL.Query().Get("path"))
	if err != nil {
		return cloud.Entry{}, err
	}
	e, err := q.fs.Lookup(q.ctx(), q.who, names)
	if err != nil {
		return cloud.Entry{}, err
	}
	return e, policy.Check(q.who, do, &e)
}

// inBody is for routes whose body names the entries: the handler gives them to
// vfs, which checks each. Only who may do the action with anything comes so far.
func inBody(q *call, do policy.Action) (cloud.Entry, error) {
	switch {
	case policy.Takes(do, q.who.Role):
		return cloud.Entry{}, nil
	case q.who.Role == policy.Nobody:
		return cloud.Entry{}, cloud.ErrUnauthenticated
	}
	return cloud.Entry{}, cloud.ErrDenied
}

// open tells that everybody may ask: then no token is looked at, not even a
// wrong one.
func (rt *route) open() bool {
	return rt.on == nil && policy.Check(policy.Principal{}, rt.do, nil) == nil
}

// admit tells who asks and finds what it is about.
func (a *api) admit(q *call, rt *route) error {
	q.ends = a.Bus.Ends()
	err := a.identify(q, rt)
	if !rt.free && !q.rated {
		q.rated = true
		if limited := a.rates.take(a.rateKey(q)); limited != nil {
			return limited // guessing counts too
		}
	}
	if err != nil {
		return err
	}
	if peer := a.peer(q.r).Address; peer.IsValid() {
		q.who.Address = peer.String()
	}
	if rt.on == nil {
		return policy.Check(q.who, rt.do, nil)
	}
	if q.who.Role == policy.Nobody {
		return cloud.ErrUnauthenticated
	}
	q.entry, err = rt.on(q, rt.do)
	return err
}

func (a *api) identify(q *call, rt *route) (err error) {
	if rt.open() {
		return nil
	}
	text := q.r.URL.Query().Get("ticket")
	switch token := bearer(q.r); {
	case rt.job:
		return a.identifyJob(q)
	case rt.link:
		err = a.identifyLink(q)
	case token != "":
		q.who, err = a.Auth.VerifyBearer(q.ctx(), token)
	case rt.ticket && text != "":
		q.who, err = a.Auth.RedeemTicket(q.ctx(), text, auth.Download)
	}
	if err == nil && q.who.Within != nil {
		_, err = a.linkStands(q.ctx(), q.who)
	}
	return err
}

func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// serveRoute answers one route below /api.
func (a *api) serveRoute(rt *route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		label(w, rt.path)
		limit := rt.body
		if limit == 0 {
			limit = defaultBody
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		q := &call{w: w, r: r, fs: a.FS}
		err := a.answer(q, rt)
		if rt.free && err != nil && q.who.Role == policy.Nobody { // guessing counts, too
			err = cmp.Or(a.rates.take(a.rateKey(q)), err)
		}
		if err != nil {
			a.writeError(w, r, err)
		}
	})
}

// answer admits who asks and has the route's handler run.
func (a *api) answer(q *call, rt *route) error {
	if rt.together {
		return a.together(q.w, q.r, rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) error {
			*q = call{w: w, r: r, fs: q.fs, rated: q.rated}
			err := a.admit(q, rt)
			if err == nil {
				err = rt.handle(q)
			}
			return err
		})
	}
	err := a.admitTogether(q, rt)
	if err == nil {
		err = rt.handle(q)
	}
	return err
}

// serveAPI answers all below /api.
func (a *api) serveAPI(w http.ResponseWriter, r *http.Request) {
	a.bound(w, r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	a.allowOrigin(w, r)
	if r.Method == http.MethodOptions {
		label(w, "preflight")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if err := a.guard.Check(r); err != nil {
		a.writeError(w, r, cloud.UserErrorf(cloud.ErrDenied, "requests from other sites are not taken"))
		return
	}
	if _, pattern := a.mux.Handler(r); pattern == "" {
		label(w, "none")
		a.writeError(w, r, cloud.UserErrorf(cloud.ErrNotFound, "there is no such route"))
		return
	}
	a.mux.ServeHTTP(w, r)
}

// decode reads a body that is one JSON record with known fields.
func (q *call) decode(into any) error {
	if t, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return cloud.UserErrorf(cloud.ErrInvalid, "the body must be application/json")
	}
	d := json.NewDecoder(q.r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the record")
		}
	}
	if err == nil {
		// From here on a silent client is one that waits.
		_ = http.NewResponseController(q.w).SetReadDeadline(time.Time{})
		return nil
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return cloud.UserErrorf(cloud.ErrTooLarge, "the body has more than %d bytes", tooLarge.Limit)
	}
	return fmt.Errorf("%w: %w", cloud.UserErrorf(cloud.ErrInvalid, "the body is not the JSON record that is expected"), err)
}

// answerTime is how long a receiver may take for an answer that is not a
// transfer: those renew their time as they go.
const answerTime = 2 * time.Minute

// bound sets how long the other side may take to send a body, if there is one,
// and to receive the answer. net/http lifts both before the next request. It
// fails on what is no connection, which does not hang either.
func (a *api) bound(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(answerTime))
	if r.ContentLength != 0 {
		_ = rc.SetReadDeadline(time.Now().Add(a.BodyTime))
	}
}

// answer writes a JSON record.
func (q *call) answer(v any) error { return writeJSON(q.w, http.StatusOK, v) }

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the receiver is gone, and knows
	return nil
}
