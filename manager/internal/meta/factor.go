package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// TOTP is the secret of a user's one-time codes.
type TOTP struct {
	Sealed    []byte // under a key that the store has not
	Step      int64  // of the last code that was taken
	CreatedAt time.Time
}

// Passkey is a key pair of a user whose private half is in his authenticator.
type Passkey struct {
	ID         int64
	User       cloud.UserID
	Credential []byte // id that the authenticator gave
	Handle     []byte // what the authenticator knows the user by: the same for all of his
	RP         string // name of the server that it is for: it works at no other
	Name       string
	Record     []byte // the public key, and what else is needed to check an answer
	SignCount  int64  // as the authenticator told last, 0 if it does not count
	CreatedAt  time.Time
	UsedAt     time.Time // zero for never
}

// FactorSet is what a user may show besides his password.
type FactorSet struct {
	TOTP     *TOTP
	Passkeys []Passkey // the oldest first
	Codes    int       // recovery codes that are left
}

// Any tells whether there is something to ask for after the password. Recovery
// codes stand for the others, and are none by themselves.
func (f FactorSet) Any() bool { return f.TOTP != nil || len(f.Passkeys) > 0 }

// Factors keeps what users show besides their passwords, or instead of them. It
// goes with its user.
type Factors interface {
	// Factors gives all of a user, the empty set for who has none.
	Factors(ctx context.Context, user cloud.UserID) (FactorSet, error)
	// SetTOTP gives a user a secret, in the place of the one before. Codes become
	// his recovery codes if none are left; it tells whether they have. ErrNotFound
	// if there is no such user.
	SetTOTP(ctx context.Context, user cloud.UserID, t TOTP, codes []cloud.Sum) (bool, error)
	// UseTOTP remembers the step of a code. ErrNotFound if that one or a later one
	// was taken already, or there is no secret: of two at once, one gets it.
	UseTOTP(ctx context.Context, user cloud.UserID, step int64) error
	// DeleteTOTP takes the secret away; recovery codes go with the last factor.
	// ErrNotFound if there is none.
	DeleteTOTP(ctx context.Context, user cloud.UserID) error
	// AddPasskey adds one and gives it with its id; codes are as for SetTOTP.
	// ErrExists if the credential is known, ErrNotFound if the user is not.
	AddPasskey(ctx context.Context, p Passkey, codes []cloud.Sum) (Passkey, bool, error)
	// Passkey finds one by its credential. ErrNotFound also for a disabled user.
	Passkey(ctx context.Context, credential []byte) (Passkey, cloud.User, error)
	// UsePasskey remembers the Record, SignCount and UsedAt of a use. ErrNotFound if
	// it is gone, or does count and has not counted on: then there are two of it.
	UsePasskey(ctx context.Context, p Passkey) error
	// RenamePasskey gives one of the user's another name. ErrNotFound if he has no such.
	RenamePasskey(ctx context.Context, user cloud.UserID, id int64, name string) error
	// DeletePasskey removes one of the user's, and recovery codes with the last
	// factor. ErrNotFound if he has no such.
	DeletePasskey(ctx context.Context, user cloud.UserID, id int64) error
	// SetRecoveryCodes puts codes in the place of those that are left. ErrNotFound
	// if the user has no factor.
	SetRecoveryCodes(ctx context.Context, user cloud.UserID, codes []cloud.Sum) error
	// UseRecoveryCode takes one for good. ErrNotFound if it is none, or was taken.
	UseRecoveryCode(ctx context.Context, user cloud.UserID, code cloud.Sum) error
	// ResetFactors takes all from a user. ErrNotFound if he has none.
	ResetFactors(ctx context.Context, user cloud.UserID) error
	// SpendChallenge notes that a challenge was answered. ErrExists if it was before.
	SpendChallenge(ctx context.Context, sum cloud.Sum, expires time.Time) error
	// ExpireChallenges forgets those that expired before now.
	ExpireChallenges(ctx context.Context, now time.Time) error
}
