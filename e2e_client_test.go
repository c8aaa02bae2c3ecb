package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/packet"
)

const (
	adminName     = "admin"
	adminPassword = "correct horse battery"
)

// client is a user of the server: HTTP with a token, and a socket of version 2.
type client struct {
	t     *testing.T
	base  string
	token string
	http  *http.Client // nil for the default one
	conn  *packet.Conn
	ended chan struct{} // closed when the socket has ended

	mu     sync.Mutex
	events []packet.Packet
	moved  chan struct{} // closed and renewed with each event
}

type jsonEntry struct {
	ID      int64  `json:"id"`
	Parent  int64  `json:"parent"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Size    int64  `json:"size"`
	Hash    string `json:"hash"`
	Preview string `json:"preview"`
	Public  bool   `json:"public"`
	Can     string `json:"can"`
}

// setUp makes the first administrator of an empty server and signs in.
func setUp(t *testing.T, base string) *client {
	t.Helper()
	c := &client{t: t, base: base}
	var signed struct{ Token string }
	c.must(c.do(t.Context(), "POST", "/api/setup", map[string]any{"username": adminName, "password": adminPassword}, &signed))
	c.token = signed.Token
	return c
}

func signIn(t *testing.T, base, name, password string) *client {
	t.Helper()
	c := &client{t: t, base: base}
	c.signIn(name, password)
	return c
}

func (c *client) signIn(name, password string) {
	c.t.Helper()
	var signed struct{ Token string }
	c.must(c.do(c.t.Context(), "POST", "/api/login", map[string]any{"username": name, "password": password}, &signed))
	c.token = signed.Token
}

// by is what its requests go by.
func (c *client) by() *http.Client {
	if c.http != nil {
		return c.http
	}
	return http.DefaultClient
}

func (c *client) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

type httpError struct {
	status int
	body   string
}

func (e *httpError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.body) }

func (c *client) request(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return c.by().Do(r)
}

func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		return err
	}
	if r.StatusCode >= 300 {
		return &httpError{r.StatusCode, string(text)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// connect opens the socket with a ticket.
func (c *client) connect() {
	c.t.Helper()
	var ticket struct{ Ticket string }
	c.must(c.do(c.t.Context(), "POST", "/api/tickets", map[string]any{"purpose": "socket"}, &ticket))
	address := strings.Replace(c.base, "http", "ws", 1) + "/?type=client&v=2&ticket=" + url.QueryEscape(ticket.Ticket)
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: c.by(), HTTPHeader: http.Header{"Origin": {c.base}}})
	c.must(err)
	conn := packet.NewConn(ws, packet.Options{From: packet.S2C, Version: packet.V2, CallTimeout: 20 * time.Second})
	ended := make(chan struct{})
	c.mu.Lock()
	c.conn, c.ended, c.events, c.moved = conn, ended, nil, make(chan struct{})
	c.mu.Unlock()
	run, stop := context.WithCancel(context.Background())
	go func() {
		defer close(ended)
		_ = conn.Run(run, func(_ context.Context, m packet.Message) { c.note(m.Data) })
	}()
	c.t.Cleanup(func() { stop(); <-ended })
}

func (c *client) note(p packet.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, p)
	close(c.moved)
	c.moved = make(chan struct{})
}

// await waits for an event that fits, also one that has come already.
func (c *client) await(ctx context.Context, fits func(packet.Packet) bool) (packet.Packet, error) {
	seen := 0
	for {
		c.mu.Lock()
		events, moved, ended := c.events, c.moved, c.ended
		c.mu.Unlock()
		for ; seen < len(events); seen++ {
			if fits(events[seen]) {
				return events[seen], nil
			}
		}
		select {
		case <-moved:
		case <-ended:
			return nil, errors.New("the socket has ended")
		case <-ctx.Done():
			return nil, fmt.Errorf("no such event: %w", ctx.Err())
		}
	}
}

func (c *client) call(ctx context.Context, p packet.Packet) (packet.Packet, error) {
	reply, err := c.conn.Call(ctx, p)
	if err != nil {
		return nil, err
	}
	if e, ok := reply.(packet.Error); ok {
		return nil, fmt.Errorf("%s: %s", e.Code, e.Message)
	}
	return reply, nil
}

func (c *client) book(ctx context.Context, n int64) int64 {
	c.t.Helper()
	reply, err := c.call(ctx, packet.UploadBookingRequest{DesiredAmount: n})
	c.must(err)
	return reply.(packet.UploadBooking).Amount
}

// begin asks for an upload.
func (c *client) begin(ctx context.Context, path, name string, size int64, conflict string) (packet.UploadResponse, error) {
	reply, err := c.call(ctx, packet.UploadRequest{Path: path, Name: name, Size: size, Conflict: conflict})
	if err != nil {
		return packet.UploadResponse{}, err
	}
	r := reply.(packet.UploadResponse)
	if !r.Accepted {
		return r, errors.New(r.RejectionReason)
	}
	return r, nil
}

// post sends one part; the error carries the service's status.
func post(ctx context.Context, r packet.UploadResponse, data content, part int64) error {
	from := part * r.ChunkSize
	size := min(r.ChunkSize, data.size-from)
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	_ = form.WriteField("id", r.UploadID)                     // a buffer does not fail
	_ = form.WriteField("chunk", strconv.FormatInt(part, 10)) // likewise
	if _, err := form.CreateFormFile("file", "blob"); err != nil {
		return err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	length := int64(head.Len()) + size + int64(len(tail))
	body := io.MultiReader(&head, io.NewSectionReader(data, from, size), strings.NewReader(tail))
	q, err := http.NewRequestWithContext(ctx, "POST", r.UploadAddress, body)
	if err != nil {
		return err
	}
	q.ContentLength = length
	q.Header.Set("Content-Type", form.FormDataContentType())
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return err
	}
	if answer.StatusCode != 200 {
		return &httpError{answer.StatusCode, string(text)}
	}
	if string(text) != strconv.FormatInt(part, 10) {
		return fmt.Errorf("the answer to part %d is %q", part, text)
	}
	return nil
}

// sendParts posts what is not confirmed yet, three parts at a time.
func sendParts(ctx context.Context, r packet.UploadResponse, data content) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(3)
	n := (data.size + r.ChunkSize - 1) / r.ChunkSize
	for part := range n {
		confirmed := false
		for _, done := range r.Confirmed {
			confirmed = confirmed || done[0] <= part && part <= done[1]
		}
		if !confirmed {
			group.Go(func() error { return post(ctx, r, data, part) })
		}
	}
	return group.Wait()
}

// resume goes on with an upload that was cut, to its end, and gives what it was told.
func (c *client) resume(ctx context.Context, r packet.UploadResponse, data content) packet.UploadResponse {
	c.t.Helper()
	reply, err := c.call(ctx, packet.UploadResume{UploadID: r.UploadID})
	c.must(err)
	again := reply.(packet.UploadResponse)
	if !again.Accepted {
		c.t.Fatalf("resumed as %+v", again)
	}
	c.must(sendParts(ctx, again, data))
	_, err = c.outcome(ctx, again)
	c.must(err)
	return again
}

// startWithFile starts the product with one file in it, /a/file.bin.
func startWithFile(ctx context.Context, t *testing.T, env map[string]string, data content) (*serve, *client) {
	t.Helper()
	s := startServe(t, env)
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	c.book(ctx, 1)
	if _, err := c.upload(ctx, "/a", "file.bin", data, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// outcome waits for the end of an upload and gives the name it was saved under.
func (c *client) outcome(ctx context.Context, r packet.UploadResponse) (string, error) {
	p, err := c.await(ctx, func(p packet.Packet) bool {
		info, ok := p.(packet.UploadFinishInfo)
		return ok && info.UploadID == r.UploadID
	})
	if err != nil {
		return "", err
	}
	info := p.(packet.UploadFinishInfo)
	if !info.Success {
		return "", errors.New(info.Reason)
	}
	if info.RenameTarget != "" {
		return info.RenameTarget, nil
	}
	return r.Name, nil
}

// upload does all of it.
func (c *client) upload(ctx context.Context, path, name string, data content, conflict string) (string, error) {
	r, err := c.begin(ctx, path, name, data.size, conflict)
	if err != nil {
		return "", fmt.Errorf("begin %s: %w", name, err)
	}
	if err := sendParts(ctx, r, data); err != nil {
		return "", fmt.Errorf("send %s: %w", name, err)
	}
	return c.outcome(ctx, r)
}

func (c *client) lookup(ctx context.Context, path string) (jsonEntry, error) {
	var found struct{ Entry jsonEntry }
	err := c.do(ctx, "GET", "/api/lookup?path="+url.QueryEscape(path), nil, &found)
	return found.Entry, err
}

// download reads an entry and gives its SHA-256 and size.
func (c *client) download(ctx context.Context, id int64) ([32]byte, int64, error) {
	return c.fetch(ctx, fmt.Sprintf("/api/entries/%d/content", id))
}

// fetch gives the SHA-256 and the length of what there is at a path.
func (c *client) fetch(ctx context.Context, path string) ([32]byte, int64, error) {
	r, err := c.request(ctx, "GET", path, nil)
	if err != nil {
		return [32]byte{}, 0, err
	}
	defer func() { _ = r.Body.Close() }()
	if r.StatusCode != 200 {
		return [32]byte{}, 0, &httpError{status: r.StatusCode}
	}
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	return [32]byte(h.Sum(nil)), n, err
}

// verify wants a path to hold just this content.
func (c *client) verify(ctx context.Context, path string, data content) {
	c.t.Helper()
	e, err := c.lookup(ctx, path)
	if err != nil {
		c.t.Errorf("look up %q: %v", path, err)
		return
	}
	if e.Size != data.size {
		c.t.Errorf("%q has %d bytes, want %d", path, e.Size, data.size)
	}
	sum, n, err := c.download(ctx, e.ID)
	if err != nil || n != data.size || sum != data.sum(c.t) {
		c.t.Errorf("%q comes back as %d bytes of SHA-256 %x (%v), want %d bytes of %x", path, n, sum, err, data.size, data.sum(c.t))
	}
}
