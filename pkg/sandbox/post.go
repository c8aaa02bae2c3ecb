package sandbox

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Message flags that a client may set, and those that an edit may.
const (
	flagsCreate = 1<<2 | 1<<12 | 1<<13 | 1<<15
	flagsEdit   = 1<<2 | 1<<15
)

func (s *Server) createMessage(c *call) error {
	ch, err := c.channel()
	if err != nil {
		return err
	}
	if ch.kind != 0 && ch.kind != 5 && ch.kind != 2 {
		return fail(http.StatusBadRequest, 50024)
	}
	m, err := c.post(message{channel: ch.id, author: c.bot.id})
	if err != nil {
		return err
	}
	return c.sent(m)
}

// sent answers with a message that was posted.
func (c *call) sent(m *message) error {
	if err := c.json(http.StatusOK, c.view().message(m, true)); err != nil || !c.fx.lose {
		return err
	}
	_, err := c.s.removeMessages(c.ctx(), m.channel, []id{m.id}, false)
	return err
}

// ctx outlives the client, for changes that are under way.
func (c *call) ctx() context.Context { return context.WithoutCancel(c.r.Context()) }

// post reads the body and stores it as a message, of which the channel and the
// author are given. With enforce_nonce it may be an earlier one.
func (c *call) post(m message) (*message, error) {
	up, err := c.upload()
	if err != nil {
		return nil, err
	}
	spare := up.files // what is not attached in the end
	defer func() { c.drop(spare) }()

	limits := c.s.settings().limits
	m.content, _ = up.string("content", limits.Content)
	m.tts = up.bool("tts")
	enforce := up.bool("enforce_nonce")
	m.nonce = up.nonce()
	flags, _ := up.int("flags", 0, 1<<31-1)
	m.flags = flags & flagsCreate
	up.extra(&m.extra)
	stickers, _ := up.array("sticker_ids", 0, 3)
	if m.webhook != 0 {
		if name, ok := up.string("username", 80); ok && name != "" {
			m.authorName = name
		}
	}
	list, used := up.pick(nil, limits.Attachments)
	if err := up.err(); err != nil {
		return nil, err
	}
	if up.preuploaded() {
		return nil, fail(http.StatusBadRequest, 50146)
	}
	_, poll := up.get("poll")
	if strings.TrimSpace(m.content) == "" && len(list) == 0 && isEmpty(m.extra.Embeds) && isEmpty(m.extra.Components) &&
		len(stickers) == 0 && !poll {
		return nil, fail(http.StatusBadRequest, 50006)
	}
	if len(list) > limits.Attachments {
		return nil, fail(http.StatusBadRequest, 30015)
	}
	if m.extra.Reference != nil && m.extra.Reference.Type == 0 {
		m.kind = 19
	}

	ctx, posted := c.ctx(), &m
	err = c.s.store.update(ctx, func(ch *change) error {
		if enforce && m.nonce != "" && !c.fx.ignoreNonce {
			earlier, err := c.s.findNonce(ctx, ch, m.author, m.nonce, limits.NonceWindow)
			if err != nil {
				return err
			}
			if earlier != nil {
				posted = earlier
				return nil
			}
		}
		var n int
		if err := ch.QueryRowContext(ctx, `SELECT count(*) FROM channels WHERE id = ?`, m.channel).Scan(&n); err != nil {
			return err
		}
		if n == 0 { // deleted while the body came in
			return fail(http.StatusNotFound, 10003)
		}
		m.id = c.s.ids.next()
		if err := ch.putMessage(ctx, &m); err != nil {
			return err
		}
		if err := ch.putAttachments(ctx, &m, list); err != nil {
			return err
		}
		if err := ch.keepID(ctx, m.id); err != nil {
			return err
		}
		ch.then(func() {
			spare = slices.DeleteFunc(spare, func(f uploaded) bool { return slices.Contains(used, f.id) })
			if c.fx.lag > 0 {
				c.s.hide(m.id, c.fx.lag)
			}
			c.s.hub.message("MESSAGE_CREATE", &m)
		})
		return nil
	})
	return posted, err
}

// findNonce looks for a message that an author has sent with a nonce of late.
func (s *Server) findNonce(ctx context.Context, q querier, author id, nonce string, window time.Duration) (*message, error) {
	since := id(max(s.cfg.Now().Add(-window).UnixMilli()-epoch, 0) << 22)
	m, ok, err := one(ctx, q, scanMessage, `SELECT `+messageColumns+
		` FROM messages WHERE author = ? AND nonce = ? AND nonce <> '' AND id >= ? ORDER BY id DESC LIMIT 1`, author, nonce, since)
	if err != nil || !ok {
		return nil, err
	}
	return m, s.store.attach(ctx, q, []*message{m})
}

func isEmpty(list json.RawMessage) bool { return len(list) == 0 || string(list) == "[]" }

// nonce reads a text of at most 25 characters, or an integer, as JSON.
func (up *upload) nonce() string {
	v, ok := up.get("nonce")
	if !ok {
		return ""
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	text, _ := up.string("nonce", 25)
	if text == "" {
		return ""
	}
	b, err := json.Marshal(text)
	if err != nil {
		return ""
	}
	return string(b)
}

// extra reads the fields that are kept as they are.
func (up *upload) extra(e *messageExtra) {
	keep := func(name string, high int, into *json.RawMessage) {
		if !up.has(name) {
			return
		}
		*into = nil
		if list, ok := up.array(name, 0, high); ok && len(list) > 0 {
			*into = up.raw[name]
		}
	}
	keep("embeds", 10, &e.Embeds)
	keep("components", 40, &e.Components)
	if v, ok := up.get("message_reference"); ok {
		kid := &form{errs: up.errs, path: []any{"message_reference"}}
		if json.Unmarshal(v, &kid.raw) != nil {
			up.bad("MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType", "message_reference")
			return
		}
		kind, _ := kid.int("type", 0, 1)
		ref := &reference{Type: int(kind)}
		if i, ok := kid.snowflake("message_id"); ok {
			ref.Message = i.String()
		}
		if i, ok := kid.snowflake("channel_id"); ok {
			ref.Channel = i.String()
		}
		if i, ok := kid.snowflake("guild_id"); ok {
			ref.Guild = i.String()
		}
		e.Reference = ref
	}
}

// preuploaded tells whether an attachment refers to a file that was sent
// beforehand, which this server does not offer.
func (up *upload) preuploaded() bool {
	list, _ := up.objects("attachments", 1000)
	return slices.ContainsFunc(list, func(f *form) bool {
		_, ok := f.get("uploaded_filename")
		return ok
	})
}

// pick makes the list of a message's attachments: of those it had and the
// files that came, what the request's list names, or everything if there is no
// list. used are the ids of the files among them.
func (up *upload) pick(old []attachment, high int) (list []attachment, used []id) {
	slices.SortStableFunc(up.files, func(a, b uploaded) int { return a.n - b.n })
	entries, ok := up.objects("attachments", 2*high)
	if !ok {
		list = slices.Clone(old)
		for _, f := range up.files {
			list, used = append(list, f.attachment), append(used, f.id)
		}
		return list, used
	}
	for i, e := range entries {
		if _, ok := e.get("uploaded_filename"); ok {
			continue
		}
		v, ok := e.get("id")
		if !ok {
			e.bad("BASE_TYPE_REQUIRED", "This field is required", "id")
			continue
		}
		key := strings.Trim(string(v), `"`)
		a, isFile, found := up.lookup(key, old)
		if !found || slices.ContainsFunc(list, func(b attachment) bool { return b.id == a.id }) {
			up.bad("BASE_TYPE_CHOICES", "No file was sent, and no attachment exists, for this id.", "attachments", i)
			continue
		}
		if isFile {
			used = append(used, a.id)
			if name, ok := e.string("filename", 1024); ok && name != "" {
				clean, title := cleanName(name)
				if clean != a.name && !strings.HasPrefix(a.name, "renamed-") {
					a.name, a.title = clean, title
				}
			}
		}
		if v, ok := e.string("description", 1024); ok {
			a.description = v
		}
		if v, ok := e.string("title", 1024); ok && v != "" {
			a.title = v
		}
		if e.has("is_spoiler") {
			a.spoiler = e.bool("is_spoiler")
		}
		if e.has("duration_secs") {
			a.duration = e.float("duration_secs")
		}
		if v, ok := e.string("waveform", 1024); ok {
			a.waveform = v
		}
		list = append(list, a)
	}
	return list, used
}

// lookup finds what an entry's id stands for: a file by its number, or an
// attachment by its id.
func (up *upload) lookup(key string, old []attachment) (a attachment, isFile, found bool) {
	for _, f := range up.files {
		if strconv.Itoa(f.n) == key {
			return f.attachment, true, true
		}
	}
	for _, a := range old {
		if a.id.String() == key {
			return a, false, true
		}
	}
	return attachment{}, false, false
}

func (s *Server) editMessage(c *call) error {
	m, err := c.target()
	if err != nil {
		return err
	}
	up, err := c.upload()
	if err != nil {
		return err
	}
	spare := up.files
	defer func() { c.drop(spare) }()
	if c.bot != nil && m.author != c.bot.id {
		for name := range up.raw {
			if name != "flags" {
				return fail(http.StatusForbidden, 50005)
			}
		}
		if len(up.files) > 0 {
			return fail(http.StatusForbidden, 50005)
		}
	}
	limits := s.settings().limits
	ctx := c.ctx()
	var gone []id
	err = s.store.update(ctx, func(ch *change) error {
		// What is kept is decided by the message as it is now, not as it was when
		// the body began.
		now, err := s.store.message(ctx, ch, m.channel, m.id)
		if err != nil {
			return err
		}
		if now == nil {
			return fail(http.StatusNotFound, 10008)
		}
		m = now
		if up.has("content") {
			m.content, _ = up.string("content", limits.Content)
		}
		if flags, ok := up.int("flags", 0, 1<<31-1); ok {
			m.flags = m.flags&^flagsEdit | flags&flagsEdit
		}
		up.extra(&m.extra)
		list, used := up.pick(m.attachments, limits.Attachments)
		if err := up.err(); err != nil {
			return err
		}
		if up.preuploaded() {
			return fail(http.StatusBadRequest, 50146)
		}
		if len(list) > limits.Attachments {
			return fail(http.StatusBadRequest, 30015)
		}
		if strings.TrimSpace(m.content) == "" && len(list) == 0 && isEmpty(m.extra.Embeds) && isEmpty(m.extra.Components) {
			return fail(http.StatusBadRequest, 50006)
		}
		for _, a := range m.attachments {
			if !slices.ContainsFunc(list, func(b attachment) bool { return b.id == a.id }) {
				gone = append(gone, a.id)
			}
		}
		m.edited = s.cfg.Now()
		if err := ch.putMessage(ctx, m); err != nil {
			return err
		}
		if err := ch.putAttachments(ctx, m, list); err != nil {
			return err
		}
		last := s.ids.next() // above the ids of the new files
		if err := ch.keepID(ctx, last); err != nil {
			return err
		}
		ch.then(func() {
			spare = slices.DeleteFunc(spare, func(f uploaded) bool { return slices.Contains(used, f.id) })
			s.hub.message("MESSAGE_UPDATE", m)
		})
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.files.remove(gone...); err != nil {
		s.log.Warn("file left behind", "err", err)
	}
	return c.json(http.StatusOK, c.view().message(m, false))
}
