// Package blobtest holds what every blob.Store must pass, and the bytes to
// test stores and their readers with.
package blobtest

import (
	"bytes"
	"io"

	"discordcloud/pkg/blob"
)

var _ blob.Body = Bytes(nil)

// Bytes is a blob.Body of these bytes.
type Bytes []byte

// Size is the number of bytes.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Open returns a reader from the first byte.
func (b Bytes) Open() io.Reader { return bytes.NewReader(b) }

// Pattern is n bytes of which byte i is i mod 251: a prime, so that a read at
// a wrong offset shows, at whatever power of two it went wrong.
func Pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}
