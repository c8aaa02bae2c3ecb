package api

import (
	"time"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/meta"
)

// knownService is a service as administrators see it: one that is connected, or
// that they have said something about.
type knownService struct {
	ServiceInfo
	Name       string        `json:"name"`
	Version    string        `json:"version"`
	Peer       string        `json:"peer"`
	Connected  bool          `json:"connected"`
	Since      *time.Time    `json:"since"` // null if it is not
	Standing   meta.Standing `json:"standing"`
	StandingAt *time.Time    `json:"standing_at"`
	// Of this connection.
	Parts    int64      `json:"parts"`
	Bytes    int64      `json:"bytes"`
	Failures int64      `json:"failures"`
	Failure  string     `json:"failure"` // the last
	FailedAt *time.Time `json:"failed_at"`
}

func knownServiceOf(i dispatch.Info) knownService {
	return knownService{
		ServiceInfo: ServiceInfo{ID: i.ID, Type: i.Type, Address: i.Address, Busy: i.Busy, Capacity: i.Capacity, Quarantined: i.Quarantined, Lacks: i.Lacks},
		Name:        i.Name, Version: i.Version, Peer: i.Peer, Connected: i.ID != "", Since: timeOrNull(i.Since),
		Standing: i.Standing, StandingAt: timeOrNull(i.SetAt),
		Parts: i.Parts, Bytes: i.Bytes, Failures: i.Failures, Failure: i.Failure, FailedAt: timeOrNull(i.FailedAt),
	}
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// knownServices tells of all services, and of this process's way to Discord.
func (a *api) knownServices(q *call) error {
	list := []knownService{}
	if a.Dispatch != nil {
		known, err := a.Dispatch.Known(q.ctx())
		if err != nil {
			return err
		}
		for _, i := range known {
			list = append(list, knownServiceOf(i))
		}
	}
	state := map[string]any{"services": list}
	for _, part := range []string{"discord", "blobs"} {
		if f := a.Debug[part]; f != nil {
			state[part] = f()
		}
	}
	return q.answer(state)
}

func (a *api) setStanding(q *call) error {
	var in struct {
		Type     string        `json:"type"`
		Name     string        `json:"name"`
		Standing meta.Standing `json:"standing"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	if a.Dispatch != nil {
		if err := a.Dispatch.SetStanding(q.ctx(), q.who, in.Type, in.Name, in.Standing); err != nil {
			return err
		}
	}
	return a.knownServices(q)
}
