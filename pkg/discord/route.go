package discord

import (
	"time"
)

// Rate is a number of requests in a window that opens with the first of them.
type Rate struct {
	Limit int
	Per   time.Duration
}

// route is a line of Discord's API as its limits see it: method and path
// template. Two routes are never merged, not even when they report the same
// bucket: POST and PATCH of messages do, and count separately.
type route struct {
	name string
	// rate holds before the first answer and where answers carry no headers.
	rate Rate
	// capped tells that the headers of the route promise more than it gives.
	capped bool
}

// The rates are those seen on the live service in 2026; none is promised.
var (
	routePost       = route{name: "POST /channels/{c}/messages", rate: Rate{5, 5 * time.Second}}
	routeMessages   = route{name: "GET /channels/{c}/messages", rate: Rate{5, 5 * time.Second}, capped: true}
	routeMessage    = route{name: "GET /channels/{c}/messages/{m}", rate: Rate{5, 5 * time.Second}, capped: true}
	routeEdit       = route{name: "PATCH /channels/{c}/messages/{m}", rate: Rate{5, 5 * time.Second}}
	routeDeleteNew  = route{name: "DELETE /channels/{c}/messages/{m} (new)", rate: Rate{5, time.Second}}
	routeDelete     = route{name: "DELETE /channels/{c}/messages/{m}", rate: Rate{3, 333 * time.Millisecond}}
	routeDeleteOld  = route{name: "DELETE /channels/{c}/messages/{m} (old)", rate: Rate{30, 4 * time.Second}}
	routeBulkDelete = route{name: "POST /channels/{c}/messages/bulk-delete", rate: Rate{1, time.Second}}
	routeRefresh    = route{name: "POST /attachments/refresh-urls", rate: Rate{5, time.Second}}
	routeChannel    = route{name: "GET /channels/{c}", rate: Rate{5, 5 * time.Second}}
	routeGuild      = route{name: "GET /guilds/{g}", rate: Rate{5, 5 * time.Second}}
	routeMe         = route{name: "GET /users/@me", rate: Rate{5, 5 * time.Second}}
)

// deleteRoute is the route of deleting the message: by its age it falls into
// one of three buckets.
func deleteRoute(message string, now time.Time) route {
	switch age := now.Sub(SnowflakeTime(message)); {
	case age < 10*time.Second:
		return routeDeleteNew
	case age < bulkAge:
		return routeDelete
	default:
		return routeDeleteOld
	}
}
