package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// handler serves one call. It writes the success itself, or returns the error
// to be written.
type handler func(c *call) error

// auth says who may call a route.
type auth int

const (
	byBot  auth = iota // needs a bot's token in Authorization
	byPath             // anybody, or a token in the path: no Authorization
)

type route struct {
	method  string
	pattern string
	steps   []string
	auth    auth
	cdn     bool // not a part of the API: no version, no API limits
	bucket  string
	handle  handler
}

// key is "METHOD pattern".
func (r *route) key() string { return r.method + " " + r.pattern }

type router struct{ list []*route }

// Routes lists the server's routes, such as "POST /channels/{channel}/messages".
// API paths come without /api and the version.
func (s *Server) Routes() []string {
	keys := make([]string, len(s.routes.list))
	for i, r := range s.routes.list {
		keys[i] = r.key()
	}
	return keys
}

func (s *Server) newRouter(override map[string]http.HandlerFunc) (*router, error) {
	rt := &router{}
	add := func(method, pattern string, a auth, bucket string, h handler) {
		rt.list = append(rt.list, &route{
			method: method, pattern: pattern, steps: split(pattern), auth: a, bucket: bucket, handle: h,
		})
	}
	add("GET", "/users/@me", byBot, "", s.getMe)
	add("GET", "/users/@me/guilds", byBot, "", s.getMyGuilds)
	add("GET", "/users/{user}", byBot, "", s.getUser)
	add("GET", "/oauth2/applications/@me", byBot, "", s.getApplication)
	add("GET", "/applications/@me", byBot, "", s.getApplication)
	add("GET", "/gateway", byPath, "", s.getGateway)
	add("GET", "/gateway/bot", byBot, BucketGateway, s.getGatewayBot)
	add("GET", "/guilds/{guild}", byBot, "", s.getGuild)
	add("GET", "/guilds/{guild}/channels", byBot, "", s.getGuildChannels)
	add("POST", "/guilds/{guild}/channels", byBot, "", s.createChannel)
	add("GET", "/guilds/{guild}/members/{user}", byBot, "", s.getMember)
	add("GET", "/guilds/{guild}/webhooks", byBot, "", s.getGuildWebhooks)
	add("GET", "/channels/{channel}", byBot, "", s.getChannel)
	add("PATCH", "/channels/{channel}", byBot, "", s.editChannel)
	add("DELETE", "/channels/{channel}", byBot, "", s.deleteChannel)
	add("GET", "/channels/{channel}/messages", byBot, BucketRead, s.listMessages)
	add("POST", "/channels/{channel}/messages", byBot, BucketCreate, s.createMessage)
	add("POST", "/channels/{channel}/messages/bulk-delete", byBot, BucketBulkDelete, s.bulkDelete)
	add("GET", "/channels/{channel}/messages/{message}", byBot, BucketRead, s.getMessage)
	add("PATCH", "/channels/{channel}/messages/{message}", byBot, BucketEdit, s.editMessage)
	add("DELETE", "/channels/{channel}/messages/{message}", byBot, BucketDelete, s.deleteMessage)
	add("GET", "/channels/{channel}/webhooks", byBot, "", s.getChannelWebhooks)
	add("POST", "/channels/{channel}/webhooks", byBot, "", s.createWebhook)
	add("GET", "/webhooks/{webhook}", byBot, "", s.getWebhook)
	add("PATCH", "/webhooks/{webhook}", byBot, "", s.editWebhook)
	add("DELETE", "/webhooks/{webhook}", byBot, "", s.deleteWebhook)
	add("GET", "/webhooks/{webhook}/{token}", byPath, "", s.getWebhook)
	add("PATCH", "/webhooks/{webhook}/{token}", byPath, "", s.editWebhook)
	add("DELETE", "/webhooks/{webhook}/{token}", byPath, "", s.deleteWebhook)
	add("POST", "/webhooks/{webhook}/{token}", byPath, BucketWebhook, s.executeWebhook)
	add("GET", "/webhooks/{webhook}/{token}/messages/{message}", byPath, "", s.getMessage)
	add("PATCH", "/webhooks/{webhook}/{token}/messages/{message}", byPath, BucketEdit, s.editMessage)
	add("DELETE", "/webhooks/{webhook}/{token}/messages/{message}", byPath, BucketDelete, s.deleteMessage)
	add("POST", "/attachments/refresh-urls", byBot, "", s.refreshURLs)
	add("GET", cdnPattern, byPath, "", s.serveAttachment)
	rt.list[len(rt.list)-1].cdn = true
	for key, h := range override {
		i := slices.IndexFunc(rt.list, func(r *route) bool { return r.key() == key })
		if i < 0 {
			return nil, fmt.Errorf("handler for %q: no such route", key)
		}
		rt.list[i].handle = func(c *call) error {
			h(c.w, c.r)
			return nil
		}
	}
	return rt, nil
}

// split cuts a path at its slashes and drops empty steps, so that // is /.
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// find looks for the route of a path, and puts the path's values into r. Of a
// path that is known for other methods only, it tells that.
func (rt *router) find(r *http.Request, steps []string, cdn bool) (found *route, known bool) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, route := range rt.list {
		if route.cdn != cdn || !route.matches(steps) {
			continue
		}
		known = true
		if route.method != method {
			continue
		}
		for i, step := range route.steps {
			if name, ok := variable(step); ok {
				r.SetPathValue(name, steps[i])
			}
		}
		return route, true
	}
	return nil, known
}

func (r *route) matches(steps []string) bool {
	if len(steps) != len(r.steps) {
		return false
	}
	for i, step := range r.steps {
		if _, ok := variable(step); !ok && step != steps[i] {
			return false
		}
	}
	return true
}

func variable(step string) (string, bool) {
	if strings.HasPrefix(step, "{") && strings.HasSuffix(step, "}") {
		return step[1 : len(step)-1], true
	}
	return "", false
}
