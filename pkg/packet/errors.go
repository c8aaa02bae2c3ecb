package packet

import (
	"errors"

	"discordcloud/pkg/cloud"
)

// ErrorOf is the packet that tells a peer of err: its code, and of its text
// only what may be shown.
func ErrorOf(err error) Error {
	return Error{Code: cloud.CodeOf(err), Message: cloud.TextOf(err)}
}

// Err is the error that the packet tells of. It wraps the kind of its code, or
// no kind if the code is "internal" or unknown.
func (e Error) Err() error {
	if kind := cloud.KindByCode(e.Code); kind != nil {
		return cloud.UserErrorf(kind, "%s", e.Message)
	}
	return errors.New(e.Message)
}
