package discord

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"discordcloud/pkg/cloud"
)

// Message is what this package reads of a message.
type Message struct {
	ID          string       `json:"id"`
	Channel     string       `json:"channel_id"`
	Author      User         `json:"author"`
	Timestamp   time.Time    `json:"timestamp"`
	Attachments []Attachment `json:"attachments"`

	hidden bool // see Pool.Hides
}

// Attachment is a file of a message, as Discord tells it.
type Attachment struct {
	ID   string `json:"id"`
	Name string `json:"filename"`
	Size int64  `json:"size"` // in bytes
	// URL is signed and expires: see Expiry. It is a secret.
	URL string `json:"url"`
}

// Page selects messages of a channel. At most one of Before, After and Around
// is given: a message id.
type Page struct {
	Before, After, Around string
	Limit                 int // 1 to 100; 0 is 50
}

// Bulk deletion takes 2 to 100 messages younger than 14 days (Discord's
// reference, "Bulk Delete Messages"). The margin covers clocks that differ.
const (
	bulkMost   = 100
	bulkAge    = 14 * 24 * time.Hour
	bulkMargin = time.Hour
)

// Message reads one message. ErrNotFound if there is none.
func (c *Client) Message(ctx context.Context, channel, id string) (Message, error) {
	var m Message
	err := c.call(ctx, request{
		method: http.MethodGet, route: routeMessage, channel: channel, path: messagePath(channel, id), use: useRead,
	}, &m)
	if err != nil {
		return Message{}, fmt.Errorf("read message %s: %w", id, err)
	}
	return m, nil
}

// Hides tells that a message shows no attachments, but may have some: Discord
// does not show others' to a bot without the MESSAGE_CONTENT intent.
func (c *Client) Hides(m Message) bool {
	return len(m.Attachments) == 0 && (c.self == "" || m.Author.ID != c.self)
}

// Bot is the id of the client's bot, "" if its token does not tell.
func (c *Client) Bot() string { return c.self }

// ownID is the id of a token's bot: the token's first part, in base64. It is ""
// if the token is of another shape.
func ownID(token string) string {
	first, _, _ := strings.Cut(token, ".")
	id, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(first, "="))
	if err != nil || SnowflakeTime(string(id)).IsZero() {
		return ""
	}
	return string(id)
}

// Messages reads a page of a channel, newest first as Discord sorts it. Do not
// conclude from a page that a message is missing: ask for it by itself.
func (c *Client) Messages(ctx context.Context, channel string, page Page) ([]Message, error) {
	q := make(url.Values)
	for key, id := range map[string]string{"before": page.Before, "after": page.After, "around": page.Around} {
		if id != "" {
			q.Set(key, id)
		}
	}
	if page.Limit != 0 {
		q.Set("limit", strconv.Itoa(page.Limit))
	}
	if page.Limit < 0 || page.Limit > 100 || len(q) > 2 || len(q) == 2 && page.Limit == 0 {
		return nil, fmt.Errorf("read messages: %w: page %+v", cloud.ErrInvalid, page)
	}
	path := messagesPath(channel)
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	var all []Message
	err := c.call(ctx, request{
		method: http.MethodGet, route: routeMessages, channel: channel, path: path, use: useRead,
	}, &all)
	if err != nil {
		return nil, fmt.Errorf("read messages of channel %s: %w", channel, err)
	}
	return all, nil
}

// Keep removes all attachments of the bot's own message but those named.
func (c *Client) Keep(ctx context.Context, channel, id string, attachments ...string) (Message, error) {
	type entry struct {
		ID string `json:"id"`
	}
	keep := make([]entry, len(attachments)) // not nil: null would keep all
	for i, a := range attachments {
		keep[i].ID = a
	}
	var m Message
	err := c.call(ctx, request{
		method: http.MethodPatch, route: routeEdit, channel: channel, path: messagePath(channel, id),
		json: struct {
			Attachments []entry `json:"attachments"`
		}{keep},
	}, &m)
	if err != nil {
		return Message{}, fmt.Errorf("edit message %s: %w", id, err)
	}
	return m, nil
}

// Delete deletes a message. A missing one is no error.
func (c *Client) Delete(ctx context.Context, channel, id string) error {
	err := c.call(ctx, request{
		method: http.MethodDelete, route: deleteRoute(id, time.Now()), channel: channel, path: messagePath(channel, id),
	}, nil)
	if err != nil && !errors.Is(err, cloud.ErrNotFound) {
		return fmt.Errorf("delete message %s: %w", id, err)
	}
	return nil
}

// BulkDelete deletes messages of one channel with as few calls as Discord
// allows: up to 100 at a time while they are younger than 14 days, one by one
// otherwise and where deleting in bulk is refused. Missing ones are no error.
// It goes on after a message that cannot be deleted; the errors are joined.
func (c *Client) BulkDelete(ctx context.Context, channel string, ids []string) error {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, compareSnowflakes)
	ids = slices.Compact(ids)
	oldest := time.Now().Add(-bulkAge + bulkMargin)
	split, _ := slices.BinarySearchFunc(ids, oldest, func(id string, t time.Time) int { return SnowflakeTime(id).Compare(t) })
	singles, young := ids[:split], ids[split:]
	for part := range slices.Chunk(young, bulkMost) {
		if len(part) > 1 {
			err := c.deleteMany(ctx, channel, part)
			if err == nil {
				continue
			}
			if !errors.Is(err, cloud.ErrInvalid) && !errors.Is(err, cloud.ErrDenied) && !errors.Is(err, cloud.ErrNotFound) {
				return err
			}
			// One odd id spoils the whole, and the right to manage messages may be
			// lacking, which the bot's own messages do not need one by one.
			c.log.DebugContext(ctx, "bulk delete refused, deleting one by one", "channel", channel, "err", err)
		}
		singles = append(slices.Clip(singles), part...)
	}
	var errs []error
	for _, id := range singles {
		if err := c.Delete(ctx, channel, id); err != nil {
			if errs = append(errs, err); ctx.Err() != nil || errors.Is(err, ErrChannelDown) || errors.Is(err, ErrBlocked) {
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (c *Client) deleteMany(ctx context.Context, channel string, ids []string) error {
	err := c.call(ctx, request{
		method: http.MethodPost, route: routeBulkDelete, channel: channel, path: messagesPath(channel) + "/bulk-delete",
		json: struct {
			Messages []string `json:"messages"`
		}{ids},
	}, nil)
	if err != nil {
		return fmt.Errorf("delete %d messages of channel %s: %w", len(ids), channel, err)
	}
	return nil
}

func messagesPath(channel string) string {
	return "channels/" + url.PathEscape(channel) + "/messages"
}

func messagePath(channel, id string) string { return messagesPath(channel) + "/" + url.PathEscape(id) }
