package discord

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"discordcloud/pkg/cloud"
)

// ErrBlocked is the end of a token: Discord refused it (401). The client does
// not touch the network again; someone has to configure another token. It is
// wrapped around cloud.ErrUnavailable, as it is no fault of who asked.
var ErrBlocked = fmt.Errorf("discord refuses the bot token: %w", cloud.ErrUnavailable)

// ErrChannelDown is wrapped by the errors of calls to a channel that is known
// to be deleted or closed to the bot, and by those that find it out. Other
// channels go on.
var ErrChannelDown = errors.New("channel is down")

// ErrStalled is a transfer that ended because it made too little progress.
var ErrStalled = fmt.Errorf("transfer stalled: %w", cloud.ErrUnavailable)

// Codes of Discord's error bodies that are acted on (Discord's
// reference, "JSON Error Codes").
const (
	CodeUnknownChannel = 10003 // the channel is deleted
	CodeUnknownMessage = 10008 // the message is; with status 403 it is Discord's anti-abuse system

	codeUnknownGuild      = 10004
	codeEntityTooLarge    = 40005
	codeMissingAccess     = 50001
	codeMissingPermission = 50013
)

// APIError is an answer of Discord's API or CDN that refuses a request. It
// wraps the kind that fits: ErrNotFound (404), ErrDenied (403), ErrUnavailable
// (401, 5xx and answers that make no sense), ErrFull (507, of what stands in
// Discord's place), ErrTooLarge (413), ErrLimited (429), ErrInvalid (other 4xx).
type APIError struct {
	Status  int    // of HTTP
	Code    int    // of Discord's error body; 0 if it had none
	Message string // of Discord's error body, cut to a line; "" if it had none
	kind    error
}

func (e *APIError) Error() string {
	text := e.Message
	if text == "" {
		text = http.StatusText(e.Status)
	}
	if e.Code != 0 {
		return fmt.Sprintf("discord answered %d, code %d: %s", e.Status, e.Code, text)
	}
	return fmt.Sprintf("discord answered %d: %s", e.Status, text)
}

// Unwrap is the kind, one of those of pkg/cloud.
func (e *APIError) Unwrap() error { return e.kind }

func newAPIError(status, code int, message string) *APIError {
	return &APIError{Status: status, Code: code, Message: line(message), kind: kindOf(status, code)}
}

func kindOf(status, code int) error {
	switch {
	case status == http.StatusUnauthorized:
		return ErrBlocked
	case status == http.StatusForbidden:
		return cloud.ErrDenied
	case status == http.StatusNotFound:
		return cloud.ErrNotFound
	case status == http.StatusRequestEntityTooLarge, code == codeEntityTooLarge:
		return cloud.ErrTooLarge
	case status == http.StatusTooManyRequests:
		return cloud.ErrLimited
	case status == http.StatusInsufficientStorage:
		return cloud.ErrFull
	case status >= 500, status < 400, status == http.StatusRequestTimeout:
		return cloud.ErrUnavailable
	default:
		return cloud.ErrInvalid
	}
}

// line makes a stranger's text fit for a log: one short line.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// netError makes an error of the network ErrUnavailable, unless ctx has ended:
// then its cause is the error. The causes of the network are kept as text only:
// some of them claim to be context.DeadlineExceeded, and *url.Error quotes
// addresses, which carry signatures.
func netError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if kind := cloud.KindOf(err); kind != nil {
		return err
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("%w: %v", cloud.ErrUnavailable, err)
}
