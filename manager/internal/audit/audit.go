// Package audit writes down what was done, and by whom, for those who have to
// answer for it: sign-ins, what is shared and deleted, administration, services
// that come and go. The records are kept by package meta, each linked to the one
// before; they hold names and paths, and stay in the database: nothing of them is
// logged.
package audit

import (
	"context"
	"log/slog"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// The actions of the log.
const (
	SignIn             = "sign-in" // Done is false for a wrong name or password
	SignOut            = "sign-out"
	SessionEnded       = "session-ended"
	PasswordChanged    = "password-changed"
	ResetLinkMade      = "reset-link-made"
	AddressChanged     = "address-changed"
	InvitationMade     = "invitation-made"
	InvitationRevoked  = "invitation-revoked"
	IdentityLinked     = "identity-linked"
	IdentityUnlinked   = "identity-unlinked"
	UserCreated        = "user-created"
	UserDisabled       = "user-disabled"
	UserEnabled        = "user-enabled"
	UserDeleted        = "user-deleted"
	RoleChanged        = "role-changed"
	GroupCreated       = "group-created"
	GroupRenamed       = "group-renamed"
	GroupDeleted       = "group-deleted"
	MemberAdded        = "member-added"
	MemberRemoved      = "member-removed"
	QuotaSet           = "quota-set"
	TOTPSet            = "totp-set"
	TOTPRemoved        = "totp-removed"
	PasskeyAdded       = "passkey-added"
	PasskeyRenamed     = "passkey-renamed"
	PasskeyRemoved     = "passkey-removed"
	RecoveryCodesMade  = "recovery-codes-made"
	FactorsReset       = "factors-reset" // by an administrator
	AppPasswordMade    = "app-password-made"
	AppPasswordRevoked = "app-password-revoked"
	LinkMade           = "link-made"
	LinkChanged        = "link-changed"
	LinkRevoked        = "link-revoked"
	Shared             = "shared"
	Unshared           = "unshared"
	Transferred        = "transferred"
	MadePublic         = "made-public"
	MadeRestricted     = "made-restricted"
	Deleted            = "deleted" // to the trash, if there is one
	Restored           = "restored"
	Purged             = "purged" // out of the trash, for good
	ServiceJoined      = "service-joined"
	ServiceLeft        = "service-left"
	ServiceDrained     = "service-drained" // it is given nothing more
	ServiceRevoked     = "service-revoked" // it may not connect
	ServiceAllowed     = "service-allowed" // neither, any more
)

// Log writes records. The nil Log writes none. It is safe for concurrent use.
type Log struct {
	Store meta.Audit
	Log   *slog.Logger
}

// By is a record of what somebody did.
func By(who policy.Principal, action string) meta.AuditRecord {
	return meta.AuditRecord{Action: action, Done: true, User: who.User, UserName: who.Name, Address: who.Address}
}

// On is a record of what somebody did with an entry.
func On(who policy.Principal, action string, entry cloud.EntryID, path string) meta.AuditRecord {
	r := By(who, action)
	r.Entry, r.About = entry, path
	return r
}

// Add writes records, also if whoever caused them has gone. What they tell of is
// done: that it could not be written down is logged, and nothing else.
func (l *Log) Add(ctx context.Context, records ...meta.AuditRecord) {
	if l == nil || len(records) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := l.Store.AppendAudit(ctx, records...); err != nil {
		meta.Afterwards(ctx, func() {
			l.Log.ErrorContext(ctx, "audit log not written", "records", len(records), "action", records[0].Action, "err", err)
		})
	}
}
