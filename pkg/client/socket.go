package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// socket is a packet connection with its booking. It ends once, and the client
// makes another.
type socket struct {
	conn  *packet.Conn
	stop  context.CancelFunc
	ended chan struct{} // closed when nothing more comes

	mu   sync.Mutex
	news map[string]chan packet.Packet // of uploads, by their ids
}

// connected is the socket, or a new one if it has ended.
func (c *Client) connected(ctx context.Context) (*socket, error) {
	select {
	case c.dial <- struct{}{}:
		defer func() { <-c.dial }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if s := c.socket; s != nil {
		select {
		case <-s.ended:
		default:
			return s, nil
		}
	}
	var ticket struct{ Ticket string }
	if err := c.do(ctx, http.MethodPost, "/api/tickets", map[string]string{"purpose": "socket"}, &ticket); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	// The address is never shown: it has the ticket.
	ws, answer, err := websocket.Dial(limited, "ws"+strings.TrimPrefix(c.server, "http")+"/?"+
		url.Values{"type": {"client"}, "v": {"2"}, "ticket": {ticket.Ticket}}.Encode(),
		&websocket.DialOptions{HTTPClient: c.http, HTTPHeader: http.Header{"User-Agent": {c.o.Agent}}})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("connect: %w", lost(err))
	}
	_ = answer.Body // an upgraded connection is the socket's
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &socket{
		conn: packet.NewConn(ws, packet.Options{From: packet.S2C, Version: packet.V2, CallTimeout: 25 * time.Second}),
		stop: stop, ended: make(chan struct{}), news: map[string]chan packet.Packet{},
	}
	c.places.set(0)
	go func() {
		defer close(s.ended)
		_ = s.conn.Run(run, func(_ context.Context, m packet.Message) { c.hear(s, m.Data) }) // who waits sees that it ended
	}()
	reply, err := s.conn.Call(ctx, packet.UploadBookingRequest{DesiredAmount: int64(c.o.Files)})
	booked, ok := reply.(packet.UploadBooking)
	if err != nil || !ok {
		s.close()
		return nil, fmt.Errorf("book: %w", err)
	}
	c.places.change(int(booked.Amount))
	c.socket = s
	return s, nil
}

// idleMost is how long a socket is kept that nobody uses: what is booked by it is
// kept from others.
const idleMost = 5 * time.Second

// use keeps the socket, until the function that it gives is called.
func (c *Client) use() (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users++
	c.idle.Stop()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.users--; c.users == 0 {
			c.idle.Reset(idleMost)
		}
	}
}

// hangUp ends a socket that nobody uses.
func (c *Client) hangUp() {
	c.dial <- struct{}{}
	defer func() { <-c.dial }()
	c.mu.Lock()
	used := c.users > 0
	c.mu.Unlock()
	if c.socket != nil && !used {
		c.socket.close()
		c.socket = nil
	}
}

func (s *socket) close() {
	s.stop()
	<-s.ended
}

// hear takes what the server tells by itself.
func (c *Client) hear(s *socket, p packet.Packet) {
	switch p := p.(type) {
	case packet.UploadBookingModify:
		c.places.change(int(p.EffectiveChange))
	case packet.UploadFinishInfo:
		s.tell(p.UploadID, p)
	case packet.UploadInterrupted:
		s.tell(p.UploadID, p)
	}
}

// of is where the news of an upload come, also those that came before anybody
// asked: until done is called.
func (s *socket) of(upload string) chan packet.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, ok := s.news[upload]
	if !ok {
		ch = make(chan packet.Packet, 4)
		s.news[upload] = ch
	}
	return ch
}

func (s *socket) tell(upload string, p packet.Packet) {
	select {
	case s.of(upload) <- p:
	default: // nobody reads of an upload that often: it is asked about anew
	}
}

func (s *socket) done(upload string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.news, upload)
}

// Unfinished are the user's uploads that can go on, oldest first: those that lack
// parts, and that no connection works on.
func (c *Client) Unfinished(ctx context.Context) ([]packet.PendingUpload, error) {
	defer c.use()()
	s, err := c.connected(ctx)
	if err != nil {
		return nil, err
	}
	reply, err := s.conn.Call(ctx, packet.UploadsRequest{})
	if err != nil {
		return nil, err
	}
	all, ok := reply.(packet.Uploads)
	if !ok {
		return nil, fmt.Errorf("%w: answered by %s", cloud.ErrInvalid, reply.PacketID())
	}
	var free []packet.PendingUpload
	for _, u := range all.Uploads {
		stored := int64(0)
		for _, r := range u.Confirmed {
			stored += r[1] - r[0] + 1
		}
		if !u.Active && u.FolderID == 0 && stored < partCount(u.Size, u.ChunkSize) {
			free = append(free, u)
		}
	}
	return free, nil
}

// places are how many uploads the server has room for. They become fewer when
// others want some.
type places struct {
	mu    sync.Mutex
	most  int
	taken int
	moved chan struct{} // closed at the next change, nil if nobody waits
}

// take waits for a place; false if the socket ended before there was one.
func (p *places) take(ctx context.Context, ended <-chan struct{}) (bool, error) {
	for {
		p.mu.Lock()
		if p.taken < p.most {
			p.taken++
			p.mu.Unlock()
			return true, nil
		}
		if p.moved == nil {
			p.moved = make(chan struct{})
		}
		moved := p.moved
		p.mu.Unlock()
		select {
		case <-moved:
		case <-ended:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

func (p *places) give() { p.update(func() { p.taken-- }) }

func (p *places) set(n int) { p.update(func() { p.most = n }) }

func (p *places) change(by int) { p.update(func() { p.most += by }) }

func (p *places) update(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}
