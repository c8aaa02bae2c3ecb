// Package discord is the client of Discord's REST API and CDN that keeps
// chunks: it posts attachments, reads messages, refreshes links and fetches
// ranges, and it lives within Discord's limits.
//
// What the bytes mean, and which message holds what, is known elsewhere:
// pkg/blob/discordblob makes a blob.Store of it.
//
// # Why a limiter of our own in front of discordgo
//
// discordgo v0.29 sends the requests: authentication, user agent, errors. Its
// own limiter runs strictly one request per route at a time, cannot be
// cancelled while it waits, and does not know the documented form of a global
// 429. So every request here waits in our limiter, goes through discordgo in a
// lane of its own with retries off, and our transport keeps the limit headers
// from discordgo, so that it never waits by itself. Bodies are streamed:
// discordgo's multipart helper would hold each upload in memory twice.
//
// # Trying again
//
// Every call here may be repeated: posts carry a nonce that Discord enforces,
// so that a repeat after a lost answer returns the first message, and the rest
// is idempotent. The client repeats by itself within Options.Retry; what it
// returns has been tried enough. There is no total timeout on transfers: they
// end for lack of progress, not of age.
package discord

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bwmarrin/discordgo"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// Discord's own addresses.
const (
	DefaultAPIURL = "https://discord.com/api/v10"
	DefaultCDNURL = "https://cdn.discordapp.com"
)

// DefaultAttachmentLimit is what one attachment may have, in bytes, in a guild
// without boosts (Discord's reference, "Uploading Files").
const DefaultAttachmentLimit = 10 << 20

// DefaultPerSecond is the number of requests that a bot may make in a second
// (Discord's reference, "Global Rate Limit").
const DefaultPerSecond = 50

// Options configure a Client. The zero value of each but Token is its default.
type Options struct {
	// Token is the bot's token, without "Bot ".
	Token string
	// APIURL is the base of the API with its version, by default
	// DefaultAPIURL; of a sandbox for example http://127.0.0.1:4711/api/v10.
	APIURL string
	// CDNURL is the base that attachment paths stand on, by default
	// DefaultCDNURL.
	CDNURL string
	// CDNHosts are the hosts (with port, if it is not the scheme's) that links
	// may lead to, beside CDNURL's. Nothing is fetched from any other.
	CDNHosts []string
	// UserAgent is by default DiscordBot (https://github.com/bwmarrin/discordgo,
	// ...): Discord wants that form.
	UserAgent string
	Log       *slog.Logger // by default none

	// PerSecond is the global limit of the token, by default 50. Processes that
	// share a token share the limit: give each its part.
	PerSecond int
	// Posts is the limit of posts to one channel before Discord's first answer,
	// by default 5 in 5 s.
	Posts Rate
	// Reads is the same for messages read. It also is the most that is used:
	// the headers of these routes promise what Discord does not give.
	Reads Rate
	// Others is the limit of every other route where answers carry no headers, by
	// default what each was seen to have on Discord. For a server without limits.
	Others Rate
	// InvalidMost is the number of refused requests (401, 403, 429) within ten
	// minutes at which all calls stop, by default 2000. Discord bans at 10,000.
	InvalidMost int

	// AttachmentLimit is the size of the largest attachment, in bytes, by default
	// 10 MiB. It is lowered when Discord refuses.
	AttachmentLimit int64
	// LimitRetry is after how long a limit that Discord lowered is tried again, by
	// default an hour.
	LimitRetry time.Duration
	// RequestLimit is the most bytes that the request of several attachments has,
	// FileOverhead for each counted in, by default 25 MiB. One attachment alone
	// may be larger where its own limit allows.
	RequestLimit int64
	// AttachmentsMost is the number of attachments in one message, by default 10.
	AttachmentsMost int
	// ResponseLimit is the largest answer of the API that is read, by default
	// 4 MiB.
	ResponseLimit int64

	// Stall is how long a transfer may take for each 64 KiB, by default 30 s.
	Stall time.Duration
	// AnswerTimeout is how long Discord may think between the last byte of a
	// request and the first of its answer, by default 90 s.
	AnswerTimeout time.Duration
	// Unstated is the wait after a 429 that states none, by default 30 s.
	Unstated time.Duration
	// Retry bounds the repeats of a call, by default retry.Default().
	Retry retry.Policy

	// Transport carries all requests, by default one of the client's own.
	Transport http.RoundTripper
}

func (o *Options) setDefaults() {
	if o.APIURL == "" {
		o.APIURL = DefaultAPIURL
	}
	if o.CDNURL == "" {
		o.CDNURL = DefaultCDNURL
	}
	if o.UserAgent == "" {
		o.UserAgent = "DiscordBot (https://github.com/bwmarrin/discordgo, v" + discordgo.VERSION + ")"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Retry == (retry.Policy{}) {
		o.Retry = retry.Default()
	}
	setDefault(&o.PerSecond, DefaultPerSecond)
	setDefault(&o.Posts, Rate{5, 5 * time.Second})
	setDefault(&o.Reads, Rate{5, 5 * time.Second})
	setDefault(&o.InvalidMost, 2000)
	setDefault(&o.AttachmentLimit, DefaultAttachmentLimit)
	setDefault(&o.LimitRetry, time.Hour)
	setDefault(&o.RequestLimit, 25<<20)
	setDefault(&o.AttachmentsMost, 10)
	setDefault(&o.ResponseLimit, 4<<20)
	setDefault(&o.Stall, 30*time.Second)
	setDefault(&o.AnswerTimeout, 90*time.Second)
	setDefault(&o.Unstated, 30*time.Second)
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// check names all that is wrong with the options; token values are not quoted.
func (o *Options) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Token == "" || strings.HasPrefix(o.Token, "Bot ") || strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		bad("the bot token is empty, starts with \"Bot \", or has characters that no token has")
	}
	for name, n := range map[string]int64{
		"PerSecond": int64(o.PerSecond), "Posts": min(int64(o.Posts.Limit), int64(o.Posts.Per)),
		"Reads": min(int64(o.Reads.Limit), int64(o.Reads.Per)), "InvalidMost": int64(o.InvalidMost),
		"AttachmentLimit": o.AttachmentLimit, "RequestLimit": o.RequestLimit, "AttachmentsMost": int64(o.AttachmentsMost),
		"ResponseLimit": o.ResponseLimit, "LimitRetry": int64(o.LimitRetry), "Stall": int64(o.Stall), "AnswerTimeout": int64(o.AnswerTimeout), "Unstated": int64(o.Unstated),
	} {
		if n <= 0 {
			bad("%s is not positive", name)
		}
	}
	return errors.Join(errs...)
}

// Client talks to Discord with one bot token. It is safe for concurrent use.
type Client struct {
	*common
	opt     Options
	self    string // the bot's id, "" if not known
	log     *slog.Logger
	session *discordgo.Session
	lanes   lanes
	limiter *limiter
	health  health
	blocked atomic.Bool
	count   counters

	cdn     *http.Client
	cdnBase *url.URL
	cdnOK   []string // hosts that links may lead to
}

// common is what the clients of a Pool share, as it is no token's: Discord
// counts refused requests by address, an attachment's size is limited by guild,
// and the CDN knows no tokens.
type common struct {
	breaker   breaker
	size      sizes
	cdnGate   gate
	transport http.RoundTripper
	closing   func()
}

func newCommon(opt Options) *common {
	opt.setDefaults()
	m := &common{
		breaker:   breaker{most: opt.InvalidMost, log: opt.Log},
		transport: opt.Transport,
		closing:   func() {},
	}
	m.size.reset(opt)
	if m.transport == nil {
		own := newTransport(newDialer())
		m.transport, m.closing = own, own.CloseIdleConnections
	}
	return m
}

// New makes a client; it does not touch the network. The error is
// cloud.ErrInvalid and names all that is wrong with the options.
func New(opt Options) (*Client, error) { return newClient(opt, newCommon(opt)) }

func newClient(opt Options, shared *common) (*Client, error) {
	opt.setDefaults()
	api, errAPI := baseURL(opt.APIURL)
	cdn, errCDN := baseURL(opt.CDNURL)
	if err := errors.Join(opt.check(), errAPI, errCDN); err != nil {
		return nil, fmt.Errorf("discord client: %w: %w", cloud.ErrInvalid, err)
	}
	c := &Client{
		common:  shared,
		opt:     opt,
		self:    ownID(opt.Token),
		log:     opt.Log,
		limiter: newLimiter(opt.PerSecond, opt.Retry.Longest),
		health:  health{log: opt.Log},
		cdnBase: cdn,
		cdnOK:   append(slices.Clone(opt.CDNHosts), cdn.Host),
	}
	session, err := discordgo.New("Bot " + opt.Token)
	if err != nil {
		return nil, fmt.Errorf("discord client: %w", err)
	}
	session.Client = &http.Client{
		Transport:     &apiTransport{base: api, most: opt.ResponseLimit, next: c.transport},
		CheckRedirect: noRedirect,
	}
	session.UserAgent = opt.UserAgent
	session.ShouldRetryOnRateLimit = false
	session.MaxRestRetries = 0
	session.StateEnabled = false
	c.session = session
	c.cdn = &http.Client{Transport: c.transport, CheckRedirect: noRedirect}
	return c, nil
}

// Close gives up idle connections. Calls that run go on.
func (c *Client) Close() { c.closing() }

func baseURL(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not a plain http or https address", s)
	}
	return u, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newDialer dials with patience for a slow line. Where a host has addresses of both
// kinds and one kind leads nowhere, the other is tried beside it (RFC 8305).
func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
}

// newTransport is made for few hosts and many long transfers. It speaks
// HTTP/1.1: parallel transfers over one HTTP/2 connection would share one TCP
// window.
func newTransport(dialer *net.Dialer) *http.Transport {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         newBulk(dialer).dialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return t
}

// lanes hands out names that no two requests have at a time: discordgo locks a
// bucket of its own for each name while the request runs.
type lanes struct {
	mu   sync.Mutex
	free []string
	made int
}

func (l *lanes) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		name := l.free[n-1]
		l.free = l.free[:n-1]
		return name
	}
	l.made++
	return fmt.Sprintf("lane %d", l.made)
}

func (l *lanes) give(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, name)
}
