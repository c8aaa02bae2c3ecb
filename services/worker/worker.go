// Package worker keeps a service connected to its manager: it dials, hands on
// what comes, and dials again when the connection ends, for as long as it is
// told to. What the packets mean is the service's own business.
//
// # Why
//
// A service that exits when its manager is gone needs a supervisor, and loses
// what it was doing. This one waits, and tells by Handler.Disconnected, so that
// work under way can go on once the manager is back.
package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/retry"
)

// Config says who the service is and where its manager is.
type Config struct {
	// ManagerURL is the manager's address: ws, wss, http or https.
	ManagerURL string
	// Password is what all services of the manager share.
	Password packet.Secret
	// Type is packet.ServiceUpload or packet.ServiceThumbnail.
	Type string
	// Address is where clients reach an upload service: an http or https URL, or
	// the path of a handler that the manager itself has mounted.
	Address string
	// Name is what the manager knows a thumbnail service by; not sent if "".
	Name string
	// Version is that of the program; not sent if "".
	Version string
	// Capacity is how many jobs the service takes at once; not sent if 0.
	Capacity int
	// Handlers is how many packets are handled at once. 1, the default, keeps
	// them in order; handlers must not use Conn.Call then.
	Handlers int

	Client *http.Client // to dial with; http.DefaultClient if nil
	Log    *slog.Logger // nil for none

	// Backoff gives the waits between attempts; its zero value is from half a
	// second to 30 s. Refused is the wait after an attempt that the manager
	// refused, which only a person can mend: a minute by default. Healthy is how
	// long a connection lasts before the waits start small again: 30 s.
	Backoff retry.Policy
	Refused time.Duration
	Healthy time.Duration
	// DialTimeout bounds one attempt: 15 s.
	DialTimeout time.Duration
}

// Handler is the service behind the connection.
type Handler interface {
	// Handle deals with a packet, and answers it where it wants an answer.
	Handle(ctx context.Context, m packet.Message)
	// Disconnected tells that conn has ended. It is called once for each
	// connection, after the last Handle of it and before the next connection.
	Disconnected(conn *packet.Conn)
}

// Run keeps the service connected until ctx ends, and returns its cause after
// everything has ended. Before that it returns only if cfg is unusable:
// ErrInvalid.
func Run(ctx context.Context, cfg Config, h Handler) error {
	w, err := newWorker(cfg, h)
	if err != nil {
		return err
	}
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		connected, err := w.connect(ctx)
		if ctx.Err() != nil {
			break
		}
		switch {
		case time.Since(began) >= w.cfg.Healthy:
			failures = 0
		case connected: // a manager that starts again and again is wanted soon, one that ends each connection is not
			failures /= 2
		}
		failures++
		wait := w.cfg.Backoff.Backoff(failures)
		if refusal, ok := errors.AsType[*refusal](err); ok {
			wait = w.cfg.Refused
			w.tell(ctx, slog.LevelError, "refused by the manager", "status", refusal.status, "reason", refusal.reason)
		} else {
			w.tell(ctx, slog.LevelWarn, "no connection to the manager", "err", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}

// RunAll keeps the service connected to each of several managers, with a handler of
// its own for each, as Run does. Packets of different managers are handled beside
// each other.
func RunAll(ctx context.Context, cfg Config, managers []string, handler func(manager string) Handler) error {
	workers := make([]Config, len(managers))
	for i, manager := range managers { // nothing is begun if one is unusable
		workers[i] = cfg
		workers[i].ManagerURL = manager
		if _, err := newWorker(workers[i], nil); err != nil {
			return err
		}
		if len(managers) > 1 && cfg.Log != nil {
			workers[i].Log = cfg.Log.With("manager", i+1)
		}
	}
	var all sync.WaitGroup
	for _, c := range workers {
		all.Go(func() { _ = Run(ctx, c, handler(c.ManagerURL)) }) // which ends with ctx, for that reason
	}
	all.Wait()
	return context.Cause(ctx)
}

// worker is one Run.
type worker struct {
	cfg    Config
	h      Handler
	target string
	from   packet.Namespace
	state  string // as logged last
}

func newWorker(cfg Config, h Handler) (*worker, error) {
	w := &worker{cfg: cfg, h: h}
	switch cfg.Type {
	case packet.ServiceUpload:
		w.from = packet.S2U
	case packet.ServiceThumbnail:
		w.from = packet.S2T
	default:
		return nil, fmt.Errorf("%w: service type %q", cloud.ErrInvalid, cfg.Type)
	}
	u, err := url.Parse(cfg.ManagerURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%w: address of the manager", cloud.ErrInvalid)
	}
	switch u.Scheme {
	case "ws", "wss", "http", "https":
	default:
		return nil, fmt.Errorf("%w: address of the manager has scheme %q, not ws, wss, http or https", cloud.ErrInvalid, u.Scheme)
	}
	q := u.Query()
	q.Set("type", cfg.Type)
	q.Set("v", strconv.Itoa(int(packet.V2)))
	if cfg.Address != "" {
		q.Set("address", cfg.Address)
	}
	for key, text := range map[string]string{"name": cfg.Name, "version": cfg.Version} {
		if text != "" {
			q.Set(key, text)
		}
	}
	if cfg.Capacity > 0 {
		q.Set("capacity", strconv.Itoa(cfg.Capacity))
	}
	u.RawQuery = q.Encode()
	w.target = u.String()

	if w.cfg.Log == nil {
		w.cfg.Log = slog.New(slog.DiscardHandler)
	}
	if w.cfg.Backoff.First == 0 {
		w.cfg.Backoff = retry.Policy{First: 500 * time.Millisecond, Most: 30 * time.Second}
	}
	w.cfg.Handlers = cmp.Or(cfg.Handlers, 1)
	w.cfg.Refused = cmp.Or(cfg.Refused, time.Minute)
	w.cfg.Healthy = cmp.Or(cfg.Healthy, 30*time.Second)
	w.cfg.DialTimeout = cmp.Or(cfg.DialTimeout, 15*time.Second)
	return w, nil
}

// connect dials once and serves the connection, if there is one, to its end.
func (w *worker) connect(ctx context.Context) (connected bool, err error) {
	ws, err := w.dial(ctx)
	if err != nil {
		return false, err
	}
	conn := packet.NewConn(ws, packet.Options{From: w.from, Version: packet.V2, Handlers: w.cfg.Handlers, Log: w.cfg.Log})
	w.tell(ctx, slog.LevelInfo, "connected to the manager")
	err = conn.Run(ctx, w.h.Handle)
	w.h.Disconnected(conn)
	return true, cmp.Or(err, errClosed)
}

var errClosed = fmt.Errorf("%w: closed by the manager", cloud.ErrUnavailable)

// refusal is an answer to the upgrade that another attempt will not change.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("refused with status %d: %s", r.status, r.reason)
}

func (w *worker) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.DialTimeout)
	defer cancel()
	ws, answer, err := websocket.Dial(ctx, w.target, &websocket.DialOptions{
		HTTPClient: w.cfg.Client,
		HTTPHeader: http.Header{"Authorization": {"Bearer " + string(w.cfg.Password)}},
	})
	if err == nil {
		return ws, nil
	}
	if answer != nil && answer.StatusCode/100 == 4 &&
		answer.StatusCode != http.StatusRequestTimeout && answer.StatusCode != http.StatusTooManyRequests {
		return nil, &refusal{status: answer.StatusCode, reason: reasonIn(answer.Body)}
	}
	return nil, fmt.Errorf("%w: dial: %w", cloud.ErrUnavailable, withoutURL(err))
}

// reasonIn finds the text in the JSON body of a refusal:
// {"error":"text"} or {"error":{"message":"text"}}.
func reasonIn(body io.Reader) string {
	raw, _ := io.ReadAll(io.LimitReader(body, 1024)) // what there is of it will do
	var plain struct{ Error, Message string }
	if json.Unmarshal(raw, &plain) == nil && plain.Error+plain.Message != "" {
		return cmp.Or(plain.Error, plain.Message)
	}
	var nested struct{ Error struct{ Message string } }
	if json.Unmarshal(raw, &nested) == nil && nested.Error.Message != "" {
		return nested.Error.Message
	}
	return "no reason given"
}

// withoutURL takes the address out of err: a person may have put a key in it.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// tell logs a change of state once; the same state again is Debug.
func (w *worker) tell(ctx context.Context, level slog.Level, state string, attrs ...any) {
	key := state
	if level == slog.LevelError {
		key = fmt.Sprint(state, attrs) // another reason is news
	}
	if key == w.state {
		level = slog.LevelDebug
	}
	w.state = key
	w.cfg.Log.Log(ctx, level, state, attrs...)
}
