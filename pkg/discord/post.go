package discord

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
)

// ErrNothing is PostLate's error when there was nothing to post after all.
var ErrNothing = fmt.Errorf("%w: nothing to post", cloud.ErrInvalid)

// Post posts one message with the files as its attachments, in their order,
// under random names. It checks Discord's answer: the message it returns has
// one attachment for each file, in the files' order and of their sizes. Bodies
// are not read any more once it has returned.
//
// ErrTooLarge if a file, or all together, exceed what Limits says; when Discord
// is the one who says so, Limits is lowered. ErrChannelDown tells that another
// channel may do. After an error the message may exist all the same.
func (c *Client) Post(ctx context.Context, channel string, files []blob.Body) (Message, error) {
	if len(files) == 0 {
		return Message{}, ErrNothing
	}
	return c.PostLate(ctx, channel, func() []blob.Body { return files })
}

// PostLate is Post of what gather returns. It is called once, at the moment
// when the channel's limit lets the post go, so that what came in while the
// post waited travels with it. If it returns nothing, nothing is sent or
// counted, and the error is ErrNothing.
func (c *Client) PostLate(ctx context.Context, channel string, gather func() []blob.Body) (Message, error) {
	var files []blob.Body
	var names []string
	var m Message
	err := c.call(ctx, request{
		method: http.MethodPost, route: routePost, channel: channel, path: messagesPath(channel), use: useWrite,
		late: func(r *request) error {
			if files = gather(); len(files) == 0 {
				return ErrNothing
			}
			if err := c.fits(files); err != nil {
				return err
			}
			var err error
			names, r.form, err = postForm(files)
			return err
		},
	}, &m)
	if errors.Is(err, cloud.ErrTooLarge) && len(names) > 0 {
		c.size.refused(files, c.log)
	}
	if err != nil {
		return Message{}, fmt.Errorf("post to channel %s: %w", channel, err)
	}
	if m, err = c.verify(ctx, channel, m, names, files); err != nil {
		return Message{}, fmt.Errorf("post to channel %s: %w", channel, err)
	}
	for _, f := range files {
		c.count.posted.Add(f.Size())
	}
	return m, nil
}

func postForm(files []blob.Body) ([]string, *form, error) {
	type attachment struct {
		ID   int    `json:"id"`
		Name string `json:"filename"`
	}
	payload := struct {
		Nonce        string       `json:"nonce"` // at most 25 characters
		EnforceNonce bool         `json:"enforce_nonce"`
		Attachments  []attachment `json:"attachments"`
	}{Nonce: randomHex(12), EnforceNonce: true}
	names := make([]string, len(files))
	for i := range names {
		names[i] = randomHex(16) + ".bin"
		payload.Attachments = append(payload.Attachments, attachment{i, names[i]})
	}
	f, err := newForm(payload, names, files)
	return names, f, err
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// fits checks the files against the limits in force, before a byte travels.
func (c *Client) fits(files []blob.Body) error {
	limits := c.Limits()
	var sum int64
	for _, f := range files {
		size := f.Size()
		if size < 0 {
			return fmt.Errorf("%w: a file of %d bytes", cloud.ErrInvalid, size)
		}
		if size > limits.Attachment {
			return fmt.Errorf("%w: %d bytes, an attachment may have %d", cloud.ErrTooLarge, size, limits.Attachment)
		}
		sum += size
	}
	if !limits.Fits(len(files), sum) {
		return fmt.Errorf("%w: %d files of %d bytes, a message may have %d of %d",
			cloud.ErrTooLarge, len(files), sum, limits.Attachments, limits.Request)
	}
	return nil
}

// verify holds Discord's answer to what was posted. An answer that is wrong is
// no proof that the message is: it is read once more, and deleted if it is.
func (c *Client) verify(ctx context.Context, channel string, m Message, names []string, files []blob.Body) (Message, error) {
	wrong := match(&m, channel, names, files)
	if wrong == nil {
		return m, nil
	}
	c.log.WarnContext(ctx, "answer to a post does not fit the post", "channel", channel, "message", m.ID, "err", wrong)
	if m.ID == "" || m.Channel != "" && m.Channel != channel {
		return Message{}, wrong
	}
	again, err := c.Message(ctx, channel, m.ID)
	if err != nil {
		return Message{}, fmt.Errorf("%w; and then: %w", wrong, err)
	}
	if wrong = match(&again, channel, names, files); wrong == nil {
		return again, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := c.Delete(ctx, channel, m.ID); err != nil {
		return Message{}, fmt.Errorf("%w; and then: %w", wrong, err)
	}
	return Message{}, wrong
}

// match checks m, and puts its attachments into the order of the files. Where
// Discord changed the names, which it may, place and size must do.
func match(m *Message, channel string, names []string, files []blob.Body) error {
	if m.ID == "" || m.Channel != channel {
		return fmt.Errorf("%w: the answer names message %q of channel %q", cloud.ErrUnavailable, m.ID, m.Channel)
	}
	if len(m.Attachments) != len(files) {
		return fmt.Errorf("%w: the answer has %d attachments for %d files", cloud.ErrUnavailable, len(m.Attachments), len(files))
	}
	ordered := make([]Attachment, 0, len(files))
	for _, name := range names {
		if i := slices.IndexFunc(m.Attachments, func(a Attachment) bool { return a.Name == name }); i >= 0 {
			ordered = append(ordered, m.Attachments[i])
		}
	}
	switch len(ordered) {
	case len(files):
		m.Attachments = ordered
	case 0:
	default:
		return fmt.Errorf("%w: the answer names %d of %d files", cloud.ErrUnavailable, len(ordered), len(files))
	}
	for i, a := range m.Attachments {
		if a.ID == "" || a.URL == "" || a.Size != files[i].Size() {
			return fmt.Errorf("%w: attachment %d has %d bytes for %d", cloud.ErrUnavailable, i, a.Size, files[i].Size())
		}
	}
	return nil
}
