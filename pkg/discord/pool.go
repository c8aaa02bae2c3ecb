package discord

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"discordcloud/pkg/cloud"
)

// Pool is several bot tokens used as one: a Client each. Each token has its own
// limits on Discord, so that posts spread over all of them; a token that is
// refused, or that a channel is closed to, leaves its work to the others. It is
// safe for concurrent use.
//
// # Who reads what
//
// Discord shows a bot the attachments of its own messages, and those of others
// only with the MESSAGE_CONTENT intent. But it always tells who wrote a message.
// So whoever sees the channel is asked first, and the author if the answer
// hides something. Links are refreshed, and attachments fetched, by any of them.
type Pool struct {
	clients []*Client
	turn    atomic.Uint32
	authors authors
}

// ParseTokens splits a list of bot tokens, separated by commas.
func ParseTokens(list string) []string {
	var tokens []string
	for token := range strings.SplitSeq(list, ",") {
		if token = strings.TrimSpace(token); token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// OpenPool makes a client for each of the tokens; opt.Token is not looked at. It
// does not touch the network. The error is cloud.ErrInvalid.
func OpenPool(opt Options, tokens ...string) (*Pool, error) {
	if len(tokens) == 0 {
		return nil, fmt.Errorf("discord clients: %w: no bot token", cloud.ErrInvalid)
	}
	p := &Pool{}
	shared := newCommon(opt)
	for i, token := range tokens {
		if slices.Contains(tokens[:i], token) {
			return nil, fmt.Errorf("discord clients: %w: bot token %d is given twice", cloud.ErrInvalid, i+1)
		}
		opt.Token = token
		c, err := newClient(opt, shared)
		if err != nil {
			return nil, fmt.Errorf("bot token %d: %w", i+1, err)
		}
		p.clients = append(p.clients, c)
	}
	return p, nil
}

// PoolOf is a pool of one client.
func PoolOf(c *Client) *Pool { return &Pool{clients: []*Client{c}} }

// Clients are the pool's, in the order of their tokens. The slice is the
// caller's.
func (p *Pool) Clients() []*Client { return slices.Clone(p.clients) }

// Close gives up idle connections. Calls that run go on.
func (p *Pool) Close() { p.clients[0].Close() }

// Limits are those in force, for all tokens.
func (p *Pool) Limits() Limits { return p.clients[0].Limits() }

// SetPerSecond changes the global limit of each token, as Options.PerSecond does.
func (p *Pool) SetPerSecond(n int) {
	for _, c := range p.clients {
		c.limiter.setPerSecond(max(n, 1))
	}
}

// Bare is as of Client. Neither it nor PathOf and Fetch need a token.
func (p *Pool) Bare(path string) (string, error) { return p.clients[0].Bare(path) }

// PathOf is as of Client.
func (p *Pool) PathOf(link string) (string, error) { return p.clients[0].PathOf(link) }

// Fetch is as of Client.
func (p *Pool) Fetch(ctx context.Context, link string, off, n int64) (io.ReadCloser, error) {
	return p.clients[0].Fetch(ctx, link, off, n)
}

// Refresh is as of Client, by any of the tokens.
func (p *Pool) Refresh(ctx context.Context, links []string) (fresh map[string]string, err error) {
	err = p.each(nil, func(c *Client) (err error) {
		fresh, err = c.Refresh(ctx, links)
		return err
	})
	return fresh, err
}

// Message is as of Client, by a token that sees what the message holds, if any
// does: see Hides. That channel or message are unknown is believed if no token
// says otherwise.
func (p *Pool) Message(ctx context.Context, channel, id string) (Message, error) {
	var m Message
	err := p.reveal(p.byID(p.authors.of(id)), func(c *Client) (author string, err error) {
		got, err := c.Message(ctx, channel, id)
		if err != nil {
			return "", err
		}
		if m = got; c.Hides(m) {
			m.hidden = true
			return m.Author.ID, nil
		}
		return "", nil
	})
	if err != nil {
		return Message{}, err
	}
	p.Learn(m)
	return m, nil
}

// Messages is as of Client. Messages that the first token cannot look into are
// asked for again from those that wrote them.
func (p *Pool) Messages(ctx context.Context, channel string, page Page) ([]Message, error) {
	var all []Message
	err := p.each(nil, func(c *Client) (err error) {
		if all, err = c.Messages(ctx, channel, page); err != nil {
			return err
		}
		asked := map[*Client]bool{c: true}
		for i := range all {
			if all[i].hidden = c.Hides(all[i]); !all[i].hidden {
				p.Learn(all[i])
				continue
			}
			author := p.byID(all[i].Author.ID)
			if author == nil || asked[author] {
				continue
			}
			asked[author] = true
			again, err := author.Messages(ctx, channel, page)
			if err != nil {
				continue // hidden they stay, and hidden says nothing of what they hold
			}
			for _, m := range again {
				at := slices.IndexFunc(all, func(o Message) bool { return o.ID == m.ID })
				if at >= i && !author.Hides(m) {
					all[at] = m
				}
			}
		}
		return nil
	})
	return all, err
}

// Hides tells that a message that the pool has read shows no attachments, but
// may have some: none of the tokens that could be used may look into it.
func (p *Pool) Hides(m Message) bool { return m.hidden }

// Keep removes all attachments of a message but those named, by the token that
// wrote it. ErrUnavailable if that is none of the pool's.
func (p *Pool) Keep(ctx context.Context, channel string, m Message, attachments ...string) (Message, error) {
	author := p.byID(m.Author.ID)
	if author == nil && len(p.clients) == 1 {
		author = p.clients[0]
	}
	if author == nil {
		return Message{}, fmt.Errorf("edit message %s: %w: it is of a bot whose token is not given", m.ID, cloud.ErrUnavailable)
	}
	return author.Keep(ctx, channel, m.ID, attachments...)
}

// Delete deletes messages of one channel as Client.BulkDelete does: each by the
// token that wrote it, or if that fails by any that may.
func (p *Pool) Delete(ctx context.Context, channel string, messages []Message) error {
	by := make(map[*Client][]string)
	for _, m := range messages {
		author := p.byID(m.Author.ID)
		by[author] = append(by[author], m.ID)
	}
	var errs []error
	for author, ids := range by {
		errs = append(errs, p.each(author, func(c *Client) error { return c.BulkDelete(ctx, channel, ids) }))
	}
	return errors.Join(errs...)
}

// Wrote tells whether one of the pool's bots wrote a message, as far as their
// tokens tell who they are.
func (p *Pool) Wrote(m Message) bool { return p.byID(m.Author.ID) != nil }

// Learn remembers who wrote a message.
func (p *Pool) Learn(m Message) {
	if len(p.clients) > 1 && m.Author.ID != "" {
		p.authors.learn(m.ID, m.Author.ID)
	}
}

// byID finds the client of a bot, nil if there is none.
func (p *Pool) byID(bot string) *Client {
	i := slices.IndexFunc(p.clients, func(c *Client) bool { return bot != "" && c.self == bot })
	if i < 0 {
		return nil
	}
	return p.clients[i]
}

// each calls f with one client after the other until one does it: with first, if
// it is not nil, then with all others, so that work spreads.
func (p *Pool) each(first *Client, f func(*Client) error) error {
	return p.reveal(first, func(c *Client) (better string, err error) { return "", f(c) })
}

// reveal is each for an f that may name a bot who can do better: that is the
// next, if it is of the pool. If nobody does better that was good enough.
func (p *Pool) reveal(first *Client, f func(*Client) (better string, err error)) error {
	line := p.line(first)
	var failed error
	did := false
	for len(line) > 0 {
		c := line[0]
		line = line[1:]
		better, err := f(c)
		switch {
		case err == nil && better == "":
			return nil
		case err == nil:
			did = true
			if i := slices.IndexFunc(line, func(o *Client) bool { return o.self == better }); i > 0 {
				line[0], line[i] = line[i], line[0]
			}
		case !ofToken(err):
			return err
		case failed == nil || unknownChannel(failed):
			failed = err // that a channel is unknown is said if nobody says else
		}
	}
	if did {
		return nil
	}
	return failed
}

// line is the order in which clients are asked: blocked ones only if there are no
// others, for their error.
func (p *Pool) line(first *Client) []*Client {
	n := len(p.clients)
	turn := int(p.turn.Add(1))
	line := make([]*Client, 0, n)
	for i := range n {
		if c := p.clients[(turn+i)%n]; !c.blocked.Load() {
			line = append(line, c)
		}
	}
	if len(line) == 0 {
		return p.clients[:1:1]
	}
	if i := slices.Index(line, first); i > 0 {
		line[0], line[i] = line[i], line[0]
	}
	return line
}

// ofToken tells that an error is about a token: another one may fare better.
func ofToken(err error) bool {
	return errors.Is(err, ErrBlocked) || errors.Is(err, ErrChannelDown) ||
		errors.Is(err, cloud.ErrDenied) || errors.Is(err, cloud.ErrLimited)
}

func unknownChannel(err error) bool {
	api, ok := errors.AsType[*APIError](err)
	return ok && api.Code == CodeUnknownChannel
}

// authorsMost is the number of messages whose author is remembered.
const authorsMost = 4096

// authors remembers who wrote the messages that were learned last.
type authors struct {
	mu        sync.Mutex
	byMessage map[string]string
	ring      []string // of messages
	next      int
}

func (a *authors) of(message string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byMessage[message]
}

func (a *authors) learn(message, author string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byMessage == nil {
		a.byMessage = make(map[string]string)
	}
	if _, known := a.byMessage[message]; known {
		return
	}
	a.byMessage[message] = author
	if len(a.ring) < authorsMost {
		a.ring = append(a.ring, message)
		return
	}
	delete(a.byMessage, a.ring[a.next])
	a.ring[a.next] = message
	a.next = (a.next + 1) % authorsMost
}

// PoolState is what the clients know and have done, one for each token.
type PoolState struct {
	Bots []BotState `json:"bots"`
}

// BotState is the state of one token.
type BotState struct {
	Bot string `json:"bot"` // its id, "" if the token does not tell
	DebugState
}

// State is a copy of what is known now.
func (p *Pool) State() PoolState {
	var s PoolState
	for _, c := range p.clients {
		s.Bots = append(s.Bots, BotState{Bot: c.self, DebugState: c.State()})
	}
	return s
}
