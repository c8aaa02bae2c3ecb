package api

import "discordcloud/manager/internal/policy"

// RouteFacts are what tests must know of each route.
type RouteFacts struct {
	Method, Path string
	Do           policy.Action
	Ticket, V1   bool
}

// Routes lists every route that New registers.
func Routes() []RouteFacts {
	a := &api{}
	var all []RouteFacts
	for _, rt := range a.routes() {
		all = append(all, RouteFacts{rt.method, rt.path, rt.do, rt.ticket, false})
	}
	for _, rt := range a.routesV1() {
		all = append(all, RouteFacts{rt.method, rt.path, rt.do, rt.ticket, true})
	}
	return all
}

// Register does what New does with each route.
func Register(do policy.Action, finds bool) {
	rt := route{method: "GET", path: "/x", do: do}
	if finds {
		rt.on = byID
	}
	rt.mustBeKnown()
}
