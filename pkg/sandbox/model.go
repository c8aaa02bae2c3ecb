package sandbox

import (
	"encoding/json"
	"hash/crc32"
	"time"
)

// castagnoli is the polynomial of the CDN's X-Goog-Hash.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type bot struct {
	id      id
	name    string
	token   string
	content bool // has the MESSAGE_CONTENT intent
}

type guild struct {
	id    id
	name  string
	owner id
	tier  int
}

type channel struct {
	id         id
	guild      id
	kind       int
	name       string
	topic      string
	position   int
	parent     id
	nsfw       bool
	slowmode   int
	overwrites json.RawMessage
}

type webhook struct {
	id      id
	channel id
	guild   id
	name    string
	avatar  string
	token   string
	creator id
}

// message is a row with its attachments. The author is a bot, or the webhook
// of that id if webhook is not 0.
type message struct {
	id          id
	channel     id
	author      id
	webhook     id
	authorName  string // as a webhook was told to call itself
	kind        int
	content     string
	nonce       string // as JSON: a string or a number
	flags       int64
	tts         bool
	edited      time.Time
	extra       messageExtra
	attachments []attachment
}

// messageExtra is what the server keeps of a message without looking into it.
type messageExtra struct {
	Embeds     json.RawMessage `json:"embeds,omitempty"`
	Components json.RawMessage `json:"components,omitempty"`
	Reference  *reference      `json:"message_reference,omitempty"`
}

type reference struct {
	Type    int    `json:"type"`
	Message string `json:"message_id"`
	Channel string `json:"channel_id"`
	Guild   string `json:"guild_id,omitempty"`
}

type attachment struct {
	id          id
	message     id
	channel     id
	name        string
	title       string
	description string
	contentType string
	size        int64
	md5         []byte
	crc         uint32
	width       int
	height      int
	spoiler     bool
	duration    float64
	waveform    string
}
