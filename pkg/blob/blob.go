// Package blob is the contract of a store of sealed, immutable bytes. What the
// bytes mean, who owns them and how they are sealed is known elsewhere.
package blob

import (
	"context"
	"io"

	"discordcloud/pkg/cloud"
)

// Body is what is to be stored. It must be sendable more than once.
type Body interface {
	// Size is the number of bytes that each reader gives.
	Size() int64
	// Open returns a reader from the first byte. Every call gives the same
	// bytes; readers may be used at the same time.
	Open() io.Reader
}

// Store keeps immutable sealed blobs. Implementations are safe for concurrent
// use and pass blobtest.Run.
type Store interface {
	// Put stores body and returns where it lies. The blob is readable once Put
	// has returned nil; after an error it may exist all the same.
	// ErrTooLarge if the store takes no blob of that size now.
	Put(ctx context.Context, body Body) (cloud.Ref, error)
	// Get reads n bytes from off; n < 0 reads to the end. The caller closes the
	// reader. ErrNotFound if ref names no blob, ErrInvalid if off is outside it.
	// A reader that ends early ends with io.ErrUnexpectedEOF, never with io.EOF.
	Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error)
	// Delete removes the blobs. A missing blob is not an error.
	Delete(ctx context.Context, refs ...cloud.Ref) error
}

// Prefetcher is a Store that is quicker to read from when it is told in time.
type Prefetcher interface {
	// Prefetch tells that the blobs will be read soon, in this order. It does not
	// wait, and promises nothing.
	Prefetch(refs ...cloud.Ref)
}

// Forgetter is a Store that keeps copies of what it reads.
type Forgetter interface {
	// Forget tells that n bytes from off came out wrong: what is kept of them is
	// dropped, and the next Get goes to where they come from. n < 0 is to the end.
	Forget(ref cloud.Ref, off, n int64)
}
