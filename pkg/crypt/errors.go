package crypt

import (
	"fmt"
	"io"

	"discordcloud/pkg/cloud"
)

// The reasons to refuse an attachment. Each is a kind of cloud.ErrCorrupt.
var (
	// ErrShort: shorter than the smallest attachment.
	ErrShort = refusal("shorter than an attachment can be")
	// ErrNoKey: not ours, or sealed under a key that is missing.
	ErrNoKey = refusal("no key fits")
	// ErrHeader: the header does not open.
	ErrHeader = refusal("header does not open")
	// ErrVersion, ErrSuite, ErrKind, ErrFlags and ErrReserved: the header opens
	// but says what this version of the format does not know.
	ErrVersion  = refusal("unknown version")
	ErrSuite    = refusal("unknown suite")
	ErrKind     = refusal("unknown kind")
	ErrFlags    = refusal("unknown flag")
	ErrReserved = refusal("reserved byte is not zero")
	// ErrExtSize: the extension is shorter than its tag, or reaches past the end.
	ErrExtSize = refusal("impossible extension length")
	// ErrExt: the extension does not open.
	ErrExt = refusal("extension does not open")
	// ErrPayload: the payload is longer than the body, or shorter without being
	// marked as padded, or lies beyond the largest offset.
	ErrPayload = refusal("payload does not fit the body")
	// ErrUnexpected: a sound chunk, but not the one asked for: another index,
	// offset, length, extension or object size.
	ErrUnexpected = refusal("another chunk than expected")
	// ErrSegment: a segment does not open.
	ErrSegment = refusal("segment does not open")
	// ErrEmptySegment: an empty segment beside others.
	ErrEmptySegment = refusal("empty segment beside others")
	// ErrTrailing: bytes behind the last segment.
	ErrTrailing = refusal("bytes behind the last segment")
	// ErrTruncated: the bytes ended before the last segment did. It is a kind of
	// io.ErrUnexpectedEOF too.
	ErrTruncated = fmt.Errorf("%w: %w", cloud.ErrCorrupt, io.ErrUnexpectedEOF)
)

func refusal(text string) error { return fmt.Errorf("%w: %s", cloud.ErrCorrupt, text) }
