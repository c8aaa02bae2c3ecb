package discord

import (
	"log/slog"
	"sync"
	"time"

	"discordcloud/pkg/blob"
)

// FileOverhead is more than a file adds to its request beside its bytes.
const FileOverhead = 1 << 10

// Limits are what a message may carry now.
type Limits struct {
	Attachment  int64 `json:"attachment"`  // bytes of one attachment
	Request     int64 `json:"request"`     // bytes of all, if it has several, with FileOverhead for each
	Attachments int   `json:"attachments"` // number
}

// Fits tells whether n attachments of that many bytes together fit one message,
// as far as it is not for the size of a single one.
func (l Limits) Fits(n int, bytes int64) bool {
	return n <= l.Attachments && (n <= 1 || bytes+int64(n)*FileOverhead <= l.Request)
}

// Limits are those in force: the configured ones, or lower ones that Discord
// taught us. What was lowered is tried again after Options.LimitRetry, by
// whoever has something that large to post.
func (c *Client) Limits() Limits { return c.size.limits(time.Now()) }

// SetAttachmentLimit changes what one attachment may have, in bytes, as
// Options.AttachmentLimit does; what Discord has refused lately stays refused.
// Clients of one Pool have one limit.
func (c *Client) SetAttachmentLimit(bytes int64) {
	c.size.mu.Lock()
	defer c.size.mu.Unlock()
	c.size.most.Attachment = bytes
	if c.size.again.IsZero() || bytes < c.size.now.Attachment {
		c.size.now.Attachment = bytes
	}
}

// LimitFell tells that another client of the same tokens had an attachment refused,
// and that one may have so many bytes: it is as if this one had learned it, and is
// tried again as that is.
func (c *Client) LimitFell(bytes int64) {
	s := &c.size
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes > 0 && bytes < s.now.Attachment {
		s.now.Attachment, s.again = bytes, time.Now().Add(s.retry)
	}
}

// sizes keeps the limits in force.
type sizes struct {
	retry time.Duration

	mu    sync.Mutex
	now   Limits
	most  Limits    // as configured
	again time.Time // when they are tried again; zero if nothing was lowered
}

func (s *sizes) reset(opt Options) {
	s.retry = opt.LimitRetry
	s.most = Limits{Attachment: opt.AttachmentLimit, Request: opt.RequestLimit, Attachments: opt.AttachmentsMost}
	s.now = s.most
}

func (s *sizes) limits(now time.Time) Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.again.IsZero() && !now.Before(s.again) {
		s.now, s.again = s.most, time.Time{}
	}
	return s.now
}

// steps are limits that Discord has had, or that a server in front may have.
var steps = [...]int64{100 << 20, 50 << 20, 25 << 20, 20 << 20, 10 << 20, 8 << 20, 4 << 20, 2 << 20, 1 << 20, 512 << 10, 256 << 10, 128 << 10, 64 << 10}

// refused learns from a 413. A single file is too large itself. Of several,
// either one is or all together are, which only sending them one by one tells;
// until then messages get smaller.
func (s *sizes) refused(files []blob.Body, log *slog.Logger) {
	var largest, sum int64
	for _, f := range files {
		largest, sum = max(largest, f.Size()), sum+f.Size()+FileOverhead
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.now
	defer func() {
		if s.now.Attachment < before.Attachment || s.now.Request < before.Request {
			s.again = time.Now().Add(s.retry)
		}
	}()
	if len(files) > 1 {
		if s.now.Request >= sum && largest <= s.now.Attachment { // else one of them is known to be
			s.now.Request = max(sum/2, largest+FileOverhead)
			log.Warn("Discord takes no message that large", "bytes", sum, "limit", s.now.Request)
		}
		return
	}
	s.now.Request = s.most.Request // the file was the reason
	limit := largest - 1
	for _, step := range steps {
		if step < largest {
			limit = step
			break
		}
	}
	if limit < s.now.Attachment {
		s.now.Attachment = limit
		log.Warn("Discord takes no attachment that large", "bytes", largest, "limit", limit)
	}
}
