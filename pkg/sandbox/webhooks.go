package sandbox

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// webhook finds the webhook of the path, and checks the token if the path has
// one.
func (c *call) webhook() (webhook, error) {
	i, err := c.pathID("webhook")
	if err != nil {
		return webhook{}, err
	}
	w, ok, err := one(c.r.Context(), c.s.store.read, scanWebhook, `SELECT `+webhookColumns+` FROM webhooks WHERE id = ?`, i)
	if err != nil {
		return w, err
	}
	if !ok {
		return w, fail(http.StatusNotFound, 10015)
	}
	if c.route.auth == byPath && subtle.ConstantTimeCompare([]byte(w.token), []byte(c.r.PathValue("token"))) == 0 {
		return w, fail(http.StatusUnauthorized, 50027)
	}
	return w, nil
}

func (f *form) webhookForm(w *webhook) {
	if v, ok := f.string("name", 80); ok {
		w.name = strings.TrimSpace(v)
		lower := strings.ToLower(w.name)
		switch {
		case w.name == "":
			f.bad("BASE_TYPE_BAD_LENGTH", "Must be between 1 and 80 in length.", "name")
		case strings.Contains(lower, "discord"), strings.Contains(lower, "clyde"):
			f.bad("USERNAME_INVALID_CONTAINS", `Username cannot contain "discord" or "clyde"`, "name")
		}
	}
	if f.has("avatar") {
		w.avatar, _ = f.string("avatar", maxJSON)
	}
}

func (s *Server) createWebhook(c *call) error {
	ch, err := c.channel()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	raw := make([]byte, 51)
	_, _ = rand.Read(raw) // never fails
	w := webhook{channel: ch.id, guild: ch.guild, token: base64.RawURLEncoding.EncodeToString(raw), creator: c.bot.id}
	if _, ok := f.get("name"); !ok {
		f.bad("BASE_TYPE_REQUIRED", "This field is required", "name")
	}
	f.webhookForm(&w)
	if err := f.err(); err != nil {
		return err
	}
	ctx := c.ctx()
	err = s.store.update(ctx, func(x *change) error {
		var n int
		if err := x.QueryRowContext(ctx, `SELECT count(*) FROM webhooks WHERE channel = ?`, ch.id).Scan(&n); err != nil {
			return err
		}
		if n >= 15 {
			return fail(http.StatusBadRequest, 30007)
		}
		w.id = s.ids.next()
		s.announceWebhook(x, w)
		if err := x.putWebhook(ctx, w); err != nil {
			return err
		}
		return x.keepID(ctx, w.id)
	})
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, c.renderWebhook(w))
}

func (s *Server) announceWebhook(x *change, w webhook) {
	x.then(func() {
		s.hub.announce("WEBHOOKS_UPDATE", intentWebhooks, map[string]any{"guild_id": w.guild, "channel_id": w.channel})
	})
}

func (s *Server) getWebhook(c *call) error {
	w, err := c.webhook()
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, c.renderWebhook(w))
}

func (s *Server) getChannelWebhooks(c *call) error {
	ch, err := c.channel()
	if err != nil {
		return err
	}
	return c.listWebhooks("channel", ch.id)
}

func (s *Server) getGuildWebhooks(c *call) error {
	g, err := c.pathGuild()
	if err != nil {
		return err
	}
	return c.listWebhooks("guild", g.id)
}

func (c *call) listWebhooks(column string, of id) error {
	list, err := collect(c.r.Context(), c.s.store.read, scanWebhook,
		`SELECT `+webhookColumns+` FROM webhooks WHERE `+column+` = ? ORDER BY id`, of)
	if err != nil {
		return err
	}
	out := make([]webhookJSON, 0, len(list))
	for _, w := range list {
		out = append(out, c.renderWebhook(w))
	}
	return c.json(http.StatusOK, out)
}

func (s *Server) editWebhook(c *call) error {
	w, err := c.webhook()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	f.webhookForm(&w)
	if ch, ok := f.snowflake("channel_id"); ok && c.bot != nil {
		w.channel = ch
	}
	if err := f.err(); err != nil {
		return err
	}
	ctx := c.ctx()
	err = s.store.update(ctx, func(x *change) error {
		var n int
		if err := x.QueryRowContext(ctx, `SELECT count(*) FROM channels WHERE id = ?`, w.channel).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return fail(http.StatusNotFound, 10003)
		}
		s.announceWebhook(x, w)
		return x.putWebhook(ctx, w)
	})
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, c.renderWebhook(w))
}

func (s *Server) deleteWebhook(c *call) error {
	w, err := c.webhook()
	if err != nil {
		return err
	}
	ctx := c.ctx()
	err = s.store.update(ctx, func(x *change) error {
		s.announceWebhook(x, w)
		_, err := x.ExecContext(ctx, `DELETE FROM webhooks WHERE id = ?`, w.id)
		return err
	})
	if err != nil {
		return err
	}
	return c.noContent()
}

func (s *Server) executeWebhook(c *call) error {
	w, err := c.webhook()
	if err != nil {
		return err
	}
	wait := false
	if v := c.r.URL.Query().Get("wait"); v != "" {
		if wait, err = strconv.ParseBool(v); err != nil {
			return formFail("BOOLEAN_TYPE_CONVERT", "Must be either true or false.", "wait")
		}
	}
	m, err := c.post(message{channel: w.channel, author: w.id, webhook: w.id, authorName: w.name})
	if err != nil {
		return err
	}
	if !wait {
		return c.noContent()
	}
	return c.sent(m)
}
