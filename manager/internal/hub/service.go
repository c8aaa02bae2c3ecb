package hub

import (
	"context"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/thumbs"
	"discordcloud/pkg/packet"
)

// link is a connection as package dispatch uses it.
type link struct{ *packet.Conn }

// Close ends the connection.
func (l link) Close(reason string) { l.Conn.Close(closeNormal, reason) }

// admitService keeps the hub running for a service.
func (h *Hub) admitService() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.running.Add(1)
	return true
}

// runService serves a service to the end of its connection.
func (h *Hub) runService(ctx context.Context, conn *packet.Conn, o dispatch.ServiceOptions) {
	h.mu.Lock()
	h.services[conn] = struct{}{}
	if h.closed {
		conn.Close(closeGoing, errStopping.Error())
	}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.services, conn)
	}()

	s := h.Dispatch.NewService(link{conn}, o)
	log := h.Log.With("service", s.ID())
	record := meta.AuditRecord{Action: audit.ServiceJoined, Done: true, Address: o.Peer, About: string(o.Role), Detail: s.Name}
	h.Audit.Add(ctx, record)
	defer func() {
		record.Action = audit.ServiceLeft
		h.Audit.Add(ctx, record)
	}()
	configured := make(chan struct{})
	var worker *thumbs.Worker // of a thumbnail service, once it is configured
	go func() {               // Run has to read the answer
		defer close(configured)
		err := s.Configure(ctx)
		if err == nil && o.Role == policy.ThumbnailService && h.Thumbs != nil {
			if worker, err = h.Thumbs.Join(ctx, link{conn}, o.Capacity); err == nil {
				s.Lacks(worker.Lacks())
				s.Assign(worker)
			}
		}
		if err != nil {
			log.WarnContext(ctx, "service not configured", "err", err)
			conn.Close(closeRefused, "not configured")
		}
	}()
	err := conn.Run(ctx, func(ctx context.Context, m packet.Message) {
		defer h.survive(conn, m)
		switch p := m.Data.(type) {
		case packet.PartStored:
			s.PartStored(ctx, p, func(err error) {
				answer := packet.Packet(packet.Boolean{Success: true})
				if err != nil {
					answer = packet.ErrorOf(err)
				}
				_ = m.Reply(answer) // fails only with the connection
			})
		case packet.ThumbnailDone:
			<-configured // before that it has been given nothing
			answer := packet.Packet(packet.Boolean{Success: true})
			if err := worker.Done(ctx, p); err != nil {
				answer = packet.ErrorOf(err)
			}
			_ = m.Reply(answer) // fails only with the connection
		case packet.UploadFailed:
			s.Failed(ctx, p)
		case packet.UploadElsewhere:
			s.Elsewhere(p.Amount)
		default:
			log.DebugContext(ctx, "packet of a service ignored", "packet", m.ID)
		}
	})
	<-configured
	worker.Leave(ctx)
	s.Lost(ctx)
	if err != nil {
		log.InfoContext(ctx, "connection of a service ended", "err", err)
	}
}
