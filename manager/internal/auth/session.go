package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Token is what a client shows to be somebody.
type Token struct {
	Text      string    // three parts of base64url, joined by dots
	ExpiresAt time.Time // after that it is void, even if it was used all the time
	User      cloud.User
	Session   string
}

// touchEvery is how exactly the last use of a session is known.
const touchEvery = time.Minute

// SignIn begins a session of a user whose identity has been proved.
func (s *Service) SignIn(ctx context.Context, user cloud.User, peer Peer) (Token, error) {
	now := s.now()
	row := meta.Session{
		ID: newID(), User: user.ID, CreatedAt: now, UsedAt: now, ExpiresAt: now.Add(min(s.idle, s.max)),
		Agent: shortAgent(peer.Agent),
	}
	if peer.Address.IsValid() {
		row.Address = peer.Address.Unmap().String()
	}
	t := Token{ExpiresAt: now.Add(s.max), User: user, Session: row.ID}
	var err error
	if t.Text, err = s.signer.sign(user.ID, row.ID, now, t.ExpiresAt); err != nil {
		return Token{}, err
	}
	if err := s.store.CreateSession(ctx, row); err != nil {
		return Token{}, fmt.Errorf("begin session: %w", err)
	}
	return t, nil
}

// Verify tells who holds the token of a session. ErrUnauthenticated if it is not
// one of ours, or its session has ended.
func (s *Service) Verify(ctx context.Context, token string) (policy.Principal, error) {
	user, session, err := s.signer.verify(token, s.now())
	if err != nil {
		return policy.Principal{}, err
	}
	return s.principal(ctx, user, session)
}

// VerifyBearer tells who holds a token of a session, or of a link.
func (s *Service) VerifyBearer(ctx context.Context, token string) (policy.Principal, error) {
	if strings.HasPrefix(token, s.linkSigner.header) {
		return s.verifyLink(ctx, token)
	}
	return s.Verify(ctx, token)
}

// principal is the holder of a session, or of a link, that still runs.
func (s *Service) principal(ctx context.Context, user cloud.UserID, session string) (policy.Principal, error) {
	if linkID(session) != 0 {
		return s.visitor(ctx, session)
	}
	now := s.now()
	row, u, err := s.store.Session(ctx, session, now)
	if errors.Is(err, cloud.ErrNotFound) {
		return policy.Principal{}, fmt.Errorf("session has ended: %w", cloud.ErrUnauthenticated)
	}
	if err != nil {
		return policy.Principal{}, fmt.Errorf("load session: %w", err)
	}
	if u.ID != user || u.Disabled {
		return policy.Principal{}, fmt.Errorf("session of another user: %w", cloud.ErrUnauthenticated)
	}
	s.touch(ctx, row, now)
	return policy.Principal{
		Role: policy.User, User: u.ID, Name: u.Name, Administrator: u.Administrator, Session: session,
	}, nil
}

// touch notes that a session is in use, now and then.
func (s *Service) touch(ctx context.Context, row meta.Session, now time.Time) {
	if now.Sub(row.UsedAt) < touchEvery {
		return
	}
	if _, busy := s.touching.LoadOrStore(row.ID, nil); busy {
		return // of many requests at the same moment, one writes
	}
	defer s.touching.Delete(row.ID)
	expires := now.Add(s.idle)
	if end := row.CreatedAt.Add(s.max); end.Before(expires) {
		expires = end
	}
	if err := s.store.TouchSession(ctx, row.ID, now, expires); err != nil {
		// Who asks has shown who he is; that his use was not noted must not stop him.
		meta.Afterwards(ctx, func() {
			s.log.WarnContext(ctx, "use of a session not noted", "user", row.User, "err", err)
		})
	}
}

// Alive tells whether the session of who still runs: nil, or ErrUnauthenticated.
// Somebody without a session, as the holder of a signed link, is alive.
func (s *Service) Alive(ctx context.Context, who policy.Principal) error {
	if who.Session == "" {
		return nil
	}
	if who.Role == policy.AppPassword {
		return s.appAlive(ctx, who)
	}
	_, err := s.principal(ctx, who.User, who.Session)
	return err
}

// Logout ends the session of who.
func (s *Service) Logout(ctx context.Context, who policy.Principal) error {
	return s.end(ctx, who, who.Session, "signed out", audit.SignOut)
}

// Revoke ends one of the sessions of who. ErrNotFound if it is none of his.
func (s *Service) Revoke(ctx context.Context, who policy.Principal, id string) error {
	return s.end(ctx, who, id, "this session was ended", audit.SessionEnded)
}

func (s *Service) end(ctx context.Context, who policy.Principal, id, reason, action string) error {
	if err := policy.Check(who, policy.ManageSessions, nil); err != nil {
		return err
	}
	if err := s.store.DeleteSession(ctx, who.User, id); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	s.publishEnd(who.User, reason, id)
	s.audit.Add(ctx, audit.By(who, action))
	return nil
}

// Sessions lists the sessions of who that still run.
func (s *Service) Sessions(ctx context.Context, who policy.Principal) ([]meta.Session, error) {
	if err := policy.Check(who, policy.ManageSessions, nil); err != nil {
		return nil, err
	}
	all, err := s.store.Sessions(ctx, who.User)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	now := s.now()
	live := all[:0]
	for _, row := range all {
		if row.ExpiresAt.After(now) {
			live = append(live, row)
		}
	}
	return live, nil
}
