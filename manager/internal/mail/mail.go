// Package mail sends short messages in the background by an SMTP server
// (RFC 5321): it keeps them in memory, tries again what may yet succeed, and
// tells administrators what did not arrive. What the messages say is the
// business of those who send them.
package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
)

const (
	maxQueued  = 200
	maxAddress = 254              // bytes, RFC 5321 §4.5.3.1.3
	attempt    = 30 * time.Second // of one message
)

// waits are how long a message rests after each attempt that failed; after as
// many and one more it is given up.
var waits = [...]time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}

// Options say which server takes the messages. From and URL are needed.
type Options struct {
	// URL is smtp://user:password@host:port, where the connection is made secure by
	// STARTTLS, or smtps:// for TLS from the start. A password is never sent over an
	// open connection, but to this machine itself.
	URL  config.Secret
	From string // address of the sender, perhaps with a name
	Now  func() time.Time
	Log  *slog.Logger
}

// Message is a text for one person.
type Message struct {
	To      string // an address that CheckAddress takes
	Subject string
	Text    string
}

// State is what administrators see.
type State struct {
	Server    string // without user and password
	From      string
	Queued    int
	Sent      int64 // since the start
	Failed    int64 // given up since the start
	LastError string
	LastAt    time.Time // of the last error, zero for none
}

// queued is a message on its way.
type queued struct {
	Message
	tries int
	due   time.Time
}

// Mailer sends messages. It is safe for concurrent use.
type Mailer struct {
	client *gomail.Client
	from   string
	now    func() time.Time
	log    *slog.Logger
	wake   chan struct{}

	mu    sync.Mutex
	queue []queued // by due
	state State
}

// New makes a Mailer. The error is about the options, and tells no secret.
func New(o Options) (*Mailer, error) {
	u, err := url.Parse(o.URL.Reveal())
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("%w: not an address like smtp://user:password@host:587", cloud.ErrInvalid)
	}
	from, err := mail.ParseAddress(o.From)
	if err != nil {
		return nil, fmt.Errorf("%w: the sender is not an address", cloud.ErrInvalid)
	}
	port, secure := 587, u.Scheme == "smtps"
	if secure {
		port = 465
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return nil, fmt.Errorf("%w: the port is not one", cloud.ErrInvalid)
		}
	}
	policy := gomail.TLSMandatory
	if here(u.Hostname()) || u.User == nil {
		policy = gomail.TLSOpportunistic
	}
	options := []gomail.Option{gomail.WithPort(port), gomail.WithTimeout(attempt), gomail.WithTLSPolicy(policy)}
	if secure {
		options = append(options, gomail.WithSSL())
	}
	if u.User != nil {
		how := gomail.SMTPAuthAutoDiscover
		if here(u.Hostname()) && !secure {
			how = gomail.SMTPAuthPlainNoEnc
		}
		password, _ := u.User.Password()
		options = append(options, gomail.WithUsername(u.User.Username()), gomail.WithPassword(password), gomail.WithSMTPAuth(how))
	}
	client, err := gomail.NewClient(u.Hostname(), options...)
	if err != nil {
		return nil, fmt.Errorf("%w: mail: %w", cloud.ErrInvalid, err)
	}
	return &Mailer{
		client: client, from: from.String(), now: o.Now, log: o.Log, wake: make(chan struct{}, 1),
		state: State{Server: u.Scheme + "://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(port)), From: from.String()},
	}, nil
}

// here tells this machine itself.
func here(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// CheckAddress refuses what is no plain address of one person.
func CheckAddress(text string) error {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text || len(text) > maxAddress {
		return cloud.UserErrorf(cloud.ErrInvalid, "that is not an address like name@example.org")
	}
	return nil
}

// Send takes a message to be sent soon. ErrUnavailable if too many wait.
func (m *Mailer) Send(message Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) >= maxQueued {
		return cloud.UserErrorf(cloud.ErrUnavailable, "too many mails wait to be sent; try again later")
	}
	m.put(queued{Message: message, due: m.now()})
	return nil
}

// put queues a message; the caller holds mu.
func (m *Mailer) put(q queued) {
	m.queue = append(m.queue, q)
	slices.SortStableFunc(m.queue, func(a, b queued) int { return a.due.Compare(b.due) })
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Deliver sends a message now. The error is what the server says.
func (m *Mailer) Deliver(ctx context.Context, message Message) error {
	ctx, cancel := context.WithTimeout(ctx, 2*attempt)
	defer cancel()
	out := gomail.NewMsg()
	if err := cmp.Or(out.From(m.from), out.To(message.To)); err != nil {
		return fmt.Errorf("%w: %w", cloud.ErrInvalid, err)
	}
	out.Subject(message.Subject)
	out.SetDate()
	out.SetMessageID()
	out.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: nobody answers for his holidays
	out.SetBodyString(gomail.TypeTextPlain, message.Text)
	if err := m.client.DialAndSendWithContext(ctx, out); err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}

// Run sends what is queued until ctx ends. What waits then is lost: its links can
// be asked for again.
func (m *Mailer) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		case <-timer.C:
		}
		for {
			next, wait, ok := m.next()
			if !ok {
				if wait > 0 {
					timer.Reset(wait)
				}
				break
			}
			m.done(ctx, next, m.Deliver(ctx, next.Message))
		}
	}
}

// next takes the first message that is due, or says how long to wait for it, 0
// if there is none.
func (m *Mailer) next() (q queued, wait time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		return q, 0, false
	}
	if wait := m.queue[0].due.Sub(m.now()); wait > 0 {
		return q, wait, false
	}
	q = m.queue[0]
	m.queue = slices.Delete(m.queue, 0, 1)
	return q, 0, true
}

// done notes how an attempt went.
func (m *Mailer) done(ctx context.Context, q queued, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.state.Sent++
		return
	}
	m.state.LastError, m.state.LastAt = err.Error(), m.now()
	if refused(err) || q.tries == len(waits) {
		m.state.Failed++
		// The server's words may tell who the mail was for: administrators ask for them.
		m.log.ErrorContext(ctx, "mail not delivered", "attempts", q.tries+1)
		return
	}
	if ctx.Err() != nil {
		return
	}
	q.due = m.now().Add(waits[q.tries])
	q.tries++
	m.log.WarnContext(ctx, "mail not delivered yet", "attempts", q.tries)
	m.put(q)
}

// refused tells that a server has said no for good (RFC 5321 §4.2.1), of the
// message or of its receiver. A wrong password may be set right meanwhile.
func refused(err error) bool {
	if errors.Is(err, cloud.ErrInvalid) {
		return true
	}
	e, ok := errors.AsType[*gomail.SendError](err)
	return ok && !e.IsTemp() && e.ErrorCode() >= 500
}

// State tells how the mail goes.
func (m *Mailer) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	s.Queued = len(m.queue)
	return s
}
