package metatest

import (
	"discordcloud/manager/internal/meta"
)

var serviceStandings = []testcase{
	{"kept", func(f *fixture) {
		ann := f.user("ann")
		all := func() []meta.ServiceStanding {
			all := must(f.ServiceStandings(f.ctx))(f)
			for i := range all {
				f.same("set", all[i].SetAt.IsZero(), false)
				all[i].SetAt = at(0)
			}
			return all
		}
		f.same("none", len(all()), 0)
		one := meta.ServiceStanding{Type: "upload", Name: "https://a.example/?b=c", Standing: meta.StandingDraining, User: ann, SetAt: at(0)}
		two := meta.ServiceStanding{Type: "thumbnail", Name: "host", Standing: meta.StandingRevoked, User: ann, SetAt: at(0)}
		f.ok(f.SetServiceStanding(f.ctx, one))
		f.ok(f.SetServiceStanding(f.ctx, two))
		f.same("two", all(), []meta.ServiceStanding{two, one})
		one.Standing = meta.StandingRevoked
		f.ok(f.SetServiceStanding(f.ctx, one))
		f.same("replaced", all(), []meta.ServiceStanding{two, one})
		f.reopen()
		two.Standing = meta.StandingOpen
		f.ok(f.SetServiceStanding(f.ctx, two))
		f.ok(f.SetServiceStanding(f.ctx, two)) // again
		f.same("one", all(), []meta.ServiceStanding{one})
	}},
}
