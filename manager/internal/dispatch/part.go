package dispatch

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// PartStored records a part that the service says it has stored, and answers by
// reply: a nil error is durable; a part that was stored before with the same
// content is as good. ErrExists if it was stored with another, ErrNotFound if
// this connection does not hold the upload, ErrInvalid for what cannot be true.
// The reply comes before the service is told to close the upload.
func (s *Service) PartStored(ctx context.Context, p packet.PartStored, reply func(error)) {
	d := s.d
	u, err := s.partStored(ctx, p)
	if err != nil {
		d.mu.Lock()
		d.refused++
		s.failed(cloud.TextOf(err))
		d.mu.Unlock()
		d.Log.WarnContext(ctx, "part refused", "service", s.id, "upload", p.UploadID, "part", p.Part, "err", err)
	}
	reply(err)
	if err != nil {
		return
	}
	d.limitFell(ctx, s, p.AttachmentLimit)
	d.mu.Lock()
	defer d.mu.Unlock()
	s.work.parts++
	for _, c := range p.Chunks {
		s.work.bytes += c.Size
	}
	if u.missing == 0 && u.stage == running {
		u.stage = concluding
		ctx := context.WithoutCancel(ctx)
		d.background.Go(func() { d.conclude(ctx, u) })
	}
}

func (s *Service) partStored(ctx context.Context, p packet.PartStored) (*upload, error) {
	d := s.d
	d.mu.Lock()
	u := d.uploads[cloud.UploadID(p.UploadID)]
	held := u != nil && u.slot != nil && u.slot.service == s && u.stage == running
	var row meta.Upload
	if held {
		row = u.Upload
	}
	d.mu.Unlock()
	if !held {
		return nil, errNotHeld
	}
	size, ends := endsAt(row, p)
	chunks, err := u.chunksOf(p, d.Service.Channels, size, row.Parts())
	if err != nil {
		return nil, err
	}
	done, err := s.check(ctx, u, size, ends, chunks)
	defer done()
	if err != nil {
		return nil, err
	}

	// From here on it is recorded, whoever leaves: it lies in Discord.
	u.parts.Lock()
	defer u.parts.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if ends {
		if err := d.Store.SetUploadSize(ctx, u.ID, size); err != nil {
			return nil, fmt.Errorf("end of upload: %w", err)
		}
		u.unsure = true
		d.mu.Lock()
		u.Size = size
		d.mu.Unlock()
	}
	switch err := d.Store.AddPart(ctx, u.ID, p.Part, chunks); {
	case err == nil:
	case errors.Is(err, cloud.ErrExists):
		if err := d.sameAsStored(ctx, u, p.Part, chunks); err != nil {
			return nil, err
		}
		u.unsure = true
	default:
		u.unsure = true
		return nil, fmt.Errorf("record part: %w", err)
	}
	missing, sure := int64(-1), !u.unsure
	if !sure {
		stored, err := d.Store.PartsStored(ctx, u.ID)
		if err != nil {
			return nil, fmt.Errorf("count parts: %w", err)
		}
		missing = u.Parts() - count(stored)
		u.unsure = false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if missing < 0 {
		missing = u.missing - 1
	}
	if u.missing = missing; sure && row.Parts() == 1 {
		u.whole = chunks
	}
	if t := cleanType(p.Type); p.Part == 0 && t != "" {
		u.kind = t
	}
	return u, nil
}

var errNotHeld = cloud.UserErrorf(cloud.ErrNotFound, "this connection does not hold the upload")

// check reads the part of a service elsewhere back, if it is chosen. done has to be
// called when the part is recorded, or is not going to be.
func (s *Service) check(ctx context.Context, u *upload, size int64, ends bool, chunks []meta.Stored) (done func(), err error) {
	if !s.elsewhere() {
		return func() {}, nil
	}
	d := s.d
	d.mu.Lock()
	chosen := u.chosen(ends)
	u.coming++
	d.mu.Unlock()
	done = func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		u.coming--
	}
	if !chosen {
		return done, nil
	}
	if err = d.inspect(ctx, u, size, chunks); errors.Is(err, errLie) {
		s.quarantine(ctx, u.ID, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil:
		u.inspected = false // it was not good: another has to be
	case u.slot == nil || u.slot.service != s || u.stage != running: // it took its time
		err = errNotHeld
	}
	return done, err
}

// endsAt is the size of an upload as far as a part of it tells, and whether it
// tells it now for the first time.
func endsAt(row meta.Upload, p packet.PartStored) (size int64, ends bool) {
	if row.Size >= 0 {
		return row.Size, false
	}
	if p.Part < 0 || p.Part >= meta.MaxParts {
		return 0, false // which chunksOf refuses
	}
	begin := p.Part * row.PartSize
	if !p.Last {
		return begin + row.PartSize, false
	}
	var n int64
	for _, c := range p.Chunks {
		if c.Size <= 0 || c.Size > row.PartSize-n {
			return 0, false
		}
		n += c.Size
	}
	return begin + n, n > 0
}

// count is the number of parts in ranges.
func count(ranges [][2]int64) int64 {
	var n int64
	for _, r := range ranges {
		n += r[1] - r[0] + 1
	}
	return n
}

// sameAsStored tells whether a part is stored with these plain bytes: nil if it
// is, ErrExists if it is stored with others.
func (d *Dispatcher) sameAsStored(ctx context.Context, u *upload, part int64, chunks []meta.Stored) error {
	from := part * u.PartSize
	to := from + u.PartSize
	var there, now []cloud.Sum
	err := d.Store.Leaves(ctx, u.ID, func(c meta.Stored) error {
		if c.Offset >= to {
			return errEnough
		}
		if c.Offset >= from {
			there = append(there, c.Leaves...)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("compare part: %w", err)
	}
	for _, c := range chunks {
		now = append(now, c.Leaves...)
	}
	if !slices.Equal(there, now) {
		return cloud.UserErrorf(cloud.ErrExists, "part %d is stored already, with other bytes", part)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return cloud.UserErrorf(cloud.ErrInvalid, format, args...)
}

// chunksOf checks what a service says of a part and gives it in order of
// offset. The sealed headers are opened: they prove that a chunk is what it is
// said to be, to whoever holds the key. size is that of the file, parts the
// number of its parts, as far as they are known.
func (u *upload) chunksOf(p packet.PartStored, channels []string, size, parts int64) ([]meta.Stored, error) {
	if p.Part < 0 || p.Part >= parts {
		return nil, invalid("there is no part %d", p.Part)
	}
	chunks := make([]meta.Stored, len(p.Chunks))
	for i, c := range p.Chunks {
		stored, err := u.stored(c, channels, size)
		if err != nil {
			return nil, err
		}
		chunks[i] = stored
	}
	slices.SortFunc(chunks, func(a, b meta.Stored) int {
		if a.Offset < b.Offset {
			return -1
		}
		return 1
	})

	at := p.Part * u.PartSize
	end := min(at+u.PartSize, size)
	for i, c := range chunks {
		if c.Offset != at {
			return nil, invalid("part %d: a chunk begins at %d instead of %d", p.Part, c.Offset, at)
		}
		if at += c.Size; at < end && c.Size%chunk.Leaf != 0 {
			return nil, invalid("part %d: a chunk ends within a leaf", p.Part)
		}
		whole := int64(c.Index) == p.Part && (len(chunks) == 1 || i == 0)
		if !whole && int64(c.Index) < parts {
			return nil, invalid("part %d: a chunk has the index of another part", p.Part)
		}
	}
	if at != end {
		return nil, invalid("part %d: the chunks end at %d instead of %d", p.Part, at, end)
	}
	return chunks, nil
}

// stored checks one chunk by itself.
func (u *upload) stored(c packet.StoredChunk, channels []string, size int64) (meta.Stored, error) {
	fail := func(err error) (meta.Stored, error) { return meta.Stored{}, err }
	switch {
	case c.Index < 0 || c.Index > math.MaxUint32:
		return fail(invalid("a chunk has the index %d", c.Index))
	case c.Size <= 0 || c.Offset < 0 || c.Offset > size-c.Size:
		return fail(invalid("%d bytes from %d are not in the file", c.Size, c.Offset))
	case c.Offset == 0 && c.Ext != int64(u.extSealed()) || c.Offset != 0 && c.Ext != 0:
		return fail(invalid("a chunk has an extension of %d bytes", c.Ext))
	case c.SealedSize != chunk.SealedSize(c.Size, int(c.Ext)):
		return fail(invalid("%d bytes do not seal to %d", c.Size, c.SealedSize))
	case c.CRC32 < 0 || c.CRC32 > math.MaxUint32:
		return fail(invalid("a checksum is out of range"))
	case !slices.Contains(channels, c.Channel):
		return fail(invalid("a chunk lies in a channel that is not ours"))
	case c.Message == "" || c.Attachment == "":
		return fail(invalid("a chunk lies nowhere"))
	}
	out := meta.Stored{
		Chunk: cloud.Chunk{
			Index: int(c.Index), Offset: c.Offset, Size: c.Size, Ext: int(c.Ext), SealedSize: c.SealedSize,
			Ref: cloud.Ref{Channel: c.Channel, Message: c.Message, Attachment: c.Attachment, Path: c.Path},
		},
		CRC32: uint32(c.CRC32),
	}
	if n, err := hex.Decode(out.Salt[:], []byte(c.Salt[:min(len(c.Salt), 64)])); err != nil || n != len(out.Salt) || len(c.Salt) != 64 {
		return fail(invalid("a chunk has no salt"))
	}
	if n, err := hex.Decode(out.Header[:], []byte(c.Header[:min(len(c.Header), 128)])); err != nil || n != len(out.Header) || len(c.Header) != 128 {
		return fail(invalid("a chunk has no header"))
	}
	leaves, err := base64.StdEncoding.DecodeString(c.Leaves)
	if want := (c.Size + chunk.Leaf - 1) / chunk.Leaf; err != nil || int64(len(leaves)) != 32*want {
		return fail(invalid("a chunk of %d bytes has %d leaves", c.Size, want))
	}
	for sum := range slices.Chunk(leaves, 32) {
		out.Leaves = append(out.Leaves, cloud.Sum(sum))
	}
	if _, err := crypt.OpenChunk(u.key, u.Object, out.Chunk, size); err != nil {
		return fail(fmt.Errorf("%w: sealed header: %w", cloud.ErrInvalid, err))
	}
	return out, nil
}
