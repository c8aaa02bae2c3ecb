package meta

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"discordcloud/pkg/cloud"
)

// AuditRecord is one row of the audit log: what somebody did, or was refused.
type AuditRecord struct {
	Number   int64 // 1 for the first; set by the store
	At       time.Time
	Action   string
	Done     bool // false for what was refused
	User     cloud.UserID
	UserName string // as it was at the time
	Address  string // of the peer, "" if it is not known
	Entry    cloud.EntryID
	About    string // in words: a path, a name
	Detail   string
	Sum      cloud.Sum // of this row and of all before it; set by the store
}

// Link is the sum of a record that comes after the one with the sum before: the
// SHA-256 over that sum and the record's fields, each with its length in front.
func (r AuditRecord) Link(before cloud.Sum) cloud.Sum {
	h := sha256.New()
	h.Write(before[:])
	done := int64(0)
	if r.Done {
		done = 1
	}
	var b []byte
	for _, n := range []int64{r.Number, r.At.UnixMicro(), done, int64(r.User), int64(r.Entry)} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	for _, s := range []string{r.Action, r.UserName, r.Address, r.About, r.Detail} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	h.Write(b)
	return cloud.Sum(h.Sum(nil))
}

// AuditQuery asks for records, the newest first. Zero fields ask for everything.
type AuditQuery struct {
	Since, Until time.Time // of At; until is exclusive
	User         cloud.UserID
	Action       string
	Entry        cloud.EntryID
	// Text is part of a name, an address, or what the record is about. Case counts for
	// letters beyond ASCII, where the database tells it.
	Text    string
	Refused bool  // only what was refused
	Before  int64 // numbers below this one
	Limit   int   // 1 and more
}

// AuditState is what a verification of the log came to.
type AuditState struct {
	Records int64     // read
	Sum     cloud.Sum // of the last
	Fault   string    // where the chain breaks, "" if it does not
}

// Audit keeps the audit log: records are added and never changed. Whoever can
// write to the database can also write the whole chain anew; what he cannot do is
// change it so that a sum noted elsewhere still is the one of its record.
type Audit interface {
	// AppendAudit adds records in their order, durably, and links them to those
	// before.
	AppendAudit(ctx context.Context, records ...AuditRecord) error
	// AuditRecords gives a page of records.
	AuditRecords(ctx context.Context, q AuditQuery) ([]AuditRecord, error)
	// VerifyAudit computes the whole chain again. The error is one of reading.
	VerifyAudit(ctx context.Context) (AuditState, error)
}
