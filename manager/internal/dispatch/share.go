package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Discord limits the requests of a token, wherever they come from. So this
// process, whose own services post with its client, and the upload services
// elsewhere get a part each. A fifth stays here for reading; the rest is shared
// equally among all upload services.

// reserved is the divisor of what is kept for reading.
const reserved = 5

// shares is who gets a part. Its lock is held while services are told.
type shares struct {
	mu       sync.Mutex
	services []*Service
}

// terms are what a service knows that changes while it is connected.
type terms struct {
	limit     int64 // of attachments
	perSecond int   // 0 if it is not limited
}

// elsewhere tells that s does not post with this process's client.
func (s *Service) elsewhere() bool { return !strings.HasPrefix(s.Address, "/") }

// managers is how many processes like this one there are.
func (d *Dispatcher) managers() int {
	if d.Peers == nil {
		return 1
	}
	return d.Peers.Managers()
}

// sharesSlots tells whether other managers may be faster with a slot that is free
// here. Services know of others before the database tells of them.
func (d *Dispatcher) sharesSlots() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lent || d.managers() > 1
}

// split gives the requests a second of each service elsewhere, and of this
// process. Other managers count with as much as this one, and with the same services.
func (d *Dispatcher) split(services []*Service) (each, own int) {
	total := d.Service.PerSecond
	remote := 0
	for _, s := range services {
		if s.elsewhere() {
			remote++
		}
	}
	if remote == 0 || total == 0 {
		return 0, total / d.managers()
	}
	each = max(1, (total-total/reserved)/len(services))
	return each, max(1, (total-remote*each)/d.managers())
}

// enlist gives a fresh upload service its part, after the others gave it up.
func (d *Dispatcher) enlist(ctx context.Context, s *Service) error {
	d.shares.mu.Lock()
	defer d.shares.mu.Unlock()
	d.tellAll(ctx, append(slices.Clip(d.shares.services), s))
	if err := s.tell(ctx, d.shareOf(s, append(slices.Clip(d.shares.services), s))); err != nil {
		d.tellAll(ctx, d.shares.services)
		return err
	}
	d.mu.Lock()
	gone := s.gone
	d.mu.Unlock()
	if gone { // nobody would discharge it any more
		d.tellAll(ctx, d.shares.services)
		return fmt.Errorf("configure service: %w: it has left", cloud.ErrUnavailable)
	}
	d.shares.services = append(d.shares.services, s)
	return nil
}

// discharge gives the part of a service that has left to the others.
func (d *Dispatcher) discharge(ctx context.Context, s *Service) {
	d.shares.mu.Lock()
	defer d.shares.mu.Unlock()
	i := slices.Index(d.shares.services, s)
	if i < 0 {
		return
	}
	d.shares.services = slices.Delete(d.shares.services, i, i+1)
	d.tellAll(ctx, d.shares.services)
}

// Inform tells connected upload services when the limit of attachments has
// changed, and follows what other managers say about services, until ctx ends.
func (d *Dispatcher) Inform(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		d.followStandings(ctx)
		d.shares.mu.Lock()
		d.tellAll(ctx, d.shares.services)
		d.shares.mu.Unlock()
	}
}

// limitFell follows a service elsewhere that Discord has refused an attachment which
// it takes by what is known here. The others would be refused, too.
func (d *Dispatcher) limitFell(ctx context.Context, s *Service, limit int64) {
	if limit <= 0 || chunk.PlainMax(limit) == 0 || !s.elsewhere() || d.Service.LimitFell == nil || limit >= d.Service.AttachmentLimit() {
		return
	}
	d.Log.WarnContext(ctx, "Discord takes no attachment that large from a service", "service", s.id, "limit", limit)
	d.Service.LimitFell(limit)
	ctx = context.WithoutCancel(ctx)
	d.background.Go(func() {
		d.shares.mu.Lock()
		defer d.shares.mu.Unlock()
		d.tellAll(ctx, d.shares.services)
	})
}

// tellAll tells those of the connected services, and this process, whose part
// differs under the sharing among services. The shares' lock is held.
func (d *Dispatcher) tellAll(ctx context.Context, services []*Service) {
	if d.Service.SetPerSecond != nil {
		_, own := d.split(services)
		d.Service.SetPerSecond(own)
	}
	var group sync.WaitGroup
	for _, s := range d.shares.services {
		if t := d.shareOf(s, services); t != s.terms && slices.Contains(services, s) {
			group.Go(func() {
				if err := s.tell(ctx, t); err != nil {
					d.Log.WarnContext(ctx, "service does not know its part", "service", s.id, "err", err)
				}
			})
		}
	}
	group.Wait()
}

func (d *Dispatcher) shareOf(s *Service, services []*Service) terms {
	t := terms{limit: d.Service.AttachmentLimit()}
	if s.elsewhere() {
		t.perSecond, _ = d.split(services)
	}
	return t
}

// tell sends an upload service its configuration. Others need none.
func (s *Service) tell(ctx context.Context, t terms) error {
	if s.Role != policy.UploadService {
		return nil
	}
	d := s.d
	stall := max(1, int64(d.Stall/time.Second))
	p := packet.Configure{
		DiscordBotToken:   d.Service.Token,
		DiscordChannelIDs: d.Service.Channels,
		DiscordAPIURL:     d.Service.APIURL,
		DiscordCDNHosts:   d.Service.CDNHosts,
		AttachmentLimit:   t.limit,
		StallSeconds:      &stall,
	}
	if t.perSecond > 0 {
		n := int64(t.perSecond)
		p.RequestsPerSecond = &n
	}
	if err := s.call(ctx, p); err != nil {
		return fmt.Errorf("configure service: %w", err)
	}
	s.terms = t
	return nil
}
