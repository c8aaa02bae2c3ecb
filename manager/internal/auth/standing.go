package auth

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Accounts lists users whose name contains query (all for ""), by name from the
// one after the name after, with what they have stored and may store.
func (s *Service) Accounts(ctx context.Context, who policy.Principal, query, after string, limit int) ([]meta.UserQuota, error) {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return nil, err
	}
	return s.store.Quotas(ctx, query, after, limit)
}

// SetDisabled closes an account or opens it again. A closed one is signed out
// everywhere at once, and its app passwords are gone. ErrDenied for the last
// administrator.
func (s *Service) SetDisabled(ctx context.Context, who policy.Principal, id cloud.UserID, disabled bool) (cloud.User, error) {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return cloud.User{}, err
	}
	u, err := s.store.SetDisabled(ctx, id, disabled)
	if err != nil {
		return cloud.User{}, err
	}
	action := audit.UserEnabled
	if disabled {
		action = audit.UserDisabled
		s.publishEnd(id, "this account was disabled")
	}
	s.log.InfoContext(ctx, "user changed", "user", id, "disabled", disabled)
	s.note(ctx, who, action, u.Name, "")
	return u, nil
}

// SetAdministrator gives a user the role of an administrator, or takes it: then he
// is signed out everywhere, so that nothing goes on under it. ErrDenied for the
// last one.
func (s *Service) SetAdministrator(ctx context.Context, who policy.Principal, id cloud.UserID, administrator bool) (cloud.User, error) {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return cloud.User{}, err
	}
	u, err := s.store.SetAdministrator(ctx, id, administrator)
	if err != nil {
		return cloud.User{}, err
	}
	role := "administrator"
	if !administrator {
		role = "user"
		s.publishEnd(id, "your role has changed")
	}
	s.log.InfoContext(ctx, "user changed", "user", id, "administrator", administrator)
	s.note(ctx, who, audit.RoleChanged, u.Name, role)
	return u, nil
}

// DeleteUser removes an account. What it owns becomes the heir's, in his trash
// with discard, where the store has one.
func (s *Service) DeleteUser(ctx context.Context, who policy.Principal, id, heir cloud.UserID, discard bool) error {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return err
	}
	u, err := s.store.User(ctx, id)
	if err != nil {
		return err
	}
	to, err := s.store.User(ctx, heir)
	if err != nil {
		return err
	}
	d, err := s.store.DeleteUser(ctx, id, heir, discard)
	if err != nil {
		return err
	}
	s.publishEnd(id, "this account was deleted")
	for i, e := range d.Top {
		e.Share = nil
		s.bus.Publish(&event.Change{Action: event.Removed, Entry: e, Path: d.Paths[i]})
	}
	detail := "files to " + to.Name
	if discard {
		detail = "files to the trash of " + to.Name
	}
	s.log.InfoContext(ctx, "user deleted", "user", id, "heir", heir)
	s.note(ctx, who, audit.UserDeleted, u.Name, detail)
	return nil
}

// ResetPassword gives a user a new password of 24 random characters and ends all
// his sign-ins. The text is told once.
func (s *Service) ResetPassword(ctx context.Context, who policy.Principal, id cloud.UserID) (string, error) {
	if err := policy.Check(who, policy.ManageUsers, nil); err != nil {
		return "", err
	}
	text := newAppPassword()
	if err := s.SetPassword(ctx, who, id, text); err != nil {
		return "", fmt.Errorf("reset password: %w", err)
	}
	return text, nil
}
