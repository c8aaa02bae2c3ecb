package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/packet"
)

// Client is a user of a server: HTTP with a token, and a socket of version 2
// once Connect was called. It is safe for concurrent use.
type Client struct {
	Base string       // of the manager, without a trailing slash
	HTTP *http.Client // all requests go through it

	token string
	conn  *packet.Conn
	stop  context.CancelFunc
	ended chan struct{} // closed when the socket has ended

	mu       sync.Mutex
	outcomes map[string]chan packet.UploadFinishInfo // by upload
}

const (
	user     = "admin"
	password = "correct horse battery"
)

// Administrator is who SetUp makes, with the password.
func Administrator() (name, secret string) { return user, password }

// SetUp makes the first administrator of an empty server and signs in.
func SetUp(ctx context.Context, base string) (*Client, error) {
	return sign(ctx, base, "/api/setup", user, password)
}

// SignIn signs in as the administrator that SetUp made.
func SignIn(ctx context.Context, base string) (*Client, error) {
	return SignInAs(ctx, base, user, password)
}

// SignInAs signs in as anybody.
func SignInAs(ctx context.Context, base, user, password string) (*Client, error) {
	return sign(ctx, base, "/api/login", user, password)
}

func sign(ctx context.Context, base, path, user, password string) (*Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10}
	c := &Client{Base: base, HTTP: &http.Client{Transport: transport}, outcomes: map[string]chan packet.UploadFinishInfo{}}
	var signed struct{ Token string }
	if err := c.Do(ctx, "POST", path, map[string]any{"username": user, "password": password}, &signed); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	c.token = signed.Token
	return c, nil
}

// Close ends the socket and waits for it.
func (c *Client) Close() {
	if c.conn != nil {
		c.stop()
		<-c.ended
	}
	c.HTTP.CloseIdleConnections()
}

// StatusError is an answer that is none of success.
type StatusError struct {
	Status int
	Text   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Text) }

// Token is that of the session, for other programs to ask with.
func (c *Client) Token() string { return c.token }

// Get asks for a path of the manager. The caller closes the body; an answer of
// 300 and above is a StatusError.
func (c *Client) Get(ctx context.Context, path, ranges string) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, path, ranges, nil)
}

// send asks again, after the second that the manager wants, if it has had too many
// requests of this session.
func (c *Client) send(ctx context.Context, method, path, ranges string, body []byte) (*http.Response, error) {
	for {
		answer, err := c.once(ctx, method, path, ranges, body)
		refused, ok := errors.AsType[*StatusError](err)
		if !ok || refused.Status != http.StatusTooManyRequests {
			return answer, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (c *Client) once(ctx context.Context, method, path, ranges string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if ranges != "" {
		r.Header.Set("Range", ranges)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		defer func() { _ = answer.Body.Close() }()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // what came of it is enough
		return nil, &StatusError{answer.StatusCode, string(text)}
	}
	return answer, nil
}

// Length is how many bytes a path of the manager has.
func (c *Client) Length(ctx context.Context, path string) (int64, error) {
	answer, err := c.Get(ctx, path, "bytes=0-0")
	if err != nil {
		return 0, err
	}
	_, total, _ := strings.Cut(answer.Header.Get("Content-Range"), "/")
	n, err := strconv.ParseInt(total, 10, 64)
	return n, errors.Join(err, answer.Body.Close())
}

// Do sends in as JSON, unless it is nil, and reads the answer into out, unless
// that is nil.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	answer, err := c.send(ctx, method, path, "", body)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// Connected tells whether there is a socket that has not ended.
func (c *Client) Connected() bool {
	if c.conn == nil {
		return false
	}
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// Connect opens the socket, in the place of one that has ended, and keeps the
// outcomes of uploads from now on.
func (c *Client) Connect(ctx context.Context) error {
	var ticket struct{ Ticket string }
	if err := c.Do(ctx, "POST", "/api/tickets", map[string]any{"purpose": "socket"}, &ticket); err != nil {
		return fmt.Errorf("ticket: %w", err)
	}
	address := strings.Replace(c.Base, "http", "ws", 1) + "/?type=client&v=2&ticket=" + url.QueryEscape(ticket.Ticket)
	ws, answer, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: c.HTTP})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_ = answer.Body // an upgraded connection is the socket's
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.conn = packet.NewConn(ws, packet.Options{From: packet.S2C, Version: packet.V2, CallTimeout: 30 * time.Second})
	c.stop, c.ended = stop, make(chan struct{})
	go func() {
		defer close(c.ended)
		_ = c.conn.Run(run, func(_ context.Context, m packet.Message) { c.note(m.Data) }) // its end is ended's
	}()
	return nil
}

func (c *Client) note(p packet.Packet) {
	switch info := p.(type) {
	case packet.UploadFinishInfo:
		c.tell(info)
	case packet.UploadInterrupted:
		c.tell(packet.UploadFinishInfo{UploadID: info.UploadID, Reason: "interrupted: " + info.Reason})
	}
}

// tell has the last that was told of an upload stand for its outcome.
func (c *Client) tell(info packet.UploadFinishInfo) {
	ch := c.outcome(info.UploadID)
	select {
	case <-ch:
	default:
	}
	ch <- info // this goroutine alone writes
}

// outcome is where it is told how an upload ended, or that it was interrupted.
func (c *Client) outcome(id string) chan packet.UploadFinishInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, ok := c.outcomes[id]
	if !ok {
		ch = make(chan packet.UploadFinishInfo, 1)
		c.outcomes[id] = ch
	}
	return ch
}

func (c *Client) call(ctx context.Context, p packet.Packet) (packet.Packet, error) {
	reply, err := c.conn.Call(ctx, p)
	if err != nil {
		return nil, err
	}
	if e, ok := reply.(packet.Error); ok {
		return nil, fmt.Errorf("%s: %s", e.Code, e.Message)
	}
	return reply, nil
}

// Book asks for places for that many uploads at once, and gives how many there
// are.
func (c *Client) Book(ctx context.Context, n int) (int, error) {
	reply, err := c.call(ctx, packet.UploadBookingRequest{DesiredAmount: int64(n)})
	if err != nil {
		return 0, fmt.Errorf("book: %w", err)
	}
	booked, ok := reply.(packet.UploadBooking)
	if !ok {
		return 0, fmt.Errorf("book: the answer is a %s", reply.PacketID())
	}
	return int(booked.Amount), nil
}

// Entry is a file or folder of a listing.
type Entry struct {
	ID   int64
	Name string
	Kind string // file or folder
	Size int64
}

// Path is where the entry's bytes are.
func (e Entry) Path() string { return fmt.Sprintf("/api/entries/%d/content", e.ID) }

// Lookup finds an entry by its path.
func (c *Client) Lookup(ctx context.Context, path string) (Entry, error) {
	var found struct{ Entry Entry }
	err := c.Do(ctx, "GET", "/api/lookup?path="+url.QueryEscape(path), nil, &found)
	return found.Entry, err
}

// Delete deletes an entry.
func (c *Client) Delete(ctx context.Context, e Entry) error {
	return c.Do(ctx, "POST", "/api/delete", map[string]any{"ids": []int64{e.ID}}, nil)
}

// Ready waits until n upload services are connected.
func (c *Client) Ready(ctx context.Context, n int) error {
	for {
		var got struct{ Services []struct{ Type string } }
		err := c.Do(ctx, "GET", "/api/services", nil, &got)
		if err == nil && len(got.Services) >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d upload services: %w", len(got.Services), n, errors.Join(context.Cause(ctx), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
