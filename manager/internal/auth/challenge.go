package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"discordcloud/pkg/cloud"
)

// A challenge is what stands between two steps: what the first has found out,
// sealed, in the hands of who asked. So any manager can take the second step, and
// nothing is kept for those who never do. One that led to something is remembered
// until it expires, and none is taken twice.
type challenge struct {
	ID       string       `json:"id"`
	Expires  int64        `json:"exp"` // Unix, in seconds
	User     cloud.UserID `json:"user,omitempty"`
	Name     string       `json:"name,omitempty"`
	Password []byte       `json:"password,omitempty"` // sum of its stored form: with another password it is void
	Secret   string       `json:"secret,omitempty"`   // of one-time codes, to be confirmed

	// Of passkeys:
	Site    Site                  `json:"site,omitzero"`
	Session *webauthn.SessionData `json:"session,omitempty"`
	Second  *challenge            `json:"second,omitempty"` // the sign-in that it is to finish
}

// kind is what a challenge is for; one kind does not open as another.
type kind string

const (
	secondStep  kind = "second step"  // the password was right
	askPasskey  kind = "ask passkey"  // to sign in with
	addPasskey  kind = "add passkey"  // to an account
	confirmTOTP kind = "confirm TOTP" // that an app has the secret

	challengeTime = 10 * time.Minute
	maxChallenge  = 16 << 10 // bytes of its text; one with 32 passkeys has some 6,000
)

// errOver is the answer to a challenge that is none of ours, has expired, was
// answered, or whose user has changed since.
func errOver() error {
	return cloud.UserErrorf(cloud.ErrUnauthenticated, "that took too long, or is done already: begin again")
}

func (k kind) info() string { return "discord-cloud/1 challenge: " + string(k) }

// seal gives a challenge an id and a time, and makes it a text.
func (s *Service) seal(k kind, c *challenge) (text string, expires time.Time, err error) {
	if len(s.ring) == 0 {
		return "", time.Time{}, fmt.Errorf("seal challenge: no key: %w", cloud.ErrUnavailable)
	}
	expires = s.now().Add(challengeTime).Truncate(time.Second)
	c.ID, c.Expires = newID(), expires.Unix()
	b, err := json.Marshal(c)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("seal challenge: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.ring.SealNote(k.info(), b)), expires, nil
}

// unseal opens the text of a challenge that has not expired.
func (s *Service) unseal(k kind, text string) (c challenge, err error) {
	if len(text) > maxChallenge {
		return challenge{}, errOver()
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return challenge{}, errOver()
	}
	b, err := s.ring.OpenNote(k.info(), sealed)
	if err != nil {
		return challenge{}, errOver()
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return challenge{}, fmt.Errorf("open challenge: %w", err) // sealed by us, and yet
	}
	return c, s.runs(c)
}

// runs refuses what has expired.
func (s *Service) runs(c challenge) error {
	if s.now().Unix() >= c.Expires {
		return errOver()
	}
	return nil
}

// spend takes a challenge, once.
func (s *Service) spend(ctx context.Context, c challenge) error {
	err := s.store.SpendChallenge(ctx, sha256.Sum256([]byte(c.ID)), time.Unix(c.Expires, 0))
	if errors.Is(err, cloud.ErrExists) {
		return errOver()
	}
	return err
}

// pending is the user of a sign-in that lacks its second step, if he is what he
// was at the first.
func (s *Service) pending(ctx context.Context, c challenge) (cloud.User, error) {
	now, err := s.credentials(ctx, c.Name)
	if err != nil {
		return cloud.User{}, err
	}
	sum := sha256.Sum256([]byte(now.Password))
	if now.ID != c.User || now.Disabled || string(sum[:]) != string(c.Password) {
		return cloud.User{}, errOver()
	}
	return now.User, nil
}
