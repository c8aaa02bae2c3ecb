package upload

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// sumsKept is the number of parts of one upload whose sums are kept to compare
// repeats with. Repeats come soon or never.
const sumsKept = 1024

// transfer is an upload that the manager has opened here. It knows which parts
// are stored, which are being stored, and whether it goes on at all. It is safe
// for concurrent use.
type transfer struct {
	id       cloud.UploadID
	object   cloud.ObjectID
	size     int64 // -1 if it is not known: then the part that ends it says so
	partSize int64
	parts    int64 // as many as there can be

	mu      sync.Mutex
	key     crypt.ObjectKey // zero once it has ended
	ext     []byte          // plain extension of chunk 0; it names the file
	conn    *packet.Conn    // by which it was opened; nil while that is gone
	ended   error           // why nothing more is taken; nil while it is open
	changed chan struct{}   // closed, and replaced, when conn or ended changes
	since   time.Time       // of the last progress, the loss of conn, or the end
	at      map[*request]struct{}
	stored  ranges
	claims  map[int64]chan struct{} // parts being stored; closed when that is over
	sums    map[int64]cloud.Sum     // tree hashes of the last parts stored here
	order   []int64                 // of the keys of sums
}

// partsMost is how many parts a file may have whose size is not known. The
// numbers of chunks begin behind it.
const partsMost = 1 << 24

// request is a POST that works on a transfer.
type request struct{ cancel context.CancelCauseFunc }

// newTransfer checks what the manager asks for: ErrInvalid, as a UserError for
// the manager's log, if it makes no sense.
func newTransfer(p packet.UploadOpen) (*transfer, error) {
	object, err := cloud.ParseObjectID(p.Object)
	if err != nil {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "object is not an id")
	}
	if p.Size < 0 || p.ChunkSize <= 0 {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "%d bytes in parts of %d", p.Size, p.ChunkSize)
	}
	t := &transfer{
		id: cloud.UploadID(p.UploadID), object: object, size: p.Size, partSize: p.ChunkSize,
		parts:   (p.Size-1)/p.ChunkSize + 1, // of an unknown size see below
		changed: make(chan struct{}),
		at:      map[*request]struct{}{},
		claims:  map[int64]chan struct{}{},
		sums:    map[int64]cloud.Sum{},
	}
	if p.Size == 0 {
		t.size, t.parts = -1, partsMost
	}
	if t.parts > 1 && t.partSize%chunk.Leaf != 0 {
		return nil, cloud.UserErrorf(cloud.ErrInvalid, "parts of %d bytes are no whole leaves", t.partSize)
	}
	return t, nil
}

// same tells whether other is about the same bytes.
func (t *transfer) same(other *transfer) bool {
	return t.id == other.id && t.object == other.object && t.size == other.size && t.partSize == other.partSize
}

// open starts or resumes the transfer with what the manager has sent by conn.
func (t *transfer) open(conn *packet.Conn, p packet.UploadOpen, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(string(p.Key))
	if err != nil || len(key) != len(t.key) {
		return cloud.UserErrorf(cloud.ErrInvalid, "key is not 32 bytes")
	}
	defer clear(key)
	ext, err := base64.StdEncoding.DecodeString(string(p.Extension))
	if err != nil || len(ext) > chunk.ExtMax {
		return cloud.UserErrorf(cloud.ErrInvalid, "extension is not base64 of at most %d bytes", chunk.ExtMax)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.key, t.ext, t.conn, t.ended, t.since = crypt.ObjectKey(key), ext, conn, nil, now
	for _, run := range p.Confirmed {
		t.stored.addRun(packet.Range{run[0], min(run[1], t.parts-1)})
	}
	t.change()
	return nil
}

// change wakes those who wait in connected. t.mu is held.
func (t *transfer) change() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// end takes nothing more and stops what is under way. The key is forgotten;
// what the sums tell is kept for repeats of the last parts.
func (t *transfer) end(cause error, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return
	}
	clear(t.key[:])
	clear(t.ext)
	t.ext, t.conn, t.ended, t.since = nil, nil, cause, now
	for r := range t.at {
		r.cancel(cause)
	}
	t.change()
}

// lost tells that conn has ended. The transfer waits for another one.
func (t *transfer) lost(conn *packet.Conn, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == conn && t.ended == nil {
		t.conn, t.since = nil, now
		t.change()
	}
}

// enter counts a request in, to be cancelled when the transfer ends. It must
// leave again. A transfer that has ended still takes requests, since they may
// repeat a part whose answer was lost.
func (t *transfer) enter(r *request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at[r] = struct{}{}
}

func (t *transfer) leave(r *request, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.at, r)
	if t.ended == nil && t.conn != nil {
		t.since = now // it was in transit until now
	}
}

// largest is the length of the longest part there can be.
func (t *transfer) largest() int64 {
	if t.size < 0 {
		return t.partSize
	}
	return min(t.partSize, t.size)
}

// expect gives the length of a part, the longest it can be if the file's size is
// not known. ErrInvalid if there is no such part.
func (t *transfer) expect(part int64) (int64, error) {
	if part < 0 || part >= t.parts {
		return 0, cloud.UserErrorf(cloud.ErrInvalid, "there is no chunk %d: the upload has %d", part, t.parts)
	}
	if t.size < 0 {
		return t.partSize, nil
	}
	return min(t.partSize, t.size-part*t.partSize), nil
}

// takes tells whether a part can be of use: nil, or why the transfer has ended.
func (t *transfer) takes(part int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stored.has(part) {
		return nil // it is compared
	}
	return t.ended
}

// claim asks who stores a part with this tree hash. If it is mine, the caller
// does, and must settle it. Otherwise it is stored already, with the same bytes
// as far as that is known here; ErrExists if with others. While
// another request stores the part, claim waits for how that ends.
func (t *transfer) claim(ctx context.Context, part int64, sum cloud.Sum) (mine bool, err error) {
	for {
		t.mu.Lock()
		if t.stored.has(part) {
			known, ok := t.sums[part]
			t.mu.Unlock()
			if ok && known != sum {
				return false, cloud.UserErrorf(cloud.ErrExists, "chunk %d is stored with other bytes", part)
			}
			return false, nil
		}
		if t.ended != nil {
			defer t.mu.Unlock()
			return false, t.ended
		}
		other, busy := t.claims[part]
		if !busy {
			t.claims[part] = make(chan struct{})
			t.mu.Unlock()
			return true, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// settle ends a claim: with a stored part, or with one that another request
// may try again.
func (t *transfer) settle(part int64, sum cloud.Sum, stored bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.claims[part])
	delete(t.claims, part)
	if !stored {
		return
	}
	t.stored.add(part)
	t.since = now
	if len(t.order) == sumsKept {
		delete(t.sums, t.order[0])
		t.order = append(t.order[:0], t.order[1:]...)
	}
	t.sums[part] = sum
	t.order = append(t.order, part)
}

// confirmed tells whether the part is stored, as far as the manager has said.
func (t *transfer) confirmed(part int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stored.has(part)
}

// secrets gives what parts are sealed with, while the transfer is open.
func (t *transfer) secrets() (crypt.ObjectKey, []byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.key, append([]byte(nil), t.ext...), t.ended
}

// connected waits for a connection of the manager that has this transfer open
// and is not the one that has failed already (nil for none).
func (t *transfer) connected(ctx context.Context, failed *packet.Conn) (*packet.Conn, error) {
	for {
		t.mu.Lock()
		conn, ended, changed := t.conn, t.ended, t.changed
		t.mu.Unlock()
		switch {
		case ended != nil:
			return nil, ended
		case conn != nil && conn != failed:
			return conn, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the manager: %w", context.Cause(ctx))
		}
	}
}

// verdict is what is to be done with a transfer that nobody has touched lately.
type verdict int

const (
	keep   verdict = iota
	stall          // it makes no progress: give it up
	drop           // the manager has not come back for it
	forget         // it ended long ago
)

// judge looks at how long nothing has happened. Bytes in transit are something.
func (t *transfer) judge(now time.Time, stalled, grace, linger time.Duration) (verdict, *packet.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	quiet := now.Sub(t.since)
	switch {
	case t.ended != nil && len(t.at) == 0 && quiet >= linger:
		return forget, nil
	case t.ended != nil:
		return keep, nil
	case t.conn == nil && quiet >= grace:
		return drop, nil
	case t.conn != nil && len(t.at) == 0 && quiet >= stalled:
		return stall, t.conn
	}
	return keep, nil
}

// isOpen tells whether the transfer takes parts.
func (t *transfer) isOpen() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended == nil
}

// isOpenFor tells whether the transfer takes parts and nobody but conn has opened
// it.
func (t *transfer) isOpenFor(conn *packet.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended == nil && (t.conn == nil || t.conn == conn)
}

// heldBy is the manager that has opened the transfer, nil for none that is there.
func (t *transfer) heldBy() *packet.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return nil
	}
	return t.conn
}

// isHeld tells whether the manager that is connected has opened it.
func (t *transfer) isHeld() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended == nil && t.conn != nil
}

// pause waits for d and tells whether conn is still the connection then. It
// ends early when that, or the transfer, changes.
func (t *transfer) pause(ctx context.Context, conn *packet.Conn, d time.Duration) (still bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	t.mu.Lock()
	gone, changed := t.conn != conn, t.changed
	t.mu.Unlock()
	if gone {
		return false, nil
	}
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
		return false, fmt.Errorf("wait for the manager: %w", context.Cause(ctx))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conn == conn, nil
}
