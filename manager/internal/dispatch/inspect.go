package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/blob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/retry"
)

// What a service elsewhere says that it has stored is read back in samples: one
// leaf, and the end, of at least one part of every upload, and of one part in
// inspectOne beside. Which part that is nobody can know before. A service of this
// process is this process, and is believed.
//
// A service whose sample is not what it said is quarantined: it is given nothing
// any more, under its address also after it has connected anew, until the
// manager is restarted. Its uploads fail, and cannot be gone on with, for what else
// it has stored of them is as doubtful.

// inspectOne in so many parts is read back, beside the one of each upload.
const inspectOne = 32

// inspectTime bounds the look at a part; the service waits for its answer for 10 s.
const inspectTime = 8 * time.Second

// errLie is what is wrong with a part that is not what its service said.
var errLie = cloud.UserErrorf(cloud.ErrInvalid, "what lies in Discord is not what was reported")

// chosen tells whether a part that is coming is to be read back. Each of an upload
// is as likely to be the one that is in any case. d.mu is held; u.coming counts the
// parts that are coming besides.
func (u *upload) chosen(ends bool) bool {
	left := u.missing - u.coming // this one included, as far as it is known
	switch {
	case u.inspected:
		return rand.IntN(inspectOne) == 0
	case ends || left <= 1 || rand.Int64N(left) == 0:
		u.inspected = true
		return true
	default:
		return rand.IntN(inspectOne) == 0
	}
}

// inspect reads back a sample of a part. errLie if it is not what the service said,
// ErrUnavailable if that cannot be found out now.
func (d *Dispatcher) inspect(ctx context.Context, u *upload, size int64, chunks []meta.Stored) error {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	c := chunks[rand.IntN(len(chunks))]
	leaf := rand.IntN(len(c.Leaves))
	var last error
	// A line, or a cache, may have damaged what came: it is asked for again.
	err := retry.Policy{Tries: 3, First: 100 * time.Millisecond, Most: time.Second}.Do(ctx, func(ctx context.Context) error {
		last = d.readBack(ctx, u, size, c, leaf)
		if isLie(last) {
			return fmt.Errorf("%w: %w", cloud.ErrUnavailable, last) // worth another try
		}
		return last
	})
	switch {
	case err == nil:
		return nil
	case isLie(last) && ctx.Err() == nil:
		return fmt.Errorf("%w: chunk %d: %w", errLie, c.Index, last)
	default:
		return fmt.Errorf("read back: %w: %w", cloud.ErrUnavailable, err)
	}
}

// isLie tells errors that the store is not at fault for.
func isLie(err error) bool {
	return errors.Is(err, cloud.ErrCorrupt) || errors.Is(err, cloud.ErrNotFound) || errors.Is(err, cloud.ErrInvalid)
}

// readBack compares one leaf of a chunk with its sum, and looks where the chunk ends.
func (d *Dispatcher) readBack(ctx context.Context, u *upload, size int64, c meta.Stored, leaf int) error {
	off := int64(leaf) * chunk.Leaf
	plain := make([]byte, min(chunk.Leaf, c.Size-off))
	if err := d.readRange(ctx, u, size, c, off, plain); err != nil {
		return err
	}
	if chunk.LeafSum(plain) != c.Leaves[leaf] {
		return fmt.Errorf("%w: leaf %d has another sum", cloud.ErrCorrupt, leaf)
	}
	if off+int64(len(plain)) == c.Size {
		return nil
	}
	return d.readRange(ctx, u, size, c, c.Size-1, plain[:1])
}

// readRange reads plain bytes of a chunk, and at its end makes sure that it is one.
func (d *Dispatcher) readRange(ctx context.Context, u *upload, size int64, c meta.Stored, off int64, plain []byte) error {
	opened, err := crypt.OpenChunk(u.key, u.Object, c.Chunk, size)
	if err != nil {
		return err
	}
	span, err := chunk.Range(c.Chunk, off, int64(len(plain)))
	if err != nil {
		return err
	}
	n := span.Len
	if span.Off+n == c.SealedSize {
		n = -1
	}
	sealed, err := d.Blobs.Get(ctx, c.Ref, span.Off, n)
	if err != nil {
		return err
	}
	defer func() { _ = sealed.Close() }() // it was only read
	r := opened.Range(span, sealed)
	_, err = io.ReadFull(r, plain)
	if err == nil {
		if _, err = io.Copy(io.Discard, r); err == nil {
			return nil
		}
	}
	if f, ok := d.Blobs.(blob.Forgetter); ok {
		f.Forget(c.Ref, span.Off, n)
	}
	return err
}

// quarantine takes everything from a service that has lied about an upload.
func (s *Service) quarantine(ctx context.Context, about cloud.UploadID, lie error) {
	const reason = "the upload service did not store what it was given"
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.quarantined || s.gone {
		return
	}
	d.Log.ErrorContext(ctx, "upload service quarantined: it lied about what it stored. Find out why before it is let in again, and restart the manager then",
		"service", s.id, "address", s.Address, "upload", about, "err", lie)
	d.liars[s.Address] = struct{}{}
	d.announce(s.registry(packet.RegistryRemoved))
	s.quarantined = true
	for _, sl := range d.pool.remove(s) {
		u := sl.upload
		if u == nil {
			continue
		}
		u.slot = nil
		if u.stage != running && u.stage != closing {
			continue // whoever opens it sees it; one that is whole was looked at
		}
		d.interrupts++
		u.finishStage(true)
		u.tell(packet.UploadFinishInfo{UploadID: string(u.ID), Reason: reason})
		d.forget(u)
		id := u.ID
		ctx := context.WithoutCancel(ctx)
		d.background.Go(func() {
			d.record(ctx, id, meta.UploadFailed, reason)
			// The service is told, too: clients that still send to it are refused.
			if err := s.call(ctx, packet.UploadClose{UploadID: string(id)}); err != nil {
				d.Log.DebugContext(ctx, "upload not closed on its service", "service", s.id, "upload", id, "err", err)
			}
		})
	}
}

// admit gives a configured upload service to those who want slots, unless its
// address is in quarantine. d.mu is held.
func (d *Dispatcher) admit(ctx context.Context, s *Service) {
	if _, liar := d.liars[s.Address]; liar && s.elsewhere() && s.Role == policy.UploadService {
		s.quarantined = true
		d.Log.WarnContext(ctx, "upload service is in quarantine", "service", s.id, "address", s.Address)
		return
	}
	d.announce(s.registry(packet.RegistryAdded))
	if s.Role == policy.UploadService && !s.draining {
		d.pool.add(s, s.Capacity)
	}
}
