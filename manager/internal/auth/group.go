package auth

import (
	"context"
	"fmt"
	"strings"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// checkGroupName refuses what nobody could tell from another name by looking.
func checkGroupName(name string) error {
	if name == "" || len(name) > 64 || strings.TrimSpace(name) != name {
		return cloud.UserErrorf(cloud.ErrInvalid, "the name of a group is 1 to 64 bytes, without spaces around it")
	}
	return nil
}

// Groups finds groups whose name contains query, for sharing with them.
func (s *Service) Groups(ctx context.Context, who policy.Principal, query string, limit int) ([]cloud.Group, error) {
	if err := policy.Check(who, policy.FindUsers, nil); err != nil {
		return nil, err
	}
	groups, err := s.store.Groups(ctx, query, limit)
	if err != nil {
		return nil, fmt.Errorf("find groups: %w", err)
	}
	return groups, nil
}

// Members lists the users of a group: who shares with it may know with whom.
func (s *Service) Members(ctx context.Context, who policy.Principal, id cloud.GroupID) ([]cloud.User, error) {
	if err := policy.Check(who, policy.FindUsers, nil); err != nil {
		return nil, err
	}
	return s.store.Members(ctx, id)
}

// CreateGroup makes a group without members. ErrExists if the name is taken.
func (s *Service) CreateGroup(ctx context.Context, who policy.Principal, name string) (cloud.Group, error) {
	if err := policy.Check(who, policy.ManageGroups, nil); err != nil {
		return cloud.Group{}, err
	}
	if err := checkGroupName(name); err != nil {
		return cloud.Group{}, err
	}
	g, err := s.store.CreateGroup(ctx, name)
	if err != nil {
		return cloud.Group{}, err
	}
	s.log.InfoContext(ctx, "group created", "group", g.ID, "user", who.User)
	s.note(ctx, who, audit.GroupCreated, name, "")
	return g, nil
}

// RenameGroup gives a group another name.
func (s *Service) RenameGroup(ctx context.Context, who policy.Principal, id cloud.GroupID, name string) (cloud.Group, error) {
	if err := policy.Check(who, policy.ManageGroups, nil); err != nil {
		return cloud.Group{}, err
	}
	if err := checkGroupName(name); err != nil {
		return cloud.Group{}, err
	}
	was, err := s.store.Group(ctx, id)
	if err != nil {
		return cloud.Group{}, err
	}
	g, err := s.store.RenameGroup(ctx, id, name)
	if err == nil {
		s.note(ctx, who, audit.GroupRenamed, was.Name, name)
	}
	return g, err
}

// DeleteGroup removes a group, and with it what was shared with it.
func (s *Service) DeleteGroup(ctx context.Context, who policy.Principal, id cloud.GroupID) error {
	if err := policy.Check(who, policy.ManageGroups, nil); err != nil {
		return err
	}
	was, err := s.store.Group(ctx, id)
	if err != nil {
		return err
	}
	if err := s.store.DeleteGroup(ctx, id); err != nil {
		return fmt.Errorf("delete group: %w", err)
	}
	s.log.InfoContext(ctx, "group deleted", "group", id, "user", who.User)
	s.note(ctx, who, audit.GroupDeleted, was.Name, "")
	return nil
}

// SetMember puts a user into a group or takes him out.
func (s *Service) SetMember(ctx context.Context, who policy.Principal, id cloud.GroupID, user cloud.UserID, member bool) error {
	if err := policy.Check(who, policy.ManageGroups, nil); err != nil {
		return err
	}
	g, err := s.store.Group(ctx, id)
	if err != nil {
		return err
	}
	u, err := s.store.User(ctx, user)
	if err != nil {
		return fmt.Errorf("member of a group: %w", err)
	}
	changed, err := s.store.SetMember(ctx, id, user, member)
	if err != nil || !changed {
		return err
	}
	action := audit.MemberAdded
	if !member {
		action = audit.MemberRemoved
	}
	s.note(ctx, who, action, g.Name, u.Name)
	return nil
}

// note writes down what who did with something.
func (s *Service) note(ctx context.Context, who policy.Principal, action, about, detail string) {
	r := audit.By(who, action)
	r.About, r.Detail = about, detail
	s.audit.Add(ctx, r)
}
