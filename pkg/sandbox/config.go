package sandbox

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Mode says how the server limits its clients.
type Mode int

const (
	// Off sets no rate limits, and says so: the headers tell of one that never
	// binds. Sizes are still checked.
	Off Mode = iota
	// Live behaves as the live service was seen to: some limits are hidden from
	// the headers, and a request may hold 200 MiB.
	Live
	// Strict gives no more than Discord documents: every limit shows in the
	// headers, and a request may hold 25 MiB.
	Strict
)

var modeNames = [...]string{"off", "live", "strict"}

// String is "off", "live" or "strict".
func (m Mode) String() string {
	if m < 0 || int(m) >= len(modeNames) {
		return fmt.Sprintf("Mode(%d)", int(m))
	}
	return modeNames[m]
}

// MarshalText writes what String says.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (m *Mode) UnmarshalText(text []byte) error {
	for i, name := range modeNames {
		if string(text) == name {
			*m = Mode(i)
			return nil
		}
	}
	return fmt.Errorf("mode %q is not off, live or strict", text)
}

// Config is what Open needs. The zero value is a server on a temporary
// directory, without rate limits.
type Config struct {
	// Dir keeps the database and the attachments. Empty stands for a temporary
	// directory that Close removes. Only one Server can use a Dir at a time.
	Dir string
	// Token is the first bot's token, without "Bot ". Empty stands for the one
	// that Dir holds, or for a new one.
	Token string
	// PublicURL is how clients reach the server, without a trailing slash. It is
	// the base of attachment links and of the gateway's address. Empty stands for
	// the address of the first listener, and without one for the Host of the first
	// request.
	PublicURL string

	Mode Mode
	// Scale speeds up every rate limit window: at 10, Discord's 5 s are 0.5 s.
	// 0 stands for 1.
	Scale float64
	// LinkLifetime is how long attachment links live, in whole seconds; 0 stands
	// for 24 hours. As links are issued in steps (of a minute, for short lifetimes
	// of a quarter, at least of a second), one may live shorter by a step.
	LinkLifetime time.Duration
	// Limits overrides numbers; see Limits.
	Limits Limits

	// Now is the clock of ids, links and limits; nil stands for time.Now.
	Now func() time.Time
	// Log is where the server reports; nil discards.
	Log *slog.Logger
	// Seed makes the probabilities of fault rules repeatable.
	Seed uint64
	// NoSync leaves out fsync: fast, and what was acknowledged may be lost in a
	// power cut.
	NoSync bool
	// Channels is how many text channels an empty store begins with; 0 stands
	// for 4.
	Channels int

	// Handlers replaces built-in handlers by route, such as
	// "POST /channels/{channel}/messages"; Routes lists them. The handler runs
	// behind authorization, rate limits and faults; r.PathValue has the ids.
	Handlers map[string]http.HandlerFunc
}

func (c Config) withDefaults() Config {
	if c.Scale <= 0 {
		c.Scale = 1
	}
	if c.LinkLifetime <= 0 {
		c.LinkLifetime = 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Channels <= 0 {
		c.Channels = 4
	}
	return c
}
