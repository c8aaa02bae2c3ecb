package sandbox

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// channelsJSON lists a guild's channels.
func (s *Server) channelsJSON(ctx context.Context, g id) ([]channelJSON, error) {
	list, err := collect(ctx, s.store.read, scanChannel, `SELECT `+channelColumns+` FROM channels WHERE guild = ? ORDER BY position, id`, g)
	if err != nil {
		return nil, err
	}
	out := make([]channelJSON, 0, len(list))
	for _, ch := range list {
		v, err := s.channelJSON(ctx, ch)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (s *Server) channelJSON(ctx context.Context, ch channel) (channelJSON, error) {
	var last id
	err := s.store.read.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM messages WHERE channel = ?`, ch.id).Scan(&last)
	return renderChannel(ch, last), err
}

func (s *Server) getChannel(c *call) error {
	ch, err := c.channel()
	if err != nil {
		return err
	}
	out, err := s.channelJSON(c.r.Context(), ch)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, out)
}

// channelForm reads a channel's fields over those of ch.
func (f *form) channelForm(ch *channel) {
	if v, ok := f.string("name", 100); ok {
		if v = strings.TrimSpace(v); v == "" {
			f.bad("BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.", "name")
		}
		if ch.kind == 0 {
			v = strings.ToLower(strings.ReplaceAll(v, " ", "-"))
		}
		ch.name = v
	}
	if f.has("topic") {
		ch.topic, _ = f.string("topic", 1024)
	}
	if v, ok := f.int("position", 0, 1<<31-1); ok {
		ch.position = int(v)
	}
	if f.has("parent_id") {
		ch.parent, _ = f.snowflake("parent_id")
	}
	if f.has("nsfw") {
		ch.nsfw = f.bool("nsfw")
	}
	if v, ok := f.int("rate_limit_per_user", 0, 21600); ok {
		ch.slowmode = int(v)
	}
	if list, ok := f.array("permission_overwrites", 0, 1000); ok {
		ch.overwrites = []byte("[]")
		if len(list) > 0 {
			ch.overwrites = f.raw["permission_overwrites"]
		}
	}
}

func (s *Server) createChannel(c *call) error {
	g, err := c.pathGuild()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	ch := channel{guild: g.id, overwrites: json.RawMessage("[]")}
	if v, ok := f.int("type", 0, 16); ok {
		ch.kind = int(v)
	}
	if _, ok := f.get("name"); !ok {
		f.bad("BASE_TYPE_REQUIRED", "This field is required", "name")
	}
	f.channelForm(&ch)
	if err := f.err(); err != nil {
		return err
	}
	ctx := c.ctx()
	var out channelJSON
	err = s.store.update(ctx, func(x *change) error {
		var n int
		if err := x.QueryRowContext(ctx, `SELECT count(*) FROM channels WHERE guild = ?`, g.id).Scan(&n); err != nil {
			return err
		}
		if n >= 500 {
			return fail(http.StatusBadRequest, 30013)
		}
		ch.id = s.ids.next()
		if !f.has("position") {
			ch.position = n
		}
		out = renderChannel(ch, 0)
		x.then(func() { s.hub.announce("CHANNEL_CREATE", intentGuilds, out) })
		if err := x.putChannel(ctx, ch); err != nil {
			return err
		}
		return x.keepID(ctx, ch.id)
	})
	if err != nil {
		return err
	}
	return c.json(http.StatusCreated, out)
}

func (s *Server) editChannel(c *call) error {
	ch, err := c.channel()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	f.channelForm(&ch)
	if err := f.err(); err != nil {
		return err
	}
	out, err := s.channelJSON(c.r.Context(), ch)
	if err != nil {
		return err
	}
	ctx := c.ctx()
	err = s.store.update(ctx, func(x *change) error {
		x.then(func() { s.hub.announce("CHANNEL_UPDATE", intentGuilds, out) })
		res, err := x.ExecContext(ctx, `UPDATE channels SET name = ?, topic = ?, position = ?, parent = ?, nsfw = ?, slowmode = ?, overwrites = ?
			WHERE id = ?`, ch.name, ch.topic, ch.position, ch.parent, ch.nsfw, ch.slowmode, string(ch.overwrites), ch.id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return fail(http.StatusNotFound, 10003)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, out)
}

func (s *Server) deleteChannel(c *call) error {
	ch, err := c.channel()
	if err != nil {
		return err
	}
	out, err := s.channelJSON(c.r.Context(), ch)
	if err != nil {
		return err
	}
	if err := s.removeChannel(c.ctx(), ch.id, out); err != nil {
		return err
	}
	return c.json(http.StatusOK, out)
}

// removeChannel deletes a channel with all that is in it.
func (s *Server) removeChannel(ctx context.Context, ch id, out channelJSON) error {
	var files []id
	err := s.store.update(ctx, func(x *change) (err error) {
		if files, err = collect(ctx, x, func(scan func(...any) error) (id, error) {
			var i id
			return i, scan(&i)
		}, `DELETE FROM attachments WHERE channel = ? RETURNING id`, ch); err != nil {
			return err
		}
		for _, q := range []string{
			`DELETE FROM messages WHERE channel = ?`, `DELETE FROM webhooks WHERE channel = ?`, `DELETE FROM channels WHERE id = ?`,
		} {
			if _, err := x.ExecContext(ctx, q, ch); err != nil {
				return err
			}
		}
		x.then(func() { s.hub.announce("CHANNEL_DELETE", intentGuilds, out) })
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.files.remove(files...); err != nil {
		s.log.Warn("file left behind", "err", err)
	}
	return nil
}
