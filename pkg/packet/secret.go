package packet

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a string of the wire that must not appear in logs: a key, a token.
// Every way of printing or marshalling it gives "[secret]"; only Encode puts
// it on the wire, and string(s) reads it.
type Secret string

const redacted = "[secret]"

// Format implements fmt.Formatter for all verbs.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) } // fmt.State reports no error

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, for structs that are logged
// as JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
