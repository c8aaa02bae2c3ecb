package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// StoredAttachment is an attachment as the server keeps it.
type StoredAttachment struct {
	ID        string    `json:"id"`
	MessageID string    `json:"message_id"`
	ChannelID string    `json:"channel_id"`
	Filename  string    `json:"filename"`
	Size      int64     `json:"size"`
	Created   time.Time `json:"created"`
	Path      string    `json:"path"` // of its bytes on disk
}

// errUnknown says that there is no such message, channel or attachment.
var errUnknown = errors.New("unknown to the sandbox")

// Attachments lists all attachments, oldest first.
func (s *Server) Attachments() ([]StoredAttachment, error) {
	list, err := collect(s.ctx, s.store.read, scanAttachment, `SELECT `+attachmentColumns+` FROM attachments ORDER BY id`)
	out := make([]StoredAttachment, len(list))
	for i, a := range list {
		out[i] = s.stored(a)
	}
	return out, err
}

func (s *Server) stored(a attachment) StoredAttachment {
	return StoredAttachment{
		ID: a.id.String(), MessageID: a.message.String(), ChannelID: a.channel.String(), Filename: a.name, Size: a.size,
		Created: a.id.time(), Path: s.files.path(a.id),
	}
}

func (s *Server) findAttachment(ctx context.Context, text string) (attachment, error) {
	i, _ := parseID(text)
	a, ok, err := one(ctx, s.store.read, scanAttachment, `SELECT `+attachmentColumns+` FROM attachments WHERE id = ?`, i)
	if err == nil && !ok {
		err = fmt.Errorf("attachment %q: %w", text, errUnknown)
	}
	return a, err
}

// DeleteMessage deletes a message as if somebody else had.
func (s *Server) DeleteMessage(message string) error {
	i, _ := parseID(message)
	var ch id
	if err := s.store.read.QueryRowContext(s.ctx, `SELECT channel FROM messages WHERE id = ?`, i).Scan(&ch); err != nil {
		return fmt.Errorf("delete message %q: %w", message, errors.Join(errUnknown, err))
	}
	_, err := s.removeMessages(s.ctx, ch, []id{i}, false)
	return err
}

// DeleteChannel deletes a channel with its messages and webhooks.
func (s *Server) DeleteChannel(text string) error {
	i, _ := parseID(text)
	ch, ok, err := one(s.ctx, s.store.read, scanChannel, `SELECT `+channelColumns+` FROM channels WHERE id = ?`, i)
	if err == nil && !ok {
		err = errUnknown
	}
	if err != nil {
		return fmt.Errorf("delete channel %q: %w", text, err)
	}
	return s.removeChannel(s.ctx, i, renderChannel(ch, 0))
}

// RemoveAttachment takes one attachment off its message, as an edit would.
func (s *Server) RemoveAttachment(text string) error {
	a, err := s.findAttachment(s.ctx, text)
	if err != nil {
		return err
	}
	if err := s.store.update(s.ctx, func(c *change) error {
		_, err := c.ExecContext(s.ctx, `DELETE FROM attachments WHERE id = ?`, a.id)
		return err
	}); err != nil {
		return err
	}
	return s.files.remove(a.id)
}

// CorruptAttachment inverts one bit of an attachment's byte at an offset on
// disk; a negative offset counts from the end.
func (s *Server) CorruptAttachment(text string, at int64) error {
	a, err := s.findAttachment(s.ctx, text)
	if err != nil {
		return err
	}
	if at < 0 {
		at += a.size
	}
	if at < 0 || at >= a.size {
		return fmt.Errorf("corrupt attachment %q: byte %d is outside its %d", text, at, a.size)
	}
	f, err := os.OpenFile(s.files.path(a.id), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	if err == nil {
		b[0] ^= 1
		_, err = f.WriteAt(b, at)
	}
	return errors.Join(err, f.Close())
}

// Unban forgives all addresses, and opens all rate limit windows anew.
func (s *Server) Unban() { s.limits.unban() }
