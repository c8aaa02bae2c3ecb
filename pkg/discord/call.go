package discord

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// request is a call of the API. Its body is json or form or none.
type request struct {
	method  string
	route   route
	channel string // major parameter, and whose health is kept
	guild   string // major parameter otherwise
	path    string // below the API's base, with the query
	use     use
	json    any
	encoded []byte
	form    *form
	// late, if not nil, is called when the first try may leave: the last moment
	// to say what is sent.
	late func(*request) error
}

func (r *request) major() string { return r.channel + r.guild }

// call makes the request within the limits, repeats it while that may help, and
// decodes the answer into out unless it is nil.
func (c *Client) call(ctx context.Context, req request, out any) error {
	if req.json != nil {
		var err error
		if req.encoded, err = json.Marshal(req.json); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
	}
	switch {
	case req.use == useWrite:
		req.route.rate = c.opt.Posts
	case req.use == useRead:
		req.route.rate = c.opt.Reads
	case c.opt.Others != Rate{}:
		req.route.rate = c.opt.Others
	}
	t := c.limiter.ticket()
	var final error
	tries := 0
	err := c.opt.Retry.Do(ctx, func(ctx context.Context) error {
		if tries++; tries > 1 {
			c.count.retries.Add(1)
		}
		err, again := c.try(ctx, &req, t, out)
		if again {
			c.log.DebugContext(ctx, "call to Discord failed, may try again", "route", req.route.name, "try", tries, "err", err)
			return err
		}
		final = err
		return nil
	})
	if err == nil {
		err = final
	}
	return err
}

// try makes the request once; again tells that a repeat may help.
func (c *Client) try(ctx context.Context, req *request, t ticket, out any) (err error, again bool) {
	if err := c.ready(req); err != nil {
		return err, false
	}
	permit, err := c.limiter.acquire(ctx, req.route, req.major(), t)
	if err != nil {
		return err, false
	}
	if err = c.open(); err == nil && req.late != nil {
		err = req.late(req)
		req.late = nil
	}
	if err != nil {
		permit.unused()
		return err, false
	}

	c.count.requests.Add(1)
	start := time.Now()
	ex, body, err := c.send(ctx, req)
	c.log.DebugContext(ctx, "call to Discord", "route", req.route.name, "channel", req.channel, "status", ex.status, "took", time.Since(start))
	if ex.status == 0 {
		permit.done(nil)
		return err, ctx.Err() == nil && errors.Is(err, cloud.ErrUnavailable)
	}
	said := readAnswer(ex.status, ex.header, ex.body, c.opt.Unstated)
	permit.done(&said)
	if said.invalid {
		c.count.invalid.Add(1)
		c.breaker.count(time.Now())
	}
	if err != nil { // the answer broke off, or is too large
		return err, ctx.Err() == nil && !errors.Is(err, errAnswerTooLarge)
	}
	if ex.status >= 200 && ex.status <= 299 {
		_ = c.health.note(req.channel, req.use, nil) // nothing to add to no error
		if out == nil {
			return nil, false
		}
		if err := json.Unmarshal(body, out); err != nil {
			return fmt.Errorf("%w: discord's answer is not what was expected: %v", cloud.ErrUnavailable, err), true
		}
		return nil, false
	}
	return c.refused(req, ex, said)
}

// refused makes an error of a refusal, and acts on what it says.
func (c *Client) refused(req *request, ex *exchange, said answer) (err error, again bool) {
	var body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(ex.body, &body) // it may be a page of HTML
	api := newAPIError(ex.status, body.Code, body.Message)
	switch {
	case ex.status == http.StatusUnauthorized:
		c.block()
		return api, false
	case ex.status == http.StatusTooManyRequests:
		c.count.limited.Add(1)
		return retry.After(api, max(said.pause, said.pauseAll)), true
	case ex.status == http.StatusInsufficientStorage:
		return api, false // trying at once gives it no room
	case ex.status >= 500, ex.status == http.StatusRequestTimeout:
		return api, true
	}
	return c.health.note(req.channel, req.use, api), false
}

// open says whether any call may be made.
func (c *Client) open() error {
	if c.blocked.Load() {
		return ErrBlocked
	}
	return c.breaker.check(time.Now())
}

// ready says whether the call may be made.
func (c *Client) ready(req *request) error {
	if err := c.open(); err != nil {
		return err
	}
	if req.channel == "" {
		return nil
	}
	return c.health.check(req.channel, req.use)
}

// block ends the use of the token.
func (c *Client) block() {
	if c.blocked.CompareAndSwap(false, true) {
		c.log.Error("Discord refuses the bot token: all calls with it stop until it is replaced", "bot", c.self)
		c.limiter.fail(ErrBlocked)
	}
}
