package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// errWrong is the one answer to a wrong name, a wrong password and a disabled
// account.
func errWrong() error {
	return cloud.UserErrorf(cloud.ErrUnauthenticated, "wrong name or password")
}

// Login begins a session for who knows the password. ErrUnauthenticated if it is
// wrong or there is no such user, which look and last the same; ErrLimited, with
// a *retry.AfterError, after too many attempts; ErrDenied, with a text, if the
// account asks for a second factor, which takes LoginStep.
func (s *Service) Login(ctx context.Context, name, password string, peer Peer) (Token, error) {
	t, second, err := s.LoginStep(ctx, name, password, peer)
	if err == nil && second != nil {
		err = errSecond()
	}
	return t, err
}

// LoginStep is Login for those who can go on: if the account asks for a second
// factor it gives no token, but what is to be shown next.
func (s *Service) LoginStep(ctx context.Context, name, password string, peer Peer) (Token, *Second, error) {
	found, set, err := s.prove(ctx, name, password, peer)
	if err != nil {
		return Token{}, nil, err
	}
	if set.Any() {
		second, err := s.second(found, set)
		return Token{}, second, err
	}
	t, err := s.signIn(ctx, found.User, peer, "")
	return t, nil, err
}

// signIn begins a session, and writes down how it was come by.
func (s *Service) signIn(ctx context.Context, user cloud.User, peer Peer, how string) (Token, error) {
	t, err := s.SignIn(ctx, user, peer)
	if err == nil {
		r := byUser(user, peer, audit.SignIn)
		r.Detail = how
		s.audit.Add(ctx, r)
	}
	return t, err
}

// prove checks a password within the limits, and gives what else the user may be
// asked for. With that, the right password alone clears no count: whoever knows
// it could guess codes for ever.
func (s *Service) prove(ctx context.Context, name, password string, peer Peer) (meta.Credentials, meta.FactorSet, error) {
	refuse := func(err error) (meta.Credentials, meta.FactorSet, error) {
		return meta.Credentials{}, meta.FactorSet{}, err
	}
	try, err := s.limits.login(name, peer, s.now())
	if err != nil {
		return refuse(err)
	}
	if len(password) > MaxPassword {
		return refuse(errWrong())
	}
	found, err := s.credentials(ctx, name)
	if err != nil {
		try.undo()
		return refuse(err)
	}
	ok, stale, err := s.hasher.verify(ctx, found.Password, password)
	if err != nil {
		try.undo()
		return refuse(fmt.Errorf("check password: %w", err))
	}
	if !ok || found.ID == 0 || found.Disabled {
		// A name that nobody has may be a password in the wrong field: it is not kept.
		r := byUser(found.User, peer, audit.SignIn)
		r.Done = false
		s.audit.Add(ctx, r)
		return refuse(errWrong())
	}
	set, err := s.store.Factors(ctx, found.ID)
	if err != nil {
		try.undo()
		return refuse(err)
	}
	if set.Any() {
		try.undo()
	} else {
		try.right(s.now())
	}
	if stale {
		found.Password = s.rehash(ctx, found, password)
	}
	return found, set, nil
}

// byUser is a record of what a user did who was not signed in before.
func byUser(u cloud.User, peer Peer, action string) meta.AuditRecord {
	return meta.AuditRecord{Action: action, Done: true, User: u.ID, UserName: u.Name, Address: peer.text()}
}

// credentials finds a user, or makes up one whose password nobody has.
func (s *Service) credentials(ctx context.Context, name string) (meta.Credentials, error) {
	none := meta.Credentials{Password: s.hasher.dummy()}
	if checkUserName(name) != nil {
		return none, nil
	}
	found, err := s.store.Credentials(ctx, name)
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		return none, nil
	case err != nil:
		return meta.Credentials{}, fmt.Errorf("find user: %w", err)
	}
	return found, nil
}

// rehash stores a password anew under the parameters in force, and gives the form
// that is stored then.
func (s *Service) rehash(ctx context.Context, c meta.Credentials, password string) string {
	fresh, err := s.hasher.hash(ctx, password)
	if err == nil {
		err = s.store.Rehash(ctx, c.ID, c.Password, fresh)
	}
	if err != nil {
		// The old form is as good for this sign-in, and the next will try again.
		s.log.WarnContext(ctx, "password not hashed anew", "user", c.ID, "err", err)
		return c.Password
	}
	return fresh
}

// CreateFirst makes the first user, an administrator. It needs the set-up code,
// unless the request came directly from this machine (local). ErrDenied if the
// code is wrong or there are users; of two at once, one wins.
func (s *Service) CreateFirst(ctx context.Context, code string, local bool, name, password string, peer Peer) (cloud.User, error) {
	required, err := s.SetupRequired(ctx)
	if err != nil {
		return cloud.User{}, err
	}
	if !required {
		return cloud.User{}, cloud.UserErrorf(cloud.ErrDenied, "there are users already: an administrator makes more")
	}
	if !local {
		if wait, ok := s.limits.register.take(peer.network(), s.now()); !ok {
			return cloud.User{}, tooMany("attempts", wait)
		}
		if subtle.ConstantTimeCompare([]byte(code), []byte(s.setupCode)) != 1 {
			return cloud.User{}, cloud.UserErrorf(cloud.ErrDenied, "that is not the set-up code that this server printed at its start")
		}
		s.limits.register.giveBack(peer.network())
	}
	user, err := s.create(ctx, name, password, true, true)
	if err == nil {
		r := byUser(user, peer, audit.UserCreated)
		r.About = user.Name
		s.audit.Add(ctx, r)
	}
	if err == nil || errors.Is(err, cloud.ErrDenied) { // ErrDenied: somebody else was first
		s.hasUsers.Store(true)
	}
	return user, err
}

// CreateUser makes a user on behalf of an administrator. ErrExists if the name
// is taken, also in other case.
func (s *Service) CreateUser(ctx context.Context, who policy.Principal, name, password string, admin bool) (cloud.User, error) {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return cloud.User{}, err
	}
	user, err := s.create(ctx, name, password, admin, false)
	if err == nil {
		r := audit.By(who, audit.UserCreated)
		if r.About = user.Name; admin {
			r.Detail = "administrator"
		}
		s.audit.Add(ctx, r)
	}
	return user, err
}

// LimitRegister counts a refused attempt to register from a peer: ErrLimited
// after three in an hour.
func (s *Service) LimitRegister(peer Peer) error {
	if wait, ok := s.limits.register.take(peer.network(), s.now()); !ok {
		return tooMany("attempts to register", wait)
	}
	return nil
}

func (s *Service) create(ctx context.Context, name, password string, admin, first bool) (cloud.User, error) {
	if err := checkUserName(name); err != nil {
		return cloud.User{}, err
	}
	if err := checkPassword(name, password); err != nil {
		return cloud.User{}, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return cloud.User{}, fmt.Errorf("hash password: %w", err)
	}
	user, err := s.store.CreateUser(ctx, name, hash, admin, first)
	if errors.Is(err, cloud.ErrExists) {
		return cloud.User{}, fmt.Errorf("create user: %w: %w", cloud.UserErrorf(cloud.ErrExists, "that name is taken"), err)
	}
	if err != nil {
		return cloud.User{}, fmt.Errorf("create user: %w", err)
	}
	s.log.InfoContext(ctx, "user created", "user", user.ID, "administrator", admin)
	return user, nil
}

// ChangePassword replaces the password of who knows the one before, and ends all
// his sessions. Errors are those of Login, and ErrInvalid for a new password
// that may not be one.
func (s *Service) ChangePassword(ctx context.Context, name, previous, next string, peer Peer) (cloud.User, error) {
	return s.changePassword(ctx, name, previous, next, peer, false)
}

// ChangeOwnPassword is ChangePassword for somebody signed in, who has shown a
// second factor if his account asks for one.
func (s *Service) ChangeOwnPassword(ctx context.Context, who policy.Principal, previous, next string, peer Peer) (cloud.User, error) {
	if err := policy.Check(who, policy.ChangePassword, nil); err != nil {
		return cloud.User{}, err
	}
	return s.changePassword(ctx, who.Name, previous, next, peer, true)
}

func (s *Service) changePassword(ctx context.Context, name, previous, next string, peer Peer, signedIn bool) (cloud.User, error) {
	if err := checkPassword(name, next); err != nil {
		return cloud.User{}, err
	}
	if previous == next {
		return cloud.User{}, cloud.UserErrorf(cloud.ErrInvalid, "the new password is the old one")
	}
	found, set, err := s.prove(ctx, name, previous, peer)
	if err == nil && set.Any() && !signedIn {
		err = errSecond()
	}
	if err != nil {
		return cloud.User{}, err
	}
	if err := s.replacePassword(ctx, found.ID, next); err != nil {
		return cloud.User{}, err
	}
	s.audit.Add(ctx, byUser(found.User, peer, audit.PasswordChanged))
	return found.User, nil
}

// SetPassword replaces a password without asking for the one before: for the
// command line of whoever runs the server, who is who.
func (s *Service) SetPassword(ctx context.Context, who policy.Principal, id cloud.UserID, next string) error {
	user, err := s.store.User(ctx, id)
	if err != nil {
		return fmt.Errorf("find user: %w", err)
	}
	if err := checkPassword(user.Name, next); err != nil {
		return err
	}
	if err := s.replacePassword(ctx, id, next); err != nil {
		return err
	}
	r := audit.By(who, audit.PasswordChanged)
	r.About = user.Name
	s.audit.Add(ctx, r)
	return nil
}

func (s *Service) replacePassword(ctx context.Context, id cloud.UserID, next string) error {
	hash, err := s.hasher.hash(ctx, next)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	if _, err := s.store.SetPassword(ctx, id, hash); err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	// No ids: a session that began in the same moment must not be left out.
	s.publishEnd(id, "the password was changed")
	return nil
}

// Users finds users whose name contains query, for sharing with them.
func (s *Service) Users(ctx context.Context, who policy.Principal, query string, limit int) ([]cloud.User, error) {
	if err := policy.Check(who, policy.FindUsers, nil); err != nil {
		return nil, err
	}
	users, err := s.store.Users(ctx, query, limit)
	if err != nil {
		return nil, fmt.Errorf("find users: %w", err)
	}
	return users, nil
}
