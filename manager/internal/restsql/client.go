// Package restsql is a database/sql driver for a PostgreSQL that is reached over
// HTTP alone, as a Supabase project is by its URL and its key: through PostgREST
// and two functions of database.sql, discord_cloud_look and discord_cloud_run.
// Each runs a list of statements and gives what they answer; what the statements
// are is the business of package sqlmeta.
//
// # Transactions
//
// Over REST, a call is a transaction. One that goes on over several calls is one
// by replay: until its end everything that was said so far goes up again with each
// call, with a digest of every answer that was used. The function runs it all,
// gives the answer to what is new, and undoes it. At the commit it goes up once
// more and is kept, unless an answer is no longer what it was: then nothing is
// done, and the caller begins anew (ErrChanged). So what a transaction has read is
// so in the moment in which it is kept, or it is not kept: it is serializable.
//
// # Few calls
//
// A statement whose answer nobody looks at costs no call of its own. Nor does one
// whose answer can be guessed: it was heard lately (see Memory), somebody has said what
// it will be (Foresee), or it is the same whatever is asked. The digest tells whether
// the guess was right; if not, the call has brought the answer, and the transaction
// begins anew with that. A transaction that only reads needs no further call
// when all that it has read was answered by one. And a call that is made anyway asks
// ahead for what the last transaction of the kind has asked for.
//
// The call that makes changes durable asks again, behind them, for what the
// transaction has read before them: so the next one guesses right.
//
// So a transaction that is like others takes one call, and more only where it reads
// what it could not know: rows that depend on others which are new, and its own
// changes. That it may begin anew is why it must do nothing else on the way.
//
// # Why not supabase-go
//
// Its released form gives a server's error as if it were an answer, keeps the
// error of one cut call for all later ones, and knows neither contexts nor
// deadlines. What is needed is one POST.
//
// Source: PostgREST's documentation, "Functions as RPC" and "Errors".
package restsql

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"discordcloud/pkg/config"
)

const (
	look = "discord_cloud_look" // sees the state of one moment and changes nothing
	run  = "discord_cloud_run"

	// Protocol is the version of the two functions that this package talks to.
	Protocol = 1

	answerMost   = 256 << 20
	callDeadline = 60 * time.Second // Supabase's gateway ends a call by itself then
	pauseLeast   = 25 * time.Millisecond
	pauseMost    = 2 * time.Second
)

// Options say which project. Zero values are defaults where that is said.
type Options struct {
	URL  string        // of the project, as https://abc.supabase.co
	Key  config.Secret // of the service role: it goes to that host only, in headers
	Lock int64         // number of the advisory lock under which changes are made
	// Memory is how many bytes of answers are remembered: 8 MiB. Below zero it is none.
	Memory int
	HTTP   *http.Client // nil: one of its own, that follows no redirects
}

// Client talks to a project. It is safe for concurrent use.
type Client struct {
	o        Options
	base     string
	memory   *memory
	calls    atomic.Int64
	failures atomic.Int64 // in a row
	foreseen foreseen
	habits   habits
}

// New gives a client; it asks nobody yet.
func New(o Options) *Client {
	if o.HTTP == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxIdleConnsPerHost = 16
		o.HTTP = &http.Client{Transport: own, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Client{o: o, base: strings.TrimSuffix(o.URL, "/") + "/rest/v1/rpc/", memory: newMemory(cmp.Or(o.Memory, 8<<20))}
}

// Close ends connections that are idle.
func (c *Client) Close() { c.o.HTTP.CloseIdleConnections() }

// Calls is how many requests were made.
func (c *Client) Calls() int64 { return c.calls.Load() }

// Host is that of the project.
func (c *Client) Host() string {
	if u, err := url.Parse(c.o.URL); err == nil {
		return u.Host
	}
	return ""
}

// Error is what the project says is wrong.
type Error struct {
	Status  int    // of HTTP; 200 for a statement that failed, with all others undone
	Code    string // SQLSTATE, or PostgREST's own
	Message string
	Rule    string // name of the constraint, "" for none
}

// Error gives no values of a row: PostgREST puts those into the details.
func (e *Error) Error() string {
	text := fmt.Sprintf("Supabase: %s (%s", e.Message, cmp.Or(e.Code, "status "+strconv.Itoa(e.Status)))
	if e.Rule != "" {
		text += ", " + e.Rule
	}
	return text + ")"
}

// Unsure tells whether what was asked for may have been done all the same.
func (e *Error) Unsure() bool { return e.Status >= 500 || e.Status == http.StatusRequestTimeout }

// Passing tells whether the same call may go well a little later.
func (e *Error) Passing() bool { return e.Unsure() || e.Status == http.StatusTooManyRequests }

// OfStatement tells whether it is about a statement, and not about the call.
func (e *Error) OfStatement() bool { return e.Status == http.StatusOK }

// Denied tells whether the key is refused.
func (e *Error) Denied() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// Missing tells whether there is nothing at the URL.
func (e *Error) Missing() bool { return e.Status == http.StatusNotFound }

var (
	// ErrChanged is a transaction that has read what is no longer so. It was not
	// made, and may be made again.
	ErrChanged = errors.New("restsql: what was read has changed meanwhile")
	// ErrCut is a call that got no answer. It may have been done.
	ErrCut = errors.New("no answer from Supabase")

	errAnswer = errors.New("restsql: an answer that is none")
)

// script is what goes up.
type script struct {
	Lock  string   `json:"lock,omitempty"` // a number that JSON's readers need not know
	Keep  bool     `json:"keep"`
	Into  []string `json:"into,omitempty"` // tables that rows are put into, which have numbers to take back
	Steps []*step  `json:"steps"`
}

// reply is what comes down. Replies of steps that answered as expected are null.
type reply struct {
	Protocol int
	Replies  []*struct {
		Count int64
		Rows  *string // base64 of records
	}
	Changed bool
	Failure *struct {
		Step          int
		Code, Message string
		Rule          string
	}
}

// call asks a function once. Its error is an *Error or ErrCut, or that of ctx.
func (c *Client) call(ctx context.Context, function string, s script) (*reply, error) {
	if err := c.pause(ctx); err != nil {
		return nil, err
	}
	r, err := c.ask(ctx, function, s)
	refused, is := errors.AsType[*Error](err)
	switch {
	case errors.Is(err, ErrCut), is && refused.Passing():
		c.failures.Add(1)
	default:
		c.failures.Store(0)
	}
	return r, err
}

// pause lets a project that is in trouble have a while.
func (c *Client) pause(ctx context.Context) error {
	failures := c.failures.Load()
	if failures == 0 {
		return ctx.Err()
	}
	wait := time.NewTimer(min(pauseLeast<<min(failures, 10), pauseMost))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) ask(ctx context.Context, function string, s script) (*reply, error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]script{"script": s}); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	asking, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	rq, err := http.NewRequestWithContext(asking, http.MethodPost, c.base+function, &body)
	if err != nil {
		return nil, err
	}
	key := c.o.Key.Reveal()
	rq.Header.Set("apikey", key)
	rq.Header.Set("Authorization", "Bearer "+key)
	rq.Header.Set("Content-Type", "application/json")
	rq.Header.Set("Accept", "application/json")
	c.calls.Add(1)
	answer, err := c.o.HTTP.Do(rq)
	if err != nil {
		return nil, cut(ctx, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, answerMost))
	if err != nil {
		return nil, cut(ctx, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, refusal(answer.StatusCode, b)
	}
	var r reply
	if err := json.Unmarshal(b, &r); err != nil || r.Protocol != Protocol || !r.Changed && r.Failure == nil && len(r.Replies) != len(s.Steps) {
		return nil, &Error{Status: answer.StatusCode, Code: OtherProtocol, Message: "the functions of the project are of another version"}
	}
	return &r, nil
}

// Codes of Errors that the user can do something about.
const (
	NoFunction    = "PGRST202" // PostgREST's
	OtherProtocol = "restsql:protocol"
)

// cut is ErrCut, with the reason but without the address, or the end of ctx.
func cut(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("%w: %w", ErrCut, err)
}

func refusal(status int, body []byte) error {
	var says struct{ Code, Message string }
	if json.Unmarshal(body, &says) != nil { // a gateway's page
		return &Error{Status: status, Message: http.StatusText(status)}
	}
	return &Error{Status: status, Code: says.Code, Message: says.Message}
}
