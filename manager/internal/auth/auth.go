// Package auth tells who somebody is: it keeps passwords, sessions, the tokens
// and tickets that stand for them, and the limits on guessing. What somebody
// may do is decided by package policy; how a token travels is the business of
// the doors (HTTP, sockets).
//
// # Why
//
// A token is a signed name of a session and nothing more. Clients of version 1
// need the shape of a JWT, so it is one; but what counts is the row of the
// session in the database, which makes tokens end with it: at sign-out, with a
// new password, with the account.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base32"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/openid"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

// Store keeps what a Service decides by.
type Store interface {
	meta.Accounts
	meta.Groups
	meta.AppPasswords
	meta.Factors
	meta.Links
	meta.Quotas
	meta.Invitations
	meta.Reach
	meta.Identities
	meta.Tickets
}

// Options are what a Service stands on. Store and Bus are needed.
type Options struct {
	Store   Store
	Private *rsa.PrivateKey // signs tokens; without it nobody can sign in
	Public  *rsa.PublicKey  // checks them; without it no token is taken
	Bus     *event.Bus      // told when sessions end
	Ring    crypt.Ring      // seals the texts of links and what proves a second factor; without it there are none

	// Shared keeps limits together with other managers, nil without.
	Shared meta.Guesses

	Now  func() time.Time // nil is time.Now
	Hash HashParams       // zero is 64 MiB, 3 passes, 1 lane
	// Pepper is mixed into every password before it is hashed; it is kept
	// outside of the database. A hash made under another pepper never verifies.
	Pepper      []byte
	SessionIdle time.Duration // 0 is 14 days: a session unused so long ends
	SessionMax  time.Duration // 0 is 90 days: no session and no token is older
	// Mail sends mail; nil is without. Then PublicURL, under which people reach the
	// page, is needed.
	Mail      Mailer
	PublicURL string
	// OpenID is another provider of sign-ins; nil is without. SignUp lets whoever it
	// knows make an account.
	OpenID *openid.Provider
	SignUp bool

	Audit *audit.Log // nil writes nothing down
	Log   *slog.Logger
}

// Service checks passwords, tokens and tickets. It is safe for concurrent use.
type Service struct {
	store  Store
	bus    *event.Bus
	now    func() time.Time
	idle   time.Duration
	max    time.Duration
	audit  *audit.Log
	log    *slog.Logger
	hasher *hasher
	signer *signer
	ring   crypt.Ring
	limits limits

	linkSigner *signer // of what the openers of links get

	setupCode string
	hasUsers  atomic.Bool // once true it stays true: the last administrator stays

	mail      Mailer
	publicURL string
	resets    chan wantedReset
	openID    *openid.Provider
	signUp    bool
	flows     flows

	touching sync.Map // ids of sessions that are being touched
	shared   *sharing // nil without other managers
}

// New makes a Service.
func New(o Options) *Service {
	s := &Service{
		store: o.Store, bus: o.Bus, now: o.Now, audit: o.Audit, log: o.Log,
		idle: o.SessionIdle, max: o.SessionMax,
		hasher: newHasher(o.Hash, o.Pepper, runtime.GOMAXPROCS(0)),
		signer: newSigner(o.Private, o.Public, tokenType), linkSigner: newSigner(o.Private, o.Public, linkTokenType), ring: o.Ring,
		setupCode: newSetupCode(),
		mail:      o.Mail, publicURL: strings.TrimRight(o.PublicURL, "/"), resets: make(chan wantedReset, 64),
		openID: o.OpenID, signUp: o.SignUp,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.idle == 0 {
		s.idle = 14 * 24 * time.Hour
	}
	if s.max == 0 {
		s.max = 90 * 24 * time.Hour
	}
	s.limits = newLimits()
	s.flows.byState = map[string]flow{}
	if o.Shared != nil {
		s.shared = &sharing{store: o.Shared, log: s.log}
		s.limits.share(s.shared)
	}
	return s
}

// Run removes what has expired, now and then, and sees to the mails that were
// asked for, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	s.expire(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.expire(ctx)
		case w := <-s.resets:
			if err := s.mailReset(ctx, w); err != nil {
				s.log.WarnContext(ctx, "mail for a new password not sent", "err", err)
			}
		}
	}
}

func (s *Service) expire(ctx context.Context) {
	now := s.now()
	err := errors.Join(s.store.ExpireSessions(ctx, now), s.store.ExpireChallenges(ctx, now), s.store.ExpireReach(ctx, now), s.store.ExpireTickets(ctx, now))
	if err != nil && ctx.Err() == nil {
		// They are void all the same; the next round removes them.
		s.log.WarnContext(ctx, "expired sessions, links and tickets not removed", "err", err)
	}
	if s.shared != nil {
		if err := s.shared.store.ExpireAttempts(ctx, now); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "old attempts not removed", "err", err)
		}
	}
	s.flows.purge(now)
}

// Peer is where a request came from, as far as it can be trusted.
type Peer struct {
	Address netip.Addr // the zero Addr if it is not known
	Agent   string     // User-Agent
}

// text is the address, "" if it is not known.
func (p Peer) text() string {
	if !p.Address.IsValid() {
		return ""
	}
	return p.Address.Unmap().String()
}

// network is what limits count as one peer: an IPv4 address, or the /64 that one
// IPv6 subscriber has to himself.
func (p Peer) network() string {
	a := p.Address.Unmap()
	if a.Is6() {
		if prefix, err := a.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return a.String()
}

// maxAgent is how much of a User-Agent a session keeps, in bytes.
const maxAgent = 200

func shortAgent(s string) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) > maxAgent {
		s = strings.ToValidUTF8(s[:maxAgent], "")
	}
	return s
}

// SetupRequired tells whether there are no users yet.
func (s *Service) SetupRequired(ctx context.Context) (bool, error) {
	if s.hasUsers.Load() {
		return false, nil
	}
	n, err := s.store.CountUsers(ctx)
	if err != nil {
		return false, err
	}
	if n > 0 {
		s.hasUsers.Store(true)
	}
	return n == 0, nil
}

// SetupCode is the code by which the first administrator may be made from
// elsewhere than this machine. It is new at each start, and "" once there are
// users, or while the database does not answer. It has the shape of a token, so
// that clients of version 1 take it for one.
func (s *Service) SetupCode() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	required, err := s.SetupRequired(ctx)
	if err != nil {
		s.log.ErrorContext(ctx, "cannot tell whether there are users", "err", err)
		return ""
	}
	if !required {
		return ""
	}
	return s.setupCode
}

func newSetupCode() string {
	t := strings.ToLower(rand.Text()) // 26 characters, 130 bits
	return t[:9] + "." + t[9:18] + "." + t[18:]
}

// newID is 160 random bits as text.
func newID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// sameName is the form of a user's name by which attempts are counted.
func sameName(name string) string {
	if len(name) > 256 {
		name = name[:256]
	}
	return strings.ToLower(name)
}

// publishEnd tells everybody who acts for a session that it has ended.
func (s *Service) publishEnd(user cloud.UserID, reason string, ids ...string) {
	s.bus.Publish(&event.Session{User: user, IDs: ids, Reason: reason})
}
