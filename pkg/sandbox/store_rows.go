package sandbox

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

const botColumns = `id, name, token, content`

func scanBot(scan func(...any) error) (*bot, error) {
	var b bot
	return &b, scan(&b.id, &b.name, &b.token, &b.content)
}

func scanGuild(scan func(...any) error) (guild, error) {
	var g guild
	return g, scan(&g.id, &g.name, &g.owner, &g.tier)
}

const channelColumns = `id, guild, kind, name, topic, position, parent, nsfw, slowmode, overwrites`

func scanChannel(scan func(...any) error) (channel, error) {
	var (
		c  channel
		ow string
	)
	err := scan(&c.id, &c.guild, &c.kind, &c.name, &c.topic, &c.position, &c.parent, &c.nsfw, &c.slowmode, &ow)
	c.overwrites = json.RawMessage(ow)
	return c, err
}

func (c *change) putChannel(ctx context.Context, ch channel) error {
	_, err := c.ExecContext(ctx, `INSERT OR REPLACE INTO channels (`+channelColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		ch.id, ch.guild, ch.kind, ch.name, ch.topic, ch.position, ch.parent, ch.nsfw, ch.slowmode, string(ch.overwrites))
	return err
}

const webhookColumns = `id, channel, guild, name, avatar, token, creator`

func scanWebhook(scan func(...any) error) (webhook, error) {
	var w webhook
	return w, scan(&w.id, &w.channel, &w.guild, &w.name, &w.avatar, &w.token, &w.creator)
}

func (c *change) putWebhook(ctx context.Context, w webhook) error {
	_, err := c.ExecContext(ctx, `INSERT OR REPLACE INTO webhooks (`+webhookColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		w.id, w.channel, w.guild, w.name, w.avatar, w.token, w.creator)
	return err
}

const messageColumns = `id, channel, author, webhook, author_name, kind, content, nonce, flags, tts, edited, extra`

func scanMessage(scan func(...any) error) (*message, error) {
	var (
		m      message
		edited int64
		extra  string
	)
	if err := scan(&m.id, &m.channel, &m.author, &m.webhook, &m.authorName, &m.kind, &m.content, &m.nonce, &m.flags, &m.tts, &edited,
		&extra); err != nil {
		return nil, err
	}
	if edited != 0 {
		m.edited = time.UnixMilli(edited).UTC()
	}
	return &m, json.Unmarshal([]byte(extra), &m.extra)
}

func (c *change) putMessage(ctx context.Context, m *message) error {
	extra, err := json.Marshal(m.extra)
	if err != nil {
		return err
	}
	var edited int64
	if !m.edited.IsZero() {
		edited = m.edited.UnixMilli()
	}
	_, err = c.ExecContext(ctx, `INSERT OR REPLACE INTO messages (`+messageColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.id, m.channel, m.author, m.webhook, m.authorName, m.kind, m.content, m.nonce, m.flags, m.tts, edited, string(extra))
	return err
}

const attachmentColumns = `id, message, channel, name, title, description, content_type, size, md5, crc, width, height, spoiler, duration, waveform`

func scanAttachment(scan func(...any) error) (attachment, error) {
	var a attachment
	return a, scan(&a.id, &a.message, &a.channel, &a.name, &a.title, &a.description, &a.contentType, &a.size, &a.md5, &a.crc, &a.width,
		&a.height, &a.spoiler, &a.duration, &a.waveform)
}

// putAttachments makes list the attachments of m.
func (c *change) putAttachments(ctx context.Context, m *message, list []attachment) error {
	if _, err := c.ExecContext(ctx, `DELETE FROM attachments WHERE message = ?`, m.id); err != nil {
		return err
	}
	for i := range list {
		a := &list[i]
		a.message, a.channel = m.id, m.channel
		if _, err := c.ExecContext(ctx,
			`INSERT INTO attachments (place, `+attachmentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			i, a.id, a.message, a.channel, a.name, a.title, a.description, a.contentType, a.size, a.md5, a.crc, a.width, a.height,
			a.spoiler, a.duration, a.waveform); err != nil {
			return err
		}
	}
	m.attachments = list
	return nil
}

// message reads one message of a channel with its attachments; nil if there is
// none.
func (st *store) message(ctx context.Context, q querier, ch, i id) (*message, error) {
	m, ok, err := one(ctx, q, scanMessage, `SELECT `+messageColumns+` FROM messages WHERE id = ? AND channel = ?`, i, ch)
	if err != nil || !ok {
		return nil, err
	}
	return m, st.attach(ctx, q, []*message{m})
}

// attach reads the attachments of messages.
func (st *store) attach(ctx context.Context, q querier, list []*message) error {
	if len(list) == 0 {
		return nil
	}
	byID := make(map[id]*message, len(list))
	ids := make([]id, len(list))
	for i, m := range list {
		byID[m.id], ids[i] = m, m.id
	}
	found, err := collect(ctx, q, scanAttachment,
		`SELECT `+attachmentColumns+` FROM attachments WHERE message IN (`+joinIDs(ids)+`) ORDER BY message, place`)
	for _, a := range found {
		m := byID[a.message]
		m.attachments = append(m.attachments, a)
	}
	return err
}

// joinIDs writes ids as a list of SQL.
func joinIDs(ids []id) string {
	var b strings.Builder
	for i, v := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(int64(v), 10))
	}
	return b.String()
}

// deleteMessages removes messages of a channel and returns those that there
// were, and the attachments whose files may go after the commit.
func (c *change) deleteMessages(ctx context.Context, ch id, ids []id) (gone []id, files []id, err error) {
	in := joinIDs(ids)
	scan := func(scan func(...any) error) (id, error) {
		var i id
		return i, scan(&i)
	}
	if files, err = collect(ctx, c, scan,
		`DELETE FROM attachments WHERE channel = ? AND message IN (`+in+`) RETURNING id`, ch); err != nil {
		return nil, nil, err
	}
	gone, err = collect(ctx, c, scan, `DELETE FROM messages WHERE channel = ? AND id IN (`+in+`) RETURNING id`, ch)
	return gone, files, err
}
