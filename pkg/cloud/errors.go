package cloud

import (
	"errors"
	"fmt"
)

// The kinds of error. Everything that goes wrong is wrapped around one of
// these, or is an internal error.
var (
	ErrNotFound        = errors.New("not found")
	ErrExists          = errors.New("exists already")
	ErrInvalid         = errors.New("invalid")
	ErrUnauthenticated = errors.New("not signed in")
	ErrDenied          = errors.New("not allowed")
	ErrTooLarge        = errors.New("too large")
	ErrLimited         = errors.New("too many requests")
	ErrCorrupt         = errors.New("damaged")
	ErrUnavailable     = errors.New("not available at the moment")
	ErrFull            = errors.New("no space left")
	ErrShutdown        = errors.New("shutting down")
)

// codes is the one table of wire codes; the first kind that matches counts.
var codes = []struct {
	kind error
	code string
}{
	{ErrNotFound, "not_found"},
	{ErrExists, "exists"},
	{ErrInvalid, "invalid"},
	{ErrUnauthenticated, "unauthenticated"},
	{ErrDenied, "denied"},
	{ErrTooLarge, "too_large"},
	{ErrLimited, "limited"},
	{ErrCorrupt, "corrupt"},
	{ErrFull, "full"},
	{ErrShutdown, "shutdown"},
	{ErrUnavailable, "unavailable"},
}

// CodeOf is the wire code of err's kind, "internal" for an unclassified error.
func CodeOf(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.kind) {
			return c.code
		}
	}
	return "internal"
}

// KindByCode is the kind of a wire code, nil if there is none of it.
func KindByCode(code string) error {
	for _, c := range codes {
		if c.code == code {
			return c.kind
		}
	}
	return nil
}

// KindOf is the sentinel that err is wrapped around, nil for an unclassified
// error.
func KindOf(err error) error {
	for _, c := range codes {
		if errors.Is(err, c.kind) {
			return c.kind
		}
	}
	return nil
}

// UserError carries a text that is fit to be shown to the person who caused it.
// It may tell names of files, which must not get into logs: as an error it says
// only its kind, and TextOf gives the text.
type UserError struct {
	Kind error
	Text string
}

func (e *UserError) Error() string { return e.Kind.Error() }
func (e *UserError) Unwrap() error { return e.Kind }

// UserErrorf makes an error of the given kind whose text may be shown.
func UserErrorf(kind error, format string, args ...any) error {
	return &UserError{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// TextOf is what may be shown of err: the text of the outermost UserError in
// it, else the words of its kind. The rest belongs in the log.
func TextOf(err error) string {
	if u, ok := errors.AsType[*UserError](err); ok {
		return u.Text
	}
	if kind := KindOf(err); kind != nil {
		return kind.Error()
	}
	return "internal error"
}
