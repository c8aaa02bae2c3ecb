// Package rig sets the whole product up for the tools that measure and try it:
// a sandbox in Discord's place, a manager and upload services, and clients that
// speak to them as others would, over HTTP and sockets. What is measured, and
// what is asked of it, is the tools' own.
package rig

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
)

// Content is the bytes of a file that is never held: any part of it can be made
// at any time, at about the speed of a copy. Every 4 KiB of it name its seed and
// place, so that no byte of another file, or of another place, passes for it.
type Content struct {
	Seed uint64
	Size int64
}

const (
	stampEvery = 4 << 10
	stampSize  = 16
	noiseSize  = 1<<20 + 7 // a prime number of bytes would do as well
)

var noise = sync.OnceValue(func() []byte {
	b := make([]byte, noiseSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
})

var _ io.ReaderAt = Content{}

// ReadAt implements io.ReaderAt.
func (c Content) ReadAt(p []byte, off int64) (int, error) {
	n := max(min(int64(len(p)), c.Size-off), 0)
	src := noise()
	for done := int64(0); done < n; {
		at := (off + done + int64(c.Seed%noiseSize)) % noiseSize
		done += int64(copy(p[done:n], src[at:]))
	}
	for block := off / stampEvery * stampEvery; block < off+n; block += stampEvery {
		var stamp [stampSize]byte
		binary.BigEndian.PutUint64(stamp[:8], c.Seed)
		binary.BigEndian.PutUint64(stamp[8:], uint64(block))
		if from := block - off; from >= 0 {
			copy(p[from:n], stamp[:])
		} else if from > -stampSize {
			copy(p[:n], stamp[-from:])
		}
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Reader reads n bytes from off.
func (c Content) Reader(off, n int64) io.Reader { return io.NewSectionReader(c, off, n) }

// Check is a writer that compares what is written to it with c, from off on. Its
// Write fails at the first byte that differs.
func (c Content) Check(off int64) *Check { return &Check{content: c, at: off} }

// Check compares a stream with a Content. See Content.Check.
type Check struct {
	content Content
	at      int64
	want    []byte
}

// ErrDiffers is a byte that is not the content's. No fault may ever cause it.
type ErrDiffers struct{ At int64 }

func (e *ErrDiffers) Error() string { return fmt.Sprintf("byte %d differs", e.At) }

// Write implements io.Writer.
func (k *Check) Write(p []byte) (int, error) {
	if len(k.want) < len(p) {
		k.want = make([]byte, len(p))
	}
	n, _ := k.content.ReadAt(k.want[:len(p)], k.at) // short only at the end
	for i, b := range p {
		if i >= n || b != k.want[i] {
			return i, &ErrDiffers{k.at + int64(i)}
		}
	}
	k.at += int64(len(p))
	return len(p), nil
}
