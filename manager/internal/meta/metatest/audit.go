package metatest

import (
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var audits = []testcase{
	{"chain", func(f *fixture) {
		state := must(f.VerifyAudit(f.ctx))(f)
		f.same("empty", state, meta.AuditState{})
		want := []meta.AuditRecord{
			{At: at(0), Action: "a", Done: true, User: 7, UserName: "ann", Address: "::1", Entry: 5, About: "/x", Detail: "d"},
			{At: at(1), Action: "b", User: 8, UserName: "bob"},
			{At: at(2), Action: "a", Done: true, User: 7, UserName: "ann", Entry: 6},
		}
		f.ok(f.AppendAudit(f.ctx, want[0]))
		f.ok(f.AppendAudit(f.ctx, want[1:]...))
		var sum cloud.Sum
		for i := range want {
			want[i].Number = int64(i + 1)
			sum = want[i].Link(sum)
			want[i].Sum = sum
		}
		f.same("state", must(f.VerifyAudit(f.ctx))(f), meta.AuditState{Records: 3, Sum: sum})
		for _, c := range []struct {
			q    meta.AuditQuery
			want []meta.AuditRecord
		}{
			{meta.AuditQuery{Limit: 9}, []meta.AuditRecord{want[2], want[1], want[0]}},
			{meta.AuditQuery{Limit: 1}, want[2:]},
			{meta.AuditQuery{Limit: 1, Before: 3}, want[1:2]},
			{meta.AuditQuery{Limit: 9, User: 7, Before: 3}, want[:1]},
			{meta.AuditQuery{Limit: 9, Action: "b"}, want[1:2]},
			{meta.AuditQuery{Limit: 9, Entry: 6}, want[2:]},
			{meta.AuditQuery{Limit: 9, Text: "BOB"}, want[1:2]},
			{meta.AuditQuery{Limit: 9, Text: "/x d"}, want[:1]},
			{meta.AuditQuery{Limit: 9, Text: "_"}, nil},
			{meta.AuditQuery{Limit: 9, Refused: true}, want[1:2]},
			{meta.AuditQuery{Limit: 9, Since: at(1), Until: at(2)}, want[1:2]},
		} {
			f.same("records", must(f.AuditRecords(f.ctx, c.q))(f), c.want)
		}
		_, err := f.AuditRecords(f.ctx, meta.AuditQuery{})
		f.is(err, cloud.ErrInvalid)
		f.reopen()
		f.ok(f.AppendAudit(f.ctx, meta.AuditRecord{Action: "c"}))
		f.same("goes on", must(f.VerifyAudit(f.ctx))(f).Records, int64(4))
	}},
}
