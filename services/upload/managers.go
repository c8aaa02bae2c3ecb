package upload

import (
	"reflect"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// terms is what a service has from one of its managers, and has told it.
type terms struct {
	packet.Configure
	elsewhere int64 // places that others use, as it was told
}

// agree makes p what holds with the other managers: the least of what each allows.
// ErrInvalid if they are not of the same cloud. s.mu is held.
func (s *Service) agree(conn *packet.Conn, p *packet.Configure) error {
	for other, t := range s.managers {
		if other == conn {
			continue
		}
		same, here := *p, t.Configure
		same.AttachmentLimit, same.RequestsPerSecond, same.StallSeconds = here.AttachmentLimit, here.RequestsPerSecond, here.StallSeconds
		if !reflect.DeepEqual(same, here) {
			return cloud.UserErrorf(cloud.ErrInvalid, "another manager has this service post elsewhere")
		}
		p.AttachmentLimit = min(p.AttachmentLimit, here.AttachmentLimit)
		if n := here.RequestsPerSecond; n != nil && (p.RequestsPerSecond == nil || *n < *p.RequestsPerSecond) {
			p.RequestsPerSecond = n
		}
	}
	return nil
}

// tellManagers tells each manager how many places the others use, if that has
// changed.
func (s *Service) tellManagers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.managers) == 0 {
		return
	}
	held := map[*packet.Conn]int64{}
	var all int64
	for _, t := range s.transfers {
		if conn := t.heldBy(); conn != nil {
			held[conn]++
			all++
		}
	}
	for conn, t := range s.managers {
		if n := all - held[conn]; n != t.elsewhere {
			t.elsewhere = n
			_ = conn.Send(packet.UploadElsewhere{Amount: n}) // one that is gone asks anew
		}
	}
}
