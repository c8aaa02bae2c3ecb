package sandbox

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// channel finds the channel of the path.
func (c *call) channel() (channel, error) {
	i, err := c.pathID("channel")
	if err != nil {
		return channel{}, err
	}
	ch, ok, err := one(c.r.Context(), c.s.store.read, scanChannel, `SELECT `+channelColumns+` FROM channels WHERE id = ?`, i)
	if err == nil && !ok {
		err = fail(http.StatusNotFound, 10003)
	}
	return ch, err
}

// place is the channel that the path names itself or through a webhook.
func (c *call) place() (ch id, hook webhook, err error) {
	if c.r.PathValue("webhook") != "" {
		hook, err = c.webhook()
		return hook.channel, hook, err
	}
	found, err := c.channel()
	return found.id, webhook{}, err
}

// target finds the message of the path. Through a webhook only its own count.
func (c *call) target() (*message, error) {
	ch, hook, err := c.place()
	if err != nil {
		return nil, err
	}
	i, err := c.pathID("message")
	if err != nil {
		return nil, err
	}
	m, err := c.s.store.message(c.r.Context(), c.s.store.read, ch, i)
	if err != nil {
		return nil, err
	}
	if m == nil || hook.id != m.webhook && hook.id != 0 {
		return nil, fail(http.StatusNotFound, 10008)
	}
	return m, nil
}

func (s *Server) getMessage(c *call) error {
	m, err := c.target()
	if err != nil {
		return err
	}
	if c.fx.lose || s.lags(m.id) {
		return fail(http.StatusNotFound, 10008)
	}
	return c.json(http.StatusOK, c.view().message(m, false))
}

func (s *Server) listMessages(c *call) error {
	ch, err := c.channel()
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	f := &form{raw: map[string]json.RawMessage{}, errs: &formErrors{}}
	for _, name := range []string{"limit", "before", "after", "around"} {
		if v := q.Get(name); v != "" {
			f.raw[name] = json.RawMessage(v)
		}
	}
	limit, ok := f.int("limit", 1, 100)
	if !ok {
		limit = 50
	}
	pivot := func(name string) id {
		if v := q.Get(name); v == "" || v == "0" {
			return 0
		}
		i, _ := f.snowflake(name)
		return i
	}
	around, before, after := pivot("around"), pivot("before"), pivot("after")
	if err := f.err(); err != nil {
		return err
	}
	var list []*message
	page := func(where string, n int64, args ...any) error {
		got, err := collect(c.r.Context(), s.store.read, scanMessage,
			`SELECT `+messageColumns+` FROM messages WHERE channel = ? AND `+where+` LIMIT ?`, slices.Concat([]any{ch.id}, args, []any{n})...)
		list = append(list, got...)
		return err
	}
	switch {
	case around != 0:
		if err = page(`id > ? ORDER BY id`, limit/2, around); err == nil {
			err = page(`id <= ? ORDER BY id DESC`, limit-limit/2, around)
		}
	case before != 0:
		err = page(`id < ? ORDER BY id DESC`, limit, before)
	case after != 0:
		err = page(`id > ? ORDER BY id`, limit, after)
	default:
		err = page(`true ORDER BY id DESC`, limit)
	}
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(m *message) bool { return s.lags(m.id) })
	slices.SortFunc(list, func(a, b *message) int { return int(min(max(b.id-a.id, -1), 1)) })
	if err := s.store.attach(c.r.Context(), s.store.read, list); err != nil {
		return err
	}
	if c.fx.messyList && len(list) > 1 {
		list = list[:len(list)-1]
		list = append(list, list[0])
		slices.Reverse(list)
	}
	if c.fx.lose {
		list = nil
	}
	v, out := c.view(), make([]messageJSON, 0, len(list))
	for _, m := range list {
		out = append(out, v.message(m, false))
	}
	return c.json(http.StatusOK, out)
}

func (s *Server) deleteMessage(c *call) error {
	m, err := c.target()
	if err != nil {
		return err
	}
	n, err := s.removeMessages(c.ctx(), m.channel, []id{m.id}, false)
	if err != nil {
		return err
	}
	if n == 0 {
		return fail(http.StatusNotFound, 10008)
	}
	return c.noContent()
}

func (s *Server) bulkDelete(c *call) error {
	ch, err := c.channel()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	list, _ := f.array("messages", 0, 1<<20)
	if err := f.err(); err != nil {
		return err
	}
	if len(list) < 2 || len(list) > 100 {
		return fail(http.StatusBadRequest, 50016)
	}
	limits := s.settings().limits
	var ids []id
	for i, v := range list {
		m, ok := f.asID(v, "messages", i)
		if !ok {
			continue
		}
		if slices.Contains(ids, m) {
			f.bad("SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains this value", "messages", i)
		}
		if s.cfg.Now().Sub(m.time()) > limits.BulkAge {
			return fail(http.StatusBadRequest, 50034)
		}
		ids = append(ids, m)
	}
	if err := f.err(); err != nil {
		return err
	}
	if _, err := s.removeMessages(c.ctx(), ch.id, ids, true); err != nil {
		return err
	}
	return c.noContent()
}

// removeMessages deletes messages and their files, and tells how many there
// were.
func (s *Server) removeMessages(ctx context.Context, ch id, ids []id, bulk bool) (int, error) {
	var gone, files []id
	err := s.store.update(ctx, func(c *change) (err error) {
		gone, files, err = c.deleteMessages(ctx, ch, ids)
		c.then(func() {
			switch {
			case len(gone) == 0:
			case bulk:
				s.hub.announce("MESSAGE_DELETE_BULK", intentMessages, map[string]any{"ids": gone, "channel_id": ch, "guild_id": s.guild})
			default:
				for _, i := range gone {
					s.hub.announce("MESSAGE_DELETE", intentMessages, map[string]any{"id": i, "channel_id": ch, "guild_id": s.guild})
				}
			}
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := s.files.remove(files...); err != nil {
		s.log.Warn("file left behind", "err", err)
	}
	return len(gone), nil
}

// hide keeps a message from readers for a while.
func (s *Server) hide(m id, d time.Duration) {
	s.hideMu.Lock()
	defer s.hideMu.Unlock()
	now := s.cfg.Now()
	for i, until := range s.hidden {
		if !now.Before(until) {
			delete(s.hidden, i)
		}
	}
	s.hidden[m] = now.Add(d)
}

func (s *Server) lags(m id) bool {
	s.hideMu.Lock()
	defer s.hideMu.Unlock()
	until, ok := s.hidden[m]
	return ok && s.cfg.Now().Before(until)
}
