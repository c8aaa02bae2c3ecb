// Package client is a user's way to a server: it signs in, walks and changes
// the tree over the HTTP API, and uploads by packets of version 2. What is
// under way outlives cut connections, a manager that starts again and services
// that come and go: uploads go on with the parts that are confirmed, downloads
// with the byte they were cut at, and both are compared with the hash of the
// whole file.
//
// Errors wrap the kinds of pkg/cloud; cloud.TextOf gives what the server said.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/retry"
)

// answerMost bounds what is read of an answer in JSON: a page of 1,000 entries
// is below 1 MiB.
const answerMost = 16 << 20

// Options of a Client. Zero values are the defaults given.
type Options struct {
	Agent string // as the server's list of sign-ins shows it: "discord-cloud"
	Files int    // uploads at once, if the server has places for so many: 4
	Parts int    // parts of all files that are sent at once: 8
	// Patience bounds how often an upload or a download that was cut may be taken
	// up again without having got any further: Default of pkg/retry, with 10 tries.
	Patience  retry.Policy
	Transport http.RoundTripper // all requests go by it; nil for a fresh one
}

// Client is one signed-in user of one server. It is safe for concurrent use.
// Close ends it.
type Client struct {
	server string // without a slash at the end
	token  string
	http   *http.Client
	o      Options

	dial   chan struct{} // held by who looks for a socket, makes one or ends one
	socket *socket       // the last one, nil if there is none
	places places
	parts  chan struct{} // holds one for each part that is being sent

	mu    sync.Mutex
	users int         // of the socket
	idle  *time.Timer // ends a socket that nobody uses
}

// New makes a client of a session. It connects when it has something to ask.
func New(s Session, o Options) *Client {
	if o.Agent == "" {
		o.Agent = "discord-cloud"
	}
	if o.Files <= 0 {
		o.Files = 4
	}
	if o.Parts <= 0 {
		o.Parts = 8
	}
	if o.Patience.Tries == 0 {
		o.Patience = retry.Default()
		o.Patience.Tries = 10
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 20 * time.Second}).DialContext,
			TLSHandshakeTimeout: 20 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: o.Parts + o.Files,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true, // a download is counted and hashed as it is
		}
	}
	c := &Client{
		server: s.Server, token: s.Token, o: o,
		http: &http.Client{
			Transport: o.Transport,
			// A token goes to the server that gave it, and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		dial: make(chan struct{}, 1), parts: make(chan struct{}, o.Parts),
	}
	c.idle = time.AfterFunc(idleMost, c.hangUp)
	c.idle.Stop()
	return c
}

// Close ends the socket and waits for it. What was uploading can go on later.
func (c *Client) Close() {
	c.idle.Stop()
	c.hangUp()
	c.http.CloseIdleConnections()
}

// do sends in as JSON, unless it is nil, and reads the answer into out, unless
// that is nil. What certainly had no effect is tried again, and so is every GET.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
	}
	return retry.Do(ctx, 5, func(ctx context.Context) error {
		header := http.Header{}
		if body != nil {
			header.Set("Content-Type", "application/json")
		}
		answer, err := c.send(ctx, method, path, header, body)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		if out == nil {
			return nil
		}
		text, err := io.ReadAll(io.LimitReader(answer.Body, answerMost))
		if err != nil {
			return repeatable(method, fmt.Errorf("read the answer: %w", err))
		}
		if err := json.Unmarshal(text, out); err != nil {
			return fmt.Errorf("the answer is not one of discord-cloud: %w", err)
		}
		return nil
	})
}

// send makes one request. An answer of success is the caller's to close; any
// other is an error of its kind.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	r.Header = header
	r.Header.Set("User-Agent", c.o.Agent)
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, repeatable(method, err)
	}
	if answer.StatusCode < 300 {
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	return nil, refusal(answer)
}

// repeatable makes of a lost connection an error that is worth another try, where
// that does no harm: nothing was sent, or nothing can have been changed.
func repeatable(method string, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if method == http.MethodGet || ok && op.Op == "dial" {
		return lost(err)
	}
	return err
}

// lost is the error of a server that can't be reached. The address of a request
// is left out: it may be a ticket's.
func lost(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("%w: %w", cloud.UserErrorf(cloud.ErrUnavailable, "the server cannot be reached: %v", err), err)
}

// refusal is the error of an answer that is none of success.
func refusal(answer *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10)) // what came of it is enough
	var told struct{ Error packet.Error }
	err := error(nil)
	switch {
	case json.Unmarshal(text, &told) == nil && told.Error.Code != "":
		err = told.Error.Err()
	case answer.StatusCode < 400:
		err = cloud.UserErrorf(cloud.ErrInvalid, "the server sends on to %s: sign in there", origin(answer.Header.Get("Location")))
	default: // a proxy's, with the server behind it gone or overwhelmed
		err = cloud.UserErrorf(kindOfStatus(answer.StatusCode), "the server answers with status %d", answer.StatusCode)
	}
	if seconds, bad := strconv.Atoi(answer.Header.Get("Retry-After")); bad == nil && answer.StatusCode == http.StatusTooManyRequests {
		return retry.After(err, time.Duration(seconds)*time.Second)
	}
	return err
}

func kindOfStatus(status int) error {
	switch {
	case status == http.StatusUnauthorized:
		return cloud.ErrUnauthenticated
	case status == http.StatusForbidden:
		return cloud.ErrDenied
	case status == http.StatusNotFound:
		return cloud.ErrNotFound
	case status == http.StatusRequestEntityTooLarge:
		return cloud.ErrTooLarge
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return cloud.ErrUnavailable
	}
	return cloud.ErrInvalid
}

// origin is the server that an address belongs to.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "another address"
	}
	return strings.ToLower(u.Scheme) + "://" + u.Host
}
