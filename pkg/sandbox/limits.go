package sandbox

import (
	"maps"
	"time"
)

const mib = 1 << 20

// Window is a rate limit: at most Limit requests in each period of Per. The
// first request opens the period, and the whole count is given back at its end.
type Window struct {
	Limit int           `json:"limit"`
	Per   time.Duration `json:"per"` // in JSON: nanoseconds
}

// Limits are the numbers that Discord changes without notice. In an argument
// to SetLimits and in Config a zero stands for the default, and Buckets holds
// only what differs.
type Limits struct {
	// FileSize bounds one attachment, in bytes. The default follows the guild's
	// boost tier: 10, 10, 50 and 100 MiB.
	FileSize int64 `json:"file_size"`
	// RequestSize bounds one request's body, in bytes: 25 MiB in mode Strict,
	// else 200 MiB.
	RequestSize int64 `json:"request_size"`
	// Attachments bounds those of one message: 10.
	Attachments int `json:"attachments"`
	// Content bounds a message's text, in characters: 2000.
	Content int `json:"content"`
	// Global is requests per second and bot, webhooks aside: 50.
	Global int `json:"global"`
	// Invalid is how many answers of 401, 403 and 429 an address may cause in ten
	// minutes before it is banned: 10000.
	Invalid int `json:"invalid"`
	// BanFor is how long an address is then refused: 24 h. Scale shortens it.
	BanFor time.Duration `json:"ban_for"`
	// NonceWindow is how long enforce_nonce finds the earlier message: 5 min.
	NonceWindow time.Duration `json:"nonce_window"`
	// BulkAge is the age from which bulk delete refuses a message: 14 days.
	BulkAge time.Duration `json:"bulk_age"`
	// Heartbeat is the gateway's interval: 41.25 s.
	Heartbeat time.Duration `json:"heartbeat"`
	// Resume is how long a lost gateway session may be resumed: 3 min.
	Resume time.Duration `json:"resume"`
	// Buckets are the per-route limits by the names of the Bucket constants.
	Buckets map[string]Window `json:"buckets,omitempty"`
	// RequireUserAgent answers as Cloudflare does to clients whose User-Agent does
	// not begin with "DiscordBot (".
	RequireUserAgent bool `json:"require_user_agent"`
}

// The names of rate limit buckets. Each counts by bot and channel unless it
// says otherwise.
const (
	BucketCreate         = "message-create"
	BucketEdit           = "message-edit"
	BucketEditOld        = "message-edit-old"    // of messages older than an hour
	BucketDelete         = "message-delete"      // of messages older than 10 s
	BucketDeleteNew      = "message-delete-new"  // younger than that, or unknown
	BucketDeleteOld      = "message-delete-old"  // older than two weeks
	BucketBulkDelete     = "message-bulk-delete" //
	BucketRead           = "message-read"        // in mode Live hidden from the headers
	BucketWebhook        = "webhook-execute"     // by webhook
	BucketWebhookChannel = "webhook-channel"     // of all webhooks of a channel; in mode Live hidden
	BucketGateway        = "gateway-bot"         // by bot
)

func defaultBuckets() map[string]Window {
	return map[string]Window{
		BucketCreate:         {5, 5 * time.Second},
		BucketEdit:           {5, 5 * time.Second},
		BucketEditOld:        {3, 6 * time.Second},
		BucketDelete:         {3, 333 * time.Millisecond},
		BucketDeleteNew:      {5, time.Second},
		BucketDeleteOld:      {30, 4 * time.Second},
		BucketBulkDelete:     {1, time.Second},
		BucketRead:           {5, 5 * time.Second},
		BucketWebhook:        {5, 2 * time.Second},
		BucketWebhookChannel: {30, time.Minute},
		BucketGateway:        {2, 5 * time.Second},
	}
}

// resolve fills in the defaults of a mode. FileSize stays 0 where the boost
// tier decides.
func (l Limits) resolve(mode Mode) Limits {
	size := int64(200 * mib)
	if mode == Strict {
		size = 25 * mib
	}
	orElse(&l.RequestSize, size)
	orElse(&l.Attachments, 10)
	orElse(&l.Content, 2000)
	orElse(&l.Global, 50)
	orElse(&l.Invalid, 10000)
	orElse(&l.BanFor, 24*time.Hour)
	orElse(&l.NonceWindow, 5*time.Minute)
	orElse(&l.BulkAge, 14*24*time.Hour)
	orElse(&l.Heartbeat, 41250*time.Millisecond)
	orElse(&l.Resume, 3*time.Minute)
	buckets := defaultBuckets()
	maps.Copy(buckets, l.Buckets)
	l.Buckets = buckets
	return l
}

func orElse[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// tierFileSize is the size of one attachment by boost tier.
func tierFileSize(tier int) int64 {
	switch tier {
	case 2:
		return 50 * mib
	case 3:
		return 100 * mib
	}
	return 10 * mib
}
