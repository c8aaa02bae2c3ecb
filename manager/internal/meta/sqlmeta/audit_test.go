package sqlmeta

import (
	"testing"

	"discordcloud/manager/internal/meta"
)

// Whatever is done to the rows, the chain shows it.
func TestVerifyAudit_changed(t *testing.T) {
	for _, change := range []string{
		`UPDATE audit SET about = '/other' WHERE number = 2`,
		`UPDATE audit SET done = FALSE WHERE number = 1`,
		`UPDATE audit SET at = at + 1 WHERE number = 3`,
		`DELETE FROM audit WHERE number = 2`,
		`DELETE FROM audit WHERE number = 1`,
		`DELETE FROM audit WHERE number = 3`,
		`DELETE FROM audit`,
		`INSERT INTO audit SELECT 4, at, action, done, user_id, user_name, address, entry_id, about, detail, sum FROM audit WHERE number = 3`,
		`UPDATE audit SET number = -number WHERE number < 3; UPDATE audit SET number = 3 + number WHERE number < 0`,
		`UPDATE audit_head SET number = 2`,
		`DELETE FROM audit_head`,
	} {
		s := openTest(t)
		for _, about := range []string{"/a", "/b", "/c"} {
			if err := s.AppendAudit(t.Context(), meta.AuditRecord{Action: "deleted", Done: true, User: 1, UserName: "ann", About: about}); err != nil {
				t.Fatal(err)
			}
		}
		if state, err := s.VerifyAudit(t.Context()); err != nil || state.Fault != "" || state.Records != 3 {
			t.Fatalf("VerifyAudit = %+v, %v", state, err)
		}
		if err := s.update(t.Context(), func(tx querier) error { return exec(t.Context(), tx, change) }); err != nil {
			t.Fatal(err)
		}
		if state, err := s.VerifyAudit(t.Context()); err != nil || state.Fault == "" {
			t.Errorf("after %s: %+v, %v", change, state, err)
		}
	}
}
