package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// Standing is what administrators let a service do.
type Standing string

// The standings of a service. StandingOpen is that of all that nobody has said
// anything about.
const (
	StandingOpen     Standing = "open"
	StandingDraining Standing = "draining" // it ends what it has, and is given nothing more
	StandingRevoked  Standing = "revoked"  // it may not connect
)

// ServiceStanding is a standing other than StandingOpen.
type ServiceStanding struct {
	Type     string // of the service
	Name     string // that it connects under
	Standing Standing
	User     cloud.UserID // who said so
	SetAt    time.Time
}

// Standings keeps what administrators have said about services.
type Standings interface {
	// ServiceStandings gives all, by type and name.
	ServiceStandings(ctx context.Context) ([]ServiceStanding, error)
	// SetServiceStanding replaces that of a service; StandingOpen forgets it.
	// SetAt is the store's.
	SetServiceStanding(ctx context.Context, s ServiceStanding) error
}
