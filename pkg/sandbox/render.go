package sandbox

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// view is how one reader sees messages: links, what is hidden, and what a
// fault rule makes of it.
type view struct {
	s    *Server
	bot  *bot // nil for whoever came by a webhook's token, who sees everything
	base string
	life time.Duration
	fx   effects
}

func (c *call) view() view {
	return view{s: c.s, bot: c.bot, base: c.base, life: c.life(), fx: c.fx}
}

type userJSON struct {
	ID            id      `json:"id"`
	Username      string  `json:"username"`
	Discriminator string  `json:"discriminator"`
	GlobalName    *string `json:"global_name"`
	Avatar        *string `json:"avatar"`
	Bot           bool    `json:"bot"`
	PublicFlags   int     `json:"public_flags"`
}

func botUser(b *bot) userJSON {
	return userJSON{ID: b.id, Username: b.name, Discriminator: "0", Bot: true}
}

type messageJSON struct {
	ID              id               `json:"id"`
	ChannelID       id               `json:"channel_id"`
	Author          userJSON         `json:"author"`
	Content         string           `json:"content"`
	Timestamp       string           `json:"timestamp"`
	EditedTimestamp *string          `json:"edited_timestamp"`
	TTS             bool             `json:"tts"`
	MentionEveryone bool             `json:"mention_everyone"`
	Mentions        []userJSON       `json:"mentions"`
	MentionRoles    []string         `json:"mention_roles"`
	Attachments     []attachmentJSON `json:"attachments"`
	Embeds          json.RawMessage  `json:"embeds"`
	Components      json.RawMessage  `json:"components"`
	Pinned          bool             `json:"pinned"`
	Type            int              `json:"type"`
	Flags           int64            `json:"flags"`
	Nonce           json.RawMessage  `json:"nonce,omitempty"`
	WebhookID       id               `json:"webhook_id,omitzero"`
	ApplicationID   id               `json:"application_id,omitzero"`
	Reference       *reference       `json:"message_reference,omitempty"`
	Padding         string           `json:"sandbox_padding,omitempty"`
	GuildID         id               `json:"guild_id,omitzero"`      // in events
	ChannelType     *int             `json:"channel_type,omitempty"` // in events
	Member          any              `json:"member,omitempty"`       // in events
}

type attachmentJSON struct {
	ID          id      `json:"id"`
	Filename    string  `json:"filename"`
	Title       string  `json:"title,omitempty"`
	Description string  `json:"description,omitempty"`
	ContentType string  `json:"content_type,omitempty"`
	Size        int64   `json:"size"`
	URL         string  `json:"url"`
	ProxyURL    string  `json:"proxy_url"`
	Width       int     `json:"width,omitempty"`
	Height      int     `json:"height,omitempty"`
	Duration    float64 `json:"duration_secs,omitempty"`
	Waveform    string  `json:"waveform,omitempty"`
	Flags       int     `json:"flags,omitempty"`
}

// stamp writes a time as Discord does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000-07:00") }

// message renders m. The nonce is told to whoever sends, and is lost after.
func (v view) message(m *message, nonce bool) messageJSON {
	out := messageJSON{
		ID: m.id, ChannelID: m.channel, Content: m.content, Timestamp: stamp(m.id.time()), TTS: m.tts,
		MentionEveryone: strings.Contains(m.content, "@everyone"), Mentions: []userJSON{}, MentionRoles: []string{},
		Attachments: []attachmentJSON{}, Embeds: orEmpty(m.extra.Embeds), Components: orEmpty(m.extra.Components),
		Type: m.kind, Flags: m.flags, WebhookID: m.webhook, Reference: m.extra.Reference,
	}
	if m.webhook != 0 {
		out.Author = userJSON{ID: m.author, Username: m.authorName, Discriminator: "0000", Bot: true}
	} else if b := v.s.botByID(m.author); b != nil {
		out.Author = botUser(b)
	}
	if !m.edited.IsZero() {
		out.EditedTimestamp = new(stamp(m.edited))
	}
	if nonce && m.nonce != "" {
		out.Nonce = json.RawMessage(m.nonce)
	}
	if strings.Contains(m.content, "<@") {
		for _, b := range v.s.allBots() {
			if mentions(m, b) {
				out.Mentions = append(out.Mentions, botUser(b))
			}
		}
	}
	out.Padding = strings.Repeat("x", int(min(v.fx.pad, 64*mib)))
	if v.bot != nil && !v.bot.content && m.author != v.bot.id && !mentions(m, v.bot) {
		out.Content, out.Embeds, out.Components = "", orEmpty(nil), orEmpty(nil)
		return out
	}
	if !v.fx.noAttachments {
		for i := range m.attachments {
			out.Attachments = append(out.Attachments, v.attachment(&m.attachments[i]))
		}
	}
	return out
}

func mentions(m *message, b *bot) bool {
	return strings.Contains(m.content, "<@"+b.id.String()+">") || strings.Contains(m.content, "<@!"+b.id.String()+">")
}

func orEmpty(list json.RawMessage) json.RawMessage {
	if len(list) == 0 {
		return json.RawMessage("[]")
	}
	return list
}

func (v view) attachment(a *attachment) attachmentJSON {
	path := linkPath(a)
	link := v.base + (&url.URL{Path: path}).EscapedPath() + "?" + v.s.sign(path, v.life)
	out := attachmentJSON{
		ID: a.id, Filename: a.name, Title: a.title, Description: a.description, ContentType: a.contentType, Size: a.size,
		URL: link, ProxyURL: link, Width: a.width, Height: a.height, Duration: a.duration, Waveform: a.waveform,
	}
	if a.spoiler {
		out.Flags |= 1 << 3
	}
	if v.fx.wrongSize {
		out.Size++
	}
	if v.fx.wrongID {
		out.ID++
	}
	return out
}

type channelJSON struct {
	ID            id              `json:"id"`
	Type          int             `json:"type"`
	GuildID       id              `json:"guild_id"`
	Name          string          `json:"name"`
	Position      int             `json:"position"`
	Overwrites    json.RawMessage `json:"permission_overwrites"`
	ParentID      *id             `json:"parent_id"`
	Topic         *string         `json:"topic"`
	NSFW          bool            `json:"nsfw"`
	LastMessageID *id             `json:"last_message_id"`
	Slowmode      int             `json:"rate_limit_per_user"`
	Flags         int             `json:"flags"`
}

// channelJSON renders a channel whose newest message is last, 0 for none.
func renderChannel(c channel, last id) channelJSON {
	out := channelJSON{
		ID: c.id, Type: c.kind, GuildID: c.guild, Name: c.name, Position: c.position, Overwrites: orEmpty(c.overwrites),
		NSFW: c.nsfw, Slowmode: c.slowmode,
	}
	if c.parent != 0 {
		out.ParentID = &c.parent
	}
	if c.topic != "" {
		out.Topic = &c.topic
	}
	if last != 0 {
		out.LastMessageID = &last
	}
	return out
}

type webhookJSON struct {
	ID            id        `json:"id"`
	Type          int       `json:"type"`
	GuildID       id        `json:"guild_id"`
	ChannelID     id        `json:"channel_id"`
	User          *userJSON `json:"user,omitempty"`
	Name          string    `json:"name"`
	Avatar        *string   `json:"avatar"`
	Token         string    `json:"token"`
	ApplicationID *id       `json:"application_id"`
	URL           string    `json:"url"`
}

// webhook renders a webhook; whoever came by its token does not learn who made it.
func (c *call) renderWebhook(w webhook) webhookJSON {
	out := webhookJSON{
		ID: w.id, Type: 1, GuildID: w.guild, ChannelID: w.channel, Name: w.name, Token: w.token,
		URL: c.base + "/api/webhooks/" + w.id.String() + "/" + w.token,
	}
	if w.avatar != "" {
		out.Avatar = &w.avatar
	}
	if b := c.s.botByID(w.creator); b != nil && c.bot != nil {
		out.User = new(botUser(b))
	}
	return out
}
