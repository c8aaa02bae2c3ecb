package dispatch

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// What administrators say about a service is kept under its name: the address of
// an upload service, whatever a thumbnail service calls itself. Whoever has the
// password of the services may take another name, so this keeps order among
// services, and strangers are kept out by another password.

// errRevoked is told to a service that may not connect.
var errRevoked = cloud.UserErrorf(cloud.ErrDenied, "an administrator has revoked this service")

// Maker is what makes thumbnails on behalf of a Service. Its methods are called
// under the dispatcher's lock: they must not block.
type Maker interface {
	// Drain has it take nothing more, or go on.
	Drain(on bool)
	// Busy is how much it is making.
	Busy() int
}

// Assign ties the service to what it makes, nil for nothing.
func (s *Service) Assign(m Maker) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.maker = m
	if m != nil {
		m.Drain(s.draining)
	}
}

// Admits is an error for a service that may not connect.
func (d *Dispatcher) Admits(ctx context.Context, role policy.Role, name string) error {
	standing, err := d.standingOf(ctx, kindOf(role), name)
	if err == nil && standing == meta.StandingRevoked {
		return errRevoked
	}
	return err
}

func (d *Dispatcher) standingOf(ctx context.Context, kind, name string) (meta.Standing, error) {
	all, err := d.Store.ServiceStandings(ctx)
	if err != nil {
		return "", err
	}
	for _, t := range all {
		if t.Type == kind && t.Name == name {
			return t.Standing, nil
		}
	}
	return meta.StandingOpen, nil
}

// longestName is that of a service, in bytes: an address may be that long.
const longestName = 2048

// SetStanding says what the service of a type and a name may do from now on,
// whether or not it is connected.
func (d *Dispatcher) SetStanding(ctx context.Context, who policy.Principal, kind, name string, standing meta.Standing) error {
	if err := policy.Check(who, policy.ManageServices, nil); err != nil {
		return err
	}
	action, known := map[meta.Standing]string{
		meta.StandingOpen: audit.ServiceAllowed, meta.StandingDraining: audit.ServiceDrained, meta.StandingRevoked: audit.ServiceRevoked,
	}[standing]
	if !known || kind != packet.ServiceUpload && kind != packet.ServiceThumbnail || name == "" || len(name) > longestName {
		return cloud.UserErrorf(cloud.ErrInvalid, "a service has a type, upload or thumbnail, a name, and is open, draining or revoked")
	}
	d.standing.Lock()
	defer d.standing.Unlock()
	if err := d.Store.SetServiceStanding(ctx, meta.ServiceStanding{Type: kind, Name: name, Standing: standing, User: who.User}); err != nil {
		return err
	}
	r := audit.By(who, action)
	r.About, r.Detail = name, kind
	d.Audit.Add(ctx, r)
	d.Log.InfoContext(ctx, "standing of a service set", "type", kind, "standing", standing, "user", who.User)
	return d.applyStandings(ctx)
}

// followStandings applies what was said about services anywhere: other managers
// on the database have administrators, too.
func (d *Dispatcher) followStandings(ctx context.Context) {
	d.standing.Lock()
	defer d.standing.Unlock()
	if err := d.applyStandings(ctx); err != nil && ctx.Err() == nil {
		d.Log.WarnContext(ctx, "standings of services not read", "err", err)
	}
}

// applyStandings lets all connected services do what they may. d.standing is held.
func (d *Dispatcher) applyStandings(ctx context.Context) error {
	all, err := d.Store.ServiceStandings(ctx)
	if err != nil {
		return err
	}
	type key struct{ kind, name string }
	said := map[key]meta.Standing{}
	for _, t := range all {
		said[key{t.Type, t.Name}] = t.Standing
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.services {
		switch standing := said[key{s.kind(), s.Name}]; {
		case standing == meta.StandingRevoked:
			d.Log.InfoContext(ctx, "service revoked", "service", s.id, "type", s.kind())
			s.link.Close("revoked by an administrator") // Lost does the rest
		case standing == meta.StandingDraining != s.draining:
			s.setDraining(!s.draining)
		}
	}
	return nil
}

// setDraining changes what a configured service is given. d.mu is held.
func (s *Service) setDraining(on bool) {
	s.draining = on
	if s.maker != nil {
		s.maker.Drain(on)
	}
	switch {
	case s.Role != policy.UploadService || s.quarantined:
	case on:
		s.d.pool.drain(s)
	default:
		s.d.pool.refill(s, s.Capacity)
	}
}

// Known are the connected services, and those that something was said about.
func (d *Dispatcher) Known(ctx context.Context) ([]Info, error) {
	said, err := d.Store.ServiceStandings(ctx)
	if err != nil {
		return nil, fmt.Errorf("known services: %w", err)
	}
	all := d.Services()
	for _, t := range said {
		connected := false
		for i, s := range all {
			if s.Type == t.Type && s.Name == t.Name {
				all[i].Standing, all[i].SetAt, connected = t.Standing, t.SetAt, true
			}
		}
		if !connected {
			all = append(all, Info{Type: t.Type, Name: t.Name, Standing: t.Standing, SetAt: t.SetAt})
		}
	}
	return all, nil
}
